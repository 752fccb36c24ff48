"""What holds for the brain encoder beyond the common contract: regions, positions, strangers, size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from eeg2music.encoders.base import BrainConditions
from eeg2music.encoders.brain import BrainEncoder
from eeg2music.encoders.spatial import spread_points
from eeg2music.types import REGIONS, SignalSpec
from eeg2music.weights import WEIGHTS_NAME, load_model, save_model

SPEC = SignalSpec(kind="eeg", sfreq_hz=64.0, subjects=tuple(f"sub-{k:02d}" for k in range(3)))
SMALL: dict[str, Any] = {
    "points": 32, "filters": 2, "width": 8, "global_width": 8, "head_width": 16, "dilations": [1, 2],
}  # fmt: skip


@pytest.fixture
def encoder() -> BrainEncoder:
    torch.manual_seed(0)
    made = BrainEncoder.build(SPEC, **SMALL)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval()


def windows(batch: int = 2, channels: int = 32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    positions = torch.from_numpy(spread_points(channels, -0.3)) * 0.095 + torch.tensor([0.0, 0.0, 0.04])
    return {
        "eeg": torch.randn(batch, channels, 192, generator=generator),
        "positions_m": positions.expand(batch, -1, -1).clone(),
        "channel_mask": torch.ones(batch, channels, dtype=torch.bool),
        "subject": torch.full((batch,), -1),
    }


def decode(encoder: BrainEncoder, values: dict[str, Tensor]) -> BrainConditions:
    with torch.no_grad():
        return encoder(**values)


def test_without_positions_it_knows_no_regions_and_says_so(encoder: BrainEncoder) -> None:
    values = windows()
    values["positions_m"][1] = float("nan")
    out = decode(encoder, values)
    assert out.regions_known.tolist() == [True, False]
    for stem in range(4):
        torch.testing.assert_close(out.stem_embedding[1, stem], out.global_embedding[1])
        torch.testing.assert_close(out.curves[1, stem], out.curves[1, 0])
    assert (out.stem_embedding[0, 0] - out.stem_embedding[0, 1]).norm() > 0.1


def test_without_positions_neither_order_nor_polarity_of_channels_matters(encoder: BrainEncoder) -> None:
    values = windows()
    values["positions_m"][:] = float("nan")
    before = decode(encoder, values)
    signs = torch.where(torch.arange(32) % 3 == 0, -1.0, 1.0)[None, :, None]
    for changed in (values["eeg"] * signs, values["eeg"].flip(1)):
        after = decode(encoder, {**values, "eeg": changed})
        torch.testing.assert_close(after.global_embedding, before.global_embedding)
    other = decode(encoder, {**values, "eeg": values["eeg"] * torch.linspace(0.2, 3.0, 192)})
    assert (other.global_embedding - before.global_embedding).norm() > 1e-3


def test_some_channels_without_position_are_left_out(encoder: BrainEncoder) -> None:
    values = windows()
    without = {**values, "channel_mask": values["channel_mask"].clone()}
    without["channel_mask"][:, :5] = False
    unknown = {**values, "positions_m": values["positions_m"].clone()}
    unknown["positions_m"][:, :5] = float("nan")
    for left, right in zip(decode(encoder, without), decode(encoder, unknown), strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("region", range(len(REGIONS)))
def test_a_stem_depends_on_its_region_alone(encoder: BrainEncoder, region: int) -> None:
    """Filters of one region changed: that stem and the global embedding move, nothing else does at all."""
    values = windows()
    before = decode(encoder, values)
    filters = SMALL["filters"]
    with torch.no_grad():
        encoder.unmix.shared[region * filters : (region + 1) * filters] += 1.0
    after = decode(encoder, values)
    moved = (after.stem_embedding - before.stem_embedding).abs().amax((0, 2))
    curves = (after.curves - before.curves).abs().amax((0, 2, 3))
    others = torch.arange(4) != region
    assert moved[region] > 1e-3 and curves[region] > 1e-5
    assert float(moved[others].max()) == 0.0 and float(curves[others].max()) == 0.0
    assert (after.global_embedding - before.global_embedding).abs().max() > 1e-4


def test_every_parameter_takes_part_in_training_with_and_without_positions() -> None:
    """Or data-parallel processes would wait for gradients that never come."""
    encoder = BrainEncoder.build(SPEC, **SMALL).train()
    for blind in (False, True):
        values = windows()
        values["subject"] = torch.tensor([0, -1])
        if blind:
            values["positions_m"][:] = float("nan")
        encoder.zero_grad()
        out = encoder(**values)
        (out.global_embedding.sum() + out.stem_embedding.sum() + out.curves.sum()).backward()
        assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


def test_a_stranger_takes_the_shared_path(encoder: BrainEncoder) -> None:
    values = windows()
    before = decode(encoder, values)
    with torch.no_grad():
        encoder.unmix.personal.add_(1.0)
        encoder.unmix.response.add_(1.0)
    for left, right in zip(decode(encoder, values), before, strict=True):
        torch.testing.assert_close(left, right)
    known = decode(encoder, {**values, "subject": torch.tensor([0, 1])})
    assert (known.stem_embedding - before.stem_embedding).norm() > 0.1


def test_channel_weights_sum_to_one_and_leave_masked_channels_out(encoder: BrainEncoder) -> None:
    values = windows()
    values["channel_mask"][0, 4] = False
    weights = encoder.channel_weights(values["positions_m"], values["channel_mask"], values["subject"])
    assert weights.shape == (2, 4, 32)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))
    assert float(weights[0, :, 4].abs().max()) == 0.0 and float(weights.min()) >= 0.0


def test_channel_weights_are_those_of_the_filters_of_the_person(encoder: BrainEncoder) -> None:
    values = windows()
    places, mask = values["positions_m"], values["channel_mask"]
    stranger = encoder.channel_weights(places, mask, torch.tensor([-1, -1]))
    known = encoder.channel_weights(places, mask, torch.tensor([-1, 1]))
    torch.testing.assert_close(known[0], stranger[0])
    assert (known[1] - stranger[1]).abs().max() > 1e-3
    with torch.no_grad():
        encoder.unmix.shared[: SMALL["filters"]] *= torch.randn(SMALL["filters"], SMALL["points"])
    changed = encoder.channel_weights(places, mask, torch.tensor([-1, -1]))
    assert (changed[:, 0] - stranger[:, 0]).abs().max() > 1e-3
    torch.testing.assert_close(changed[:, 1:], stranger[:, 1:])


def test_there_are_no_channel_weights_where_regions_are_not_told_apart(encoder: BrainEncoder) -> None:
    values = windows()
    values["positions_m"][1, 3:] = float("nan")
    assert decode(encoder, values).regions_known.tolist() == [True, False]
    weights = encoder.channel_weights(values["positions_m"], values["channel_mask"], values["subject"])
    assert weights[0].any() and not weights[1].any()


def test_the_default_is_small_enough_to_ship(tmp_path: Path) -> None:
    spec = SignalSpec(kind="eeg", sfreq_hz=64.0, subjects=tuple(f"sub-{k:02d}" for k in range(24)))
    encoder = BrainEncoder.build(spec)
    save_model(encoder, tmp_path, dtype=torch.bfloat16)
    assert (tmp_path / WEIGHTS_NAME).stat().st_size < 5 * 2**20
    values = windows()
    exact, stored = decode(encoder.eval(), values), decode(load_model(BrainEncoder, tmp_path), values)
    assert (exact.global_embedding * stored.global_embedding).sum(-1).min() > 0.999
