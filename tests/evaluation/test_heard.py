"""Queries and gallery keep their order, and vectors mean what they say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from eeg2music.errors import DataError
from eeg2music.evaluation.heard import (
    Heard,
    audio_conditions,
    condition_vectors,
    curve_vectors,
    scorer_vectors,
    take,
)
from eeg2music.seeding import torch_noise
from eeg2music.types import STEMS, Conditions

MakeHeard = Callable[..., Heard]


def conditions(count: int) -> Conditions:
    def unit(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch_noise((count, *shape), 0, *shape), dim=-1)

    return Conditions(unit(16), unit(4, 16), torch_noise((count, 4, 3, 8), 0))


class Listener:
    """A stand-in for CLAP and scorer: mean, deviation and their likes of the samples."""

    def __init__(self) -> None:
        self.largest_batch = 0

    def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
        self.largest_batch = max(self.largest_batch, len(audio))
        return torch.stack([audio.std(1), audio.abs().mean(1), audio[:, 100], torch.ones(len(audio))], dim=1)

    embed = embed_audio


def test_queries_know_their_songs_and_subjects(make_heard: MakeHeard) -> None:
    heard = make_heard(3)
    assert heard.query_songs == ("song-0", "song-1", "song-2") * 2
    assert heard.query_subjects == ("sub-a",) * 3 + ("sub-b",) * 3


def test_selecting_queries_keeps_the_gallery(make_heard: MakeHeard) -> None:
    heard = make_heard(3)
    some = heard.select([4, 0])
    assert [window.window_id for window in some.windows] == ["sub-b/song-1", "sub-a/song-0"]
    assert some.target.tolist() == [1, 0]
    assert some.query_songs == ("song-1", "song-0")
    assert some.stems is heard.stems
    assert some.songs == heard.songs


def test_a_song_twice_in_the_gallery_is_refused(make_heard: MakeHeard) -> None:
    heard = make_heard(2)
    with pytest.raises(DataError, match="stands twice in the gallery"):
        Heard(heard.windows, heard.target, heard.stems, ("song-0", "song-0"), "noise")


def test_every_window_needs_a_target(make_heard: MakeHeard) -> None:
    heard = make_heard(2)
    with pytest.raises(DataError, match="4 windows but 3 targets"):
        Heard(heard.windows, heard.target[:3], heard.stems, heard.songs, "noise")


def test_the_audios_own_conditions_row_by_row(make_heard: MakeHeard) -> None:
    stems, clap = make_heard(5).stems, Listener()
    whole = audio_conditions(clap, stems, batch_size=2)
    assert clap.largest_batch == 2 * len(STEMS)
    assert whole.global_embedding.shape == (5, 4)
    assert whole.stem_embedding.shape == (5, len(STEMS), 4)
    assert whole.curves.shape == (5, len(STEMS), 3, 160)
    for row in range(5):
        alone = audio_conditions(clap, stems[row : row + 1])
        assert torch.allclose(alone.global_embedding[0], whole.global_embedding[row])
        assert torch.allclose(alone.curves[0], whole.curves[row], atol=1e-5)
    mix = torch.from_numpy(stems[3].sum(0, keepdims=True))
    assert torch.allclose(whole.global_embedding[3], clap.embed_audio(mix)[0])
    assert torch.allclose(whole.stem_embedding[3, 2], clap.embed_audio(torch.from_numpy(stems[3, 2:3]))[0])


def test_rows_are_taken_in_the_order_asked_for() -> None:
    whole = conditions(4)
    some = take(whole, [2, 0, 2])
    assert torch.equal(some.curves, whole.curves[[2, 0, 2]])
    assert torch.equal(take(whole, np.array([3])).global_embedding[0], whole.global_embedding[3])


def test_the_cosine_of_vectors_is_the_mean_cosine_of_their_parts() -> None:
    some = conditions(6)
    vectors = condition_vectors(some)
    assert vectors.shape == (6, 5 * 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    parts = torch.cat([some.global_embedding[:, None], some.stem_embedding], dim=1)
    mean = torch.einsum("ipd,jpd->ij", parts, parts) / 5
    assert vectors @ vectors.T == pytest.approx(mean.numpy(), abs=1e-5)


def test_curves_have_no_part_in_the_vectors() -> None:
    some = conditions(2)
    assert np.array_equal(condition_vectors(some), condition_vectors(some.replace(curves=torch.zeros(2, 4, 3, 8))))


def test_the_cosine_of_curve_vectors_is_their_mean_correlation() -> None:
    some = conditions(5).replace(curves=torch.rand(5, 4, 3, 40, generator=torch.Generator().manual_seed(0)))
    # Neither level nor size of a curve counts.
    moved = some.replace(curves=3.0 * some.curves + torch.arange(3.0)[:, None])
    vectors = curve_vectors(some)
    assert vectors.shape == (5, 4 * 3 * 40)
    assert curve_vectors(moved) == pytest.approx(vectors, abs=1e-5)
    rows = some.curves.numpy().reshape(5, 12, 40)
    expected = [
        [np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(one, two, strict=True)]) for two in rows] for one in rows
    ]
    assert vectors @ vectors.T == pytest.approx(np.array(expected), abs=1e-5)


def test_a_curve_that_does_not_move_speaks_for_no_song() -> None:
    curves = torch.rand(2, 4, 3, 40, generator=torch.Generator().manual_seed(1))
    curves[:, 1, 2] = 0.37
    vectors = curve_vectors(conditions(2).replace(curves=curves)).reshape(2, 4, 3, 40)
    assert not vectors[:, 1, 2].any()
    assert np.linalg.norm(vectors.reshape(2, -1), axis=1) == pytest.approx(np.sqrt([11 / 12] * 2), abs=1e-5)


def test_the_scorer_hears_the_sum_of_the_stems(make_heard: MakeHeard) -> None:
    stems, scorer = make_heard(5).stems, Listener()
    vectors = scorer_vectors(scorer, stems, batch_size=2)
    assert scorer.largest_batch == 2
    expected = scorer.embed(torch.from_numpy(stems.sum(1))).numpy()
    assert vectors == pytest.approx(expected, abs=1e-6)
