"""The main job on one page: a held-out listener is simulated, decoded, mixed, scored, reported.

Every song and every listener here is unknown to the models. The same parts serve `generate`
and `evaluate`; this module only puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field, model_validator

from eeg2music.compatibility import check_clap
from eeg2music.config import Config
from eeg2music.diffusion.windows import SHORTEST_S
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
from eeg2music.evaluation.heard import Heard, audio_conditions, scorer_vectors
from eeg2music.evaluation.known import refuse_known
from eeg2music.evaluation.material import ListeningConfig, composed, further_songs, listener_of, simulated_heard
from eeg2music.files import check_result_folder
from eeg2music.generation import GenerateConfig, Take, decode
from eeg2music.mixing.settings import MixerConfig, StemMixerConfig
from eeg2music.pipeline import (
    MAKING,
    SCORING,
    BrainToMusicPipeline,
    Hook,
    SamplingConfig,
    check_models,
    default_checkpoint,
    load_pipeline,
    no_hook,
)
from eeg2music.report import figures
from eeg2music.report.html import SCORE_HEADS, score_row
from eeg2music.report.result import RESULT_FILES, Result, Stopwatch, recording_report, sound_report, write_result
from eeg2music.report.settings import made_with
from eeg2music.report.words import DEMO, DIFFICULTY, EMBEDDING, GENERATED_ONLY, NO_EMBEDDING, NO_FINDING, NOT_GENERATED
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.simulation.calibration import REAL_SNR_DB
from eeg2music.simulation.session import Trial, simulate_listener
from eeg2music.targets.curves import control_curves
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import FloatArray, Recording
from eeg2music.weights import checkpoint_sha256, load_model

GENERATED = ("brain", "shuffled", "oracle")


class SoundConfig(Config):
    """How the demonstration makes its sound; the mixer is of the longer clip, for the scores are of stems."""

    sampling: SamplingConfig = SamplingConfig()
    mixer: StemMixerConfig = MixerConfig()

    @model_validator(mode="before")
    @classmethod
    def _one_seed(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "seed" in values:
            raise ConfigError(
                f"generate.seed = {values['seed']} would be one seed of two",
                allowed="one seed for the whole demonstration",
                remedy="use --seed",
            )
        return values


class DemoConfig(Config):
    """What the demonstration does.

    Attributes
    ----------
    clips : how many clips are generated for the brain, for shuffled pairs and for the oracle
    clip_s : length of the clip that is written
    snr_db : of the simulated listener; levels are the further ones of the curve
    """

    seed: int = 0
    snr_db: float = 0.0
    levels: tuple[float, ...] = (-10.0, -20.0, -30.0, REAL_SNR_DB)
    clips: int = Field(default=16, ge=1)
    clip_s: float = Field(default=10.0, ge=SHORTEST_S)
    listening: ListeningConfig = ListeningConfig(song_seconds=8.0)
    generate: SoundConfig = SoundConfig()


def check_demo(out: Path, *, checkpoint: Path | None = None) -> None:
    """Everything that can be refused before a model is loaded.

    Raises
    ------
    InputError, CheckpointError
    """
    check_result_folder(out, RESULT_FILES)
    check_models(checkpoint or default_checkpoint(), (*MAKING, *SCORING))


def run_demo(
    config: DemoConfig, out: Path, *, checkpoint: Path | None = None, device: str = "auto", hook: Hook = no_hook
) -> dict[str, Any]:
    """Run the demonstration into `out`; returns the report as written to report.json."""
    check_demo(out, checkpoint=checkpoint)
    folder = checkpoint or default_checkpoint()
    settings = GenerateConfig(seed=config.seed, sampling=config.generate.sampling, mixer=config.generate.mixer)
    hook("loading the models")
    pipeline = load_pipeline(folder, device)
    hook("listening")
    evidence = gather_evidence(config, pipeline, folder, config.snr_db)
    scores = score_everything(config, evidence, settings, hook)
    curve = snr_curve(config, evidence, scores, hook)
    hook("decoding a clip")
    watch = Stopwatch()
    played, heard = longer_clip(config)
    clean, clip, silent = decode(Take.raw(heard), pipeline, settings, watch=watch, hook=hook)
    report = {
        **sound_report(clip, watch.seconds, config.seed),
        "checkpoint_sha256": checkpoint_sha256(folder),
        "settings": made_with("demo", config, **pipeline.machine()),
        "identification": {kind: scores["brain"][kind] for kind in ("embedding", "generated")},
        "controls": {name: scores[name] for name in CONTROLS},
        "by_snr": curve,
        "style": evidence.heard.style,
        "snr_db": config.snr_db,
        "real_snr_db": REAL_SNR_DB,
        "recording": recording_report(heard, clean, clip.reading),
        "warnings": [DEMO.format(snr=config.snr_db, real=REAL_SNR_DB), *pipeline.warnings, *surprises(scores)],
    }
    hook("writing")
    write_result(
        out, Result(report, clip, silent, clean, longer_curves(config)),
        title="Music decoded from a simulated listener",
        tables=score_tables(scores, evidence.heard), pictures=score_pictures(scores, curve),
        sounds=[{"title": "What was heard", "sounds": [{"label": "the song", "file": "heard.wav"}]}],
        extra={"heard.wav": played},
    )  # fmt: skip
    return report


def gather_evidence(config: DemoConfig, pipeline: BrainToMusicPipeline, folder: Path, snr_db: float) -> Evidence:
    """Simulate the listeners and embed what they heard. The first listener is scored, the second is the control."""
    # Before the listening, so that a checkpoint without these is refused at once.
    clap, scorer = load_clap(folder / "clap"), load_model(ScorerNet, folder / "scorer")
    check_clap(folder, clap, pipeline.manifests)
    both = simulated_heard(config.listening, snr_db, seed=config.seed)
    refuse_known(folder, both, [longer_song(config)])
    subjects = config.listening.subjects
    rows = {
        name: [row for row, window in enumerate(both.windows) if window.subject == f"sub-{name}"] for name in subjects
    }
    return Evidence(
        pipeline=pipeline,
        heard=both.select(rows[subjects[0]]),
        other=both.select(rows[subjects[1]]) if len(subjects) > 1 else None,
        oracle=audio_conditions(clap, both.stems),
        scorer=scorer,
        seed=config.seed,
    )


def score_everything(
    config: DemoConfig, evidence: Evidence, settings: GenerateConfig, hook: Hook
) -> dict[str, dict[str, Any]]:
    """Brain and controls, each in the conditioning space and, for some, after generation."""
    gallery = scorer_vectors(evidence.scorer, evidence.heard.stems)
    rows = chosen_rows(evidence.heard, config.clips)
    scores: dict[str, dict[str, Any]] = {}
    for name in ("brain", *CONTROLS):
        hook(f"scoring: {name.replace('_', ' ')}")
        conditions = control_conditions(name, evidence)
        absent = conditions is None and name != "no_brain"
        generated = None
        if name in GENERATED:
            clips = generate_clips(conditions, evidence, rows, settings.sampling)
            generated = generated_score(clips, evidence, gallery, rows)
        embedding = None if absent else embedding_score(conditions, evidence)
        if embedding and (name, "embedding") == NO_FINDING:
            embedding["note"] = NO_EMBEDDING
        scores[name] = {"embedding": embedding, "generated": generated}
    return scores


def chosen_rows(heard: Heard, count: int) -> list[int]:
    """Evenly spread queries."""
    total = len(heard.windows)
    return sorted({int(row) for row in np.linspace(0, total - 1, min(count, total)).round()})


def snr_curve(config: DemoConfig, evidence: Evidence, scores: Mapping[str, Any], hook: Hook) -> list[dict[str, Any]]:
    """Identification of the embedding at the demonstration's SNR and at the further levels."""
    points = [{"snr_db": config.snr_db, **{kind: scores["brain"][kind] for kind in ("embedding", "generated")}}]
    alone = config.listening.model_copy(update={"subjects": config.listening.subjects[:1]})
    for snr_db in config.levels:
        hook(f"listening at {snr_db:g} dB")
        harder = replace(evidence, heard=simulated_heard(alone, snr_db, evidence.heard.stems, seed=config.seed))
        score = embedding_score(control_conditions("brain", harder), harder)
        points.append({"snr_db": snr_db, "embedding": score, "generated": None})
    return points


