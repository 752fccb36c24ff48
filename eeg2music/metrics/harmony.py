"""Agreement of key, chroma and tempo between two pieces of music.

Takes estimates or annotations; never listens to audio. Two estimates of major and minor keys are compared by MIREX's
score; music in modes, which has no two-mode key, by its diatonic collection, the seven pitch classes.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError
from eeg2music.metrics.audio import correlation
from eeg2music.metrics.checks import Float64, finite, same_shape

# Tonic pitch class 0-11 (C = 0) and mode.
Key = tuple[int, str]

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MAJOR_STEPS = (0, 2, 4, 5, 7, 9, 11)


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


def diatonic_collection(pitch_classes: Collection[int]) -> int:
    """The diatonic collection that seven pitch classes (C = 0) are, named by its major tonic.

    Modes and relative keys share a collection.

    >>> diatonic_collection([2, 4, 5, 7, 9, 11, 0])  # D dorian
    0
    """
    notes = {pitch % 12 for pitch in pitch_classes}
    for tonic in range(12):
        if notes == {(tonic + step) % 12 for step in _MAJOR_STEPS}:
            return tonic
    raise InputError(f"{sorted(notes)} is no diatonic collection", allowed="the seven pitch classes of a major key")


def fifths_apart(x: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
    """Steps on the circle of fifths between diatonic collections: 0 for the same one, 1 where one note differs, to 6.

    Parameters
    ----------
    x, y : (...,) collections, named by the pitch class of their major tonic (C = 0)

    >>> fifths_apart([0, 7, 10, 6], [0, 0, 0, 0])
    array([0, 1, 2, 6])
    """
    left, right = finite("x", x), finite("y", y)
    same_shape("x", left, "y", right)
    if not all(np.isin(values, np.arange(12)).all() for values in (left, right)):
        raise InputError("A collection that is no pitch class", allowed="0 to 11")
    steps = (7 * (left - right).astype(np.int64)) % 12
    return np.minimum(steps, 12 - steps)


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
    return correlation(left, right)


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
