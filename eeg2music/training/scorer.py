"""Training of ScorerNet: one and the same window under two different degradations, against all others.

Instance discrimination (Chang et al. 2021): the negatives are windows of other songs of the same style
and other windows of the same song. One view is close to the original, the other is anything from clean
to what a bad generator makes. Trained on songs that no other model sees: give it a folder of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from eeg2music.config import Config
from eeg2music.scoring.encoder import FFT, FRAME_RATE_HZ, HOP, LogFrequency, ScorerNet
from eeg2music.scoring.spectral import degrade_mix, degrade_power
from eeg2music.seeding import derive_seed, numpy_rng
from eeg2music.targets.contrastive import info_nce
from eeg2music.training.data import MIX, StimuliFolder, training_and_validation
from eeg2music.training.features import SongFeatures, StyleGroups
from eeg2music.training.registry import TASKS
from eeg2music.training.scorer_scores import scorer_scores
from eeg2music.training.task import Batch, Gather, ItemSource, Task
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, WINDOW_S
from eeg2music.weights import save_model

TRACKS = (*STEMS, MIX)
# Band power spans ten decades: its fourth root fits float16 with a relative error of 0.2 % of power.
ROOT = 0.25


class ScorerConfig(Config):
    """The `task:` section.

    `group` songs of one style per item, `windows` of each. View one has a strength of degradation up to
    `strength_near`, view two up to `strength_far`; `jitter_s`: each view is moved in time by up to this.
    `valid_data`: another music folder to evaluate on.
    """

    data: str
    valid_data: str | None = None
    valid_share: float = Field(0.08, gt=0, lt=1)
    window_s: float = Field(WINDOW_S, ge=1.0)
    group: int = Field(16, ge=1)
    windows: int = Field(2, ge=1)
    strength_near: float = Field(0.25, ge=0, le=1)
    strength_far: float = Field(1.0, ge=0, le=1)
    jitter_s: float = Field(0.05, ge=0)
    width: int = Field(128, ge=4)
    slots: int = Field(8, ge=1)
    slot_dim: int = Field(12, ge=1)
    cache_gb: float = Field(4.0, ge=0)


class ScorerTrainee(nn.Module):
    """ScorerNet with its temperature."""

    def __init__(self, scorer: ScorerNet) -> None:
        super().__init__()
        self.scorer = scorer
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(15.0))))

    def forward(self, power: Tensor) -> tuple[Tensor, Tensor]:
        """(view, band, frame) power -> fingerprints and inverse temperature."""
        return self.scorer(power), self.log_scale.clamp(max=float(np.log(100.0))).exp()


class _Windows:
    """Items: windows of songs of one style, each in two degraded views."""

    def __init__(self, config: ScorerConfig, folder: StimuliFolder, seed: int) -> None:
        self.config, self.seed = config, seed
        self.groups = StyleGroups(folder)
        front = LogFrequency()
        self.features = SongFeatures(
            folder, TRACKS, lambda audio: front(audio).pow(ROOT), quiet=0.0, limit_gb=config.cache_gb
        )
        self.frames = 1 + (round(config.window_s * SAMPLE_RATE_HZ) - FFT) // HOP
        self.jitter = round(config.jitter_s * FRAME_RATE_HZ)

    def __len__(self) -> int:
        return len(self.groups.songs)

    def item(self, index: int, draw: int) -> Mapping[str, Any]:
        rng = numpy_rng(self.seed, "scorer", index, draw)
        songs = self.groups.group(index, self.config.group, rng)
        views, sounding = [], []
        for place, song in enumerate(songs):
            for start in self._starts(song, rng):
                stranger = self._anywhere(songs[place - 1], rng)
                views.append(np.stack(self._views(song, start, stranger, rng)))
                sounding.append(bool(self._power(song, start)[-1].max() > 1e-7))
        pairs = [derive_seed(self.seed, index, draw, place) if heard else -1 for place, heard in enumerate(sounding)]
        return {"power": np.stack(views), "pair": np.array(pairs, dtype=np.int64)}

    def _starts(self, song: str, rng: np.random.Generator) -> list[int]:
        """Starts of a song's windows, at least a fifth of a window apart where the song is long enough."""
        starts: list[int] = []
        for _ in range(self.config.windows):
            for _attempt in range(8):
                start = self.features.random_start(song, self.frames, rng)
                if all(abs(start - other) >= self.frames // 5 for other in starts):
                    break
            starts.append(start)
        return starts

    def _anywhere(self, song: str, rng: np.random.Generator) -> np.ndarray:
        """(stem, band, frame) power of a window of a song."""
        return self._power(song, self.features.random_start(song, self.frames, rng))[:-1]

    def _views(self, song: str, start: int, stranger: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        donor = self._anywhere(song, rng)
        views = []
        for limit in (self.config.strength_near, self.config.strength_far):
            moved = start + int(rng.integers(-self.jitter, self.jitter + 1))
            tracks = self._power(song, moved)
            # More bad ones than good ones: the good ones are learned soon.
            strength = limit * float(rng.random()) ** 0.5
            if rng.random() < 0.5 * (1.0 - strength):  # the mix as it is heard, phases and all
                views.append(degrade_mix(tracks[-1], strength, rng))
            else:
                views.append(degrade_power(tracks[:-1], donor, stranger, strength, rng))
        return views

    def _power(self, song: str, start: int) -> np.ndarray:
        """(track, band, frame) power, the mix last."""
        root = self.features.window(song, slice(None), start, self.frames)
        return np.square(np.square(root))


@TASKS.add("scorer")
class ScorerTask(Task):
    """Trains ScorerNet on a folder of music of its own."""

    Config = ScorerConfig
    config: ScorerConfig

    def __init__(self, config: ScorerConfig, *, seed: int) -> None:
        super().__init__(config, seed=seed)
        self.songs, self.valid_songs = training_and_validation(config.data, config.valid_data, config.valid_share)

    def train_items(self) -> ItemSource:
        return _Windows(self.config, self.songs, self.seed)

    def build_model(self) -> nn.Module:
        return ScorerTrainee(ScorerNet(self.config.width, self.config.slots, self.config.slot_dim))

    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        power = batch["power"].flatten(0, 1)
        pair = batch["pair"].flatten()
        near, far = power.unbind(1)
        fingerprints, scale = model(torch.cat([near, far]))
        one, other = fingerprints.chunk(2)
        pairs = gather(pair)
        forth = info_nce(one, gather(other), pair, pairs, pair, pairs, scale)
        back = info_nce(other, gather(one), pair, pairs, pair, pairs, scale)
        hits = ((one @ other.T).argmax(1) == torch.arange(len(one), device=one.device)).float().mean()
        return {"loss": 0.5 * (forth + back), "hits": hits, "scale": scale}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        was_training = model.training
        model.eval()
        scores = scorer_scores(model.scorer, self.valid_songs, self.config.window_s)  # type: ignore[arg-type]
        model.train(was_training)
        return scores

    def export(self, model: nn.Module, folder: Path) -> None:
        save_model(model.scorer, folder, dtype=torch.bfloat16)

    def manifest(self) -> dict[str, Any]:
        return self.songs.manifest(self.valid_songs)
