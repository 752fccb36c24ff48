"""The mixer as a whole: corrections measured from outside, and promises about level, place and silence."""

from __future__ import annotations

import json

import mixing_band as band
import numpy as np
import pyloudnorm
import pytest

from eeg2music.config import build_config
from eeg2music.errors import ConfigError, InputError
from eeg2music.metrics.audio import log_mel_distance
from eeg2music.mixing.loudness import true_peak_dbtp
from eeg2music.mixing.mixer import MixerConfig, mix, pan_gains, pan_position
from eeg2music.mixing.settings import of_our_stems
from eeg2music.seeding import numpy_rng
from eeg2music.types import REGIONS, STEMS


@pytest.fixture(scope="module")
def coherent() -> np.ndarray:
    return band.band(120.0, 0.0, seconds=6.0)


def lufs(stereo: np.ndarray) -> float:
    return float(pyloudnorm.Meter(band.RATE).integrated_loudness(stereo.T.astype(np.float64)))


@pytest.mark.parametrize(("bpm", "tonic"), [(120.0, 0), (97.0, 5), (84.0, 10)])
def test_stems_that_agree_are_bit_identical(bpm: float, tonic: int) -> None:
    stems = band.band(bpm, tonic)
    result = mix(stems, regions=REGIONS)
    np.testing.assert_array_equal(result.stems, stems)
    assert result.report["corrections"] == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_semitone_and_three_beats_per_minute_are_corrected(sign: int) -> None:
    """The melody plays a semitone and 3 BPM off; afterwards it equals the melody that never was."""
    right = band.band(120.0, 0.0)
    wrong = right.copy()
    wrong[3] = band.melody(120.0 + 3 * sign, float(sign))
    result = mix(wrong, regions=REGIONS)
    np.testing.assert_array_equal(result.stems[:3], right[:3])
    stem = result.report["stems"]["melody"]
    assert stem["transposed_semitones"] == pytest.approx(-sign, abs=0.05)
    assert stem["tempo_factor"] == pytest.approx(120 / (120 + 3 * sign), abs=2e-3)
    assert band.beat_period_s(result.stems[3], 0.5) == pytest.approx(0.5, rel=3e-3)
    # The second note of the tune is an A (9 above C5) at 880 Hz.
    second = result.stems[3][13_000:22_000]
    assert band.strongest_hz(second, 800, 960) == pytest.approx(880.0, rel=0.006)
    before, after = (float(log_mel_distance(x[3], right[3])) for x in (wrong, result.stems))
    assert after < 0.5 * before
    assert len(result.report["corrections"]) == 2


def test_drums_three_beats_per_minute_off_are_corrected(coherent: np.ndarray) -> None:
    wrong = coherent.copy()
    wrong[0] = band.drums(117.0, seconds=6.0)
    result = mix(wrong, regions=REGIONS)
    assert band.beat_period_s(result.stems[0], 0.5) == pytest.approx(0.5, rel=2e-3)
    assert "drums" in result.report["corrections"][0]


def test_corrections_can_be_switched_off(coherent: np.ndarray) -> None:
    wrong = coherent.copy()
    wrong[3] = band.melody(123.0, 1.0, seconds=6.0)
    result = mix(wrong, MixerConfig(transpose=False, stretch=False), regions=REGIONS)
    np.testing.assert_array_equal(result.stems, wrong)


@pytest.mark.parametrize("target", [-23.0, -16.0, -12.0])
def test_loudness_and_true_peak(coherent: np.ndarray, target: float) -> None:
    result = mix(coherent, MixerConfig(loudness_lufs=target), regions=REGIONS)
    assert lufs(result.stereo) == pytest.approx(target, abs=0.1)
    assert result.report["loudness_lufs"] == pytest.approx(lufs(result.stereo), abs=0.01)
    assert true_peak_dbtp(result.stereo) <= -1.0
    assert np.abs(result.stereo).max() < 10 ** (-1 / 20)


def test_regions_decide_left_and_right(coherent: np.ndarray) -> None:
    """One stem alone: its power left and right is that of its place; the sum of powers is always one."""
    expected = {"central": 0.0, "left_temporal": -0.6, "right_temporal": 0.6, "frontal": 0.0}
    for i, region in enumerate(REGIONS):
        alone = np.zeros_like(coherent[:, :48_000])
        alone[i] = coherent[i, :48_000]
        left, right = mix(alone, regions=REGIONS).stereo.astype(float)
        share = (right @ right) / (left @ left + right @ right)
        angle = (expected[region] + 1) * np.pi / 4
        assert share == pytest.approx(np.sin(angle) ** 2, abs=1e-3)


