"""From stems to electrodes: the ratio asked for, linearity, one region at a time, latency, determinism."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfreqz

from eeg2music.errors import ConfigError, InputError
from eeg2music.simulation import listening
from eeg2music.simulation.features import FEATURE_RATE_HZ, extract_features
from eeg2music.simulation.head import DIPOLES_PER_REGION, make_head
from eeg2music.simulation.listening import draw_listener, project, simulate_eeg, source_responses
from eeg2music.simulation.session import Stimulus, Trial, simulate_listener, stimulus_from_stems
from eeg2music.types import REGIONS, SAMPLE_RATE_HZ, STEMS

SFREQ = 128.0


def bursts(seed: int, seconds: float = 6.0) -> np.ndarray:
    """Four stems of noise bursts, each with a rhythm of its own."""
    rng = np.random.default_rng(seed)
    stems = np.zeros((4, round(seconds * SAMPLE_RATE_HZ)), dtype=np.float32)
    for stem in stems:
        for start in np.cumsum(rng.uniform(0.2, 0.6, 40)):
            first = round(start * SAMPLE_RATE_HZ)
            length = max(0, min(2400, stem.size - first))
            stem[first : first + length] = 0.2 * rng.uniform(0.3, 1) * rng.standard_normal(length)
    return stems


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return extract_features(bursts(0))


@pytest.fixture(scope="module")
def stimuli() -> list[Stimulus]:
    return [stimulus_from_stems(f"piece-{k}", bursts(k)) for k in range(3)]


def independent_variance(values: np.ndarray, heard: np.ndarray) -> float:
    """1-12 Hz another way: the squared Butterworth magnitude applied to the spectrum of the whole recording."""
    count = values.shape[1]
    freqs = np.fft.rfftfreq(count, 1.0 / SFREQ)
    _, response = sosfreqz(butter(4, (1.0, 12.0), "bandpass", fs=SFREQ, output="sos"), freqs, fs=SFREQ)
    filtered = np.fft.irfft(np.fft.rfft(values, axis=1) * np.abs(response) ** 2, count, axis=1)
    return float(filtered[:, heard].var(axis=1).mean())


@pytest.mark.parametrize("snr_db", [0.0, -12.5, 7.0])
def test_the_ratio_achieved_is_the_ratio_asked_for(features: np.ndarray, snr_db: float) -> None:
    listener = draw_listener("ratio")
    sources = np.tile(source_responses(features, listener, SFREQ), 5)
    heard = np.ones(sources.shape[-1], dtype=bool)
    heard[: round(2 * SFREQ)] = heard[-round(2 * SFREQ) :] = False
    whole = simulate_eeg(sources, listener, sfreq_hz=SFREQ, snr_db=snr_db, seed=3, heard=heard)
    silent = simulate_eeg(np.zeros_like(sources), listener, sfreq_hz=SFREQ, snr_db=snr_db, seed=3, heard=heard)
    achieved = 10 * np.log10(independent_variance(whole - silent, heard) / independent_variance(silent, heard))
    assert achieved == pytest.approx(snr_db, abs=0.3)


def test_projection_is_linear(features: np.ndarray) -> None:
    listener = draw_listener("linear")
    first = source_responses(features, listener, SFREQ)
    second = first[::-1].copy()
    together = project(2.0 * first - 3.0 * second, listener)
    apart = 2.0 * project(first, listener) - 3.0 * project(second, listener)
    assert np.allclose(together, apart, atol=1e-4 * np.abs(apart).max())


def test_average_reference(features: np.ndarray) -> None:
    listener = draw_listener("reference")
    sources = source_responses(features, listener, SFREQ)
    eeg = simulate_eeg(sources, listener, sfreq_hz=SFREQ, snr_db=0.0, seed=0)
    assert np.abs(eeg.mean(axis=0)).max() < 1e-10


@pytest.mark.parametrize("region", REGIONS)
def test_exchanging_one_source_changes_its_contribution_alone(stimuli: list[Stimulus], region: str) -> None:
    listener = draw_listener("exchange")
    index = REGIONS.index(region)
    trials, others = [Trial(stimuli[0], 1)], [stimuli[1]]
    plain = simulate_listener(listener, trials, sfreq_hz=SFREQ)
    changed = simulate_listener(listener, trials, sfreq_hz=SFREQ, exchange=(region, others))
    same = simulate_listener(listener, trials, sfreq_hz=SFREQ, exchange=(region, [stimuli[0]]))
    assert np.array_equal(plain.signal_v, same.signal_v)
    difference = (changed.signal_v - plain.signal_v).astype(np.float64)
    assert np.abs(difference).max() > 1e-7
    # The difference lies in the space that this region's dipoles span, and in no other.
    lead = listener.head.regions[:, index] * listener.channel_gain[:, None]
    lead = lead - lead.mean(axis=0)
    coefficients, *_ = np.linalg.lstsq(lead, difference, rcond=None)
    assert np.abs(difference - lead @ coefficients).max() < 1e-3 * np.abs(difference).max()


def test_without_crosstalk_each_stem_drives_one_region_and_with_it_all(features: np.ndarray) -> None:
    for crosstalk, share in ((0.0, 0.0), (0.1, 0.1)):
        listener = replace(draw_listener("cross", crosstalk=crosstalk), feature_gain=np.ones((4, 4)))
        for stem in range(len(STEMS)):
            alone = np.zeros_like(features)
            alone[stem] = features[stem]
            sources = source_responses(alone, listener, SFREQ)
            drive = [np.linalg.lstsq(listening.feature_moments()[r].T, sources[r], rcond=None)[0] for r in range(4)]
            sizes = np.array([np.linalg.norm(d) for d in drive])
            expected = np.full(4, share)
            expected[stem] = 1.0
            assert np.allclose(sizes / sizes[stem], expected, atol=1e-3)


def test_crosstalk_takes_a_matrix_and_refuses_nonsense() -> None:
    matrix = np.arange(16.0).reshape(4, 4) / 16
    assert np.array_equal(listening.crosstalk_matrix(matrix.tolist()), matrix)
    for bad in (-0.1, 1.5, [[1.0, 2.0]]):
        with pytest.raises(ConfigError, match="crosstalk"):
            listening.crosstalk_matrix(bad)


def test_features_have_orthogonal_patterns_of_one_microvolt() -> None:
    lead, moments = make_head().regions, listening.feature_moments()
    assert moments.shape == (4, 4, DIPOLES_PER_REGION)
    for region in range(4):
        patterns = lead[:, region] @ moments[region].T * 1e6
        assert np.allclose(patterns.T @ patterns / len(patterns), np.eye(4), atol=1e-6)


@pytest.mark.parametrize(("latency_s", "family"), [(-0.03, "default"), (0.03, "default"), (0.0, "late")])
def test_response_latency_shows_in_the_cross_correlation(features: np.ndarray, latency_s: float, family: str) -> None:
    """The N1 of the onset response, 110 ms plus the listener's shift, 150 ms in the late family."""
    listener = replace(
        draw_listener("latency", crosstalk=0.0, response_family=family),
        latency_s=latency_s,
        feature_gain=np.tile([0.0, 1.0, 0.0, 0.0], (4, 1)),
    )
    sources = source_responses(features, listener, float(FEATURE_RATE_HZ))
    drive = np.linalg.lstsq(listening.feature_moments()[0].T, sources[0], rcond=None)[0][1]
    onset = features[0, 1] - features[0, 1].mean()
    lags = np.arange(0, 100)
    course = [drive[lag : lag + onset.size - 100] @ onset[: onset.size - 100] for lag in lags]
    expected = 0.110 + latency_s + (0.040 if family == "late" else 0.0)
    assert lags[int(np.argmin(course))] / FEATURE_RATE_HZ == pytest.approx(expected, abs=0.010)


