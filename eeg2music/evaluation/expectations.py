"""Where each control is expected to sit, and in words which one sits elsewhere.

Each expectation is judged at 5 %, over songs and for every seed by itself: chance by the permutation test (two-sided
where a control should be at it), other figures by the interval, and of two conditions their difference song by song. So
up to one expectation in twenty is missed by chance, and how many were judged is said beside those missed.
Computes no score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from eeg2music.evaluation.brain import AT_CHANCE, FOLLOWS_ANYWAY, surprises
from eeg2music.evaluation.comparable import KINDS, cell_names
from eeg2music.evaluation.compare import paired_differences
from eeg2music.evaluation.statistics import Interval, cluster_interval
from eeg2music.report.words import NO_FINDING

Scores = Mapping[str, Mapping[str, Any]]
Pair = tuple[str, Mapping[str, Any], Mapping[str, Any]]

# Condition: what it is, where it is expected.
WORDS: dict[str, tuple[str, str]] = {
    "brain": ("the trained decoder on the recording as it is", "above its controls where the recording allows it"),
    "shuffled": (
        "the recording of another song",
        "at chance; a perfect decoder of g songs comes to (g / 2 - 1) / (g - 1), just below",
    ),
    "phase_randomized": ("the recording with its spectrum and without its timing", "at chance"),
    "time_shifted": (
        "the recording shifted in a circle by a quarter of it or more: windows meet other moments, where it holds "
        "several songs, other songs",
        "at chance where recordings hold several songs; in one song its tempo survives: not above the brain",
    ),
    "other_subject": (
        "the next listener's recording of a second presentation of the song",
        "within 0.05 of the brain: what is decoded is not personal",
    ),
    "no_brain": ("the generator without any condition", "at chance"),
    "random_encoder": ("the encoder with freshly drawn weights", "at chance"),
    "oracle": (
        "the conditions of the heard audio itself: the ceiling of the generator",
        "1 in the conditioning space; generated not below the brain",
    ),
    "codec": ("the heard stems through the codec and back", "not below the oracle"),
    "ridge": ("a linear encoder, fitted in closed form on other listeners and songs", "not above the brain"),
    "song_oracle": (
        "knows the song and not the moment: what the rest of the song sounds like",
        "above chance; generated not above the oracle",
    ),
    "genre_oracle": (
        "knows the style: the mean of other songs of it",
        "what a perfect guess of the genre gives: 0.5 where all songs share one style",
    ),
    "signal_blind": (
        "a ridge model from style, listener and position in the session",
        "at chance where all songs share one style; of several, not above a perfect guess of the genre",
    ),
}
CHANCE = (*AT_CHANCE, "signal_blind")
# Pairwise accuracy.
NEAR = 0.05
P_ABOVE = 0.05


def judge(scores: Scores, *, also_at_chance: Sequence[str] = ()) -> tuple[list[str], int]:
    """Sentences for what does not sit where it should, and how many expectations were judged.

    also_at_chance : controls that this material puts at chance: "time_shifted", where recordings hold several songs
    """
    at_chance = [name for name in (*CHANCE, *also_at_chance) if not _tells_styles(scores, name)]
    found = surprises(scores, at_chance)
    count = sum(
        (name, kind) not in (NO_FINDING, FOLLOWS_ANYWAY) for name in at_chance for kind, _, _ in _seeded(scores, name)
    )
    for label, said in (*_alone(scores), *_compared(scores)):
        count += 1
        found += [f"{label} {said}"] if said else []
    return found, count


def table(scores: Scores) -> dict[str, Any]:
    """What each control is, what it was given and where it is expected, for those that were asked for."""
    rows = []
    for name, entry in scores.items():
        what, expected = WORDS[name]
        given = entry.get("given", {}).get("words", "")
        rows.append([name.replace("_", " "), what, given or entry.get("why") or "", expected])
    return {
        "title": "What the controls are",
        "note": "Each expectation is judged at 5 %, over songs, each seed by itself; conditions are compared song by "
        "song. About one in twenty may be missed by chance.",
        "heads": ["condition", "what it is", "what it was made from here", "expected"],
        "rows": rows,
    }


def _seeded(scores: Scores, name: str) -> Iterator[Pair]:
    """(kind, score, the seed's whole entry) of everything that was scored."""
    entry = scores.get(name, {})
    for kind in KINDS:
        for seeded in entry.get("seeds", [entry]):
            score = seeded.get(kind)
            if score and score.get("accuracy") is not None:
                yield kind, score, seeded


def _tells_styles(scores: Scores, name: str) -> bool:
    """Whether a guess of the style is worth something here and this is one."""
    return any(seeded.get("given", {}).get("expected", 0.5) > 0.5 for _, _, seeded in _seeded(scores, name))


def _label(name: str, kind: str, seeded: Mapping[str, Any]) -> str:
    seed = "" if seeded.get("seed") is None else f", seed {seeded['seed']}"
    return f"{name.replace('_', ' ')} ({kind}{seed})"


def _alone(scores: Scores) -> Iterator[tuple[str, str]]:
    """(label, what is wrong or nothing) of each score that is judged by itself."""
    for name, kinds, wrong in ALONE:
        for kind, score, seeded in _seeded(scores, name):
            said = wrong(score, seeded) if kind in kinds else None
            if said is not None:
                yield _label(name, kind, seeded), said + (WHY.get((name, kind), "") if said else "")


def _compared(scores: Scores) -> Iterator[tuple[str, str]]:
    """The same of the first less the second, seed by seed, where both were scored on the same windows."""
    for first, second, kinds, wrong in PAIRS:
        others: dict[tuple[str, Any], Mapping[str, Any]] = {
            (kind, seeded.get("seed")): score for kind, score, seeded in _seeded(scores, second)
        }
        for kind, score, seeded in _seeded(scores, first):
            other = others.get((kind, seeded.get("seed")))
            if kind in kinds and other is not None and _same_windows(score, other):
                values, songs, subjects = paired_differences(other, score, "accuracy")
                interval = cluster_interval(values, songs, subjects)
                yield _label(first, kind, seeded), wrong(interval, second.replace("_", " "))


def _not_above_chance(score: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    # By the permutation test: with a handful of songs the interval of a perfect score reaches below chance.
    if score["p_value"] < P_ABOVE and score["accuracy"] > score["chance"]:
        return ""
    return f"should be above chance {score['chance']:.2f} but {_has(score)}, p = {score['p_value']:.3f}"


def _not_one(score: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    if score["accuracy"] > 1.0 - 1e-9:
        return ""
    return f"should be 1 but {_has(score)}: some songs have one embedding"


def _not_as_guessed(score: Mapping[str, Any], seeded: Mapping[str, Any]) -> str | None:
    expected = seeded.get("given", {}).get("expected")
    if expected is None:
        return None
    low, high = score["ci95"]
    mixed = ": the embedding does not tell all styles apart" if high < expected and expected > 0.5 else ""
    return "" if low <= expected <= high else f"should be at {expected:.3f} but {_has(score)}{mixed}"


def _above_the_guess(score: Mapping[str, Any], seeded: Mapping[str, Any]) -> str | None:
    expected = seeded.get("given", {}).get("expected")
    if expected is None:
        return None
    return f"should not be above {expected:.3f} but {_has(score)}" if score["ci95"][0] > expected else ""


def _above(interval: Interval, second: str) -> str:
    return f"should not be above the {second} but is, {_by(interval)}" if interval.low > 0.0 else ""


def _far(interval: Interval, second: str) -> str:
    # Told from it, and by more than does not matter; within an interval that holds both nothing is shown.
    if interval.low <= 0.0 <= interval.high or abs(interval.estimate) <= NEAR:
        return ""
    where = "above" if interval.estimate > 0.0 else "below"
    return f"should be within {NEAR} of the {second} but is {where} it, {_by(interval)}"


def _has(score: Mapping[str, Any]) -> str:
    low, high = score["ci95"]
    return f"has {score['accuracy']:.3f} [{low:.3f}, {high:.3f}]"


def _by(interval: Interval) -> str:
    return f"by {interval.estimate:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _same_windows(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    sides = [score.get("cells") or {} for score in (ours, theirs)]
    of = [set(zip(cell_names(side), side["n"], strict=True)) if side else set() for side in sides]
    return bool(of[0]) and of[0] == of[1]


# Condition, which kinds, and what is wrong with its score: "" where nothing is, None where it is not judged.
ALONE: tuple[tuple[str, Sequence[str], Callable[[Mapping[str, Any], Mapping[str, Any]], str | None]], ...] = (
    ("oracle", KINDS, _not_above_chance),
    ("codec", KINDS, _not_above_chance),
    ("song_oracle", KINDS, _not_above_chance),
    ("oracle", ("embedding",), _not_one),
    ("genre_oracle", KINDS, _not_as_guessed),
    ("signal_blind", KINDS, _above_the_guess),
)
WHY = {
    ("song_oracle", "generated"): " (it has no curves: the scorer found nothing of the song in sound made from "
    "embeddings alone)"
}
# What is wrong with the first beside the second. Nothing is above the oracle's embedding, which is 1.
PAIRS: tuple[tuple[str, str, Sequence[str], Callable[[Interval, str], str]], ...] = (
    ("brain", "oracle", ("generated",), _above),
    ("oracle", "codec", KINDS, _above),
    ("song_oracle", "oracle", ("generated",), _above),
    ("ridge", "brain", KINDS, _above),
    ("time_shifted", "brain", KINDS, _above),
    ("other_subject", "brain", KINDS, _far),
)
