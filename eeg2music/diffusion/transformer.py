"""The joint stem transformer: predicts the clean latents of all stems from noisy ones and from conditions.

It never draws noise, never samples and never drops conditions by itself: what is dropped says the caller, in the
masks of `Conditions`. Patches of a few latent frames are tokens; attention runs along time within each stem, then
(every other block) across the stems at each time token: the cost grows with the stems, not with their square.
"""

from __future__ import annotations

from enum import IntEnum

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eeg2music.compat import mend_torchaudio
from eeg2music.diffusion.flow import Prediction
from eeg2music.diffusion.layers import (
    GatedMLP,
    Modulation,
    StemAttention,
    TimeAttention,
    TimeEmbedding,
    modulate,
    rotary_tables,
)
from eeg2music.errors import ConfigError, InputError
from eeg2music.types import CURVE_RATE_HZ, CURVES, EMBEDDING_DIM, FRAME_RATE_HZ, STEMS, Conditions

mend_torchaudio()
from diffusers.configuration_utils import ConfigMixin, register_to_config  # noqa: E402 - after torchaudio is mended
from diffusers.models.modeling_utils import ModelMixin  # noqa: E402


class StemState(IntEnum):
    """What a stem is to a forward pass."""

    GENERATE = 0
    GIVEN = 1  # enters clean, at time 1; what is predicted for it is not used
    ABSENT = 2  # the others don't see it


class Block(nn.Module):
    """Attention in time, attention across stems (where the block has it), feed-forward; each modulated and gated."""

    def __init__(self, width: int, heads: int, hidden: int, rank: int, across_stems: bool) -> None:
        super().__init__()
        self.time = TimeAttention(width, heads)
        self.stems = StemAttention(width, heads) if across_stems else None
        self.mlp = GatedMLP(width, hidden)
        self.modulation = Modulation(width, 9 if across_stems else 6, rank)

    def forward(self, x: Tensor, condition: Tensor, rotary: tuple[Tensor, Tensor], visible: Tensor) -> Tensor:
        parts = self.modulation(condition)
        shift, scale, gate = parts[:3]
        x = torch.addcmul(x, gate, self.time(modulate(x, shift, 1 + scale), rotary))
        if self.stems is not None:
            shift, scale, gate = parts[6:]
            x = torch.addcmul(x, gate, self.stems(modulate(x, shift, 1 + scale), visible))
        shift, scale, gate = parts[3:6]
        return torch.addcmul(x, gate, self.mlp(modulate(x, shift, 1 + scale)))


