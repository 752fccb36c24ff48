"""From a raw recording to what the encoder takes: 64 Hz, 0.5–25 Hz, each channel of unit deviation.

Bridging of gaps and of what is marked bad, mains notch, zero-phase band-pass, average reference over the good channels,
robust scaling. A recording is treated by itself: nothing is learned from another one. Delays
nothing: sample k of the result is k/64 s into the recording.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import signal as dsp

from eeg2music.config import Config
from eeg2music.errors import InputError
from eeg2music.preprocess.gaps import bridge, find_gaps, marked_bad
from eeg2music.preprocess.quality import assess, is_constant, signal_notes
from eeg2music.types import EEG_RATE_HZ, FloatArray, Recording

ALGORITHM_VERSION = 1
MIN_GOOD_CHANNELS = 4
MIN_UNMARKED_S = 2.0
_MID_HZ = 2 * EEG_RATE_HZ
_LOWPASS_TAPS = 129
_SCALE_BLOCK_S = 2.0


class PreprocessConfig(Config):
    """How recordings are cleaned.

    Attributes
    ----------
    highpass_hz, lowpass_hz : pass band; half power at its edges
    line_freq_hz : mains frequency to notch; None finds it in the signal
    reference : "average" over good channels, or "none"
    clip_sigma : limit of the scaled signal, in robust deviations
    """

    highpass_hz: float = Field(default=0.5, gt=0.0, le=5.0)
    lowpass_hz: float = Field(default=25.0, ge=8.0, le=28.0)
    line_freq_hz: float | None = Field(default=None, ge=45.0, le=65.0)
    reference: Literal["average", "none"] = "average"
    clip_sigma: float = Field(default=10.0, gt=0.0)


def preprocess(recording: Recording, config: PreprocessConfig | None = None) -> Recording:
    """Clean a recording.

    Returns
    -------
    Recording
        At EEG_RATE_HZ; `signal_v` holds robust deviations instead of volts, zeros in bad channels;
        `bad_channels` says which and why; `notes` say what was done.

    Raises
    ------
    InputError
        If fewer than four good channels are left, nearly all is marked bad or holds no signal, or the recording is too
        short to filter.
    """
    config = config or PreprocessConfig()
    _check_signal(recording)
    bad = assess(recording)
    good = np.array([name not in bad for name in recording.channel_names])
    check_good_channels(bad, good)
    gaps = signal_gaps(recording, good)
    _check_signal(recording, gaps)
    lost = gaps | marked_bad(recording)
    whole = bridge(recording.signal_v[good], lost, copy=False)  # indexing has copied
    line = config.line_freq_hz or recording.line_freq_hz or detect_line(whole, recording.sfreq_hz)
    filtered = band_limit(whole, recording.sfreq_hz, config.highpass_hz, config.lowpass_hz, line)
    if config.reference == "average" and recording.kind != "meg":
        filtered -= filtered.mean(axis=0, keepdims=True)
    lost_64 = _at_rate(lost, recording.sfreq_hz, filtered.shape[1])
    scaled = robust_scale(filtered, ~lost_64, clip=config.clip_sigma)
    out = np.zeros((len(good), scaled.shape[1]), dtype=np.float32)
    out[good] = scaled
    return recording.replace(
        signal_v=out,
        sfreq_hz=float(EEG_RATE_HZ),
        bad_channels=bad,
        line_freq_hz=line,
        notes=(*recording.notes, *signal_notes(recording, gaps)),
    )


def lacks_signal(recording: Recording, lost: NDArray[np.bool_] | None = None) -> str | None:
    """Why a recording is too little to decode, or None: less what is marked bad or lost, it has under two seconds.

    Of what is not marked, padding at the end of a recording of two seconds is forgiven: many short files have it.

    Parameters
    ----------
    lost : (time,) where its good channels hold no signal; None looks at the marks alone
    """
    marked = marked_bad(recording)
    if marked.any() and (left_s := np.count_nonzero(~marked) / recording.sfreq_hz) < MIN_UNMARKED_S:
        return f"all but {left_s:.2f} s of the recording are marked bad"
    left = np.count_nonzero(~(marked if lost is None else marked | lost))
    if left / recording.sfreq_hz >= MIN_UNMARKED_S or 2 * left >= marked.size:
        return None
    return (
        f"only {left / recording.sfreq_hz:.2f} s of {recording.duration_s:.2f} s hold a signal that is not marked bad"
    )


def signal_gaps(recording: Recording, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(time,) True where the good channels (channel,) hold no signal."""
    return find_gaps(recording.signal_v, recording.sfreq_hz, usable=good & ~is_constant(recording.signal_v))


