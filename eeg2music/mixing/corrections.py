"""Which stems disagree with the others in key or tempo, and the smallest change that mends it.

Plans only; sound is changed in `stretch`. Conservative by design: a stem is touched only where its estimate is
sure, the others agree among themselves or are surer, and the change is a clear gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eeg2music.mixing.harmony import Harmony, key_name, profile_fit, scale_fit
from eeg2music.mixing.rhythm import Rhythm, pulse_strength
from eeg2music.mixing.settings import MixerConfig

Float64 = NDArray[np.float64]

# Tempi that stand in these ratios are one pulse counted at two levels.
LEVELS = (0.25, 0.5, 1.0, 2.0, 4.0)
COMPATIBLE = (*LEVELS, 1 / 3, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 3.0)
SAME_TEMPO = 0.008
PULSE_GAIN = 1.5
DETUNED_SEMITONES = 0.2
SURE_TUNING = 0.6
# A stem that fits the others at least this well does not clash, however much better it could fit.
CLASH_BELOW = 0.1
# Taken off the gain for each semitone moved: the nearest good interval, not the best one far away (a fifth fits nearly
# as well as the unison).
INTERVAL_COST = 0.12


@dataclass
class Plan:
    """What to do to each stem, and why.

    Attributes
    ----------
    shared : the key or tempo that the stems share after the correction, None if there is none
    change : (stem,) semitones, or factor on the tempo; 0 and 1 leave the stem alone
    done, left_alone : sentences for the report
    """

    shared: str | float | None
    change: list[float]
    done: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)


def plan_transpositions(harmonies: Sequence[Harmony], names: Sequence[str], config: MixerConfig) -> Plan:
    """Move stems, one at a time, to where they fit the other tonal stems best.

    The fit of a stem has two parts of equal weight: the correlation of its pitch classes with those of the others
    moment by moment, and how well it fits the diatonic collection that the others are in. Each round moves the one
    stem that gains most, so the majority stays; between two stems the surer one stays.
    """
    plan = Plan(None, [0.0] * len(harmonies))
    voices = [
        i
        for i, harmony in enumerate(harmonies)
        if names[i] not in config.untuned and harmony.confidence >= config.min_key_confidence
    ]
    moved = list(harmonies)
    if config.transpose and len(voices) >= 2:
        settled: set[int] = set()
        while len(settled) < len(voices) - 1:
            best = max(
                (_best_move(moved, voices, i, config) for i in voices if i not in settled), key=lambda move: move.rank
            )
            if best.gain < config.transpose_gain:
                break
            settled.add(best.stem)
            moved[best.stem] = moved[best.stem].transposed(best.semitones)
            plan.change[best.stem] = float(best.semitones)
            plan.done.append(
                f"{names[best.stem]} transposed by {best.semitones:+d} semitone{'s' * (abs(best.semitones) > 1)} "
                f"(a gain of {best.gain:.2f} in its fit to the others)"
            )
        _retune(harmonies, voices, names, plan)
    if voices:
        mode, tonic = np.unravel_index(int(profile_fit(_pooled([moved[i] for i in voices])).argmax()), (2, 12))
        plan.shared = key_name((int(tonic), ("major", "minor")[mode]))
    return plan


@dataclass(frozen=True)
class _Move:
    stem: int
    semitones: int
    gain: float
    rank: float


def _best_move(harmonies: Sequence[Harmony], voices: Sequence[int], stem: int, config: MixerConfig) -> _Move:
    """The transposition of one stem that gains most, the others staying."""
    others = [harmonies[i] for i in voices if i != stem]
    reach = config.max_transpose_semitones
    intervals = np.arange(-reach, reach + 1)
    fit = _fit_to_others(harmonies[stem], others, intervals)
    worth = fit - INTERVAL_COST * np.abs(intervals)
    best = int(np.argmax(worth))
    gain = float(worth[best] - fit[reach]) if fit[reach] < CLASH_BELOW else 0.0
    # Between two stems the gain is almost the same whichever moves: let the less sure one.
    return _Move(stem, int(intervals[best]), gain, gain - 0.2 * harmonies[stem].confidence)


def _fit_to_others(own: Harmony, others: Sequence[Harmony], intervals: NDArray[np.int64]) -> Float64:
    """(interval,) fit in [-2, 2] of a stem, transposed by each interval, to the others."""
    frames = max(len(own.frames), *(len(other.frames) for other in others))
    together = np.zeros((frames, 12))
    for other in others:
        together[: len(other.frames)] += other.frames / max(float(np.linalg.norm(other.frames)), 1e-12)
    together = _smooth(together)
    mine = _smooth(np.pad(own.frames, ((0, frames - len(own.frames)), (0, 0))))
    collection = int(scale_fit(_pooled(others)).argmax())
    moment = np.array([_correlation(np.roll(mine, k, axis=1), together) for k in intervals])
    scale = np.array([scale_fit(np.roll(own.chroma, k))[collection] for k in intervals])
    return moment + scale


def _pooled(harmonies: Sequence[Harmony]) -> Float64:
    """(12,) chroma of several stems together, the sure ones counting more."""
    return np.sum([harmony.confidence * harmony.chroma for harmony in harmonies], axis=0)


def _smooth(frames: Float64) -> Float64:
    """Mean of each frame and its neighbours (three quarters of a second): stems need not attack together."""
    padded = np.pad(frames, ((1, 1), (0, 0)))
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3.0


def _correlation(x: Float64, y: Float64) -> float:
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    return float(np.sum(x * y) / max(float(np.linalg.norm(x) * np.linalg.norm(y)), 1e-12))


def _retune(harmonies: Sequence[Harmony], voices: Sequence[int], names: Sequence[str], plan: Plan) -> None:
    """Take the remaining part of a semitone off stems that lie off the others' tuning."""
    sure = [i for i in voices if harmonies[i].tonality >= SURE_TUNING]
    if len(sure) < 2:
        return
    tunings = np.array([harmonies[i].tuning for i in sure])
    # The stem that lies nearest to all others: a median on the circle of a semitone.
    apart = np.abs((tunings[:, None] - tunings + 0.5) % 1.0 - 0.5)
    weight = np.array([harmonies[i].tonality for i in sure])
    centre = tunings[int(np.argmin((apart * weight).sum(axis=1) - 1e-3 * weight))]
    for i, tuning in zip(sure, tunings, strict=True):
        deviation = float((tuning - centre + 0.5) % 1.0 - 0.5)
        if abs(deviation) >= DETUNED_SEMITONES:
            plan.change[i] -= deviation
            plan.done.append(f"{names[i]} tuned by {-100 * deviation:+.0f} cents to the others")


