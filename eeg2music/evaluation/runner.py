"""`eeg2music evaluate CONFIG`: every score beside its controls, for every SNR level and seed.

Identification of the embedding and of the generated music, retrieval, FAD and how well the
generated stems follow what was heard. Reads models and recordings, trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.errors import ConfigError
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.expectations import judge
from eeg2music.evaluation.heard import scorer_vectors
from eeg2music.evaluation.known import check_split, refuse_known
from eeg2music.evaluation.material import further_songs, further_stems
from eeg2music.evaluation.page import write_scores
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.splits import Manifest
from eeg2music.evaluation.units import Unit, UnitResult, in_order, level_units, unit_of
from eeg2music.evaluation.workers import score_units
from eeg2music.files import check_result_folder
from eeg2music.metrics.frechet import frechet_distance
from eeg2music.metrics.kernel import kernel_distance
from eeg2music.pipeline import Hook, default_checkpoint, no_hook, pick_device
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.simulation.calibration import REAL_SNR_DB
from eeg2music.types import FloatArray
from eeg2music.weights import checkpoint_sha256, load_model

__all__ = ["EvaluateConfig", "LevelConfig", "distance", "refuse_known", "run_evaluation"]

SCHEMA = 3
RECORDED = "recorded"
SCORE_FILES = ("scores.json", "scores.md", "split.json", "report.html")


def run_evaluation(config: EvaluateConfig, out: Path, *, device: str = "auto", hook: Hook = no_hook) -> dict[str, Any]:
    """Score everything into `out/{scores.json, scores.md, split.json, report.html}`; returns the scores.

    `split.json` names the songs and listeners that were scored, and the models' manifests that know none of them.

    Each condition at each level with each seed is kept in the folder `out` + ".parts" when it is finished. A run that
    was stopped goes on from there, also when levels, conditions or seeds were added since; what the change of a setting
    or of a model concerns is computed anew. The folder is removed when the result is whole.
    """
    config = _with_known_levels(config)
    folder = Path(config.checkpoint) if config.checkpoint else default_checkpoint()
    check_result_folder(out, SCORE_FILES)
    parts = Parts(out, config, folder, pick_device(device).type)
    _finish_units(config, parts, folder, device, hook)
    reference = _Reference(config, folder, hook)
    levels = [_level_scores(level, config, parts.read, reference) for level in config.levels]
    scores = {
        "schema": SCHEMA,
        "checkpoint_sha256": checkpoint_sha256(folder),
        "scorer_sha256": checkpoint_sha256(folder / "scorer"),
        # How many processes shared the work is no part of the result.
        "config": config.model_dump(mode="json", exclude={"workers"}),
        "material": "prepared" if config.prepared else "simulated",
        "real_snr_db": REAL_SNR_DB,
        "levels": levels,
        "surprises": [text for level in levels for text in level["surprises"]],
    }
    hook("writing")
    write_scores(out, scores, _split(config, parts.read, folder))
    parts.remove()
    return scores


def _with_known_levels(config: EvaluateConfig) -> EvaluateConfig:
    """Recordings are one level of unknown SNR; simulated levels have one."""
    if not config.prepared:
        unknown = [level.name for level in config.levels if level.snr is None]
        if unknown:
            raise ConfigError(f"The level {unknown[0]!r} has no snr", allowed="clean, real or a number of decibels")
        return config
    if len(config.levels) != 1:
        raise ConfigError(f"{len(config.levels)} levels with prepared recordings", allowed="one level")
    level = config.levels[0].model_copy(update={"name": RECORDED, "snr": None})
    return config.model_copy(update={"levels": (level,)})


class _Reference:
    """The songs beyond the heard ones that generated music is compared with as a whole; made when first asked for."""

    def __init__(self, config: EvaluateConfig, folder: Path, hook: Hook) -> None:
        self._config, self._folder, self._hook = config, folder, hook
        self._further: list[FloatArray] | None = None

    def beside(self, gallery: FloatArray) -> FloatArray:
        """(song, dim): what was heard and the further songs, in the scorer's embedding."""
        if self._further is None:
            self._further = []
            if not self._config.prepared and self._config.reference_songs > len(gallery):
                self._hook("embedding the reference songs")
                scorer = load_model(ScorerNet, self._folder / "scorer")
                stems = further_stems(self._config.listening, self._config.reference_songs)
                self._further = [scorer_vectors(scorer, batch) for batch in stems]
        return np.concatenate([gallery, *self._further])


