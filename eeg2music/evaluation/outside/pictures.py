"""Pictures of what `score` identified: the retrieval matrix, the ranks, and a map of each embedding.

Of the vectors as they were compared. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.identification import Search
from eeg2music.evaluation.outside.manifest import Clips
from eeg2music.evaluation.outside.measure import Space, search
from eeg2music.evaluation.retrieval_pictures import map_picture, matrix_picture, ranks_picture
from eeg2music.report.html import Picture

# What is shown beside the first, as far as it is there; then the others in the order of the table.
BESIDE_RANKS, MOST_CURVES = ("oracle", "shuffled"), 5
BESIDE_MAP, MOST_MAPS = ("oracle", "no_brain"), 3
CANDIDATES = "candidates"
Searches = Mapping[str, Mapping[str, Search]]


def first_condition(clips: Clips) -> str:
    """The one that the page is about: the brain, else the first of the table; of those that answer what was heard, as
    far as there are any."""
    asked = [name for name in clips.conditions if all(row.reference is not None for row in clips.of(name))]
    known = asked or list(clips.conditions)
    return BRAIN if BRAIN in known else known[0]


def searches(clips: Clips, spaces: Sequence[Space]) -> dict[str, dict[str, Search]]:
    """{embedding: {condition: its rows as they are compared}}, as far as there is something to be identified."""
    return {
        space.name: {
            name: found for name in clips.conditions if (found := search(space, clips.of(name), clips)) is not None
        }
        for space in spaces
    }


def score_pictures(clips: Clips, found: Searches) -> list[Picture]:
    """(title, caption, PNG) of everything that `searches` found."""
    first = first_condition(clips)
    known = {space: of for space, of in found.items() if of}
    matrix = matrix_picture(
        "Retrieval matrix",
        f"The clips of {first!r}",
        {space: of[first] for space, of in known.items() if first in of},
        of=CANDIDATES,
    )
    ranks = ranks_picture(
        "Ranks of what was heard",
        _whose(clips, MOST_CURVES),
        {space: _chosen(of, first, BESIDE_RANKS, MOST_CURVES) for space, of in known.items()},
        of=CANDIDATES,
        over=_clusters(clips),
    )
    maps = [
        map_picture(
            f"Map of the embedding {space!r}",
            _whose(clips, MOST_MAPS),
            _chosen(of, first, BESIDE_MAP, MOST_MAPS),
            of=CANDIDATES,
        )
        for space, of in known.items()
        # One number has no plane.
        if next(iter(of.values())).gallery.shape[1] > 1
    ]
    return [picture for picture in (matrix, ranks, *maps) if picture is not None]


def _chosen(of: Mapping[str, Search], first: str, beside: Sequence[str], most: int) -> dict[str, Search]:
    names = dict.fromkeys(name for name in (first, *beside, *of) if name in of)
    return {name: of[name] for name in list(names)[:most]}


def _whose(clips: Clips, most: int) -> str:
    every = len(clips.conditions)
    return "All conditions" if every <= most else f"{most} of {every} conditions"


def _clusters(clips: Clips) -> str:
    """What intervals are over, in the plural."""
    works = [row.work is not None for row in clips.rows]
    return "works" if all(works) else "works and songs" if any(works) else "songs"
