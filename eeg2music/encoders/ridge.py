"""Ridge regression from lagged channels: what a linear model can read, as a baseline.

Curves come from the virtual channels of the 400 ms that follow each frame (a backward model,
Crosse et al. 2016, eq. 5); embeddings from the window's band power and from the mean, spread and
rhythm of the curves so decoded. Decoded embeddings are spread about their mean as widely as true ones, as
Ozcelik and VanRullen (2023) spread their latents: least squares draws them to the mean, and by the cosine all that
lie near the mean are nearest to the same few songs. Curves stay as they are.
Fitted in closed form; knows no people and needs positions.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
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
from eeg2music.errors import DataError, InputError
from eeg2music.types import CURVES, EMBEDDING_DIM, STEMS

OUTPUTS = len(STEMS) * len(CURVES)
# Rhythm: the onset curves' autocorrelation up to one second.
RHYTHM_LAGS = 32
# What `fit_choosing` chooses from, for curves and for embeddings. Neighbouring virtual channels and lags are alike, so
# that most directions of the curves' predictors have far less than the mean variance: good penalties are small.
# Decoded embeddings hardly change beyond the largest, because their spread is restored.
PENALTIES = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


class _Moments(NamedTuple):
    """Sums over frames of lagged predictors x and curves y: x'x, x'y, x, y, y² and their number."""

    gram: Tensor
    cross: Tensor
    x: Tensor
    y: Tensor
    square: Tensor
    frames: int

    def plus(self, other: _Moments) -> _Moments:
        return _Moments(
            self.gram + other.gram, self.cross + other.cross, self.x + other.x,
            self.y + other.y, self.square + other.square, self.frames + other.frames,
        )  # fmt: skip

    def solution(self, penalty: float) -> tuple[Tensor, Tensor]:
        """Weights, and means of the curves. They alone are centred: band-passed signals have next to no mean."""
        mean = self.y / self.frames
        centred = self.cross - torch.outer(self.x, mean)
        return ridge_solution(self.gram / self.frames, centred / self.frames, penalty), mean

    def error(self, weight: Tensor, mean: Tensor) -> float:
        """Squared error of a solution on these frames, as a share of the mean's; averaged over curves."""
        of_mean = self.square - 2.0 * mean * self.y + self.frames * mean.square()
        moved = (weight * (self.gram @ weight)).sum(0) - 2.0 * (weight * self.cross).sum(0)
        whole = of_mean + moved + 2.0 * mean * (self.x @ weight)
        return float((whole / of_mean.clamp_min(1e-12)).mean())


class _Signals(NamedTuple):
    """What is kept of a batch while fitting: channels as `_signals` gives them, curves and embeddings to decode."""

    slow: Tensor
    power: Tensor
    curves: Tensor
    embedding: Tensor


