"""`eeg2music evaluate CONFIG`: every score beside its controls, for every SNR level and seed.

Identification of the embedding and of the generated music, retrieval, FAD and how well the
generated stems follow what was heard. Reads models and recordings, trains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from eeg2music.config import Config
from eeg2music.errors import ConfigError
from eeg2music.evaluation.brain import (
    CONTROLS,
    Evidence,
    control_conditions,
    embedding_score,
    generate_clips,
    generated_score,
    surprises,
)
from eeg2music.evaluation.follow import following
from eeg2music.evaluation.heard import Heard, audio_conditions, scorer_vectors
from eeg2music.evaluation.material import ListeningConfig, prepared_heard, simulated_heard
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.files import atomic_folder, check_result_folder, read_json, write_json, write_text
from eeg2music.metrics.frechet import frechet_distance
from eeg2music.metrics.kernel import kernel_distance
from eeg2music.pipeline import Hook, SamplingConfig, default_checkpoint, load_pipeline, no_hook
from eeg2music.report import figures
from eeg2music.report.html import SCORE_HEADS, score_row, write_page
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.simulation.calibration import REAL_SNR_DB
from eeg2music.simulation.experiment import NAMED_SNR_DB, Snr
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import FloatArray
from eeg2music.weights import checkpoint_sha256, load_model

SCHEMA = 1
SCORE_FILES = ("scores.json", "scores.md", "report.html")
BRAIN = "brain"


class LevelConfig(Config):
    """One SNR level: "clean", "real" or decibels.

    Attributes
    ----------
    conditions : the brain and controls that are scored in the conditioning space
    generate : for which of them clips are generated, for `generated_windows` windows and each seed
    """

    name: str
    snr: Snr
    conditions: tuple[str, ...] = (BRAIN, *CONTROLS)
    generate: tuple[str, ...] = (BRAIN, *CONTROLS)
    generated_windows: int = Field(default=200, ge=0)

    @field_validator("conditions", "generate")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in (BRAIN, *CONTROLS)]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join((BRAIN, *CONTROLS))}")
        return names

    @property
    def snr_db(self) -> float:
        """The ratio in decibels."""
        return NAMED_SNR_DB[self.snr] if isinstance(self.snr, str) else self.snr


class EvaluateConfig(Config):
    """What is evaluated, on what, and against which controls.

    Attributes
    ----------
    checkpoint : folder of models; the shipped ones by default
    prepared : a prepared cache to score instead of simulated listeners (one level is then scored)
    listening : the simulated listeners; other_subject pairs each with the next
    seed : of the recordings; the seeds below count from it
    seeds : of the sampling and the controls, shown apart
    """

    checkpoint: str | None = None
    prepared: str | None = None
    seed: int = 0
    seeds: tuple[int, ...] = (0, 1, 2)
    listening: ListeningConfig = ListeningConfig()
    levels: tuple[LevelConfig, ...] = (LevelConfig(name="clean", snr="clean"),)
    sampling: SamplingConfig = SamplingConfig()


def run_evaluation(config: EvaluateConfig, out: Path, *, device: str = "auto", hook: Hook = no_hook) -> dict[str, Any]:
    """Score everything into `out/{scores.json, scores.md, report.html}`; returns the scores."""
    if config.prepared and len(config.levels) != 1:
        raise ConfigError(f"{len(config.levels)} levels with prepared recordings", allowed="one level")
    folder = Path(config.checkpoint) if config.checkpoint else default_checkpoint()
    check_result_folder(out, SCORE_FILES)
    hook("loading the models")
    pipeline = load_pipeline(folder, device)
    clap, scorer = load_clap(folder / "clap"), load_model(ScorerNet, folder / "scorer")
    levels = []
    stems: FloatArray | None = None
    for level in config.levels:
        hook(f"{level.name}: listening")
        heard = _heard(config, level, stems)
        stems = heard.stems
        refuse_known(folder, heard)
        evidence = Evidence(pipeline, heard, _others(heard), audio_conditions(clap, heard.stems), scorer, config.seed)
        levels.append(_score_level(level, evidence, config, hook))
    scores = {
        "schema": SCHEMA,
        "checkpoint_sha256": checkpoint_sha256(folder),
        "config": config.model_dump(mode="json"),
        "real_snr_db": REAL_SNR_DB,
        "levels": levels,
        "surprises": [text for level in levels for text in level["surprises"]],
    }
    write_scores(out, scores)
    return scores


def _heard(config: EvaluateConfig, level: LevelConfig, stems: FloatArray | None) -> Heard:
    if config.prepared:
        return prepared_heard(Path(config.prepared))
    return simulated_heard(config.listening, level.snr_db, stems, seed=config.seed)


def refuse_known(folder: Path, heard: Heard) -> None:
    """Raise a LeakError if a model was trained on a song or a listener that is scored."""
    test = Manifest(songs=frozenset(heard.songs), subjects=frozenset(heard.query_subjects))
    for path in sorted(folder.glob("*/training_manifest.json")):
        refuse_leaks(read_json(path), test, kinds=("song", "work", "subject"))


def _others(heard: Heard) -> Heard | None:
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


def _score_level(level: LevelConfig, evidence: Evidence, config: EvaluateConfig, hook: Hook) -> dict[str, Any]:
    gallery = scorer_vectors(evidence.scorer, evidence.heard.stems)
    rows = spread_rows(evidence.heard, level.generated_windows)
    scores: dict[str, dict[str, Any]] = {}
    vectors_of: dict[str, FloatArray] = {}
    for name in level.conditions:
        hook(f"{level.name}: {name.replace('_', ' ')}")
        by_seed = []
        for seed in (config.seed + offset for offset in config.seeds):
            seeded = replace(evidence, seed=seed)
            conditions = control_conditions(name, seeded)
            if conditions is None and name != "no_brain":
                break
            entry: dict[str, Any] = {"seed": seed, "embedding": embedding_score(conditions, seeded), "generated": None}
            if name in level.generate and rows:
                hook(f"{level.name}: {name.replace('_', ' ')}, seed {seed}: {len(rows)} clips")
                clips = generate_clips(conditions, seeded, rows, config.sampling)
                entry["generated"] = generated_score(clips, seeded, gallery, rows)
                entry["following"] = _following(clips, seeded, rows)
                # Vectors, not clips: hundreds of clips of every condition would fill the memory.
                vectors_of.setdefault(name, scorer_vectors(evidence.scorer, clips))
            by_seed.append(entry)
        if by_seed:
            scores[name] = {**by_seed[0], "seeds": by_seed}
    return {
        "name": level.name,
        "snr_db": level.snr_db,
        "style": evidence.heard.style,
        "subjects": sorted(set(evidence.heard.query_subjects)),
        "scores": scores,
        "distances": distances(vectors_of, gallery),
        "surprises": [f"{level.name}: {text}" for text in surprises(scores)],
    }


def spread_rows(heard: Heard, count: int) -> list[int]:
    """Queries to generate for, spread evenly over songs and listeners."""
    total = len(heard.windows)
    return sorted({int(row) for row in np.linspace(0, total - 1, min(count, total)).round()}) if count else []


def _following(clips: FloatArray, evidence: Evidence, rows: Sequence[int]) -> dict[str, Any]:
    """How well the clips of some queries follow what was heard in them."""
    chosen = evidence.heard.select(rows)
    return following(clips, chosen.stems[chosen.target], seed=evidence.seed, songs=chosen.query_songs)


def distances(vectors_of: Mapping[str, FloatArray], gallery: FloatArray) -> dict[str, Any]:
    """Fréchet and kernel distance of generated clips from the heard ones, in the scorer's embedding.

    Parameters
    ----------
    vectors_of : per condition, (clip, dim)
    gallery : (song, dim), what was heard

    With fewer clips than twice the embedding's dimension a Fréchet distance is biased; it is stamped so.
    """
    found = {}
    for name, vectors in vectors_of.items():
        small = min(len(vectors), len(gallery)) < 2 * vectors.shape[1]
        found[name] = {
            "frechet": frechet_distance(vectors, gallery),
            "kernel": kernel_distance(vectors, gallery),
            "n": len(vectors),
            "n_reference": len(gallery),
            "embedding": "scorer",
            "too_few_for_frechet": small,
        }
    return found


def write_scores(out: Path, scores: Mapping[str, Any]) -> None:
    """scores.json, scores.md and report.html."""
    tables = list(_tables(scores))
    with atomic_folder(out) as folder:
        write_json(folder / "scores.json", dict(scores))
        write_text(folder / "scores.md", _markdown(tables))
        write_page(
            folder / "report.html",
            title="Evaluation",
            lead=f"Checkpoint {scores['checkpoint_sha256'][:12]}. Chance is 0.5 pairwise. The embedding is scored in "
            "the conditioning space, the generated music by an encoder that conditions nothing.",
            warnings=scores["surprises"],
            tables=tables,
            figures=list(_pictures(scores)),
        )


def _tables(scores: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    tables = []
    for level in scores["levels"]:
        for kind in ("embedding", "generated"):
            rows = [
                score_row(f"{name.replace('_', ' ')}, seed {entry['seed']}", entry[kind])
                for name, of in level["scores"].items()
                for entry in of["seeds"]
                if entry[kind]
            ]
            if rows:
                title = f"{level['name']} ({level['snr_db']:g} dB): {kind}"
                tables.append({"title": title, "note": _note(level), "heads": SCORE_HEADS, "rows": rows})
    return tables


def _note(level: Mapping[str, Any]) -> str:
    return f"Style {level['style']}, {len(level['subjects'])} unseen listeners, unseen songs."


def _markdown(tables: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for table in tables:
        lines = [f"## {table['title']}", "", table["note"], "", "| " + " | ".join(table["heads"]) + " |"]
        lines.append("|" + "---|" * len(table["heads"]))
        lines += ["| " + " | ".join(row) + " |" for row in table["rows"]]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _pictures(scores: Mapping[str, Any]) -> Sequence[tuple[str, str, bytes]]:
    drawn = []
    points = []
    for level in scores["levels"]:
        brain = level["scores"].get(BRAIN, {})
        points.append({"snr_db": level["snr_db"], **{kind: brain.get(kind) for kind in ("embedding", "generated")}})
        for kind in ("embedding", "generated"):
            bars = {name: entry[kind] for name, entry in level["scores"].items() if entry.get(kind)}
            if bars:
                title = f"{level['name']}: {kind}"
                drawn.append((title, _note(level), figures.identification_bars(bars, title=title)))
    curve = figures.identification_by_snr(points, real_snr_db=scores["real_snr_db"])
    return [("Identification against difficulty", "", curve), *drawn]
