"""Classes of songs: the composer's truth, and music that was planted to be of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eeg2music.evaluation.song_classes import CLASSES, Labels, agreement_of_classes, song_classes
from eeg2music.evaluation.units import Matched
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.annotations import annotate
from eeg2music.simulation.composer import compose
from eeg2music.simulation.library import song_ids

DIM = 12
SONGS = [f"song-{number}" for number in range(24)]


def test_the_truth_is_the_composers() -> None:
    songs = song_ids(None, 3, 30)
    found = song_classes(songs, 6.0)
    assert set(found) == set(CLASSES) == {"genre", "mood", "instrument"}
    for place, song in enumerate(songs):
        facts = annotate(compose(song, duration_s=6.0))
        assert found["genre"][place] == facts["style"]
        assert found["instrument"][place] == facts["instruments"]["melody"]
        words = {"tense": (True, True), "joyful": (True, False), "gloomy": (False, True), "peaceful": (False, False)}
        minor = facts["mode"] in ("minor", "dorian", "phrygian")
        assert words[str(found["mood"][place])] == (facts["tempo_bpm"] >= 110, minor)


def labels(count: int, shift: int = 0, styles: int = 3) -> Labels:
    numbers = np.arange(count) + shift
    return {
        "genre": [f"style-{n % styles}" for n in numbers],
        "mood": [("tense", "joyful", "gloomy", "peaceful")[n % 4] for n in numbers],
        "instrument": ["flute"] * count,
    }


def vectors(of: Labels, name: str) -> np.ndarray:
    """A direction for each genre and for each mood, and noise."""
    moods = ["tense", "joyful", "gloomy", "peaceful"]
    found = 0.05 * numpy_rng(0, name).standard_normal((len(of["genre"]), DIM))
    for row, (genre, mood) in enumerate(zip(of["genre"], of["mood"], strict=True)):
        found[row, int(str(genre)[-1])] += 1.0
        found[row, 5 + moods.index(str(mood))] += 1.0
    return found.astype(np.float32)


def score(made: dict[str, Matched], classes: Labels, bank: Labels) -> dict[str, Any]:
    return agreement_of_classes(
        made, songs=SONGS, classes=classes, bank=vectors(bank, "bank"), bank_classes=bank, seed=0
    )


def test_music_of_the_right_class_agrees_and_that_of_another_song_does_not() -> None:
    classes, bank = labels(24), labels(36, shift=1)
    heard, target = vectors(classes, "heard"), np.arange(24)
    other = numpy_rng(0, "order").permutation(24)
    made = {
        "brain": Matched(heard, heard, target),
        "shuffled": Matched(heard[other], heard, target),
        "oracle": Matched(heard, heard, target),
    }
    found = score(made, classes, bank)
    for name in ("heard", "brain", "oracle"):
        rows = {row["kind"]: row for row in found["rows"][name]}
        assert set(rows) == {"genre", "mood"}
        assert rows["genre"]["balanced_accuracy"] == rows["mood"]["balanced_accuracy"] == 1.0
        assert rows["mood"]["balanced_chance"] == pytest.approx(0.25)
        assert rows["mood"]["p_value"] < 0.01
    shuffled = {row["kind"]: row for row in found["rows"]["shuffled"]}
    assert shuffled["mood"]["balanced_accuracy"] < 0.6
    assert shuffled["mood"]["p_value"] > 0.05
    assert shuffled["mood"]["oracle"] == 1.0
    assert found["bank"] == 36


def test_one_style_is_said_and_not_scored() -> None:
    classes, bank = labels(24, styles=1), labels(36, styles=1)
    heard = vectors(classes, "heard")
    found = score({"brain": Matched(heard, heard, np.arange(24))}, classes, bank)
    assert "style-0" in found["why"]["genre"]
    assert "flute" in found["why"]["instrument"]
    assert {row["kind"] for row in found["rows"]["brain"]} == {"mood"}


def test_the_oracle_of_other_windows_stands_beside_nothing() -> None:
    classes, bank = labels(24), labels(36)
    heard = vectors(classes, "heard")
    made = {
        "brain": Matched(heard[:12], heard, np.arange(12)),
        "oracle": Matched(heard[12:], heard, np.arange(12, 24)),
    }
    found = score(made, classes, bank)
    assert all(row["oracle"] is None for row in found["rows"]["brain"])
    assert all(row["oracle"] == 1.0 for row in found["rows"]["oracle"])
    assert all(row["n"] == 24 for row in found["rows"]["heard"])
