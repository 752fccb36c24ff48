"""Conditions to latents: the sampler, guidance and windows put together for any number of clips of any length.

Inference only. Each clip runs in forward passes of its own, so that it is the same to the byte alone or in a batch
(on one machine with one number of threads).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from eeg2music.diffusion import guidance
from eeg2music.diffusion.flow import to_velocity
from eeg2music.diffusion.guidance import Dials
from eeg2music.diffusion.samplers import get_sampler, schedule
from eeg2music.diffusion.transformer import JointStemTransformer, StemState, align_curves
from eeg2music.diffusion.windows import WindowPlan, frame_noise, plan_windows
from eeg2music.errors import InputError
from eeg2music.types import Conditions

Precision = Literal["auto", "fp32", "bf16"]

# Windows times guidance variants in one forward pass; bounds the memory for long recordings.
LARGEST_PASS = 24
DEFAULT_STEPS = 8
DEFAULT_SHIFT = 1.0


@dataclass(frozen=True)
class Given:
    """Stems that are there already, or that are not wanted.

    Attributes
    ----------
    latents : (batch, stem, channel, frame) normalised; read where the state is GIVEN only
    state : (batch, stem) of StemState
    """

    latents: Tensor
    state: Tensor


@torch.no_grad()
def generate_latents(
    model: JointStemTransformer,
    conditions: Conditions,
    n_frames: int,
    *,
    steps: int = DEFAULT_STEPS,
    dials: Dials | None = None,
    seed: int,
    sample_ids: Sequence[str | int],
    given: Given | None = None,
    sampler: str = "multistep",
    shift: float = DEFAULT_SHIFT,
    precision: Precision = "auto",
) -> Tensor:
    """Generate the normalised latents of all stems.

    Parameters
    ----------
    model : in eval mode
    conditions : of the whole clips. Curves (batch, stem, curve, curve_frame) cover `n_frames`. Embeddings hold for the
        whole clip, (batch, embedding) and (batch, stem, embedding), or for equal sections of it,
        (batch, section, embedding) and (batch, section, stem, embedding): a window takes the mean of its sections.
    n_frames : latent frames, 2 s or more
    steps : solver steps; each is one forward pass per guidance variant
    dials : guidance, off by default
    seed, sample_ids : decide the noise; one id per clip
    given : stems to keep, or to leave out
    precision : of the forward passes; "auto" is bf16 where the machine computes in it

    Returns
    -------
    (batch, stem, channel, frame) float32 on the CPU's or model's device. Given stems are as they were, absent ones 0.

    Raises
    ------
    InputError
        If ids, curves, embeddings or given stems don't fit, or the clip is too short.
    """
    if not sample_ids:
        raise InputError("No sample ids: there is no clip to generate", allowed="one id per clip, at least one")
    if len(sample_ids) != len(conditions):
        raise InputError(f"{len(sample_ids)} sample ids for {len(conditions)} conditions", allowed="one id per clip")
    if len(set(sample_ids)) != len(sample_ids):
        raise InputError("Sample ids are repeated, so clips would share their noise", allowed="ids that differ")
    plan = plan_windows(n_frames, model.patch)
    times = schedule(steps, shift)
    solve = get_sampler(sampler)
    clips = []
    with _arithmetic(model.device, precision):
        for index, sample_id in enumerate(sample_ids):
            clip = _Clip(model, plan, dials or Dials(), conditions[index : index + 1], n_frames, _one(given, index))
            noise = frame_noise(model.stems, model.latent_dim, plan.frames, seed, sample_id)
            clips.append(clip.finish(solve(clip.velocity, clip.begin(noise.to(model.device)), times)))
    return torch.stack(clips)


class _Clip:
    """The velocity field of one clip: its windows and guidance variants folded into batched passes."""

    def __init__(
        self,
        model: JointStemTransformer,
        plan: WindowPlan,
        dials: Dials,
        conditions: Conditions,
        n_frames: int,
        given: Given | None,
    ) -> None:
        self.model, self.plan, self.dials, self.n_frames = model, plan, dials, n_frames
        self.conditions = _window_conditions(conditions.to(model.device), plan, n_frames)
        stems = model.stems
        self.state = torch.full((stems,), int(StemState.GENERATE), device=model.device)
        self.kept: Tensor | None = None
        if given is not None:
            self.state = given.state[0].to(model.device)
            self.kept = _fitting(given.latents[0], model, n_frames).to(model.device)
        # (stem, 1, 1), to multiply latents with.
        self.moving = (self.state == StemState.GENERATE).float()[:, None, None]
        self.still = (self.state == StemState.GIVEN).float()[:, None, None]

    def begin(self, noise: Tensor) -> Tensor:
        """Noise for what is generated, the clean latents for what is given, zeros for what is absent."""
        if self.kept is None:
            return noise
        padded = torch.nn.functional.pad(self.kept, (0, self.plan.frames - self.n_frames))
        return self.moving * noise + self.still * padded

    def finish(self, x: Tensor) -> Tensor:
        """The clip's own frames, given stems exactly as they were."""
        x = x[..., : self.n_frames]
        return x if self.kept is None else torch.where(self.still > 0, self.kept, x * self.moving)

    def velocity(self, x: Tensor, time: float) -> Tensor:
        """d x / d time of the whole clip, (stem, channel, frame)."""
        wanted = guidance.variants(self.dials, time)
        windows = self.plan.split(x)
        merged = self.plan.merge(self._predict(windows, time, wanted))
        now = torch.tensor(time, dtype=x.dtype, device=x.device)
        return self.moving * to_velocity(merged, x, now, self.model.prediction)

    def _predict(self, windows: Tensor, time: float, wanted: tuple[guidance.Variant, ...]) -> Tensor:
        each = max(1, LARGEST_PASS // len(wanted))
        parts = []
        for start in range(0, len(windows), each):
            part = windows[start : start + each]
            predicted = self.model(
                part.repeat(len(wanted), 1, 1, 1),
                torch.full((len(wanted) * len(part),), time, device=part.device),
                guidance.expand(self.conditions[start : start + each], wanted),
                self.state.expand(len(wanted) * len(part), -1),
            )
            parts.append(guidance.combine(predicted, wanted, self.dials.rescale))
        return torch.cat(parts)


def _window_conditions(conditions: Conditions, plan: WindowPlan, n_frames: int) -> Conditions:
    """One clip's conditions (batch 1), one row per window, curves aligned with the latent frames."""
    curves = align_curves(conditions.curves[0], n_frames)
    curves = torch.nn.functional.pad(curves, (0, plan.frames - n_frames), mode="replicate")
    sections = conditions.global_embedding.shape[1] if conditions.global_embedding.ndim == 3 else 0
    shares = _section_shares(plan, sections) if sections else None
    count = len(plan.starts)

    def spread(value: Tensor) -> Tensor:
        if shares is None:
            return value[0].expand(count, *value.shape[1:])
        mean = torch.einsum("ws,s...->w...", shares.to(value), value[0])
        return torch.nn.functional.normalize(mean, dim=-1)

    def rows(mask: Tensor | None) -> Tensor | None:
        return None if mask is None else mask[0].expand(count, *mask.shape[1:])

    return Conditions(
        global_embedding=spread(conditions.global_embedding),
        stem_embedding=spread(conditions.stem_embedding),
        curves=plan.split(curves),
        keep_global=rows(conditions.keep_global),
        keep_stem=rows(conditions.keep_stem),
        keep_curves=rows(conditions.keep_curves),
    )


def _section_shares(plan: WindowPlan, sections: int) -> Tensor:
    """(window, section): the share of each window that lies in each of `sections` equal stretches of the clip."""
    edges = torch.linspace(0, plan.frames, sections + 1)
    starts = torch.tensor(plan.starts, dtype=torch.float32)[:, None]
    overlap = torch.minimum(edges[1:], starts + plan.length) - torch.maximum(edges[:-1], starts)
    return overlap.clamp_min(0) / plan.length


def _one(given: Given | None, index: int) -> Given | None:
    return None if given is None else Given(given.latents[index : index + 1], given.state[index : index + 1])


def _fitting(latents: Tensor, model: JointStemTransformer, n_frames: int) -> Tensor:
    expected = (model.stems, model.latent_dim, n_frames)
    if tuple(latents.shape) != expected:
        raise InputError(f"Given latents of shape {tuple(latents.shape)}", allowed=f"(batch, *{expected})")
    return latents.float()


def resolved_precision(device: torch.device, precision: Precision = "auto") -> Literal["fp32", "bf16"]:
    """What forward passes on a device compute in."""
    if precision == "auto":
        return "bf16" if _computes_bf16(device) else "fp32"
    return precision


def _arithmetic(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """Autocast to bf16, or nothing."""
    if resolved_precision(device, precision) == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies matrices in bf16 (AMX or AVX-512 on a CPU), and not by emulation."""
    if device.type == "cuda":
        # It asks the current device, and by default counts emulation in.
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    mkldnn = device.type == "cpu" and torch.backends.mkldnn.is_available()
    return mkldnn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
