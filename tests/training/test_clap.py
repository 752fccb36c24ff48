"""The CLAP task: items, labels, masks, the loop, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eeg2music.simulation.library import song_ids, write_songs
from eeg2music.targets.pretrained import load_clap
from eeg2music.targets.towers import SILENCE
from eeg2music.training.clap import SUMMARY, ClapConfig, ClapTask, window_summary
from eeg2music.training.clap_scores import clap_scores
from eeg2music.training.data import StimuliFolder
from eeg2music.training.order import collate
from eeg2music.types import SAMPLE_RATE_HZ

SMALL = {
    "window_s": 1.5, "shortest_s": 1.0, "group": 3, "vocabulary": 200, "audio_width": 16, "dilations": (1,),
    "text_width": 16, "text_layers": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("music")
    write_songs(root, song_ids("funk", 5, 4) + song_ids("waltz", 5, 4), duration_s=4.0, workers=1)
    return root


@pytest.fixture(scope="module")
def task(music: Path) -> ClapTask:
    return ClapTask(ClapConfig(data=str(music), **SMALL), seed=3)


@pytest.fixture(scope="module")
def items(task: ClapTask):
    return task.train_items()


def one(x: torch.Tensor) -> torch.Tensor:
    return x


def test_an_item_depends_on_index_and_draw_alone(task: ClapTask, items, music: Path) -> None:
    first = items.item(1, 2)
    for _ in range(2):
        items.item(0, 0)
    other = ClapTask(task.config, seed=3).train_items().item(1, 2)
    for key, value in first.items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(other[key]))
    assert not np.array_equal(first["mel"], items.item(1, 3)["mel"])
    assert first["mel"].shape[:3] == (6, 2, 128) and first["tokens"].shape == (6, 48)
    assert len(set(first["pair"].tolist())) == 6


def test_held_out_songs_are_not_trained_on(task: ClapTask, items) -> None:
    assert not set(task.songs.songs) & set(task.valid_songs.songs)
    assert task.manifest()["songs"] == list(task.songs.songs)
    assert task.manifest()["valid"]["songs"] == list(task.valid_songs.songs)


def test_two_processes_have_the_loss_and_the_gradients_of_one(task: ClapTask, items) -> None:
    """Also where one of them has silent windows and no captions; gathering emulated."""
    torch.manual_seed(0)
    model = task.build_model()
    whole = collate([items.item(0, 0), items.item(1, 0)])
    whole["mel"][0, 2:5] = SILENCE
    whole["captioned"][1, 1:] = False
    halves = [{key: value[half : half + 1] for key, value in whole.items()} for half in (0, 1)]
    seen: list[list[torch.Tensor]] = [[], []]
    for half in (0, 1):
        task.loss(model, halves[half], step=0, gather=lambda x: seen[half].append(x) or x)  # noqa: B023

    def joined():
        turns = iter(zip(*seen, strict=True))
        return lambda _: torch.cat(next(turns))

    def gradients(losses: list[torch.Tensor]) -> list[torch.Tensor]:
        total = torch.stack(losses).mean()
        return list(torch.autograd.grad(total, list(model.parameters()), retain_graph=True, allow_unused=True))

    one_loss = task.loss(model, whole, step=0, gather=one)
    losses = [task.loss(model, halves[half], step=0, gather=joined()) for half in (0, 1)]
    for part in ("loss", "audio", "text", "summary"):
        torch.testing.assert_close((losses[0][part] + losses[1][part]) / 2, one_loss[part], rtol=0, atol=1e-5)
    # Gathered tensors carry both halves' graphs, as if the processes' gradients were summed and averaged.
    found, wanted = gradients([loss["loss"] for loss in losses]), gradients([one_loss["loss"]])
    for left, right in zip(found, wanted, strict=True):
        assert (left is None) == (right is None)
        if left is not None:
            torch.testing.assert_close(left, right, rtol=0, atol=1e-5)


def test_silent_windows_and_missing_captions_take_no_part(task: ClapTask, items) -> None:
    model = task.build_model()
    batch = collate([items.item(0, 0)])
    batch["mel"] = torch.full_like(batch["mel"], SILENCE)
    batch["captioned"] = torch.zeros_like(batch["captioned"])
    parts = task.loss(model, batch, step=0, gather=one)
    assert parts["audio"].item() == 0.0 and parts["text"].item() == 0.0
    parts["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in model.parameters())


def test_colouring_leaves_silence_silent(task: ClapTask, items, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items.features, "window", lambda song, track, start, frames: np.full((128, frames), SILENCE))
    assert (items.item(0, 0)["mel"] == SILENCE).all()


def test_the_summary_of_a_window() -> None:
    mel = torch.zeros(1, 128, 100)
    mel[:, :32, 50:] = 2.0
    out = window_summary(mel)[0]
    assert out.shape == (SUMMARY,)
    assert float(out[0]) == 1.0 and float(out[127]) == 0.0
    course = out[256:].reshape(4, 10)
    torch.testing.assert_close(course[0], torch.tensor([-1.0] * 5 + [1.0] * 5))
    assert float(course[1:].abs().max()) == 0.0


def test_it_trains_and_exports(music: Path, tmp_path: Path) -> None:
    from eeg2music.training.loop import train

    overrides = [
        f"task.data={music}", f"task.valid_data={tmp_path}", f"train.out={tmp_path / 'run'}", "train.steps=4",
        "task.window_s=1.5", "task.group=3", "task.shortest_s=1.0", "train.log_every=1", "train.valid_every=0",
        "train.tensorboard=false",
    ]  # fmt: skip
    write_songs(tmp_path, song_ids("funk", 6, 2), duration_s=4.0, workers=1)
    result = train("clap", "clap/smoke", overrides)
    assert result.finished and 0.0 <= result.figures["mix_top1"] <= 1.0
    clap = load_clap(result.export)
    assert clap.embed_audio(torch.zeros(1, SAMPLE_RATE_HZ)).shape == (1, 128)
    assert (result.export / "training_manifest.json").is_file()


def test_a_perfect_clap_scores_one_and_a_random_one_chance(music: Path) -> None:
    folder = StimuliFolder(music)

    class Oracle:
        """Knows each song by heart: recognizes audio by a table, captions by the song's own number."""

        def __init__(self) -> None:
            self.known: dict[bytes, int] = {}
            for number, song in enumerate(folder.songs):
                for track in ("mix", "drums", "bass", "harmony", "melody"):
                    for start in (0.0, folder.duration_s(song) - 1.5):
                        self.known[folder.crop(song, [track], start, 1.5)[0].tobytes()] = number
                for text in folder.annotations(song)["captions"]:
                    self.known[text.encode()] = number

        def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
            return torch.eye(len(folder))[[self.known[row.numpy().tobytes()] for row in audio]]

        def embed_text(self, texts: list[str]) -> torch.Tensor:
            return torch.eye(len(folder))[[self.known.get(text.encode(), 0) for text in texts]]

    scores = clap_scores(Oracle(), folder, 1.5)
    assert scores["mix_top1"] == 1.0 and scores["stem_top1"] == 1.0
    assert scores["gallery"] == 4 and scores["text_gallery"] == 8 and scores["styles"] == 2
    assert scores["text_top10"] == 1.0 and scores["style"] == 0.5


