"""The table of brain encoders: a new encoder is one new file that decorates its class.

Holds names and finds the class that a folder of weights belongs to; building is the classes' own business.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from eeg2music.errors import CheckpointError
from eeg2music.files import read_json
from eeg2music.registry import Registry
from eeg2music.weights import CONFIG_NAME, load_model

if TYPE_CHECKING:
    from eeg2music.encoders.base import Encoder

ENCODERS: Registry[type[Encoder]] = Registry("brain encoder", "eeg2music.encoders")


def load_encoder(folder: str | os.PathLike[str]) -> Encoder:
    """The encoder in a folder, of whichever registered class its config names.

    Raises
    ------
    CheckpointError
        If it is of no registered class, missing, pickled or damaged.
    MissingExtraError
        If it needs a package that is not installed.
    """
    classes = {ENCODERS[name].__name__: ENCODERS[name] for name in ENCODERS}
    name = _class_name(Path(folder) / CONFIG_NAME)
    if name is not None and name not in classes:
        raise CheckpointError(
            f"{folder} holds a {name}, which is no brain encoder",
            allowed=", ".join(sorted(classes)),
            remedy="name the folder of an encoder",
        )
    # A config that cannot be read is explained by the loader.
    return load_model(classes[name or "BrainEncoder"], folder)


def _class_name(config: Path) -> str | None:
    try:
        values = read_json(config)
    except (OSError, ValueError):
        return None
    name = values.get("_class_name") if isinstance(values, dict) else None
    return name if isinstance(name, str) else None
