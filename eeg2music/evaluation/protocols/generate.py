"""Music generated from a protocol's tested windows by trained models, with and without what was decoded.

The scorer that judges it conditioned nothing; models that know a tested song, and a scorer that did condition, are
refused as in every evaluation. The noise of a clip follows from the seed and the window, and is the same under every
condition. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.compatibility import check_clap
from eeg2music.errors import InputError
from eeg2music.evaluation.circular import check_judge
from eeg2music.evaluation.heard import scorer_vectors, take
from eeg2music.evaluation.known import check_split
from eeg2music.evaluation.protocols.conditions import Rendered, anchored, decoded_conditions, render_windows
from eeg2music.evaluation.protocols.config import GeneratedRule, ProtocolConfig, Stage
from eeg2music.evaluation.protocols.decoded import Decoded
from eeg2music.evaluation.protocols.gallery import repeats_of
from eeg2music.evaluation.protocols.judged import Generated, Reference
from eeg2music.evaluation.protocols.windows import Row
from eeg2music.evaluation.splits import Manifest
from eeg2music.metrics.retrieval import similarity_matrix
from eeg2music.pipeline import (
    MAKING,
    SCORING,
    BrainToMusicPipeline,
    Hook,
    check_models,
    default_checkpoint,
    load_pipeline,
    no_hook,
)
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.targets.curves import control_curves_numpy
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import CURVES, Conditions, FloatArray
from eeg2music.weights import checkpoint_sha256, load_model

BATCH = 8
ONSET = CURVES.index("onset")
BY_ONSETS = "chosen by the decoded onsets"
Float64 = NDArray[np.float64]


class Made(NamedTuple):
    """What is scored, and what the result says of how it was made."""

    generated: Generated
    facts: dict[str, Any]


def check_generated(rule: GeneratedRule) -> Path:
    """The folder of models, once everything is refused that can be before a model is loaded or a song composed.

    Raises
    ------
    CheckpointError, LeakError
    """
    folder = _folder(rule)
    check_models(folder, (*MAKING, *SCORING))
    check_judge(folder)
    return folder


def generate_tested(
    config: ProtocolConfig, made: Decoded, rule: GeneratedRule, *, device: str = "auto", hook: Hook = no_hook
) -> Made:
    """Generate from tested windows of a simulated protocol.

    Raises
    ------
    LeakError
        If a model knows a song or a listener that is tested, or the scorer conditioned.
    CheckpointError
        If a model is missing, or does not say what it was trained on.
    """
    folder = check_generated(rule)
    check_split(folder, Manifest.from_rows(row.labels() for row in made.rows))
    hook("loading the models")
    pipeline = load_pipeline(folder, device)
    clap, scorer = load_clap(folder / "clap"), load_model(ScorerNet, folder / "scorer")
    check_clap(folder, clap, pipeline.manifests)
    hook("rendering the songs")
    music = render_windows(made.heard.rows, config.simulated, rule, clap, scorer)
    decoded = decoded_conditions(made, music, rule)
    members = list(repeats_of(made.rows).values())
    rows = [made.rows[own[0]] for own in members]
    chosen = spread(rows, rule.clips)
    bench = _Bench(pipeline, scorer, rule, [rows[n] for n in chosen], hook)
    decoded, heard = take(decoded, chosen), music.rows(bench.rows)
    draws, onsets = zip(
        *(bench.draw("from what was decoded", decoded, draw) for draw in range(rule.best_of)), strict=True
    )
    further: dict[str, tuple[FloatArray, Stage | None]] = {}
    if rule.anchored:
        embedding = np.stack([made.predicted[own].mean(axis=0) for own in members])[chosen]
        nearest = _nearest(config, embedding, made, music)
        further["generated, anchored"] = bench.draw("anchored", anchored(decoded, music, nearest))[0], "anchored"
        further["retrieved song itself"] = music.vectors[nearest], "retrieved"
    further["generated without a brain"] = bench.draw("without a brain", None)[0], None
    further["generated from what was heard"] = bench.draw("from what was heard", take(music.conditions, heard))[0], None
    choices = {BY_ONSETS: agreement(np.stack(onsets, axis=1), decoded.curves[:, :, ONSET].numpy()).argmax(axis=1)}
    generated = Generated(
        number=chosen,
        target=music.vectors[music.rows(rows)],
        draws=np.stack(draws, axis=1),
        chosen=choices,
        further=further,
        reference=_reference(made, music),
    )
    return Made(generated, _facts(folder, pipeline, rule, len(chosen)))


class _Bench:
    """Generates a clip for each chosen window, and keeps what the scorer and the onset curves say of it."""

    def __init__(
        self, pipeline: BrainToMusicPipeline, scorer: object, rule: GeneratedRule, rows: Sequence[Row], hook: Hook
    ) -> None:
        self.rows = list(rows)
        self._pipeline, self._scorer, self._rule, self._hook = pipeline, scorer, rule, hook

    def draw(self, what: str, conditions: Conditions | None, draw: int = 0) -> tuple[FloatArray, FloatArray]:
        """The scorer's vectors (clip, dim), and onset curves (clip, stem, frame)."""
        vectors, onsets = [], []
        for start in range(0, len(self.rows), BATCH):
            self._hook(f"generating {what}: clip {start + 1} of {len(self.rows)}")
            members = range(start, min(start + BATCH, len(self.rows)))
            stems = self._pipeline(
                None if conditions is None else take(conditions, list(members)),
                sample_ids=[f"{self.rows[n].subject}/{self.rows[n].window}/{draw}" for n in members],
                seed=self._rule.seed,
                duration_s=self._rule.seconds,
            ).stems
            vectors.append(scorer_vectors(self._scorer, stems))
            onsets.append(control_curves_numpy(stems)[:, :, ONSET])
        return np.concatenate(vectors), np.concatenate(onsets)


