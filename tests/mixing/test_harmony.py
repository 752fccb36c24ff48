"""Keys, tuning and chroma of sounds whose notes are known."""

from __future__ import annotations

from pathlib import Path

import mixing_band as band
import numpy as np
import pytest

from eeg2music.audio import read_audio, resample
from eeg2music.mixing.harmony import (
    MAJOR,
    MINOR,
    analyse_harmony,
    effective_classes,
    key_name,
    profile_fit,
    scale_fit,
)


@pytest.mark.parametrize("tonic", range(12))
def test_key_of_a_progression_in_every_key(tonic: int) -> None:
    found = analyse_harmony(band.harmony(110.0, tonic, seconds=9.0))
    assert found.key == (tonic, "major")
    assert found.confidence > 0.5


@pytest.mark.parametrize("stem", [band.bass, band.melody])
def test_single_lines_lie_in_the_collection(stem) -> None:
    found = analyse_harmony(stem(110.0, 3, seconds=9.0))
    assert int(scale_fit(found.chroma).argmax()) == 3


def test_harmonics_are_taken_off_the_notes_that_cause_them() -> None:
    """A bright C has a strong third harmonic, G, and a fifth, E: they are not notes."""
    found = analyse_harmony(band.place([(0.0, band.note(48, 4.0, decay=0.2, bright=0.9))], 4.0, 0.5))
    assert found.chroma[0] > 0.65
    assert effective_classes(found.chroma) < 3.0
    assert found.confidence < 0.3  # one note tells no key


@pytest.mark.parametrize("cents", [-40, -15, 0, 30, 45])
def test_tuning(cents: int) -> None:
    found = analyse_harmony(band.harmony(120.0, cents / 100, seconds=6.0))
    assert 100 * found.tuning == pytest.approx(cents, abs=3)
    assert found.key == (0, "major")


def test_drums_have_no_key_and_silence_has_nothing() -> None:
    assert analyse_harmony(band.drums(120.0)).confidence < 0.15
    silent = analyse_harmony(np.zeros(48_000, np.float32))
    assert silent.confidence == 0.0
    assert np.all(silent.chroma == 0.0)
    assert np.isfinite(analyse_harmony(np.zeros(1, np.float32)).tonality)


def test_profiles_fit_themselves() -> None:
    for mode, profile in enumerate((MAJOR, MINOR)):
        for tonic in range(12):
            fit = profile_fit(np.roll(profile, tonic))
            assert np.unravel_index(fit.argmax(), fit.shape) == (mode, tonic)
            assert fit.max() == pytest.approx(1.0)


def test_relative_keys_share_a_collection() -> None:
    assert scale_fit(np.roll(MINOR, 9)).argmax() == scale_fit(MAJOR).argmax() == 0


def test_key_names() -> None:
    assert key_name((6, "minor")) == "F# minor"


def test_transposed_chroma_is_that_of_the_transposed_sound() -> None:
    low, high = analyse_harmony(band.harmony(120.0, 0.0)), analyse_harmony(band.harmony(120.0, 2.0))
    np.testing.assert_allclose(low.transposed(2).chroma, high.chroma, atol=0.02)


def test_a_real_orchestra_played_faster_moves_by_a_semitone(recorded_music: list[Path]) -> None:
    """Independent of any key label: at 1.0595 times the speed every pitch class lies one further up."""
    (orchestra,) = (path for path in recorded_music if path.name.startswith("Hungarian"))
    heard = read_audio(orchestra, duration_s=20.0)
    faster = resample(heard, band.RATE * 2 ** (1 / 12), band.RATE)
    slow, fast = analyse_harmony(heard), analyse_harmony(faster)
    assert np.corrcoef(slow.transposed(1).chroma, fast.chroma)[0, 1] > 0.95
    assert fast.key == ((slow.key[0] + 1) % 12, slow.key[1])
    assert slow.confidence > 0.15
