"""Features of stems: what they follow, that they do not depend on the song they are in."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.simulation import features
from eeg2music.simulation.responses import FEATURES
from eeg2music.types import SAMPLE_RATE_HZ, STEMS

RATE = features.FEATURE_RATE_HZ


def tones(*parts: tuple[float, float, float, float], seconds: float = 4.0) -> np.ndarray:
    """One stem of sine tones (start_s, duration_s, hertz, amplitude)."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    out = np.zeros_like(time)
    for start, duration, hertz, amplitude in parts:
        inside = (time >= start) & (time < start + duration)
        out[inside] += amplitude * np.sin(2 * np.pi * hertz * time[inside])
    return out.astype(np.float32)


def of(audio: np.ndarray, notes: features.Notes | None = None, stem: str = "melody") -> dict[str, np.ndarray]:
    stems = np.zeros((4, audio.size), dtype=np.float32)
    stems[STEMS.index(stem)] = audio
    found = features.extract_features(stems, notes)
    assert found.shape == (4, 4, audio.size // features.HOP)
    return dict(zip(FEATURES, found[STEMS.index(stem)], strict=True))


def test_silence_is_all_zero() -> None:
    assert np.abs(features.extract_features(np.zeros((4, 24_000), dtype=np.float32), {})).max() == 0.0


def test_onset_flux_peaks_where_notes_begin() -> None:
    found = of(tones((1.0, 0.5, 440.0, 0.3), (2.5, 0.5, 880.0, 0.3)))["onset"]
    for start in (1.0, 2.5):
        around = slice(round((start - 0.2) * RATE), round((start + 0.2) * RATE))
        assert abs(around.start + found[around].argmax() - start * RATE) <= 4
    assert found[round(1.2 * RATE) : round(1.4 * RATE)].max() < 0.1 * found.max()


def test_envelope_follows_absolute_level_by_the_power_law() -> None:
    loud, soft = of(tones((0, 4, 440.0, 0.4)))["envelope"], of(tones((0, 4, 440.0, 0.04)))["envelope"]
    middle = slice(RATE, 3 * RATE)
    assert (loud[middle] / soft[middle]).mean() == pytest.approx(10.0**features.COMPRESSION, rel=0.01)


def test_level_is_root_mean_square() -> None:
    raw = features.raw_features("melody", tones((0, 4, 440.0, 0.5)))[0][2 * RATE]
    assert raw == pytest.approx((0.5 / np.sqrt(2)) ** features.COMPRESSION, rel=0.02)


def test_pitch_reads_off_the_notes_and_a_rest_is_neither_high_nor_low() -> None:
    audio = tones((0.5, 1.0, 440.0, 0.3), (2.0, 1.0, 880.0, 0.3))
    notes = {"melody": [(0.5, 1.0, 69, 90), (2.0, 1.0, 81, 90)]}
    found = of(audio, notes)["pitch"] * features.SCALE["melody"][2] * 12.0 + features.PITCH_CENTRE["melody"]
    assert found[RATE] == pytest.approx(69.0, abs=1e-4)
    assert found[round(2.5 * RATE)] == pytest.approx(81.0, abs=1e-4)
    assert of(audio, notes)["pitch"][round(1.8 * RATE)] == 0.0


def test_without_annotations_the_strongest_peak_stands_in() -> None:
    found = of(tones((0.0, 4.0, 440.0, 0.3)))["pitch"]
    midi = found[2 * RATE] * features.SCALE["melody"][2] * 12.0 + features.PITCH_CENTRE["melody"]
    assert midi == pytest.approx(69.0, abs=0.5)


def test_chords_count_by_their_mean() -> None:
    audio = tones((0.0, 4.0, 261.6, 0.2), (0.0, 4.0, 392.0, 0.2))
    notes = {"harmony": [(0.0, 4.0, 60, 90), (0.0, 4.0, 67, 90)]}
    found = of(audio, notes, "harmony")["pitch"][2 * RATE]
    midi = found * features.SCALE["harmony"][2] * 12.0 + features.PITCH_CENTRE["harmony"]
    assert midi == pytest.approx(63.5, abs=1e-4)


def test_brightness_orders_sounds_by_their_spectrum() -> None:
    dark, bright = (of(tones((0, 4, hertz, 0.3)))["brightness"][2 * RATE] for hertz in (200.0, 3200.0))
    assert (bright - dark) * features.SCALE["melody"][3] == pytest.approx(4.0, abs=0.1)  # octaves


def test_a_passage_means_the_same_whatever_follows_it() -> None:
    short, long = tones((0.5, 0.4, 500.0, 0.2)), tones((0.5, 0.4, 500.0, 0.2), (3.0, 0.9, 2000.0, 0.9))
    for name in FEATURES:
        assert np.allclose(of(short)[name][: 2 * RATE], of(long)[name][: 2 * RATE], atol=1e-5)


@pytest.mark.parametrize("bad", [np.zeros((3, 100)), np.zeros(100), np.full((4, 100), np.nan)])
def test_bad_stems_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="Stems"):
        features.extract_features(bad)
