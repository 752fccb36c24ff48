"""`eeg2music evaluate CONFIG`: every score beside its controls, for every SNR level and seed.

Identification of the embedding and of the generated music, retrieval, FAD and how well the
generated stems follow what was heard. Reads models and recordings, trains nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.errors import ConfigError
from eeg2music.evaluation.alike import Listened, hear_heard
from eeg2music.evaluation.apart import distance, mean_of_seeds, small_stamps
from eeg2music.evaluation.brain_map import brain_map
from eeg2music.evaluation.breakdowns import level_breakdown, several_windows
from eeg2music.evaluation.card import CARD_FILE
from eeg2music.evaluation.circular import check_judge
from eeg2music.evaluation.comparisons import brain_comparisons, seed_remarks, summary_comparisons
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.expectations import judge
from eeg2music.evaluation.followed import followed_conditions
from eeg2music.evaluation.heard import scorer_vectors
from eeg2music.evaluation.known import check_split, refuse_known
from eeg2music.evaluation.linear_decoder import edge_remarks
from eeg2music.evaluation.material import further_songs, further_stems
from eeg2music.evaluation.page import write_scores
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.pictures import level_pictures, map_facts
from eeg2music.evaluation.pooled import pooled_scores
from eeg2music.evaluation.prepared_lesson import refuse_shared
from eeg2music.evaluation.prepared_material import scored_rows
from eeg2music.evaluation.sound_files import FOLDER
from eeg2music.evaluation.sounds import sound_units, sounds_level, sounds_seed
from eeg2music.evaluation.sounds_scores import gather_sounds
from eeg2music.evaluation.splits import Manifest
from eeg2music.evaluation.units import (
    WITHOUT_RECORDING,
    Unit,
    UnitResult,
    in_order,
    level_units,
    songs_beside,
    unit_of,
)
from eeg2music.evaluation.workers import score_units
from eeg2music.files import check_result_folder, sha256_file
from eeg2music.origin import made_with
from eeg2music.pipeline import MAKING, SCORING, Hook, check_models, default_checkpoint, no_hook, pick_device
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.report.html import Picture
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.simulation.calibration import REAL_SNR_DB
from eeg2music.types import FloatArray
from eeg2music.weights import checkpoint_sha256, load_model

__all__ = ["EvaluateConfig", "LevelConfig", "refuse_known", "run_evaluation"]

SCHEMA = 3
RECORDED = "recorded"
SCORE_FILES = ("scores.json", "scores.md", CARD_FILE, "split.json", "report.html", FOLDER)


MIX_ONLY = (
    "The songs have no stems: embeddings and clips are compared by the mix alone. What needs stems is absent: control "
    "curves, how generated stems follow the heard ones, stem by stem how near they come, and the ridge model."
)


def run_evaluation(config: EvaluateConfig, out: Path, *, device: str = "auto", hook: Hook = no_hook) -> dict[str, Any]:
    """Score everything into `out/` (`SCORE_FILES`); returns the scores.

    `split.json` names the songs and listeners that were scored, the models' manifests that know none of them, and songs
    that sound alike.

    Each condition at each level with each seed is kept in the folder `out` + ".parts" when it is finished. A run that
    was stopped goes on from there, also when levels, conditions or seeds were added since; what the change of a setting
    or of a model concerns is computed anew. The folder is removed when the result is whole.
    """
    check_evaluation(config, out)
    config = _with_known_levels(config)
    folder = Path(config.checkpoint) if config.checkpoint else default_checkpoint()
    circular = check_judge(folder, allow=config.allow_circular)
    parts = Parts(out, config, folder, pick_device(device).type)
    _finish_units(config, parts, folder, device, hook)
    reference = _Reference(config, folder, hook)
    hook("comparing with music")
    levels: list[dict[str, Any]] = []
    pictures: list[Picture] = []
    for level in config.levels:
        found = _results(level, config, parts.read)
        levels.append(_level_scores(level, config, found, reference, levels))
        pictures += level_pictures(levels[-1], found)
    sounds = gather_sounds(config, parts.read, reference.further)
    hook("listening for songs that sound alike")
    split = _split(config, parts.read, folder, reference.listened)
    scores = {
        "schema": SCHEMA,
        **made_with(folder),
        "scorer_sha256": checkpoint_sha256(folder / "scorer"),
        # How many processes shared the work is no part of the result.
        "config": config.model_dump(mode="json", exclude={"workers"}),
        "material": "prepared" if config.prepared else "simulated",
        "real_snr_db": REAL_SNR_DB,
        "levels": levels,
        "sounds": sounds.scores,
        "surprises": [text for level in levels for text in level["surprises"]],
        "comparisons": brain_comparisons(levels),
        "summary_comparisons": summary_comparisons(levels),
        "followed_conditions": followed_conditions(),
        "stamps": [
            *circular,
            *(text for level in levels for text in small_stamps(level["name"], level["distances"])),
        ],
        "remarks": [
            *seed_remarks(len(config.seeds), "The evaluation has"),
            *edge_remarks(levels),
            *_work_remarks(split["test"]),
            # What the composer calls by one name is one song.
            *(_name_remarks(split["by_name_alone"]) if config.prepared else ()),
            *([MIX_ONLY] if any(level.get("mix_only") for level in levels) else []),
        ],
        "warnings": split["look_alikes"]["warnings"],
    }
    hook("writing")
    write_scores(out, scores, split, [*pictures, brain_map(config, folder)], sounds.waves)
    parts.remove()
    return scores


def check_evaluation(config: EvaluateConfig, out: Path) -> None:
    """Everything that can be refused before a model is loaded or a song composed.

    Raises
    ------
    InputError, DataError, ConfigError, CheckpointError
    """
    known = _with_known_levels(config)
    if config.sounds.clips:
        sounds_level(known)
        sounds_seed(known)
    check_result_folder(out, SCORE_FILES)
    check_models(Path(config.checkpoint) if config.checkpoint else default_checkpoint(), (*MAKING, *SCORING))
    if config.prepared:
        data = PreparedDataset(config.prepared)
        if config.split:
            scored_rows(data, config.split)
        if config.listening.latency != "unknown":
            raise ConfigError(
                f"listening.latency: {config.listening.latency} with prepared recordings",
                allowed="unknown: latencies are taken out of simulated listeners' recordings only",
                remedy="remove listening.latency",
            )
    elif config.split:
        raise ConfigError(
            f"split: {config.split} without recordings",
            allowed="a manifest beside the prepared cache that it was made of",
            remedy="add prepared=CACHE",
        )
    if config.fit.prepared:
        if not config.prepared:
            raise ConfigError(
                "fit.prepared without prepared recordings to score",
                allowed="both, or neither: simulated listeners are taught by others of their kind",
                remedy="set prepared, or remove fit.prepared",
            )
        refuse_shared(Path(config.fit.prepared), Path(config.prepared))


def _with_known_levels(config: EvaluateConfig) -> EvaluateConfig:
    """Recordings are one level of unknown SNR; simulated levels have one."""
    if not config.prepared:
        unknown = [level.name for level in config.levels if level.snr is None]
        if unknown:
            raise ConfigError(
                f"The level {unknown[0]!r} has no snr",
                allowed="clean, real or a number of decibels",
                remedy="add snr: to it",
            )
        return config
    if len(config.levels) != 1:
        raise ConfigError(
            f"{len(config.levels)} levels with prepared recordings",
            allowed="one level: the recordings have the noise that they have",
            remedy="remove the other levels",
        )
    level = config.levels[0].model_copy(update={"name": RECORDED, "snr": None})
    return config.model_copy(update={"levels": (level,)})


class _Reference:
    """The songs beyond the heard ones that generated music is compared with as a whole; made when first asked for.

    listened : what they sound like
    """

    def __init__(self, config: EvaluateConfig, folder: Path, hook: Hook) -> None:
        self._config, self._folder, self._hook = config, folder, hook
        self._further: list[FloatArray] | None = None
        self.listened = Listened()

    def unheard(self, dim: int) -> FloatArray:
        """(song, dim): the further songs in the scorer's embedding, none of which was heard; there may be none."""
        return np.concatenate([np.empty((0, dim), dtype=np.float32), *self.further()])

    def further(self) -> list[FloatArray]:
        """The same in batches, (song, dim) each."""
        if self._further is None:
            self._further = []
            if not self._config.prepared and self._config.reference_songs > self._config.listening.songs:
                self._hook("embedding the reference songs")
                scorer = load_model(ScorerNet, self._folder / "scorer")
                names = iter(further_songs(self._config.listening, self._config.reference_songs))
                for batch in further_stems(self._config.listening, self._config.reference_songs):
                    self._further.append(scorer_vectors(scorer, batch))
                    self.listened.hear_stems(islice(names, len(batch)), batch)
        return self._further


