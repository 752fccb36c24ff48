"""The models that ship: they load strictly, are small, and their cards tell of these very files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from eeg2music.codec.encodec import Codec
from eeg2music.compatibility import check_clap
from eeg2music.diffusion.transformer import JointStemTransformer
from eeg2music.diffusion.windows import plan_windows
from eeg2music.encoders.brain import BrainEncoder
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.heard import audio_conditions
from eeg2music.evaluation.material import ListeningConfig
from eeg2music.files import read_json, sha256_file, sha256_json
from eeg2music.metrics.audio import MEL_HOP, log_mel
from eeg2music.pipeline import MAKING, SCORING, load_pipeline
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.simulation.composer import compose
from eeg2music.simulation.library import song_ids
from eeg2music.simulation.rendering import render
from eeg2music.targets.cache import conditioning_space, curve_scales, model_hash
from eeg2music.targets.clap import ClapMini
from eeg2music.targets.curves import control_curves
from eeg2music.targets.pretrained import load_clap
from eeg2music.training.first_stage import earlier_stages
from eeg2music.training.ship import CARD
from eeg2music.types import FRAME_RATE_HZ, SAMPLE_RATE_HZ, STEMS, Conditions
from eeg2music.weights import MANIFEST_NAME, checkpoint_sha256, load_model

SHIPPED = Path(__file__).parents[1] / "checkpoints" / "mini"
LARGEST_FILE_BYTES = 16 * 2**20
ALL_BYTES = 40e6
LOADERS: dict[str, tuple[type[nn.Module], Callable[[Path], Any]]] = {
    "codec": (Codec, Codec.from_pretrained),
    "clap": (ClapMini, load_clap),
    "scorer": (ScorerNet, lambda folder: load_model(ScorerNet, folder)),
    "encoder": (BrainEncoder, lambda folder: load_model(BrainEncoder, folder)),
    "diffusion": (JointStemTransformer, lambda folder: load_model(JointStemTransformer, folder)),
}
models = pytest.mark.parametrize("name", sorted(LOADERS))


def test_these_are_all() -> None:
    assert {path.name for path in SHIPPED.iterdir() if path.is_dir()} == set(LOADERS) == {*MAKING, *SCORING}


@models
def test_it_loads_strictly(name: str) -> None:
    kind, load = LOADERS[name]
    model = load(SHIPPED / name)
    assert type(model) is kind and not model.training
    assert sum(parameter.numel() for parameter in model.parameters()) > 500_000


def test_the_pipeline_loads() -> None:
    pipeline = load_pipeline(SHIPPED, "cpu")
    assert pipeline.codec.channels == pipeline.transformer.config["latent_dim"] == 64


def test_they_belong_together() -> None:
    pipeline = load_pipeline(SHIPPED, "cpu")
    assert pipeline.warnings == ()
    clap = load_clap(SHIPPED / "clap")
    check_clap(SHIPPED, clap, pipeline.manifests)
    # What each training noted of its CLAP, independently of the space they name: both are this very one.
    assert pipeline.manifests["diffusion"]["clap_sha256"] == checkpoint_sha256(SHIPPED / "clap")
    assert pipeline.manifests["encoder"]["clap_hash"] == sha256_json([model_hash(clap), curve_scales()])
    for name in ("encoder", "diffusion"):
        assert pipeline.manifests[name]["conditioning_space"] == conditioning_space(clap)
    assert pipeline.manifests["encoder"]["simulated"] is True


def test_they_are_small() -> None:
    sizes = {path: path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()}
    assert max(sizes.values()) <= LARGEST_FILE_BYTES, max(sizes, key=sizes.__getitem__)
    assert sum(sizes.values()) <= ALL_BYTES


@models
def test_the_card_is_of_these_files(name: str) -> None:
    folder = SHIPPED / name
    told = dict(re.findall(r"^\| sha256 of (\S+) \| `([0-9a-f]{64})` \|$", (folder / CARD).read_text(), re.MULTILINE))
    assert told == {path.name: sha256_file(path) for path in folder.glob("*.safetensors")}


@models
def test_card_and_manifest_tell_the_same(name: str) -> None:
    manifest = read_json(SHIPPED / name / MANIFEST_NAME)
    lines = re.findall(
        r"^\| (\S[^|]*\S) \| ([^|]*)(?: \| [^|]+)? \|$", (SHIPPED / name / CARD).read_text(), re.MULTILINE
    )
    rows = dict(reversed(lines))  # a figure may be named as a fact is: the facts come first
    assert manifest["trained"] == name
    assert rows["songs"] == f"{len(manifest['songs'])}"
    assert rows["parameters trained"] == f"{manifest['parameters']:,}"
    stages = earlier_stages(manifest)
    if all(stages):
        assert rows["steps"].split()[0] == f"{sum(stage['steps'] for stage in stages) + manifest['step']}"
    for key, value in manifest["figures"].items():
        assert (key, f"{value:.4g}") in lines


@models
def test_the_manifest_says_what_was_trained_on_and_what_chose_it(name: str) -> None:
    manifest = read_json(SHIPPED / name / MANIFEST_NAME)
    trained, chosen = set(manifest["songs"]), set(manifest["valid"]["songs"])
    assert trained and chosen and not trained & chosen
    # The family that the demonstration and the evaluation take their songs from.
    scored = ListeningConfig()
    unseen = song_ids(scored.style, scored.song_seed, EvaluateConfig().reference_songs)
    assert not (trained | chosen) & set(unseen)


@pytest.mark.slow
def test_a_long_clip_has_no_audible_seam() -> None:
    """Twenty seconds from a song's own conditions, section by section: how much the spectrum changes where windows
    begin, meet and end, beside anywhere else."""
    seconds, sections = 20.0, 4
    pipeline, clap = load_pipeline(SHIPPED, "cpu"), load_clap(SHIPPED / "clap")
    heard = render(compose("funk-77-0000", duration_s=seconds))[:, : round(seconds * SAMPLE_RATE_HZ)]
    parts = np.ascontiguousarray(heard.reshape(len(STEMS), sections, -1).swapaxes(0, 1))
    embedded = audio_conditions(clap, parts)
    curves = control_curves(torch.from_numpy(heard)[None])
    conditions = Conditions(embedded.global_embedding[None], embedded.stem_embedding[None], curves)
    made = pipeline(conditions, sample_ids=["long"], duration_s=seconds).stems[0]

    plan = plan_windows(round(seconds * FRAME_RATE_HZ), pipeline.transformer.patch)
    ends = [start + plan.length for start in plan.starts[:-1]]
    middles = [(start + end) / 2 for start, end in zip(plan.starts[1:], ends, strict=True)]
    assert len(ends) == 4
    flux = np.abs(np.diff(log_mel(made.sum(0)), axis=0)).mean(1)
    # Means over 64 ms: a seam is not narrower than the codec's response.
    change = np.convolve(flux, np.ones(6) / 6, "valid")
    joins = np.array([*plan.starts[1:], *middles, *ends]) / FRAME_RATE_HZ * SAMPLE_RATE_HZ / MEL_HOP
    places = np.rint(joins).astype(int) - 3
    elsewhere = np.abs(np.arange(len(change))[:, None] - places).min(1) > 6
    assert change[places].max() <= np.quantile(change[elsewhere], 0.99)
    assert np.median(change[places]) <= 1.25 * np.median(change[elsewhere])
