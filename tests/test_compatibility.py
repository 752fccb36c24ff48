"""Models that were trained apart: each loads alone, together they are refused before they play."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from support import refused

from eeg2music.codec.encodec import Codec
from eeg2music.compatibility import check_clap
from eeg2music.encoders.brain import BrainEncoder
from eeg2music.encoders.registry import load_encoder
from eeg2music.encoders.ridge import RidgeEncoder
from eeg2music.errors import CheckpointError
from eeg2music.evaluation.controls import reinitialised
from eeg2music.pipeline import SamplingConfig, load_pipeline
from eeg2music.report import words
from eeg2music.seeding import numpy_rng
from eeg2music.targets.cache import conditioning_space
from eeg2music.targets.clap import ClapMini
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import EEG_RATE_HZ, SignalSpec, Window
from eeg2music.weights import CONDITIONING_SPACE, MANIFEST_NAME, read_manifest, save_model

SPEC = SignalSpec(kind="eeg", sfreq_hz=EEG_RATE_HZ, subjects=("sub-train01",), n_channels_max=64)


def tell(folder: Path, **values: object) -> None:
    (folder / MANIFEST_NAME).write_text(json.dumps({**read_manifest(folder), **values}))


def test_an_encoder_of_another_embedding_length(copy: Path) -> None:
    save_model(BrainEncoder(SPEC.to_dict(), width=8, global_width=8, head_width=8, embedding_dim=16), copy / "encoder")
    assert load_encoder(copy / "encoder").config["embedding_dim"] == 16
    refused(copy, "the encoder's embeddings have 16 dimensions, the diffusion model's 128.*Remedy: use an encoder and")


def test_an_encoder_that_aims_at_another_clap(copy: Path) -> None:
    tell(copy / "encoder", **{CONDITIONING_SPACE: "of another"})
    refused(copy, "trained on the embeddings of different CLAPs.*Remedy")


def test_a_codec_of_other_rates(copy: Path) -> None:
    codec = Codec.from_config(
        hidden_size=8, num_filters=4, num_residual_layers=1, upsampling_ratios=[8, 5, 4, 4], num_lstm_layers=1,
        codebook_size=16, sampling_rate=32_000,
    )  # fmt: skip
    codec.set_statistics(torch.zeros(8), torch.ones(8))
    codec.save_pretrained(copy / "codec")
    assert Codec.from_pretrained(copy / "codec").frame_rate_hz == 50
    tell(copy / "diffusion", latent_space=codec.latent_space())
    refused(copy, "runs at 32000 Hz with 640 samples a frame.*Allowed: 24000 Hz with 320")


def test_the_clap_that_scores_is_the_one_that_was_aimed_at(copy: Path) -> None:
    manifests = load_pipeline(copy, "cpu").manifests
    clap = load_clap(copy / "clap")
    check_clap(copy, clap, manifests)
    with torch.no_grad():
        next(clap.parameters()).add_(0.1)
    with pytest.raises(CheckpointError, match="encoder was trained on the embeddings of another CLAP"):
        check_clap(copy, clap, manifests)
    check_clap(copy, clap, {"encoder": {}, "codec": {}})


def test_the_space_is_of_weights_and_not_of_how_they_are_stored() -> None:
    torch.manual_seed(0)
    clap = ClapMini(("<pad>", "<unk>", "<start>", "slow"), audio_width=16, text_width=16, text_layers=1)
    space = conditioning_space(clap)
    assert conditioning_space(clap.to(torch.bfloat16)) == space
    with torch.no_grad():
        next(clap.parameters()).mul_(2.0)
    assert conditioning_space(clap) != space


# -- other encoders ------------------------------------------------------------------------------


def window() -> Window:
    rng = numpy_rng(0, "window")
    places = rng.normal(size=(10, 3))
    places *= 0.09 / np.linalg.norm(places, axis=1, keepdims=True)
    eeg = rng.normal(size=(10, 3 * EEG_RATE_HZ)).astype(np.float32)
    return Window(eeg, places.astype(np.float32), np.ones(10, dtype=bool), "sub-x", "a", start_s=0.0)


@pytest.fixture
def with_ridge(copy: Path) -> Path:
    ridge = RidgeEncoder(SPEC.to_dict(), points=12, lags=4)
    for name in ridge.learned_buffers:
        buffer = ridge.get_buffer(name)
        buffer.copy_(torch.from_numpy(numpy_rng(0, name).standard_normal(tuple(buffer.shape))))
    manifest = read_manifest(copy / "encoder")
    shutil.rmtree(copy / "encoder")
    save_model(ridge, copy / "encoder")
    (copy / "encoder" / MANIFEST_NAME).write_text(json.dumps(manifest))
    return copy


def test_any_registered_encoder_makes_music(with_ridge: Path, tmp_path: Path) -> None:
    pipeline = load_pipeline(with_ridge, "cpu")
    assert isinstance(pipeline.encoder, RidgeEncoder)
    reading = pipeline.read_clip([window()], 3.0)
    assert reading.channel_weights is None
    stems = pipeline(reading.conditions, sample_ids=["a"], duration_s=3.0, sampling=SamplingConfig(steps=1)).stems
    assert np.isfinite(stems).all() and stems.std() > 0
    pipeline.save_pretrained(tmp_path / "saved")
    assert isinstance(load_pipeline(tmp_path / "saved", "cpu").encoder, RidgeEncoder)


def test_the_random_control_of_weights_in_closed_form_forgets_them(with_ridge: Path) -> None:
    pipeline = load_pipeline(with_ridge, "cpu")
    fresh, again = (reinitialised(pipeline.encoder, seed=3) for _ in range(2))
    assert isinstance(fresh, RidgeEncoder)
    for name, buffer in pipeline.encoder.named_buffers():
        learned = name in RidgeEncoder.learned_buffers
        assert torch.equal(fresh.get_buffer(name), buffer) != learned, name
        assert torch.equal(fresh.get_buffer(name), again.get_buffer(name)), name
    assert fresh.embedding_weight.std() == pytest.approx(float(pipeline.encoder.embedding_weight.std()), rel=0.1)
    control = pipeline.with_encoder(fresh).encode([window()])
    assert not torch.allclose(control.curves, pipeline.encode([window()]).curves)


def test_what_is_no_encoder_is_named(copy: Path) -> None:
    shutil.copy(copy / "scorer" / "config.json", copy / "encoder" / "config.json")
    refused(copy, "holds a ScorerNet, which is no brain encoder.*Allowed: BrainEncoder, .*RidgeEncoder")
    (copy / "encoder" / "config.json").write_text("[")
    refused(copy, "does not describe a BrainEncoder")


# -- what it was trained on ------------------------------------------------------------------------


def test_the_report_says_what_the_manifest_says() -> None:
    people = {"subjects": ["a", "b"], "songs": ["x"]}
    assert words.training_line({**people, "simulated": True}) == words.SIMULATED
    told = words.training_line({**people, "simulated": False})
    assert "on 2 listeners hearing 1 piece." in told and "simulated" not in told
    assert "whether simulated or people, its manifest does not say" in words.training_line(people)
    both = words.training_line({**people, "simulated": False, "simulated_before": True})
    assert "some or most of them simulated" in both and "simulated" not in told
    assert "hearing pieces it does not name" in words.training_line({"subjects": ["a"]})
    for nothing in (None, {}, {"trained": "encoder"}):
        assert words.training_line(nothing) == words.UNKNOWN_TRAINING
