"""How late does a listener respond? Told from the beginnings of songs, whose times the event markers give.

A brain that responds later and music that plays later look the same in a recording, so that nothing in a window tells
the two apart: what is decoded of a listener is early or late by as much as this listener differs from those whom the
encoder was trained on. Where a recording says when songs began, as every experiment's does, the average response to the
beginnings tells it, without a look at what was heard: the decoded curves of all beginnings, averaged, are compared with
how other songs begin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from eeg2music.errors import InputError
from eeg2music.pipeline import BrainToMusicPipeline
from eeg2music.preprocess.windows import cut_window
from eeg2music.seeding import numpy_rng
from eeg2music.targets.curves import control_curves_numpy
from eeg2music.types import CURVE_RATE_HZ, EEG_RATE_HZ, SAMPLE_RATE_HZ, WINDOW_S, FloatArray, Recording, Window

# Of the window around a beginning: how long before it begins the window does, and what of it is compared.
LEAD_S = 1.25
COMPARED_S = (0.5, 2.75)
# Onset strength and loudness jump where a song begins.
CURVES_USED = 2
# Delays that are tried: tenths of a frame, to four frames. Far more than listeners differ: where noise decides, the
# best delays of resamples must be free to scatter, or they crowd at the ends and look certain.
PER_FRAME = 10
MOST_FRAMES = 4
GRID_S: NDArray[np.float64] = np.arange(-MOST_FRAMES * PER_FRAME, MOST_FRAMES * PER_FRAME + 1) / (
    PER_FRAME * CURVE_RATE_HZ
)
# How much listeners are taken to differ (standard deviation) before anything is known: the simulator's, who lie within
# 30 ms, differ by 17 ms.
PRIOR_S = 0.02
RESAMPLES = 200
FEWEST = 8


@dataclass(frozen=True)
class Delay:
    """How much later than the average a listener responds.

    Attributes
    ----------
    seconds : the estimate, drawn towards 0 as far as it is uncertain; 0 where it is more than listeners differ
    error_s : its standard error before that, by resampling the beginnings. That the songs which say how songs begin
        are a sample, too, is not in it: it moves all listeners alike
    beginnings : how many it is from
    """

    seconds: float
    error_s: float
    beginnings: int


class LatencyFromMarkers:
    """Estimates listeners' latencies and takes them out of recordings.

    Parameters
    ----------
    pipeline : whose encoder decodes the beginnings
    music : (song, stem, samples) at 24 kHz, beginnings of songs other than those heard, WINDOW_S or more
    """

    def __init__(self, pipeline: BrainToMusicPipeline, music: FloatArray) -> None:
        self._pipeline = pipeline
        self._templates = beginnings_at(music)

    def __call__(self, recording: Recording, *, seed: int) -> tuple[Recording, Delay]:
        """A preprocessed recording with its latency taken out, and what that was.

        Raises
        ------
        InputError
            If fewer than 8 of its events name a stimulus.
        """
        windows = beginning_windows(recording)
        if len(windows) < FEWEST:
            raise InputError(
                f"{len(windows)} events of {recording.key} say where a stimulus begins",
                allowed=f"{FEWEST} or more, each {LEAD_S:g} s after the recording begins or later",
                remedy="set listening.latency to unknown",
            )
        decoded = self._pipeline.encode(windows).curves.float().cpu().numpy()
        delay = estimate_delay(decoded, self._templates, seed=seed)
        return replace(recording, signal_v=advanced(recording.signal_v, delay.seconds, EEG_RATE_HZ)), delay


def beginnings_at(music: FloatArray) -> NDArray[np.float64]:
    """How songs begin on average, (delay, stem, curve, frame) for the delays of GRID_S; silence comes before.

    Frames are those compared (COMPARED_S) of a window that begins LEAD_S before the song does, and the song is late by
    the delay. Delays that differ by whole frames have the same curves, some frames apart.
    """
    first, last = _compared()
    length = round((last + MOST_FRAMES + 2) / CURVE_RATE_HZ * SAMPLE_RATE_HZ)
    found = {}
    for tenth in range(PER_FRAME):
        start = round((LEAD_S + tenth / (PER_FRAME * CURVE_RATE_HZ)) * SAMPLE_RATE_HZ)
        each = []
        # One by one: all at once would be hundreds of megabytes.
        for song in music:
            late = np.zeros((len(song), length), dtype=np.float32)
            late[:, start:] = song[:, : length - start]
            each.append(control_curves_numpy(late)[:, :CURVES_USED])
        mean = np.mean(each, axis=0)
        for frames in range(-MOST_FRAMES, MOST_FRAMES + 1):
            found[frames * PER_FRAME + tenth] = mean[..., first - frames : last - frames]
    middle = len(GRID_S) // 2
    return np.array([found[place - middle] for place in range(len(GRID_S))], dtype=np.float64)


def _compared() -> tuple[int, int]:
    """First and last frame (exclusive) of the window that are compared."""
    first, last = (round(second * CURVE_RATE_HZ) for second in COMPARED_S)
    return first, last


def beginning_windows(recording: Recording) -> list[Window]:
    """The window around each event that names a stimulus, as far as it lies within the recording."""
    length = round(WINDOW_S * EEG_RATE_HZ)
    found = []
    for event in recording.events:
        first = round((event.onset_s - LEAD_S) * EEG_RATE_HZ)
        if not event.stimulus or first < 0 or first + length > recording.signal_v.shape[1]:
            continue
        found.append(cut_window(recording, first, length))
    return found


def estimate_delay(decoded: FloatArray, templates: NDArray[np.float64], *, seed: int) -> Delay:
    """The delay at which the average of the decoded beginnings correlates best with how songs begin.

    The estimate is the mean over resampled beginnings (bagging), shrunk by its variance against that of the prior, so
    that of noise alone it is near 0. A mean of more than three standard deviations of the prior is no latency but
    something that drifts, and nothing is taken out.

    Parameters
    ----------
    decoded : (beginning, stem, curve, frame) at 32 Hz, onset strength and loudness first
    templates : (delay, stem, curve, frame), of `beginnings_at`
    """
    first, last = _compared()
    trials = _standardised(decoded[:, :, :CURVES_USED, first:last], scale=False)
    wanted = _standardised(templates)
    count = len(trials)
    rng = numpy_rng(seed, "latency")
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES) / count
    means = np.tensordot(drawn, trials, axes=1)
    norms = np.sqrt((means**2).sum(axis=-1, keepdims=True))
    alike = np.einsum("rscf,dscf->rd", means / np.maximum(norms, 1e-12), wanted)
    best = np.array([_peak(row) for row in alike])
    error = float(best.std(ddof=1))
    mean = float(best.mean())
    shrunk = mean * PRIOR_S**2 / (PRIOR_S**2 + error**2) if abs(mean) <= 3.0 * PRIOR_S else 0.0
    return Delay(shrunk, error, count)


def advanced(signal: FloatArray, by_s: float, rate_hz: float) -> FloatArray:
    """A recording (channel, time) that comes earlier by a part of a sample or by several; what runs out is 0.

    Band-limited interpolation: the phases of the whole spectrum are turned.
    """
    samples = signal.shape[-1]
    # So much silence that nothing comes round at the ends.
    size = next_fast_len(samples + round(rate_hz), real=True)
    turn = np.exp(2j * np.pi * rfftfreq(size, 1.0 / rate_hz) * by_s)
    moved = irfft(rfft(signal.astype(np.float64), size) * turn, size)[..., :samples]
    return np.asarray(moved, dtype=np.float32)


def _standardised(curves: NDArray[np.floating], *, scale: bool = True) -> NDArray[np.float64]:
    centred = np.asarray(curves, dtype=np.float64) - curves.mean(axis=-1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    return centred / np.maximum(norms, 1e-12) if scale else centred


def _peak(alike: NDArray[np.float64]) -> float:
    """Where a row over GRID_S is highest, between its places by a parabola."""
    place = int(alike.argmax())
    if not 0 < place < len(alike) - 1:
        return float(GRID_S[place])
    before, at, after = alike[place - 1 : place + 2]
    bend = before - 2.0 * at + after
    moved = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(GRID_S[place] + moved * (GRID_S[1] - GRID_S[0]))
