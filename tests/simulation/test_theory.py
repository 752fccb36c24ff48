"""Scales, chords, progressions and voice leading."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from eeg2music.seeding import numpy_rng
from eeg2music.simulation.theory import (
    MODES,
    Scale,
    build_chord,
    draw_progression,
    nearest,
    raise_leading_tone,
    voice_chord,
)


def test_known_scales_and_chords() -> None:
    assert Scale(0, "major").pitch_classes == (0, 2, 4, 5, 7, 9, 11)
    assert Scale(9, "minor").pitch_classes == (9, 11, 0, 2, 4, 5, 7)
    assert build_chord(Scale(0, "major"), 4, "seventh").pitch_classes == (7, 11, 2, 5)
    assert build_chord(Scale(0, "major"), 1, "triad").symbol == "ii"
    assert build_chord(Scale(2, "dorian"), 0, "triad").pitch_classes == (2, 5, 9)
    assert build_chord(Scale(0, "major"), 0, "power").pitch_classes == (0, 7)


def test_leading_tone_is_raised_in_minor_only() -> None:
    minor = Scale(9, "minor")
    assert raise_leading_tone(build_chord(minor, 4, "triad"), minor).pitch_classes == (4, 8, 11)
    tonic = build_chord(minor, 0, "triad")
    assert raise_leading_tone(tonic, minor) == tonic


@pytest.mark.parametrize("mode", list(MODES))
def test_progressions_prefer_the_usual_motion(mode: str) -> None:
    rng = numpy_rng(0, mode)
    loops = [draw_progression(rng, Scale(0, mode), 4, 0.1) for _ in range(300)]
    assert all(len(loop) == 4 for loop in loops)
    assert np.mean([loop[0] == 0 for loop in loops]) > 0.6
    repeats = np.mean([a == b for loop in loops for a, b in pairwise(loop)])
    assert repeats < 0.08
    assert len({tuple(loop) for loop in loops}) > 60


def test_voicings_move_little() -> None:
    scale = Scale(0, "major")
    first = voice_chord(build_chord(scale, 0, "triad").pitch_classes, 60, 9, None)
    second = voice_chord(build_chord(scale, 3, "triad").pitch_classes, 60, 9, first)
    assert {pitch % 12 for pitch in second} == {5, 9, 0}
    assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) <= 5


def test_voicings_stay_near_their_centre() -> None:
    scale = Scale(7, "mixolydian")
    previous = None
    for degree in [0, 3, 6, 4, 2, 5, 1, 0] * 3:
        previous = voice_chord(build_chord(scale, degree, "ninth").pitch_classes, 62, 9, previous)
        assert min(previous) >= 53 and max(previous) <= 71


def test_nearest_takes_the_lower_of_two() -> None:
    assert nearest(61, [60, 62]) == 60
    assert nearest(61.2, [60, 62]) == 62
