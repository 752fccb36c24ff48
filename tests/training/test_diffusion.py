"""Training of the diffusion model: items, loss, evaluation, and a run from audio to a checkpoint."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import load_file
from torch import Tensor

from eeg2music.audio import write_audio
from eeg2music.diffusion.transformer import JointStemTransformer, StemState
from eeg2music.errors import CheckpointError, ConfigError, DataError
from eeg2music.files import read_json, sha256_json
from eeg2music.seeding import numpy_rng
from eeg2music.training import diffusion as training
from eeg2music.training.config import resolve
from eeg2music.training.diffusion import DiffusionTask, DiffusionTaskConfig, LatentWindows, ModelConfig, channel_weights
from eeg2music.training.latents import SongLatents
from eeg2music.training.order import collate
from eeg2music.types import SAMPLE_RATE_HZ, STEMS
from eeg2music.weights import load_model

TINY = {"width": 48, "depth": 2, "heads": 2, "hidden": 64, "modulation_rank": 8}
CHANNELS = 4


class Music:
    def __init__(self, songs: tuple[str, ...]) -> None:
        self.songs = songs


class MadeUpCache:
    """Songs whose latents are noise bursts that follow the loudness curve, coloured by the stem's embedding."""

    def __init__(self, songs: int, first: int = 0) -> None:
        self.music = Music(tuple(f"song-{first + index}" for index in range(songs)))

    def song(self, name: str) -> SongLatents:
        rng = numpy_rng(0, name)
        curves = np.repeat(rng.random((4, 3, 64)) < 0.4, 4, axis=-1).astype(np.float32)
        embedding = rng.standard_normal((5, 1, 8))
        embedding /= np.linalg.norm(embedding, axis=-1, keepdims=True)
        level = np.repeat(curves[:, 1], 75, axis=-1)[:, ::32]  # 32 Hz -> 75 Hz
        colour = embedding[1:, 0, :CHANNELS, None] * 3
        latents = level[:, None] * (colour + 0.3 * rng.standard_normal((4, CHANNELS, level.shape[-1])))
        embeddings = np.repeat(embedding, 4, axis=1)
        return SongLatents(*(array.astype(np.float16) for array in (latents, curves, embeddings)))


def make_task(songs: int = 12, **config: Any) -> DiffusionTask:
    """A task on made-up songs, without files."""
    task = DiffusionTask.__new__(DiffusionTask)
    model = ModelConfig(**TINY)
    full = DiffusionTaskConfig(data="", codec="", clap="", model=model, **config)
    super(DiffusionTask, task).__init__(full, seed=0)
    task.cache, task.held_out = MadeUpCache(songs), MadeUpCache(6, first=songs)  # type: ignore[assignment]
    task.channel_weight = torch.ones(CHANNELS)
    return task


