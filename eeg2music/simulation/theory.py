"""Scales, diatonic chords, progressions and voice leading: pure functions on pitch classes and MIDI pitches.

It never knows about time, style or sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
MINOR_THIRD_MODES = frozenset(mode for mode, steps in MODES.items() if 3 in steps)
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII")

# Where a chord tends to go: row = from degree, column = to degree (common-practice and pop root motion).
_MOTION = np.array(
    [
        [0.3, 2.0, 1.0, 3.5, 3.0, 3.0, 1.2],
        [1.5, 0.1, 0.8, 1.0, 4.0, 0.8, 0.8],
        [0.8, 1.0, 0.1, 2.5, 0.6, 3.0, 0.5],
        [3.0, 1.5, 0.6, 0.1, 3.0, 1.2, 1.0],
        [4.0, 0.4, 0.7, 1.5, 0.1, 2.5, 0.4],
        [1.0, 2.5, 1.0, 3.0, 2.0, 0.1, 1.2],
        [3.0, 0.4, 1.0, 1.5, 1.0, 1.5, 0.1],
    ]
)


@dataclass(frozen=True)
class Scale:
    """A tonic (0 = C) and a mode."""

    tonic: int
    mode: str

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """The seven pitch classes, tonic first."""
        return tuple((self.tonic + step) % 12 for step in MODES[self.mode])

    def ladder(self, low: int, high: int) -> list[int]:
        """All scale pitches with ``low <= pitch <= high``, ascending."""
        allowed = set(self.pitch_classes)
        return [pitch for pitch in range(low, high + 1) if pitch % 12 in allowed]


@dataclass(frozen=True)
class Chord:
    """Pitch classes (root first) on a scale degree (0 = tonic chord)."""

    degree: int
    pitch_classes: tuple[int, ...]
    symbol: str


def build_chord(scale: Scale, degree: int, colour: str) -> Chord:
    """Stack thirds on a degree.

    Args:
        colour: ``triad``, ``seventh``, ``ninth``, ``sus`` (fourth for third) or ``power`` (root and fifth).
    """
    offsets = {"triad": (0, 2, 4), "seventh": (0, 2, 4, 6), "ninth": (0, 2, 6, 8), "sus": (0, 3, 4), "power": (0, 4)}
    steps = offsets[colour]
    classes = scale.pitch_classes
    pitch_classes = tuple(classes[(degree + step) % 7] for step in steps)
    third = (classes[(degree + 2) % 7] - classes[degree]) % 12
    numeral = ROMAN[degree] if third == 4 else ROMAN[degree].lower()
    suffix = {"triad": "", "seventh": "7", "ninth": "9", "sus": "sus4", "power": "5"}[colour]
    return Chord(degree, pitch_classes, numeral + suffix)


def raise_leading_tone(chord: Chord, scale: Scale) -> Chord:
    """The dominant of a minor key with its third raised (harmonic minor); other chords come back unchanged."""
    if chord.degree != 4 or scale.mode != "minor":
        return chord
    flat, raised = (scale.tonic + 10) % 12, (scale.tonic + 11) % 12
    classes = tuple(raised if pitch_class == flat else pitch_class for pitch_class in chord.pitch_classes)
    return Chord(chord.degree, classes, chord.symbol.upper())


def is_diminished(scale: Scale, degree: int) -> bool:
    """Whether the triad on a degree has a diminished fifth."""
    classes = scale.pitch_classes
    return (classes[(degree + 4) % 7] - classes[degree]) % 12 == 6


def draw_progression(rng: np.random.Generator, scale: Scale, length: int, adventure: float) -> list[int]:
    """Scale degrees of a progression.

    Args:
        length: number of chords, at least 1.
        adventure: 0 follows the usual root motion closely, 1 is nearly uniform.
    """
    degrees = [0 if rng.random() < 0.75 else int(rng.choice([3, 5, 1, 4]))]
    penalty = np.array([0.12 if is_diminished(scale, degree) else 1.0 for degree in range(7)])
    while len(degrees) < length:
        weights = _MOTION[degrees[-1]] ** (1.0 - 0.7 * adventure) * penalty
        if len(degrees) == length - 1 and degrees[0] == 0:
            weights = weights * np.array([0.2, 1.0, 0.7, 1.5, 2.0, 0.8, 1.2])
        degrees.append(int(rng.choice(7, p=weights / weights.sum())))
    return degrees


def voice_chord(pitch_classes: Sequence[int], center: float, spread: int, previous: Sequence[int] | None) -> list[int]:
    """Place a chord near ``center``, moving as little as possible from the previous voicing.

    Args:
        center: MIDI pitch around which the voicing lies.
        spread: half width of the allowed register in semitones, at least 6.
        previous: last voicing, ascending, or None.

    Returns: ascending MIDI pitches, one for each pitch class.
    """
    low, high = round(center - spread), round(center + spread)
    options = [[p for p in range(low, high + 1) if p % 12 == pitch_class] for pitch_class in pitch_classes]
    best: list[int] = []
    best_cost = np.inf
    for candidate in product(*options):
        voicing = sorted(candidate)
        gaps = np.diff(voicing)
        cost = 0.35 * abs(float(np.mean(voicing)) - center)
        cost += 2.0 * float(np.sum(gaps < 2)) + 0.5 * max(float(gaps.max()) - 9.0, 0.0)
        if previous:
            cost += _movement(voicing, previous)
        if cost < best_cost:
            best, best_cost = voicing, cost
    return best


def _movement(voicing: Sequence[int], previous: Sequence[int]) -> float:
    """Semitones that voices travel, each to its nearest neighbour in the previous chord."""
    if len(voicing) == len(previous):
        return float(sum(abs(a - b) for a, b in zip(voicing, previous, strict=True)))
    return float(sum(min(abs(a - b) for b in previous) for a in voicing))


def nearest(pitch: float, candidates: Sequence[int]) -> int:
    """The candidate closest to ``pitch``; the lower one of two."""
    return min(candidates, key=lambda candidate: (abs(candidate - pitch), candidate))
