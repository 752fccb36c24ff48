"""Which channels of a recording cannot be used, and why.

Judges robustly against the recording's other brain channels. Never repairs anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal as dsp

from eeg2music.preprocess.gaps import bad_stretches, find_gaps, marked_bad
from eeg2music.types import EEG_RATE_HZ, FloatArray, Recording

_BLOCKS = 12
_BLOCK_S = 5.0
_BRAIN_HZ = (1.0, 25.0)
_FAST_HZ = (30.0, 100.0)
_FLAT_V = 1e-10
_FLAT_MEG_T = 1e-18
_COARSE_LEVELS = 64
_ENOUGH = 20_000
_LONELY = 0.3
_Z = 6.0
_SHOWN = 3
# Decades. Homogeneous recordings have a tiny spread, in which harmless differences would look extreme.
_MIN_SPREAD = 0.12


@dataclass(frozen=True)
class Features:
    """What is measured per channel; each (channel,).

    power, fast : log10 of the power in 1–25 and 30–100 Hz
    line : mains power over 1–25 Hz power
    neighbour : highest absolute correlation with any other channel (mean over blocks), with and without the
        common reference, whichever is less
    """

    power: NDArray[np.float64]
    fast: NDArray[np.float64]
    line: NDArray[np.float64]
    neighbour: NDArray[np.float64]


def assess(recording: Recording) -> dict[str, str]:
    """{channel name: why it is bad}, with what the file itself marked as bad.

    A verdict looks at the brain channels only. Statistics are medians over blocks of 5 s spread over
    the recording, so that one bad stretch does not condemn a channel. What is marked bad is not looked at.
    """
    found = dict(recording.bad_channels)
    names = recording.channel_names
    marked = marked_bad(recording)
    if marked.all():
        marked[:] = False  # there is nothing else to look at
    heard: slice | NDArray[np.bool_] = ~marked if marked.any() else slice(None)
    lost = np.array([1.0 - np.isfinite(row[heard]).mean(dtype=float) for row in recording.signal_v])
    usable = lost < 0.5
    gaps = find_gaps(recording.signal_v, recording.sfreq_hz, usable=usable & ~is_constant(recording.signal_v))
    blocks = judged_blocks(recording.signal_v, recording.sfreq_hz, gaps, marked)
    flat = _flat(blocks, _FLAT_MEG_T if recording.kind == "meg" else _FLAT_V)
    for row, name in enumerate(names):
        if lost[row] == 1.0:
            found.setdefault(name, "holds no number (NaN) at all")
        elif lost[row] > 0.05:
            found.setdefault(name, f"{100 * lost[row]:.0f} % of its samples are no number (NaN or infinite)")
        elif flat[row]:
            found.setdefault(name, "flat")
        elif (share := saturated(recording.signal_v[row, ~(gaps | marked)])) > 0.02:
            found.setdefault(name, f"saturated for {100 * share:.0f} % of the time")
    rows = np.array([i for i, name in enumerate(names) if name not in found], dtype=int)
    if rows.size >= 4:
        features = measure([block[rows] for block in blocks], recording.sfreq_hz, recording.line_freq_hz)
        for row, why in _outliers(features, recording.kind).items():
            found[names[rows[row]]] = why
    return found


def signal_notes(recording: Recording, gaps: NDArray[np.bool_] | None = None) -> tuple[str, ...]:
    """What should be known about a recording as a whole: gaps, what is marked bad, coarse digitizing, a low rate."""
    if gaps is None:
        moving = ~is_constant(recording.signal_v)
        gaps = find_gaps(recording.signal_v, recording.sfreq_hz, usable=moving)
    gaps = gaps & ~marked_bad(recording)
    notes: tuple[str, ...] = ()
    if gaps.any():
        notes += (
            f"{gaps.sum() / recording.sfreq_hz:.2f} s hold no signal (padding or lost data, "
            f"{_places(_stretches(gaps, recording.sfreq_hz))}): bridged, and what sounds there is not from the brain",
        )
    notes += _marked_note(recording)
    step = coarse_step(recording.signal_v)
    if step is not None:
        notes += (f"coarsely digitized in steps of {1e6 * step:.2g} µV: little of the brain can be in it",)
    if recording.sfreq_hz < EEG_RATE_HZ:
        notes += (f"recorded at {recording.sfreq_hz:g} Hz: nothing above {recording.sfreq_hz / 2:g} Hz",)
    return notes


def _marked_note(recording: Recording) -> tuple[str, ...]:
    stretches = [(start, stop) for start, stop in bad_stretches(recording) if stop > start]
    if not stretches:
        return ()
    total, whole = sum(stop - start for start, stop in stretches), recording.duration_s
    return (
        f"{total:.2f} s of {whole:.2f} s ({100 * total / whole:.0f} %) are marked bad ({_places(stretches)}): muted "
        "before decoding like lost data, and left out of every statistic",
    )


def _stretches(mask: NDArray[np.bool_], sfreq_hz: float) -> list[tuple[float, float]]:
    """(start, stop) in seconds of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(start / sfreq_hz, stop / sfreq_hz) for start, stop in edges.reshape(-1, 2)]


