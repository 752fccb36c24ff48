"""The codec's task: its items, its noise, and that training makes it better."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from eeg2music.codec.encodec import Codec, CodecOutput
from eeg2music.codec.losses import si_sdr_db
from eeg2music.errors import ConfigError, LeakError
from eeg2music.training.codec import CodecModel, CodecTask, CodecTaskConfig, ModelConfig, StemCrops, below
from eeg2music.training.config import resolve
from eeg2music.training.loop import train
from eeg2music.training.order import collate
from eeg2music.types import SAMPLE_RATE_HZ

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
    assert manifest["valid"]["songs"] and not set(manifest["songs"]) & set(manifest["valid"]["songs"])
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
    result = train("codec", None, [*common, "train.steps=200"])
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
    assert manifest["valid"]["songs"] == list(made.held_out.songs) and len(manifest["data_hash"]) == 64
    (fitted,) = manifest["fitted"].values()
    assert fitted["songs"] and set(fitted["songs"]) <= set(manifest["songs"])


def test_a_second_stage_trains_the_decoder_alone(music: Path, tmp_path: Path) -> None:
    common = [
        f"task.data={music}", *TINY, "task.fit_songs=2", "task.quantizer_steps=5", "task.crop_s=0.16",
        "train.batch_size=2", "train.warmup_steps=1", "train.valid_every=0", "train.tensorboard=false",
    ]  # fmt: skip
    first = train("codec", None, [*common, "train.steps=2", f"train.out={tmp_path / 'first'}"])
    second = [
        *common, f"task.start_from={first.export}", "task.decoder_only=true", "task.treble_hz=2000",
        "train.steps=3", f"train.out={tmp_path / 'second'}",
    ]  # fmt: skip
    result = train("codec", None, second)
    before, after = (Codec.from_pretrained(export).state_dict() for export in (first.export, result.export))
    moved = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"decoder"} and torch.isfinite(after["latent_std"]).all()
    listed = [json.loads((run.export / "training_manifest.json").read_text())["stages"] for run in (first, result)]
    assert [[stage["steps"] for stage in stages] for stages in listed] == [[], [2]]
    told = [json.loads((run.export / "training_manifest.json").read_text())["fitted"] for run in (first, result)]
    assert told[0] == told[1]  # the second stage keeps the statistics

    with pytest.raises(ConfigError, match="16 channels"):
        train("codec", None, [*second, "task.model.hidden_size=8", f"train.out={tmp_path / 'third'}"])
    with pytest.raises(LeakError, match="held out here"):
        train("codec", None, [*second, "train.seed=0", "task.valid_share=0.9", f"train.out={tmp_path / 'fourth'}"])


def test_a_decoder_needs_an_encoder_that_is_trained() -> None:
    with pytest.raises(ConfigError, match=r"task\.decoder_only = True.*start_from names a trained codec"):
        resolve("codec", "codec/smoke", ["task.decoder_only=true"])
    assert resolve("codec", "codec/treble").task.decoder_only


def test_below_takes_the_treble_away() -> None:
    time_s = torch.arange(4800) / SAMPLE_RATE_HZ
    low, high = (torch.sin(2 * torch.pi * frequency * time_s)[None] for frequency in (500.0, 5000.0))
    torch.testing.assert_close(below(low + high, 2400.0), low, atol=1e-3, rtol=0)


def test_above_the_treble_limit_phases_do_not_count(music: Path) -> None:
    made = task(music, treble_hz=2400.0)
    time_s = torch.arange(11520) / SAMPLE_RATE_HZ
    heard = torch.sin(2 * torch.pi * 500 * time_s)[None] + 0.3 * torch.sin(2 * torch.pi * 5000 * time_s)[None]
    turned = torch.sin(2 * torch.pi * 500 * time_s)[None] + 0.3 * torch.cos(2 * torch.pi * 5000 * time_s)[None]
    batch = {"audio": heard, "noise_seed": torch.tensor([1])}

    class Decoded(torch.nn.Module):
        def __init__(self, audio: torch.Tensor) -> None:
            super().__init__()
            self.audio = audio

        def forward(self, audio: torch.Tensor, noise: torch.Tensor) -> CodecOutput:
            return CodecOutput(self.audio, noise)

    losses = [
        made.loss(Decoded(audio), batch, step=0, gather=lambda tensor: tensor)
        for audio in (heard, turned, below(heard, 2400.0))
    ]
    same, phase, dull = losses
    assert phase["nsr_db"] == pytest.approx(float(same["nsr_db"]), abs=0.1)
    assert dull["nsr_db"] == pytest.approx(float(same["nsr_db"]), abs=0.1)
    assert phase["log_spectral"] < 0.1 * dull["log_spectral"]
