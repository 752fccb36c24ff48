"""What can be guessed without a brain: analytic cases and planted leaks."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.signal_blind import (
    genre_guess_accuracy,
    genre_oracle,
    signal_blind,
    song_oracle,
)
from eeg2music.metrics.retrieval import identification_accuracy

TEN_GENRES = [clip % 10 for clip in range(60)]


@pytest.mark.parametrize(("ties", "beaten"), [("half", 54 + 5 / 2), ("lose", 54), ("win", 59)])
def test_a_perfect_guess_of_the_genre_of_60_clips(ties: str, beaten: float) -> None:
    assert genre_guess_accuracy(TEN_GENRES, ties=ties) == pytest.approx(beaten / 59)  # type: ignore[arg-type]


def test_the_metric_gives_the_same_0958() -> None:
    """A prediction that is the genre and nothing more, against clips that are their genre and nothing more."""
    one_hot = np.eye(10)[TEN_GENRES]
    assert identification_accuracy(one_hot, one_hot) == pytest.approx(56.5 / 59) == pytest.approx(0.958, abs=0.0005)


def test_clips_that_differ_within_the_genre_average_to_the_same() -> None:
    """No ties, but which clip of the genre lies nearest to its middle is luck."""
    rng = np.random.default_rng(0)
    centres = 10.0 * np.eye(10, 64)
    found = []
    for _ in range(20):
        clips = centres[TEN_GENRES] + rng.standard_normal((60, 64))
        outside = centres[TEN_GENRES] + rng.standard_normal((60, 64))
        guess = genre_oracle(clips, TEN_GENRES, range(60), reference=(outside, TEN_GENRES, range(100, 160)))
        found.append(identification_accuracy(guess, clips))
    assert np.mean(found) == pytest.approx(56.5 / 59, abs=0.006)


def test_means_over_the_gallery_itself_rank_the_own_clip_last_of_its_genre() -> None:
    rng = np.random.default_rng(0)
    clips = 10.0 * np.eye(10, 64)[TEN_GENRES] + rng.standard_normal((60, 64))
    found = identification_accuracy(genre_oracle(clips, TEN_GENRES, range(60)), clips)
    assert found == pytest.approx(54 / 59, abs=0.01)


def test_unequal_genres() -> None:
    assert genre_guess_accuracy(["a", "a", "a", "b"]) == pytest.approx((3 * (1 + 1) / 3 + 1) / 4)


def test_the_genre_oracle_leaves_out_the_own_song_and_counts_songs_alike() -> None:
    embeddings = np.array([[1.0], [2.0], [10.0], [10.0], [10.0], [20.0]])
    songs = ["x", "x", "y", "y", "y", "z"]
    found = genre_oracle(embeddings, ["a"] * 6, songs)
    np.testing.assert_allclose(found.ravel(), [15, 15, 10.75, 10.75, 10.75, 5.75])


def test_the_genre_oracle_leaves_out_the_own_song_of_the_reference_too() -> None:
    found = genre_oracle([[0.0]], ["a"], ["x"], reference=([[5.0], [7.0]], ["a", "a"], ["x", "y"]))
    assert found.item() == 7.0


def test_a_lonely_style_is_named() -> None:
    with pytest.raises(DataError, match="'b' has no song beside 'y'"):
        genre_oracle(np.eye(3), ["a", "a", "b"], ["w", "x", "y"])


def test_the_song_oracle_leaves_out_the_same_window_heard_by_others() -> None:
    embeddings = np.array([[1.0], [1.0], [5.0], [9.0]])
    found = song_oracle(embeddings, ["s"] * 4, ["w0", "w0", "w1", "w2"])
    np.testing.assert_allclose(found.ravel(), [7.0, 7.0, 5.0, 3.0])
    with pytest.raises(DataError, match="one window only"):
        song_oracle(embeddings[:2], ["s", "s"], ["w0", "w0"])


def test_signal_blind_finds_what_the_design_gives_away() -> None:
    """Embeddings that follow the style, and a numeric column that they follow linearly."""
    rng = np.random.default_rng(0)
    styles, tempo = [f"style {k}" for k in rng.integers(0, 4, 80)], rng.uniform(60.0, 180.0, 80)
    centres = {f"style {k}": rng.normal(size=6) for k in range(4)}
    slope = rng.normal(size=6) / 50.0
    target = np.stack([centres[s] + t * slope for s, t in zip(styles, tempo, strict=True)])
    metadata = {"style": styles, "tempo": tempo}
    sides = [{name: list(column)[part] for name, column in metadata.items()} for part in (slice(60), slice(60, 80))]
    found = signal_blind(sides[0], target[:60], sides[1], penalty=1e-6)
    np.testing.assert_allclose(found, target[60:], atol=1e-3)


def test_signal_blind_knows_nothing_of_an_unseen_label() -> None:
    target = np.array([[0.0], [2.0]])
    found = signal_blind({"song": ["a", "b"]}, target, {"song": ["c"]}, penalty=1e-9)
    assert found.item() == pytest.approx(1.0)


def test_metadata_without_a_link_scores_chance() -> None:
    rng = np.random.default_rng(0)
    train = {"order": list(range(40)), "subject": [k % 4 for k in range(40)]}
    test = {"order": list(range(40)), "subject": [k % 4 for k in range(40)]}
    found = [
        identification_accuracy(signal_blind(train, rng.normal(size=(40, 8)), test), rng.normal(size=(40, 8)))
        for _ in range(30)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_columns_must_match() -> None:
    with pytest.raises(InputError, match="Metadata"):
        signal_blind({"style": ["a"]}, [[0.0]], {"tempo": [1.0]})