def test_everything_derives_from_names_and_seed(stimuli: list[Stimulus]) -> None:
    def recorded(subject: str, seed: int, run: int) -> np.ndarray:
        trials = [Trial(stimuli[0], 1)]
        return simulate_listener(draw_listener(subject), trials, sfreq_hz=SFREQ, seed=seed, run=run).signal_v

    base = recorded("a", 0, 1)
    assert np.array_equal(base, recorded("a", 0, 1))
    for other in (("b", 0, 1), ("a", 1, 1), ("a", 0, 2)):
        changed = recorded(*other)
        length = min(changed.shape[1], base.shape[1])
        assert not np.allclose(changed[:, :length], base[:, :length])


def test_listeners_differ_within_the_limits_and_keep_their_head_under_another_cap() -> None:
    listeners = [draw_listener(name) for name in "abcdefgh"]
    assert len({listener.rotation_deg for listener in listeners}) == 8
    assert max(abs(angle) for one in listeners for angle in one.rotation_deg) <= 5.0
    assert max(abs(one.latency_s) for one in listeners) <= 0.030
    assert np.ptp([one.latency_s for one in listeners]) > 0.01
    assert not np.allclose(listeners[0].channel_gain, listeners[1].channel_gain)
    few = draw_listener("a", montage="eeg32")
    assert few.rotation_deg == listeners[0].rotation_deg
    assert few.noise == listeners[0].noise
    names, gains = listeners[0].head.channel_names, listeners[0].channel_gain
    assert few.channel_gain[few.head.channel_names.index("Cz")] == gains[names.index("Cz")]


