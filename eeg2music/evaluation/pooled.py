"""One figure of all seeds: every query's score is averaged over the seeds, and songs (works) are its clusters.

Seeds share songs and listeners, so that they are no further songs: averaged within a query they only make its score
less noisy. Interval and permutation test are then those of one run. Each seed's own figures stand beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eeg2music.errors import DataError
from eeg2music.evaluation.breakdowns import VECTORS, query_names, several_windows
from eeg2music.evaluation.follow import correlation_limits
from eeg2music.evaluation.identification import figures_of, score_tables
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.metrics.retrieval import similarity_matrix


def pooled_scores(results: Sequence[UnitResult]) -> dict[str, dict[str, Any] | None]:
    """Identification of one condition over its seeds.

    Parameters
    ----------
    results : one for each seed, of the same queries

    Returns
    -------
    {"embedding": figures, "curves": figures, "generated": figures}: what `identify` gives but for ranks, `seeds` (how
    many) and `accuracy_by_seed`; None where nothing was scored or no vectors are kept (without a brain there is no
    embedding). Of one seed, its own. "embedding_centred": the same, without cells, of embeddings less their mean,
    queries and gallery each by their own. Outputs that hardly vary all rank the gallery alike, and are at chance for
    that; centred, they are there only if what varies in them tells nothing of what was heard. "following": the "mean"
    of `follow.following` with its interval "ci95" over songs, where clips were generated of two songs or more.

    Raises
    ------
    DataError
        If the seeds are not of the same queries.
    """
    found: dict[str, dict[str, Any] | None] = {}
    entries = [result.entry for result in results if result.entry is not None]
    windows = several_windows(results[0].facts)
    for kind, which in VECTORS.items():
        scored: list[tuple[Matched, Mapping[str, Any]]] = [
            (getattr(result, which), result.entry[kind])
            for result in results
            if result.entry is not None and result.entry.get(kind) and getattr(result, which) is not None
        ]
        found[kind] = {**_pooled(scored, windows), "cells": _cells([score for _, score in scored])} if scored else None
        if kind == "embedding":
            centred = [(_centred(of), score) for of, score in scored]
            found["embedding_centred"] = _pooled(centred, windows) if scored else None
    found["following"] = _following([entry["following"] for entry in entries if entry.get("following")])
    return found


def _following(found: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Mean over seeds of each stem's correlation, and its interval over songs."""
    cells = [one["cells"] for one in found]
    if not cells or len(set(cells[0]["song"])) < 2:
        return None
    if any(other[key] != cells[0][key] for other in cells for key in ("song", "subject")):
        raise DataError("Seeds of other queries", allowed="the same windows with every seed")
    values = np.mean([np.array(one["correlation"], dtype=float) for one in cells], axis=0)
    sounding = np.isfinite(values)
    labels = [
        None if names is None else [name for name, row in zip(names, sounding, strict=True) for _ in range(row.sum())]
        for names in (cells[0]["song"], cells[0]["subject"])
    ]
    limits = correlation_limits(values[sounding], labels[0] or [], labels[1])
    return {"mean": float(values[sounding].mean()), "ci95": limits, "n": len(values), "seeds": len(cells)}


def _centred(matched: Matched) -> Matched:
    query, gallery = (vectors - vectors.mean(axis=0) for vectors in (matched.query, matched.gallery))
    return Matched(query, gallery, matched.target)


def _pooled(scored: Sequence[tuple[Matched, Mapping[str, Any]]], gallery_songs: Sequence[str] | None) -> dict[str, Any]:
    first, score = scored[0]
    if any(not np.array_equal(matched.target, first.target) for matched, _ in scored) or any(
        other["cells"][key] != score["cells"][key] for _, other in scored for key in ("song", "subject", "n")
    ):
        raise DataError("Seeds of other queries", allowed="the same windows with every seed")
    songs, subjects = query_names(first, score["cells"])
    work_of = dict(zip(score["cells"]["song"], score["cells"].get("work", ()), strict=False))
    works = [work_of[song] for song in songs] if work_of else None
    tables = [score_tables(similarity_matrix(one.query, one.gallery), gallery_songs) for one, _ in scored]
    pairwise, top1 = (np.mean(kind, axis=0) for kind in zip(*tables, strict=True))
    rows = np.arange(len(first.target))
    return {
        **figures_of(
            pairwise,
            top1,
            first.target,
            songs=songs,
            subjects=subjects,
            works=works,
            gallery_size=None if gallery_songs is None else score["gallery_size"],
            seed=score["seed"],
        ),
        "seeds": len(scored),
        "accuracy_by_seed": [float(table[rows, first.target].mean()) for table, _ in tables],
    }


def _cells(scores: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The cells of the first score with the means of all, by which two conditions are paired."""
    means = {key: np.mean([score["cells"][key] for score in scores], axis=0).tolist() for key in ("accuracy", "top1")}
    return {**scores[0]["cells"], **means}
