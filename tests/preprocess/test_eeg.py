"""Preprocessing: gain and delay of the filters, scaling, reference, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.preprocess.eeg import (
    PreprocessConfig,
    band_limit,
    channel_mask,
    detect_line,
    preprocess,
    resample,
    robust_scale,
)
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, MARKED_BAD, Event, Recording

RATES = (100.0, 256.0, 500.0, 1000.0, 92.67358, 2048.0)


def recording(signal: NDArray[np.floating], sfreq_hz: float = 256.0, **changes: object) -> Recording:
    count = signal.shape[0]
    return Recording(
        signal_v=signal.astype(np.float32),
        sfreq_hz=sfreq_hz,
        channel_names=tuple(f"E{i + 1}" for i in range(count)),
        positions_m=np.full((count, 3), np.nan, dtype=np.float32),
        kind="eeg",
        key="synthetic",
    ).replace(**changes)


def pink(channels: int, seconds: float, sfreq_hz: float, seed: int = 0) -> NDArray[np.float64]:
    """Noise with a 1/f spectrum, partly shared between channels, about 10 microvolts."""
    rng = numpy_rng(seed, "pink", channels)
    samples = round(seconds * sfreq_hz)
    spectrum = np.fft.rfft(rng.standard_normal((channels + 1, samples)))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / sfreq_hz), 0.5))
    noise = np.fft.irfft(spectrum, samples)
    noise /= noise.std(axis=1, keepdims=True)
    weights = 1.0 + 0.1 * rng.standard_normal((channels, 1))
    return 1e-5 * (weights * noise[-1:] + noise[:-1])


def sine(freq_hz: float, sfreq_hz: float, seconds: float = 40.0) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * freq_hz * np.arange(round(seconds * sfreq_hz)) / sfreq_hz)[None].astype(np.float32)


@pytest.mark.parametrize("sfreq_hz", RATES)
@pytest.mark.parametrize("freq_hz", [2.0, 10.0, 20.0])
def test_a_sine_in_the_band_passes_without_gain_or_delay(sfreq_hz: float, freq_hz: float) -> None:
    out = band_limit(sine(freq_hz, sfreq_hz), sfreq_hz, 0.5, 25.0, None)[0]
    time = np.arange(out.size) / EEG_RATE_HZ
    middle = slice(5 * EEG_RATE_HZ, -5 * EEG_RATE_HZ)
    expected = np.sin(2 * np.pi * freq_hz * time)
    np.testing.assert_allclose(out[middle], expected[middle], atol=0.02)


@pytest.mark.parametrize("freq_hz", [0.05, 0.1, 38.0, 50.0, 60.0, 110.0])
def test_a_sine_outside_the_band_is_stopped(freq_hz: float) -> None:
    out = band_limit(sine(freq_hz, 1000.0), 1000.0, 0.5, 25.0, 50.0)[0]
    assert np.abs(out[5 * EEG_RATE_HZ : -5 * EEG_RATE_HZ]).max() < 0.01


def test_half_the_power_passes_at_the_lower_edge() -> None:
    out = band_limit(sine(0.5, 256.0, 120.0), 256.0, 0.5, 25.0, None)[0]
    assert np.abs(out[2000:-2000]).max() == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_an_impulse_stays_where_it_was() -> None:
    signal = np.zeros((1, 2560), dtype=np.float32)
    signal[0, 1280] = 1.0
    out = band_limit(signal, 256.0, 0.5, 25.0, 50.0)[0]
    assert np.argmax(out) == 320
    np.testing.assert_allclose(out[320 - 60 : 320], out[320 + 1 : 320 + 61][::-1], atol=1e-3)


def test_the_mains_notch_takes_out_the_mains_and_nothing_else() -> None:
    both = sine(50.0, 256.0) * 1000 + sine(10.0, 256.0)
    clean = band_limit(sine(10.0, 256.0), 256.0, 0.5, 25.0, 50.0)[0]
    np.testing.assert_allclose(band_limit(both, 256.0, 0.5, 25.0, 50.0)[0][400:-400], clean[400:-400], atol=0.05)


@pytest.mark.parametrize("sfreq_hz", RATES)
@pytest.mark.parametrize("seconds", [2.0, 2.3, 11.0])
def test_the_length_follows_from_the_duration(sfreq_hz: float, seconds: float) -> None:
    signal = numpy_rng(0, "length").standard_normal((4, round(seconds * sfreq_hz))).astype(np.float32)
    out = band_limit(signal, sfreq_hz, 0.5, 25.0, None)
    assert out.shape == (4, round(signal.shape[1] * EEG_RATE_HZ / sfreq_hz))
    assert np.isfinite(out).all()


def test_a_steep_drift_does_not_ring_at_the_edges_of_two_seconds() -> None:
    rate = 512.0
    time = np.arange(round(2 * rate)) / rate
    wave = 1e-5 * np.sin(2 * np.pi * 10 * time)
    drift = 5e-3 * time + 0.2
    out = band_limit((wave + drift)[None].astype(np.float32), rate, 0.5, 25.0, None)[0]
    assert np.abs(out).max() < 2.5e-5


def test_resampling_keeps_the_phase_at_any_rate() -> None:
    for rate in RATES:
        out = resample(sine(7.0, rate, 10.0), rate, 128.0, 1280)[0]
        expected = np.sin(2 * np.pi * 7.0 * np.arange(1280) / 128.0)
        # `resample` is free to shift by the first value; compare the middles.
        np.testing.assert_allclose(out[128:-128] - out[128:-128].mean(), expected[128:-128], atol=0.02)


def test_each_channel_comes_out_with_unit_robust_deviation() -> None:
    gains = np.array([1.0, 3.0, 0.4, 1.0, 2.0, 1.0])[:, None]
    out = preprocess(recording(pink(6, 60.0, 256.0) * gains)).signal_v
    deviation = 1.4826 * np.median(np.abs(out - np.median(out, axis=1, keepdims=True)), axis=1)
    np.testing.assert_allclose(deviation, 1.0, atol=0.15)
    assert out.dtype == np.float32


def test_the_scale_of_the_input_does_not_matter() -> None:
    signal = pink(8, 20.0, 256.0)
    volts, huge = preprocess(recording(signal)), preprocess(recording(signal * 1e6))
    np.testing.assert_allclose(volts.signal_v, huge.signal_v, atol=1e-3)


def test_a_burst_is_clipped_and_does_not_change_the_scale() -> None:
    signal = numpy_rng(1, "burst").standard_normal((2, 64 * 60))
    burst = signal.copy()
    burst[:, 640:1280] *= 100
    use = np.ones(64 * 60, dtype=bool)
    plain, hit = robust_scale(signal, use, clip=10.0), robust_scale(burst, use, clip=10.0)
    assert np.abs(hit).max() == 10.0
    np.testing.assert_allclose(hit[:, 2000:], plain[:, 2000:], rtol=0.1, atol=0.1)


def test_what_all_channels_share_is_taken_off_but_not_by_a_bad_channel() -> None:
    signal = pink(16, 30.0, 256.0)
    broken = signal.copy()
    broken[3] = 0.05 * numpy_rng(2, "broken").standard_normal(signal.shape[1])
    others = [i for i in range(16) if i != 3]
    good, bad = preprocess(recording(signal[others])), preprocess(recording(broken))
    assert "E4" in bad.bad_channels
    assert not bad.signal_v[3].any()
    np.testing.assert_array_equal(bad.signal_v[others], good.signal_v)
    np.testing.assert_array_equal(channel_mask(bad), [i != 3 for i in range(16)])


def test_padding_with_zeros_is_bridged_and_said() -> None:
    signal = pink(8, 12.0, 512.0) + 5e-3
    padded = signal.copy()
    padded[:, :512] = 0.0
    out = preprocess(recording(padded, 512.0))
    assert any("1.00 s hold no signal (padding or lost data, 0.0 to 1.0 s): bridged" in note for note in out.notes)
    for place in range(1, 5):
        # The longest three, in their order.
        padded[:, 1024 * place : 1024 * place + 128 * place] = 0.0
    (said,) = (note for note in preprocess(recording(padded, 512.0)).notes if "no signal" in note)
    assert "0.0 to 1.0 s, 6.0 to 6.8 s, 8.0 to 9.0 s and 2 more" in said
    clean = preprocess(recording(signal, 512.0))
    assert np.abs(out.signal_v[:, :40]).max() < 4
    assert np.corrcoef(out.signal_v[0, 200:], clean.signal_v[0, 200:])[0, 1] > 0.99


def test_lost_samples_are_bridged() -> None:
    signal = pink(8, 12.0, 256.0)
    lost = signal.copy()
    lost[:, 1000:1100] = np.nan
    out = preprocess(recording(lost))
    assert np.isfinite(out.signal_v).all()
    assert not out.bad_channels


def test_the_mains_frequency_is_found_or_taken_as_given() -> None:
    signal = pink(8, 20.0, 500.0)
    hum = 1e-5 * np.sin(2 * np.pi * 60 * np.arange(signal.shape[1]) / 500.0)
    assert detect_line(signal.astype(np.float32), 500.0) is None
    assert detect_line((signal + hum).astype(np.float32), 500.0) == 60.0
    assert preprocess(recording(signal + hum, 500.0)).line_freq_hz == 60.0
    assert preprocess(recording(signal + hum, 500.0, line_freq_hz=50.0)).line_freq_hz == 50.0
    asked = PreprocessConfig(line_freq_hz=50.0)
    assert preprocess(recording(signal + hum, 500.0), asked).line_freq_hz == 50.0


def test_too_few_good_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"3 good channel.*at least 4.*--channels, or record from more electrodes"):
        preprocess(recording(pink(3, 10.0, 256.0)))
    flat = pink(6, 10.0, 256.0)
    flat[2:] = 0.0
    with pytest.raises(InputError, match=r"2 good channel.* of 6; bad: 4 \(flat\).*Remedy: use another recording"):
        preprocess(recording(flat))


@pytest.mark.parametrize("value", [np.nan, 0.0, 3.3e-6, np.inf])
def test_recordings_of_nothing_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="0 good channel"):
        preprocess(recording(np.full((8, 2560), value)))


def test_slow_recordings_say_what_they_lack() -> None:
    out = preprocess(recording(pink(8, 20.0, 50.0), 50.0))
    assert any("nothing above 25 Hz" in note for note in out.notes)
    assert out.signal_v.shape == (8, 1280)


@pytest.mark.parametrize("sfreq_hz", [110.0, 112.0, 115.3, 118.0, 120.0, 122.0])
def test_rates_whose_half_lies_between_the_mains_frequencies(sfreq_hz: float) -> None:
    """60 Hz cannot be in such a signal; 50 Hz can."""
    signal = pink(8, 20.0, sfreq_hz)
    assert preprocess(recording(signal, sfreq_hz)).line_freq_hz is None
    hum = signal + 4e-5 * sine(50.0, sfreq_hz, 20.0)[:, : signal.shape[1]]
    assert preprocess(recording(hum, sfreq_hz)).line_freq_hz == 50.0


@pytest.mark.parametrize("sfreq_hz", [125.0, 128.0])
def test_60_hz_is_found_where_it_lies_just_below_half_the_rate(sfreq_hz: float) -> None:
    hum = pink(8, 20.0, sfreq_hz) + 4e-5 * sine(60.0, sfreq_hz, 20.0)
    assert detect_line(hum.astype(np.float32), sfreq_hz) == 60.0


MOVEMENT = Event(20.0, 6.0, MARKED_BAD)


@pytest.mark.parametrize("artefact", [200.0, np.nan, 0.0])
def test_what_happened_in_a_stretch_marked_bad_changes_nothing(artefact: float) -> None:
    signal = pink(8, 60.0, 256.0)
    spoilt = signal.copy()
    spoilt[:, 20 * 256 : 26 * 256] *= artefact
    spoilt[3, 20 * 256 : 26 * 256] = 1.0
    one, other = (preprocess(recording(one, events=(MOVEMENT,))) for one in (signal, spoilt))
    np.testing.assert_array_equal(one.signal_v, other.signal_v)
    assert one.bad_channels == other.bad_channels == {}
    assert one.notes == other.notes
    assert one.notes == (
        "6.00 s of 60.00 s (10 %) are marked bad (20.0 to 26.0 s): muted before decoding like lost data, and left out "
        "of every statistic",
    )


def test_a_stretch_marked_bad_is_muted_and_does_not_reach_its_neighbours() -> None:
    signal = pink(8, 60.0, 256.0)
    plain, marked = preprocess(recording(signal)), preprocess(recording(signal, events=(MOVEMENT,)))
    inside, far = slice(21 * EEG_RATE_HZ, 25 * EEG_RATE_HZ), slice(30 * EEG_RATE_HZ, 60 * EEG_RATE_HZ)
    assert np.abs(marked.signal_v[:, inside]).mean() < 0.1 * np.abs(plain.signal_v[:, inside]).mean()
    np.testing.assert_allclose(marked.signal_v[:, far], plain.signal_v[:, far], atol=0.15)
    assert marked.signal_v.shape == plain.signal_v.shape
    cut = preprocess(recording(signal, events=(Event(20.0, 0.0, MARKED_BAD), Event(1.0, 5.0, "music"))))
    np.testing.assert_array_equal(cut.signal_v, plain.signal_v)
    assert cut.notes == ()


def test_a_channel_is_judged_by_what_is_not_marked_bad() -> None:
    signal = pink(8, 30.0, 256.0)
    often = tuple(Event(4.0 * i + 1.0, 3.0, MARKED_BAD) for i in range(7))
    for event in often:
        signal[2, round(event.onset_s * 256) : round((event.onset_s + event.duration_s) * 256)] *= 1000
    assert "E3" in preprocess(recording(signal)).bad_channels
    found = preprocess(recording(signal, events=often))
    assert found.bad_channels == {}
    assert found.notes[0].startswith("21.00 s of 30.00 s (70 %) are marked bad (1.0 to 4.0 s, 5.0 to 8.0 s, 9.0 to 12")
    assert "and 4 more)" in found.notes[0]


def test_a_recording_that_is_marked_bad_is_refused() -> None:
    signal = recording(pink(8, 30.0, 256.0), events=(Event(1.5, 40.0, MARKED_BAD),))
    with pytest.raises(InputError, match=r"All but 1\.50 s of the recording are marked bad.*at least 2 s.*--start"):
        preprocess(signal)


def test_a_recording_that_holds_next_to_no_signal_is_refused() -> None:
    signal = pink(8, 10.0, 256.0)
    signal[:, 384:] = 0.0
    lost = recording(signal)
    with pytest.raises(InputError, match=r"Only 1\.\d+ s of 10\.00 s hold a signal.*at least 2 s.*--start"):
        preprocess(lost)
    # Marked and lost count together; what is left over two seconds is enough.
    signal = pink(8, 10.0, 256.0)
    signal[:, 1024:] = 0.0
    preprocess(recording(signal))
    marked = recording(signal, events=(Event(0.0, 2.5, MARKED_BAD),))
    with pytest.raises(InputError, match=r"Only 1\.\d+ s"):
        preprocess(marked)
    # Two seconds with padding at the end are what many a short file is.
    signal = pink(8, 2.0, 256.0)
    signal[:, 384:] = 0.0
    preprocess(recording(signal))