def longer_song(config: DemoConfig) -> str:
    """Id of the song of the longer clip: the one after the gallery's."""
    return further_songs(config.listening, config.listening.songs + 1)[0]


def longer_clip(config: DemoConfig) -> tuple[FloatArray, Recording]:
    """A longer stretch of one more song: the mix as heard, and the listener's recording of it."""
    listening = config.listening
    stimulus, stems = composed(longer_song(config), config.clip_s)
    listener = listener_of(listening, listening.subjects[0])
    recording = simulate_listener(listener, [Trial(stimulus, 1, snr_db=config.snr_db)], seed=config.seed, run=2)
    onset_s = next(event.onset_s for event in recording.events if event.stimulus)
    first = round(onset_s * recording.sfreq_hz)
    count = round(config.clip_s * recording.sfreq_hz)
    return stems.sum(0), recording.replace(signal_v=recording.signal_v[:, first : first + count], events=())


def longer_curves(config: DemoConfig) -> FloatArray:
    """(stem, curve, frame) of the longer clip as it was heard."""
    _, stems = composed(longer_song(config), config.clip_s)
    return np.asarray(control_curves(torch.from_numpy(stems)).numpy(), dtype=np.float32)


def score_tables(scores: Mapping[str, Any], heard: Heard) -> list[dict[str, Any]]:
    """The tables of the page."""
    windows = f"{len(heard.songs) // len(set(heard.songs))} windows" if heard.several_windows else "one window"
    what = (
        f"Query: one window of 5 s. Gallery: {windows} of each of {len(set(heard.songs))} held-out songs "
        f"({heard.style})."
    )
    compared = f"{what} Compared by the {EMBEDDING}. {NO_EMBEDDING}"
    judged = f"{what} The scorer conditions nothing. {_generated_only(scores)}"
    parts = (
        ("embedding", "Which song was heard? In the conditioning space", compared),
        ("generated", "The same after generation, by the separate scorer", judged),
    )
    return [
        {
            "title": title,
            "note": note,
            "heads": SCORE_HEADS,
            "rows": [_score_cells(name, kind, entry[kind]) for name, entry in scores.items()],
        }
        for kind, title, note in parts
    ]


