"""The table of brain encoders: a new encoder is one new file that decorates its class.

Holds names only; building and loading are the classes' own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eeg2music.registry import Registry

if TYPE_CHECKING:
    from eeg2music.encoders.base import Encoder

ENCODERS: Registry[type[Encoder]] = Registry("brain encoder", "eeg2music.encoders")
