"""Agreement of diatonic collections, chroma and tempo."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.metrics import harmony

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])


def test_every_mode_is_the_collection_of_its_major_key() -> None:
    for tonic in range(12):
        for degree in range(7):
            mode = np.roll(MAJOR + tonic, -degree)
            assert harmony.diatonic_collection(mode.tolist()) == tonic


@pytest.mark.parametrize("notes", [[0, 2, 3, 5, 7, 8, 11], [0, 2, 4, 5, 7, 9], list(range(12)), []])
def test_other_scales_are_refused(notes: list[int]) -> None:
    with pytest.raises(InputError, match="no diatonic collection"):
        harmony.diatonic_collection(notes)


def test_a_fifth_is_one_changed_note() -> None:
    x, y = np.meshgrid(np.arange(12), np.arange(12))
    found = harmony.fifths_apart(x, y)
    notes = [{int(note) % 12 for note in MAJOR + tonic} for tonic in range(12)]
    changed = np.array([[7 - len(notes[a] & notes[b]) for a in range(12)] for b in range(12)])
    np.testing.assert_array_equal(np.minimum(found, 5), changed)
    assert found.max() == 6


def test_chroma_similarity_falls_with_distance() -> None:
    scale = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1.0])
    fifth, semitone = np.roll(scale, 7), np.roll(scale, 1)
    found = harmony.chroma_similarity(np.stack([scale, fifth, semitone]), np.stack([scale] * 3))
    assert found[0] == pytest.approx(1.0)
    assert found[0] > found[1] > 0 > found[2]
    assert harmony.chroma_similarity(np.ones(12), scale) == 0.0


def test_tempo_agreement_with_and_without_octaves() -> None:
    ours, ref = np.array([124.0, 126.0, 61.0, 241.0, 80.0]), np.full(5, 120.0)
    np.testing.assert_array_equal(harmony.tempo_agreement(ours, ref), [1, 0, 1, 1, 0])
    np.testing.assert_array_equal(harmony.tempo_agreement(ours, ref, octaves=False), [1, 0, 0, 0, 0])


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="0 to 11"):
        harmony.fifths_apart([12], [0])
    with pytest.raises(InputError, match="pitch classes"):
        harmony.chroma_similarity(np.ones(11), np.ones(11))
    with pytest.raises(InputError, match="positive"):
        harmony.tempo_agreement([0.0], [120.0])
