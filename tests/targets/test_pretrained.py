"""Published CLAPs behind the same interface, on a tiny random transformers model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import write_clap

from eeg2music.errors import CheckpointError
from eeg2music.targets.pretrained import TransformersClap, load_clap
from eeg2music.types import SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub") / "clap"
    torch.manual_seed(0)
    write_clap(root)
    return root


def noise(seconds: float, rows: int = 2) -> torch.Tensor:
    shape = (rows, round(seconds * SAMPLE_RATE_HZ))
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_the_interface_is_the_same(folder: Path) -> None:
    clap = load_clap(folder)
    assert isinstance(clap, TransformersClap) and clap.embedding_dim == 24
    with torch.no_grad():
        audio, text = clap.embed_audio(noise(2.0)), clap.embed_text(["slow funk", "waltz"])
    assert audio.shape == (2, 24) and text.shape == (2, 24)
    torch.testing.assert_close(audio.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(text.norm(dim=1), torch.ones(2))


def test_it_hears_48_khz_with_the_same_content(folder: Path) -> None:
    from eeg2music.audio import resample

    clap = load_clap(folder)
    audio = noise(1.0, rows=1)
    wave = resample(audio.numpy(), SAMPLE_RATE_HZ, 48_000)
    mel = clap.extractor(list(wave), sampling_rate=48_000, return_tensors="pt")["input_features"]
    with torch.no_grad():
        direct = clap.model.get_audio_features(input_features=mel, is_longer=torch.zeros(1, 1, dtype=torch.bool))
        expected = torch.nn.functional.normalize(direct.pooler_output, dim=-1)
        torch.testing.assert_close(clap.embed_audio(audio), expected)


def test_long_audio_does_not_depend_on_chance(folder: Path) -> None:
    clap, audio = load_clap(folder), noise(12.0, rows=1)
    with torch.no_grad():
        first, second = clap.embed_audio(audio), clap.embed_audio(audio)
    np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_what_is_not_a_clap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        load_clap(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "encodec"}')
    with pytest.raises(CheckpointError, match="is encodec"):
        load_clap(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        load_clap(tmp_path)
    with pytest.raises(CheckpointError, match="No CLAP can be loaded from 'nobody/nothing'"):
        load_clap("nobody/nothing")


def test_a_folder_of_that_name_comes_before_the_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "laion").mkdir()
    (tmp_path / "laion" / "larger_clap_music").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    assert load_clap("laion/larger_clap_music").embedding_dim == 24


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clap"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(CheckpointError, match="pickled"):
        load_clap(tmp_path)


def _change(folder: Path, target: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """A copy of a CLAP whose weights were changed."""
    shutil.copytree(folder, target)
    state = load_file(target / "model.safetensors")
    change(state)
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    return target


def _without_projection(state: dict[str, torch.Tensor]) -> None:
    for key in [key for key in state if key.startswith("audio_projection.")]:
        del state[key]


def _wider_projection(state: dict[str, torch.Tensor]) -> None:
    state["audio_projection.linear1.weight"] = torch.zeros(7, 7)


def _left_over(state: dict[str, torch.Tensor]) -> None:
    state["audio_projection.linear9.weight"] = torch.zeros(3)


@pytest.mark.parametrize("change", [_without_projection, _wider_projection, _left_over])
def test_weights_that_do_not_fit_the_config_are_refused(folder: Path, tmp_path: Path, change: Any) -> None:
    """transformers would fill what is missing with random numbers, and the embeddings would mean nothing."""
    with pytest.raises(CheckpointError, match=r"audio_projection\.linear") as caught:
        load_clap(_change(folder, tmp_path / "changed", change))
    assert "\n" not in str(caught.value) and "Remedy" in str(caught.value)


def test_damaged_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "cut")
    file = tmp_path / "cut" / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=r"No CLAP can be loaded from .*Remedy: .*copy the checkpoint again"):
        load_clap(tmp_path / "cut")


def test_what_other_releases_of_transformers_store_or_leave_out_does_no_harm(folder: Path, tmp_path: Path) -> None:
    model = load_clap(folder).model
    tables = {key for key, value in model.named_buffers() if not value.is_floating_point()}
    assert any(key.endswith("position_ids") for key in tables)

    def without_tables(state: dict[str, torch.Tensor]) -> None:
        for key in tables | {"logit_scale_a", "logit_scale_t"}:
            state.pop(key, None)

    bare, audio = load_clap(_change(folder, tmp_path / "bare", without_tables)), noise(1.0)
    with torch.no_grad():
        torch.testing.assert_close(bare.embed_text(["waltz"]), load_clap(folder).embed_text(["waltz"]))
        torch.testing.assert_close(bare.embed_audio(audio), load_clap(folder).embed_audio(audio))
