"""Pictures of what a protocol compares: the retrieval matrix, the ranks and, of generated music, a map.

Of the vectors that are scored, by the similarity of the protocol's first metric. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from eeg2music.evaluation.identification import Search
from eeg2music.evaluation.protocols.config import ProtocolConfig
from eeg2music.evaluation.protocols.scoring import EMBEDDING, GENERATED, Compared, units_of
from eeg2music.evaluation.retrieval_pictures import map_picture, matrix_picture, ranks_picture
from eeg2music.report.html import Picture

# Whose matrix is drawn, then whose curves beside it: more could not be told apart.
SHOWN = {
    EMBEDDING: ("decoder", "signal-blind", "no music in the recording", "untrained decoder"),
    GENERATED: ("generated once", "generated, anchored", "generated from what was heard", "generated without a brain"),
}
TITLES = {EMBEDDING: "What was decoded", GENERATED: "What was generated"}
MAPPED = ("generated once", "generated from what was heard", "generated without a brain")


def protocol_pictures(config: ProtocolConfig, parts: Sequence[Compared]) -> list[Picture]:
    """(title, caption, PNG) for each gallery; words alone where every fold has one of its own."""
    return [picture for part in parts for picture in _pictures(config, part) if picture is not None]


def _pictures(config: ProtocolConfig, part: Compared) -> Iterator[Picture | None]:
    title, of = TITLES[part.space], config.gallery.of
    if len(part.query.blocks) > 1:
        note = (
            f"No matrix and no ranks: a window is compared with the {part.query.gallery_size} {of} of its fold alone."
        )
        yield title, note, None
        return
    first, *beside = SHOWN[part.space]
    searches = {name: _search(part, name) for name in (first, *beside) if name in part.predictions}
    kind = config.metrics[0].similarity
    yield matrix_picture(
        f"{title}: retrieval matrix", "After averaging repeats", {first: searches[first]}, of=of, kind=kind
    )
    yield ranks_picture(
        f"{title}: ranks of what was heard",
        "After averaging repeats",
        {part.space: searches},
        of=of,
        over=units_of(config, part.query.rows),
        kind=kind,
    )
    if part.space == GENERATED:
        mapped = {name: searches[name] for name in MAPPED if name in searches}
        yield map_picture(f"{title}: map of the embeddings", "In the scorer's embedding", mapped, of=of)


def _search(part: Compared, name: str) -> Search:
    query, block = part.query, part.query.blocks[0]
    values, _ = part.predictions[name]
    return Search(
        values[block.rows],
        query.gallery[block.items],
        np.searchsorted(block.items, query.own[block.rows]),
        [query.clusters[number] for number in block.rows],
        [query.rows[number].subject for number in block.rows],
    )
