"""The contract of every registered encoder: same inputs, same outputs, same independence of company and order."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eeg2music.encoders.base import MOST_GAIN, BrainConditions, Encoder, spec_from_dict
from eeg2music.encoders.registry import ENCODERS
from eeg2music.errors import ConfigError, InputError
from eeg2music.types import SignalSpec
from eeg2music.weights import load_model, save_model

SPEC = SignalSpec(kind="eeg", sfreq_hz=64.0, subjects=("sub-01", "sub-02"), n_channels_max=24)
BATCH, CHANNELS, TIME = 3, 24, 192

# A small one of each. A registered encoder without a case here fails `test_every_encoder_has_a_case`.
CASES: dict[str, dict[str, Any]] = {
    "brain": {"points": 24, "filters": 3, "width": 12, "global_width": 16, "head_width": 16, "dilations": [1, 2]},
    "brainmodule": {"points": 16, "hidden_dim": 16, "depth": 4, "head_width": 16},
    "ridge": {"points": 12, "lags": 6},
}


def make(name: str) -> Encoder:
    """A small encoder with weights that are not at their starting point."""
    if name == "brainmodule":
        pytest.importorskip("braindecode", reason="the extra 'baselines' is not installed")
    torch.manual_seed(1)
    encoder = ENCODERS[name].build(SPEC, {"songs": ["a"]}, **CASES[name])
    if encoder.fitted_in_closed_form:
        encoder.fit([{**inputs(seed), **targets(seed)} for seed in range(4)])
    else:
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return encoder.eval()


def cap(channels: int, seed: int = 0) -> Tensor:
    """(channel, 3) positions on a head, metres."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(channels, 3))
    points[:, 2] = np.abs(points[:, 2]) - 0.2
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return torch.tensor(points * 0.095 + [0.0, 0.01, 0.04], dtype=torch.float32)


def inputs(seed: int = 0, batch: int = BATCH) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "eeg": torch.randn(batch, CHANNELS, TIME, generator=generator),
        "positions_m": cap(CHANNELS).expand(batch, -1, -1).clone(),
        "channel_mask": torch.ones(batch, CHANNELS, dtype=torch.bool),
        "subject": torch.tensor([-1, 0, 1][:batch]),
    }


