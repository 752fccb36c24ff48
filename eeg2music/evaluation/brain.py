"""How much of the music came from the brain: the brain's score beside its seven controls.

Each control answers one doubt:

==================  =====================================================================================
shuffled            the recording of another song: nothing but the prior is left (expected at chance)
phase_randomized    the whole recording with the same spectrum and cross-spectrum, no timing (expected at chance)
time_shifted        the whole recording, shifted in a circle: windows hear other songs or pauses
other_subject       another listener's recording of a second presentation of the same song (expected near the brain:
                    the music survives the exchange of the person, so that what is decoded is not personal)
no_brain            the generator without any condition, same seed (expected at chance)
random_encoder      the encoder with freshly drawn weights (expected at chance)
oracle              the conditions read off the audio itself: the ceiling of the generator
==================  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from eeg2music.encoders.base import Encoder
from eeg2music.errors import DataError
from eeg2music.evaluation.comparable import KINDS
from eeg2music.evaluation.controls import derangement, phase_randomize, reinitialised, time_shift
from eeg2music.evaluation.heard import Heard, condition_vectors, curve_vectors, have_stems, scorer_vectors, take
from eeg2music.evaluation.identification import identify
from eeg2music.pipeline import BrainToMusicPipeline, SamplingConfig
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, WINDOW_S, Conditions, FloatArray, Window

CONTROLS = (
    "shuffled",
    "phase_randomized",
    "time_shifted",
    "other_subject",
    "no_brain",
    "random_encoder",
    "oracle",
)
AT_CHANCE = ("shuffled", "phase_randomized", "no_brain", "random_encoder")
# Any filter of a recording, also one with random weights, follows what the recording follows: not judged.
FOLLOWS_ANYWAY = ("random_encoder", "curves")
P_CHANCE = 0.05


@dataclass(frozen=True)
class Evidence:
    """Everything that the scores of one SNR level are computed from.

    other : the same songs heard by another listener, query by query; None leaves that control out. Where `heard` holds
        several listeners this has to be another presentation, or pooled over listeners it were the brain's score again
    oracle : the audio's own conditions, one row per gallery song
    scorer : an encoder that conditions nothing
    """

    pipeline: BrainToMusicPipeline
    heard: Heard
    other: Heard | None
    oracle: Conditions
    scorer: Any
    seed: int


def control_conditions(name: str, evidence: Evidence) -> Conditions | None:
    """Conditions of the brain ("brain") or of a control, one row per query; None where there are none."""
    heard, pipeline, seed = evidence.heard, evidence.pipeline, evidence.seed
    if name == "no_brain":
        return None
    if name == "oracle":
        return take(evidence.oracle, heard.target)
    if name == "other_subject":
        if evidence.other is None:
            return None
        return pipeline.encode(evidence.other.windows)
    if name == "random_encoder":
        trained = pipeline.encoder
        return pipeline.with_encoder(cast(Encoder, reinitialised(trained, seed))).encode(heard.windows)
    return pipeline.encode(_changed_windows(name, heard, seed))


def _changed_windows(name: str, heard: Heard, seed: int) -> Sequence[Window]:
    if name == "brain":
        return heard.windows
    if name == "shuffled":
        order = derangement(heard.query_works, numpy_rng(seed, "shuffled"))
        return [heard.windows[row] for row in order]
    changes: dict[str, Callable[..., FloatArray]] = {"phase_randomized": phase_randomize, "time_shifted": time_shift}
    if name not in changes:
        raise DataError(f"No control named {name!r}", allowed=", ".join(("brain", *CONTROLS)))
    changed: dict[str, FloatArray] = {}
    windows = []
    for window in heard.windows:
        whole = heard.recordings.get(window.recording)
        if whole is None:
            # Only the window is known: change it by itself.
            windows.append(replace(window, eeg=changes[name](window.eeg, numpy_rng(seed, name, window.window_id))))
            continue
        if window.recording not in changed:
            changed[window.recording] = changes[name](whole, numpy_rng(seed, name, window.recording))
        first = round(window.start_s * EEG_RATE_HZ)
        windows.append(replace(window, eeg=changed[window.recording][:, first : first + window.eeg.shape[1]]))
    return windows


def embedding_score(conditions: Conditions | None, evidence: Evidence) -> dict[str, Any]:
    """Identification in the conditioning space: decoded embeddings against those of the gallery's audio."""
    gallery = condition_vectors(evidence.oracle)
    count = len(evidence.heard.windows)
    # Without conditions every gallery row ties, which the tie rule scores at exactly chance.
    query = np.zeros((count, gallery.shape[1]), np.float32)
    if conditions is not None:
        query = condition_vectors(conditions, like=evidence.oracle)
    compared = "mix and stem embeddings" if have_stems(evidence.oracle) else "mix embedding"
    return _identify(query, gallery, evidence, space=f"conditioning space ({compared})")