def batch_of(task: DiffusionTask, size: int, draw: int = 0) -> dict[str, Tensor]:
    items = LatentWindows(task.cache, task.config, task.seed)
    return collate([items.item(index % len(items), draw + index // len(items)) for index in range(size)])


def test_channel_weights() -> None:
    deviation = torch.tensor([1.0, 0.25])
    assert channel_weights(deviation, 0.0).tolist() == [1.0, 1.0]
    assert channel_weights(deviation, 0.5).tolist() == pytest.approx([4 / 3, 2 / 3])


def no_gather(tensor: Tensor) -> Tensor:
    return tensor


def test_items_depend_on_the_visit_alone() -> None:
    task = make_task()
    items = LatentWindows(task.cache, task.config, seed=0)
    first = items.item(3, 5)
    items.item(1, 0)
    np.random.default_rng().random()
    torch.manual_seed(99)
    again, another = items.item(3, 5), items.item(3, 6)
    for key, value in first.items():
        np.testing.assert_array_equal(value, again[key])
    assert not np.array_equal(first["noise"], another["noise"])
    other_seed = LatentWindows(task.cache, task.config, seed=1).item(3, 5)
    assert not np.array_equal(first["noise"], other_seed["noise"])


def test_shapes_and_ranges_of_items() -> None:
    batch = batch_of(make_task(), 64)
    assert batch["latents"].shape == batch["noise"].shape == (64, 4, CHANNELS, 375)
    assert batch["curves"].shape == (64, 4, 3, 160)
    assert torch.all((batch["time"] >= 0) & (batch["time"] <= 1))
    assert batch["time"].dtype == batch["latents"].dtype == torch.float32
    assert batch["keep_global"].shape == (64,) and batch["keep_global"].dtype == torch.bool
    torch.testing.assert_close(batch["stem_embedding"].norm(dim=-1), torch.ones(64, 4), atol=1e-3, rtol=0)


def test_the_loss_needs_no_global_randomness() -> None:
    task = make_task()
    torch.manual_seed(0)
    model = task.build_model()
    batch = batch_of(task, 4)
    torch.manual_seed(1)
    one = task.loss(model, batch, step=0, gather=no_gather)
    torch.manual_seed(2)
    two = task.loss(model, batch, step=0, gather=no_gather)
    assert torch.equal(one["loss"], two["loss"])
    torch.testing.assert_close(one["loss"].detach(), sum(one[stem] for stem in STEMS))  # type: ignore[arg-type]


def test_what_is_predicted_for_given_stems_does_not_count() -> None:
    task = make_task()

    class Stub(torch.nn.Module):
        def forward(self, noisy: Tensor, time: Tensor, conditions: object, state: Tensor) -> Tensor:
            self.seen = noisy
            return torch.where((state == StemState.GENERATE)[..., None, None], 0.0, 1e6)

    model, batch = Stub(), batch_of(task, 16)
    batch["stem_state"][:, 1] = StemState.GIVEN
    batch["stem_state"][:, 0] = StemState.GENERATE
    losses = task.loss(model, batch, step=3, gather=no_gather)
    assert losses["bass"] == 0.0
    assert losses["loss"] < 1e4
    clean = batch["latents"][:, 1]
    frames = model.seen.shape[-1]
    assert any(torch.equal(model.seen[:, 1], clean[..., s : s + frames]) for s in range(0, 376 - frames, 5))


def test_two_processes_have_the_loss_and_the_gradients_of_one() -> None:
    """Also where they were given different numbers of stems; gathering emulated."""
    task = make_task(dropout={"context": 1.0})
    model = task.build_model()
    batch = batch_of(task, 8)
    halves = [{key: value[part] for key, value in batch.items()} for part in (slice(0, 4), slice(4, 8))]
    counts = [(half["stem_state"] == StemState.GENERATE).sum().float().reshape(1) for half in halves]
    assert counts[0] != counts[1]

    def gradients(losses: list[Tensor]) -> list[Tensor]:
        return list(torch.autograd.grad(torch.stack(losses).mean(), list(model.parameters()), allow_unused=True))

    with torch.no_grad():  # the output starts at zero, and would hide the gradients below it
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    whole = task.loss(model, batch, step=0, gather=no_gather)["loss"]
    shared = [task.loss(model, half, step=0, gather=lambda _: torch.cat(counts))["loss"] for half in halves]
    apart = [task.loss(model, half, step=0, gather=no_gather)["loss"] for half in halves]
    torch.testing.assert_close(torch.stack(shared).mean(), whole, atol=1e-5, rtol=1e-5)
    assert abs(torch.stack(apart).mean() - whole) > 1e-3
    for found, wanted in zip(gradients(shared), gradients([whole]), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_some_steps_train_on_shorter_windows() -> None:
    task = make_task(short_share=0.5)
    stretches = [task._stretch(step, 375) for step in range(200)]
    lengths = np.array([stop - start for start, stop in stretches])
    assert 0.35 < np.mean(lengths == 375) < 0.65
    assert lengths.min() >= 150 and np.all(lengths % 5 == 0)
    assert all(start >= 0 and stop <= 375 and start % 5 == 0 for start, stop in stretches)
    assert stretches == [task._stretch(step, 375) for step in range(200)]


@pytest.mark.parametrize(("patch", "shortest_s"), [(5, 4.99), (50, 4.9), (100, 1.0), (200, 2.0), (375, 1.0)])
def test_shorter_windows_fit_any_patch(patch: int, shortest_s: float) -> None:
    task = make_task(short_share=1.0, shortest_s=shortest_s)
    task.config = task.config.model_copy(update={"model": ModelConfig(**{**TINY, "patch": patch})})
    for step in range(20):
        start, stop = task._stretch(step, 375)
        assert 0 <= start < stop <= 375 and (stop - start) % patch == 0


def test_a_shortest_window_as_long_as_the_longest_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"task\.shortest_s = 5"):
        resolve("diffusion", "diffusion/smoke", ["task.shortest_s=5"])


def test_conditions_are_learned_and_the_evaluation_shows_it() -> None:
    task = make_task(songs=48, time={"mean": -1.0}, short_share=0.0)
    torch.manual_seed(0)
    model = task.build_model()
    before = task.evaluate(model)
    assert before["noisy_loss"] == pytest.approx(before["noisy_loss_other_curves"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.99))
    for step in range(400):
        losses = task.loss(model, batch_of(task, 8, draw=step), step=step, gather=no_gather)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    after = task.evaluate(model)
    assert after["noisy_loss"] < 0.5 * before["noisy_loss"]
    assert after["noisy_loss_other_curves"] > 1.5 * after["noisy_loss"]
    assert after["noisy_loss_other_embeddings"] > 1.1 * after["noisy_loss"]
    assert after["noisy_loss_no_conditions"] > 1.1 * after["noisy_loss"]


FAKES = load_file(Path(__file__).with_name("fakes.py"))
FakeCodec, FakeClap = FAKES.FakeCodec, FAKES.FakeClap


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for index in range(5):
        audio = 0.1 * numpy_rng(0, index).standard_normal((4, 6 * SAMPLE_RATE_HZ)).astype(np.float32)
        for name, track in zip((*STEMS, "mix"), (*audio, audio.sum(0)), strict=True):
            write_audio(tmp_path / "stimuli" / f"rock-0-{index:04d}" / f"{name}.wav", track)
    return tmp_path


def test_a_run_from_audio_to_a_checkpoint(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_sources", lambda codec, clap: (FakeCodec(), FakeClap()))
    monkeypatch.setattr(training, "load_codec", lambda codec: FakeCodec())
    monkeypatch.setattr(training, "space_of", lambda clap: FakeClap.space)
    loop = importlib.import_module("eeg2music.training.loop")
    overrides = [
        f"task.data={music}", "task.codec=made/up", "task.clap=made/up", f"task.cache={tmp_path / 'cache'}",
        "task.model={width: 48, depth: 2, heads: 2, hidden: 64, modulation_rank: 8}", f"train.out={tmp_path}/out",
        "train.steps=2", "train.batch_size=2", "train.device=cpu", "train.tensorboard=false",
    ]  # fmt: skip
    result = loop.train("diffusion", None, overrides)
    assert result.finished and np.isfinite(result.losses["loss"])
    assert {"noisy_loss_other_curves", "noisy_loss_no_conditions", "loss_at_0.5"} <= set(result.figures)
    model = load_model(JointStemTransformer, result.export)
    assert (model.latent_dim, model.stems) == (CHANNELS, 4)
    card = read_json(result.export / "training_manifest.json")
    assert not set(card["songs"]) & set(card["valid"]["songs"])
    assert len(card["songs"]) + len(card["valid"]["songs"]) == 5
    assert {"codec_sha256", "clap_sha256", "data_hash"} <= set(card)
    assert card["latent_space"] == FakeCodec().latent_space()
    assert card["conditioning_space"] == FakeClap.space


def test_checkpoint_folders_without_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No weights"):
        training.source_hash(str(tmp_path))


def test_a_missing_folder_is_no_name_on_the_hub(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for gone in ("runs/codec", "runs/codec/export", str(tmp_path / "export"), "./export"):
        with pytest.raises(CheckpointError, match=r"No checkpoint at .*Remedy: check the path") as caught:
            DiffusionTask(DiffusionTaskConfig(data=str(music), codec=gone, clap="laion/clap", cache="cache"), seed=0)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()
    # The hash that the cache is kept under is that of the name, as ever.
    assert training.source_hash("laion/clap") == sha256_json("laion/clap")
