"""Classifier-free guidance with a dial for each kind of condition.

Says which versions of the conditions have to be predicted and how the predictions are put together; calls no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eeg2music.errors import ConfigError
from eeg2music.types import Conditions


@dataclass(frozen=True)
class Dials:
    """How far to go beyond what the conditions ask for; 1 is off, 0 ignores the condition.

    Attributes
    ----------
    embedding_scale : for what it sounds like: global and stem embeddings together. They tell of one piece of music, and
        a dial for each would cost one more pass of the model at every step
    curve_scale : for when and how loud (control curves)
    interval : times in [from, to) at which guidance acts; outside of it, the dials are 1
        (Kynkäänniemi et al. 2024)
    rescale : 0 to 1, how much of the spread that guidance adds is taken back (Lin et al. 2024, eq. 15-16)
    """

    embedding_scale: float = 1.0
    curve_scale: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)
    rescale: float = 0.0

    def __post_init__(self) -> None:
        if self.embedding_scale < 0 or self.curve_scale < 0:
            raise ConfigError(
                f"dials embedding {self.embedding_scale}, curves {self.curve_scale}",
                allowed="0 or more; 1 is off",
                remedy="raise it",
            )
        if not 0.0 <= self.interval[0] <= self.interval[1] <= 1.0:
            raise ConfigError(
                f"guidance interval {self.interval}",
                allowed="two times, 0 <= from <= to <= 1",
                remedy="name times between 0 (noise) and 1 (music)",
            )
        if not 0.0 <= self.rescale <= 1.0:
            raise ConfigError(f"guidance rescale {self.rescale}", allowed="0 to 1", remedy="lower it")


@dataclass(frozen=True)
class Variant:
    """One version of the conditions, and the weight of what is predicted under it."""

    weight: float
    embeddings: bool
    curves: bool


ALL = Variant(1.0, embeddings=True, curves=True)


def variants(dials: Dials, time: float) -> tuple[Variant, ...]:
    """The versions that have to be predicted at `time`: those whose weight isn't zero. Weights sum to one.

    With v(nothing), v(curves) and v(all), the guided prediction is (Brooks et al. 2023, eq. 3, where the curves take
    the place of the image and the embeddings that of the text)

        v(nothing) + curve_scale (v(curves) - v(nothing)) + embedding_scale (v(all) - v(curves)).

    So dials that are both 1 cost one pass, and equal dials two. The one with everything comes last.
    """
    low, high = dials.interval
    if not low <= time < high:
        return (ALL,)
    every = (
        Variant(1.0 - dials.curve_scale, embeddings=False, curves=False),
        Variant(dials.curve_scale - dials.embedding_scale, embeddings=False, curves=True),
        Variant(dials.embedding_scale, embeddings=True, curves=True),
    )
    return tuple(variant for variant in every if variant.weight != 0.0)


def expand(conditions: Conditions, wanted: tuple[Variant, ...]) -> Conditions:
    """The conditions once per variant, along the batch: (variant * batch, …). What was dropped stays dropped."""
    count, stems = conditions.stem_embedding.shape[:2]
    device = conditions.stem_embedding.device
    all_global = torch.ones(count, dtype=torch.bool, device=device)
    all_stems = torch.ones(count, stems, dtype=torch.bool, device=device)
    keep_global = all_global if conditions.keep_global is None else conditions.keep_global
    keep_stem = all_stems if conditions.keep_stem is None else conditions.keep_stem
    keep_curves = all_stems if conditions.keep_curves is None else conditions.keep_curves
    times = len(wanted)
    return Conditions(
        global_embedding=conditions.global_embedding.repeat(times, 1),
        stem_embedding=conditions.stem_embedding.repeat(times, 1, 1),
        curves=conditions.curves.repeat(times, 1, 1, 1),
        keep_global=torch.cat([keep_global & variant.embeddings for variant in wanted]),
        keep_stem=torch.cat([keep_stem & variant.embeddings for variant in wanted]),
        keep_curves=torch.cat([keep_curves & variant.curves for variant in wanted]),
    )


def combine(predictions: Tensor, wanted: tuple[Variant, ...], rescale: float = 0.0) -> Tensor:
    """Put the predictions of `expand`ed conditions together: (variant * batch, stem, channel, frame) -> (batch, …).

    Right for predictions of the velocity and of the clean latents alike, since the weights sum to one.
    """
    if len(wanted) == 1:
        return predictions
    each = predictions.unflatten(0, (len(wanted), -1))
    weights = torch.tensor([variant.weight for variant in wanted], dtype=each.dtype, device=each.device)
    guided = torch.einsum("v,v...->...", weights, each)
    if rescale > 0.0 and wanted[-1].embeddings and wanted[-1].curves:
        plain = each[-1].std(dim=(-2, -1), keepdim=True)
        factor = plain / guided.std(dim=(-2, -1), keepdim=True).clamp_min(1e-6)
        guided = guided * (1 - rescale + rescale * factor)
    return guided