def _check_signal(recording: Recording, lost: NDArray[np.bool_] | None = None) -> None:
    said = lacks_signal(recording, lost)
    if said is not None:
        raise InputError(
            said[0].upper() + said[1:],
            allowed=f"at least {MIN_UNMARKED_S:g} s of signal that is not marked bad",
            remedy="correct its annotations, use another recording, or take another stretch with --start and --stop",
        )


def channel_mask(recording: Recording) -> NDArray[np.bool_]:
    """(channel,) True for good channels."""
    return np.array([name not in recording.bad_channels for name in recording.channel_names])


def check_good_channels(bad: dict[str, str], good: NDArray[np.bool_]) -> None:
    """Refuse a recording with fewer than four good channels."""
    if good.sum() >= MIN_GOOD_CHANNELS:
        return
    few = len(good) < MIN_GOOD_CHANNELS
    reasons = sorted({why.split(" (")[0] for why in bad.values()})
    why = f"; bad: {len(bad)} ({', '.join(reasons[:4])})" if bad else ""
    raise InputError(
        f"The recording has {good.sum()} good channel(s) of {len(good)}{why}",
        allowed=f"at least {MIN_GOOD_CHANNELS} good channels",
        remedy="name more channels with --channels, or record from more electrodes"
        if few
        else "use another recording, or name the channels with --channels",
    )


def detect_line(signal: FloatArray, sfreq_hz: float) -> float | None:
    """50 or 60 Hz, whichever peak stands out of its surroundings by 6 dB in the median channel, or None.

    Only lines whose whole peak lies below half the sampling rate are looked for.
    """
    if sfreq_hz < 110:
        return None
    stretch = signal[:, : int(60 * sfreq_hz)]
    freqs, power = dsp.welch(stretch, sfreq_hz, nperseg=min(stretch.shape[1], int(2 * sfreq_hz)), axis=1)
    ratios = {}
    for line in (line for line in (50.0, 60.0) if line + 1 < sfreq_hz / 2):
        peak = power[:, np.abs(freqs - line) <= 1].max(axis=1)
        around = np.median(power[:, (np.abs(freqs - line) > 2) & (np.abs(freqs - line) <= 5)], axis=1)
        ratios[line] = float(np.median(peak / np.maximum(around, np.finfo(float).tiny)))
    best = max(ratios, key=lambda line: ratios[line])
    return best if ratios[best] > 4.0 else None


