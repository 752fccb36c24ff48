"""What is computed of the music for encoding models: control curves, and embeddings of short windows.

Knows nothing of recordings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eeg2music.errors import ConfigError
from eeg2music.evaluation.encoding_config import CURVES, EMBEDDINGS, EncodingConfig
from eeg2music.evaluation.known import trained_on
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.metrics.checks import Float64
from eeg2music.pipeline import pick_device
from eeg2music.targets.curves import control_curves_numpy
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import CURVE_RATE_HZ, SAMPLE_RATE_HZ, FloatArray


@dataclass(frozen=True)
class FeatureSet:
    """What is computed of the music, and which response it is to predict.

    Attributes
    ----------
    of : (samples,) at 24 kHz -> (frame, dim) at `rate_hz`
    rate_hz : 0 where rows are given, and no audio
    lags : frames of the past that are looked at
    power : the response is the logarithm of a channel's power in each frame; else its mean
    permutations : that the null is drawn from
    """

    name: str
    of: Callable[[FloatArray], Float64 | FloatArray]
    rate_hz: float
    lags: int = 1
    power: bool = False
    permutations: int = 1


def feature_sets(config: EncodingConfig, scored: Manifest, folder: Path, device: str) -> list[FeatureSet]:
    """Those that the config asks for. scored : the songs that are heard

    Raises
    ------
    LeakError
        If the CLAP that embeds was trained on a song.
    """
    sets = []
    if CURVES in config.features:
        lags = int(config.lag_s * CURVE_RATE_HZ) + 1
        rate_hz, count = float(CURVE_RATE_HZ), config.permutations
        sets.append(FeatureSet(CURVES, lambda audio: control_curves_numpy(audio).T, rate_hz, lags, permutations=count))
    if EMBEDDINGS in config.features:
        trained = trained_on(folder / "clap")
        refuse_leaks(trained, scored, kinds=("song", "work"))
        clap: Any = load_clap(folder / "clap")
        embed = _remembering(embedded_windows(clap.to(pick_device(device)), config.embedding_window_s))
        rate_hz, count = 1.0 / config.embedding_window_s, config.embedding_permutations
        sets.append(FeatureSet(EMBEDDINGS, embed, rate_hz, power=True, permutations=count))
    return sets


def _remembering(of: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    """The same music is heard by every listener, more than once."""
    known: dict[bytes, FloatArray] = {}

    def remembered(audio: FloatArray) -> FloatArray:
        key = hashlib.sha256(np.ascontiguousarray(audio).tobytes()).digest()
        if key not in known:
            known[key] = of(audio)
        return known[key]

    return remembered


def summary_of_curves(rate_hz: float) -> Callable[[FloatArray], Float64]:
    """(samples,) -> (frame, 6): mean and deviation of onset, loudness and brightness in each frame."""

    def summary(audio: FloatArray) -> Float64:
        curves = control_curves_numpy(audio).astype(np.float64)
        length = round(CURVE_RATE_HZ / rate_hz)
        frames = curves.shape[1] // length
        cut = curves[:, : frames * length].reshape(3, frames, length)
        return np.concatenate([cut.mean(axis=-1), cut.std(axis=-1)]).T

    return summary


def embedded_windows(clap: Any, seconds: float) -> Callable[[FloatArray], FloatArray]:
    """(samples,) -> (window, dim): embeddings of windows one after the other. clap : with `embed_audio`."""
    length = round(seconds * SAMPLE_RATE_HZ)

    @torch.no_grad()
    def embed(audio: FloatArray) -> FloatArray:
        count = len(audio) // length
        if count == 0:
            raise ConfigError(
                f"embedding_window_s = {seconds:g} is longer than the music heard at once",
                allowed=f"up to {len(audio) / SAMPLE_RATE_HZ:g} s",
            )
        windows = np.ascontiguousarray(audio[: count * length].reshape(count, length), dtype=np.float32)
        embedded: FloatArray = clap.embed_audio(torch.from_numpy(windows)).float().cpu().numpy()
        return embedded

    return embed