def test_a_run_is_laid_out_like_an_experiment(stimuli: list[Stimulus]) -> None:
    trials = [Trial(stimuli[k % 3], k + 1, 1 + k // 3, snr_db=float(-k)) for k in range(4)]
    recording = simulate_listener(draw_listener("layout"), trials, sfreq_hz=SFREQ)
    kinds = [event.kind for event in recording.events]
    assert kinds == ["run_start", *["pause", "music"] * 4, "run_end"]
    music = [event for event in recording.events if event.kind == "music"]
    assert [event.stimulus for event in music] == [f"piece-{k % 3}/mix.wav" for k in range(4)]
    assert [event.fields["repeat"] for event in music] == [1, 1, 1, 2]
    for event in music:
        assert (event.onset_s * SFREQ) % 1 == 0
        assert event.onset_s + event.duration_s + 1.5 < recording.duration_s + 1e-6
    gaps = [b.onset_s - a.onset_s - a.duration_s for a, b in itertools.pairwise(music)]
    assert all(1.49 < gap < 3.01 for gap in gaps)
    assert recording.signal_v.dtype == np.float32
    assert recording.positions_m.shape == (64, 3)


def test_trials_of_one_run_may_differ_in_difficulty(stimuli: list[Stimulus]) -> None:
    listener = draw_listener("mixed")
    easy = [Trial(stimuli[0], 1, snr_db=0.0), Trial(stimuli[1], 2, snr_db=0.0)]
    hard = [easy[0], replace(easy[1], snr_db=-200.0)]
    first, second = (simulate_listener(listener, trials, sfreq_hz=SFREQ) for trials in (easy, hard))
    onset = round([event.onset_s for event in first.events if event.kind == "music"][1] * SFREQ)
    assert np.array_equal(first.signal_v[:, :onset], second.signal_v[:, :onset])
    assert np.abs(first.signal_v[:, onset:] - second.signal_v[:, onset:]).max() > 1e-6


def test_silence_is_recorded_as_noise_alone() -> None:
    silence = stimulus_from_stems("silence", np.zeros((4, 48_000), dtype=np.float32), {})
    recording = simulate_listener(draw_listener("silence"), [Trial(silence, 1)], sfreq_hz=SFREQ)
    assert np.isfinite(recording.signal_v).all()


def test_bad_requests_are_named(stimuli: list[Stimulus]) -> None:
    listener = draw_listener("bad")
    with pytest.raises(InputError, match="without trials"):
        simulate_listener(listener, [])
    with pytest.raises(ConfigError, match="sfreq_hz = 20"):
        simulate_listener(listener, [Trial(stimuli[0], 1)], sfreq_hz=20)
    with pytest.raises(ConfigError, match="occipital"):
        simulate_listener(listener, [Trial(stimuli[0], 1)], exchange=("occipital", [stimuli[1]]))
    with pytest.raises(InputError, match="Sources have the shape"):
        project(np.zeros((2, 2, 2), dtype=np.float32), listener)
    with pytest.raises(ConfigError, match="Allowed: eeg64, eeg32"):
        draw_listener("bad", montage="eeg16")
