"""The codec's task: its items, its noise, and that training makes it better."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from eeg2music.codec.encodec import Codec
from eeg2music.codec.losses import si_sdr_db
from eeg2music.training.codec import CodecModel, CodecTask, CodecTaskConfig, ModelConfig, StemCrops
from eeg2music.training.loop import train
from eeg2music.training.order import collate

TINY = ["task.model.hidden_size=16", "task.model.num_filters=8", "task.model.codebook_size=16"]


def task(music: Path, **more: object) -> CodecTask:
    model = ModelConfig(hidden_size=16, num_filters=8, codebook_size=16)
    return CodecTask(CodecTaskConfig(data=str(music), model=model, valid_songs=2, **more), seed=0)  # type: ignore[arg-type]


def test_items_depend_on_song_and_draw_alone(music: Path) -> None:
    items, again = task(music).train_items(), task(music).train_items()
    assert isinstance(items, StemCrops) and len(items) == len(task(music).music)
    first = items.item(1, 3)
    _ = again.item(0, 0)
    same = again.item(1, 3)
    np.testing.assert_array_equal(first["audio"], same["audio"])
    assert first["noise_seed"] == same["noise_seed"]
    assert first["audio"].shape == (round(0.48 * 24_000),) and first["audio"].dtype == np.float32
    other = items.item(1, 4)
    assert not np.array_equal(first["audio"], other["audio"]) and first["noise_seed"] != other["noise_seed"]
    assert all(np.abs(items.item(0, draw)["audio"]).max() <= 1 for draw in range(20))


def test_held_out_songs_are_never_drawn(music: Path) -> None:
    made = task(music)
    manifest = made.manifest()
    assert manifest["held_out_songs"] and not set(manifest["songs"]) & set(manifest["held_out_songs"])
    assert set(made.music.songs) == set(manifest["songs"])


def test_noise_is_in_units_of_each_channels_deviation() -> None:
    torch.manual_seed(0)
    codec = Codec.from_config(hidden_size=4, num_filters=2, num_lstm_layers=1, codebook_size=16)
    model = CodecModel(codec, 0.5).train()
    audio = 0.1 * torch.randn(2, 3200)
    seen: list[torch.Tensor] = []
    codec.encodec.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    first = model(audio, torch.ones(2, 4, 10))
    assert torch.equal(seen[0], first.latents)  # the deviation is not known yet: no noise
    std = first.latents.std(dim=(0, 2))
    torch.testing.assert_close(model.running_std, std)
    second = model(audio, torch.ones(2, 4, 10))
    torch.testing.assert_close(seen[1] - second.latents, (0.5 * std)[None, :, None].expand(2, 4, 10))
    model.eval()
    model(2 * audio)
    torch.testing.assert_close(model.running_std, std, rtol=0.01, atol=0)  # not moved by validation


def test_noise_of_an_item_does_not_depend_on_its_batch(music: Path) -> None:
    made = task(music)
    items = [made.train_items().item(index, 0) for index in range(3)]
    together, alone = made._noise(collate(items)), made._noise(collate(items[2:]))
    assert torch.equal(together[2:], alone)
    assert together.shape == (3, 16, 36)


@pytest.mark.parametrize("start", ["lapped", "random"])
def test_losses_are_finite_and_reach_every_parameter(music: Path, start: str) -> None:
    made = task(music, start=start)
    torch.manual_seed(0)
    model = made.build_model().train()
    batch = collate([made.train_items().item(index, 0) for index in range(2)])
    parts = made.loss(model, batch, step=0, gather=lambda tensor: tensor)
    assert all(torch.isfinite(value) for value in parts.values())
    parts["loss"].backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []


def test_training_makes_it_better_and_the_export_loads(music: Path, tmp_path: Path) -> None:
    common = [
        f"task.data={music}", *TINY, "task.start=random", "task.valid_songs=2", "task.fit_songs=2",
        "task.quantizer_steps=5", "task.crop_s=0.16", "train.batch_size=8", "train.learning_rate=3e-3",
        "train.warmup_steps=2", "train.schedule=constant", "train.ema_decay=0.9", "train.valid_every=0",
        "train.log_every=10", "train.tensorboard=false", f"train.out={tmp_path / 'run'}",
    ]  # fmt: skip
    result = train("codec", None, [*common, "train.steps=60"])
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0] - 0.2
    assert {f"si_sdr_db/{name}" for name in ("drums", "bass", "mix")} <= set(result.figures)

    codec = Codec.from_pretrained(result.export)
    made = task(music)
    audio = torch.from_numpy(made.held_out.crop(made.held_out.songs[0], ["bass", "harmony"], 0, 1.0))
    with torch.no_grad():
        latents = codec.encode(audio)
        normal = codec.normalize(latents)
        assert normal.abs().mean() < 3
        decoded = {
            kbps: codec.decode(codec.dequantize(codec.quantize(latents, kbps))) for kbps in codec.bandwidths_kbps
        }
        errors = [(codec.dequantize(codec.quantize(latents, kbps)) - latents).square().mean() for kbps in decoded]
    assert errors[0] > errors[1] > errors[2]
    assert all(torch.isfinite(si_sdr_db(audio_, audio)).all() for audio_ in decoded.values())
    manifest = json.loads((result.export / "training_manifest.json").read_text())
    assert manifest["held_out_songs"] == list(made.held_out.songs) and len(manifest["data_hash"]) == 64
