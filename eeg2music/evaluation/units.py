"""The evaluation cut into units, each one condition at one SNR level with one seed.

A unit's scores depend on nothing but the unit and the config: not on the order, on other units or
on the process that computes it. Stores nothing and starts no processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.compatibility import check_clap
from eeg2music.errors import ConfigError, DataError
from eeg2music.evaluation.baselines import BASELINES, CODEC, RIDGE, Baselines, Recorded, through_codec
from eeg2music.evaluation.brain import (
    CONTROLS,
    Evidence,
    control_conditions,
    curves_score,
    embedding_score,
    generate_clips,
    generated_score,
)
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.follow import following
from eeg2music.evaluation.heard import (
    Heard,
    audio_conditions,
    condition_vectors,
    curve_vectors,
    level_facts,
    next_listeners,
    scorer_vectors,
)
from eeg2music.evaluation.known import refuse_known
from eeg2music.evaluation.latency import LatencyFromMarkers
from eeg2music.evaluation.material import composed_tempi, further_songs, further_stems, simulated_heard
from eeg2music.evaluation.prepared_material import prepared_heard, prepared_others
from eeg2music.pipeline import Hook, SamplingConfig, load_pipeline, no_hook
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.seeding import derive_seed
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import Conditions, FloatArray
from eeg2music.weights import load_model

# No recording enters these, so that they are the same at every SNR. A seed draws their noise.
WITHOUT_RECORDING = ("no_brain", "oracle", *(name for name in BASELINES if name != RIDGE))
# What scoring without generation takes, in clips' worth of time, and what fitting the ridge model takes more.
SCORING_COST = 4.0
FITTING_COST = 100.0
OTHER = "other_subject"
# Songs of the family, not heard, that say how songs begin.
BEGINNINGS = 64


@dataclass(frozen=True)
class Unit:
    """One condition at one level with one seed.

    level : its name, for messages; it decides nothing
    snr_db : None for recordings, whose ratio nobody knows
    seed : of the recordings, of the control and of the sampling
    clips : how many windows clips are generated for; 0 scores the embedding alone
    """

    level: str
    snr_db: float | None
    condition: str
    seed: int
    clips: int

    @property
    def cost(self) -> float:
        """How long it takes, in clips' worth of time."""
        return SCORING_COST + self.clips + (FITTING_COST if self.condition == RIDGE else 0.0)

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.level}, {self.condition.replace('_', ' ')}, seed {self.seed}"

    def identity(self) -> dict[str, Any]:
        """What decides its scores, beside models, material and sampling."""
        snr_db = None if self.condition in WITHOUT_RECORDING else self.snr_db
        return {"condition": self.condition, "snr_db": snr_db, "seed": self.seed, "clips": self.clips}

    def score(self, bench: Bench) -> UnitResult:
        """What it gives, on a bench."""
        return bench.score(self)


class Matched(NamedTuple):
    """Queries and gallery in one embedding space.

    query : (n, dim); gallery : (song, dim)
    target : (n,) row of the gallery that each query heard
    """

    query: FloatArray
    gallery: FloatArray
    target: NDArray[np.int64]


class Given(NamedTuple):
    """What clips are generated from.

    conditions : one row a query; None without any
    made_from : what a baseline was given, ready for JSON
    why : what the material lacks for it
    """

    conditions: Conditions | None
    made_from: dict[str, Any] | None
    why: str | None = None


@dataclass(frozen=True)
class UnitResult:
    """What a unit gave.

    Attributes
    ----------
    entry : its scores, ready for JSON; None for a control that the material does not allow
    why : what the material lacks for it
    facts : of the level: "style", "subjects", "songs", their declared "works" and the hashes of their files, "stimuli";
        "gallery" and "mix_only" as `level_facts` has them
    decoded : the embeddings in the conditioning space; None without conditions
    made : the generated clips in the scorer's embedding, if any were generated
    sounds : clips that are kept to be listened to, by name; units that score keep none
    curves : the decoded control curves as `curve_vectors`; None without any
    """

    entry: dict[str, Any] | None
    facts: dict[str, Any]
    decoded: Matched | None = None
    made: Matched | None = None
    why: str | None = None
    sounds: Mapping[str, FloatArray] | None = None
    curves: Matched | None = None


@dataclass(frozen=True)
class _Music:
    """The gallery and what is computed from it: one for all levels."""

    stems: FloatArray
    oracle: Conditions
    gallery: FloatArray


_Recordings = tuple[float | None, int]


def unit_of(level: LevelConfig, condition: str, seed: int) -> Unit:
    """The unit of a level's condition with one seed."""
    clips = level.generated_windows if condition in level.generate else 0
    return Unit(level.name, level.snr_db, condition, seed, clips)


