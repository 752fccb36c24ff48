"""Where each control is expected to sit, and in words which one sits elsewhere.

Each expectation is judged over songs, for every seed by itself and for all seeds together: what repeats in each seed is
told at less. Whether a control is at chance is a two-sided permutation test at 5 %, so that one in twenty of these is
missed by chance. The others are missed more seldom: ceilings, bounds on one side and differences that have to be both
told and large. Both are counted, beside those that were not met. Computes no score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eeg2music.evaluation.brain import AT_CHANCE, FOLLOWS_ANYWAY, P_CHANCE, is_off_chance, off_chance, score_label
from eeg2music.evaluation.comparable import KINDS, cell_names
from eeg2music.evaluation.compare import paired_differences
from eeg2music.evaluation.permutations import independent, smallest_p_value
from eeg2music.evaluation.statistics import Interval, cluster_interval
from eeg2music.report.words import NO_FINDING

Scores = Mapping[str, Mapping[str, Any]]
# Of one kind with one seed, or of all seeds: the score, and the whole entry that it stands in.
Scored = dict[tuple[str, int | str | None], tuple[Mapping[str, Any], Mapping[str, Any]]]
TOGETHER = "all seeds"

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
        "within 0.05 of the brain, all seeds together within 0.02: what is decoded is not personal",
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
# Pairwise accuracy; all seeds together move less than one.
NEAR = 0.05
NEAR_TOGETHER = 0.02
P_ABOVE = 0.05


class Judged(NamedTuple):
    """What came of it.

    surprises : sentences for what does not sit where it should
    expectations : how many were judged
    at_chance : how many of them are tests at 5 % of whether a control is at chance
    at_chance_missed : how many of these were not met
    """

    surprises: list[str]
    expectations: int
    at_chance: int
    at_chance_missed: int


def judge(scores: Scores, *, also_at_chance: Sequence[str] = (), earlier: Sequence[Scores] = ()) -> Judged:
    """Judge every expectation of one level.

    Parameters
    ----------
    also_at_chance : controls that this material puts at chance: "time_shifted", where recordings hold several songs
    earlier : scores of levels that were judged before, of conditions that are the same at every level: what was judged
        there of the same kind, seed and number of queries is not judged again
    """
    names = [name for name in (*CHANCE, *also_at_chance) if not _tells_styles(scores, name)]
    tested = list(_at_chance(scores, names, earlier))
    others = [*_alone(scores, earlier), *_compared(scores, earlier)]
    found = [f"{label} {said}" for label, said in (*tested, *others) if said]
    return Judged(found, len(tested) + len(others), len(tested), sum(bool(said) for _, said in tested))


def chance_line(count: int, at_chance: int, missed: int) -> str:
    """How many of the expectations that were not met chance alone explains: the counts of `Judged`, in words.

    >>> chance_line(20, 20, 2)
    '20 are tests at 5 % of whether a control is at chance: 2 not met, where chance alone misses about 1.'
    """
    if not at_chance:
        return "They are ceilings, bounds and differences, which chance alone seldom misses."
    tests = "1 is a test" if at_chance == 1 else f"{at_chance} are tests"
    text = (
        f"{tests} at 5 % of whether a control is at chance: {missed} not met, where chance alone misses about "
        f"{P_CHANCE * at_chance:.2g}"
    )
    others = count - at_chance
    return text + (f"; the other {others} (ceilings, bounds, differences) it misses more seldom." if others else ".")


def missed_line(scores: Mapping[str, Any]) -> str:
    """What became of the expectations of all levels, in words. `scores`: what scores.json holds."""
    levels = scores["levels"]
    count = sum(level["expectations"] for level in levels)
    if not count:
        return "No control was judged."
    at_chance, missed = (sum(level["at_chance"][key] for level in levels) for key in ("judged", "missed"))
    return (
        f"Of {count} expectations of controls {len(scores['surprises'])} were not met; each seed is judged by itself, "
        f"and several also together. {chance_line(count, at_chance, missed)}"
    )


def table(scores: Scores) -> dict[str, Any]:
    """What each control is, what it was given and where it is expected, for those that were asked for."""
    rows = []
    for name, entry in scores.items():
        what, expected = WORDS[name]
        given = entry.get("given", {}).get("words", "")
        rows.append([name.replace("_", " "), what, given or entry.get("why") or "", expected])
    return {
        "title": "What the controls are",
        "note": "Expectations are judged over songs, each seed by itself and several also together; conditions are "
        "compared song by song. 'At chance' is a two-sided test at 5 %: of these one in twenty is missed by chance, of "
        "the others fewer.",
        "heads": ["condition", "what it is", "what it was made from here", "expected"],
        "rows": rows,
    }


def _scored(scores: Scores, name: str) -> Scored:
    """Everything that was scored of a condition, by kind and seed; several seeds also together."""
    entry = scores.get(name, {})
    entries = list(entry.get("seeds", [entry]))
    if len(entries) > 1:
        entries.append({**entries[0], **dict.fromkeys(KINDS), **entry.get("pooled", {}), "seed": TOGETHER})
    return {
        (kind, seeded.get("seed")): (score, seeded)
        for kind in KINDS
        for seeded in entries
        if (score := seeded.get(kind)) and score.get("accuracy") is not None
    }


def _tells_styles(scores: Scores, name: str) -> bool:
    """Whether a guess of the style is worth something here and this is one."""
    return any(seeded.get("given", {}).get("expected", 0.5) > 0.5 for _, seeded in _scored(scores, name).values())


def _judged_before(names: Sequence[str], key: tuple[str, Any], n: int, earlier: Sequence[Scores]) -> bool:
    return any(
        all((found := _scored(level, name).get(key)) is not None and found[0]["n"] == n for name in names)
        for level in earlier
    )


def _at_chance(scores: Scores, names: Sequence[str], earlier: Sequence[Scores]) -> Iterator[tuple[str, str]]:
    """(label, what is wrong or nothing) of each test of a control against chance."""
    for name in names:
        for (kind, seed), (score, _) in _scored(scores, name).items():
            known = (name, kind) in (NO_FINDING, FOLLOWS_ANYWAY)
            if not known and not _judged_before([name], (kind, seed), score["n"], earlier):
                yield score_label(name, kind, seed), off_chance(score) if is_off_chance(score) else ""


def _alone(scores: Scores, earlier: Sequence[Scores]) -> Iterator[tuple[str, str]]:
    """The same of each other score that is judged by itself."""
    for name, kinds, wrong in ALONE:
        for (kind, seed), (score, seeded) in _scored(scores, name).items():
            said = wrong(score, seeded) if kind in kinds else None
            if said is not None and not _judged_before([name], (kind, seed), score["n"], earlier):
                yield score_label(name, kind, seed), said + (WHY.get((name, kind), "") if said else "")


def _compared(scores: Scores, earlier: Sequence[Scores]) -> Iterator[tuple[str, str]]:
    """The same of the first less the second, where both were scored on the same windows."""
    for first, second, kinds, wrong in PAIRS:
        others = _scored(scores, second)
        for (kind, seed), (score, _) in _scored(scores, first).items():
            other = others.get((kind, seed))
            if kind not in kinds or other is None or not _same_windows(score, other[0]):
                continue
            if not _judged_before([first, second], (kind, seed), score["n"], earlier):
                values, songs, subjects = paired_differences(other[0], score, "accuracy")
                interval = cluster_interval(values, songs, subjects)
                near = NEAR_TOGETHER if seed == TOGETHER else NEAR
                yield score_label(first, kind, seed), wrong(interval, second.replace("_", " "), near)


def _not_above_chance(score: Mapping[str, Any], _: Mapping[str, Any]) -> str | None:
    # By the permutation test: with a handful of songs the interval of a perfect score reaches below chance. With fewer
    # than five a perfect score's p does not reliably come below 0.05 either.
    if 2.0 * smallest_p_value(independent(score), score["permutations"]) > P_ABOVE:
        return None
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


def _above(interval: Interval, second: str, _: float) -> str:
    return f"should not be above the {second} but is, {_by(interval)}" if interval.low > 0.0 else ""


def _far(interval: Interval, second: str, near: float) -> str:
    # Told from it, and by more than does not matter; within an interval that holds both nothing is shown.
    if interval.low <= 0.0 <= interval.high or abs(interval.estimate) <= near:
        return ""
    where = "above" if interval.estimate > 0.0 else "below"
    return f"should be within {near} of the {second} but is {where} it, {_by(interval)}"


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
PAIRS: tuple[tuple[str, str, Sequence[str], Callable[[Interval, str, float], str]], ...] = (
    ("brain", "oracle", ("generated",), _above),
    ("oracle", "codec", KINDS, _above),
    ("song_oracle", "oracle", ("generated",), _above),
    ("ridge", "brain", KINDS, _above),
    ("time_shifted", "brain", KINDS, _above),
    ("other_subject", "brain", KINDS, _far),
)
