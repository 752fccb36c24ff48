"""Training of ClapMini: captions against audio, windows of one song against each other, and against statistics.

Half of each item's songs are of one style, so that style alone does not tell a song from its
negatives. Three terms: audio and text (mixes with mix captions, stems with stem captions), audio and
audio (two windows of one mix or one stem), and a linear read-out of the window's own spectrum and
course from its embedding, which keeps the embedding responsive to timbre, register and density
inside the window. Needs no annotations for the last two.
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
from eeg2music.files import sha256_json
from eeg2music.seeding import derive_seed, numpy_rng
from eeg2music.targets.clap import ClapMini
from eeg2music.targets.contrastive import info_nce, text_ids
from eeg2music.targets.tokenizer import Tokenizer, build_vocabulary
from eeg2music.targets.towers import MEL_BANDS, SILENCE, LogMel, frames_of
from eeg2music.training.clap_scores import clap_scores
from eeg2music.training.data import MIX, StimuliFolder, training_and_validation
from eeg2music.training.features import SongFeatures, StyleGroups
from eeg2music.training.registry import TASKS
from eeg2music.training.task import Batch, Gather, ItemSource, Task
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, WINDOW_S
from eeg2music.weights import save_model

TRACKS = (MIX, *STEMS)
# A window is silent if no band ever rises 10 dB above the floor.
SILENT_BELOW = SILENCE + 0.5
PROFILE_SLOTS = 10
PROFILE_BANDS = 4
SUMMARY = 2 * MEL_BANDS + PROFILE_SLOTS * PROFILE_BANDS


class ClapConfig(Config):
    """The `task:` section.

    `group` songs per item, a share of `style_share` of one style; `shortest_s`: windows are cut to between
    this and `window_s`, another length at each step. `summary_weight`, `profile_weight`: of the linear read-outs of the
    window's spectrum and of its course in time. `valid_data`: another music folder to evaluate on.
    """

    data: str
    valid_data: str | None = None
    valid_share: float = Field(0.08, gt=0, lt=1)
    window_s: float = Field(WINDOW_S, ge=1.0)
    shortest_s: float = Field(2.5, ge=1.0)
    group: int = Field(16, ge=1)
    style_share: float = Field(0.5, ge=0, le=1)
    vocabulary: int = Field(1000, ge=100)
    max_tokens: int = Field(48, ge=4)
    audio_width: int = Field(192, ge=8)
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2)
    text_width: int = Field(128, ge=8, multiple_of=4)
    text_layers: int = Field(2, ge=1)
    text_weight: float = Field(1.0, ge=0)
    audio_weight: float = Field(1.0, ge=0)
    summary_weight: float = Field(1.0, ge=0)
    profile_weight: float = Field(0.3, ge=0)
    gain_db: float = Field(6.0, ge=0)
    tilt_db: float = Field(4.0, ge=0)
    cache_gb: float = Field(4.0, ge=0)


class ClapTrainee(nn.Module):
    """ClapMini with what only training needs: temperatures and the linear read-out."""

    def __init__(self, clap: ClapMini) -> None:
        super().__init__()
        self.clap = clap
        # Inverse temperatures of audio-text and audio-audio, as logarithms.
        self.log_scale = nn.Parameter(torch.full((2,), float(np.log(15.0))))
        self.read_out = nn.Linear(clap.embedding_dim, SUMMARY)

    def forward(self, mel: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """(window, band, frame) log-mel and (text, token) ids -> embeddings, scales, read-out."""
        audio = self.clap.audio_tower(mel)
        return {
            "audio": audio,
            "text": self.clap.text_tower(tokens),
            "scale": self.log_scale.clamp(max=float(np.log(100.0))).exp(),
            # Unit norm makes each number small: the factor gives the read-out a reasonable scale.
            "summary": self.read_out(audio * 8.0).float(),
        }


def window_summary(mel: Tensor) -> Tensor:
    """What the read-out must tell of a window: (batch, band, frame) -> (batch, SUMMARY).

    Mean and deviation of each band over time, then the level of four broad bands in ten slots of time,
    relative to their means.
    """
    course = nn.functional.adaptive_avg_pool2d(mel[:, None], (PROFILE_BANDS, PROFILE_SLOTS))[:, 0]
    course = course - course.mean(2, keepdim=True)
    return torch.cat([mel.mean(2), mel.std(2), course.flatten(1)], 1)


class _Groups:
    """Items: groups of songs of one style with two windows of the mix and of one stem each."""

    def __init__(self, config: ClapConfig, folder: StimuliFolder, tokenizer: Tokenizer, seed: int) -> None:
        self.config, self.tokenizer, self.seed = config, tokenizer, seed
        self.groups = StyleGroups(folder)
        self.features = SongFeatures(folder, TRACKS, LogMel(), quiet=SILENCE, limit_gb=config.cache_gb)
        self.captions = {song: song_captions(folder, song) for song in folder.songs}
        self.frames = frames_of(round(config.window_s * SAMPLE_RATE_HZ))

    def __len__(self) -> int:
        return len(self.groups.songs)

    def item(self, index: int, draw: int) -> Mapping[str, Any]:
        rng = numpy_rng(self.seed, "clap", index, draw)
        songs = self.groups.group(index, self.config.group, rng, share=self.config.style_share)
        stem = 1 + int(rng.integers(len(STEMS)))
        rows = [self._row(song, track, slot, rng) for slot, song in enumerate(songs) for track in (0, stem)]
        pairs = [derive_seed(self.seed, index, draw, number) for number in range(len(rows))]
        return {
            "mel": np.stack([row["mel"] for row in rows]),
            "tokens": self.tokenizer([row["caption"] for row in rows], length=self.config.max_tokens),
            "captioned": np.array([bool(row["caption"]) for row in rows]),
            "pair": np.array(pairs, dtype=np.int64),
            "track": np.array([row["track"] for row in rows], dtype=np.int64),
        }

    def _row(self, song: str, track: int, slot: int, rng: np.random.Generator) -> dict[str, Any]:
        windows = []
        for _ in range(2):
            start = self.features.random_start(song, self.frames, rng)
            windows.append(self._coloured(self.features.window(song, track, start, self.frames), rng))
        captions = self.captions[song][track]
        caption = captions[int(rng.integers(len(captions)))] if captions else ""
        identity = derive_seed(0, song, TRACKS[track])
        return {"mel": np.stack(windows), "caption": caption, "track": identity}

    def _coloured(self, mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Another gain and spectral tilt (what a mixer changes); silence stays silence."""
        tilt_db = rng.normal(0.0, self.config.tilt_db) * np.linspace(-1.0, 1.0, mel.shape[0])
        shift = (rng.normal(0.0, self.config.gain_db) + tilt_db) / 20.0
        return np.maximum(mel + shift[:, None].astype(np.float32) * (mel > SILENCE + 0.05), SILENCE)


