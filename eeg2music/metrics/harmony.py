"""Agreement of key, chroma and tempo between two pieces of music.

Takes estimates or annotations (a key is a tonic pitch class 0-11, C = 0, and a mode); never
listens to audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, finite, same_shape

Key = tuple[int, str]

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def parse_key(name: str) -> Key:
    """(tonic pitch class, mode) of a name such as "F# minor", "Bb major" or "C" (major).

    >>> parse_key("F# minor"), parse_key("Bb")
    ((6, 'minor'), (10, 'major'))
    """
    parts = name.split()
    mode = parts[1].lower() if len(parts) == 2 else "major"
    tonic = parts[0] if parts else ""
    accidentals = tonic[1:]
    if (
        len(parts) > 2
        or mode not in ("major", "minor")
        or tonic[:1].upper() not in _LETTERS
        or set(accidentals) - {"#", "b"}
    ):
        raise InputError(f"{name!r} is not a key", allowed="such as 'C major', 'F# minor', 'Bb'")
    pitch = _LETTERS[tonic[:1].upper()] + accidentals.count("#") - accidentals.count("b")
    return pitch % 12, mode


def key_score(estimated: Key | str, reference: Key | str) -> float:
    """MIREX weighted key score (as in mir_eval.key.weighted_score).

    1 for the same key; 0.5 where the estimate lies a perfect fifth above the reference in the
    same mode; 0.3 for the relative, 0.2 for the parallel key; 0 for the rest.

    >>> key_score("G major", "C major"), key_score("A minor", "C major"), key_score("C minor", "C major")
    (0.5, 0.3, 0.2)
    """
    tonic, mode = _key(estimated)
    ref_tonic, ref_mode = _key(reference)
    interval = (tonic - ref_tonic) % 12
    if mode == ref_mode:
        return {0: 1.0, 7: 0.5}.get(interval, 0.0)
    relative = 9 if ref_mode == "major" else 3
    return {0: 0.2, relative: 0.3}.get(interval, 0.0)


def key_agreement(
    estimated: Sequence[Key | str],
    reference: Sequence[Key | str],
    *,
    kind: Literal["weighted", "exact"] = "weighted",
) -> float:
    """Mean key score over pairs of pieces; chance of a uniform guess is 1/24 exact, 2/24 weighted.

    >>> key_agreement(["C", "G"], ["C", "C"])
    0.75
    """
    if kind not in ("weighted", "exact"):
        raise InputError(f"Unknown kind of key agreement {kind!r}", allowed="weighted, exact")
    if len(estimated) != len(reference) or not estimated:
        raise InputError(f"{len(estimated)} estimated keys, {len(reference)} references", allowed="equally many")
    scores = np.array([key_score(a, b) for a, b in zip(estimated, reference, strict=True)])
    return float(scores.mean() if kind == "weighted" else (scores == 1.0).mean())


def chroma_similarity(x: ArrayLike, y: ArrayLike) -> Float64:
    """Pearson correlation of pitch-class profiles: 1 for the same harmony, near 0 for unrelated ones.

    Parameters
    ----------
    x, y : (..., 12) non-negative; 0 where one of them is flat or empty

    >>> round(float(chroma_similarity(np.eye(12)[0], np.eye(12)[0])), 6)
    1.0
    """
    left, right = finite("x", x), finite("y", y)
    same_shape("x", left, "y", right)
    if left.shape[-1] != 12:
        raise InputError(f"A chroma with {left.shape[-1]} bins", allowed="12 pitch classes")
    left, right = left - left.mean(-1, keepdims=True), right - right.mean(-1, keepdims=True)
    scale = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    product = np.sum(left * right, axis=-1)
    return np.clip(np.divide(product, scale, out=np.zeros_like(product), where=scale > 1e-12), -1.0, 1.0)


def tempo_agreement(
    estimated_bpm: ArrayLike, reference_bpm: ArrayLike, *, tolerance: float = 0.04, octaves: bool = True
) -> Float64:
    """1 where a tempo agrees within a relative tolerance, else 0 (Gouyon et al. 2006, Accuracy 1 and 2).

    Parameters
    ----------
    estimated_bpm, reference_bpm : (...,) beats per minute, positive
    octaves : also accept 2, 3, 1/2 and 1/3 of the reference (Accuracy 2)

    >>> tempo_agreement([121.0, 60.0, 90.0], [120.0, 120.0, 120.0])
    array([1., 1., 0.])
    """
    ours, ref = finite("estimated_bpm", estimated_bpm), finite("reference_bpm", reference_bpm)
    same_shape("estimated_bpm", ours, "reference_bpm", ref)
    if np.any(ours <= 0) or np.any(ref <= 0):
        raise InputError("A tempo of zero or less", allowed="positive beats per minute")
    factors = np.array([1.0, 2.0, 3.0, 1 / 2, 1 / 3]) if octaves else np.array([1.0])
    wanted = ref[..., None] * factors
    return np.any(np.abs(ours[..., None] - wanted) <= tolerance * wanted, axis=-1).astype(np.float64)


def _key(key: Key | str) -> Key:
    tonic, mode = parse_key(key) if isinstance(key, str) else key
    if mode not in ("major", "minor") or not 0 <= tonic < 12:
        raise InputError(f"{key!r} is not a key", allowed="(0 to 11, 'major' or 'minor')")
    return tonic, mode
