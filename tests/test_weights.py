"""Weights load strictly or not at all, and a pickle is never opened."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from safetensors.torch import load_file, save_file
from torch import nn

from eeg2music.codec.encodec import Codec
from eeg2music.errors import CheckpointError
from eeg2music.targets.pretrained import load_clap
from eeg2music.weights import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    checkpoint_sha256,
    load_model,
    load_strictly,
    read_state,
    refuse_pickle,
    save_model,
)


class Small(ModelMixin, ConfigMixin):
    config_name = CONFIG_NAME

    @register_to_config
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(2, width)
        self.register_buffer("count", torch.tensor(7))


class Payload:
    """A pickle that, when it is loaded, creates a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_model(Small(4), tmp_path / "small")


def change_state(folder: Path, **changes: torch.Tensor | None) -> None:
    state = load_file(folder / WEIGHTS_NAME)
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    save_file(state, folder / WEIGHTS_NAME)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    model = Small(5)
    loaded = load_model(Small, save_model(model, tmp_path / "a"))
    assert loaded.config.width == 5
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])


def test_bf16_on_disk_is_float32_in_memory(tmp_path: Path) -> None:
    model = Small(300)
    save_model(model, tmp_path / "full")
    save_model(model, tmp_path / "half", dtype=torch.bfloat16)
    loaded = load_model(Small, tmp_path / "half")
    assert loaded.layer.weight.dtype == torch.float32
    assert torch.equal(loaded.layer.weight, model.layer.weight.bfloat16().float())
    assert loaded.count.dtype == torch.int64
    assert (tmp_path / "half" / WEIGHTS_NAME).stat().st_size < 0.6 * (tmp_path / "full" / WEIGHTS_NAME).stat().st_size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer__bias": None}, r"1 missing and 0 unknown keys \(layer\.bias\)"),
        ({"layer__extra": torch.zeros(1)}, r"0 missing and 1 unknown keys \(layer\.extra\)"),
        ({"layer__weight": torch.zeros(9, 2)}, r"layer\.weight has shape \(9, 2\)\. Allowed: \(4, 2\)"),
        ({"layer__bias": None, "x": torch.zeros(1)}, r"1 missing and 1 unknown keys"),
    ],
)
def test_weights_that_do_not_fit(folder: Path, changes: dict[str, torch.Tensor | None], message: str) -> None:
    change_state(folder, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(Small, folder)
    line = str(caught.value)
    assert "small" in line
    assert "Remedy" in line
    assert "\n" not in line


def test_a_failed_load_leaves_the_model_as_it_was() -> None:
    model = Small(4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError):
        load_strictly(model, {"layer.weight": torch.zeros(4, 2)}, source="here")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    change_state(folder, layer__bias=torch.tensor([0.0, float("nan"), 0.0, 0.0]))
    with pytest.raises(CheckpointError, match=r"layer\.bias .*not finite"):
        load_model(Small, folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.pkl", "last.ckpt"])
def test_a_pickle_is_refused_and_not_opened(folder: Path, name: str, tmp_path: Path) -> None:
    (folder / WEIGHTS_NAME).unlink()
    mark = tmp_path / "executed"
    (folder / name).write_bytes(pickle.dumps(Payload(mark)))
    for open_it in (
        lambda: load_model(Small, folder),
        lambda: read_state(folder / name),
        lambda: refuse_pickle(folder),
    ):
        with pytest.raises(CheckpointError, match=r"pickled checkpoint.*Allowed: safetensors.*Remedy: convert"):
            open_it()
    assert not mark.exists()


def test_a_pickle_under_another_name_is_not_opened_either(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    (folder / WEIGHTS_NAME).write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(CheckpointError, match="damaged or not safetensors"):
        load_model(Small, folder)
    assert not mark.exists()
    pickle.loads((folder / WEIGHTS_NAME).read_bytes())  # the payload does work
    assert mark.exists()


def test_a_pickle_beside_safetensors_is_ignored(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    (folder / "optimizer.pt").write_bytes(pickle.dumps(Payload(mark)))
    load_model(Small, folder)
    assert not mark.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_damaged_weights(folder: Path, share: float) -> None:
    data = (folder / WEIGHTS_NAME).read_bytes()
    (folder / WEIGHTS_NAME).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="damaged or not safetensors") as caught:
        load_model(Small, folder)
    assert "\n" not in str(caught.value)


def test_missing_parts(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"No checkpoint at .*gone"):
        load_model(Small, tmp_path / "gone")
    (folder / WEIGHTS_NAME).unlink()
    with pytest.raises(CheckpointError, match=r"No weights at .*Allowed: a folder with config\.json"):
        load_model(Small, folder)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        load_model(Small, folder)


@pytest.mark.parametrize("text", ["{", "[1, 2]", '"words"', '{"width": "wide"}', '{"width": -1}', '{"width": [3]}'])
def test_a_config_that_describes_no_model(folder: Path, text: str) -> None:
    (folder / CONFIG_NAME).write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json does not describe a Small"):
        load_model(Small, folder)


def test_a_config_of_another_model(folder: Path) -> None:
    values = json.loads((folder / CONFIG_NAME).read_text())
    (folder / CONFIG_NAME).write_text(json.dumps({**values, "_class_name": "Large"}))
    with pytest.raises(CheckpointError, match=r"holds a Large\. Allowed: Small"):
        load_model(Small, folder)


def test_the_hash_is_of_the_weights(folder: Path, tmp_path: Path) -> None:
    before = checkpoint_sha256(folder)
    (folder / "README.md").write_text("card")
    assert checkpoint_sha256(folder) == before
    shutil.copytree(folder, tmp_path / "copy")
    assert checkpoint_sha256(tmp_path / "copy") == before
    change_state(folder, layer__bias=torch.ones(4))
    assert checkpoint_sha256(folder) != before


ABSENT = ("mine/model", "gone", "./mine/model", "a/b/c", "/gone/model", "../model")


@pytest.mark.parametrize(
    ("load", "hub", "name"),
    [
        *((Codec.from_pretrained, "EncodecModel", name) for name in ABSENT),
        *((load_clap, "ClapModel", name) for name in (*ABSENT, "mine/")),
    ],
)
def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(
    load: Any, hub: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked the hub")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(f"transformers.{hub}.from_pretrained", never)
    with pytest.raises(CheckpointError, match=r"^No checkpoint at .*Allowed: .*Remedy: check the path"):
        load(name)
    with pytest.raises(CheckpointError, match="No checkpoint at nobody/nothing"):
        load(Path("nobody/nothing"))  # a path, even where a text would be a name


def test_buffers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    """An encoder fitted in closed form has buffers only."""

    class Closed(ModelMixin, ConfigMixin):
        config_name = CONFIG_NAME

        @register_to_config
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.zeros(3))

    model = Closed()
    model.weight[1] = torch.inf
    with pytest.raises(CheckpointError, match=r"weight holds values that are not finite"):
        load_model(Closed, save_model(model, tmp_path))