def test_pan_law() -> None:
    for position in np.linspace(-1, 1, 9):
        assert np.sum(pan_gains(position) ** 2) == pytest.approx(1.0)
    assert pan_position("left_temporal", MixerConfig(pan={"left_temporal": 1.0})) == 1.0
    assert pan_position("ctx-lh-insula", MixerConfig()) == -0.6
    assert pan_position("bright_area", MixerConfig()) == 0.0  # a word, not a part of one


def test_same_stems_same_bytes(coherent: np.ndarray) -> None:
    first, second = mix(coherent, regions=REGIONS), mix(coherent.copy(), regions=REGIONS)
    assert first.stereo.tobytes() == second.stereo.tobytes()
    assert first.report == second.report


def test_input_is_not_changed(coherent: np.ndarray) -> None:
    stems = coherent.copy()
    mix(stems, MixerConfig(max_sounding=1), regions=REGIONS)
    np.testing.assert_array_equal(stems, coherent)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_at_most_n_stems_sound_at_once(most: int) -> None:
    """Constant tones of known frequency: after the limit, no stretch of the mix holds more than N of them."""
    time = np.arange(240_000) / band.RATE
    hz = (300.0, 700.0, 1300.0, 2900.0)
    swell = [0.1 + 0.09 * np.sin(2 * np.pi * 0.2 * time + k) for k in range(4)]
    stems = np.stack([s * np.sin(2 * np.pi * f * time) for s, f in zip(swell, hz, strict=True)]).astype(np.float32)
    config = MixerConfig(max_sounding=most, balance=0.0, transpose=False, stretch=False)
    result = mix(stems, config, regions=REGIONS)
    mono = result.stereo.sum(0).reshape(-1, 1200)
    spectra = np.abs(np.fft.rfft(mono * np.hanning(1200), axis=1))
    levels = spectra[:, [round(f * 1200 / band.RATE) for f in hz]]
    sounding = (levels > 0.02 * levels.max()).sum(axis=1)
    # Fades of 0.1 s let one more through for two or three of these 50 ms stretches at each switch.
    switches = result.report["sounding"]["switches"]
    assert switches > 0
    assert (sounding > most).sum() <= 4 * switches
    assert np.median(sounding) == most
    assert np.abs(np.diff(result.stereo)).max() < 0.7  # no clicks
    assert "let through" in result.report["notes"][0]


def test_without_a_limit_nothing_fades(coherent: np.ndarray) -> None:
    free = mix(coherent, regions=REGIONS)
    assert free.report["sounding"]["switches"] == 0
    assert free.report["sounding"]["most_at_once"] == 4


def test_balance_brings_a_lost_stem_forward(coherent: np.ndarray) -> None:
    lost = coherent.copy()
    lost[3] *= 0.1
    report = mix(lost, regions=REGIONS).report["stems"]
    assert 3.0 < report["melody"]["gain_db"] <= 6.0
    kept = mix(lost, MixerConfig(balance=0.0), regions=REGIONS).report["stems"]
    assert all(row["gain_db"] == 0.0 for row in kept.values())
    by_hand = mix(lost, MixerConfig(balance=0.0, gain_db={"bass": -3.0}), regions=REGIONS).report["stems"]
    assert by_hand["bass"]["gain_db"] == -3.0


@pytest.mark.parametrize("samples", [1, 500, 4800, 48_000])
def test_silence_stays_silent_and_is_said(samples: int) -> None:
    result = mix(np.zeros((4, samples), np.float32), regions=REGIONS)
    assert not np.any(result.stereo)
    assert result.stereo.shape == (2, samples)
    assert result.report["notes"] == ["Silent: drums, bass, harmony, melody"]
    assert result.report["loudness_lufs"] == -70.0
    json.dumps(result.report, allow_nan=False)