def song_captions(folder: StimuliFolder, song: str) -> list[list[str]]:
    """Captions of the mix and of each stem, in the order of TRACKS; empty lists where there are none."""
    annotations = folder.annotations(song)
    stems = annotations.get("stem_captions", {})
    return [list(annotations.get("captions", [])), *(list(stems.get(stem, [])) for stem in STEMS)]


@TASKS.add("clap")
class ClapTask(Task):
    """Trains ClapMini on a folder of music."""

    Config = ClapConfig
    config: ClapConfig

    def __init__(self, config: ClapConfig, *, seed: int) -> None:
        super().__init__(config, seed=seed)
        self.songs, self.valid_songs = training_and_validation(config.data, config.valid_data, config.valid_share)

    def train_items(self) -> ItemSource:
        captions = [text for song in self.songs.songs for texts in song_captions(self.songs, song) for text in texts]
        self.vocabulary = build_vocabulary(captions, self.config.vocabulary)
        return _Groups(self.config, self.songs, Tokenizer(self.vocabulary, self.config.max_tokens), self.seed)

    def build_model(self) -> nn.Module:
        clap = ClapMini(
            vocabulary=self.vocabulary,
            audio_width=self.config.audio_width,
            dilations=list(self.config.dilations),
            text_width=self.config.text_width,
            text_layers=self.config.text_layers,
            max_tokens=self.config.max_tokens,
        )
        return ClapTrainee(clap)

    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        mel = self._cut(batch["mel"].flatten(0, 1), step)
        tokens = batch["tokens"].flatten(0, 1)
        first, second = mel.unbind(1)
        out = model(torch.cat([first, second]), tokens[:, : int((tokens != 0).sum(1).max())])
        sound_a, sound_b = out["audio"].chunk(2)
        loud = (mel.amax((2, 3)) >= SILENT_BELOW).all(1)
        pair, track = batch["pair"].flatten(), batch["track"].flatten()
        audio = _symmetric(sound_a, sound_b, torch.where(loud, pair, -1), track, out["scale"][1], gather)
        captioned = torch.where(batch["captioned"].flatten() & loud, pair, -1)
        same_text = text_ids(tokens)
        text = 0.5 * sum(
            _symmetric(sound, out["text"], captioned, same_text, out["scale"][0], gather)
            for sound in (sound_a, sound_b)
        )
        error = (out["summary"] - window_summary(torch.cat([first, second]).float())).square()
        summary, profile = error[:, : 2 * MEL_BANDS].mean(), error[:, 2 * MEL_BANDS :].mean()
        weights = self.config
        total = (
            weights.audio_weight * audio + weights.text_weight * text
            + weights.summary_weight * summary + weights.profile_weight * profile
        )  # fmt: skip
        return {"loss": total, "audio": audio, "text": text, "summary": summary, "profile": profile}

    def _cut(self, mel: Tensor, step: int) -> Tensor:
        """Cut all windows of a step to one length, so that short clips are known too."""
        longest = mel.shape[-1]
        shortest = min(longest, frames_of(round(self.config.shortest_s * SAMPLE_RATE_HZ)))
        rng = numpy_rng(self.seed, "length", step)
        frames = longest if rng.random() < 0.5 else int(rng.integers(shortest, longest + 1))
        return mel[..., :frames]

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        was_training = model.training
        model.eval()
        scores = clap_scores(model.clap, self.valid_songs, self.config.window_s)  # type: ignore[arg-type]
        model.train(was_training)
        return scores

    def export(self, model: nn.Module, folder: Path) -> None:
        save_model(model.clap, folder, dtype=torch.bfloat16)

    def manifest(self) -> dict[str, Any]:
        return {**self.songs.manifest(self.valid_songs), "vocabulary_hash": sha256_json(self.vocabulary)}


def _symmetric(left: Tensor, right: Tensor, pair: Tensor, alike: Tensor, scale: Tensor, gather: Gather) -> Tensor:
    """InfoNCE in both directions between rows that belong together, negatives from all processes."""
    all_pairs, all_alike = gather(pair), gather(alike)
    forth = info_nce(left, gather(right), pair, all_pairs, alike, all_alike, scale)
    back = info_nce(right, gather(left), pair, all_pairs, alike, all_alike, scale)
    return 0.5 * (forth + back)
