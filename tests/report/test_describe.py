"""What `info` says about checkpoints; recordings are described by `eeg2music.inspection`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eeg2music.errors import CheckpointError, Eeg2MusicError, InputError
from eeg2music.preparation import PrepareConfig, prepare
from eeg2music.report.describe import describe


def test_every_model_with_its_size(tiny_checkpoint: Path) -> None:
    lines = [line for line in describe(tiny_checkpoint) if not line.startswith(" ")]
    assert [line.split(":")[0] for line in lines] == ["clap", "codec", "diffusion", "encoder", "scorer"]
    from safetensors.torch import load_file

    for name, line in zip(("clap", "codec", "diffusion", "encoder", "scorer"), lines, strict=True):
        files = list((tiny_checkpoint / name).glob("*.safetensors"))
        numbers = sum(tensor.numel() for file in files for tensor in load_file(file).values())
        assert f", {numbers:,} values stored, " in line


def test_one_model_alone(tiny_checkpoint: Path) -> None:
    assert describe(tiny_checkpoint / "encoder")[0].startswith("encoder: BrainEncoder")


def test_what_it_was_trained_on_and_its_card(copy: Path) -> None:
    (copy / "encoder" / "training_manifest.json").write_text(json.dumps({"songs": ["a", "b"], "subjects": ["sub-1"]}))
    (copy / "encoder" / "README.md").write_text("card")
    lines = describe(copy)
    assert "  trained on 2 songs, 1 subjects" in lines
    assert f"  card: {copy / 'encoder' / 'README.md'}" in lines
    told = {"songs": ["a", "b"], "subjects": ["sub-1"], "simulated": True}
    (copy / "encoder" / "training_manifest.json").write_text(json.dumps(told))
    assert "  trained on simulated material: 2 songs, 1 subjects" in describe(copy)


def test_parameters_are_those_of_the_card(copy: Path) -> None:
    """What is stored may be more (a codec's code books) or less (a loss's temperature)."""
    assert not any("parameters" in line for line in describe(copy / "codec"))
    (copy / "codec" / "training_manifest.json").write_text(json.dumps({"songs": ["a"], "parameters": 1234}))
    line = describe(copy / "codec")[0]
    assert line.startswith("codec: encodec, 1,234 parameters, ") and " values stored, " in line


def test_pickles_and_damage_are_told_not_opened(copy: Path) -> None:
    (copy / "scorer" / "diffusion_pytorch_model.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="damaged or not safetensors"):
        describe(copy)
    (copy / "scorer" / "diffusion_pytorch_model.safetensors").rename(copy / "scorer" / "model.bin")
    with pytest.raises(CheckpointError, match="pickled checkpoint"):
        describe(copy)


@pytest.mark.parametrize("text", ["{", "[1]", '"text"'])
def test_a_config_that_is_none(copy: Path, text: str) -> None:
    (copy / "scorer" / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"scorer/config\.json is not a config"):
        describe(copy)


def test_nothing_and_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Nothing at .*gone.*Allowed: a recording or a folder of models"):
        describe(tmp_path / "gone")
    with pytest.raises(Eeg2MusicError, match="not a BIDS data set"):
        describe(tmp_path)


@pytest.mark.parametrize("text", ["[", "[1]", "7"])
def test_a_damaged_manifest_is_one_line(copy: Path, text: str) -> None:
    (copy / "encoder" / "training_manifest.json").write_text(text)
    with pytest.raises(
        CheckpointError, match=r"encoder/training_manifest\.json is damaged.*Remedy: copy it again"
    ) as caught:
        describe(copy)
    assert "\n" not in str(caught.value)


def test_a_prepared_cache_is_no_model(recording_file: Path, tmp_path: Path) -> None:
    cache = prepare(recording_file, tmp_path / "cache", PrepareConfig(window_s=2.0, workers=1))
    assert describe(cache)[0].startswith("prepared cache: 2 windows from 1 recordings")
