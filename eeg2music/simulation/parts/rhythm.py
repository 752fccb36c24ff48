"""Rhythmic cells drawn, varied and spread over bars; and the clock that turns grid positions into seconds.

It never chooses pitches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cell = tuple[int, ...]


def metric_weights(beats_per_bar: int, steps_per_beat: int) -> NDArray[np.float64]:
    """(steps per bar,) how strongly each grid position is felt, 1 = downbeat."""
    steps = beats_per_bar * steps_per_beat
    weights = np.full(steps, 0.16 if steps_per_beat == 4 else 0.22)
    if steps_per_beat == 4:
        weights[2::4] = 0.38
    weights[::steps_per_beat] = 0.65
    if beats_per_bar == 4:
        weights[2 * steps_per_beat] = 0.8
    weights[0] = 1.0
    return weights


def draw_cell(
    rng: np.random.Generator, weights: NDArray[np.float64], count: int, syncopation: float, *, first: bool = False
) -> Cell:
    """Positions of ``count`` onsets on a grid, ascending.

    Args:
        weights: (steps,) metric weights.
        syncopation: 0 keeps to strong positions, 1 prefers weak ones.
        first: whether the first position is certainly taken.
    """
    count = int(np.clip(count, 1, weights.size))
    taste = (1.0 - syncopation) * weights**1.5 + syncopation * (1.1 - weights) * 0.6 + 0.02
    score = np.log(taste) + rng.gumbel(size=weights.size) * 0.8
    if first:
        score[0] = np.inf
    return tuple(int(step) for step in np.sort(np.argsort(-score, kind="stable")[:count]))


def vary_cell(rng: np.random.Generator, cell: Cell, steps: int, rate: float) -> Cell:
    """Shift, drop or add a few onsets; the first onset stays. ``rate`` is the chance per onset."""
    kept = set(cell[:1])
    for step in cell[1:]:
        chance = rng.random()
        if chance < rate * 0.4:
            continue
        kept.add((step + int(rng.choice([-1, 1]))) % steps if chance < rate else step)
    if rng.random() < rate:
        kept.add(int(rng.integers(steps)))
    return tuple(sorted(kept))


def euclid(count: int, steps: int, rotation: int) -> Cell:
    """Onsets spread as evenly as possible (Bjorklund's rhythms), rotated."""
    return tuple(sorted({((onset * steps) // count + rotation) % steps for onset in range(count)}))


@dataclass(frozen=True)
class Clock:
    """Grid steps to seconds: tempo, swing, and the hands of a player.

    Attributes:
        swing: share of the first of two subdivisions; 0.5 = straight. Applies to 4 steps per beat.
        swing_level: 2 swings eighths, 4 swings sixteenths.
    """

    tempo_bpm: float
    steps_per_beat: int
    swing: float
    swing_level: int
    offset_s: float

    def seconds(self, step: float) -> float:
        """When a grid position (fractional allowed) sounds."""
        beat = step / self.steps_per_beat
        if self.steps_per_beat == 4 and self.swing != 0.5:
            beat = self._swung(beat)
        return self.offset_s + beat * 60.0 / self.tempo_bpm

    def _swung(self, beat: float) -> float:
        pairs = 1.0 if self.swing_level == 2 else 2.0
        whole, part = divmod(beat * pairs, 1.0)
        warped = part * 2 * self.swing if part < 0.5 else self.swing + (part - 0.5) * 2 * (1.0 - self.swing)
        return (whole + warped) / pairs
