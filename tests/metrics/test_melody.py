"""Pitch against tones of known frequency and librosa's YIN; contours against shapes that are known."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.metrics.melody import f0_track, melody_contour
from eeg2music.seeding import numpy_rng

RATE_HZ = 24_000


def tone(hz: np.ndarray | float, seconds: float = 1.0) -> np.ndarray:
    """A harmonic tone; `hz` may glide."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, round(seconds * RATE_HZ))) / RATE_HZ
    return np.sum([np.sin(k * phase) / k for k in range(1, 6)], axis=0)


@pytest.mark.parametrize("hz", [70.0, 110.0, 233.1, 440.0, 900.0])
def test_a_steady_tone_has_its_pitch(hz: float) -> None:
    track = f0_track(tone(hz, 0.5))
    np.testing.assert_allclose(track, hz, rtol=2e-3)


def test_a_glide_is_followed() -> None:
    hz = np.geomspace(150.0, 600.0, RATE_HZ)
    track = f0_track(tone(hz))
    # A frame looks at the periods from its start on, the first of them most.
    middle = hz[(np.arange(len(track)) * 480 + 400).clip(max=len(hz) - 1)]
    np.testing.assert_allclose(track, middle, rtol=0.04)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = numpy_rng(0, "noise").normal(size=RATE_HZ)
    assert np.mean(f0_track(noise) > 0) < 0.02
    assert not f0_track(np.zeros(RATE_HZ)).any()
    half = np.concatenate([tone(220.0, 0.5), np.zeros(RATE_HZ // 2)])
    track = f0_track(half)
    assert (track[:20] > 0).all()
    assert not track[26:].any()


@pytest.mark.slow
def test_the_pitch_equals_that_of_librosa() -> None:
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    noise = 0.05 * numpy_rng(0, "noise").normal(size=RATE_HZ // 2)
    for hz in (82.4, 196.0, 311.1, 523.3):
        audio = tone(hz, 0.5) + noise
        expected = librosa.yin(audio, fmin=60.0, fmax=1000.0, sr=RATE_HZ, frame_length=2048, center=False)
        assert np.median(f0_track(audio)) == pytest.approx(np.median(expected), rel=3e-3)


def test_a_transposed_tune_is_the_same_and_an_inverted_one_its_opposite() -> None:
    steps = np.repeat([0, 4, 7, 2, -3, 5, 9, 1], 20)
    tune, up, inverted = (220.0 * 2.0 ** (shape / 12) for shape in (steps, steps + 5.0, -steps))
    same, other = melody_contour(up, tune), melody_contour(inverted, tune)
    assert same.correlation == pytest.approx(1.0)
    assert same.direction == 1.0
    assert other.correlation == pytest.approx(-1.0)
    # What is left are the frames within one note, held in both.
    assert other.direction < 0.5


def test_direction_and_correlation_equal_a_slow_count() -> None:
    rng = numpy_rng(0, "tunes")
    ours, ref = (220.0 * 2.0 ** (rng.normal(0, 3, 120).round() / 12) * (rng.random(120) < 0.7) for _ in range(2))
    step, same, counted = 5, 0, 0
    for frame in range(120 - step):
        if min(ours[frame], ref[frame], ours[frame + step], ref[frame + step]) == 0:
            continue
        moves = [12 * np.log2(track[frame + step] / track[frame]) for track in (ours, ref)]
        counted += 1
        same += len({0 if abs(move) < 0.5 else np.sign(move) for move in moves}) == 1
    found = melody_contour(ours, ref, rate_hz=50.0, step_s=0.1)
    both = (ours > 0) & (ref > 0)
    assert found.direction == pytest.approx(same / counted)
    assert found.correlation == pytest.approx(np.corrcoef(np.log2(ours[both]), np.log2(ref[both]))[0, 1])
    assert found.frames == both.sum()
    assert found.share == pytest.approx(both.sum() / (ref > 0).sum())


def test_unrelated_tunes_lie_at_zero() -> None:
    rng = numpy_rng(0, "many")
    tunes = 220.0 * 2.0 ** (np.repeat(rng.normal(0, 4, (200, 2, 12)), 10, axis=-1) / 12)
    values = [melody_contour(*pair).correlation for pair in tunes]
    assert abs(np.mean(values)) < 0.07


def test_a_held_note_and_too_few_frames_count_nothing() -> None:
    moving = 220.0 * 2.0 ** (np.arange(60) / 12)
    held = 220.0 * 2.0 ** (0.1 * np.sin(np.arange(60)) / 12)
    assert melody_contour(held, moving).correlation == 0.0
    assert melody_contour(np.zeros(60), moving) == (0.0, 0.0, 0, 0.0)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="equal shapes"):
        melody_contour(np.ones(10), np.ones(11))
    with pytest.raises(InputError, match="none below 0"):
        melody_contour(-np.ones(10), np.ones(10))
    with pytest.raises(InputError, match="with 802 or more"):
        f0_track(np.ones(100))
    with pytest.raises(InputError, match="rising"):
        f0_track(np.ones(24_000), low_hz=300.0, high_hz=200.0)
