"""What a listener's cortex follows in each stem: envelope, onset flux, pitch, brightness.

Computed at 240 Hz from the stem's audio and, where there are annotations, its notes. Offsets and
scales are fixed for each stem and feature, never fitted to a song, so that how loud, how high and
how bright a passage is can be read off the response. Never models the brain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eeg2music.audio import mel_filters
from eeg2music.errors import InputError
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, FloatArray

FEATURE_RATE_HZ = 240
HOP = SAMPLE_RATE_HZ // FEATURE_RATE_HZ
FFT = 1024
LONG_FFT = 4096
FLUX_LAG = 3
LOW_HZ, HIGH_HZ = 40.0, 8000.0
# Power law of loudness on the amplitude envelope (Biesmans et al. 2017, doi:10.1109/TNSRE.2016.2571900).
COMPRESSION = 0.6
# Below this root-mean-square a stem counts as silent: it has neither pitch nor brightness.
SILENCE_RMS = 10.0 ** (-50.0 / 20.0)

# MIDI pitch and log2 brightness (octaves above 60 Hz) at which a stem gives no response of that
# kind; higher and lower give responses of opposite sign. Drums have a resonance instead of a pitch.
PITCH_CENTRE = {"drums": 52.0, "bass": 40.0, "harmony": 59.0, "melody": 70.0}
BRIGHTNESS_CENTRE = {"drums": 3.3, "bass": 1.2, "harmony": 3.0, "melody": 3.8}
# Divides each feature so that its response has about unit deviation (1-12 Hz), by stem: root mean
# square over 48 composed songs of all styles that no data set uses.
SCALE: dict[str, tuple[float, float, float, float]] = {
    "drums": (0.21, 0.40, 2.8, 2.9),
    "bass": (0.13, 0.20, 0.53, 0.65),
    "harmony": (0.10, 0.21, 0.59, 0.64),
    "melody": (0.11, 0.19, 0.70, 0.63),
}

Notes = Mapping[str, Sequence[Sequence[float]]]


def extract_features(stems: FloatArray, notes: Notes | None = None) -> FloatArray:
    """Features of the four stems of one piece.

    Parameters
    ----------
    stems : (stem, samples) at 24 kHz, in the order of `STEMS`
    notes : stem -> rows of (onset_s, duration_s, midi_pitch, velocity). Without them, and for the
        drums always, the frequency of the strongest spectral peak stands in for the pitch.

    Returns
    -------
    (stem, feature, frame) float32 at 240 Hz, features as in `FEATURES`, frame f at f / 240 s.

    Raises
    ------
    InputError
        If the stems are not four or not finite.
    """
    stems = np.asarray(stems, dtype=np.float32)
    if stems.ndim != 2 or stems.shape[0] != len(STEMS):
        raise InputError(f"Stems have the shape {stems.shape}", allowed=f"({len(STEMS)}, samples): {', '.join(STEMS)}")
    if not np.isfinite(stems).all():
        raise InputError("Stems hold samples that are not finite", remedy="render or export them again")
    rows = [_stem_features(name, audio, notes) for name, audio in zip(STEMS, stems, strict=True)]
    return np.stack(rows).astype(np.float32)


def raw_features(name: str, audio: FloatArray, notes: Notes | None = None) -> NDArray[np.float64]:
    """Features of one stem before scaling, (feature, frame): for measuring the constants above."""
    frames = max(1, audio.shape[-1] // HOP)
    power = _power(audio, FFT, HOP, frames)
    rms = np.sqrt(power.sum(axis=1) / (FFT * _window_energy(FFT)) * 2.0)
    sounding = np.clip((rms - SILENCE_RMS) / (3.0 * SILENCE_RMS), 0.0, 1.0)
    freqs = np.fft.rfftfreq(FFT, 1.0 / SAMPLE_RATE_HZ)
    centroid = (power @ freqs) / np.maximum(power.sum(axis=1), 1e-12)
    brightness = np.log2(np.clip(centroid, 60.0, HIGH_HZ) / 60.0) - BRIGHTNESS_CENTRE[name]
    if notes is not None and name != "drums":
        pitch = _annotated_pitch(notes.get(name, ()), frames)
    elif name == "drums":
        pitch = _peak_pitch(power, freqs)
    else:
        pitch = _long_peak_pitch(audio, frames)
    # A rest is no pitch, neither high nor low: the response starts from zero at every note.
    pitch = np.nan_to_num(pitch - PITCH_CENTRE[name], nan=0.0) / 12.0
    return np.stack([rms**COMPRESSION, _onset_flux(power), pitch * sounding, brightness * sounding])


def _stem_features(name: str, audio: FloatArray, notes: Notes | None) -> NDArray[np.float64]:
    return raw_features(name, audio, notes) / np.asarray(SCALE[name])[:, None]


def _window_energy(fft: int) -> float:
    return float(np.square(np.hanning(fft)).sum())


def _power(audio: FloatArray, fft: int, hop: int, frames: int) -> NDArray[np.float64]:
    """(frame, bin) power spectra of Hann windows centred on frame * hop."""
    from scipy.fft import rfft

    padded = np.pad(audio, (fft // 2, fft // 2 + hop))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, fft)[: frames * hop : hop][:frames]
    spectrum = rfft(pieces * np.hanning(fft).astype(np.float32), axis=1)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float64)


def _onset_flux(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half-wave rectified log-mel flux over 12.5 ms (Boeck & Widmer 2013, eq. 2, without vibrato suppression)."""
    filters = mel_filters(FFT, SAMPLE_RATE_HZ, 30, LOW_HZ, 11_000.0).astype(np.float32)
    mel = np.log1p(1000.0 * np.sqrt(power @ filters) / FFT * 4.0)
    past = np.concatenate([np.zeros((FLUX_LAG, mel.shape[1])), mel[:-FLUX_LAG]])[: len(mel)]
    return np.maximum(mel - past, 0.0).mean(axis=1)


def _annotated_pitch(notes: Sequence[Sequence[float]], frames: int) -> NDArray[np.float64]:
    """Mean MIDI pitch of the notes that sound in each frame, NaN in rests."""
    total, count = np.zeros(frames), np.zeros(frames)
    for onset_s, duration_s, pitch, *_ in notes:
        first = max(0, round(onset_s * FEATURE_RATE_HZ))
        last = min(frames, max(first + 1, round((onset_s + duration_s) * FEATURE_RATE_HZ)))
        total[first:last] += pitch
        count[first:last] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _peak_pitch(power: NDArray[np.float64], freqs: NDArray[np.floating]) -> NDArray[np.float64]:
    """MIDI number of the strongest spectral peak between 40 Hz and 8 kHz."""
    inside = np.flatnonzero((freqs >= LOW_HZ) & (freqs <= HIGH_HZ))
    peak = freqs[inside[np.argmax(power[:, inside], axis=1)]]
    return 69.0 + 12.0 * np.log2(peak / 440.0)


def _long_peak_pitch(audio: FloatArray, frames: int) -> NDArray[np.float64]:
    """The same from windows of 171 ms up to 2 kHz, at 60 Hz, held between them."""
    coarse = 4
    power = _power(audio, LONG_FFT, HOP * coarse, -(-frames // coarse))
    freqs = np.fft.rfftfreq(LONG_FFT, 1.0 / SAMPLE_RATE_HZ)
    keep = freqs <= 2000.0
    return np.repeat(_peak_pitch(power[:, keep], freqs[keep]), coarse)[:frames]
