"""Where does retrieval come from? The same similarities, scored overall, per group, and inside restricted galleries.

A decoder that has learnt the style alone scores well overall and at chance *within style*, where the gallery
holds items of one style only; one that has learnt the song and not the moment falls to chance *within song*. Nothing is
embedded or compared anew: every row comes from one similarity matrix, so rows differ in nothing but the choice of
queries and of gallery. Ties as in `metrics.retrieval`. Who is independent of whom is the caller's to say, who makes
the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, finite
from eeg2music.metrics.retrieval import Standing, standing, summarise, tie_margin, without_siblings

Labels = Mapping[str, Sequence[Hashable]]
# The interval of a mean of scores between 0 and 1, from the scores and the queries that have them.
LimitsOf = Callable[[Float64, NDArray[np.int64]], list[float] | None]


def breakdown(
    similarity: ArrayLike,
    target_index: ArrayLike,
    *,
    query_labels: Labels | None = None,
    gallery_labels: Labels | None = None,
    ks: Sequence[int] = (1, 5, 10),
    ways: Sequence[int] = (),
    apart: str | None = None,
    limits: LimitsOf | None = None,
) -> list[dict[str, Any]]:
    """Retrieval scores overall, per value of each query label, and within each gallery label.

    Parameters
    ----------
    similarity : (n, g) larger is nearer
    target_index : (n,) column of each query's target
    query_labels : by name, one label per query, as {"subject": [...], "style": [...]}: a row for each value, with the
        whole gallery
    gallery_labels : by name, one label per gallery item, as {"style": [...], "song": [...]}: one row in which each
        query's gallery is cut to the items that share its target's label
    ks, ways : as in `metrics.retrieval.summarise`
    apart : a gallery label (the song) whose items are told apart in the row within it alone: in every other row a
        query's gallery holds its target and the items of other songs
    limits : gives each figure its interval, `..._ci95`

    Returns
    -------
    Rows ready for JSON: `group` ("overall", a query label's name, or "within" and a gallery label's name), `value` (the
    label, or None), `left_out` and all that `summarise` gives. `left_out` counts the queries that were not scored
    because their restricted gallery held their own target alone; where that leaves none, `n` is 0 and scores are None.

    Raises
    ------
    InputError
        For values that are not finite, labels that are missing or not one per item, and a query whose label of
        some name differs from its target's label of that name.

    >>> similar = [[0.9, 0.1, 0.2, 0.0], [0.8, 0.7, 0.1, 0.2], [0.0, 0.1, 0.9, 0.2], [0.1, 0.0, 0.3, 0.4]]
    >>> rows = breakdown(similar, range(4), gallery_labels={"song": ["a", "a", "b", "b"]}, ks=[1])
    >>> [(row["group"], row["gallery_max"], row["identification"], row["top1"], row["top1_chance"]) for row in rows]
    [('overall', 4, 0.9166666666666666, 0.75, 0.25), ('within song', 2, 0.75, 0.75, 0.5)]
    """
    values = finite("similarity", similarity)
    index = np.asarray(target_index)
    # Ties are judged alike in every row, so the margin is that of the whole matrix. This also checks the shapes.
    margin = tie_margin(values)
    of_query = {
        name: _codes(f"query label {name!r}", labels, len(values)) for name, labels in (query_labels or {}).items()
    }
    of_item = {
        name: _codes(f"gallery label {name!r}", labels, values.shape[1])
        for name, labels in (gallery_labels or {}).items()
    }
    for name in of_query.keys() & of_item.keys():
        _same_labels(name, list((query_labels or {})[name]), list((gallery_labels or {})[name]), index)
    siblings = None if apart is None else of_item[apart][1]
    cut = (values, index) if siblings is None else without_siblings(values, index, siblings.tolist())
    whole = standing(*cut, tolerance=margin)
    everyone = np.arange(len(values))
    rows: list[dict[str, Any]] = [
        {"group": "overall", "value": None, "left_out": 0, **_summary([whole], [everyone], ks, ways, limits)}
    ]
    for name, (found, codes) in of_query.items():
        for code, value in enumerate(found):
            chosen = np.flatnonzero(codes == code)
            part = Standing(whole.above[chosen], whole.level[chosen], whole.gallery_size)
            of = _summary([part], [chosen], ks, ways, limits)
            rows.append({"group": name, "value": _plain(value), "left_out": 0, **of})
    for name, (_, codes) in of_item.items():
        left = None if name == apart else siblings
        parts, queries = _within(values, index, codes, left, margin)
        of = _summary(parts, queries, ks, ways, limits)
        rows.append({"group": f"within {name}", "value": None, "left_out": len(values) - of["n"], **of})
    return rows


def _summary(
    parts: Sequence[Standing],
    queries: Sequence[NDArray[np.int64]],
    ks: Sequence[int],
    ways: Sequence[int],
    limits: LimitsOf | None,
) -> dict[str, Any]:
    """`summarise` of the parts, whose queries are given; all None without any."""
    if parts:
        which = np.concatenate(queries)
        return summarise(parts, ks, ways=ways, limits=None if limits is None else lambda scores: limits(scores, which))
    # The same keys with nothing in them, so that a table shows the gap.
    pair = Standing(np.zeros(1, np.int64), np.zeros(1, np.int64), 2)
    nothing = None if limits is None else lambda scores: None
    return {**dict.fromkeys(summarise([pair], ks, ways=ways, limits=nothing)), "n": 0}


def _within(
    values: Float64,
    index: NDArray[np.int64],
    codes: NDArray[np.int64],
    siblings: NDArray[np.int64] | None,
    margin: float,
) -> tuple[list[Standing], list[NDArray[np.int64]]]:
    """Each query against the items that share its target's code, less its target's siblings, and which queries these
    are: not those whose target is alone there."""
    parts, of = [], []
    for code in np.unique(codes[index]):
        queries, items = np.flatnonzero(codes[index] == code), np.flatnonzero(codes == code)
        block, place = values[np.ix_(queries, items)], np.searchsorted(items, index[queries])
        if siblings is not None:
            block, place = without_siblings(block, place, siblings[items].tolist())
        if block.shape[1] > 1:
            parts.append(standing(block, place, tolerance=margin))
            of.append(queries)
    return parts, of


def _codes(name: str, labels: Sequence[Hashable], n: int) -> tuple[list[Hashable], NDArray[np.int64]]:
    """The different labels in order of appearance, and each item's number among them."""
    given = list(labels)
    if len(given) != n:
        raise InputError(f"{name} has {len(given)} entries for {n} items", allowed="one per item")
    # NaN is the only label that differs from itself.
    missing = sum(label is None or label != label for label in given)
    if missing:
        raise InputError(f"{name} is missing for {missing} of {n} items", allowed="a label for each")
    order = {label: number for number, label in enumerate(dict.fromkeys(given))}
    return list(order), np.array([order[label] for label in given], dtype=np.int64)


def _same_labels(name: str, of_query: list[Hashable], of_item: list[Hashable], index: NDArray[np.int64]) -> None:
    wrong = [number for number, target in enumerate(index.tolist()) if of_query[number] != of_item[target]]
    if wrong:
        first = wrong[0]
        raise InputError(
            f"{len(wrong)} queries differ from their targets in {name!r}: query {first} has {of_query[first]!r}, "
            f"its target {of_item[int(index[first])]!r}",
            allowed="equal labels",
            remedy="check the pairing of queries and targets",
        )


def _plain(label: Hashable) -> Hashable:
    """A numpy scalar as Python's own, for JSON."""
    return label.item() if isinstance(label, np.generic) else label