def plan_stretches(rhythms: Sequence[Rhythm], names: Sequence[str], duration_s: float, config: MixerConfig) -> Plan:
    """Bring stems whose tempo is a few beats per minute off to the tempo of the majority.

    Tempi are compared at the same metrical level (half and double tempo agree). The change is a factor on the tempo of
    the whole stem, so that it moves sounds in time, the more the later they are: in long clips a stem is left alone.
    """
    plan = Plan(None, [1.0] * len(rhythms))
    sure = [i for i, r in enumerate(rhythms) if r.tempo_bpm > 0 and r.confidence >= config.min_tempo_confidence]
    if not sure:
        return plan
    leader = max(sure, key=lambda i: _support(rhythms, sure, rhythms[i].tempo_bpm) + 1e-3 * rhythms[i].confidence)
    shared = rhythms[leader].tempo_bpm
    plan.shared = shared
    for i in sure:
        own = rhythms[i].tempo_bpm
        if _off(own, shared, COMPATIBLE) <= SAME_TEMPO or not config.stretch:
            continue
        level = min(LEVELS, key=lambda ratio: abs(np.log(own / (ratio * shared))))
        factor = shared * level / own
        # What lies at the end of the clip moves furthest.
        shift_s = abs(1.0 - factor) * duration_s
        drift = shift_s * own / 60.0
        words = f"{names[i]} beats at {own:.1f} BPM beside {shared * level:.1f}"
        if abs(factor - 1.0) > config.max_stretch:
            plan.left_alone.append(f"{words}: more than {config.max_stretch:.0%} away, its tempo is its own")
        elif shift_s > config.max_shift_s:
            plan.left_alone.append(
                f"{words}: its end would move by {shift_s:.2f} s, more than {config.max_shift_s:g} s, "
                "away from when things happened"
            )
        elif drift < config.min_drift_beats:
            plan.left_alone.append(f"{words}: only {drift:.2f} beats apart at the end of the clip")
        elif not _own_pulse_is_clearer(rhythms[i], own, shared * level):
            plan.left_alone.append(f"{words}: its own pulse is hardly clearer than the shared one")
        else:
            plan.change[i] = factor
            plan.done.append(f"{words}: played {'faster' if factor > 1 else 'slower'} by {abs(factor - 1):.1%}")
    return plan


def _support(rhythms: Sequence[Rhythm], sure: Sequence[int], tempo: float) -> float:
    """Confidence of all stems that agree with a tempo."""
    return sum(rhythms[i].confidence for i in sure if _off(rhythms[i].tempo_bpm, tempo, COMPATIBLE) <= SAME_TEMPO)


def _off(tempo: float, shared: float, ratios: Sequence[float]) -> float:
    """Relative distance to the nearest compatible tempo."""
    return float(min(abs(tempo / (ratio * shared) - 1.0) for ratio in ratios))


def _own_pulse_is_clearer(rhythm: Rhythm, own: float, shared: float) -> bool:
    mine, theirs = pulse_strength(rhythm.onset, np.array([own, shared]))
    return bool(mine >= PULSE_GAIN * theirs)
