"""Clips of any length: the same alone, in a batch and in any order; given stems stay; no seams."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
import torch

from eeg2music.diffusion import generate
from eeg2music.diffusion.generate import Given, generate_latents
from eeg2music.diffusion.guidance import Dials
from eeg2music.diffusion.transformer import JointStemTransformer, StemState, align_curves
from eeg2music.diffusion.windows import WindowPlan, plan_windows
from eeg2music.errors import InputError
from eeg2music.types import Conditions

Make = Callable[..., Conditions]


def curve_frames(n_frames: int) -> int:
    return round(n_frames * 32 / 75)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("n_frames", [150, 375, 601])
def test_a_clip_is_the_same_alone_and_in_a_batch(
    model: JointStemTransformer, make_conditions: Make, n_frames: int, precision: str
) -> None:
    conditions = make_conditions(3, curve_frames(n_frames))
    settings = {"steps": 3, "dials": Dials(2.0, 1.5), "seed": 1, "precision": precision}
    together = generate_latents(model, conditions, n_frames, sample_ids=["a", "b", "c"], **settings)
    assert together.shape == (3, 4, 6, n_frames)
    for index, name in enumerate("abc"):
        alone = generate_latents(model, conditions[index : index + 1], n_frames, sample_ids=[name], **settings)
        assert torch.equal(alone[0], together[index])
    turned = conditions.map(lambda value: value.flip(0))
    backwards = generate_latents(model, turned, n_frames, sample_ids=["c", "b", "a"], **settings)
    assert torch.equal(backwards.flip(0), together)


def test_seed_and_id_decide_the_noise(model: JointStemTransformer, make_conditions: Make) -> None:
    conditions = make_conditions(1, 64)
    one = generate_latents(model, conditions, 150, steps=2, seed=0, sample_ids=["a"])
    assert not torch.equal(one, generate_latents(model, conditions, 150, steps=2, seed=1, sample_ids=["a"]))
    assert not torch.equal(one, generate_latents(model, conditions, 150, steps=2, seed=0, sample_ids=["b"]))


def test_dials_at_one_are_off_and_cost_one_pass(model: JointStemTransformer, make_conditions: Make) -> None:
    rows: list[int] = []
    handle = model.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    conditions = make_conditions(1, 64)
    try:
        for dials in (None, Dials(), Dials(2.0, 2.0), Dials(3.0, 2.0)):
            generate_latents(model, conditions, 150, steps=2, dials=dials, seed=0, sample_ids=["a"])
    finally:
        handle.remove()
    assert rows == [1, 1, 1, 1, 2, 2, 3, 3]


def test_a_dial_at_zero_ignores_its_condition(model: JointStemTransformer, make_conditions: Make) -> None:
    one, other = make_conditions(1, 64, 1), make_conditions(1, 64, 2)

    def made(conditions: Conditions) -> torch.Tensor:
        return generate_latents(model, conditions, 150, steps=2, dials=Dials(0.0, 1.0), seed=0, sample_ids=["a"])

    changed = one.replace(global_embedding=other.global_embedding, stem_embedding=other.stem_embedding)
    assert torch.equal(made(one), made(changed))
    assert not torch.equal(made(one), made(one.replace(curves=other.curves)))


def test_given_stems_stay_and_absent_ones_are_silent_to_the_others(
    model: JointStemTransformer, make_conditions: Make
) -> None:
    conditions = make_conditions(1, curve_frames(601))
    latents = torch.randn(1, 4, 6, 601, generator=torch.Generator().manual_seed(0))
    state = torch.tensor([[StemState.GIVEN, StemState.GENERATE, StemState.ABSENT, StemState.GENERATE]])

    def made(latents: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        given = Given(latents, state)
        return generate_latents(model, conditions, 601, steps=3, seed=0, sample_ids=["a"], given=given)

    out = made(latents, state)
    assert torch.equal(out[:, 0], latents[:, 0])
    assert not out[:, 2].any()
    other = latents.clone()
    other[:, 2] = 7.0  # what is absent or generated isn't read
    other[:, 1] = -7.0
    assert torch.equal(made(other, state), out)
    other[:, 0] += 1.0  # what is given is heard
    assert not torch.allclose(made(other, state)[:, 1], out[:, 1])


class Follower(torch.nn.Module):
    """A stand-in whose clean prediction is known: the first curve plus the size of the embedding's first number."""

    stems, latent_dim, patch, prediction = 4, 6, 5, "clean"
    device = torch.device("cpu")

    def forward(
        self, noisy: torch.Tensor, time: torch.Tensor, conditions: Conditions, state: torch.Tensor
    ) -> torch.Tensor:
        curve = align_curves(conditions.curves, noisy.shape[-1])[:, :, :1]
        return (curve + conditions.global_embedding[:, None, :1, None]).expand(noisy.shape)


def test_a_long_clip_has_no_seam_and_follows_its_curves(make_conditions: Make) -> None:
    conditions = make_conditions(1, curve_frames(2000))
    out = generate_latents(Follower(), conditions, 2000, steps=4, seed=0, sample_ids=["a"])  # type: ignore[arg-type]
    expected = align_curves(conditions.curves, 2000)[:, :, :1] + conditions.global_embedding[0, 0]
    torch.testing.assert_close(out, expected.expand_as(out), atol=1e-4, rtol=1e-4)


