"""The table of audio embeddings: a new one is one new file that decorates its class.

Holds names only; loading is the classes' own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eeg2music.registry import Registry

if TYPE_CHECKING:
    from eeg2music.evaluation.embedders.base import Embedder

EMBEDDERS: Registry[type[Embedder]] = Registry("audio embedding", "eeg2music.evaluation.embedders")
