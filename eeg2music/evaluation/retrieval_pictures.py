"""Pictures of how queries find what was heard, with their captions: similarities, ranks and a map, for every page.

From vectors. Scores nothing: figures to quote stand in scores.json. Of many queries and candidates matrix and map show
an even part, and say so; ranks are of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eeg2music.evaluation.identification import Search
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.evaluation.units import spread
from eeg2music.metrics.projection import Plane, principal_plane
from eeg2music.metrics.retrieval import Kind, similarity_matrix, standing, standing_among, topk_hit, without_siblings
from eeg2music.report.html import Picture
from eeg2music.report.retrieval_figures import Cloud, Curve, embedding_map, rank_panels, similarity_panels

# A picture has pixels for no more queries or candidates; and intervals at so many k are a line.
MOST_SHOWN = 1000
MOST_PLACES = 100


def matrix_picture(
    title: str, whose: str, panels: Mapping[str, Search], *, of: str = "songs", kind: Kind = "cosine"
) -> Picture | None:
    """The similarity of every query with every candidate; None without panels.

    Parameters
    ----------
    whose : how the caption begins: seed and condition
    panels : {embedding: queries of one condition}
    of : what the gallery holds, in the plural
    """
    if not panels:
        return None
    drawn, told = {}, []
    for name, search in panels.items():
        shown = _part(search)
        order = np.argsort(shown.target, kind="stable")
        counts = _counts(search, shown, "queries", of)
        drawn[f"{name}: {counts}"] = similarity_matrix(shown.query[order], shown.gallery, kind=kind)
        told.append(f"{name} {counts}")
    note = (
        f"{whose}: {'; '.join(told)}. Rows are in the order of the {of} heard (the columns'), so that what is found "
        "lies on the diagonal. Each panel has colours of its own. There is no interval: every similarity is shown."
    )
    return title, note, similarity_panels(drawn, of=of, kind=kind)


def ranks_picture(
    title: str,
    whose: str,
    panels: Mapping[str, Mapping[str, Search]],
    *,
    of: str = "songs",
    over: str = "songs",
    kind: Kind = "cosine",
) -> Picture | None:
    """How often what was heard is among the first k; None where there are not two clusters to have an interval over.

    Parameters
    ----------
    panels : {embedding: {condition: queries}}
    of : what the gallery holds, in the plural
    over : what the clusters are, in the plural
    """
    drawn: dict[str, dict[str, Curve]] = {}
    told = []
    for name, searches in panels.items():
        known = {whom: search for whom, search in searches.items() if len(set(search.clusters)) > 1}
        if not known:
            continue
        curves = {whom: rank_curve(search, kind=kind) for whom, search in known.items()}
        # Less the other windows of a song, where it has several.
        size = int(next(iter(curves.values())).k[-1])
        drawn[f"{name}, gallery {size}"] = curves
        counts = ", ".join(f"{_words(whom)} {len(search.query)}" for whom, search in known.items())
        told.append(f"{name}, {size} {of}: {counts}")
    if not drawn:
        return None
    note = (
        f"{whose}. How often what was heard is among the first k; the bands are 95 % intervals over {over}, the dotted "
        f"line is chance, k of the gallery. Queries: {'; '.join(told)}."
    )
    return title, note, rank_panels(drawn, of=of)


def map_picture(title: str, whose: str, made: Mapping[str, Search], *, of: str = "songs") -> Picture | None:
    """Clips and what was heard in one plane; None without clips.

    Parameters
    ----------
    made : {condition: its clips}, all of one embedding and one gallery
    of : what the gallery holds, in the plural
    """
    if not made:
        return None
    shown = {name: _few(search) for name, search in made.items()}
    gallery, plane = next(iter(shown.values())).gallery, plane_of(made)
    heard, *clips = plane.coordinates
    told = ", ".join(f"{_words(name)} {_share(made[name], one)} clips" for name, one in shown.items())
    panels = {
        name: (_map_title(name, search, of), Cloud(flat, shown[name].target))
        for (name, search), flat in zip(made.items(), clips, strict=True)
    }
    note = (
        f"{whose}: {told}, {len(gallery)} {of}. A line leads from each clip to what was heard: short lines are clips "
        f"near it. One plane for all panels, principal components of the {of} and the clips, each kind weighing the "
        f"same; it carries {100 * plane.share.sum():.0f} % of the variance, so that what looks near may be far. The "
        "cosines above are of the whole space. A picture has no interval."
    )
    return title, note, embedding_map(panels, heard, plane.share, of=of)


def plane_of(made: Mapping[str, Search]) -> Plane:
    """The plane of the map: the gallery first, then the clips that are shown of each condition."""
    shown = [_few(search) for search in made.values()]
    return principal_plane([shown[0].gallery, *(search.query for search in shown)])


def cosines(search: Search) -> dict[str, Any]:
    """How near the clips that are shown are to what was heard, and to the others, in the whole space; for JSON."""
    shown = _few(search)
    similarity = similarity_matrix(shown.query, shown.gallery)
    own = np.arange(similarity.shape[1]) == shown.target[:, None]
    return {
        "clips": len(shown.query),
        "songs": len(shown.gallery),
        "median_cosine_own": float(np.median(similarity[own])),
        "median_cosine_others": float(np.median(similarity[~own])),
    }


def rank_curve(search: Search, *, kind: Kind = "cosine") -> Curve:
    """Share of queries with what was heard among the first k, with its 95 % interval over the clusters.

    For each k, or for a hundred evenly spread over a large gallery's ranks (as the logarithm has it). Ties are shared
    as in the scores: a query whose target ties counts by its chance. Among all of the gallery what was heard is for
    certain, which has no interval.
    """
    if search.gallery_songs is None:
        found = standing_among(search.query, search.gallery, search.target, kind=kind)
    else:
        similarity = similarity_matrix(search.query, search.gallery, kind=kind)
        found = standing(*without_siblings(similarity, search.target, search.gallery_songs))
    size = found.gallery_size
    places = np.unique(np.geomspace(1, size, MOST_PLACES).round().astype(np.int64))
    places = places if size > MOST_PLACES else np.arange(1, size + 1)
    intervals = [
        cluster_interval(topk_hit(found, int(k)), search.clusters, search.subjects, bounds=(0.0, 1.0))
        for k in places[:-1]
    ]
    share, low, high = np.array([(one.estimate, one.low, one.high) for one in intervals] + [(1.0, 1.0, 1.0)]).T
    return Curve(places, share, low, high)


def _few(search: Search) -> Search:
    """At most MOST_SHOWN of the queries, evenly spread."""
    rows = spread(len(search.query), MOST_SHOWN)
    return search._replace(query=search.query[rows], target=search.target[rows])


def _part(search: Search) -> Search:
    """Of the gallery, too: what those queries heard, and further candidates, evenly spread."""
    few = _few(search)
    heard = np.unique(few.target)
    others = np.setdiff1d(np.arange(len(search.gallery)), heard)
    items = np.sort(np.concatenate([heard, others[spread(len(others), MOST_SHOWN - len(heard))]]))
    return few._replace(gallery=search.gallery[items], target=np.searchsorted(items, few.target))


def _counts(whole: Search, shown: Search, what: str, of: str) -> str:
    size, every = len(shown.gallery), len(whole.gallery)
    return f"{_share(whole, shown)} {what}, {size if size == every else f'{size} of {every}'} {of}"


def _share(whole: Search, shown: Search) -> str:
    few, every = len(shown.query), len(whole.query)
    return f"{few}" if few == every else f"{few} of {every}"


def _map_title(name: str, search: Search, of: str) -> str:
    """With what the plane cannot show: how near the clips are in the whole space."""
    found = cosines(search)
    near, others = found["median_cosine_own"], found["median_cosine_others"]
    counts = f"{_words(name)}: {_counts(search, _few(search), 'clips', of)}"
    return f"{counts}\nmedian cosine with what was heard {near:.2f}, with others {others:.2f}"


def _words(name: str) -> str:
    return name.replace("_", " ")
