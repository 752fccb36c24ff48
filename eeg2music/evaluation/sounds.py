"""Clips to listen to, and how near they come to what was heard: one unit for each condition.

The clips are those that the level's units score: of the same windows, with the same noise, as generated (the plain sum
of the stems, no mixer). Beside them stand what was heard, and the codec's reconstruction of it: the ceiling of the
generator. Measures each condition by itself; `sounds_scores` puts them side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eeg2music.errors import ConfigError, DataError
from eeg2music.evaluation.baselines import CODEC, through_codec
from eeg2music.evaluation.brain import generate_clips
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.heard import Heard, level_facts
from eeg2music.evaluation.mix_scores import mix_scores
from eeg2music.evaluation.reconstruction import MIX, reconstruction_scores
from eeg2music.evaluation.units import (
    SCORING_COST,
    WITHOUT_RECORDING,
    Bench,
    Unit,
    UnitResult,
    spread,
    spread_rows,
)
from eeg2music.types import FloatArray

HEARD = "heard"
# Not generated: what was heard, and what the codec makes of it.
SOURCES = (HEARD, CODEC)
# What measuring a clip takes, in clips' worth of generation.
MEASURING_COST = 0.5


@dataclass(frozen=True)
class SoundUnit(Unit):
    """One condition's clips, kept as sound and compared with what was heard.

    clips : how many are measured
    scored : how many windows the level's units score; the clips are of some of these
    written : how many of the clips are kept as sound
    stems : whether their stems are kept too
    """

    scored: int = 0
    written: int = 0
    stems: bool = False

    @property
    def cost(self) -> float:
        """How long it takes, in clips' worth of time."""
        return SCORING_COST + self.clips * (MEASURING_COST + (self.condition not in SOURCES))

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.level}, {self.condition.replace('_', ' ')}, sounds"

    def identity(self) -> dict[str, Any]:
        """What decides it, beside models, material and sampling."""
        unheard = self.condition in (*SOURCES, *WITHOUT_RECORDING)
        return {
            "sounds": self.condition,
            "snr_db": None if unheard else self.snr_db,
            "seed": self.seed,
            "clips": [self.clips, self.scored, self.written],
            "stems": self.stems,
        }

    def score(self, bench: Bench) -> UnitResult:
        """Make the clips on a bench, and measure them."""
        evidence = bench.evidence(self)
        rows = clip_rows(evidence.heard, self.scored, self.clips)
        chosen, facts = evidence.heard.select(rows), level_facts(evidence.heard)
        truth = chosen.stems[chosen.target]
        if self.condition == HEARD:
            clips = truth
        elif self.condition == CODEC:
            clips = through_codec(evidence.pipeline.codec, truth)
        else:
            given = bench.given(self, evidence)
            if given.why is not None:
                return UnitResult(None, facts, why=given.why)
            clips = generate_clips(given.conditions, evidence, rows, bench.sampling)
        return UnitResult(self._measured(clips, truth, chosen), facts, sounds=self._kept(clips))

    def _measured(self, clips: FloatArray, truth: FloatArray, chosen: Heard) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "windows": [[*window] for window in chosen.query_labels],
            "written": spread(len(clips), self.written),
            "reconstruction": None,
            "stems": None,
            "why": None,
        }
        songs = chosen.query_works
        try:
            if clips.shape[1] > 1:
                entry["stems"] = mix_scores(clips, songs=songs, seed=self.seed)
            if self.condition != HEARD:
                entry["reconstruction"] = _nearness(clips, truth, songs, self.seed)
        except DataError as error:
            # Too few songs for a null: the clips can be listened to all the same.
            entry["why"] = str(error)
        return entry

    def _kept(self, clips: FloatArray) -> dict[str, FloatArray]:
        """(written, samples) sums, and (written, stem, samples) stems if they are wanted."""
        kept = np.ascontiguousarray(clips[spread(len(clips), self.written)], dtype=np.float32)
        sums = np.ascontiguousarray(kept.sum(1))
        return {"mix": sums, "stems": kept} if self.stems and kept.shape[1] > 1 else {"mix": sums}


def _nearness(clips: FloatArray, truth: FloatArray, songs: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """`reconstruction_scores` by stem and mix, or by the mix alone where that is all that is known of the heard."""
    if truth.shape[1] > 1:
        return reconstruction_scores(clips, truth, songs=songs, seed=seed)
    made = clips.sum(1, keepdims=True)
    return reconstruction_scores(made, truth, songs=songs, seed=seed, stems=(MIX,), monophonic=(), summed=False)


def sounds_level(config: EvaluateConfig) -> LevelConfig:
    """The level whose sounds are taken.

    Raises
    ------
    ConfigError
        If there is no level of that name.
    """
    if config.sounds.level is None:
        return config.levels[0]
    found = [level for level in config.levels if level.name == config.sounds.level]
    if not found:
        allowed = ", ".join(level.name for level in config.levels)
        raise ConfigError(
            f"sounds.level: there is no level {config.sounds.level!r}", allowed=allowed, remedy="name one of these"
        )
    return found[0]


def sounds_seed(config: EvaluateConfig) -> int:
    """The seed of the units whose sounds are taken.

    Raises
    ------
    ConfigError
        If it is none of `seeds`.
    """
    chosen = config.seeds[0] if config.sounds.seed is None else config.sounds.seed
    if chosen not in config.seeds:
        allowed = ", ".join(map(str, config.seeds))
        raise ConfigError(f"sounds.seed: {chosen} is none of the seeds", allowed=allowed, remedy="name one of these")
    return config.seed + chosen


def sound_units(config: EvaluateConfig) -> list[SoundUnit]:
    """The units that are listened to, the heard music and the codec first; none where no clips are scored."""
    level, seed, sounds = sounds_level(config), sounds_seed(config), config.sounds
    scored = level.generated_windows if level.generate else 0
    clips = min(sounds.clips, scored)
    if not clips:
        return []
    conditions = [name for name in dict.fromkeys(sounds.conditions) if name in level.conditions and name not in SOURCES]
    return [
        SoundUnit(level.name, level.snr_db, name, seed, clips, scored, min(sounds.written, clips), sounds.stems)
        for name in (*SOURCES, *conditions)
    ]


def clip_rows(heard: Heard, scored: int, clips: int) -> list[int]:
    """Queries whose clips are taken: spread over those that are scored."""
    rows = spread_rows(heard, scored)
    return [rows[place] for place in spread(len(rows), clips)]
