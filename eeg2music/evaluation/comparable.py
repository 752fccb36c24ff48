"""Whether two results of `evaluate` or of `score` can be compared at all: the same queries, galleries and seeds.

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
KINDS = ("embedding", "curves", "generated")
# In place of names: every condition that both results hold.
ALL = "all"
OUTSIDE = "outside"
# What may not differ between the entries of one condition, kind and seed.
SAME = ("gallery_size", "gallery", "n", "space", "style")
BY_NAME = ("style", "styles", "subjects", "windows_per_song")


def read_scores(path: Path) -> dict[str, Any]:
    """What `evaluate` or `score` wrote, from its folder or its scores.json.

    A result of `score` comes in the form of the other: each embedding that scored is a level, with one seed.

    Raises
    ------
    InputError
        If nothing is there.
    DataError
        If it is no result of either.
    """
    file = path / SCORES if path.is_dir() else path
    remedy = "give the folder that `eeg2music evaluate` or `eeg2music score` wrote"
    if not file.is_file():
        raise InputError(f"No result at {path}", allowed=f"a folder with {SCORES}, or that file", remedy=remedy)
    try:
        values = read_json(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not JSON ({error})", allowed=f"a whole {SCORES}", remedy=remedy) from error
    if isinstance(values, dict) and values.get("kind") == OUTSIDE:
        return _in_levels(values)
    if not isinstance(values, dict) or not isinstance(values.get("levels"), list):
        raise DataError(
            f"{file} holds no levels of an evaluation", allowed="scores of `evaluate` or `score`", remedy=remedy
        )
    return values


def _in_levels(values: Mapping[str, Any]) -> dict[str, Any]:
    """A result of `score` as levels."""
    identities = {name: of.get("identity") for name, of in values["embeddings"].items()}
    return {
        "schema": values["schema"],
        "material": OUTSIDE,
        "checkpoint_sha256": values["manifest"]["sha256"],
        "scorer_sha256": None if None in identities.values() else " ".join(sorted(map(str, identities.values()))),
        "gallery_sha256": values.get("gallery_sha256"),
        "stamps": values.get("stamps", []),
        "levels": [_outside_level(name, identity, values) for name, identity in identities.items()],
    }


def _outside_level(name: str, identity: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
    kind = "embedding" if values["header"].get("array") else "generated"
    scores = {}
    for condition, spaces in values["scores"].items():
        found = spaces[name]["identification"]
        scored = None if found is None else {**found, "space": f"{name}, {identity or 'of unknown weights'}"}
        # A seed of `score` draws permutations alone: results of two seeds are of the same queries.
        entry = {"seed": None, **dict.fromkeys(KINDS), kind: scored}
        scores[condition] = {**entry, "seeds": [] if found is None else [entry]}
    return {"name": name, "snr_db": None, "gallery": values.get("gallery_sha256"), "scores": scores}


def compared(ours: Mapping[str, Any], theirs: Mapping[str, Any], conditions: Sequence[str]) -> list[str]:
    """Which conditions of a level are compared: those named, or with "all" those that both results measured."""
    if tuple(conditions) != (ALL,):
        return list(conditions)
    sides = [{name for name, of in level["scores"].items() if of["seeds"]} for level in (ours, theirs)]
    return [name for name in ours["scores"] if name in sides[0] & sides[1]]


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
    differences += _material_differences(ours, theirs)
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


def _material_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """What decides the music and the recordings behind names that may be the same."""
    sides = [side.get("config", {}).get("listening") for side in (ours, theirs)]
    if None in sides or ours.get("material") != "simulated":
        return
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        # Songs and listeners are compared level by level, by name, and windows by their number.
        if key not in BY_NAME and sides[0].get(key) != sides[1].get(key):
            yield f"listening.{key} ({_short(sides[0].get(key))} and {_short(sides[1].get(key))})"


def _level_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], conditions: Sequence[str]) -> Iterator[str]:
    where = ours["name"]
    for key in ("snr_db", "style", "subjects", "gallery"):
        if ours.get(key) != theirs.get(key):
            yield f"{where}: {key} ({_short(ours.get(key))} and {_short(theirs.get(key))})"
    for condition in compared(ours, theirs, conditions):
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
            # A score that came with a later version is compared where both have it.
            for kind in (kind for kind in KINDS if kind in left and kind in right):
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
    songs = [{song for song, _, _ in side} for side in (left, right)]
    if songs[0] != songs[1]:
        only = [_short(sorted(songs[0] - songs[1])), _short(sorted(songs[1] - songs[0]))]
        yield f"songs (only in A: {only[0]}; only in B: {only[1]})"
    elif left != right:
        yield "windows for each song and listener"


def _by_cell(entry: Mapping[str, Any]) -> dict[tuple[str, int, str], int]:
    """How many windows each song with each listener has."""
    cells = entry.get("cells")
    if not cells:
        raise DataError(
            "A result holds no scores by song",
            allowed="'cells' beside each score",
            remedy="evaluate again: results of earlier versions hold means alone",
        )
    return dict(zip(cell_names(cells), cells["n"], strict=True))


def cell_names(cells: Mapping[str, Sequence[Any]]) -> list[tuple[str, int, str]]:
    """What each cell of a score is of: song, number of the window within it, and listener."""
    return list(zip(cells["song"], cells.get("window", [1] * len(cells["song"])), cells["subject"], strict=True))


def _short(value: Any) -> str:
    """A list cut to its first items."""
    return first_few(value, most=3) if isinstance(value, list) else str(value)