def test_one_silent_stem_changes_nothing_for_the_others(coherent: np.ndarray) -> None:
    quiet = coherent.copy()
    quiet[1] = 0.0
    result = mix(quiet, regions=REGIONS)
    assert np.isfinite(result.stereo).all()
    assert lufs(result.stereo) == pytest.approx(-16.0, abs=0.1)
    assert result.report["stems"]["bass"]["silent"]
    assert result.report["stems"]["bass"]["key"] is None
    assert "Silent: bass" in result.report["notes"]


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.5, 1.7])
def test_short_clips(coherent: np.ndarray, seconds: float) -> None:
    result = mix(coherent[:, : round(seconds * band.RATE)], regions=REGIONS)
    assert np.isfinite(result.stereo).all()
    assert true_peak_dbtp(result.stereo) <= -1.0
    if seconds > 0.4:
        assert lufs(result.stereo) == pytest.approx(-16.0, abs=0.1)


def test_another_number_of_stems_and_regions(coherent: np.ndarray) -> None:
    result = mix(coherent[:2], regions=("left_occipital", "cerebellum"))
    assert list(result.report["stems"]) == ["left_occipital", "cerebellum"]
    assert result.report["stems"]["left_occipital"]["pan"] == -0.6


def test_report_is_complete_and_in_json(coherent: np.ndarray) -> None:
    report = mix(coherent, regions=REGIONS).report
    json.dumps(report, allow_nan=False)
    assert tuple(report["stems"]) == STEMS
    assert report["key"] == "C major"
    assert report["tempo_bpm"] == pytest.approx(120.0, rel=0.01)
    for row in report["stems"].values():
        assert {"key", "key_confidence", "tempo_bpm", "tempo_confidence", "gain_db", "pan", "region"} <= set(row)


def test_bad_input_is_named(coherent: np.ndarray) -> None:
    broken = coherent.copy()
    broken[0, 7] = np.nan
    with pytest.raises(InputError, match="not finite"):
        mix(broken, regions=REGIONS)
    with pytest.raises(InputError, match="3 regions"):
        mix(coherent, regions=REGIONS[:3])
    with pytest.raises(InputError, match="shape"):
        mix(coherent[0], regions=REGIONS)
    with pytest.raises(ConfigError, match="max_sounding"):
        build_config(MixerConfig, {"max_sounding": 0})
    with pytest.raises(ConfigError, match="loudness_lufs"):
        build_config(MixerConfig, {"loudnes_lufs": -14})


def test_one_level_leaves_the_others_at_their_defaults(coherent: np.ndarray) -> None:
    config = MixerConfig(level_db={"drums": 3.0})
    assert config.level_db == {"drums": 3.0, "bass": -1.0, "harmony": -4.0, "melody": -1.0}
    by_hand = MixerConfig(level_db={"drums": 3.0, "bass": -1.0, "harmony": -4.0, "melody": -1.0})
    one, other = (mix(coherent, each, regions=REGIONS).report["stems"] for each in (config, by_hand))
    assert one == other


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gain_db": {"drumz": 9}}, "mixer.gain_db names 'drumz'.*Allowed: drums, bass"),
        ({"level_db": {"voice": 0}}, "mixer.level_db names 'voice'"),
        ({"untuned": ["drumz"]}, "mixer.untuned names 'drumz'"),
        ({"pan": {"nowhere": 1}}, "mixer.pan names 'nowhere'.*Allowed: central"),
    ],
)
def test_names_that_the_pipeline_does_not_have(values: dict, message: str) -> None:
    config = MixerConfig.model_validate(values)  # a mixer of any stems cannot know
    with pytest.raises(ConfigError, match=message):
        of_our_stems(config)
    assert of_our_stems(MixerConfig()) == MixerConfig()


@pytest.mark.parametrize("values", [{"gain_db": {"drums": float("nan")}}, {"max_gain_db": float("inf")}])
def test_numbers_that_are_not_finite(values: dict) -> None:
    with pytest.raises(ConfigError, match="finite"):
        build_config(MixerConfig, values)


def test_without_a_correction_the_stems_are_not_copied() -> None:
    stems = 0.1 * numpy_rng(0, "kept").standard_normal((4, 48_000)).astype(np.float32)
    before = stems.copy()
    made = mix(stems, MixerConfig(transpose=False, stretch=False, max_sounding=2), regions=REGIONS)
    assert made.stems is stems
    np.testing.assert_array_equal(stems, before)
