"""Decode music from recordings of a brain.

The package root imports nothing heavy: `import eeg2music` is instant, and each
stage is imported by whoever needs it.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
