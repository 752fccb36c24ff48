"""What a level's pictures show, and their captions: similarities, ranks and a map of the embeddings, at the first seed.

From the vectors that finished units keep. Scores nothing: figures to quote stand in scores.json, those that are written
on the map as `map_facts` gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeg2music.evaluation.breakdowns import VECTORS, query_clusters, several_windows
from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.identification import Search
from eeg2music.evaluation.retrieval_pictures import cosines, map_picture, matrix_picture, plane_of, ranks_picture
from eeg2music.evaluation.tables import level_title
from eeg2music.evaluation.units import UnitResult
from eeg2music.report.html import Picture

RANKED = (BRAIN, "oracle", "shuffled")
MAPPED = (BRAIN, "oracle", "no_brain")
SPACES = {"embedding": "conditioning space", "curves": "control curves", "generated": "scorer"}


def level_pictures(level: Mapping[str, Any], found: Mapping[str, Sequence[UnitResult]]) -> list[Picture]:
    """(title, caption, PNG) of the retrieval matrix, the ranks and the map, as far as there are vectors.

    Parameters
    ----------
    level : as scores.json has it
    found : {condition: results, one for each seed}; the first seed is drawn
    """
    first = _first(found)
    if not first:
        return []
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
        "variance_share": float(plane_of(made).share.sum()),
        "conditions": {name: cosines(search) for name, search in made.items()},
    }


def _matrix(level: Mapping[str, Any], first: Mapping[str, UnitResult]) -> Picture | None:
    panels = {
        f"{kind} ({SPACES[kind]})": search for kind in VECTORS if (search := _search(first, BRAIN, kind)) is not None
    }
    title = level_title(level, "retrieval matrix")
    return matrix_picture(title, f"{_seeded(first)}, the brain's", panels, of=_items(first))


def _ranks(level: Mapping[str, Any], first: Mapping[str, UnitResult]) -> Picture | None:
    panels = {
        f"{kind} ({SPACES[kind]})": {
            name: search for name in RANKED if (search := _search(first, name, kind)) is not None
        }
        for kind in VECTORS
    }
    return ranks_picture(level_title(level, "ranks of the heard song"), _seeded(first), panels, of=_items(first))


def _map(level: Mapping[str, Any], first: Mapping[str, UnitResult]) -> Picture | None:
    whose = f"{_seeded(first)}, in the scorer's embedding"
    return map_picture(level_title(level, "map of the embeddings"), whose, _made(first), of=_items(first))


def _made(first: Mapping[str, UnitResult]) -> dict[str, Search]:
    """The clips that are mapped."""
    return {name: search for name in MAPPED if (search := _search(first, name, "generated")) is not None}


def _search(first: Mapping[str, UnitResult], name: str, kind: str) -> Search | None:
    """The vectors of a condition, and whom its intervals count; None where there are none."""
    if name not in first:
        return None
    matched, entry = getattr(first[name], VECTORS[kind]), first[name].entry
    if matched is None or entry is None or not entry[kind]:
        return None
    clusters, subjects = query_clusters(matched, entry[kind]["cells"])
    windows = several_windows(first[name].facts)
    return Search(matched.query, matched.gallery, matched.target, clusters, subjects, windows)


def _items(first: Mapping[str, UnitResult]) -> str:
    """What the gallery holds, in the plural."""
    return "songs" if several_windows(next(iter(first.values())).facts) is None else "windows"


def _first(found: Mapping[str, Sequence[UnitResult]]) -> dict[str, UnitResult]:
    """The first seed of what was scored."""
    return {name: results[0] for name, results in found.items() if results and results[0].entry is not None}


def _seed(first: Mapping[str, UnitResult]) -> int:
    return next(int(result.entry["seed"]) for result in first.values() if result.entry is not None)


def _seeded(first: Mapping[str, UnitResult]) -> str:
    return f"Seed {_seed(first)}"