def curves_score(conditions: Conditions | None, evidence: Evidence) -> dict[str, Any] | None:
    """Identification by the decoded control curves: their mean correlation with the gallery's, over stems and curves.

    None without curves: a guess of the embedding alone has none, and neither has music without its stems. No delay is
    allowed for.
    """
    if not (have_curves(conditions) and have_curves(evidence.oracle)):
        return None
    query = curve_vectors(cast(Conditions, conditions))
    return _identify(query, curve_vectors(evidence.oracle), evidence, space="control curves (conditions, too)")


def have_curves(conditions: Conditions | None) -> bool:
    """Whether there are curves for every query and stem."""
    if conditions is None:
        return False
    return conditions.keep_curves is None or bool(conditions.keep_curves.all())


def generated_score(stems: FloatArray, evidence: Evidence, gallery: FloatArray, rows: Sequence[int]) -> dict[str, Any]:
    """Identification of generated clips (clip, stem, samples) by the scorer. rows : which queries they belong to."""
    query = scorer_vectors(evidence.scorer, stems)
    chosen = replace(evidence, heard=evidence.heard.select(rows))
    return _identify(query, gallery, chosen, space="scorer (not used for conditioning)")


def _identify(query: FloatArray, gallery: FloatArray, evidence: Evidence, *, space: str) -> dict[str, Any]:
    heard = evidence.heard
    score = identify(
        query,
        gallery,
        heard.target,
        songs=heard.query_songs,
        subjects=heard.query_subjects,
        works=heard.query_works if heard.works else None,
        gallery_songs=heard.songs if heard.several_windows else None,
        seed=evidence.seed,
    )
    return {**score, "space": space, "style": heard.style}


def generate_clips(
    conditions: Conditions | None, evidence: Evidence, rows: Sequence[int], sampling: SamplingConfig
) -> FloatArray:
    """Clips of the chosen queries, (clip, stem, samples).

    The noise depends on the window alone, so that brain and controls differ in their conditions only.
    """
    ids = [evidence.heard.windows[row].window_id for row in rows]
    given = None if conditions is None else take(conditions, list(rows))
    output = evidence.pipeline(given, sample_ids=ids, seed=evidence.seed, duration_s=WINDOW_S, sampling=sampling)
    return output.stems


def surprises(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences for controls that should be at chance and are not, with any of their seeds."""
    found = []
    for name in AT_CHANCE:
        entry = scores.get(name, {})
        for kind in KINDS:
            for seeded in entry.get("seeds", [entry]):
                score = seeded.get(kind)
                if (
                    (name, kind) != FOLLOWS_ANYWAY
                    and score
                    and score.get("accuracy") is not None
                    and is_off_chance(score)
                ):
                    found.append(f"{score_label(name, kind, seeded.get('seed'))} {off_chance(score)}")
    return found


def is_off_chance(score: Mapping[str, Any]) -> bool:
    """Whether the song permutation tells it from chance, two-sided at 5 %.

    Not by the interval: of queries that hardly differ it is as wide as of others, and they hardly leave chance.
    """
    return 2.0 * min(score["p_value"], score["p_value_below"]) < P_CHANCE


def score_label(name: str, kind: str, seed: int | str | None) -> str:
    """How a sentence calls a score.

    >>> score_label("no_brain", "generated", 3), score_label("ridge", "curves", "all seeds")
    ('no brain (generated, seed 3)', 'ridge (curves, all seeds)')
    """
    which = "" if seed is None else f", seed {seed}" if isinstance(seed, int) else f", {seed}"
    return f"{name.replace('_', ' ')} ({kind}{which})"


def off_chance(score: Mapping[str, Any]) -> str:
    """What is wrong with a score that should be at chance."""
    low, high = score["ci95"]
    return (
        f"should be at chance {score['chance']:.2f} but has {score['accuracy']:.3f} [{low:.3f}, {high:.3f}], "
        f"two-sided p = {2.0 * min(score['p_value'], score['p_value_below']):.2g}"
    )
