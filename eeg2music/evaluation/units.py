"""The evaluation cut into units, each one condition at one SNR level with one seed.

A unit's scores depend on nothing but the unit and the config: not on the order, on other units or
on the process that computes it. Stores nothing and starts no processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.evaluation.brain import (
    Evidence,
    control_conditions,
    embedding_score,
    generate_clips,
    generated_score,
)
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.follow import following
from eeg2music.evaluation.heard import Heard, audio_conditions, scorer_vectors
from eeg2music.evaluation.material import prepared_heard, simulated_heard
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.files import read_json
from eeg2music.pipeline import Hook, load_pipeline, no_hook
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import Conditions, FloatArray
from eeg2music.weights import load_model

# No recording enters these, so that they are the same at every SNR.
WITHOUT_RECORDING = ("no_brain", "oracle")
# What scoring without generation takes, in clips' worth of time.
SCORING_COST = 4.0


@dataclass(frozen=True)
class Unit:
    """One condition at one level with one seed.

    level : its name, for messages; it decides nothing
    clips : how many windows clips are generated for; 0 scores the embedding alone
    """

    level: str
    snr_db: float
    condition: str
    seed: int
    clips: int

    @property
    def cost(self) -> float:
        """How long it takes, in clips' worth of time."""
        return SCORING_COST + self.clips

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.level}, {self.condition.replace('_', ' ')}, seed {self.seed}"

    def identity(self) -> dict[str, Any]:
        """What decides its scores, beside models, material and sampling."""
        snr_db = None if self.condition in WITHOUT_RECORDING else self.snr_db
        return {"condition": self.condition, "snr_db": snr_db, "seed": self.seed, "clips": self.clips}


@dataclass(frozen=True)
class UnitResult:
    """What a unit gave.

    Attributes
    ----------
    entry : its scores, ready for JSON; None for a control that the material does not allow
    facts : of the level: "style" and "subjects"
    vectors : (clip, dim) the generated clips in the scorer's embedding, if any were generated
    gallery : (song, dim) the heard ones beside them
    """

    entry: dict[str, Any] | None
    facts: dict[str, Any]
    vectors: FloatArray | None = None
    gallery: FloatArray | None = None


@dataclass(frozen=True)
class _Music:
    """The gallery and what is computed from it: one for all levels."""

    stems: FloatArray
    oracle: Conditions
    gallery: FloatArray


def unit_of(level: LevelConfig, condition: str, seed: int) -> Unit:
    """The unit of a level's condition with one seed."""
    clips = level.generated_windows if condition in level.generate else 0
    return Unit(level.name, level.snr_db, condition, seed, clips)


def level_units(level: LevelConfig, config: EvaluateConfig) -> list[Unit]:
    """The units of one level."""
    seeds = [config.seed + offset for offset in config.seeds]
    return [unit_of(level, condition, seed) for condition in level.conditions for seed in seeds]


def in_order(units: Sequence[Unit]) -> list[Unit]:
    """Level by level, because recordings are made once for each; the longest first, so that workers end together."""
    longest: dict[float, float] = {}
    for unit in units:
        longest[unit.snr_db] = max(longest.get(unit.snr_db, 0.0), unit.cost)
    place = {snr_db: number for number, snr_db in enumerate(sorted(longest, key=lambda snr_db: -longest[snr_db]))}
    return sorted(units, key=lambda unit: (place[unit.snr_db], -unit.cost))