def _finish_units(config: EvaluateConfig, parts: Parts, folder: Path, device: str, hook: Hook) -> None:
    """Score the units that no earlier run finished."""
    units: dict[str, Unit] = {}
    of_levels = (unit for level in config.levels for unit in level_units(level, config))
    for unit in (*of_levels, *sound_units(config)):
        # Several levels may have a unit in common.
        units.setdefault(parts.key(unit), unit)
    pending = in_order([unit for unit in units.values() if not parts.has(unit)])
    score_units(pending, config, folder, device, done=len(units) - len(pending), finished=parts.write, hook=hook)


def _results(
    level: LevelConfig, config: EvaluateConfig, read: Callable[[Unit], UnitResult]
) -> dict[str, list[UnitResult]]:
    """{condition: its results, one for each seed}."""
    seeds = [config.seed + offset for offset in config.seeds]
    return {name: [read(unit_of(level, name, seed)) for seed in seeds] for name in level.conditions}


def _level_scores(
    level: LevelConfig,
    config: EvaluateConfig,
    found: Mapping[str, Sequence[UnitResult]],
    reference: _Reference,
    earlier: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What scores.json says about one level. `earlier`: the same of the levels before."""
    scores: dict[str, dict[str, Any]] = {}
    apart: dict[str, Any] = {}
    facts: dict[str, Any] = {"style": None, "subjects": [], "songs": []}
    windows: list[str] | None = None
    for name, results in found.items():
        facts, windows = results[0].facts, several_windows(results[0].facts)
        by_seed = [result.entry for result in results if result.entry is not None]
        if by_seed:
            scores[name] = {**by_seed[0], "seeds": by_seed, "pooled": pooled_scores(results)}
        else:
            scores[name] = {"embedding": None, "generated": None, "why": results[0].why, "seeds": []}
        made = [
            distance(
                result.made.query,
                reference.unheard(result.made.query.shape[1]),
                # Windows of one song are no two songs.
                result.made.target if windows is None else np.array(windows)[result.made.target],
                seed=result.entry["seed"],
                allow_small=config.allow_small,
            )
            for result in results
            if result.made is not None and result.entry is not None
        ]
        if made:
            apart[name] = mean_of_seeds(made)
    judged = judge(
        scores,
        # A simulated listener's recording holds all songs.
        also_at_chance=() if config.prepared else ("time_shifted",),
        earlier=[{name: of for name, of in one["scores"].items() if name in WITHOUT_RECORDING} for one in earlier],
    )
    return {
        "name": level.name,
        "snr_db": level.snr_db,
        "style": facts["style"],
        **_styles(facts),
        **({"mix_only": True} if facts.get("mix_only") else {}),
        **_latencies(found),
        "subjects": facts["subjects"],
        "gallery": facts["songs"],
        "scores": scores,
        "distances": apart,
        "breakdown": level_breakdown(found),
        "map": map_facts(found),
        "surprises": [f"{level.name}: {text}" for text in judged.surprises],
        "expectations": judged.expectations,
        "at_chance": {"judged": judged.at_chance, "missed": judged.at_chance_missed},
    }


def _latencies(found: Mapping[str, Sequence[UnitResult]]) -> dict[str, Any]:
    """What was taken out of this level's recordings; a unit without recordings may be another level's."""
    for name, results in found.items():
        if name not in WITHOUT_RECORDING and "latency" in results[0].facts:
            return {"latency": results[0].facts["latency"]}
    return {}


def _styles(facts: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """How many songs each style has, where there are several."""
    rows = facts.get("gallery", {})
    if "style" not in rows:
        return {}
    of_songs = dict(zip(rows["song"], rows["style"], strict=True))
    return {"styles": dict(Counter(of_songs.values()))}


def _work_remarks(test: Mapping[str, Any]) -> list[str]:
    """What intervals and p-values count, where songs are declared to be versions of one work."""
    count = len({test["works"].get(song, song) for song in test["songs"]})
    if count == len(test["songs"]):
        return []
    return [f"{len(test['songs'])} songs are versions of {count} works: intervals and p-values count works."]


def _name_remarks(models: Sequence[str]) -> list[str]:
    """For which models a copy of a scored song under another name would not be seen."""
    if not models:
        return []
    return [
        f"Songs were checked by name alone for {', '.join(models)}: hashes of the audio are missing in the training "
        "manifests or here, so that a copy under another name would not be seen."
    ]


def _split(
    config: EvaluateConfig, read: Callable[[Unit], UnitResult], folder: Path, listened: Listened
) -> dict[str, Any]:
    """What was scored, and that no model knows it; checked once more, by what the finished units say.

    Beside it what sounds alike among the songs that were heard and, where they were made, the reference songs.
    """
    facts = [read(unit).facts for level in config.levels for unit in level_units(level, config)[:1]]
    beside = () if config.prepared else songs_beside(config)
    scored = Manifest(
        songs=frozenset(song for one in facts for song in one["songs"]) | frozenset(beside),
        works={song: work for one in facts for song, work in one["works"].items()},
        subjects=frozenset(subject for one in facts for subject in one["subjects"]),
        stimuli=frozenset(stimulus for one in facts for stimulus in one["stimuli"]),
    )
    hear_heard(listened, config.listening, config.prepared, config.split)
    manifest = {"manifest_sha256": sha256_file(config.split)} if config.split else {}
    return check_split(folder, scored, more={**manifest, "look_alikes": listened.among()})