class JointStemTransformer(ModelMixin, ConfigMixin):
    """Rectified-flow transformer over the normalised codec latents of all stems.

    Parameters
    ----------
    latent_dim : channels of a codec latent
    patch : latent frames per token
    width, depth, heads, hidden : sizes of the transformer; `hidden` is that of the gated feed-forward
    modulation_rank : width of the narrow layer from the condition vector to a block's modulation
    stem_attention_every : every how many blocks the stems attend to each other
    prediction : "clean" (x-prediction; Li & He 2025, "Back to basics") or "velocity"
    """

    config_name = "config.json"  # type: ignore[assignment]

    @register_to_config
    def __init__(
        self,
        latent_dim: int = 64,
        stems: tuple[str, ...] = STEMS,
        curves: tuple[str, ...] = CURVES,
        embedding_dim: int = EMBEDDING_DIM,
        patch: int = 5,
        width: int = 256,
        depth: int = 8,
        heads: int = 4,
        hidden: int = 528,
        modulation_rank: int = 32,
        stem_attention_every: int = 2,
        rotary_base: float = 1000.0,
        prediction: Prediction = "clean",
    ) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ConfigError(f"width = {width} does not split into {heads} heads", allowed="a multiple of 2 * heads")
        count, curve_size = len(stems), len(curves) * patch
        self.stems, self.latent_dim, self.patch = count, latent_dim, patch
        self.head_width, self.rotary_base = width // heads, rotary_base
        self.prediction: Prediction = prediction
        self.patch_in = nn.Linear(latent_dim * patch, width)
        self.curve_in = nn.Linear(curve_size, width)
        self.curve_middle = nn.Linear(curve_size, width)
        self.time_embedding = TimeEmbedding(width)
        self.global_in = nn.Linear(embedding_dim, width)
        self.embedding_in = nn.Linear(embedding_dim, width)
        self.stem_name = nn.Parameter(0.02 * torch.randn(count, width))
        self.null_global = nn.Parameter(torch.zeros(width))
        self.null_embedding = nn.Parameter(torch.zeros(count, width))
        self.null_curves = nn.Parameter(torch.zeros(2, count, width))
        self.mix_conditions = nn.Linear(width, width)
        every = stem_attention_every
        self.blocks = nn.ModuleList(
            Block(width, heads, hidden, modulation_rank, across_stems=index % every == every - 1)
            for index in range(depth)
        )
        self.last_modulation = Modulation(width, 2, modulation_rank)
        self.patch_out = nn.Linear(width, latent_dim * patch)
        self.pass_on = nn.Linear(width, latent_dim)
        self.pass_on_here = nn.Linear(width, latent_dim * patch)
        self._initialise()

    def _initialise(self) -> None:
        """Begin by predicting nothing."""
        for layer in (self.patch_out, self.pass_on, self.pass_on_here):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        narrow = [module.down for module in self.modules() if isinstance(module, Modulation)]
        for layer in (self.mix_conditions, *narrow):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, noisy: Tensor, time: Tensor, conditions: Conditions, stem_state: Tensor | None = None) -> Tensor:
        """Predict the clean latents (or the velocity, as `prediction` says).

        Parameters
        ----------
        noisy : (batch, stem, channel, frame) latents, clean ones where the stem is given; frames a multiple of `patch`
        time : (batch,) in [0, 1], 0 = noise, 1 = clean
        conditions : curves at CURVE_RATE_HZ, or aligned with the latents already (`align_curves`)
        stem_state : (batch, stem) of `StemState`, all GENERATE by default

        Returns
        -------
        (batch, stem, channel, frame) float32
        """
        self._check(noisy, conditions)
        if stem_state is None:
            stem_state = torch.zeros(noisy.shape[:2], dtype=torch.long, device=noisy.device)
        own_time = time[:, None].float().masked_fill(stem_state == StemState.GIVEN, 1.0)
        condition = self._condition_vector(own_time, conditions)
        into, middle = self._curve_tokens(conditions, noisy.shape[-1])
        x = self.patch_in(self._patches(noisy)) + into
        condition = condition.to(x.dtype)
        rotary = rotary_tables(x.shape[2], self.head_width, base=self.rotary_base, device=x.device, dtype=x.dtype)
        visible = _visible(stem_state)
        for index, block in enumerate(self.blocks):
            if index == len(self.blocks) // 2:
                x = x + middle
            x = block(x, condition, rotary, visible)
        shift, scale = self.last_modulation(condition)
        x = modulate(x, shift, 1 + scale)
        passed_on = self._passed_on(own_time)[..., None] + self._frames(self.pass_on_here(x).float())
        return torch.addcmul(self._frames(self.patch_out(x).float()), passed_on, noisy.float())

    def _condition_vector(self, own_time: Tensor, conditions: Conditions) -> Tensor:
        """Everything that holds for a whole stem, (batch, stem, width)."""
        # An embedding has length one, so that its numbers are small, and the model would learn to hear it several times
        # later than the rest: give them unit variance.
        loud = self.config["embedding_dim"] ** 0.5
        whole = _keep(self.global_in(loud * conditions.global_embedding), self.null_global, conditions.keep_global)
        own = _keep(self.embedding_in(loud * conditions.stem_embedding), self.null_embedding, conditions.keep_stem)
        vector = self.time_embedding(own_time) + self.stem_name + whole.unsqueeze(1) + own
        return F.silu(self.mix_conditions(F.silu(vector)))

    def _passed_on(self, own_time: Tensor) -> Tensor:
        """How much of each noisy channel goes straight to the prediction at this time, (batch, stem, channel).

        A token is narrower than a patch of latents. Early that is good: what is noise does not get through (Li & He
        2025). Late it would cost detail that the noisy latents hold already. What `pass_on_here` adds depends on the
        token: a rest has no detail, and what is passed on there is heard as hiss.
        """
        return self.pass_on(F.silu(self.time_embedding(own_time))).float()

    def _curve_tokens(self, conditions: Conditions, frames: int) -> tuple[Tensor, Tensor]:
        """What the curves add to the tokens at the input and half-way, each (batch, stem, token, width)."""
        patches = self._patches(align_curves(conditions.curves, frames))
        keep = None if conditions.keep_curves is None else conditions.keep_curves[..., None]
        null = self.null_curves.unsqueeze(2)
        return _keep(self.curve_in(patches), null[0], keep), _keep(self.curve_middle(patches), null[1], keep)

    def _patches(self, x: Tensor) -> Tensor:
        """(batch, stem, channel, frame) -> (batch, stem, token, channel * patch)."""
        return x.unflatten(-1, (-1, self.patch)).transpose(2, 3).flatten(3)

    def _frames(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (-1, self.patch)).transpose(2, 3).flatten(3)

    def _check(self, noisy: Tensor, conditions: Conditions) -> None:
        expected = (self.stems, self.latent_dim)
        if noisy.ndim != 4 or tuple(noisy.shape[1:3]) != expected:
            raise InputError(
                f"Latents of shape {tuple(noisy.shape)} don't fit the model",
                allowed=f"(batch, {expected[0]}, {expected[1]}, frame)",
            )
        if noisy.shape[-1] % self.patch:
            raise InputError(
                f"{noisy.shape[-1]} latent frames can't be cut into patches of {self.patch}",
                allowed=f"a multiple of {self.patch}",
            )
        if len(conditions) != noisy.shape[0]:
            raise InputError(f"{len(conditions)} conditions for {noisy.shape[0]} sets of latents")


