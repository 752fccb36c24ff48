"""Reading, writing and resampling of audio.

One place for file formats and rates; it never changes loudness.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.files import atomic_path
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

EDGE_S = 0.005


def read_audio(
    path: str | os.PathLike[str],
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> FloatArray:
    """Read a stretch of a sound file as mono.

    Returns
    -------
    (samples,) float32 at `sample_rate_hz`. Zero-padded at the end if the file is shorter
    than start + duration.

    Raises
    ------
    InputError
        If the file is missing, not audio, or not finite.
    """
    file = Path(path)
    # A rounding error before the first sample is the first sample.
    if start_s < -0.5 / sample_rate_hz or (duration_s is not None and duration_s < 0):
        raise InputError(f"start = {start_s} s, duration = {duration_s} s", allowed="0 or more")
    with _opened(file) as handle:
        rate = handle.samplerate
        handle.seek(min(max(0, round(start_s * rate)), handle.frames))
        count = -1 if duration_s is None else round(duration_s * rate)
        data = handle.read(count, dtype="float32", always_2d=True)
    mono = np.asarray(data.mean(axis=1), dtype=np.float32)
    if not np.isfinite(mono).all():
        raise InputError(f"{file} holds samples that are not finite", remedy="export the audio again")
    mono = resample(mono, rate, sample_rate_hz)
    if duration_s is not None:
        wanted = round(duration_s * sample_rate_hz)
        mono = np.pad(mono[:wanted], (0, max(0, wanted - mono.size)))
    return mono


def audio_duration_s(path: str | os.PathLike[str]) -> float:
    """How long a sound file is, from its header.

    Raises
    ------
    InputError
        If the file is missing or not audio.
    """
    with _opened(Path(path)) as handle:
        return float(handle.frames / handle.samplerate)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    import soundfile

    if not file.is_file():
        raise InputError(f"No audio file at {file}", allowed="an existing sound file", remedy="check the path")
    try:
        with soundfile.SoundFile(file) as handle:
            yield handle
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{file} is not an audio file that can be read ({error})", allowed="WAV, FLAC, OGG or MP3"
        ) from error


def write_audio(path: str | os.PathLike[str], audio: FloatArray, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write (samples,) or (channel, samples) as 16-bit PCM WAV (or what the suffix says), atomically.

    Values outside [-1, 1] are clipped.

    Raises
    ------
    InputError
        If the audio is not finite.
    """
    import soundfile

    if not np.isfinite(audio).all():
        raise InputError(f"The audio for {Path(path).name} holds samples that are not finite")
    data = np.clip(np.asarray(audio, dtype=np.float32).T, -1.0, 1.0)
    container = Path(path).suffix.lstrip(".").upper()
    subtype = "PCM_16" if soundfile.check_format(container, "PCM_16") else None
    with atomic_path(path) as temporary:
        soundfile.write(temporary, data, sample_rate_hz, subtype=subtype)


def fade_edges(audio: FloatArray, seconds: float = EDGE_S) -> FloatArray:
    """(…, samples) at 24 kHz with raised-cosine fades at both ends, so that a cut through a sound does not click."""
    count = min(round(seconds * SAMPLE_RATE_HZ), audio.shape[-1] // 2)
    rise = np.float32(0.5) - np.float32(0.5) * np.cos(
        np.pi * (np.arange(count, dtype=np.float32) + 0.5) / max(count, 1)
    )
    faded = np.array(audio, dtype=np.float32)
    faded[..., :count] *= rise
    faded[..., faded.shape[-1] - count :] *= rise[::-1]
    return faded


def resample(audio: FloatArray, from_hz: float, to_hz: float) -> FloatArray:
    """Resample along the last axis with soxr (high quality). (…, samples) float32."""
    if from_hz == to_hz:
        return np.asarray(audio, dtype=np.float32)
    import soxr

    array = np.asarray(audio, dtype=np.float32)
    flat = array.reshape(-1, array.shape[-1]).T
    out = soxr.resample(np.ascontiguousarray(flat), from_hz, to_hz, quality="HQ")
    return np.ascontiguousarray(out.T.reshape(*array.shape[:-1], -1), dtype=np.float32)


@functools.lru_cache(maxsize=16)
def mel_filters(fft: int, sample_rate_hz: int, bands: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Triangular filters evenly spaced on the HTK mel scale (O'Shaughnessy 1987), each summing to one.

    Returns
    -------
    (fft // 2 + 1, bands), not to be written to. Multiply spectra by it.
    """

    def to_mel(hz: float) -> float:
        return float(2595.0 * np.log10(1.0 + hz / 700.0))

    edges = 700.0 * (10.0 ** (np.linspace(to_mel(low_hz), to_mel(high_hz), bands + 2) / 2595.0) - 1.0)
    freqs = np.fft.rfftfreq(fft, 1.0 / sample_rate_hz)
    rising = (freqs[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - freqs[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    # A low band may be narrower than the bins are apart: it takes the nearest one.
    for band in np.flatnonzero(triangles.sum(0) == 0.0):
        triangles[np.argmin(np.abs(freqs - edges[band + 1])), band] = 1.0
    filters: NDArray[np.float64] = triangles / triangles.sum(0)
    filters.setflags(write=False)
    return filters