def targets(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(100 + seed)
    embedding = torch.nn.functional.normalize(torch.randn(BATCH, 5, 128, generator=generator), dim=-1)
    return {"embedding": embedding, "curves": torch.rand(BATCH, 4, 3, TIME // 2, generator=generator)}


def run(encoder: Encoder, values: dict[str, Tensor]) -> BrainConditions:
    with torch.no_grad():
        return encoder(**values)


def distance(left: BrainConditions, right: BrainConditions) -> float:
    return max(float((a.float() - b.float()).abs().max()) for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def built() -> Callable[[str], Encoder]:
    made: dict[str, Encoder] = {}

    def get(name: str) -> Encoder:
        if name not in made:
            made[name] = make(name)
        return made[name]

    return get


NAMES = tuple(CASES)


def test_every_encoder_has_a_case() -> None:
    assert set(ENCODERS.names()) == set(CASES)


def test_an_unknown_encoder_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'ridge'"):
        ENCODERS["rigde"]


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_norms(name: str, built: Callable[[str], Encoder]) -> None:
    out = run(built(name), inputs())
    assert out.global_embedding.shape == (BATCH, 128)
    assert out.stem_embedding.shape == (BATCH, 4, 128)
    assert out.curves.shape == (BATCH, 4, 3, TIME // 2)
    assert out.regions_known.dtype == torch.bool and bool(out.regions_known.all())
    for embedding in (out.global_embedding, out.stem_embedding):
        assert torch.allclose(embedding.norm(dim=-1), torch.ones(()), atol=1e-5)
    assert all(value.dtype == torch.float32 for value in out[:3])
    assert all(bool(torch.isfinite(value).all()) for value in out[:3])


@pytest.mark.parametrize("name", NAMES)
def test_order_of_channels_does_not_matter_but_their_place_does(name: str, built: Callable[[str], Encoder]) -> None:
    values, order = inputs(), torch.randperm(CHANNELS, generator=torch.Generator().manual_seed(5))
    before = run(built(name), values)
    together = {
        **values,
        "eeg": values["eeg"][:, order],
        "positions_m": values["positions_m"][:, order],
        "channel_mask": values["channel_mask"][:, order],
    }
    assert distance(run(built(name), together), before) < 1e-4
    swapped = {**values, "positions_m": values["positions_m"][:, order]}
    assert distance(run(built(name), swapped), before) > 1e-2


@pytest.mark.parametrize("name", NAMES)
def test_masked_channels_do_not_matter_whatever_they_hold(name: str, built: Callable[[str], Encoder]) -> None:
    values = inputs()
    values["channel_mask"][:, 5] = False
    values["channel_mask"][1, 7] = False
    before = run(built(name), values)
    for junk in (1e6, float("nan"), float("inf")):
        changed = {key: value.clone() for key, value in values.items()}
        changed["eeg"][~values["channel_mask"]] = junk
        changed["positions_m"][~values["channel_mask"]] = junk
        assert distance(run(built(name), changed), before) == 0.0
    fewer = {key: value if key == "subject" else value[:1] for key, value in values.items()}
    fewer = {key: value if key == "subject" else value[:, fewer["channel_mask"][0]] for key, value in fewer.items()}
    fewer["subject"] = values["subject"][:1]
    assert distance(run(built(name), fewer), BrainConditions(*(part[:1] for part in before))) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_a_window_is_the_same_alone_and_in_company(name: str, built: Callable[[str], Encoder]) -> None:
    values = inputs()
    together = run(built(name), values)
    for row in range(BATCH):
        alone = run(built(name), {key: value[row : row + 1] for key, value in values.items()})
        assert distance(alone, BrainConditions(*(part[row : row + 1] for part in together))) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_is_the_same(name: str, built: Callable[[str], Encoder], tmp_path: Any) -> None:
    encoder = built(name)
    save_model(encoder, tmp_path)
    loaded = load_model(ENCODERS[name], tmp_path)
    assert distance(run(loaded, inputs()), run(encoder, inputs())) == 0.0
    assert loaded.spec == SPEC
    assert loaded.config["training_manifest"] == {"songs": ["a"]}


@pytest.mark.parametrize("name", NAMES)
def test_bad_inputs_are_named(name: str, built: Callable[[str], Encoder]) -> None:
    encoder, values = built(name), inputs()
    with pytest.raises(InputError, match="positions_m has shape"):
        run(encoder, {**values, "positions_m": values["positions_m"][:, :-1]})
    with pytest.raises(InputError, match="eeg has shape"):
        run(encoder, {**values, "eeg": values["eeg"][0]})
    with pytest.raises(InputError, match="not finite"):
        run(encoder, {**values, "eeg": torch.full_like(values["eeg"], float("nan"))})
    with pytest.raises(InputError, match="no usable channel"):
        run(encoder, {**values, "channel_mask": torch.zeros_like(values["channel_mask"])})
    with pytest.raises(InputError, match="subject index"):
        run(encoder, {**values, "subject": torch.full_like(values["subject"], 2)})


@pytest.mark.parametrize("name", NAMES)
def test_short_and_odd_windows_are_taken(name: str, built: Callable[[str], Encoder]) -> None:
    for samples in (128, 131):
        values = inputs()
        out = run(built(name), {**values, "eeg": values["eeg"][..., :samples]})
        assert out.curves.shape[-1] == samples // 2


@pytest.mark.parametrize("name", [name for name in NAMES if ENCODERS[name].curves_layer])
def test_decoded_curves_get_the_means_and_spreads_of_heard_ones(name: str) -> None:
    encoder = make(name)
    shown = [{**inputs(seed), "curves": targets(seed)["curves"]} for seed in (1, 2)]
    before = [run(encoder, inputs(seed)) for seed in (1, 2)]
    flat = 0.5 * torch.cat([out.curves for out in before]).std(-1).mean()
    heard = [3.0 + values["curves"] * flat / values["curves"].std() for values in shown]
    encoder.match_curves([{**values, "curves": curves} for values, curves in zip(shown, heard, strict=True)])
    after = [run(encoder, inputs(seed)) for seed in (1, 2)]
    made, aimed = torch.cat([out.curves for out in after]), torch.cat(heard)
    torch.testing.assert_close(made.mean((0, -1)), aimed.mean((0, -1)), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(made.var(-1).mean(0), aimed.var(-1).mean(0), rtol=1e-3, atol=0.0)
    for old, new in zip(before, after, strict=True):
        # Nothing but gain and offset: what the curves correlate with is the same, and embeddings are not touched.
        assert torch.corrcoef(torch.stack([old.curves[0, 0, 0], new.curves[0, 0, 0]]))[0, 1] > 0.9999
        torch.testing.assert_close(new.stem_embedding, old.stem_embedding)


def test_curves_that_hardly_move_are_not_made_to(built: Callable[[str], Encoder]) -> None:
    encoder = copy.deepcopy(built("brain"))
    before = run(encoder, inputs()).curves.var(-1).mean(0).sqrt()
    encoder.match_curves([{**inputs(), "curves": 100.0 * targets(0)["curves"]}])
    torch.testing.assert_close(
        run(encoder, inputs()).curves.var(-1).mean(0).sqrt(), MOST_GAIN * before, rtol=1e-3, atol=1e-5
    )


def test_windows_without_positions_tell_nothing_of_how_curves_vary(built: Callable[[str], Encoder]) -> None:
    encoder = copy.deepcopy(built("brain"))
    values = inputs()
    values["positions_m"][:] = float("nan")
    encoder.match_curves([{**values, "curves": targets(0)["curves"]}])
    torch.testing.assert_close(run(encoder, inputs()).curves, run(built("brain"), inputs()).curves)


@pytest.mark.parametrize("name", ("brainmodule", "ridge"))
def test_baselines_say_that_they_need_positions(name: str, built: Callable[[str], Encoder]) -> None:
    values = inputs()
    with pytest.raises(InputError, match="needs electrode positions"):
        run(built(name), {**values, "positions_m": torch.full_like(values["positions_m"], float("nan"))})


def test_subjects_are_numbered_and_strangers_are_unseen(built: Callable[[str], Encoder]) -> None:
    assert built("brain").subject_index(["sub-02", "someone", "sub-01"]).tolist() == [1, -1, 0]


def test_a_recording_that_names_nobody_is_nobodys() -> None:
    spec = SignalSpec(kind="eeg", sfreq_hz=64.0, subjects=("unknown", "sub-01"))
    encoder = ENCODERS["ridge"].build(spec)
    assert encoder.subject_index(["unknown", "sub-01"]).tolist() == [-1, 1]


def test_spec_survives_its_dictionary() -> None:
    assert spec_from_dict(SPEC.to_dict()) == SPEC
