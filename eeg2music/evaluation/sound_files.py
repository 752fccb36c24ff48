"""Sounds that lie beside a page, to be listened to: their names, one level for all, and how many bytes they take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from eeg2music.types import FloatArray

# Beside the page of `evaluate`, and of `score`: users keep clips of their own under the first name.
FOLDER = "clips"
LISTEN = "listen"
HEADER_BYTES = 44
SAMPLE_BYTES = 2


def at_one_level(waves: Mapping[str, FloatArray]) -> tuple[dict[str, FloatArray], float]:
    """(samples,) waves by path, all times the one gain that keeps the loudest from clipping, and that gain."""
    peak = max((float(np.abs(wave).max(initial=0.0)) for wave in waves.values()), default=0.0)
    gain = 1.0 if peak <= 1.0 else 1.0 / peak
    return {path: wave * np.float32(gain) for path, wave in waves.items()}, gain


def quieter_text(gain: float) -> str:
    """What was done to the level, in words; empty where nothing was."""
    return "" if gain == 1.0 else f" All were made quieter by the one factor {gain:.3f}, so that none clips."


def bytes_of(waves: Mapping[str, FloatArray]) -> int:
    """What they take as 16-bit WAV."""
    return sum(HEADER_BYTES + SAMPLE_BYTES * wave.size for wave in waves.values())


def safe_names(labels: Sequence[str]) -> list[str]:
    """Labels as parts of a file's name; numbered where letters that do not belong there were all that told two
    apart."""
    named: dict[str, str] = {}
    for label in labels:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", label).strip(".") or "_"
        # Some file systems take capitals and small letters for the same.
        taken = {name.casefold() for other, name in named.items() if other != label}
        named.setdefault(label, plain if plain.casefold() not in taken else f"{plain}_{len(named)}")
    return [named[label] for label in labels]