def band_limit(
    signal: FloatArray, sfreq_hz: float, highpass_hz: float, lowpass_hz: float, line_freq_hz: float | None
) -> NDArray[np.float64]:
    """(channel, time) -> (channel, time at EEG_RATE_HZ), band-passed without delay.

    Resampled to 128 Hz, notched, high-passed by a Butterworth filter run both ways, low-passed by a
    linear-phase FIR filter while the rate is halved. Edges are extended by reflection.
    """
    samples = max(1, round(signal.shape[1] * EEG_RATE_HZ / sfreq_hz))
    mid = detrend(resample(signal, sfreq_hz, _MID_HZ, 2 * samples).astype(np.float64))
    pad = min(mid.shape[1] - 1, 10 * _MID_HZ)
    if line_freq_hz is not None and line_freq_hz < 0.48 * _MID_HZ and sfreq_hz > 2 * line_freq_hz:
        b, a = dsp.iirnotch(line_freq_hz, 25.0, fs=_MID_HZ)
        mid = dsp.filtfilt(b, a, mid, axis=1, padlen=pad)
    # Run twice, so each pass has half the attenuation at the edge: half power after both.
    edge = highpass_hz / (2**0.5 - 1) ** -0.25
    sos = dsp.butter(2, edge, "highpass", fs=_MID_HZ, output="sos")
    mid = dsp.sosfiltfilt(sos, mid, axis=1, padtype="odd", padlen=pad)
    taps = dsp.firwin(_LOWPASS_TAPS, lowpass_hz, fs=_MID_HZ, window=("kaiser", 5.0))
    half = _LOWPASS_TAPS // 2
    extended = np.pad(mid, ((0, 0), (half, half)), mode="reflect", reflect_type="odd")
    return np.asarray(dsp.upfirdn(taps, extended, up=1, down=2, axis=1)[:, half : half + samples])


def resample(signal: FloatArray, from_hz: float, to_hz: float, samples: int) -> FloatArray:
    """(channel, time) at another rate, without delay, exactly `samples` long."""
    import soxr

    pad = _padding(signal.shape[1], from_hz, to_hz)
    first = round(pad * to_hz / from_hz)
    out = np.empty((signal.shape[0], samples), dtype=np.float32)
    for row, channel in enumerate(signal):
        # Centred first, so that an electrode's offset does not eat the precision of float32.
        extended = np.pad(channel - channel[0], pad, mode="reflect", reflect_type="odd")
        found = soxr.resample(extended, from_hz, to_hz, quality="HQ")[first : first + samples]
        out[row] = np.pad(found, (0, samples - found.size), mode="edge") if found.size < samples else found
    return out


def _padding(samples: int, from_hz: float, to_hz: float) -> int:
    """About a second, such that the true signal starts as exactly as possible on the new grid."""
    longest = samples - 1
    candidates = np.arange(min(longest, int(from_hz)), min(longest, int(2 * from_hz)) + 1)
    lead = candidates * to_hz / from_hz
    return int(candidates[np.argmin(np.round(np.abs(lead - np.round(lead)), 9))])


def detrend(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the median and a straight line off (channel, time)."""
    return np.asarray(dsp.detrend(signal - np.median(signal, axis=1, keepdims=True), axis=1))


def robust_scale(signal: NDArray[np.float64], use: NDArray[np.bool_], *, clip: float) -> FloatArray:
    """Centre (channel, time) by its median and divide by its robust deviation.

    The deviation is the median over blocks of 2 s of 1.4826 MAD, so that a noisy stretch, a pause or
    a burst does not decide the scale of the whole. `use` (time,) leaves out samples.
    """
    kept = signal[:, use] if use.any() else signal
    centre = np.median(kept, axis=1, keepdims=True)
    length = min(kept.shape[1], int(_SCALE_BLOCK_S * EEG_RATE_HZ))
    blocks = kept[:, : kept.shape[1] // length * length].reshape(kept.shape[0], -1, length)
    middle = np.median(blocks, axis=2, keepdims=True)
    deviation = np.median(1.4826 * np.median(np.abs(blocks - middle), axis=2), axis=1, keepdims=True)
    deviation = np.where(deviation > 0, deviation, np.inf)
    return np.clip((signal - centre) / deviation, -clip, clip).astype(np.float32)


def _at_rate(flags: NDArray[np.bool_], sfreq_hz: float, samples: int) -> NDArray[np.bool_]:
    index = np.minimum((np.arange(samples) * sfreq_hz / EEG_RATE_HZ).astype(int), flags.size - 1)
    return np.asarray(flags[index])
