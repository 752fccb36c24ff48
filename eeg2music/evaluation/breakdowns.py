"""Which queries a level's identification rests on: by seed and by listener, every figure with its chance.

Takes the vectors that finished units keep and the names in their scores; embeds nothing. Intervals and p-values stand
beside the whole scores, not here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import DataError
from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.outside.measure import TOP
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.metrics.breakdown import breakdown
from eeg2music.metrics.retrieval import similarity_matrix

BROKEN_DOWN = (BRAIN, "oracle")
# 2-way is the pairwise score; N-way of a gallery of N is top-1.
WAYS = (2, 10, 50)
VECTORS = {"embedding": "decoded", "curves": "curves", "generated": "made"}


def level_breakdown(found: Mapping[str, Sequence[UnitResult]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Rows of `metrics.breakdown` over the queries of all seeds together, for the brain and the oracle.

    Parameters
    ----------
    found : {condition: results, one for each seed}

    Returns
    -------
    {condition: {"embedding", "curves" or "generated": rows}}, where there are vectors: overall, by seed with several of
    them, and by listener ("subject") with several of them.
    """
    return {
        name: {kind: rows for kind, which in VECTORS.items() if (rows := _rows(found[name], kind, which))}
        for name in BROKEN_DOWN
        if name in found
    }


def query_names(matched: Matched, cells: Mapping[str, Sequence[Any]]) -> tuple[list[str], list[str] | None]:
    """Song and listener of each query, in its order; listeners are None where they cannot be told.

    Parameters
    ----------
    matched : n queries and their targets
    cells : of their score, in order of first appearance, as `identify` gives them

    Raises
    ------
    DataError
        If the score is not of these queries.
    """
    rows = list(dict.fromkeys(matched.target.tolist()))
    songs = list(dict.fromkeys(cells["song"]))
    if len(rows) != len(songs) or sum(cells["n"]) != len(matched.target):
        raise DataError(
            f"A score of {sum(cells['n'])} queries of {len(songs)} songs beside vectors of {len(matched.target)} "
            f"queries of {len(rows)}",
            allowed="one score for these vectors",
        )
    name_of = dict(zip(rows, songs, strict=True))
    told = [name_of[row] for row in matched.target.tolist()]
    # With one window of each song by each listener the cells are the queries.
    alone = set(cells["n"]) == {1}
    if alone and told != list(cells["song"]):
        raise DataError("A score whose songs come in another order than its vectors", allowed="one order")
    return told, list(cells["subject"]) if alone else None


def query_clusters(matched: Matched, cells: Mapping[str, Sequence[Any]]) -> tuple[list[str], list[str] | None]:
    """As `query_names`, with the work in place of the song where the cells declare works."""
    songs, subjects = query_names(matched, cells)
    work_of = dict(zip(cells["song"], cells.get("work", cells["song"]), strict=True))
    return [work_of[song] for song in songs], subjects


def _rows(results: Sequence[UnitResult], kind: str, which: str) -> list[dict[str, Any]]:
    parts: list[tuple[int, Matched, list[str] | None]] = []
    for result in results:
        matched, entry = getattr(result, which), result.entry
        if matched is not None and entry is not None and entry.get(kind):
            parts.append((entry["seed"], matched, query_names(matched, entry[kind]["cells"])[1]))
    if not parts:
        return []
    similarity = np.concatenate([similarity_matrix(matched.query, matched.gallery) for _, matched, _ in parts])
    target: NDArray[np.int64] = np.concatenate([matched.target for _, matched, _ in parts])
    labels: dict[str, list[Hashable]] = {"seed": [seed for seed, matched, _ in parts for _ in matched.target]}
    if all(subjects is not None for _, _, subjects in parts):
        labels["subject"] = [name for _, _, subjects in parts for name in subjects or ()]
    several = {name: of for name, of in labels.items() if len(set(of)) > 1}
    return breakdown(similarity, target, query_labels=several, ks=TOP, ways=WAYS)
