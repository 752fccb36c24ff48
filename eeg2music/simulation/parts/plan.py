"""What the four players of a song agree on before they play: grid, form, harmony, who rests when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.simulation.parts.rhythm import Clock, metric_weights
from eeg2music.simulation.styles import Style
from eeg2music.simulation.theory import Chord, Scale


@dataclass(frozen=True)
class Slot:
    """A chord and the grid steps [start, end) that it holds."""

    start: int
    end: int
    chord: Chord


@dataclass(frozen=True)
class Event:
    """A note on the grid: start and length in steps, MIDI pitch, strength in [0, 1]."""

    step: float
    length: float
    pitch: int
    strength: float


@dataclass(frozen=True)
class Plan:
    """The agreement.

    Attributes:
        phrase_bars: bars in a phrase; ``sections`` names the material of each phrase (0 = A, 1 = B).
        rests: (stem, bar) pairs in which a stem is silent.
        syncopation, density: by stem, in [0, 1].
    """

    style: Style
    clock: Clock
    beats_per_bar: int
    bars: int
    phrase_bars: int
    sections: tuple[int, ...]
    scale: Scale
    slots: tuple[Slot, ...]
    rests: frozenset[tuple[str, int]]
    syncopation: dict[str, float]
    density: dict[str, float]
    variation: float

    @property
    def steps_per_beat(self) -> int:
        return self.clock.steps_per_beat

    @property
    def steps_per_bar(self) -> int:
        return self.beats_per_bar * self.steps_per_beat

    @property
    def steps(self) -> int:
        return self.bars * self.steps_per_bar

    @property
    def weights(self) -> NDArray[np.float64]:
        """(steps per bar,) metric weights."""
        return metric_weights(self.beats_per_bar, self.steps_per_beat)

    @property
    def seconds_per_step(self) -> float:
        return 60.0 / self.clock.tempo_bpm / self.steps_per_beat

    def section(self, bar: int) -> int:
        """Which material a bar belongs to."""
        return self.sections[bar // self.phrase_bars]

    def chord_at(self, step: float) -> Slot:
        """The chord that sounds at a grid step; the last one beyond the end."""
        for slot in self.slots:
            if step < slot.end:
                return slot
        return self.slots[-1]

    def accent(self, step: int) -> float:
        """Metric accent of a grid step in [0, 1]."""
        return float(self.weights[step % self.steps_per_bar])

    def rate(self, stem: str, low_per_s: float, high_per_s: float) -> int:
        """Onsets in a bar for a stem, from its density: between two rates in onsets per second."""
        per_second = low_per_s * (high_per_s / low_per_s) ** self.density[stem]
        count = per_second * self.steps_per_bar * self.seconds_per_step
        return int(np.clip(round(count), 1, self.steps_per_bar))
