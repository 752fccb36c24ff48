"""Agreement of keys, diatonic collections, chroma and tempo; mir_eval is the reference for the key score."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.metrics import harmony

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])
TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEYS = [f"{tonic} {mode}" for tonic in TONICS for mode in ("major", "minor")]


def test_key_score_equals_mir_eval_for_all_pairs() -> None:
    mir_key = pytest.importorskip("mir_eval.key", reason="mir_eval is not installed")
    for estimated, reference in itertools.product(KEYS, KEYS):
        expected = mir_key.weighted_score(reference, estimated)
        assert harmony.key_score(estimated, reference) == expected, (estimated, reference)


def test_chance_of_the_key_score_is_what_the_docstring_says() -> None:
    table = [harmony.key_score(a, "E minor") for a in KEYS]
    assert np.mean(table) == pytest.approx(2 / 24)
    assert sum(score == 1.0 for score in table) == 1


def test_enharmonic_names_are_one_key() -> None:
    assert harmony.parse_key("Cb") == harmony.parse_key("B") == (11, "major")
    assert harmony.parse_key("E# minor") == (5, "minor")


@pytest.mark.parametrize("name", ["H major", "C dorian", "", "C major extra", "Cx"])
def test_a_name_that_is_no_key_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not a key"):
        harmony.parse_key(name)


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