def _finish_units(config: EvaluateConfig, parts: Parts, folder: Path, device: str, hook: Hook) -> None:
    """Score the units that no earlier run finished."""
    units: dict[str, Unit] = {}
    for unit in (unit for level in config.levels for unit in level_units(level, config)):
        # Several levels may have a unit in common.
        units.setdefault(parts.key(unit), unit)
    pending = in_order([unit for unit in units.values() if not parts.has(unit)])
    score_units(pending, config, folder, device, done=len(units) - len(pending), finished=parts.write, hook=hook)


def _level_scores(
    level: LevelConfig, config: EvaluateConfig, read: Callable[[Unit], UnitResult], reference: _Reference
) -> dict[str, Any]:
    """What scores.json says about one level."""
    scores: dict[str, dict[str, Any]] = {}
    apart: dict[str, Any] = {}
    facts: dict[str, Any] = {"style": None, "subjects": [], "songs": []}
    for name in level.conditions:
        results = [read(unit_of(level, name, config.seed + offset)) for offset in config.seeds]
        facts = results[0].facts
        by_seed = [result.entry for result in results if result.entry is not None]
        if by_seed:
            scores[name] = {**by_seed[0], "seeds": by_seed}
        else:
            scores[name] = {"embedding": None, "generated": None, "why": results[0].why, "seeds": []}
        made = [
            distance(result.made.query, reference.beside(result.made.gallery))
            for result in results
            if result.made is not None
        ]
        if made:
            apart[name] = _mean_distance(made)
    elsewhere, judged = judge(scores)
    return {
        "name": level.name,
        "snr_db": level.snr_db,
        "style": facts["style"],
        "subjects": facts["subjects"],
        "gallery": facts["songs"],
        "scores": scores,
        "distances": apart,
        "surprises": [f"{level.name}: {text}" for text in elsewhere],
        "expectations": judged,
    }


def _split(config: EvaluateConfig, read: Callable[[Unit], UnitResult], folder: Path) -> dict[str, Any]:
    """What was scored, and that no model knows it; checked once more, by the names that the finished units have."""
    facts = [read(unit).facts for level in config.levels for unit in level_units(level, config)[:1]]
    beside = () if config.prepared else further_songs(config.listening, config.reference_songs)
    scored = Manifest(
        songs=frozenset(song for one in facts for song in one["songs"]) | frozenset(beside),
        subjects=frozenset(subject for one in facts for subject in one["subjects"]),
    )
    return check_split(folder, scored)


def _mean_distance(by_seed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    means = {key: float(np.mean([one[key] for one in by_seed])) for key in ("frechet", "kernel")}
    return {**by_seed[0], **means, "seeds": [{key: one[key] for key in means} for one in by_seed]}


def distance(vectors: FloatArray, reference: FloatArray) -> dict[str, Any]:
    """Fréchet and kernel distance of generated clips from music, in the scorer's embedding.

    Parameters
    ----------
    vectors : (clip, dim)
    reference : (song, dim), what was heard and other songs of its family

    With fewer clips or songs than twice the embedding's dimension a Fréchet distance is biased; it is stamped so, and
    the kernel distance, which is not, is the one to read.
    """
    return {
        "frechet": frechet_distance(vectors, reference),
        "kernel": kernel_distance(reference, vectors),
        "n": len(vectors),
        "n_reference": len(reference),
        "embedding": "scorer",
        "dim": int(vectors.shape[1]),
        "too_few_for_frechet": min(len(vectors), len(reference)) < 2 * vectors.shape[1],
    }
