"""The published convolutional encoder for comparison: braindecode's BrainModule.

Défossez et al. 2023 ("Decoding speech perception from non-invasive brain recordings"), as
maintained in braindecode, behind this project's interface: any montage is first resampled to
virtual channels, and heads for embeddings and curves stand where it has one output. It doesn't
keep the regions apart, and it needs electrode positions. The optional package is imported when
such an encoder is built; its BrainModule is licensed for non-commercial use (CC BY-NC 4.0),
so no weights of it ship with this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eeg2music.compat import mend_torchaudio
from eeg2music.encoders.base import (
    FRAME_STRIDE,
    MIN_POSITIONED_CHANNELS,
    UNSEEN,
    BrainConditions,
    Encoder,
    check_subjects,
    clean_inputs,
    register_to_config,
)
from eeg2music.encoders.brain import start_curves
from eeg2music.encoders.registry import ENCODERS
from eeg2music.encoders.spatial import SphericalSpline
from eeg2music.encoders.temporal import PooledEmbedding, as_image
from eeg2music.errors import InputError, MissingExtraError
from eeg2music.types import CURVES, EEG_RATE_HZ, EMBEDDING_DIM, STEMS


@ENCODERS.add("brainmodule")
class BrainModuleEncoder(Encoder):
    """BrainModule behind virtual channels, with one subject layer for people not trained on.

    Parameters
    ----------
    signal_spec : `SignalSpec.to_dict()` of the training data
    points : virtual channels
    hidden_dim, depth : of BrainModule; published: 320 and 10
    """

    needs_positions = True
    personal_weights = ("body.subject_layers_module.weights", "body.subject_embedding.embedding.weight")
    curves_layer = "to_curves"

    @register_to_config
    def __init__(
        self,
        signal_spec: Mapping[str, Any],
        points: int = 64,
        hidden_dim: int = 320,
        depth: int = 10,
        head_width: int = 256,
        embedding_dim: int = EMBEDDING_DIM,
        training_manifest: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.spline = SphericalSpline(points)
        self.body = _brain_module(points, hidden_dim, depth, subjects=len(signal_spec["subjects"]) + 1)
        self.to_curves = nn.Conv2d(hidden_dim, len(STEMS) * len(CURVES), 1)
        self.to_embedding = PooledEmbedding(hidden_dim, 1, (1 + len(STEMS)) * embedding_dim, head_width)
        start_curves(self.to_curves, len(STEMS))

    def forward(self, eeg: Tensor, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> BrainConditions:
        """See `Encoder.forward`. Raises InputError for windows without electrode positions."""
        known = len(self.config["signal_spec"]["subjects"])
        check_subjects(subject, known)
        eeg, positioned = clean_inputs(eeg, positions_m, channel_mask, subject)
        if not bool((positioned.sum(1) >= MIN_POSITIONED_CHANNELS).all()):
            raise InputError(
                "The encoder 'brainmodule' needs electrode positions",
                allowed=f"at least {MIN_POSITIONED_CHANNELS} channels with a position",
                remedy="give --montage, or use the encoder 'brain'",
            )
        virtual = self.spline(eeg, positions_m, positioned)
        layer = torch.where(subject == UNSEEN, known, subject)
        sequence = self.body(virtual, layer)
        frames = sequence.shape[-1] // FRAME_STRIDE
        features = as_image(F.avg_pool1d(sequence[..., : frames * FRAME_STRIDE], FRAME_STRIDE))
        embedding = self.to_embedding(features).float().reshape(len(eeg), 1 + len(STEMS), -1)
        embedding = F.normalize(embedding, dim=-1)
        curves = self.to_curves(features).float().reshape(len(eeg), len(STEMS), len(CURVES), frames)
        told = torch.ones(len(eeg), dtype=torch.bool, device=eeg.device)
        return BrainConditions(embedding[:, 0], embedding[:, 1:], curves, told)


def _brain_module(points: int, hidden_dim: int, depth: int, subjects: int) -> nn.Module:
    """BrainModule that gives its features over time instead of one prediction."""
    mend_torchaudio()
    try:
        from braindecode.models import BrainModule
    except ImportError:
        raise MissingExtraError("braindecode", "baselines") from None
    module: nn.Module = BrainModule(
        n_chans=points,
        n_outputs=1,
        n_times=5 * EEG_RATE_HZ,
        sfreq=EEG_RATE_HZ,
        hidden_dim=hidden_dim,
        depth=depth,
        n_subjects=subjects,
        subject_dim=1,
        subject_layers=True,
        subject_layers_id=True,
    )
    # Its pooling and output layer make way for the heads of this project.
    module.final_layer = nn.Identity()
    return module
