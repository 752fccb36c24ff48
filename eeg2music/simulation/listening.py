"""A listener hears stems, and electrodes record it.

    features of each stem -> response functions -> dipoles of one region each -> electrodes + noise

Each step is a function of its own, so that the source of one region can be exchanged before the
lead fields are applied. The signal-to-noise ratio is exact: variance of the stimulus-driven part
over that of everything else, both in 1-12 Hz while music plays, each averaged over channels.
Never reads or writes files and never decides what is played when.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import ConfigError, InputError
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.artefacts import MICROVOLT, NoiseTraits, draw_traits, make_noise
from eeg2music.simulation.features import FEATURE_RATE_HZ
from eeg2music.simulation.head import DIPOLES_PER_REGION, MONTAGES, Head, make_head
from eeg2music.simulation.responses import FEATURES, kernels, respond
from eeg2music.types import REGIONS, STEMS, FloatArray

SNR_BAND_HZ = (1.0, 12.0)
MAX_ROTATION_DEG = 5.0
MAX_LATENCY_S = 0.030
Crosstalk = float | Sequence[Sequence[float]]

# Orthogonal and of equal size: no feature owns the strongest pattern of a region.
_HADAMARD = 0.5 * np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])


@dataclass(frozen=True)
class Listener:
    """One simulated person under one cap. Everything derives from `subject_id`.

    Attributes
    ----------
    rotation_deg : how the cap is turned against the brain, about three axes
    latency_s : added to every response
    feature_gain : (region, feature) relative strength of each response
    channel_gain : (channel,) of electrode and amplifier
    crosstalk : (region, stem) share of each stem's drive that reaches each region
    """

    subject_id: str
    montage: str
    rotation_deg: tuple[float, float, float]
    latency_s: float
    feature_gain: NDArray[np.float64]
    channel_gain: NDArray[np.float64]
    crosstalk: NDArray[np.float64]
    response_family: str
    noise: NoiseTraits

    @property
    def head(self) -> Head:
        return make_head(self.montage, self.rotation_deg)


def draw_listener(
    subject_id: str,
    *,
    montage: str = "eeg64",
    response_family: str = "default",
    crosstalk: Crosstalk = 0.1,
    line_hz: float = 50.0,
) -> Listener:
    """The listener of that name: same name, same head, whatever the montage.

    Raises
    ------
    ConfigError
        If the montage or the cross-talk does not exist or does not fit.
    """
    if montage not in MONTAGES:
        raise ConfigError(
            f"No simulated montage named {montage!r}", allowed=", ".join(MONTAGES), remedy="take one of these"
        )
    rng = numpy_rng(0, "listener", subject_id)
    rotation = rng.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG, 3)
    gains = [float(numpy_rng(0, "channel gain", subject_id, name).standard_normal()) for name in MONTAGES[montage]]
    return Listener(
        subject_id=subject_id,
        montage=montage,
        rotation_deg=(float(rotation[0]), float(rotation[1]), float(rotation[2])),
        latency_s=float(rng.uniform(-MAX_LATENCY_S, MAX_LATENCY_S)),
        feature_gain=np.exp(rng.uniform(-0.25, 0.25, (len(REGIONS), len(FEATURES)))),
        channel_gain=np.exp(0.1 * np.clip(gains, -2.5, 2.5)),
        crosstalk=crosstalk_matrix(crosstalk),
        response_family=response_family,
        noise=draw_traits(rng, line_hz),
    )


def crosstalk_matrix(crosstalk: Crosstalk) -> NDArray[np.float64]:
    """(region, stem): one on the diagonal and `crosstalk` elsewhere, or the matrix itself.

    Raises
    ------
    ConfigError
        If it is not a number in [0, 1] or a finite matrix of that shape.
    """
    allowed = f"a number from 0 to 1, or a {len(REGIONS)} x {len(STEMS)} matrix"
    if isinstance(crosstalk, int | float):
        if not 0.0 <= crosstalk <= 1.0:
            raise ConfigError(f"crosstalk = {crosstalk!r} does not fit", allowed=allowed, remedy="correct it")
        return np.full((len(REGIONS), len(STEMS)), float(crosstalk)) + (1.0 - crosstalk) * np.eye(len(REGIONS))
    matrix = np.asarray(crosstalk, dtype=np.float64)
    if matrix.shape != (len(REGIONS), len(STEMS)) or not np.isfinite(matrix).all():
        raise ConfigError(f"crosstalk of shape {matrix.shape} does not fit", allowed=allowed, remedy="correct it")
    return matrix


@functools.lru_cache(maxsize=1)
def feature_moments() -> NDArray[np.float64]:
    """How each feature is shared among the dipoles of a region: (region, feature, dipole), ampere-metres.

    Chosen on the nominal head so that, within a region, the four features have orthogonal patterns
    on the scalp, each of one microvolt root-mean-square over channels for a unit response.
    """
    lead = make_head().regions
    rows = []
    for region in range(len(REGIONS)):
        _, singular, right = np.linalg.svd(lead[:, region], full_matrices=False)
        # The sign of a singular vector is the library's whim; fix it, or brains differ between machines.
        flip = np.sign(right[np.arange(len(right)), np.argmax(np.abs(right), axis=1)])
        right = right * flip[:, None]
        count = len(FEATURES)
        moments = (_HADAMARD @ (right[:count] / singular[:count, None])) * np.sqrt(lead.shape[0])
        rows.append(moments * MICROVOLT)
    return np.stack(rows)


def stem_responses(features: FloatArray, listener: Listener) -> FloatArray:
    """What each stem evokes before it reaches a region.

    Parameters
    ----------
    features : (stem, feature, frame) at 240 Hz from `extract_features`

    Returns
    -------
    (stem, feature, frame + tail) at 240 Hz, about unit deviation
    """
    taps = kernels(listener.response_family, FEATURE_RATE_HZ, listener.latency_s)
    return respond(features, taps)


def source_responses(features: FloatArray, listener: Listener, sfreq_hz: float) -> FloatArray:
    """The activity of every region's dipoles while one piece is heard.

    Returns
    -------
    (region, dipole, time) float32 at `sfreq_hz`, ampere-metres; outlasts the piece by 0.45 s.
    """
    responses = stem_responses(features, listener)
    drive = np.einsum("rs,sft->rft", listener.crosstalk, responses) * listener.feature_gain[..., None]
    sources = np.einsum("rfd,rft->rdt", feature_moments(), drive)
    frames = sources.shape[-1]
    times = np.arange(int((frames - 1) / FEATURE_RATE_HZ * sfreq_hz) + 1) / sfreq_hz * FEATURE_RATE_HZ
    left = np.minimum(times.astype(np.int64), frames - 2)
    share = times - left
    return np.asarray(sources[..., left] * (1.0 - share) + sources[..., left + 1] * share, dtype=np.float32)


def project(sources: FloatArray, listener: Listener) -> FloatArray:
    """(region, dipole, time) ampere-metres -> (channel, time) volts, average reference. Linear."""
    if sources.shape[:2] != (len(REGIONS), DIPOLES_PER_REGION):
        raise InputError(
            f"Sources have the shape {sources.shape}", allowed=f"({len(REGIONS)}, {DIPOLES_PER_REGION}, time)"
        )
    lead = listener.head.regions.reshape(len(listener.channel_gain), -1)
    return _as_recorded((lead.astype(np.float32) @ sources.reshape(lead.shape[1], -1)), listener)


def record_noise(listener: Listener, samples: int, sfreq_hz: float, seed: int, *ids: str | int) -> FloatArray:
    """(channel, time) volts of everything but the music, average reference."""
    noise = make_noise(listener.head, listener.noise, samples, sfreq_hz, seed, listener.subject_id, *ids)
    return _as_recorded(noise, listener)


def simulate_eeg(
    sources: FloatArray,
    listener: Listener,
    *,
    sfreq_hz: float,
    snr_db: float | NDArray[np.floating],
    seed: int,
    ids: Sequence[str | int] = (),
    heard: NDArray[np.bool_] | None = None,
    reference: FloatArray | None = None,
) -> FloatArray:
    """Sources to a noisy recording at a given signal-to-noise ratio.

    Parameters
    ----------
    sources : (region, dipole, time) ampere-metres
    snr_db : one figure, or one per sample (trials of different difficulty in one recording)
    heard : (time,) bool, where music plays; the ratio is defined there. Default: everywhere
    reference : sources that define the strength in place of `sources`, so that exchanging the
        source of one region changes nothing else

    Returns
    -------
    (channel, time) float32, volts
    """
    eeg = record_noise(listener, sources.shape[-1], sfreq_hz, seed, *ids)
    signal = project(sources, listener)
    measured = signal if reference is None else project(reference, listener)
    gain = snr_gain(measured, eeg, sfreq_hz, heard) * 10.0 ** (np.asarray(snr_db, dtype=np.float64) / 20.0)
    signal *= np.asarray(gain, dtype=np.float32)
    eeg += signal
    return eeg


def snr_gain(signal: FloatArray, noise: FloatArray, sfreq_hz: float, heard: NDArray[np.bool_] | None = None) -> float:
    """What to multiply the signal by for 0 dB."""
    power = band_variance(signal, sfreq_hz, heard).mean()
    if power <= 0.0:
        return 0.0
    return float(np.sqrt(band_variance(noise, sfreq_hz, heard).mean() / power))


def band_variance(values: FloatArray, sfreq_hz: float, heard: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """(channel, time) -> (channel,) variance in 1-12 Hz where `heard` (fourth-order Butterworth, both ways)."""
    from scipy.signal import butter, sosfiltfilt

    sos = butter(4, SNR_BAND_HZ, btype="bandpass", fs=sfreq_hz, output="sos")
    variance = np.empty(len(values))
    for index, row in enumerate(values):
        filtered = sosfiltfilt(sos, row, padlen=min(row.size - 1, round(3.0 * sfreq_hz)))
        variance[index] = np.var(filtered if heard is None else filtered[heard])
    return variance


def _as_recorded(values: FloatArray, listener: Listener) -> FloatArray:
    """Channel gains, then average reference."""
    values = values * listener.channel_gain[:, None].astype(np.float32)
    values -= values.mean(axis=0)
    return np.asarray(values, dtype=np.float32)
