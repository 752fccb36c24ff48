"""Sound files: what is written is read, and resampling keeps pitch, level and length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from eeg2music.audio import fade_edges, mel_filters, read_audio, resample, write_audio
from eeg2music.errors import InputError
from eeg2music.seeding import numpy_rng
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

STEP = 1 / 32768


def tone(hz: float, rate: float, seconds: float = 1.0, level: float = 0.5) -> FloatArray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(*shape: int) -> FloatArray:
    return numpy_rng(0, "audio").uniform(-0.9, 0.9, shape).astype(np.float32)


def test_round_trip_is_exact_to_half_a_step(tmp_path: Path) -> None:
    audio = noise(4000)
    write_audio(tmp_path / "a.wav", audio)
    read = read_audio(tmp_path / "a.wav")
    assert read.dtype == np.float32
    assert np.abs(read - audio).max() <= STEP
    # What was read once is written and read again without any change.
    write_audio(tmp_path / "b.wav", read)
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()


def test_stereo_is_written_by_channel_and_read_as_the_mean(tmp_path: Path) -> None:
    audio = noise(2, 3000)
    write_audio(tmp_path / "a.wav", audio)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.channels, info.samplerate, info.frames, info.subtype) == (2, SAMPLE_RATE_HZ, 3000, "PCM_16")
    assert np.abs(read_audio(tmp_path / "a.wav") - audio.mean(0)).max() <= STEP


def test_overshoot_is_clipped_not_wrapped(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", np.array([-3, 3, 0.5], dtype=np.float32))
    assert read_audio(tmp_path / "a.wav") == pytest.approx([-1, 1, 0.5], abs=STEP)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3"])
def test_other_formats_by_their_suffix(tmp_path: Path, name: str) -> None:
    audio = tone(440, SAMPLE_RATE_HZ)
    write_audio(tmp_path / name, audio)
    read = read_audio(tmp_path / name, duration_s=1.0)
    assert np.corrcoef(read[4000:20_000], audio[4000:20_000])[0, 1] > 0.99


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sound_that_is_not_finite_is_refused_and_nothing_is_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(InputError, match="not finite"):
        write_audio(tmp_path / "a.wav", np.array([0, value], dtype=np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_stretch_of_a_file(tmp_path: Path) -> None:
    audio = noise(SAMPLE_RATE_HZ)
    write_audio(tmp_path / "a.wav", audio)
    part = read_audio(tmp_path / "a.wav", start_s=0.25, duration_s=0.5)
    assert part.shape == (12_000,)
    assert np.abs(part - audio[6000:18_000]).max() <= STEP


def test_silence_follows_the_end(tmp_path: Path) -> None:
    audio = noise(12_000)
    write_audio(tmp_path / "a.wav", audio)
    part = read_audio(tmp_path / "a.wav", start_s=0.25, duration_s=1.0)
    assert part.shape == (24_000,)
    assert np.abs(part[:6000] - audio[6000:]).max() <= STEP
    assert not part[6000:].any()
    assert not read_audio(tmp_path / "a.wav", start_s=9.0, duration_s=0.5).any()


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_files_of_other_rates_keep_pitch_and_level(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440, rate), rate, subtype="FLOAT")
    read = read_audio(tmp_path / "a.wav")
    wanted = tone(440, SAMPLE_RATE_HZ)
    assert abs(read.size - wanted.size) <= 1
    middle = slice(2000, 22_000)
    assert np.abs(read[middle] - wanted[middle]).max() < 2e-3


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    low = resample(tone(11_000, 48_000), 48_000, 16_000)
    assert np.abs(low[500:-500]).max() < 1e-3


def test_resampling_works_along_the_last_axis() -> None:
    audio = noise(2, 3, 4800)
    both = resample(audio, 48_000, 24_000)
    assert both.shape == (2, 3, 2400)
    assert both.dtype == np.float32
    assert np.array_equal(both[1, 2], resample(audio[1, 2], 48_000, 24_000))
    assert np.array_equal(resample(audio, 24_000, 24_000), audio)


def test_reading_part_of_a_file_of_another_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440, 44_100, 3.0), 44_100, subtype="FLOAT")
    part = read_audio(tmp_path / "a.wav", start_s=1.0, duration_s=1.0)
    assert part.shape == (24_000,)
    wanted = tone(440, SAMPLE_RATE_HZ, 3.0)[24_000:48_000]
    assert np.abs(part[500:-500] - wanted[500:-500]).max() < 5e-3


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No audio file at .*gone\.wav.*Remedy"):
        read_audio(tmp_path / "gone.wav")


def test_a_file_that_is_not_audio(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("words")
    with pytest.raises(InputError, match=r"a\.wav is not an audio file.*Allowed: WAV, FLAC, OGG or MP3"):
        read_audio(tmp_path / "a.wav")


def test_a_file_with_values_that_are_not_finite(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan]), 24_000, subtype="FLOAT")
    with pytest.raises(InputError, match="not finite"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", [{"start_s": -0.5}, {"duration_s": -1.0}])
def test_stretches_that_cannot_be(tmp_path: Path, kind: dict[str, float]) -> None:
    write_audio(tmp_path / "a.wav", noise(2400))
    with pytest.raises(InputError, match=r"start = .* s, duration = .* s"):
        read_audio(tmp_path / "a.wav", **kind)


def test_a_rounding_error_before_the_start_is_the_start(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(2400))
    assert np.array_equal(read_audio(tmp_path / "a.wav", start_s=-1e-8), read_audio(tmp_path / "a.wav"))


def test_real_music(recorded_music: list[Path]) -> None:
    audio = read_audio(recorded_music[0], start_s=1.0, duration_s=2.0)
    assert audio.shape == (48_000,)
    assert 0.005 < audio.std() < 0.5


def test_mel_filters_sum_to_one_and_leave_no_band_empty() -> None:
    filters = mel_filters(2048, SAMPLE_RATE_HZ, 128, 30.0, 11_000.0)
    assert filters.shape == (1025, 128)
    np.testing.assert_allclose(filters.sum(0), 1.0, rtol=1e-5)
    assert (filters >= 0).all()
    assert (np.diff(filters.argmax(0)) >= 0).all()


def test_a_cut_through_a_sound_does_not_click() -> None:
    audio = np.stack([tone(220.0, SAMPLE_RATE_HZ, level=0.9), np.full(SAMPLE_RATE_HZ, 0.5, np.float32)])
    before = audio.copy()
    faded = fade_edges(audio)
    assert np.abs(faded[:, [0, -1]]).max() < 1e-4
    assert np.array_equal(audio, before)  # what was given stays
    inside = slice(round(0.005 * SAMPLE_RATE_HZ), -round(0.005 * SAMPLE_RATE_HZ))
    assert np.array_equal(faded[:, inside], audio[:, inside])
    # No step is larger than the tone's own or than a fade's.
    assert np.abs(np.diff(faded)).max() <= np.abs(np.diff(audio)).max() + 0.5 * np.pi / 240
    assert fade_edges(np.ones(1, np.float32)).shape == (1,)  # nothing to fade in