def _places(stretches: Sequence[tuple[float, float]]) -> str:
    """The longest of them, in their order."""
    longest = sorted(sorted(stretches, key=lambda stretch: stretch[0] - stretch[1])[:_SHOWN])
    places = ", ".join(f"{start:.1f} to {stop:.1f} s" for start, stop in longest)
    return places + (f" and {len(stretches) - _SHOWN} more" if len(stretches) > _SHOWN else "")


def is_constant(signal: FloatArray) -> NDArray[np.bool_]:
    """(channel,) True where a channel of (channel, time) never moves."""
    constant = np.zeros(signal.shape[0], dtype=bool)
    for row, channel in enumerate(signal):
        # A few samples acquit nearly every channel.
        few = channel[:: max(1, channel.size // 1000)]
        if ((few == channel[0]) | ~np.isfinite(few)).all():
            constant[row] = bool(((channel == channel[0]) | ~np.isfinite(channel)).all())
    return constant


def saturated(signal: FloatArray) -> float:
    """Share of (time,) samples that sit exactly at an extreme far from where the signal usually is."""
    finite = signal[np.isfinite(signal)]
    if not finite.size:
        return 0.0
    extremes = (float(finite.min()), float(finite.max()))
    finite = finite[:: max(1, finite.size // _ENOUGH)]
    if np.unique(finite).size <= _COARSE_LEVELS:
        return 0.0  # so coarsely quantized that sitting at an extreme means nothing
    median = float(np.median(finite))
    spread = 1.4826 * float(np.median(np.abs(finite - median)))
    share = 0.0
    for extreme in extremes:
        if abs(extreme - median) > 4 * spread:
            share += float(np.mean(finite == extreme))
    return share


def coarse_step(signal: FloatArray) -> float | None:
    """The quantization step of (channel, time) in volts where the median channel has few levels, else None."""
    steps, levels = [], []
    for channel in signal:
        few = channel[np.isfinite(channel)]
        few = np.unique(few[:: max(1, few.size // _ENOUGH)])
        if few.size > 1:
            levels.append(few.size)
            steps.append(float(np.diff(few).min()))
    return float(np.median(steps)) if levels and np.median(levels) <= _COARSE_LEVELS else None


def judged_blocks(
    signal: FloatArray, sfreq_hz: float, gaps: NDArray[np.bool_], marked: NDArray[np.bool_] | None = None
) -> list[NDArray[np.float64]]:
    """Up to 12 stretches (channel, time) of 5 s without gaps and without what is marked bad, spread over the recording.

    Where there is none, they are cut out of the stretches. `gaps`, `marked` : (time,)
    """
    if marked is not None and marked.any():
        gaps = gaps | marked
    length = min(int(_BLOCK_S * sfreq_hz), signal.shape[1])
    last = signal.shape[1] - length
    count = min(_BLOCKS, max(1, signal.shape[1] // length))
    starts = np.unique(np.linspace(0, last, count).astype(int))
    whole = [start for start in starts if not gaps[start : start + length].any()]
    if marked is not None and marked.any() and not whole:
        whole = [start for start in starts if (~gaps[start : start + length]).sum() >= sfreq_hz / 2]
    blocks = []
    for start in whole or starts:
        keep = ~gaps[start : start + length]
        block = signal[:, start : start + length][:, keep if keep.sum() >= sfreq_hz / 2 else slice(None)]
        blocks.append(np.nan_to_num(block.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0))
    return blocks


def _flat(blocks: list[NDArray[np.float64]], floor: float) -> NDArray[np.bool_]:
    deviation = np.median([block.std(axis=1) for block in blocks], axis=0)
    moving = deviation[deviation > floor]
    usual = float(np.median(moving)) if moving.size else 0.0
    return np.asarray((deviation <= floor) | (deviation < 1e-3 * usual))


def measure(blocks: list[NDArray[np.float64]], sfreq_hz: float, line_freq_hz: float | None) -> Features:
    """Features of each channel, medians over blocks of (channel, time)."""
    collected: list[tuple[NDArray[np.float64], ...]] = []
    correlations: list[NDArray[np.float64]] = []
    sos = dsp.butter(2, [_BRAIN_HZ[0], min(_BRAIN_HZ[1], 0.45 * sfreq_hz)], "bandpass", fs=sfreq_hz, output="sos")
    for block in blocks:
        freqs, power = dsp.welch(block, sfreq_hz, nperseg=min(block.shape[1], int(sfreq_hz)), axis=1)
        step = freqs[1] - freqs[0]
        brain = _band(freqs, power, *_BRAIN_HZ) * step
        mains = [line_freq_hz] if line_freq_hz else [50.0, 60.0]
        line = np.max([_band(freqs, power, f - 1.5, f + 1.5) * step for f in mains], axis=0)
        fast = np.maximum(_band(freqs, power, *_FAST_HZ) * step - line, 0.0)
        tiny = np.finfo(float).tiny
        smooth = dsp.sosfiltfilt(sos, block - block.mean(axis=1, keepdims=True), axis=1)
        # A loose electrode shares nothing with others, or nothing but the reference: both are looked at.
        for kept in (smooth, smooth - np.median(smooth, axis=0, keepdims=True)):
            with np.errstate(invalid="ignore", divide="ignore"):
                correlations.append(np.nan_to_num(np.corrcoef(kept)))
        collected.append((np.log10(brain + tiny), np.log10(fast + tiny), line / (brain + tiny)))
    power, fast, line = (np.median([row[i] for row in collected], axis=0) for i in range(3))
    # Chance correlations change their sign from block to block; real ones stay.
    neighbour = np.ones_like(power)
    for together in (np.abs(np.mean(correlations[0::2], axis=0)), np.abs(np.mean(correlations[1::2], axis=0))):
        np.fill_diagonal(together, 0.0)
        neighbour = np.minimum(neighbour, together.max(axis=1))
    return Features(power, fast, line, neighbour)


def _band(freqs: NDArray[np.float64], power: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return np.asarray(power[:, (freqs >= low) & (freqs <= high)].sum(axis=1))


def robust_z(values: NDArray[np.float64], *, least: float) -> NDArray[np.float64]:
    """Distance from the median in robust deviations (1.4826 MAD), whose spread is at least `least`."""
    centred = values - np.median(values)
    return np.asarray(centred / max(1.4826 * float(np.median(np.abs(centred))), least))


def _outliers(features: Features, kind: str) -> dict[int, str]:
    tests: list[tuple[Callable[[], NDArray[np.bool_]], str]] = [
        (lambda: robust_z(features.power, least=_MIN_SPREAD) > _Z, "far stronger than the other channels"),
        (lambda: robust_z(features.power, least=_MIN_SPREAD) < -_Z, "far weaker than the other channels"),
        (lambda: robust_z(features.fast, least=_MIN_SPREAD) > _Z, "too noisy above 30 Hz"),
        (lambda: (features.line > 300) & (features.line > 30 * np.median(features.line)), "nothing but mains hum"),
    ]
    if kind == "eeg" and features.neighbour.size >= 8 and np.median(features.neighbour) > 2 * _LONELY:
        tests.append((lambda: features.neighbour < _LONELY, "correlates with no other channel"))
    found: dict[int, str] = {}
    for test, why in tests:
        for row in np.flatnonzero(test()):
            found.setdefault(int(row), why)
    return found
