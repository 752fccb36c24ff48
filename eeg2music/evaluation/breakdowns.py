"""Which queries a level's identification rests on: by seed, listener and style, and within style and song, every
figure with its chance and its interval over songs.

Takes the vectors that finished units keep and the names in their scores; embeds nothing. p-values stand beside the
whole scores, not here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import DataError
from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.outside.measure import TOP
from eeg2music.evaluation.statistics import limits_of
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.metrics.breakdown import breakdown
from eeg2music.metrics.retrieval import similarity_matrix

BROKEN_DOWN = (BRAIN, "oracle")
# With several styles these, too, tell what a guess of the style is worth.
OF_STYLES = (BRAIN, "ridge", "genre_oracle", "signal_blind", "song_oracle", "oracle")
# 2-way is the pairwise score; N-way of a gallery of N is top-1.
WAYS = (2, 10, 50)
VECTORS = {"embedding": "decoded", "curves": "curves", "generated": "made"}


def level_breakdown(found: Mapping[str, Sequence[UnitResult]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Rows of `metrics.breakdown` over the queries of all seeds together, for the brain and the oracle; where songs of
    several styles were heard, for what guesses as well.

    Parameters
    ----------
    found : {condition: results, one for each seed}

    Returns
    -------
    {condition: {"embedding", "curves" or "generated": rows}}, where there are vectors: overall, by seed with several of
    them, by listener ("subject") with several of them, by style and within style with several of them, within work
    where songs are versions of one, and within song where songs have several windows.
    """
    facts = next((results[0].facts for results in found.values() if results), {})
    names = OF_STYLES if "style" in facts.get("gallery", {}) else BROKEN_DOWN
    return {
        name: {kind: rows for kind, which in VECTORS.items() if (rows := _rows(found[name], kind, which))}
        for name in names
        if name in found
    }


def several_windows(facts: Mapping[str, Any]) -> list[str] | None:
    """The song of each row of a level's gallery, where songs have several; None where each has one.

    facts : of the level, as a unit keeps them
    """
    songs = facts.get("gallery", {}).get("song", ())
    return list(songs) if len(set(songs)) < len(songs) else None


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
    # A song with several windows has a row of the gallery for each.
    songs = list(dict.fromkeys(zip(cells["song"], cells.get("window", cells["song"]), strict=True)))
    if len(rows) != len(songs) or sum(cells["n"]) != len(matched.target):
        raise DataError(
            f"A score of {sum(cells['n'])} queries of {len(songs)} songs beside vectors of {len(matched.target)} "
            f"queries of {len(rows)}",
            allowed="one score for these vectors",
        )
    name_of = {row: song for row, (song, _) in zip(rows, songs, strict=True)}
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
    parts: list[tuple[int, Matched, list[str], list[str] | None]] = []
    for result in results:
        matched, entry = getattr(result, which), result.entry
        if matched is not None and entry is not None and entry.get(kind):
            parts.append((entry["seed"], matched, *query_clusters(matched, entry[kind]["cells"])))
    if not parts:
        return []
    similarity = np.concatenate([similarity_matrix(matched.query, matched.gallery) for _, matched, _, _ in parts])
    target: NDArray[np.int64] = np.concatenate([matched.target for _, matched, _, _ in parts])
    labels: dict[str, list[Hashable]] = {"seed": [seed for seed, matched, _, _ in parts for _ in matched.target]}
    if all(subjects is not None for _, _, _, subjects in parts):
        labels["subject"] = [name for _, _, _, subjects in parts for name in subjects or ()]
    facts = results[0].facts
    of_rows: dict[str, list[str]] = facts.get("gallery", {})
    if "style" in of_rows:
        labels["style"] = [of_rows["style"][row] for row in target]
    return breakdown(
        similarity,
        target,
        query_labels={name: of for name, of in labels.items() if len(set(of)) > 1},
        gallery_labels={name: of for name, of in of_rows.items() if 1 < len(set(of)) < len(of)},
        ks=TOP,
        ways=WAYS,
        apart="song" if several_windows(facts) else None,
        # The seeds of a query are of one song, and so in one cluster.
        limits=limits_of([name for _, _, songs, _ in parts for name in songs], labels.get("subject")),
    )