def _score_cells(name: str, kind: str, score: Mapping[str, Any] | None) -> list[str]:
    """A row of a table; dashes where a condition has nothing to score."""
    label = name.replace("_", " ")
    if (name, kind) == NO_FINDING:
        return [label, *["–"] * (len(SCORE_HEADS) - 1)]
    if kind == "generated" and not score:
        return [label, NOT_GENERATED, *[""] * (len(SCORE_HEADS) - 2)]
    return score_row(label, score)


def _generated_only(scores: Mapping[str, Any]) -> str:
    """Which conditions have clips, in words."""
    names = [name.replace("_", " ") for name, entry in scores.items() if entry["generated"]]
    return GENERATED_ONLY.format(clips=scores["brain"]["generated"]["n"], generated=", ".join(names))


def score_pictures(scores: Mapping[str, Any], curve: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, bytes]]:
    """The pictures of the page."""
    bars = {
        kind: {name: entry[kind] for name, entry in scores.items() if entry[kind] and (name, kind) != NO_FINDING}
        for kind in ("embedding", "generated")
    }
    return [
        (
            "How much came from the brain",
            "Identification of the heard song in the embedding space, beside the controls. Lines: 95 % intervals; "
            f"dashed: chance. No bar for no brain. {NO_EMBEDDING}",
            figures.identification_bars(bars["embedding"], title="embedding"),
        ),
        (
            "After generation",
            _generated_only(scores),
            figures.identification_bars(bars["generated"], title="generated, judged by the scorer"),
        ),
        (
            "Difficulty",
            DIFFICULTY.format(snr=curve[0]["snr_db"]),
            figures.identification_by_snr(curve, real_snr_db=REAL_SNR_DB),
        ),
    ]