class Stubborn(torch.nn.Module):
    """A stand-in whose windows disagree: each predicts slow noise of its own, whatever the others say."""

    stems, latent_dim, patch, prediction = 4, 6, 5, "clean"
    device = torch.device("cpu")

    def forward(
        self, noisy: torch.Tensor, time: torch.Tensor, conditions: Conditions, state: torch.Tensor
    ) -> torch.Tensor:
        made = []
        for curves in conditions.curves:
            generator = torch.Generator().manual_seed(int(1e6 * curves.double().sum()))
            noise = torch.randn(self.stems, self.latent_dim, noisy.shape[-1] + 14, generator=generator)
            made.append(noise.unfold(-1, 15, 1).mean(-1))
        return torch.stack(made)


@pytest.mark.parametrize("blended", [True, False])
def test_windows_that_disagree_leave_no_seam(
    make_conditions: Make, monkeypatch: pytest.MonkeyPatch, blended: bool
) -> None:
    """Steps from frame to frame where windows begin, end and meet beside those elsewhere; and what a cut would do."""
    plan = plan_windows(2000, Stubborn.patch)
    ends = [start + plan.length for start in plan.starts[:-1]]
    middles = [(start + end) // 2 for start, end in zip(plan.starts[1:], ends, strict=True)]
    if not blended:
        own = torch.zeros(len(plan.starts), plan.length)
        for weights, start, begin, end in zip(own, plan.starts, [0, *middles], [*middles, plan.frames], strict=True):
            weights[begin - start : end - start] = 1.0
        monkeypatch.setattr(WindowPlan, "weights", lambda _: own)
    conditions = make_conditions(1, curve_frames(2000))
    out = generate_latents(Stubborn(), conditions, 2000, steps=4, seed=0, sample_ids=["a"])[0]  # type: ignore[arg-type]
    steps = (out[..., 1:] - out[..., :-1]).square().mean((0, 1)).sqrt()
    joins = torch.tensor([*plan.starts[1:], *ends, *middles]) - 1
    elsewhere = torch.ones(len(steps), dtype=torch.bool)
    elsewhere[joins] = False
    usual = steps[elsewhere].quantile(0.99)
    assert (steps[joins].max() <= usual) == blended
    # A cut in the middle is far from hidden.
    assert (steps[joins[-len(middles) :]].min() > 1.5 * usual) != blended


def test_embeddings_of_sections_change_along_the_clip(make_conditions: Make) -> None:
    conditions = make_conditions(1, curve_frames(3000))
    sections = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    conditions = conditions.replace(
        global_embedding=sections,
        stem_embedding=sections[:, :, None].expand(1, 2, 4, 2),
        curves=torch.zeros_like(conditions.curves),
    )
    out = generate_latents(Follower(), conditions, 3000, steps=2, seed=0, sample_ids=["a"])[0, 0, 0]  # type: ignore[arg-type]
    torch.testing.assert_close(out[:1000], torch.ones(1000), atol=1e-4, rtol=0)
    torch.testing.assert_close(out[2000:], torch.zeros(1000), atol=1e-4, rtol=0)
    assert (out[1:] - out[:-1]).abs().max() < 0.1


def test_long_clips_are_cut_into_passes(
    model: JointStemTransformer, make_conditions: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions = make_conditions(1, curve_frames(1500))

    def made() -> torch.Tensor:
        return generate_latents(
            model, conditions, 1500, steps=2, dials=Dials(2.0, 2.0), seed=0, sample_ids=["a"], precision="fp32"
        )

    whole = made()
    monkeypatch.setattr("eeg2music.diffusion.generate.LARGEST_PASS", 4)
    torch.testing.assert_close(made(), whole, atol=1e-4, rtol=1e-4)


def test_what_is_refused(model: JointStemTransformer, make_conditions: Make) -> None:
    conditions = make_conditions(2, 64)
    with pytest.raises(InputError, match="1 sample ids for 2"):
        generate_latents(model, conditions, 150, seed=0, sample_ids=["a"])
    with pytest.raises(InputError, match="repeated"):
        generate_latents(model, conditions, 150, seed=0, sample_ids=["a", "a"])
    with pytest.raises(InputError, match="2 s or more"):
        generate_latents(model, conditions, 100, seed=0, sample_ids=["a", "b"])
    with pytest.raises(InputError, match="Curves of 64 frames"):
        generate_latents(model, conditions, 375, seed=0, sample_ids=["a", "b"])
    wrong = Given(torch.zeros(2, 4, 6, 100), torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(InputError, match="Given latents"):
        generate_latents(model, conditions, 150, seed=0, sample_ids=["a", "b"], given=wrong)


def test_bf16_by_emulation_does_not_count_and_the_models_own_gpu_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    @contextlib.contextmanager
    def current(device: object) -> Iterator[None]:
        asked.append(device)
        yield
        asked.append("left")

    def supported(including_emulation: bool = True) -> bool:
        asked.append(including_emulation)
        return including_emulation

    monkeypatch.setattr(torch.cuda, "device", current)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert generate._computes_bf16(torch.device("cuda:1")) is False
    assert asked == [torch.device("cuda:1"), False, "left"]
