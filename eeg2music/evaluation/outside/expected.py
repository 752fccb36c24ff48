"""Controls of a manifest, judged by where they should sit: those whose names `evaluate` knows. Computes no score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from eeg2music.evaluation.comparable import KINDS
from eeg2music.evaluation.config import CONDITIONS
from eeg2music.evaluation.expectations import judge
from eeg2music.evaluation.outside.manifest import Clips
from eeg2music.evaluation.signal_blind import genre_guess_accuracy

GENRE_ORACLE = "genre_oracle"


class Judged(NamedTuple):
    """What came of it.

    surprises : sentences for what does not sit where it should
    expectations : how many were judged
    at_chance : {"judged", "missed"}: how many of these are tests at 5 % of whether a control is at chance
    unknown : conditions of which nothing is expected
    """

    surprises: list[str]
    expectations: int
    at_chance: dict[str, int]
    unknown: list[str]


def judge_controls(
    clips: Clips, scored: Mapping[str, Mapping[str, Any]], about: Mapping[str, Mapping[str, Any]]
) -> Judged:
    """Judge the identification of every condition that is known, in each embedding by itself.

    Parameters
    ----------
    scored : {condition: {embedding: {"identification"}}}
    about : {embedding: {"circular"}}
    """
    surprises, count, at_chance = [], 0, {"judged": 0, "missed": 0}
    for name, of in about.items():
        # What conditioned is the space in which an oracle has to be certain; any other hears what was generated.
        kind = "embedding" if clips.is_array and of["circular"] else "generated"
        judged = judge(
            {
                condition: {
                    **dict.fromkeys(KINDS),
                    kind: spaces[name]["identification"],
                    "given": _given(clips, condition, kind),
                }
                for condition, spaces in scored.items()
                if condition in CONDITIONS and spaces[name]["identification"]
            }
        )
        surprises += [f"{name}: {text}" for text in judged.surprises]
        count += judged.expectations
        at_chance["judged"] += judged.at_chance
        at_chance["missed"] += judged.at_chance_missed
    return Judged(surprises, count, at_chance, [name for name in clips.conditions if name not in CONDITIONS])


def _given(clips: Clips, condition: str, kind: str) -> dict[str, float]:
    """What a perfect guess of the style gives, where every song's style is known and each is asked for as often.

    Generated music may sound less of its style than its embedding is: nothing is expected of it among several styles.
    """
    asked = Counter(row.reference for row in clips.of(condition))
    style = {row.reference: row.style for row in clips.rows}
    styles = [style.get(name) for name in clips.gallery if name in asked]
    known = len(styles) == len(clips.gallery) and None not in styles and len(set(asked.values())) == 1
    if condition != GENRE_ORACLE or not known or (kind != "embedding" and len(set(styles)) > 1):
        return {}
    return {"expected": genre_guess_accuracy(styles)}
