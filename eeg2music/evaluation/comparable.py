"""Whether two results of `evaluate` can be compared at all: the same queries, galleries and seeds.

Reads scores and names what differs. Compares no score.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.errors import DataError, InputError, first_few
from eeg2music.files import read_json

SCORES = "scores.json"
KINDS = ("embedding", "generated")
# What may not differ between the entries of one condition, kind and seed.
SAME = ("gallery_size", "gallery", "n", "space", "style")


def read_scores(path: Path) -> dict[str, Any]:
    """What `evaluate` wrote, from its folder or its scores.json.

    Raises
    ------
    InputError
        If nothing is there.
    DataError
        If it is no result of an evaluation.
    """
    file = path / SCORES if path.is_dir() else path
    remedy = "give the folder that `eeg2music evaluate` wrote"
    if not file.is_file():
        raise InputError(f"No result at {path}", allowed=f"a folder with {SCORES}, or that file", remedy=remedy)
    try:
        values = read_json(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not JSON ({error})", remedy=remedy) from error
    if not isinstance(values, dict) or not isinstance(values.get("levels"), list):
        raise DataError(f"{file} holds no levels of an evaluation", allowed="scores of `evaluate`", remedy=remedy)
    return values


def refuse_different(ours: Mapping[str, Any], theirs: Mapping[str, Any], conditions: Sequence[str]) -> None:
    """Raise unless two results are of the same songs, listeners, levels, galleries and seeds.

    Parameters
    ----------
    ours, theirs : as `read_scores` gives them
    conditions : those that are to be compared

    Raises
    ------
    InputError
        If a condition was not scored in one of them.
    DataError
        Naming what differs; or if a result holds no scores by song.
    """
    differences = [
        f"{key} ({ours.get(key)} and {theirs.get(key)})"
        for key in ("schema", "material")
        if ours.get(key) != theirs.get(key)
    ]
    names = [[level["name"] for level in side["levels"]] for side in (ours, theirs)]
    if sorted(names[0]) != sorted(names[1]):
        differences.append(f"levels ({', '.join(names[0])} and {', '.join(names[1])})")
    else:
        by_name = {level["name"]: level for level in theirs["levels"]}
        for level in ours["levels"]:
            differences += _level_differences(level, by_name[level["name"]], conditions)
    # Generated music is comparable only where one judge heard both.
    scorers = ours.get("scorer_sha256"), theirs.get("scorer_sha256")
    if None not in scorers and scorers[0] != scorers[1]:
        differences.append("the scorer that judged the generated music")
    if differences:
        raise DataError(
            f"The runs differ in {first_few(differences, separator='; ')}",
            allowed="the same songs, listeners, levels, galleries and seeds",
            remedy="evaluate both models with one config",
        )


def _level_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], conditions: Sequence[str]) -> Iterator[str]:
    where = ours["name"]
    for key in ("snr_db", "style", "subjects", "gallery"):
        if ours.get(key) != theirs.get(key):
            yield f"{where}: {key} ({_short(ours.get(key))} and {_short(theirs.get(key))})"
    for condition in conditions:
        sides = [level["scores"].get(condition) for level in (ours, theirs)]
        if None in sides:
            raise InputError(
                f"{where}: the condition {condition!r} was not scored in {'A' if sides[0] is None else 'B'}",
                allowed=", ".join(name for name in ours["scores"] if name in theirs["scores"]) or "none",
            )
        seeds = [[entry["seed"] for entry in side["seeds"]] for side in sides]
        if seeds[0] != seeds[1]:
            yield f"{where}: seeds of {condition} ({_short(seeds[0])} and {_short(seeds[1])})"
            continue
        for left, right in zip(sides[0]["seeds"], sides[1]["seeds"], strict=True):
            for kind in KINDS:
                yield from (
                    f"{where}: {difference} of {condition}, {kind}, seed {left['seed']}"
                    for difference in _entry_differences(left.get(kind), right.get(kind))
                )


def _entry_differences(ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None) -> Iterator[str]:
    if ours is None or theirs is None:
        if (ours is None) != (theirs is None):
            yield f"what was scored (only {'B' if ours is None else 'A'} has it)"
        return
    for key in SAME:
        if ours.get(key) != theirs.get(key):
            yield f"{key.replace('_', ' ')} ({_short(ours.get(key))} and {_short(theirs.get(key))})"
    left, right = _by_cell(ours), _by_cell(theirs)
    songs = [{song for song, _ in side} for side in (left, right)]
    if songs[0] != songs[1]:
        only = [_short(sorted(songs[0] - songs[1])), _short(sorted(songs[1] - songs[0]))]
        yield f"songs (only in A: {only[0]}; only in B: {only[1]})"
    elif left != right:
        yield "windows for each song and listener"


def _by_cell(entry: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """How many windows each song with each listener has."""
    cells = entry.get("cells")
    if not cells:
        raise DataError(
            "A result holds no scores by song",
            allowed="'cells' beside each score",
            remedy="evaluate again: results of earlier versions hold means alone",
        )
    return dict(zip(zip(cells["song"], cells["subject"], strict=True), cells["n"], strict=True))


def _short(value: Any) -> str:
    """A list cut to its first items."""
    return first_few(value, most=3) if isinstance(value, list) else str(value)
