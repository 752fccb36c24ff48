"""What reaches what in the transformer, and that it survives saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eeg2music.diffusion.transformer import JointStemTransformer, StemState, align_curves
from eeg2music.errors import CheckpointError, ConfigError, InputError
from eeg2music.types import Conditions
from eeg2music.weights import load_model, save_model

Make = Callable[..., Conditions]
FRAMES, CURVE_FRAMES = 75, 32
MASKS = {"keep_global": (2,), "keep_stem": (2, 4), "keep_curves": (2, 4)}
VALUE_OF = {"keep_global": "global_embedding", "keep_stem": "stem_embedding", "keep_curves": "curves"}


@pytest.fixture
def noisy() -> torch.Tensor:
    return torch.randn(2, 4, 6, FRAMES, generator=torch.Generator().manual_seed(5))


TIME = torch.tensor([0.3, 0.8])


@pytest.mark.parametrize("mask", MASKS)
@torch.no_grad()
def test_a_dropped_condition_has_no_effect(
    model: JointStemTransformer, make_conditions: Make, noisy: torch.Tensor, mask: str
) -> None:
    one, other = make_conditions(2, CURVE_FRAMES, 1), make_conditions(2, CURVE_FRAMES, 2)
    changed = one.replace(**{VALUE_OF[mask]: getattr(other, VALUE_OF[mask])})
    dropped = {mask: torch.zeros(MASKS[mask], dtype=torch.bool)}
    kept = {mask: torch.ones(MASKS[mask], dtype=torch.bool)}
    assert torch.equal(model(noisy, TIME, one.replace(**dropped)), model(noisy, TIME, changed.replace(**dropped)))
    assert torch.equal(model(noisy, TIME, one), model(noisy, TIME, one.replace(**kept)))
    for masked in (kept, dropped):  # kept, it matters; dropped isn't the same as kept
        assert not torch.allclose(model(noisy, TIME, one.replace(**masked)), model(noisy, TIME, changed))
    unfinished = one.replace(**{VALUE_OF[mask]: torch.full_like(getattr(one, VALUE_OF[mask]), torch.nan)}, **dropped)
    assert torch.isfinite(model(noisy, TIME, unfinished)).all()


@torch.no_grad()
def test_masks_are_per_sample_and_stem(model: JointStemTransformer, make_conditions: Make, noisy: torch.Tensor) -> None:
    conditions = make_conditions(2, CURVE_FRAMES)
    keep = torch.ones(2, 4, dtype=torch.bool)
    keep[0, 1] = False
    everything, without = model(noisy, TIME, conditions), model(noisy, TIME, conditions.replace(keep_stem=keep))
    assert not torch.allclose(everything[0, 1], without[0, 1])
    torch.testing.assert_close(everything[1], without[1])


@torch.no_grad()
def test_samples_do_not_mix(model: JointStemTransformer, make_conditions: Make, noisy: torch.Tensor) -> None:
    conditions = make_conditions(2, CURVE_FRAMES)
    alone = model(noisy[1:], TIME[1:], conditions[1:2])
    torch.testing.assert_close(model(noisy, TIME, conditions)[1:], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_stems_hear_each_other_unless_absent(
    model: JointStemTransformer, make_conditions: Make, noisy: torch.Tensor
) -> None:
    conditions, changed = make_conditions(2, CURVE_FRAMES), noisy.clone()
    changed[:, 2] += 1.0
    state = torch.zeros(2, 4, dtype=torch.long)
    difference = (model(noisy, TIME, conditions, state) - model(changed, TIME, conditions, state)).abs()
    assert torch.all(difference.amax(dim=(0, 2, 3)) > 1e-3)
    state[:, 2] = StemState.ABSENT
    others = [0, 1, 3]
    assert torch.equal(
        model(noisy, TIME, conditions, state)[:, others], model(changed, TIME, conditions, state)[:, others]
    )


@torch.no_grad()
def test_a_given_stem_is_at_time_one(model: JointStemTransformer, make_conditions: Make, noisy: torch.Tensor) -> None:
    conditions, state = make_conditions(2, CURVE_FRAMES), torch.zeros(2, 4, dtype=torch.long)
    state[:, 1] = StemState.GIVEN
    early, late = (model(noisy, torch.full((2,), t), conditions, state) for t in (0.1, 0.9))
    assert not torch.allclose(early[:, 0], late[:, 0])
    all_given = torch.full((2, 4), int(StemState.GIVEN))
    early, late = (model(noisy, torch.full((2,), t), conditions, all_given) for t in (0.1, 0.9))
    assert torch.equal(early, late)


@torch.no_grad()
def test_stems_differ_by_their_names_alone(make_conditions: Make, noisy: torch.Tensor) -> None:
    """Without names (and nulls) the model is equivariant to the order of the stems."""
    torch.manual_seed(0)
    net = JointStemTransformer(latent_dim=6, embedding_dim=10, width=32, depth=2, heads=2, hidden=48)
    for parameter in net.parameters():
        parameter.add_(0.15 * torch.randn_like(parameter))
    order = torch.tensor([2, 0, 3, 1])
    conditions = make_conditions(2, CURVE_FRAMES)
    permuted = conditions.replace(
        stem_embedding=conditions.stem_embedding[:, order], curves=conditions.curves[:, order]
    )
    named = net(noisy[:, order], TIME, permuted) - net(noisy, TIME, conditions)[:, order]
    assert named.abs().max() > 1e-3
    net.stem_name.zero_()
    torch.testing.assert_close(
        net(noisy[:, order], TIME, permuted), net(noisy, TIME, conditions)[:, order], atol=1e-5, rtol=1e-5
    )


def test_curves_reach_the_frames_they_belong_to(make_conditions: Make) -> None:
    """With attention in time switched off, a frame depends on curves within a patch of it, and on no others."""
    torch.manual_seed(0)
    net = JointStemTransformer(latent_dim=6, embedding_dim=10, width=32, depth=2, heads=2, hidden=48)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
        for block in net.blocks:
            block.time.out.weight.zero_()  # type: ignore[union-attr]
    conditions = make_conditions(1, 160)
    curves = conditions.curves.requires_grad_(True)
    noisy = torch.randn(1, 4, 6, 375, generator=torch.Generator().manual_seed(1))
    frame = 202
    out = net(noisy, torch.tensor([0.4]), conditions)[0, 1, :, frame].square().sum()
    reach = torch.autograd.grad(out, curves)[0].abs().sum(dim=(0, 1, 2))
    touched = torch.nonzero(reach).squeeze(1) / 32.0
    assert abs(float(touched.mean()) - (frame + 0.5) / 75) < 2.5 / 75 + 1 / 32
    assert float(touched.max() - touched.min()) < 5 / 75 + 2 / 32


def test_aligned_curves_lie_on_the_line() -> None:
    curves = torch.arange(160) / 32.0  # each curve frame's own time in seconds
    aligned = align_curves(curves.expand(1, 4, 3, 160), 375)[0, 0, 0]
    times = (torch.arange(375) + 0.5) / 75
    torch.testing.assert_close(aligned, times.clamp_max(159 / 32), atol=1e-5, rtol=0)
    assert torch.equal(align_curves(aligned, 375), aligned)
    # A stretch from a whole second on is the same, cut before or after (but for the two frames after its last curve).
    whole = torch.rand(3, 320, generator=torch.Generator().manual_seed(0))
    after, before = align_curves(whole, 750)[:, 75:448], align_curves(whole[:, 32:192], 375)[:, :373]
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


@pytest.mark.parametrize("tokens", [30, 31, 75, 100])
@torch.no_grad()
def test_any_length(model: JointStemTransformer, make_conditions: Make, tokens: int) -> None:
    frames = 5 * tokens
    out = model(torch.randn(1, 4, 6, frames), TIME[:1], make_conditions(1, round(frames * 32 / 75)))
    assert out.shape == (1, 4, 6, frames)
    assert out.dtype == torch.float32


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(
    model: JointStemTransformer, make_conditions: Make, noisy: torch.Tensor, tmp_path: Path
) -> None:
    conditions = make_conditions(2, CURVE_FRAMES)
    save_model(model, tmp_path / "exact")
    assert torch.equal(
        load_model(JointStemTransformer, tmp_path / "exact")(noisy, TIME, conditions), model(noisy, TIME, conditions)
    )
    model.save_pretrained(tmp_path / "diffusers")
    again = JointStemTransformer.from_pretrained(tmp_path / "diffusers")
    assert torch.equal(again(noisy, TIME, conditions), model(noisy, TIME, conditions))
    save_model(model, tmp_path / "half", dtype=torch.bfloat16)
    rounded = load_model(JointStemTransformer, tmp_path / "half")(noisy, TIME, conditions)
    assert (rounded - model(noisy, TIME, conditions)).square().mean().sqrt() < 0.02 * rounded.std()
    config = (tmp_path / "exact" / "config.json").read_text()
    (tmp_path / "exact" / "config.json").write_text(config.replace('"hidden": 48', '"hidden": 52'))
    with pytest.raises(CheckpointError, match="shape"):
        load_model(JointStemTransformer, tmp_path / "exact")


def test_it_begins_predicting_nothing(make_conditions: Make, noisy: torch.Tensor) -> None:
    net = JointStemTransformer(latent_dim=6, embedding_dim=10, width=32, depth=2, heads=2, hidden=48)
    assert not net(noisy, TIME, make_conditions(2, CURVE_FRAMES)).any()


def test_embeddings_are_heard_from_the_start(make_conditions: Make) -> None:
    """Another embedding moves the condition vector about as much as another time does."""
    torch.manual_seed(0)
    net = JointStemTransformer(embedding_dim=10, width=64, depth=1, hidden=32)
    one, other, time = make_conditions(2, 32, 1), make_conditions(2, 32, 2), TIME[:, None].expand(2, 4)
    with torch.no_grad():
        here = net._condition_vector(time, one)
        other_sound = net._condition_vector(time, other.replace(curves=one.curves)) - here
        other_time = net._condition_vector(time.flip(0), one) - here
    assert other_sound.square().mean() > 0.2 * other_time.square().mean()


def test_the_one_that_ships_fits_its_file() -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in JointStemTransformer().parameters())
    assert count <= 7_500_000
    assert 2 * count < 15.9e6


def test_what_is_refused(model: JointStemTransformer, make_conditions: Make) -> None:
    conditions = make_conditions(1, CURVE_FRAMES)
    with pytest.raises(InputError, match="don't fit the model"):
        model(torch.zeros(1, 4, 7, 75), TIME[:1], conditions)
    with pytest.raises(InputError, match="multiple of 5"):
        model(torch.zeros(1, 4, 6, 74), TIME[:1], conditions)
    with pytest.raises(InputError, match="Curves of 32 frames"):
        model(torch.zeros(1, 4, 6, 150), TIME[:1], conditions)
    with pytest.raises(InputError, match="1 conditions for 2"):
        model(torch.zeros(2, 4, 6, 75), TIME, conditions)
    with pytest.raises(ConfigError, match="heads"):
        JointStemTransformer(width=30, heads=4)


@torch.no_grad()
def test_what_is_passed_on_depends_on_time_and_not_on_the_channel_beside(
    make_conditions: Make, noisy: torch.Tensor
) -> None:
    fresh = JointStemTransformer(latent_dim=6, embedding_dim=10, width=32, depth=2, heads=2, hidden=48)
    conditions = make_conditions(2, CURVE_FRAMES, 1)
    assert not fresh(noisy, TIME, conditions).any()  # begins by predicting nothing
    torch.nn.init.normal_(fresh.pass_on.weight, generator=torch.Generator().manual_seed(0))
    share = fresh(noisy, TIME, conditions) / noisy
    torch.testing.assert_close(share, share[:, :1, :, :1].expand_as(share))
    assert not torch.allclose(share[0], share[1])
