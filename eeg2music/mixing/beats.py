"""Where the beats of the stems lie beside each other. Measures only: nothing is shifted by what is found here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from eeg2music.mixing.corrections import LEVELS, SAME_TEMPO, Plan
from eeg2music.mixing.rhythm import Rhythm

# Beats that lie all over the place have no phase: least length of their mean on the circle.
STEADY = 0.7
# In beats. Soft attacks and the tracking of beats alone make a tenth.
OFF_BEAT = 0.2
# Less regular stems stand off the beat by syncopation alone, in most composed clips of funk: not worth a sentence.
SURE_PULSE = 0.6


@dataclass
class BeatOffsets:
    """How far the beats of each stem lie from the shared grid, after the corrections of tempo.

    Attributes
    ----------
    seconds : (stem,) late is positive; None for a stem without a clear pulse, or with one that the grid does not hold
    beats : (stem,) the same in beats of the shared tempo
    left_alone : sentences for the report, on sure stems that stand off the beat
    """

    seconds: list[float | None]
    beats: list[float | None]
    left_alone: list[str] = field(default_factory=list)


class _Pulse(NamedTuple):
    """A beat at `phase_s`, and one every `period_s`, in seconds."""

    phase_s: float
    period_s: float


def beat_offsets(rhythms: Sequence[Rhythm], clear: Sequence[bool], names: Sequence[str], tempo: Plan) -> BeatOffsets:
    """Offsets to the grid of the shared tempo through the beats of the stem that lies nearest to the others.

    A stem that beats faster than the grid is compared by its beat that lies nearest.

    Parameters
    ----------
    rhythms : as estimated, before the corrections
    clear : (stem,) whether a stem's pulse says anything
    tempo : the plan of the stretches
    """
    found = BeatOffsets([None] * len(rhythms), [None] * len(rhythms))
    if not isinstance(tempo.shared, float):
        return found
    beat_s = 60.0 / tempo.shared
    pulses = {
        i: pulse
        for i, rhythm in enumerate(rhythms)
        if clear[i] and (pulse := _pulse(rhythm, tempo.change[i], beat_s)) is not None
    }
    if not pulses:
        return found
    centre = _centre(pulses, rhythms)
    for i, pulse in pulses.items():
        late_s = _late_s(pulse, pulses[centre])
        found.seconds[i], found.beats[i] = late_s, late_s / beat_s
        sure = min(rhythms[i].confidence, rhythms[centre].confidence) >= SURE_PULSE
        if sure and abs(late_s) > OFF_BEAT * beat_s:
            found.left_alone.append(
                f"{names[i]} beats {1000.0 * abs(late_s):.0f} ms ({abs(late_s) / beat_s:.2f} of a beat) off "
                f"{names[centre]}: an offbeat may be meant, and the mixer does not decide when things happen"
            )
    return found


def _pulse(rhythm: Rhythm, factor: float, beat_s: float) -> _Pulse | None:
    """The pulse of a stem whose tempo is changed by a factor."""
    pace = rhythm.tempo_bpm * factor * beat_s / 60.0
    level = min(LEVELS, key=lambda ratio: abs(np.log(pace / ratio)))
    if abs(pace / level - 1.0) > SAME_TEMPO:
        return None
    period_s = beat_s / max(1.0, level)
    mean = complex(np.mean(np.exp(2j * np.pi * rhythm.beats_s / factor / period_s)))
    return _Pulse(float(np.angle(mean)) / (2.0 * np.pi) * period_s, period_s) if abs(mean) >= STEADY else None


def _centre(pulses: dict[int, _Pulse], rhythms: Sequence[Rhythm]) -> int:
    """The stem that lies nearest to all others: a median on the circle of a beat, the regular stems counting more."""
    # Beside a faster pulse, nothing would be told of what lies between the beats.
    slowest = max(pulse.period_s for pulse in pulses.values())

    def apart(i: int) -> float:
        return sum(rhythms[j].confidence * abs(_late_s(pulse, pulses[i])) for j, pulse in pulses.items())

    able = [i for i, pulse in pulses.items() if pulse.period_s == slowest]
    return min(able, key=lambda i: apart(i) - 1e-3 * rhythms[i].confidence)


def _late_s(one: _Pulse, other: _Pulse) -> float:
    """From the nearest beat of the other to a beat of the one, by the faster of the two pulses."""
    period_s = min(one.period_s, other.period_s)
    return (one.phase_s - other.phase_s + period_s / 2.0) % period_s - period_s / 2.0