class Bench:
    """Scores units one after another in one process; models are loaded once, the last level is kept."""

    def __init__(self, config: EvaluateConfig, folder: Path, device: str, hook: Hook = no_hook) -> None:
        hook("loading the models")
        self._config, self._folder, self._hook = config, folder, hook
        self._pipeline = load_pipeline(folder, device)
        self._clap, self._scorer = load_clap(folder / "clap"), load_model(ScorerNet, folder / "scorer")
        self._music: _Music | None = None
        self._level: tuple[float, Evidence] | None = None

    def evidence(self, unit: Unit) -> Evidence:
        """What the unit is scored on.

        Raises
        ------
        LeakError
            If a model was trained on a song or a listener of it.
        """
        if self._level is None or self._level[0] != unit.snr_db:
            self._hook(f"{unit.level}: listening")
            # The recordings of two levels would fill the memory.
            self._level = None
            self._level = (unit.snr_db, self._listen(unit.snr_db))
        return replace(self._level[1], seed=unit.seed)

    def score(self, unit: Unit) -> UnitResult:
        """All scores of one unit."""
        evidence = self.evidence(unit)
        heard = evidence.heard
        facts = {"style": heard.style, "subjects": sorted(set(heard.query_subjects))}
        conditions = control_conditions(unit.condition, evidence)
        if conditions is None and unit.condition != "no_brain":
            return UnitResult(None, facts)
        entry: dict[str, Any] = {
            "seed": unit.seed,
            "embedding": embedding_score(conditions, evidence),
            "generated": None,
        }
        rows = spread_rows(heard, unit.clips)
        if not rows:
            return UnitResult(entry, facts)
        gallery = self._know(heard.stems).gallery
        clips = generate_clips(conditions, evidence, rows, self._config.sampling)
        entry["generated"] = generated_score(clips, evidence, gallery, rows)
        entry["following"] = _following(clips, evidence, rows)
        # Vectors, not clips: hundreds of clips of every condition would fill the memory.
        return UnitResult(entry, facts, scorer_vectors(self._scorer, clips), gallery)

    def _listen(self, snr_db: float) -> Evidence:
        config = self._config
        if config.prepared:
            heard = prepared_heard(Path(config.prepared))
        else:
            stems = None if self._music is None else self._music.stems
            heard = simulated_heard(config.listening, snr_db, stems, seed=config.seed)
        refuse_known(self._folder, heard)
        oracle = self._know(heard.stems).oracle
        return Evidence(self._pipeline, heard, next_listeners(heard), oracle, self._scorer, config.seed)

    def _know(self, stems: FloatArray) -> _Music:
        if self._music is None or self._music.stems is not stems:
            oracle = audio_conditions(self._clap, stems)
            self._music = _Music(stems, oracle, scorer_vectors(self._scorer, stems))
        return self._music


def refuse_known(folder: Path, heard: Heard) -> None:
    """Raise a LeakError if a model was trained on a song or a listener that is scored."""
    test = Manifest(songs=frozenset(heard.songs), subjects=frozenset(heard.query_subjects))
    for path in sorted(folder.glob("*/training_manifest.json")):
        refuse_leaks(read_json(path), test, kinds=("song", "work", "subject"))


def next_listeners(heard: Heard) -> Heard | None:
    """The same songs by the next listener, query by query; None with a single listener."""
    names = sorted(set(heard.query_subjects))
    if len(names) < 2:
        return None
    following_name = dict(zip(names, [*names[1:], names[0]], strict=True))
    place = {
        (window.subject, row): index
        for index, (window, row) in enumerate(zip(heard.windows, heard.target, strict=True))
    }
    pairs = [(following_name[window.subject], row) for window, row in zip(heard.windows, heard.target, strict=True)]
    if any(pair not in place for pair in pairs):
        return None
    return heard.select([place[pair] for pair in pairs])


def spread_rows(heard: Heard, count: int) -> list[int]:
    """Queries to generate for, spread evenly over songs and listeners."""
    total = len(heard.windows)
    return sorted({int(row) for row in np.linspace(0, total - 1, min(count, total)).round()}) if count else []


def _following(clips: FloatArray, evidence: Evidence, rows: Sequence[int]) -> dict[str, Any]:
    """How well the clips of some queries follow what was heard in them."""
    chosen = evidence.heard.select(rows)
    return following(
        clips,
        chosen.stems[chosen.target],
        seed=evidence.seed,
        songs=chosen.query_songs,
        listeners=chosen.query_subjects,
    )
