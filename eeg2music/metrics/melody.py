"""Does one tune go up and down where the other does?

Contours of monophonic tracks: the fundamental frequency of each frame, 0 where there is none. `f0_track` reads it off
audio (YIN, de Cheveigné and Kawahara 2002), for a single voice only: a chord has no one pitch. Octaves and keys do
not count, the shape does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy import fft

from eeg2music.errors import InputError
from eeg2music.metrics.audio import correlation
from eeg2music.metrics.checks import Float64, finite, same_shape
from eeg2music.types import SAMPLE_RATE_HZ

LOWEST_HZ = 60.0
HIGHEST_HZ = 1000.0
# The paper's absolute threshold on the aperiodic share of the power (its step 4).
APERIODIC = 0.1
SILENCE = 1e-4
LEAST_FRAMES = 4
# A step smaller than this is a held note, in semitones.
HELD = 0.5
BLOCK_FRAMES = 64


class Contour(NamedTuple):
    """Likeness of two pitch contours over the frames in which both have a pitch.

    correlation : [-1, 1] Pearson of the pitches in semitones; 0 where one of them holds one note throughout
    direction : [0, 1] share of steps that go the same way (up, down or held)
    frames : in which both have a pitch
    share : of the reference's pitched frames that have a pitch in the estimate too
    """

    correlation: float
    direction: float
    frames: int
    share: float


def f0_track(
    audio: ArrayLike,
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    rate_hz: float = 50.0,
    low_hz: float = LOWEST_HZ,
    high_hz: float = HIGHEST_HZ,
) -> Float64:
    """Fundamental frequency of a single voice by YIN, steps 1 to 5 (de Cheveigné and Kawahara 2002, eqs. 6 and 8).

    Parameters
    ----------
    audio : (samples,) one voice
    rate_hz : frames a second
    low_hz, high_hz : where the pitch is sought

    Returns
    -------
    (frame,) Hz, 0 where no period explains the sound or it is silent. Frame f looks at the 2 / low_hz seconds from
    f / rate_hz on.

    >>> tone = np.sin(2 * np.pi * 220.0 * np.arange(12000) / 24000)
    >>> round(float(np.median(f0_track(tone))), 1)
    220.0
    """
    samples = finite("audio", audio)
    if not 0.0 < low_hz < high_hz <= sample_rate_hz / 4:
        raise InputError(f"Pitches from {low_hz} to {high_hz} Hz", allowed=f"rising, up to {sample_rate_hz / 4:g} Hz")
    longest, shortest = int(np.ceil(sample_rate_hz / low_hz)), int(sample_rate_hz / high_hz)
    if samples.ndim != 1 or samples.size < 2 * longest + 2:
        raise InputError(f"audio of shape {samples.shape}", allowed=f"(samples,) with {2 * longest + 2} or more")
    pieces = sliding_window_view(samples, 2 * longest + 2)[:: round(sample_rate_hz / rate_hz)]
    blocks = [
        _yin(pieces[start : start + BLOCK_FRAMES], shortest, longest) for start in range(0, len(pieces), BLOCK_FRAMES)
    ]
    period = np.concatenate(blocks)
    return np.divide(sample_rate_hz, period, out=np.zeros(len(period)), where=period > 0.0)


def melody_contour(
    estimated_hz: ArrayLike, reference_hz: ArrayLike, *, rate_hz: float = 50.0, step_s: float = 0.25
) -> Contour:
    """Correlation and direction agreement of two pitch tracks, frame by frame.

    The pitch is taken in semitones, so that a transposition changes nothing. A step compares frames `step_s` apart
    that have a pitch in both tracks; below half a semitone it is held. Chance of `direction` depends on how often
    the tune moves: compare with another song's.

    Parameters
    ----------
    estimated_hz, reference_hz : (frame,) Hz, 0 where there is no pitch

    Returns
    -------
    Both measures 0 where fewer than 4 frames have a pitch in both.

    >>> tune = np.repeat([220.0, 330.0, 262.0, 440.0], 25)
    >>> found = melody_contour(2 * tune, tune)
    >>> round(found.correlation, 6), found.direction
    (1.0, 1.0)
    """
    ours, ref = finite("estimated_hz", estimated_hz), finite("reference_hz", reference_hz)
    same_shape("estimated_hz", ours, "reference_hz", ref)
    if ref.ndim != 1 or min(ours.min(), ref.min()) < 0.0:
        raise InputError(f"A pitch track of shape {ref.shape}", allowed="(frame,) Hz, none below 0")
    both = (ours > 0.0) & (ref > 0.0)
    frames, pitched = int(both.sum()), int((ref > 0.0).sum())
    share = frames / pitched if pitched else 0.0
    if frames < LEAST_FRAMES:
        return Contour(0.0, 0.0, frames, share)
    safe = [12.0 * np.log2(np.where(both, track, 1.0)) for track in (ours, ref)]
    step = max(1, round(step_s * rate_hz))
    usable = both[step:] & both[:-step]
    ways = [np.sign(np.where(np.abs(move) < HELD, 0.0, move)) for move in (s[step:] - s[:-step] for s in safe)]
    direction = float(np.mean(ways[0][usable] == ways[1][usable])) if usable.any() else 0.0
    return Contour(_held_is_zero(safe[0][both], safe[1][both]), direction, frames, share)


def _held_is_zero(x: Float64, y: Float64) -> float:
    """Pearson, 0 where one of the two never moves by more than a held note's wavering."""
    if min(np.ptp(x), np.ptp(y)) < HELD:
        return 0.0
    return float(correlation(x, y))


def _yin(pieces: Float64, shortest: int, longest: int) -> Float64:
    """Period in samples of each frame, 0 where there is none. (frame, 2 * longest + 2) -> (frame,)."""
    size = longest + 1
    length = int(fft.next_fast_len(pieces.shape[1] + size, real=True))
    spectrum = fft.rfft(pieces, length, axis=1)
    product = np.conj(np.asarray(fft.rfft(pieces[:, :size], length, axis=1))) * np.asarray(spectrum)
    cross = np.asarray(fft.irfft(product, length, axis=1))[:, : longest + 2]
    power = np.concatenate([np.zeros((len(pieces), 1)), np.cumsum(pieces**2, axis=1)], axis=1)
    lags = np.arange(longest + 2)
    energy = power[:, lags + size] - power[:, lags]
    difference = np.maximum(energy[:, :1] + energy - 2.0 * cross, 0.0)
    # Cumulative mean normalised difference, 1 at lag 0.
    running = np.cumsum(difference[:, 1:], axis=1)
    normal = np.ones_like(difference)
    normal[:, 1:] = np.divide(difference[:, 1:] * lags[1:], running, out=np.ones_like(running), where=running > 1e-12)
    loud = energy[:, 0] / size > SILENCE**2
    return np.where(loud, [_first_dip(row, shortest, longest) for row in normal], 0.0)


def _first_dip(normal: Float64, shortest: int, longest: int) -> float:
    """The first lag below the threshold, at the bottom of its dip, refined by a parabola; 0 if there is none."""
    below = np.flatnonzero(normal[shortest : longest + 1] < APERIODIC)
    if not below.size:
        return 0.0
    lag = int(below[0]) + shortest
    while lag < longest and normal[lag + 1] < normal[lag]:
        lag += 1
    left, middle, right = normal[lag - 1 : lag + 2]
    bend = left - 2.0 * middle + right
    return lag + (float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend > 1e-12 else 0.0)