@ENCODERS.add("ridge")
class RidgeEncoder(Encoder):
    """Lagged virtual channels to curves, summaries to embeddings.

    Parameters
    ----------
    signal_spec : `SignalSpec.to_dict()` of the training data
    points : virtual channels
    lags : frames at 32 Hz after each frame that are looked at; 13 are 400 ms
    curve_penalty, embedding_penalty : ridge penalties in units of the predictors' mean variance, times the
        number of frames (or windows)
    """

    fitted_in_closed_form = True
    needs_positions = True
    # What `fit` learns; the other buffers are means and scales.
    learned_buffers = ("curve_weight", "embedding_weight")
    curve_weight: Tensor
    curve_mean: Tensor
    summary_mean: Tensor
    summary_scale: Tensor
    embedding_weight: Tensor
    embedding_mean: Tensor

    @register_to_config
    def __init__(
        self,
        signal_spec: Mapping[str, Any],
        points: int = 64,
        lags: int = 13,
        curve_penalty: float = 1e-5,
        embedding_penalty: float = 3.0,
        embedding_dim: int = EMBEDDING_DIM,
        training_manifest: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.spline = SphericalSpline(points)
        summary, targets = points + OUTPUTS * 2 + len(STEMS) * RHYTHM_LAGS, (1 + len(STEMS)) * embedding_dim
        self.register_buffer("curve_weight", torch.zeros(points * lags, OUTPUTS))
        self.register_buffer("curve_mean", torch.zeros(OUTPUTS))
        self.register_buffer("summary_mean", torch.zeros(summary))
        self.register_buffer("summary_scale", torch.ones(summary))
        self.register_buffer("embedding_weight", torch.zeros(summary, targets))
        self.register_buffer("embedding_mean", torch.full((targets,), embedding_dim**-0.5))

    def forward(self, eeg: Tensor, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> BrainConditions:
        """See `Encoder.forward`. Raises InputError for windows without electrode positions."""
        check_subjects(subject, len(self.config["signal_spec"]["subjects"]))
        slow, power = self._signals(eeg, positions_m, channel_mask, subject)
        flat = self._decode(slow)
        embedding = self._embed(_summary(flat, power))
        curves = flat.transpose(1, 2).reshape(len(eeg), len(STEMS), len(CURVES), -1)
        known = torch.ones(len(eeg), dtype=torch.bool, device=eeg.device)
        return BrainConditions(embedding[:, 0], embedding[:, 1:], curves, known)

    @torch.no_grad()
    def fit(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """See `Encoder.fit`. Curves first, embeddings from what they give."""
        kept = self._kept(batches)
        if not kept:
            raise DataError("There is nothing to fit the ridge regression on")
        self._fit(kept, _sum(self._moments(batch) for batch in kept))

    @torch.no_grad()
    def fit_choosing(self, batches: Iterable[Mapping[str, Tensor]], folds: Sequence[int]) -> dict[str, float]:
        """As `fit`, with those of `PENALTIES` that have the least error on rows that were not fitted on.

        Parameters
        ----------
        folds : of each batch. Windows of one song belong into one fold, or the error is of songs that were seen

        Returns
        -------
        {"curve_penalty", "embedding_penalty"}, which become the config's
        """
        kept = self._kept(batches)
        if len(folds) != len(kept) or len(set(folds)) < 2:
            raise InputError(
                f"{len(kept)} batches in {len(set(folds))} folds", allowed="a fold for each batch, two folds or more"
            )
        whole, parts = self._moments_by_fold(kept, folds)
        others = {fold: _sum(part for other, part in parts.items() if other != fold) for fold in parts}
        curve = _least({p: [parts[f].error(*others[f].solution(p)) for f in parts] for p in PENALTIES})
        errors: dict[float, list[float]] = {p: [] for p in PENALTIES}
        for fold, rest in others.items():
            self._set_curves(*rest.solution(curve))
            rows = [self._rows(batch) for batch in kept]
            ours = [row for row, other in zip(rows, folds, strict=True) if other != fold]
            held = [row for row, other in zip(rows, folds, strict=True) if other == fold]
            for penalty in PENALTIES:
                self._set_embeddings(*_stack(ours), penalty)
                errors[penalty].append(self._embedding_error(*_stack(held)))
        chosen = {"curve_penalty": curve, "embedding_penalty": _least(errors)}
        self.register_to_config(**chosen)
        self._fit(kept, whole)
        return chosen

    def _kept(self, batches: Iterable[Mapping[str, Tensor]]) -> list[_Signals]:
        return [_Signals(*self._signals(*_inputs(batch)), batch["curves"], batch["embedding"]) for batch in batches]

    def _fit(self, kept: Sequence[_Signals], moments: _Moments) -> None:
        """By the config's penalties. moments : of all that is kept."""
        self._set_curves(*moments.solution(self.config["curve_penalty"]))
        self._set_embeddings(*_stack([self._rows(batch) for batch in kept]), self.config["embedding_penalty"])

    def _moments_by_fold(self, kept: Sequence[_Signals], folds: Sequence[int]) -> tuple[_Moments, dict[int, _Moments]]:
        """Of everything, summed in the batches' order, and of each fold."""
        whole: _Moments | None = None
        parts: dict[int, _Moments] = {}
        for batch, fold in zip(kept, folds, strict=True):
            found = self._moments(batch)
            whole = found if whole is None else whole.plus(found)
            parts[fold] = parts[fold].plus(found) if fold in parts else found
        assert whole is not None  # the caller refused an empty fit
        return whole, parts

    def _moments(self, batch: _Signals) -> _Moments:
        x = self._lagged(batch.slow).flatten(0, 1).double()
        y = batch.curves.flatten(1, 2).transpose(1, 2).flatten(0, 1).double()
        return _Moments(x.T @ x, x.T @ y, x.sum(0), y.sum(0), y.square().sum(0), len(x))

    def _set_curves(self, weight: Tensor, mean: Tensor) -> None:
        self.curve_weight.copy_(weight)
        self.curve_mean.copy_(mean)

    def _rows(self, batch: _Signals) -> tuple[Tensor, Tensor]:
        """Summaries of the curves as they are decoded now (batch, summary), and embeddings (batch, target)."""
        return _summary(self._decode(batch.slow), batch.power).double(), batch.embedding.flatten(1).double()

    def _set_embeddings(self, x: Tensor, y: Tensor, penalty: float) -> None:
        mean, scale = x.mean(0), x.std(0, unbiased=False).clamp_min(1e-6)
        standard, centred = (x - mean) / scale, y - y.mean(0)
        weight = ridge_solution(standard.T @ standard / len(x), standard.T @ centred / len(x), penalty)
        spread = (standard @ weight).square().mean().sqrt()
        self.summary_mean.copy_(mean)
        self.summary_scale.copy_(scale)
        self.embedding_mean.copy_(y.mean(0))
        self.embedding_weight.copy_(weight * (centred.square().mean().sqrt() / spread.clamp_min(1e-12)))

    def _embedding_error(self, x: Tensor, y: Tensor) -> float:
        """One less the mean cosine of predicted and true embeddings."""
        predicted = self._embed(x.to(self.embedding_weight.dtype)).double()
        return 1.0 - float(F.cosine_similarity(predicted, y.reshape(predicted.shape), dim=-1).mean())

    def _embed(self, summary: Tensor) -> Tensor:
        """(batch, summary) -> (batch, 1 + stem, embedding), unit norm."""
        scaled = (summary - self.summary_mean) / self.summary_scale
        embedding = scaled @ self.embedding_weight + self.embedding_mean
        return F.normalize(embedding.reshape(len(summary), 1 + len(STEMS), -1), dim=-1)

    def _signals(self, eeg: Tensor, positions_m: Tensor, mask: Tensor, subject: Tensor) -> tuple[Tensor, Tensor]:
        """Virtual channels at the curves' rate (batch, point, frame) and their log power (batch, point)."""
        eeg, positioned = clean_inputs(eeg, positions_m, mask, subject)
        if not bool((positioned.sum(1) >= MIN_POSITIONED_CHANNELS).all()):
            raise InputError(
                "The ridge baseline needs electrode positions",
                allowed=f"at least {MIN_POSITIONED_CHANNELS} channels with a position",
                remedy="give --montage, or use the encoder 'brain'",
            )
        virtual = self.spline(eeg.float(), positions_m, positioned)
        frames = virtual.shape[-1] // FRAME_STRIDE
        slow = virtual[..., : frames * FRAME_STRIDE].unflatten(-1, (frames, FRAME_STRIDE)).mean(-1)
        return slow, slow.square().mean(-1).clamp_min(1e-6).log()

    def _lagged(self, slow: Tensor) -> Tensor:
        """(batch, point, frame) -> (batch, frame, point * lag), zeros after the end."""
        lags = int(self.config["lags"])
        return F.pad(slow, (0, lags - 1)).unfold(-1, lags, 1).permute(0, 2, 1, 3).flatten(2)

    def _decode(self, slow: Tensor) -> Tensor:
        """(batch, point, frame) -> (batch, frame, stem * curve)."""
        return self._lagged(slow) @ self.curve_weight + self.curve_mean


def ridge_solution(gram: Tensor, cross: Tensor, penalty: float) -> Tensor:
    """(X'X + a I)^-1 X'Y with a = penalty times the mean of the diagonal (Hoerl & Kennard 1970, eq. 2.1)."""
    amount = penalty * gram.diagonal().mean()
    return torch.linalg.solve(gram + amount * torch.eye(len(gram), dtype=gram.dtype), cross)


def _sum(parts: Iterable[_Moments]) -> _Moments:
    return functools.reduce(_Moments.plus, parts)


def _stack(rows: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([x for x, _ in rows]), torch.cat([y for _, y in rows])


def _least(errors: Mapping[float, Sequence[float]]) -> float:
    """The penalty of the smallest mean error; the first of equal ones."""
    return min(errors, key=lambda penalty: sum(errors[penalty]))


def _inputs(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return batch["eeg"], batch["positions_m"], batch["channel_mask"], batch["subject"]


def _summary(flat: Tensor, power: Tensor) -> Tensor:
    """What the embedding is read from: (batch, frame, stem * curve), (batch, point) -> (batch, summary)."""
    onset = flat[..., :: len(CURVES)].transpose(1, 2)
    onset = onset - onset.mean(-1, keepdim=True)
    padded = F.pad(onset, (0, RHYTHM_LAGS))
    frames = onset.shape[-1]
    rhythm = [(onset * padded[..., lag : lag + frames]).mean(-1) for lag in range(1, RHYTHM_LAGS + 1)]
    spread = onset.square().mean(-1, keepdim=True).clamp_min(1e-8)
    return torch.cat(
        [power, flat.mean(1), flat.std(1, unbiased=False), (torch.stack(rhythm, -1) / spread).flatten(1)], dim=1
    )
