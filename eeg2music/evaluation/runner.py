"""`eeg2music evaluate CONFIG`: every score beside its controls, for every SNR level and seed.

Identification of the embedding and of the generated music, retrieval, FAD and how well the
generated stems follow what was heard. Reads models and recordings, trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eeg2music.errors import ConfigError
from eeg2music.evaluation.brain import surprises
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.page import write_scores
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.units import Unit, UnitResult, in_order, level_units, refuse_known, unit_of
from eeg2music.evaluation.workers import score_units
from eeg2music.files import check_result_folder
from eeg2music.metrics.frechet import frechet_distance
from eeg2music.metrics.kernel import kernel_distance
from eeg2music.pipeline import Hook, default_checkpoint, no_hook, pick_device
from eeg2music.simulation.calibration import REAL_SNR_DB
from eeg2music.types import FloatArray
from eeg2music.weights import checkpoint_sha256

__all__ = ["EvaluateConfig", "LevelConfig", "distance", "refuse_known", "run_evaluation"]

SCHEMA = 1
SCORE_FILES = ("scores.json", "scores.md", "report.html")


def run_evaluation(config: EvaluateConfig, out: Path, *, device: str = "auto", hook: Hook = no_hook) -> dict[str, Any]:
    """Score everything into `out/{scores.json, scores.md, report.html}`; returns the scores.

    Each condition at each level with each seed is kept in the folder `out` + ".parts" when it is finished. A run that
    was stopped goes on from there, also when levels, conditions or seeds were added since; what the change of a setting
    or of a model concerns is computed anew. The folder is removed when the result is whole.
    """
    if config.prepared and len(config.levels) != 1:
        raise ConfigError(f"{len(config.levels)} levels with prepared recordings", allowed="one level")
    folder = Path(config.checkpoint) if config.checkpoint else default_checkpoint()
    check_result_folder(out, SCORE_FILES)
    parts = Parts(out, config, folder, pick_device(device).type)
    _finish_units(config, parts, folder, device, hook)
    levels = [_level_scores(level, config, parts.read) for level in config.levels]
    scores = {
        "schema": SCHEMA,
        "checkpoint_sha256": checkpoint_sha256(folder),
        # How many processes shared the work is no part of the result.
        "config": config.model_dump(mode="json", exclude={"workers"}),
        "real_snr_db": REAL_SNR_DB,
        "levels": levels,
        "surprises": [text for level in levels for text in level["surprises"]],
    }
    hook("writing")
    write_scores(out, scores)
    parts.remove()
    return scores


def _finish_units(config: EvaluateConfig, parts: Parts, folder: Path, device: str, hook: Hook) -> None:
    """Score the units that no earlier run finished."""
    units: dict[str, Unit] = {}
    for unit in (unit for level in config.levels for unit in level_units(level, config)):
        # Several levels may have a unit in common.
        units.setdefault(parts.key(unit), unit)
    pending = in_order([unit for unit in units.values() if not parts.has(unit)])
    score_units(pending, config, folder, device, done=len(units) - len(pending), finished=parts.write, hook=hook)


def _level_scores(level: LevelConfig, config: EvaluateConfig, read: Callable[[Unit], UnitResult]) -> dict[str, Any]:
    """What scores.json says about one level."""
    scores: dict[str, dict[str, Any]] = {}
    apart: dict[str, Any] = {}
    facts: dict[str, Any] = {"style": None, "subjects": []}
    for name in level.conditions:
        results = [read(unit_of(level, name, config.seed + offset)) for offset in config.seeds]
        facts = results[0].facts
        by_seed = [result.entry for result in results if result.entry is not None]
        if by_seed:
            scores[name] = {**by_seed[0], "seeds": by_seed}
        first = results[0]
        if first.vectors is not None and first.gallery is not None:
            apart[name] = distance(first.vectors, first.gallery)
    return {
        "name": level.name,
        "snr_db": level.snr_db,
        **facts,
        "scores": scores,
        "distances": apart,
        "surprises": [f"{level.name}: {text}" for text in surprises(scores)],
    }


def distance(vectors: FloatArray, gallery: FloatArray) -> dict[str, Any]:
    """Fréchet and kernel distance of generated clips from the heard ones, in the scorer's embedding.

    Parameters
    ----------
    vectors : (clip, dim)
    gallery : (song, dim), what was heard

    With fewer clips than twice the embedding's dimension a Fréchet distance is biased; it is stamped so.
    """
    return {
        "frechet": frechet_distance(vectors, gallery),
        "kernel": kernel_distance(vectors, gallery),
        "n": len(vectors),
        "n_reference": len(gallery),
        "embedding": "scorer",
        "too_few_for_frechet": min(len(vectors), len(gallery)) < 2 * vectors.shape[1],
    }