def level_units(level: LevelConfig, config: EvaluateConfig) -> list[Unit]:
    """The units of one level."""
    seeds = [config.seed + offset for offset in config.seeds]
    return [unit_of(level, condition, seed) for condition in level.conditions for seed in seeds]


def in_order(units: Sequence[Unit]) -> list[Unit]:
    """Recordings by recordings, because each process that shares the work makes them once; the longest first, so that
    processes end together."""
    longest: dict[_Recordings, float] = {}
    for unit in units:
        longest[_recordings(unit)] = max(longest.get(_recordings(unit), 0.0), unit.cost)
    place = {which: number for number, which in enumerate(sorted(longest, key=lambda which: -longest[which]))}
    return sorted(units, key=lambda unit: (place[_recordings(unit)], -unit.cost))


def songs_beside(config: EvaluateConfig) -> list[str]:
    """Simulated songs that are not heard, but that figures hang on; no model may know them either."""
    heard = config.listening.songs
    beginnings = heard + BEGINNINGS if config.listening.latency == "markers" else 0
    return further_songs(config.listening, max(config.reference_songs, beginnings))


def _recordings(unit: Unit) -> _Recordings:
    """Units with the same are scored on the same recordings."""
    return unit.snr_db, unit.seed


class Bench:
    """Scores units one after another in one process; models are loaded once, the last recordings are kept."""

    def __init__(self, config: EvaluateConfig, folder: Path, device: str, hook: Hook = no_hook) -> None:
        hook("loading the models")
        self._config, self._folder, self._hook = config, folder, hook
        self._pipeline = load_pipeline(folder, device)
        self._clap, self._scorer = load_clap(folder / "clap"), load_model(ScorerNet, folder / "scorer")
        check_clap(folder, self._clap, self._pipeline.manifests)
        source = Recorded(Path(config.prepared), config.genres) if config.prepared else config.listening
        self._baselines = Baselines(self._clap, source, config.fit)
        self._music: _Music | None = None
        self._latency: LatencyFromMarkers | None = None
        self._last: tuple[_Recordings | None, Evidence] | None = None

    def evidence(self, unit: Unit) -> Evidence:
        """What the unit is scored on.

        Raises
        ------
        LeakError
            If a model was trained on a song or a listener of it.
        CheckpointError
            If a model does not say what it was trained on.
        """
        # Prepared recordings are the same with every seed.
        which = None if self._config.prepared else _recordings(unit)
        if self._last is None or self._last[0] != which:
            self._hook(f"{unit.level}: listening")
            # Two sets of recordings would fill the memory.
            self._last = None
            self._last = (which, self._listen(unit))
        if unit.condition == OTHER and self._last[1].other is None:
            self._last = (which, replace(self._last[1], other=self._others(unit, self._last[1].heard)))
        return replace(self._last[1], seed=unit.seed)

    @property
    def sampling(self) -> SamplingConfig:
        """How clips are generated."""
        return self._config.sampling

    def given(self, unit: Unit, evidence: Evidence) -> Given:
        """The conditions of a unit's clips."""
        made_from = None
        conditions: Conditions | None
        try:
            if unit.condition in BASELINES:
                conditions, made_from = self._baselines.conditions(unit.condition, evidence, unit.snr_db)
            else:
                conditions = control_conditions(unit.condition, evidence)
        except DataError as error:
            if unit.condition not in (*CONTROLS, *BASELINES):
                raise
            return Given(None, None, str(error))
        if conditions is None and unit.condition != "no_brain":
            return Given(None, None, self._why_no_other())
        return Given(conditions, made_from)

    def score(self, unit: Unit) -> UnitResult:
        """All scores of one unit."""
        evidence = self.evidence(unit)
        heard = evidence.heard
        facts = level_facts(heard)
        entry: dict[str, Any] = {"seed": unit.seed, "embedding": None, "curves": None, "generated": None}
        if unit.condition == CODEC:
            return self._score_codec(unit, evidence, entry, facts)
        conditions, made_from, why = self.given(unit, evidence)
        if why is not None:
            return UnitResult(None, facts, why=why)
        if made_from is not None:
            entry["given"] = made_from
        entry["embedding"] = embedding_score(conditions, evidence)
        entry["curves"] = curves_score(conditions, evidence)
        decoded = curves = None
        if conditions is not None:
            vectors = condition_vectors(conditions, like=evidence.oracle)
            decoded = Matched(vectors, condition_vectors(evidence.oracle), heard.target)
            if entry["curves"]:
                curves = Matched(curve_vectors(conditions), curve_vectors(evidence.oracle), heard.target)
        rows = spread_rows(heard, unit.clips)
        if not rows:
            return UnitResult(entry, facts, decoded, curves=curves)
        clips = generate_clips(conditions, evidence, rows, self._config.sampling)
        return UnitResult(entry, facts, decoded, self._score_clips(clips, evidence, rows, entry), curves=curves)

    def _score_codec(self, unit: Unit, evidence: Evidence, entry: dict[str, Any], facts: dict[str, Any]) -> UnitResult:
        rows = spread_rows(evidence.heard, unit.clips)
        if not rows:
            return UnitResult(None, facts, why="it is scored by its clips alone, and none are generated here")
        songs, place = np.unique(evidence.heard.target[rows], return_inverse=True)
        clips = through_codec(self._pipeline.codec, evidence.heard.stems[songs])[place]
        what = "the mix" if evidence.heard.mix_only else "each stem by itself"
        entry["given"] = {"words": f"{what}, of the {len(songs)} songs that clips are scored for"}
        return UnitResult(entry, facts, made=self._score_clips(clips, evidence, rows, entry))

    def _score_clips(
        self, clips: FloatArray, evidence: Evidence, rows: Sequence[int], entry: dict[str, Any]
    ) -> Matched:
        """Put into `entry` how clips (clip, stem, samples) of some queries score; returns their vectors."""
        gallery = self._know(evidence.heard.stems).gallery
        entry["generated"] = generated_score(clips, evidence, gallery, rows)
        entry["following"] = None if evidence.heard.mix_only else self._following(clips, evidence, rows)
        # Vectors, not clips: hundreds of clips of every condition would fill the memory.
        return Matched(scorer_vectors(self._scorer, clips), gallery, evidence.heard.target[rows])

    def _following(self, clips: FloatArray, evidence: Evidence, rows: Sequence[int]) -> dict[str, Any]:
        """How well the clips of some queries follow what was heard in them."""
        chosen, config = evidence.heard.select(rows), self._config
        tempi_bpm = None if config.prepared else composed_tempi(config.listening, chosen.query_songs)
        return following(
            clips,
            chosen.stems[chosen.target],
            seed=evidence.seed,
            songs=chosen.query_works,
            listeners=chosen.query_subjects,
            tempi_bpm=tempi_bpm,
        )

    def _listen(self, unit: Unit) -> Evidence:
        config = self._config
        if config.prepared:
            heard = prepared_heard(Path(config.prepared), config.split, genres=config.genres)
            refuse_known(self._folder, heard)
        else:
            heard = self._simulate(unit, unit.seed)
            refuse_known(self._folder, heard, songs_beside(config))
        oracle = self._know(heard.stems).oracle
        return Evidence(self._pipeline, heard, None, oracle, self._scorer, unit.seed)

    def _simulate(self, unit: Unit, seed: int) -> Heard:
        if unit.snr_db is None:
            raise ConfigError(f"The level {unit.level!r} has no SNR", allowed="clean, real or decibels")
        stems = None if self._music is None else self._music.stems
        config = self._config.listening
        if config.latency == "unknown":
            return simulated_heard(config, unit.snr_db, stems, seed=seed)
        if self._latency is None:
            music = np.concatenate(list(further_stems(config, config.songs + BEGINNINGS, from_start=True)))
            self._latency = LatencyFromMarkers(self._pipeline, music)
        return simulated_heard(config, unit.snr_db, stems, seed=seed, align=partial(self._latency, seed=seed))

    def _others(self, unit: Unit, heard: Heard) -> Heard | None:
        """The next listener's recording of a second presentation, query by query.

        Simulated, its noise and pauses are drawn anew: pooled over listeners, the brain's own recordings in another
        order would give the brain's own score.
        """
        if self._config.prepared:
            return prepared_others(Path(self._config.prepared), heard, self._config.split)
        if len(self._config.listening.subjects) < 2:
            return None
        return next_listeners(self._simulate(unit, derive_seed(unit.seed, "second presentation")))

    def _why_no_other(self) -> str:
        if self._config.prepared:
            return (
                "it takes a second presentation of each song to another listener: recordings of the first, in another "
                "order, would give the brain's own score"
            )
        return "it takes two or more listeners"

    def _know(self, stems: FloatArray) -> _Music:
        if self._music is None or self._music.stems is not stems:
            oracle = audio_conditions(self._clap, stems)
            self._music = _Music(stems, oracle, scorer_vectors(self._scorer, stems))
        return self._music


def spread_rows(heard: Heard, count: int) -> list[int]:
    """Queries to generate for, spread evenly over songs and listeners."""
    return spread(len(heard.windows), count)


def spread(total: int, count: int) -> list[int]:
    """Up to `count` places out of `total`, evenly spread.

    >>> spread(10, 3)
    [0, 4, 9]
    """
    return sorted({int(place) for place in np.linspace(0, total - 1, min(count, total)).round()}) if count else []
