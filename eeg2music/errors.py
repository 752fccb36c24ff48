"""The errors that the library raises.

Each says in one line what is wrong (with the offending value), what is allowed,
and the remedy. The command line prints that line and exits with code 2; library
code never prints and never exits.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def first_few(items: Sequence[object], most: int = 5, separator: str = ", ") -> str:
    """The first items of a list, and how many more there are, for a message.

    >>> first_few(["a", "b", "c"], most=2), first_few([])
    ('a, b and 1 more', 'none')
    """
    shown = separator.join(map(str, items[:most])) or "none"
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A remedy that asks for the nearest known name, if one is near.

    >>> did_you_mean("drum", ["drums", "bass"])
    "did you mean 'drums'?"
    """
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else None


class Eeg2MusicError(Exception):
    """Base of all errors a user can mend.

    Parameters
    ----------
    what : str
        What is wrong, naming the thing and the offending value.
    allowed : str, optional
        What would have been accepted.
    remedy : str, optional
        What to do about it.
    """

    def __init__(self, what: str, *, allowed: str | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.allowed = allowed
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what]
        if self.allowed:
            parts.append(f"Allowed: {self.allowed}")
        if self.remedy:
            parts.append(f"Remedy: {self.remedy}")
        return " ".join(" ".join(map(_sentence, parts)).split())


def _sentence(text: str) -> str:
    """Close a sentence that is not closed."""
    text = text.strip()
    return text if text.endswith(("?", "!")) else text.rstrip(".") + "."


class InputError(Eeg2MusicError):
    """A recording, an audio file or an argument that cannot be used."""


class ConfigError(Eeg2MusicError):
    """A configuration key or value that does not exist or does not fit."""


class CheckpointError(Eeg2MusicError):
    """A checkpoint that is missing, pickled, damaged, or whose shapes do not fit."""


class DataError(Eeg2MusicError):
    """A data set or cache that is incomplete or inconsistent."""


class LeakError(Eeg2MusicError):
    """A split in which training and test share a song, a trial or a recording."""


class MissingExtraError(Eeg2MusicError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        self._named = (package, extra)
        super().__init__(
            f"The package {package!r} is not installed",
            remedy=f"pip install 'eeg2music[{extra}]'",
        )

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        # Worker processes hand errors over pickled; the default would call this with the message alone.
        return type(self), self._named
