"""What a level's pictures show, and their captions: similarities, ranks and a map of the embeddings, at the first seed.

From the vectors that finished units keep. Scores nothing: figures to quote stand in scores.json, those that are written
on the map as `map_facts` gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eeg2music.evaluation.breakdowns import VECTORS, query_clusters, several_windows
from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.evaluation.tables import level_title
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.metrics.projection import Plane, principal_plane
from eeg2music.metrics.retrieval import similarity_matrix, standing, topk_hit, without_siblings
from eeg2music.report.html import Picture
from eeg2music.report.retrieval_figures import Cloud, Curve, embedding_map, rank_panels, similarity_panels

RANKED = (BRAIN, "oracle", "shuffled")
MAPPED = (BRAIN, "oracle", "no_brain")
SPACES = {"embedding": "conditioning space", "generated": "scorer"}


def level_pictures(level: Mapping[str, Any], found: Mapping[str, Sequence[UnitResult]]) -> list[Picture]:
    """(title, caption, PNG) of the retrieval matrix, the ranks and the map, as far as there are vectors.

    Parameters
    ----------
    level : as scores.json has it
    found : {condition: results, one for each seed}; the first seed is drawn
    """
    first = _first(found)
    drawn = (_matrix(level, first), _ranks(level, first), _map(level, first))
    return [picture for picture in drawn if picture is not None]


def map_facts(found: Mapping[str, Sequence[UnitResult]]) -> dict[str, Any] | None:
    """What is written on the map, ready for JSON; None without clips.

    Returns
    -------
    {"seed", "variance_share": of the plane, "conditions": {name: {"clips", "songs", "median_cosine_own",
    "median_cosine_others"}}}: cosines of the whole space, of clips with the song that was heard and with the others
    """
    first = _first(found)
    made = _made(first)
    if not made:
        return None
    return {
        "seed": _seed(first),
        "variance_share": float(_plane(made).share.sum()),
        "conditions": {name: _cosines(matched) for name, matched in made.items()},
    }


def rank_curve(
    matched: Matched,
    songs: Sequence[str],
    subjects: Sequence[str] | None,
    gallery_songs: Sequence[str] | None = None,
) -> Curve:
    """Share of queries with the heard song among the first k, for each k, with its 95 % interval over songs.

    Ties are shared as in the scores: a query whose target ties counts by its chance. Among all of the gallery the heard
    song is for certain, which has no interval.

    gallery_songs : as in `identify`
    """
    similarity, target = similarity_matrix(matched.query, matched.gallery), matched.target
    if gallery_songs is not None:
        similarity, target = without_siblings(similarity, target, gallery_songs)
    found = standing(similarity, target)
    intervals = [
        cluster_interval(topk_hit(found, k), songs, subjects, bounds=(0.0, 1.0)) for k in range(1, found.gallery_size)
    ]
    share, low, high = np.array([(one.estimate, one.low, one.high) for one in intervals] + [(1.0, 1.0, 1.0)]).T
    return Curve(share, low, high)


def _matrix(level: Mapping[str, Any], first: Mapping[str, UnitResult]) -> Picture | None:
    panels, told = {}, []
    for kind, matched in _vectors(first, BRAIN):
        order = np.argsort(matched.target, kind="stable")
        title = f"{kind} ({SPACES[kind]}): {_counts(matched)}"
        panels[title] = similarity_matrix(matched.query[order], matched.gallery)
        told.append(f"{kind} {_counts(matched)}")
    if not panels:
        return None
    note = (
        f"{_seeded(first)}, the brain's: {'; '.join(told)}. Rows are in the order of the songs heard (the columns'), "
        "so that what is found lies on the diagonal. Each panel has colours of its own. There is no interval: every "
        "similarity is shown."
    )
    return level_title(level, "retrieval matrix"), note, similarity_panels(panels)


def _ranks(level: Mapping[str, Any], first: Mapping[str, UnitResult]) -> Picture | None:
    panels: dict[str, dict[str, Curve]] = {}
    told = []
    for kind, which in VECTORS.items():
        curves, counts = {}, {}
        for name in (name for name in RANKED if name in first):
            matched, entry = getattr(first[name], which), first[name].entry
            if matched is None or entry is None or len(set(matched.target.tolist())) < 2:
                continue
            windows = several_windows(first[name].facts)
            curves[name] = rank_curve(matched, *query_clusters(matched, entry[kind]["cells"]), windows)
            counts[name] = len(matched.query)
        if curves:
            size = len(next(iter(curves.values())).share)
            panels[f"{kind} ({SPACES[kind]}), gallery {size}"] = curves
            told.append(f"{kind}, {size} songs: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    if not panels:
        return None
    note = (
        f"{_seeded(first)}. How often the heard song is among the first k; the bands are 95 % "
        f"intervals over songs, the dotted line is chance, k of the gallery. Queries: {'; '.join(told)}."
    )
    return level_title(level, "ranks of the heard song"), note, rank_panels(panels)


def _map(level: Mapping[str, Any], first: Mapping[str, UnitResult]) -> Picture | None:
    made = _made(first)
    if not made:
        return None
    gallery, plane = next(iter(made.values())).gallery, _plane(made)
    heard, *clips = plane.coordinates
    told = ", ".join(f"{name.replace('_', ' ')} {len(of.query)} clips" for name, of in made.items())
    told += f", {len(gallery)} songs"
    panels = {
        name: (_map_title(name, matched), Cloud(flat, matched.target))
        for (name, matched), flat in zip(made.items(), clips, strict=True)
    }
    note = (
        f"{_seeded(first)}, in the scorer's embedding: {told}. A line leads from each clip to the song that was heard: "
        "short lines are clips near it. One plane for all panels, principal components of the heard songs and "
        f"the clips, each kind weighing the same; it carries {100 * plane.share.sum():.0f} % of the variance, so that "
        "what looks near may be far. The cosines above are of the whole space. A picture has no interval."
    )
    return level_title(level, "map of the embeddings"), note, embedding_map(panels, heard, plane.share)


def _made(first: Mapping[str, UnitResult]) -> dict[str, Matched]:
    """The clips that are mapped."""
    return {name: matched for name in MAPPED if name in first and (matched := first[name].made) is not None}


def _plane(made: Mapping[str, Matched]) -> Plane:
    gallery = next(iter(made.values())).gallery
    return principal_plane([gallery, *(matched.query for matched in made.values())])


def _vectors(first: Mapping[str, UnitResult], name: str) -> list[tuple[str, Matched]]:
    if name not in first:
        return []
    both = ((kind, getattr(first[name], which)) for kind, which in VECTORS.items())
    return [(kind, matched) for kind, matched in both if matched is not None]


def _counts(matched: Matched, what: str = "queries") -> str:
    return f"{len(matched.query)} {what}, {len(matched.gallery)} songs"


def _map_title(name: str, matched: Matched) -> str:
    """With what the plane cannot show: how near the clips are in the whole space."""
    found = _cosines(matched)
    near, others = found["median_cosine_own"], found["median_cosine_others"]
    counts = f"{name.replace('_', ' ')}: {_counts(matched, 'clips')}"
    return f"{counts}\nmedian cosine with its song {near:.2f}, with others {others:.2f}"


def _cosines(matched: Matched) -> dict[str, Any]:
    similarity = similarity_matrix(matched.query, matched.gallery)
    own = np.arange(similarity.shape[1]) == matched.target[:, None]
    return {
        "clips": len(matched.query),
        "songs": len(matched.gallery),
        "median_cosine_own": float(np.median(similarity[own])),
        "median_cosine_others": float(np.median(similarity[~own])),
    }


def _first(found: Mapping[str, Sequence[UnitResult]]) -> dict[str, UnitResult]:
    """The first seed of what was scored."""
    return {name: results[0] for name, results in found.items() if results and results[0].entry is not None}


def _seed(first: Mapping[str, UnitResult]) -> int:
    return next(int(result.entry["seed"]) for result in first.values() if result.entry is not None)


def _seeded(first: Mapping[str, UnitResult]) -> str:
    return f"Seed {_seed(first)}"
