"""The options that the commands share, how they become overrides of a config, and what is said of wrong ones.

Serves `eeg2music.cli` alone.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

from eeg2music.errors import InputError, did_you_mean

Seed = Annotated[int | None, typer.Option(help="The one seed that everything random derives from.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, or auto.")]
# What the commands take that draw nothing, or compute nothing on a device.
IdleSeed = Annotated[int | None, typer.Option(help="Taken as every command takes it; nothing here depends on it.")]
IdleDevice = Annotated[
    str, typer.Option(help="Taken as every command takes it, and has to be there; nothing here depends on it.")
]
Channels = Annotated[str | None, typer.Option(help="Comma-separated names of the channels to use.")]
Montage = Annotated[
    str | None, typer.Option(help="Name of a standard montage to take positions from, instead of the file's.")
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Check what takes no work, print the resolved configuration and stop."),
]


def overrides_like(example: str) -> Any:
    """The argument that takes dotted overrides, with an example that the command takes."""
    return typer.Argument(help=f"Dotted overrides, e.g. {example}")


def given(**options: object) -> list[str]:
    """Overrides for the options that were given; quoted, so that a channel named "1" stays a name."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in options.items() if value is not None]


def names(text: str | None) -> list[str] | None:
    """Comma-separated names."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def seeded(overrides: list[str] | None, seed: int | None, key: str = "seed") -> list[str]:
    """The overrides, and after them the seed if one was given."""
    return [*(overrides or []), *([f"{key}={seed}"] if seed is not None else [])]


def check_device(device: str) -> None:
    """Refuse a device that is not there, also where nothing is computed on it."""
    if device != "auto":
        from eeg2music.pipeline import pick_device

        pick_device(device)


def usage_error(error: Any) -> InputError | None:
    """What is wrong with the words of a command line, for an error of the parser's; None if it says nothing."""
    message = getattr(error, "format_message", lambda: str(error))()
    if not message:
        return None
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    what = re.split(r": Input should be|: .* is not a valid", message)[0]
    what = what.split(" Did you mean")[0].split(" (Possible")[0].removesuffix(".")
    name = context.command_path if context is not None else "eeg2music"
    allowed, remedy = "what the help shows", None
    if parameter is not None:
        allowed = _takes(parameter)
        remedy = f"`{name} --help` shows how"
    elif context is not None and hasattr(error, "option_name"):
        parameters = [one for one in context.command.get_params(context) if one.name != "help"]
        known = [option for one in parameters for option in one.opts if option.startswith("-")]
        allowed, remedy = ", ".join(known), did_you_mean(str(error.option_name), known)
    elif context is not None and hasattr(context.command, "list_commands"):
        known = context.command.list_commands(context)
        wrong = what.partition("'")[2].rstrip("'")
        allowed, remedy = ", ".join(known), did_you_mean(wrong, known)
    remedy = remedy or f"see `{name} --help`; settings are written key=value, without dashes"
    return InputError(what, allowed=allowed, remedy=remedy)


def _takes(parameter: Any) -> str:
    """What an option or argument takes, in its type's words and its own."""
    kinds = {"int": "a whole number", "float": "a number", "Path": "a path", "str": "a text"}
    kind = kinds.get(parameter.bare_type(), "a value")
    text = str(getattr(parameter, "help", "") or "").rstrip(".")
    return f"{kind} ({text})" if text else kind
