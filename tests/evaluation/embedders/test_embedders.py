"""Every embedding by the same contract, and what each is besides. No network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eeg2music.errors import CheckpointError, DataError, InputError, MissingExtraError
from eeg2music.evaluation.embedders.base import Embedder, Options
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.files import sha256_file
from eeg2music.weights import checkpoint_sha256

NAMES = ("clap-music", "classical", "encodec", "mert", "ours", "scorer")
Load = Callable[[str], Embedder]
Noise = Callable[..., np.ndarray]


def test_every_embedding_is_tested_here() -> None:
    assert EMBEDDERS.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_contract(name: str, load: Load, noise: Noise) -> None:
    """One finite vector of the length that is said; the same twice; another for other audio; bad audio refused."""
    embedder = load(name)
    assert embedder.name == name and embedder.note
    audio = noise(embedder.sample_rate_hz)
    vector = embedder.embed(audio)
    assert vector.shape == (embedder.dim,) and vector.dtype == np.float32
    np.testing.assert_array_equal(embedder.embed(audio), vector)
    assert not np.allclose(embedder.embed(noise(embedder.sample_rate_hz, seed=1) ** 3), vector, atol=1e-7)
    if embedder.unit_norm:
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert {name, embedder.identity()} <= embedder.known_as()
    with pytest.raises(InputError, match="too short"):
        embedder.embed(audio[: round(0.9 * embedder.shortest_s * embedder.sample_rate_hz)])
    with pytest.raises(InputError, match="not finite"):
        embedder.embed(np.where(np.arange(audio.size) == 5, np.nan, audio))
    with pytest.raises(InputError, match="shape"):
        embedder.embed(audio[None])


@pytest.mark.parametrize("name", ["classical", "scorer"])
def test_what_hears_a_condition_names_it(name: str) -> None:
    embedder = EMBEDDERS[name]
    assert embedder.followed == ("onset", "brightness") and "brightness" in embedder.note


@pytest.mark.parametrize("name", ["clap-music", "encodec", "mert"])
def test_long_clips_are_taken_in_pieces(name: str, load: Load, noise: Noise) -> None:
    embedder = load(name)
    once = noise(embedder.sample_rate_hz, seconds=6.0)
    twice = embedder.embed(np.concatenate([once, once]))
    expected = embedder.embed(once)
    np.testing.assert_allclose(twice, expected, atol=1e-4)


def test_a_vector_that_is_not_finite_is_refused(load: Load, noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = load("encodec")
    monkeypatch.setattr(type(embedder), "_vector", lambda self, audio: np.full(self.dim, np.nan))
    with pytest.raises(DataError, match="8 values that are not finite"):
        embedder.embed(noise(embedder.sample_rate_hz))


def test_other_weights_are_another_identity(sources: dict[str, str], tiny_checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    def identity(folder: Path) -> str:
        return EMBEDDERS["clap-music"](Options(tiny_checkpoint, str(folder))).identity()

    folder = tmp_path / "clap"
    shutil.copytree(sources["clap-music"], folder)
    before = identity(folder)
    state = load_file(folder / "model.safetensors")
    state["audio_projection.linear1.bias"] += 0.1
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    after = identity(folder)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["frequency_min"] = 100
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    assert len({before, after, identity(folder)}) == 3


def test_only_what_makes_clips_is_known_by_the_checkpoint(load: Load, tiny_checkpoint: Path) -> None:
    whole = checkpoint_sha256(tiny_checkpoint)
    assert whole in load("ours").known_as()
    assert whole not in load("scorer").known_as()
    for name, folder in (("ours", "clap"), ("scorer", "scorer")):
        (weights,) = (tiny_checkpoint / folder).glob("*.safetensors")
        assert sha256_file(weights) in load(name).known_as()


def test_a_copy_in_a_folder_is_known_by_its_name_on_the_hub(load: Load) -> None:
    """A manifest says by that name what conditioned; the judge may have been downloaded to wherever."""
    known = {name: load(name).known_as() for name in NAMES}
    assert {name for name in NAMES if any("/" in one and not Path(one).exists() for one in known[name])} == {
        "clap-music", "encodec", "mert",
    }  # fmt: skip
    assert "laion/larger_clap_music" in known["clap-music"] and "" not in frozenset().union(*known.values())


# -- classical --------------------------------------------------------------------------------------


def test_classical_hears_tempo_and_pitch_but_no_level(load: Load) -> None:
    embedder = load("classical")
    rate = embedder.sample_rate_hz
    time = np.arange(8 * rate) / rate

    def clip(bpm: float, pitch_hz: float) -> np.ndarray:
        decay = np.exp(-8.0 * (time * bpm / 60.0 % 1.0))
        return (0.3 * decay * np.sin(2 * np.pi * pitch_hz * time)).astype(np.float32)

    slow, fast, higher = (embedder.embed(clip(*of)) for of in ((100.0, 440.0), (150.0, 440.0), (100.0, 587.33)))
    assert fast[-3] - slow[-3] == pytest.approx(np.log2(1.5), abs=0.1)
    chroma = slice(38, 50)
    assert int(slow[chroma].argmax()) == 9 and int(higher[chroma].argmax()) == 2
    quiet = embedder.embed(0.5 * clip(100.0, 440.0))
    np.testing.assert_allclose(quiet, slow, atol=0.02 * np.abs(slow).max())


def test_classical_without_librosa_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "librosa", None)
    with pytest.raises(MissingExtraError, match="eeg2music\\[eval\\]"):
        EMBEDDERS["classical"](Options(tmp_path))


# -- MERT -------------------------------------------------------------------------------------------


def test_mert_is_transformers_hubert(load: Load, sources: dict[str, str], noise: Noise) -> None:
    """And its own code, which lies beside the weights, was not run: it would have ended the interpreter."""
    import torch
    from transformers import HubertConfig, HubertModel

    values = json.loads((Path(sources["mert"]) / "config.json").read_text())
    config = HubertConfig(**{key: value for key, value in values.items() if key not in ("model_type", "auto_map")})
    model = HubertModel.from_pretrained(sources["mert"], config=config).eval()
    audio = noise(24_000)
    wave = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
    with torch.no_grad():
        expected = model(torch.from_numpy(wave)[None]).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(load("mert").embed(audio), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(("key", "value"), [("feature_extractor_cqt", True), ("deepnorm", True)])
def test_mert_that_needs_code_of_the_hub_is_refused(
    sources: dict[str, str], tmp_path: Path, key: str, value: object
) -> None:
    folder = tmp_path / "mert"
    shutil.copytree(sources["mert"], folder)
    values = json.loads((folder / "config.json").read_text()) | {key: value}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=f"{key}.*never run"):
        EMBEDDERS["mert"](Options(tmp_path, str(folder)))


def test_pickled_mert_is_refused(sources: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "mert"
    shutil.copytree(sources["mert"], folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="safetensors"):
        EMBEDDERS["mert"](Options(tmp_path, str(folder)))


def test_the_hub_is_asked_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Offline, every published one says in one line that it could not be loaded, and names itself."""
    for name, hub in (("clap-music", "laion/"), ("encodec", "facebook/"), ("mert", "m-a-p/")):
        with pytest.raises(CheckpointError, match=hub):
            EMBEDDERS[name](Options(tmp_path))
