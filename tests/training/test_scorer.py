"""The scorer task: items, labels, the loop, scores, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eeg2music.scoring.encoder import ScorerNet
from eeg2music.simulation.library import song_ids, write_songs
from eeg2music.training.data import StimuliFolder
from eeg2music.training.order import collate
from eeg2music.training.scorer import ScorerConfig, ScorerTask
from eeg2music.training.scorer_scores import scorer_scores
from eeg2music.types import SAMPLE_RATE_HZ
from eeg2music.weights import load_model

SMALL = {"window_s": 1.5, "group": 3, "width": 8}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("music")
    write_songs(root, song_ids("rock", 6, 4) + song_ids("waltz", 6, 3), duration_s=5.0, workers=1)
    return root


@pytest.fixture(scope="module")
def task(music: Path) -> ScorerTask:
    return ScorerTask(ScorerConfig(data=str(music), **SMALL), seed=3)


@pytest.fixture(scope="module")
def items(task: ScorerTask):
    return task.train_items()


def one(x: torch.Tensor) -> torch.Tensor:
    return x


def test_an_item_depends_on_index_and_draw_alone(task: ScorerTask, items) -> None:
    first = items.item(1, 2)
    items.item(0, 0)
    other = ScorerTask(task.config, seed=3).train_items().item(1, 2)
    np.testing.assert_array_equal(first["power"], other["power"])
    assert first["power"].shape[:3] == (6, 2, 96) and np.isfinite(first["power"]).all()
    assert not np.array_equal(first["power"], items.item(1, 3)["power"])
    assert len(set(first["pair"].tolist())) == 6


def test_cached_power_is_that_of_the_audio(items, music: Path) -> None:
    from eeg2music.scoring.encoder import HOP, LogFrequency

    song, start = items.groups.songs[0], 12
    audio = StimuliFolder(music).crop(song, ["mix"], start * HOP / SAMPLE_RATE_HZ, 1.5)
    expected = LogFrequency()(torch.from_numpy(audio))[0].numpy()
    found = items._power(song, start)[-1]
    loud = expected > 1e-6 * expected.max()
    np.testing.assert_allclose(found[loud], expected[loud], rtol=1e-2)


def test_windows_of_a_song_are_apart(items) -> None:
    from eeg2music.seeding import numpy_rng

    for number in range(20):
        starts = items._starts(items.groups.songs[0], numpy_rng(number))
        assert abs(starts[0] - starts[1]) >= items.frames // 5


def test_the_loss_of_two_processes_is_that_of_one(task: ScorerTask, items) -> None:
    torch.manual_seed(0)
    model = task.build_model()
    whole = collate([items.item(0, 0), items.item(1, 0)])
    seen: list[torch.Tensor] = []

    def record(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return x

    expected = task.loss(model, whole, step=0, gather=record)["loss"]
    halves = []
    for half in (0, 1):
        calls = iter(seen)
        batch = {key: value[half : half + 1] for key, value in whole.items()}
        halves.append(task.loss(model, batch, step=0, gather=lambda _: next(calls))["loss"])  # noqa: B023
    torch.testing.assert_close((halves[0] + halves[1]) / 2, expected, rtol=0, atol=1e-5)


def test_it_trains_and_exports(music: Path, tmp_path: Path) -> None:
    from eeg2music.training.loop import train

    overrides = [
        f"task.data={music}", f"train.out={tmp_path / 'run'}", "train.steps=3", "task.window_s=1.5", "task.group=2",
        "train.valid_every=0", "train.tensorboard=false",
    ]  # fmt: skip
    result = train("scorer", "scorer/smoke", overrides)
    assert result.finished
    scorer = load_model(ScorerNet, result.export)
    assert scorer.embed(torch.rand(1, SAMPLE_RATE_HZ)).shape == (1, 128)


@pytest.fixture(scope="module")
def trained(music: Path) -> ScorerTask:
    """A task with a model of 60 steps as attribute `model`."""
    task = ScorerTask(ScorerConfig(data=str(music), **{**SMALL, "width": 32, "group": 6}), seed=0)
    items = task.train_items()
    torch.manual_seed(0)
    task.model = task.build_model()  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW(task.model.parameters(), 3e-3)  # type: ignore[attr-defined]
    task.losses = []  # type: ignore[attr-defined]
    for step in range(60):
        batch = collate([items.item(step % len(items), step)])
        parts = task.loss(task.model, batch, step=step, gather=one)  # type: ignore[attr-defined]
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        task.losses.append(float(parts["loss"].detach()))  # type: ignore[attr-defined]
    return task


@pytest.mark.slow
def test_it_learns_and_scores_better_than_chance(trained: ScorerTask, music: Path) -> None:
    assert np.mean(trained.losses[-10:]) < 0.8 * np.mean(trained.losses[:5])  # type: ignore[attr-defined]
    scores = scorer_scores(trained.model.scorer.eval(), StimuliFolder(music), 1.5)  # type: ignore[attr-defined]
    assert scores["gallery"] == 3.5
    assert scores["noisy_top1"] > 0.6


def test_a_scorer_that_tells_nothing_apart_scores_chance_on_any_device(music: Path) -> None:
    class Constant:
        def embed(self, audio: torch.Tensor) -> torch.Tensor:
            return torch.eye(4, device="cpu")[[0] * len(audio)]

    scores = scorer_scores(Constant(), StimuliFolder(music), 1.5)  # type: ignore[arg-type]
    assert scores["heavy_pairwise"] == 0.5
    chance = np.mean([1 / 4, 1 / 3])
    assert scores["heavy_top1"] == pytest.approx(chance) and scores["noisy_top1"] == pytest.approx(chance)


def test_scores_of_an_untrained_scorer_are_shares(music: Path) -> None:
    torch.manual_seed(0)
    scores = scorer_scores(ScorerNet(width=8).eval(), StimuliFolder(music), 1.5)
    assert {"heavy_top1", "heavy_pairwise", "other_time", "smeared_top1", "gallery"} <= set(scores)
    assert all(0.0 <= value <= 1.0 for key, value in scores.items() if key != "gallery")
