"""Random notes have no clear key and random onsets no clear beat; music has both."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import mixing_band as band
import numpy as np
import pytest

from eeg2music.mixing import chance
from eeg2music.mixing.harmony import analyse_harmony
from eeg2music.mixing.mixer import mix
from eeg2music.mixing.rhythm import analyse_rhythm
from eeg2music.seeding import numpy_rng
from eeg2music.types import REGIONS, SAMPLE_RATE_HZ, STEMS, FloatArray

SECONDS = 10.0


def onsets(rng: np.random.Generator) -> list[float]:
    at = np.cumsum(rng.exponential(0.3, size=200))
    return [float(second) for second in at if second < SECONDS - 0.5]


def random_notes(seed: int) -> FloatArray:
    rng = numpy_rng(seed, "notes")
    return band.place([(at, band.note(int(rng.integers(45, 93)), 0.5)) for at in onsets(rng)], SECONDS, 0.1)


def random_bursts(seed: int) -> FloatArray:
    rng = numpy_rng(seed, "bursts")
    sound = 0.001 * rng.standard_normal(round(SECONDS * SAMPLE_RATE_HZ))
    for at in onsets(rng):
        first = round(at * SAMPLE_RATE_HZ)
        sound[first : first + 4800] += 0.1 * rng.standard_normal(4800) * np.exp(-np.arange(4800) / 1200)
    return sound.astype(np.float32)


@pytest.mark.parametrize("sound", [random_notes, random_bursts])
def test_where_nothing_is_little_is_clear(sound: Callable[[int], FloatArray]) -> None:
    clips = [sound(seed) for seed in range(12)]
    keys = [chance.key_is_clear(analyse_harmony(clip)) for clip in clips]
    tempi = [chance.tempo_is_clear(analyse_rhythm(clip), SECONDS) for clip in clips]
    # One in twenty, by the limits' definition: three or more of twelve would be one case in fifty.
    assert sum(keys) <= 2 and sum(tempi) <= 2


def test_music_has_a_clear_key_and_a_clear_beat() -> None:
    assert chance.key_is_clear(analyse_harmony(band.harmony(110.0, 3, seconds=SECONDS)))
    assert chance.tempo_is_clear(analyse_rhythm(band.drums(110.0, seconds=SECONDS)), SECONDS)


def test_silence_is_not_clear() -> None:
    silence = np.zeros(round(SECONDS * SAMPLE_RATE_HZ), dtype=np.float32)
    assert not chance.key_is_clear(analyse_harmony(silence))
    assert not chance.tempo_is_clear(analyse_rhythm(silence), SECONDS)


def test_the_shorter_the_clip_the_more_is_asked_of_a_tempo() -> None:
    limits = [chance.tempo_confidence(seconds) for seconds in (2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 30.0, 120.0)]
    assert limits[:2] == [0.47, 0.47] and limits[-2:] == [0.055, 0.055]
    assert all(first > second for first, second in pairwise(limits[1:-1]))


def test_the_mixer_says_what_is_clear() -> None:
    stems = np.stack([random_bursts(1), band.harmony(110.0, 3, seconds=SECONDS), random_notes(2), np.zeros(240_000)])
    report = mix(stems.astype(np.float32), regions=REGIONS).report
    assert [report["stems"][name]["key_is_clear"] for name in STEMS] == [False, True, False, False]
    assert report["by_chance"] == {"key_fit": chance.KEY_FIT, "tempo_confidence": 0.09}
    for row in report["stems"].values():
        assert row["tempo_is_clear"] == (row["tempo_confidence"] > 0.09)
