"""Distances from music: those of the metrics, refused or stamped where the clips are too few."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.evaluation.apart import distance, mean_of_seeds, small_stamps
from eeg2music.metrics.density import density_coverage
from eeg2music.metrics.frechet import frechet_distance, frechet_infinity
from eeg2music.metrics.kernel import kernel_distance
from eeg2music.metrics.kernel_songs import song_kernel_distance
from eeg2music.seeding import numpy_rng

DIM = 4
SONGS = numpy_rng(0, "songs").normal(size=(60, DIM)).astype(np.float32)
CLIPS = (numpy_rng(0, "clips").normal(size=(40, DIM)) + 0.5).astype(np.float32)


def test_every_distance_is_that_of_its_metric() -> None:
    found = distance(CLIPS, SONGS, seed=3)
    assert found["frechet"] == pytest.approx(frechet_distance(CLIPS, SONGS))
    assert found["kernel"] == pytest.approx(kernel_distance(SONGS, CLIPS))
    assert found["kernel_reversed"] == pytest.approx(kernel_distance(CLIPS, SONGS))
    endless = frechet_infinity(SONGS, CLIPS, seed=3)
    assert found["frechet_infinity"]["value"] == pytest.approx(endless.value)
    assert found["frechet_infinity"]["ci95"] == pytest.approx([endless.low, endless.high])
    low, high = found["kernel_ci95"]
    assert low < found["kernel"] < high
    assert found["coverage"] == density_coverage(SONGS, CLIPS)._asdict()
    assert (found["n"], found["songs"], found["draws"], found["n_reference"], found["dim"]) == (40, 40, 1, 60, DIM)
    assert (found["too_few_for_frechet"], found["refused"]) == (False, None)
    assert found["audio"]["seconds"] == 5.0 and "nothing normalised" in found["audio"]["loudness"]
    json.dumps(found, allow_nan=False)


def test_distances_of_the_same_are_zero_and_grow() -> None:
    same, far = distance(SONGS, SONGS), distance(SONGS + 3.0, SONGS)
    assert same["frechet"] == pytest.approx(0.0, abs=1e-3)
    assert far["frechet"] == pytest.approx(36.0, rel=0.01)
    assert far["kernel"] > same["kernel"]
    assert far["coverage"]["coverage"] < same["coverage"]["coverage"]


@pytest.mark.parametrize(("clips", "songs"), [(7, 60), (40, 7)])
def test_too_few_on_either_side_refuse_the_plain_distance_alone(clips: int, songs: int) -> None:
    found = distance(CLIPS[:clips], SONGS[:songs])
    assert found["frechet"] is None
    assert (
        f"{clips} songs and {songs} reference songs in 4 dimensions: a Fréchet distance takes 8 of both"
        in found["refused"]
    )
    assert found["kernel"] == pytest.approx(kernel_distance(SONGS[:songs], CLIPS[:clips]))
    allowed = distance(CLIPS[:clips], SONGS[:songs], allow_small=True)
    assert allowed["frechet"] == pytest.approx(frechet_distance(CLIPS[:clips], SONGS[:songs]))
    assert (allowed["too_few_for_frechet"], allowed["refused"]) == (True, None)


def test_what_is_measured_of_too_few_is_stamped_and_what_is_refused_needs_none() -> None:
    small = distance(CLIPS[:7], SONGS)
    asked = distance(CLIPS[:7], SONGS, allow_small=True)
    whole = distance(CLIPS, SONGS)
    found = small_stamps("clean", {"brain": small, "no_brain": asked, "oracle": whole})
    assert found == [
        "SMALL: clean: the Fréchet distance of no brain is over 7 songs and 60 reference songs in 4 dimensions, and "
        "biased upward."
    ]


def test_nothing_is_measured_of_clips_that_are_all_one() -> None:
    """A generator that collapsed: half of the pairs are equal, a kernel over them has no width."""
    collapsed = distance(np.repeat(CLIPS[:2], 10, axis=0)[:14], SONGS)
    assert collapsed["kernel"] is None and "equal" in collapsed["why"]
    assert distance(CLIPS[:1], SONGS)["why"] == "one clip is no distribution"
    assert distance(CLIPS[:3], SONGS, [5, 5, 5])["why"] == "one song is no distribution"


@pytest.mark.parametrize("songs", [0, 1])
def test_without_songs_that_were_not_heard_nothing_is_measured(songs: int) -> None:
    """Prepared recordings come without further songs; from the heard ones everything made of them lies too near."""
    found = distance(CLIPS, SONGS[:songs])
    assert "no songs to compare with" in found["why"] and found["kernel"] is None
    assert found["n_reference"] == songs
    json.dumps(mean_of_seeds([found]), allow_nan=False)


def test_clips_of_one_song_count_once() -> None:
    """Whether four listeners heard each song, or one: copies change no distance, no interval and no verdict."""
    once, copied = distance(CLIPS[:7], SONGS), distance(np.tile(CLIPS[:7], (4, 1)), SONGS, np.tile(np.arange(7), 4))
    assert (copied["n"], copied["songs"], copied["draws"]) == (28, 7, 4)
    assert copied["too_few_for_frechet"] and copied["refused"] == once["refused"]
    assert copied["kernel"] == pytest.approx(once["kernel"], abs=1e-9)
    assert copied["kernel_reversed"] == pytest.approx(once["kernel_reversed"], abs=1e-9)
    assert copied["kernel_ci95"] == pytest.approx(once["kernel_ci95"], abs=1e-9)
    assert copied["coverage"] == once["coverage"]
    once, copied = distance(CLIPS, SONGS), distance(np.tile(CLIPS, (4, 1)), SONGS, np.tile(np.arange(40), 4))
    assert copied["frechet"] == pytest.approx(once["frechet"])
    for key in ("value", "ci95"):
        assert copied["frechet_infinity"][key] == pytest.approx(once["frechet_infinity"][key])
    taken_for_songs = distance(np.tile(CLIPS, (4, 1)), SONGS)
    assert taken_for_songs["kernel"] > copied["kernel"] + 0.5
    assert taken_for_songs["frechet_infinity"]["value"] > copied["frechet_infinity"]["value"]


def test_distances_are_means_over_draws_of_one_clip_a_song() -> None:
    songs = np.tile(np.arange(20), 2)
    found = distance(CLIPS, SONGS, songs, seed=1)
    draws = [distance(CLIPS[:20], SONGS, seed=1), distance(CLIPS[20:], SONGS, seed=1)]
    assert found["frechet"] == pytest.approx(np.mean([one["frechet"] for one in draws]))
    for name, key in (("frechet_infinity", "value"), ("coverage", "coverage"), ("coverage", "density")):
        assert found[name][key] == pytest.approx(np.mean([one[name][key] for one in draws]))
    # The kernel's is the mean over all ways to draw, of which these two are not all.
    assert found["kernel"] == pytest.approx(song_kernel_distance(SONGS, CLIPS, songs).value)
    assert found["kernel"] != pytest.approx(np.mean([one["kernel"] for one in draws]))
    assert found["coverage"]["n_generated"] == 20


def test_values_that_are_not_finite_are_refused() -> None:
    broken = CLIPS.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="the generated clips holds 1 of 160 values that are not finite"):
        distance(broken, SONGS)
    with pytest.raises(InputError, match="the reference songs"):
        distance(CLIPS, broken)


def test_means_over_seeds_keep_each_seed() -> None:
    by_seed = [distance(CLIPS, SONGS, seed=0), distance(CLIPS[:30] + 1.0, SONGS, seed=1)]
    found = mean_of_seeds(by_seed)
    assert found["kernel"] == pytest.approx(np.mean([one["kernel"] for one in by_seed]))
    endless = [one["frechet_infinity"]["value"] for one in by_seed]
    assert found["frechet_infinity"]["value"] == pytest.approx(np.mean(endless))
    # An interval is one seed's.
    assert found["kernel_ci95"] is None and found["seeds"][1]["kernel_ci95"] is not None
    assert "ci95" not in found["frechet_infinity"] and "ci95" in found["seeds"][1]["frechet_infinity"]
    assert found["coverage"]["density"] == pytest.approx(np.mean([one["coverage"]["density"] for one in by_seed]))
    assert [one["seed"] for one in found["seeds"]] == [0, 1]
    assert mean_of_seeds([distance(CLIPS[:5], SONGS)])["frechet"] is None
