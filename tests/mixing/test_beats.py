"""Beats of stems beside each other: what stands off the beat is told, and stays where it is."""

from __future__ import annotations

import mixing_band as band
import numpy as np
import pytest

from eeg2music.mixing.beats import beat_offsets
from eeg2music.mixing.corrections import Plan
from eeg2music.mixing.mixer import mix
from eeg2music.mixing.rhythm import Rhythm
from eeg2music.types import REGIONS, STEMS


def later(audio: np.ndarray, seconds: float) -> np.ndarray:
    return np.pad(audio, (round(seconds * band.RATE), 0))[: len(audio)]


def regular(bpm: float, first_s: float, confidence: float = 0.9) -> Rhythm:
    return Rhythm(np.zeros(2), bpm, confidence, np.arange(first_s, 10.0, 60.0 / bpm))


@pytest.mark.parametrize(("bpm", "stem"), [(120.0, 0), (97.0, 3)])
def test_a_stem_half_a_beat_off_is_told_and_not_shifted(bpm: float, stem: int) -> None:
    stems = band.band(bpm, seconds=6.0)
    together = mix(stems, regions=REGIONS)
    assert together.report["left_alone"] == []
    stems[stem] = later(stems[stem], 30.0 / bpm)
    apart = mix(stems, regions=REGIONS)
    np.testing.assert_array_equal(apart.stems, stems)
    (sentence,) = apart.report["left_alone"]
    assert sentence.startswith(f"{STEMS[stem]} beats ") and "of a beat) off" in sentence
    for name, row in apart.report["stems"].items():
        expected = 0.5 if name == STEMS[stem] else 0.0
        assert abs(row["beat_offset_beats"]) == pytest.approx(expected, abs=0.05)
        assert row["beat_offset_ms"] == pytest.approx(row["beat_offset_beats"] * 60_000 / bpm, rel=0.01, abs=1.0)


def test_offsets_are_counted_from_the_stem_nearest_to_the_others() -> None:
    rhythms = [regular(120.0, 0.1), regular(120.0, 0.0), regular(120.0, 0.02, 0.95), regular(120.0, 0.35)]
    found = beat_offsets(rhythms, [True] * 4, STEMS, Plan(120.0, [1.0] * 4))
    assert found.seconds == pytest.approx([0.08, -0.02, 0.0, -0.17])
    assert found.beats == pytest.approx([0.16, -0.04, 0.0, -0.34])
    assert [text.partition(":")[0] for text in found.left_alone] == ["melody beats 170 ms (0.34 of a beat) off harmony"]


def test_a_faster_pulse_is_compared_by_its_nearest_beat() -> None:
    rhythms = [regular(240.0, 0.25), regular(240.0, 0.0), regular(60.0, 0.5), regular(120.0, 0.25)]
    found = beat_offsets(rhythms, [True] * 4, STEMS, Plan(120.0, [1.0] * 4))
    assert np.abs(found.beats[:2]) == pytest.approx(0.0, abs=1e-9)
    assert abs(found.beats[2] - found.beats[3]) == pytest.approx(0.5)


def test_a_correction_of_the_tempo_moves_the_beats() -> None:
    rhythms = [regular(120.0, 0.2), regular(117.0, 0.2 * 120 / 117)]
    found = beat_offsets(rhythms, [True] * 2, STEMS[:2], Plan(120.0, [1.0, 120 / 117]))
    assert found.seconds == pytest.approx([0.0, 0.0], abs=1e-6)


def test_without_a_clear_pulse_there_is_no_offset() -> None:
    rhythms = [regular(120.0, 0.0), regular(120.0, 0.25), regular(100.0, 0.0), regular(120.0, 0.25, 0.4)]
    found = beat_offsets(rhythms, [True, False, True, True], STEMS, Plan(120.0, [1.0] * 4))
    assert found.beats == pytest.approx([0.0, None, None, -0.5])
    # A pulse that is hardly regular is worth a figure, not a sentence.
    assert found.left_alone == []
    nothing = beat_offsets(rhythms, [True] * 4, STEMS, Plan(None, [1.0] * 4))
    assert nothing.seconds == nothing.beats == [None] * 4
