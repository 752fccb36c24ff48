"""The brain encoder: any montage in, an embedding and control curves per region out.

Signals are resampled to a virtual montage by position, unmixed by signed filters (a few
per region, with a personal correction), and run through dilated convolutions that keep
the regions apart. Stem k's embedding and curves come from region k's stream alone; only
the global embedding sees them all. Without electrode positions there is a path that
treats all channels alike: it knows no regions, and says so in `regions_known`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eeg2music.encoders.base import (
    FRAME_STRIDE,
    MIN_POSITIONED_CHANNELS,
    BrainConditions,
    Encoder,
    check_subjects,
    clean_inputs,
    register_to_config,
)
from eeg2music.encoders.registry import ENCODERS
from eeg2music.encoders.spatial import SphericalSpline
from eeg2music.encoders.subjects import SubjectFilters
from eeg2music.encoders.temporal import DilatedBlock, PooledEmbedding, TemporalStack, as_image
from eeg2music.types import CURVES, EMBEDDING_DIM, STEMS

# Where the curves' outputs start: about their means in music.
CURVE_START = (0.05, 0.5, 0.4)


@ENCODERS.add("brain")
class BrainEncoder(Encoder):
    """Dilated convolutional encoder with one stream per region.

    Parameters
    ----------
    signal_spec : `SignalSpec.to_dict()` of the training data
    points : virtual channels
    filters : spatial filters per region: at high signal-to-noise ratios others than at low ones cancel most
    width : channels of each region's stream
    dilations : of the residual blocks, at 32 Hz
    global_width : channels of the stream that sees all regions
    embedding_dim : of the space that the embeddings aim at
    """

    personal_weights = ("unmix.personal", "unmix.response")
    # Sums of channels that nearly cancel.
    exact_weights = ("unmix.shared", "unmix.personal")
    curves_layer = "to_curves"

    @register_to_config
    def __init__(
        self,
        signal_spec: Mapping[str, Any],
        points: int = 64,
        filters: int = 24,
        width: int = 64,
        dilations: Sequence[int] = (1, 2, 4, 8, 1),
        global_width: int = 96,
        agnostic_width: int = 32,
        head_width: int = 128,
        embedding_dim: int = EMBEDDING_DIM,
        training_manifest: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        regions = len(STEMS)
        self.spline = SphericalSpline(points)
        self.unmix = SubjectFilters(len(signal_spec["subjects"]), points, regions, filters)
        self.streams = TemporalStack(regions * filters, regions * width, regions, tuple(dilations))
        self.to_curves = nn.Conv2d(regions * width, regions * len(CURVES), 1, groups=regions)
        self.to_stem = PooledEmbedding(regions * width, regions, embedding_dim, head_width)
        self.together = GlobalStream(regions * width, global_width, embedding_dim, 2 * head_width)
        self.agnostic = AgnosticStream(agnostic_width, embedding_dim, head_width)
        start_curves(self.to_curves, regions)

    def forward(self, eeg: Tensor, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> BrainConditions:
        """See `Encoder.forward`."""
        check_subjects(subject, len(self.config["signal_spec"]["subjects"]))
        eeg, positioned = clean_inputs(eeg, positions_m, channel_mask, subject)
        regions_known = positioned.sum(1) >= MIN_POSITIONED_CHANNELS
        virtual = self.spline(eeg, positions_m, positioned & regions_known[:, None])
        features = self.streams(self.unmix(virtual, subject))
        curves = self.to_curves(features).float()
        curves = curves.reshape(len(eeg), len(STEMS), len(CURVES), -1)
        stems = self.to_stem(features).float()
        mix = self.together(features).float()
        mix, stems, curves = self._without_positions(eeg, channel_mask, regions_known, mix, stems, curves)
        return BrainConditions(F.normalize(mix, dim=-1), F.normalize(stems, dim=-1), curves, regions_known)

    @torch.no_grad()
    def precondition(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """See `Encoder.precondition`: spatial filters are learned on whitened virtual channels."""
        total, frames = torch.zeros(()), 0
        for batch in batches:
            eeg, positioned = clean_inputs(batch["eeg"], batch["positions_m"], batch["channel_mask"], batch["subject"])
            rows = positioned.sum(1) >= MIN_POSITIONED_CHANNELS
            if bool(rows.any()):
                virtual = self.spline(eeg[rows], batch["positions_m"][rows], positioned[rows]).double()
                total = total + torch.einsum("bpt,bqt->pq", virtual, virtual)
                frames += virtual.shape[0] * virtual.shape[-1]
        if frames:
            self.unmix.precondition(total / frames)

    def settle(self) -> None:
        """See `Encoder.settle`."""
        self.unmix.settle()

    def _without_positions(
        self, eeg: Tensor, mask: Tensor, known: Tensor, mix: Tensor, stems: Tensor, curves: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Put the channel-agnostic path's output where regions are unknown."""
        rows = (~known).nonzero()[:, 0]
        if len(rows) == 0:
            if not self.training:
                return mix, stems, curves
            # Every parameter must take part in every training step, or data-parallel
            # processes disagree on which gradients to wait for.
            rows = torch.zeros(1, dtype=torch.int64, device=eeg.device)
        frames = curves.shape[-1]
        one_mix, one_curves = self.agnostic(eeg[rows], mask[rows].bool(), frames)
        keep = known[rows]
        mix = mix.index_copy(0, rows, torch.where(keep[:, None], mix[rows], one_mix))
        stems = stems.index_copy(0, rows, torch.where(keep[:, None, None], stems[rows], one_mix[:, None]))
        curves = curves.index_copy(0, rows, torch.where(keep[:, None, None, None], curves[rows], one_curves[:, None]))
        return mix, stems, curves

    @torch.no_grad()
    def channel_weights(self, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> Tensor:
        """See `Encoder.channel_weights`: the root mean square over each region's filters."""
        positioned = channel_mask.bool() & torch.isfinite(positions_m).all(-1)
        regions_known = positioned.sum(1) >= MIN_POSITIONED_CHANNELS
        spline = self.spline.weights(positions_m, positioned & regions_known[:, None])
        filters = self.unmix.of(subject).float().unflatten(1, (len(STEMS), -1))
        size = torch.einsum("brfp,bpc->brfc", filters, spline).square().mean(2).sqrt()
        return size / size.sum(-1, keepdim=True).clamp_min(1e-9)


def start_curves(layer: nn.Conv2d, stems: int) -> None:
    """Let a curves layer start at the curves' usual means."""
    nn.init.normal_(layer.weight, std=1e-2)
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(torch.tensor(CURVE_START).repeat(stems))


class GlobalStream(nn.Module):
    """All regions' features to one embedding."""

    def __init__(self, inputs: int, width: int, embedding_dim: int, hidden: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(inputs, width, 1)
        self.blocks = nn.Sequential(DilatedBlock(width, 1, 2), DilatedBlock(width, 1, 4))
        self.head = PooledEmbedding(width, 1, embedding_dim, hidden)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, region * width, 1, frame) -> (batch, embedding), not normalised."""
        return self.head(self.blocks(self.mix(features)))[:, 0]


class AgnosticStream(nn.Module):
    """Global embedding and curves from channels of unknown place and unknown sign.

    The same short filters run over every channel; only their power's mean over channels
    goes on, so that neither order nor polarity matters.
    """

    def __init__(self, width: int, embedding_dim: int, hidden: int) -> None:
        super().__init__()
        # Without a bias, so that the power of a channel does not depend on its polarity.
        self.filters = nn.Conv1d(1, width, 16, stride=2 * FRAME_STRIDE, padding=6, bias=False)
        self.mix = nn.Conv1d(2 * width, 2 * width, 3, padding=1)
        self.blocks = nn.Sequential(DilatedBlock(2 * width, 1, 2), DilatedBlock(2 * width, 1, 4))
        self.head = PooledEmbedding(2 * width, 1, embedding_dim, hidden)
        self.to_curves = nn.Conv2d(2 * width, len(CURVES), 1)
        start_curves(self.to_curves, 1)

    def forward(self, eeg: Tensor, mask: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """(batch, channel, time) -> (batch, embedding) and (batch, curve, frames)."""
        batch, channels, time = eeg.shape
        filtered = self.filters(eeg.reshape(batch * channels, 1, time)).float()
        power = filtered.square().reshape(batch, channels, *filtered.shape[1:])
        weight = mask.float()[:, :, None, None]
        count = weight.sum(1).clamp_min(1.0)
        mean = (power * weight).sum(1) / count
        spread = (((power - mean[:, None]).square() * weight).sum(1) / count + 1e-6).sqrt()
        features = self.blocks(as_image(self.mix(torch.cat([mean, spread], dim=1).log1p())))
        curves = self.to_curves(features)[:, :, 0].float()
        curves = F.interpolate(curves, size=frames, mode="linear", align_corners=False)
        return self.head(features)[:, 0].float(), curves