def align_curves(curves: Tensor, frames: int) -> Tensor:
    """Interpolate control curves in time at the centres of the latent frames.

    Curve frame k lies at k / 32 s, latent frame f at (f + 0.5) / 75 s; beyond the last curve frame its value holds.
    Curves that have `frames` frames already are taken to be aligned and returned as they are.

    Parameters
    ----------
    curves : (..., curve_frame) at CURVE_RATE_HZ

    Returns
    -------
    (..., frame) at FRAME_RATE_HZ
    """
    count = curves.shape[-1]
    if count == frames:
        return curves
    wanted = round(frames * CURVE_RATE_HZ / FRAME_RATE_HZ)
    if abs(count - wanted) > 1:
        raise InputError(
            f"Curves of {count} frames don't go with {frames} latent frames",
            allowed=f"{wanted} frames at {CURVE_RATE_HZ} Hz, or {frames} at {FRAME_RATE_HZ} Hz",
        )
    position = (torch.arange(frames, device=curves.device) + 0.5) * (CURVE_RATE_HZ / FRAME_RATE_HZ)
    position = position.clamp_max(count - 1)
    left = position.floor().long()
    right = (left + 1).clamp_max(count - 1)
    return torch.lerp(curves[..., left], curves[..., right], (position - left).to(curves.dtype))


def _keep(value: Tensor, null: Tensor, keep: Tensor | None) -> Tensor:
    """`value` where it is kept, the learned `null` where it is dropped."""
    return value if keep is None else torch.where(keep[..., None], value, null.to(value.dtype))


def _visible(stem_state: Tensor) -> Tensor:
    """(batch, stem, stem): row sees column. Absent stems are seen by themselves alone."""
    own = torch.eye(stem_state.shape[1], dtype=torch.bool, device=stem_state.device)
    return (stem_state != StemState.ABSENT)[:, None, :] | own