class OnDevice(torch.Tensor):
    """A tensor that has to be fetched before numpy can read it, as on a GPU."""

    def numpy(self, **_: object) -> np.ndarray:  # type: ignore[override]
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def cpu(self, **_: object) -> torch.Tensor:  # type: ignore[override]
        return self.as_subclass(torch.Tensor)


class Remote:
    """Embeds on another device: the level in eight slots of time, words by their length."""

    def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
        levels = audio.unflatten(-1, (8, -1)).abs().mean(-1) + 1e-3
        return torch.nn.functional.normalize(levels, dim=-1).as_subclass(OnDevice)

    def embed_text(self, texts: list[str]) -> torch.Tensor:
        return torch.eye(8)[[len(text) % 8 for text in texts]].as_subclass(OnDevice)


def test_scores_of_a_model_on_another_device(music: Path) -> None:
    scores = clap_scores(Remote(), StimuliFolder(music), 1.5)
    assert {"mix_top1", "stem_top1", "text_top10", "style"} <= set(scores)


def test_a_clap_that_tells_nothing_apart_scores_chance(music: Path) -> None:
    class Constant(Remote):
        def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
            return torch.eye(8)[[0] * len(audio)]

    scores = clap_scores(Constant(), StimuliFolder(music), 1.5)
    assert scores["mix_top1"] == 0.25  # of four songs in each style
    assert 0.25 <= scores["stem_top1"] < 0.3  # of three where a stem is silent in one


def test_stems_that_never_sound_have_no_figure(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crop = StimuliFolder.crop
    silent = lambda self, song, names, *place: crop(self, song, names, *place) * (names == ["mix"])  # noqa: E731
    monkeypatch.setattr(StimuliFolder, "crop", silent)
    scores = clap_scores(Remote(), StimuliFolder(music), 1.5)
    assert "stem_top1" not in scores and all(np.isfinite(value) for value in scores.values())


@pytest.mark.slow
def test_it_learns_to_tell_songs_apart(music: Path) -> None:
    task = ClapTask(ClapConfig(data=str(music), **{**SMALL, "audio_width": 32, "group": 4}), seed=0)
    items = task.train_items()
    torch.manual_seed(0)
    model = task.build_model()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    losses = []
    for step in range(60):
        parts = task.loss(model, collate([items.item(step % len(items), step)]), step=step, gather=one)
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        losses.append(float(parts["audio"].detach()))
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])
