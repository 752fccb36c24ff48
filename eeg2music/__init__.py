"""Decode music from recordings of a brain.

The package root imports nothing heavy: `import eeg2music` is instant, and the names below are
fetched from their modules when they are first used.
"""

from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "BrainToMusicPipeline": "eeg2music.pipeline",
    "BrainEncoder": "eeg2music.encoders.brain",
    "JointStemTransformer": "eeg2music.diffusion.transformer",
    "Codec": "eeg2music.codec.encodec",
    "read_recording": "eeg2music.recordings.read",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'eeg2music' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
