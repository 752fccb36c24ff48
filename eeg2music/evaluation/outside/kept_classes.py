"""Is what was generated of the class of what was heard: genre, mood, instrument? By the columns of a manifest.

The class of a clip is the one that the manifest gives it; where it gives none, that of the heard music whose mean is
nearest in an embedding, the clip's own work left out. What was heard is classified in the same way, which shows how
well the embedding tells the classes. Embeds nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from eeg2music.errors import DataError
from eeg2music.evaluation.classes import class_scores
from eeg2music.evaluation.outside.labels import CLASSES, MADE
from eeg2music.evaluation.outside.manifest import Clips, Row
from eeg2music.evaluation.outside.measure import Float64, Space, scaled_by
from eeg2music.evaluation.sounds import HEARD
from eeg2music.metrics.agreement import nearest_class

ORACLE = "oracle"
GIVEN = "the table"
NOTE = (
    "The class of what was heard is the table's. In brackets, who told that of a clip: the table, or an embedding, by "
    "the heard music whose mean is nearest in it, the clip's own work left out. The line of what was heard shows how "
    "good the embedding is at that: where it is not above chance, it hears no such class and the other lines say "
    "nothing. Oracle: balanced accuracy of the condition of that name. p by exchanging whole works, not corrected "
    "for the number of lines."
)
# (row of the manifest's order,) labels by condition.
Labels = dict[str, list[Hashable]]


def kept_classes(clips: Clips, spaces: Sequence[Space], *, seed: int, permutations: int) -> dict[str, Any]:
    """Agreement of every class that the manifest has a column for, as `evaluate` has it.

    Returns
    -------
    Ready for JSON: "rows" by condition as `class_scores` gives them, each with "by" (the embedding that told the class
    of the clips, or "the table"), "note", and "why" for what the manifest does not allow.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    why: dict[str, str] = {}
    told = [kind for kind in CLASSES if any(getattr(row, kind) is not None for row in clips.rows)]
    if not told:
        why["classes"] = f"the table has none of the columns {', '.join(CLASSES)}"
    for kind in told:
        try:
            asked = _asked(clips, kind)
            for by, made in _told_by(clips, asked, spaces, kind).items():
                for condition, rows in _scored(asked, made, kind, seed, permutations).items():
                    found.setdefault(condition, []).extend({**row, "by": by} for row in rows)
        except DataError as error:
            why[kind] = str(error)
    return {"rows": found, "note": NOTE, "why": why}


def _asked(clips: Clips, kind: str) -> dict[str, tuple[Row, ...]]:
    """Rows by condition, the heard music (one row for each reference) before all."""
    asked = {name: clips.asked(name) for name in clips.conditions if clips.of(name)[0].reference is not None}
    rows = [row for of in asked.values() for row in of]
    if not rows:
        raise DataError("the table names no reference")
    lacking = sum(getattr(row, kind) is None for row in rows)
    if lacking:
        raise DataError(f"{lacking} of {len(rows)} lines name no {kind}")
    for name, of in asked.items():
        if len({getattr(row, kind) for row in of}) < 2:
            raise DataError(
                f"all songs of {name!r} are of one class ({getattr(of[0], kind)}), so that any music would agree"
            )
    return {HEARD: tuple({row.reference: row for row in rows}.values()), **asked}


def _told_by(clips: Clips, asked: Mapping[str, Sequence[Row]], spaces: Sequence[Space], kind: str) -> dict[str, Labels]:
    """{who told: classes of the clips by condition}"""
    made = {name: [getattr(row, MADE + kind) for row in rows] for name, rows in asked.items() if name != HEARD}
    given = [label for of in made.values() for label in of]
    if any(label is not None for label in given):
        if None in given:
            raise DataError(f"{given.count(None)} of {len(given)} lines name no {MADE}{kind}, though others do")
        return {GIVEN: made}
    heard = asked[HEARD]
    alone = [label for label, works in _works(heard, kind).items() if len(works) < 2]
    if alone:
        raise DataError(
            f"one work alone is of the class {alone[0]!r}, so that no other could tell it; a column {MADE}{kind} can"
        )
    place = {name: number for number, name in enumerate(clips.gallery)}
    found: dict[str, Labels] = {}
    for space in spaces:
        if space.gallery is None:
            continue
        scaled = space.gallery if space.unit_norm else scaled_by(space.gallery, space.gallery)
        bank = scaled[[place[str(row.reference)] for row in heard]]
        found[space.name] = {HEARD: _nearest(bank, heard, bank, heard, kind)}
        for name, rows in asked.items():
            if name != HEARD:
                query = space.stacked([row.item for row in rows])
                query = query if space.unit_norm else scaled_by(space.gallery, query)
                found[space.name][name] = _nearest(query, rows, bank, heard, kind)
    return found


def _works(rows: Sequence[Row], kind: str) -> dict[str, set[str]]:
    """{class: its works}"""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(getattr(row, kind), set()).add(row.cluster)
    return found


def _nearest(query: Float64, rows: Sequence[Row], bank: Float64, heard: Sequence[Row], kind: str) -> list[Hashable]:
    """Class of each query by the heard music of other works."""
    found: list[Hashable] = [None] * len(rows)
    for work in {row.cluster for row in rows}:
        own = [number for number, row in enumerate(rows) if row.cluster == work]
        others = [number for number, row in enumerate(heard) if row.cluster != work]
        told = nearest_class(query[own], bank[others], [getattr(heard[number], kind) for number in others])
        for number, label in zip(own, told, strict=True):
            found[number] = label
    return found


def _scored(
    asked: Mapping[str, Sequence[Row]], made: Labels, kind: str, seed: int, permutations: int
) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for name, labels in made.items():
        rows = asked[name]
        # Its value stands beside clips of the same questions only.
        beside = name != HEARD and ORACLE in made and _questions(asked[ORACLE]) == _questions(rows)
        found[name] = class_scores(
            {kind: labels},
            {kind: [getattr(row, kind) for row in rows]},
            songs=[row.cluster for row in rows],
            seed=seed,
            oracle={kind: made[ORACLE]} if beside else None,
            permutations=permutations,
        )
    return found


def _questions(rows: Sequence[Row]) -> list[tuple[str | None, str]]:
    return [(row.reference, row.subject) for row in rows]
