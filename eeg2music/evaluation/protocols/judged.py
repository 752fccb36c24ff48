"""What was generated from tested windows, ready to be scored: its own gallery, rows and controls. Scores nothing.

Everything is in the space of one encoder, which conditioned none of it: the gallery holds what was heard, embedded by
that encoder, and not the embeddings that were decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.controls import derangement
from eeg2music.evaluation.protocols.config import ProtocolConfig, Stage
from eeg2music.evaluation.protocols.gallery import Index, Query, window_gallery
from eeg2music.metrics.checks import embeddings
from eeg2music.metrics.retrieval import similarity_matrix
from eeg2music.seeding import numpy_rng

Float64 = NDArray[np.float64]
Predictions = dict[str, tuple[Float64, Stage | None]]
FROM_SHUFFLED = {
    "generated once": "generated from shuffled predictions",
    "generated, anchored": "anchored in shuffled predictions",
}


class Reference(NamedTuple):
    """Songs outside the gallery (training songs), from which the genre oracle takes its means."""

    embeddings: ArrayLike
    styles: Sequence[str]
    songs: Sequence[str]


class Generated(NamedTuple):
    """Music generated from tested windows, all of it embedded by one encoder that did not condition it.

    Attributes
    ----------
    number : (m,) which window each was generated from: they count after averaging, in order of first appearance
    target : (windows, dim) what was heard, of every tested window after averaging: the gallery
    draws : (m, draws, dim) generated once, and more often
    chosen : {by what: (m,) draw}, choices among the draws that need no answer
    further : {condition: ((m, dim), stage)}, None for controls
    reference : training songs for the genre oracle
    """

    number: ArrayLike
    target: ArrayLike
    draws: ArrayLike
    chosen: Mapping[str, ArrayLike] = {}
    further: Mapping[str, tuple[ArrayLike, Stage | None]] = {}
    reference: Reference | None = None


def judged(config: ProtocolConfig, query: Query, generated: Generated) -> tuple[Query, Predictions]:
    """The generated windows' query, and every condition with its stage.

    query : of the decoded embeddings

    Raises
    ------
    InputError
        For arrays that do not fit, or a gallery that is not one of all tested windows.
    """
    if config.gallery.of != "windows" or config.gallery.same_fold:
        raise InputError(
            f"Generated music under the protocol {config.name}", allowed="a gallery of all windows, of every fold"
        )
    target = embeddings("generated target", generated.target)
    if len(target) != len(query.rows):
        raise InputError(f"{len(target)} generated targets", allowed=f"{len(query.rows)}, one for each tested window")
    number = np.asarray(generated.number, dtype=np.int64)
    if len(set(number.tolist())) != len(number) or not set(number.tolist()) <= set(range(len(target))):
        raise InputError("Generated music of windows that are not there", allowed=f"0 to {len(target) - 1}, each once")
    gallery, styles, own = window_gallery(target, query.rows)
    chosen = Query(
        [query.rows[n] for n in number],
        target[number],
        gallery,
        styles,
        own[number],
        [query.songs[n] for n in number],
        [query.clusters[n] for n in number],
        [query.blocks[0]._replace(rows=np.arange(len(number)))],
    )
    draws = checked_draws(generated.draws, len(number), target.shape[1])
    found = best_of(draws, {name: np.asarray(index) for name, index in generated.chosen.items()}, chosen.target)
    for name, (values, stage) in generated.further.items():
        vectors = embeddings(name, values)
        if vectors.shape != chosen.target.shape:
            raise InputError(f"{name} has shape {vectors.shape}", allowed=f"{chosen.target.shape}")
        found[name] = vectors, stage
    return chosen, found | _from_shuffled(found, draws, shuffled(config, chosen), chosen.target)


def shuffled(config: ProtocolConfig, query: Query) -> Index:
    """(n,) for each row one of another song, among those that are compared with the same gallery."""
    rng = numpy_rng(config.seed, "protocol", config.name, "shuffled")
    index = np.empty(len(query.rows), dtype=np.int64)
    for block in query.blocks:
        index[block.rows] = block.rows[derangement([query.songs[number] for number in block.rows], rng)]
    return index


def checked_draws(draws: ArrayLike, count: int, dim: int) -> Float64:
    """(count, draws, dim), finite."""
    clips = np.asarray(draws, dtype=np.float64)
    if clips.ndim != 3 or len(clips) != count or not np.isfinite(clips).all():
        raise InputError(f"Generated embeddings of shape {clips.shape}", allowed=f"({count}, draws, dim), finite")
    if clips.shape[2] != dim:
        raise InputError(f"Generated embeddings of dimension {clips.shape[2]}", allowed=f"{dim}")
    return clips


def best_of(draws: Float64, chosen: Mapping[str, Index], target: Float64) -> Predictions:
    """One generation; the best of all as chosen; and as chosen by the answer, which nobody has: an upper bound."""
    found: Predictions = {"generated once": (draws[:, 0], "generated")}
    count = draws.shape[1]
    if count > 1:
        for name, index in {**chosen, "chosen by the answer": nearest_draw(draws, target)}.items():
            found[f"best of {count}, {name}"] = (draws[np.arange(len(draws)), index], "best of many")
    return found


def nearest_draw(draws: Float64, guide: Float64) -> Index:
    """(m,) the draw that is nearest to each row's guide (m, dim)."""
    near = [int(similarity_matrix(one, own[None]).argmax()) for one, own in zip(draws, guide, strict=True)]
    return np.array(near, dtype=np.int64)


def _from_shuffled(found: Predictions, draws: Float64, other: Index, target: Float64) -> Predictions:
    """What was generated from another song's prediction; choosing among it by the answer needs no brain either."""
    made: Predictions = {new: (found[name][0][other], None) for name, new in FROM_SHUFFLED.items() if name in found}
    if draws.shape[1] > 1:
        theirs = draws[other]
        best = theirs[np.arange(len(theirs)), nearest_draw(theirs, target)]
        made[f"best of {draws.shape[1]} from shuffled predictions, chosen by the answer"] = best, None
    return made