def spread(rows: Sequence[Row], count: int) -> list[int]:
    """Which windows are generated from: every window of music by one listener, then by another, listeners in turn.

    >>> spread([Row(song, "a", who, 0.0) for who in "xy" for song in "abc"], 4)
    [0, 4, 2, 3]
    """
    by_window: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        by_window.setdefault(row.window, []).append(number)
    order = [
        members[(place + turn) % len(members)]
        for turn in range(max(map(len, by_window.values())))
        for place, members in enumerate(by_window.values())
        if turn < len(members)
    ]
    return order[:count]


def agreement(made: FloatArray, wanted: FloatArray) -> Float64:
    """Mean correlation over stems of onsets: (clip, draw, stem, frame) with (clip, stem, frame) -> (clip, draw)."""
    x, y = (values - values.mean(axis=-1, keepdims=True) for values in (made.astype(float), wanted.astype(float)))
    y = y[:, None]
    spreads = np.sqrt(np.square(x).sum(axis=-1) * np.square(y).sum(axis=-1))
    return np.asarray(((x * y).sum(axis=-1) / np.maximum(spreads, 1e-12)).mean(axis=-1))


def _nearest(config: ProtocolConfig, decoded: Float64, made: Decoded, music: Rendered) -> list[int]:
    """Of `music` the training window whose embedding is nearest to each decoded one; none that is tested."""
    library = _training(made)
    embedding = made.heard.target[library]
    near = similarity_matrix(decoded, embedding, kind=config.metrics[0].similarity).argmax(axis=1)
    tested = {row.window for row in made.rows}
    found = [made.heard.rows[library[place]] for place in near]
    if any(row.window in tested for row in found):
        raise InputError("A tested window is in the library", remedy="hold out whole songs")
    return music.rows(found)


def _training(made: Decoded) -> list[int]:
    """The first row of each training window."""
    first: dict[str, int] = {}
    for number in sorted({number for fold in made.splits for number in fold.train}):
        first.setdefault(made.heard.rows[number].window, number)
    return list(first.values())


def _reference(made: Decoded, music: Rendered) -> Reference:
    rows = [made.heard.rows[number] for number in _training(made)]
    return Reference(music.vectors[music.rows(rows)], [row.style for row in rows], [row.song for row in rows])


def _folder(rule: GeneratedRule) -> Path:
    return Path(rule.checkpoint) if rule.checkpoint else default_checkpoint()


def _facts(folder: Path, pipeline: BrainToMusicPipeline, rule: GeneratedRule, clips: int) -> dict[str, Any]:
    return {
        "checkpoint_sha256": checkpoint_sha256(folder),
        "scorer_sha256": checkpoint_sha256(folder / "scorer"),
        "clips": clips,
        "seconds": rule.seconds,
        "best_of": rule.best_of,
        "made_on": pipeline.machine(),
        "warnings": list(pipeline.warnings),
    }
