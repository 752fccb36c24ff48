"""The gallery of a protocol and the queries for it. One of another size, or repeats that are missing, are refused.

Takes arrays and labels; scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.protocols.config import ProtocolConfig
from eeg2music.evaluation.protocols.windows import Row, clusters_of
from eeg2music.metrics.checks import embeddings, same_shape

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
Merge = Callable[[str, ArrayLike], Float64]


class Block(NamedTuple):
    """Queries (row numbers) and the gallery items they are compared with."""

    rows: Index
    items: Index


class Query(NamedTuple):
    """Rows after averaging over repeats, and the gallery.

    own : each row's item; songs : what changes places in a permutation; clusters : what is independent
    blocks : one with everything, or one for each fold where a query meets only what its fold held out
    """

    rows: list[Row]
    target: Float64
    gallery: Float64
    gallery_styles: list[str]
    own: Index
    songs: list[str]
    clusters: list[str]
    blocks: list[Block]

    @property
    def gallery_size(self) -> int:
        """Items that one query is compared with."""
        return len(self.blocks[0].items)


def prepare(
    config: ProtocolConfig, target: Float64, rows: Sequence[Row], folds: Sequence[int] | None
) -> tuple[Query, Merge]:
    """Average repeats, build the gallery; and a function that averages predictions alike.

    Raises
    ------
    DataError, InputError
        As `run_protocol` says.
    """
    if len(rows) != len(target) or (folds is not None and len(folds) != len(rows)):
        raise InputError(f"{len(rows)} rows for {len(target)} targets", allowed="one each, and one fold each")
    if config.gallery.same_fold and folds is None:
        raise InputError(f"The protocol {config.name} compares within folds", remedy="say which fold tested each row")
    places = repeats_of(rows)
    odd = [pair for pair, members in places.items() if len(members) != config.repeats]
    if odd:
        raise DataError(
            f"{odd[0][0]} heard {odd[0][1]} {len(places[odd[0]])} times",
            allowed=f"{config.repeats}, as the protocol {config.name} says",
            remedy="give every presentation of every tested window, once",
        )
    members = list(places.values())

    def merge(name: str, values: ArrayLike) -> Float64:
        array = embeddings(name, values)
        same_shape(name, array, "target", target)
        return np.stack([array[own].mean(axis=0) for own in members])

    first = [rows[own[0]] for own in members]
    averaged = merge("target", target)
    gallery, styles, own = _gallery(config, averaged, first)
    tested_in = [folds[group[0]] for group in members] if folds is not None and config.gallery.same_fold else None
    blocks = _blocks(own, tested_in)
    _check_size(config, blocks, styles)
    songs = clusters_of(config, first)
    # Within a fold one song's gain is the other's loss: what is independent is the fold.
    clusters = songs if tested_in is None else [f"fold {number}" for number in tested_in]
    return Query(first, averaged, gallery, styles, own, songs, clusters, blocks), merge


def repeats_of(rows: Sequence[Row]) -> dict[tuple[str, str], list[int]]:
    """{(listener, window): its rows}, in order of first appearance."""
    places: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        places.setdefault((row.subject, row.window), []).append(number)
    return places


def _gallery(config: ProtocolConfig, target: Float64, rows: Sequence[Row]) -> tuple[Float64, list[str], Index]:
    """(g, dim) items, their styles, and each row's item."""
    if config.gallery.of == "windows":
        return window_gallery(target, rows)
    windows = _windows(target, rows)
    names = list(dict.fromkeys(row.song for row in rows))
    gallery = np.stack([target[[n for n in windows if rows[n].song == name]].mean(axis=0) for name in names])
    style_of = {row.song: row.style for row in rows}
    return gallery, [style_of[name] for name in names], _places(names, [row.song for row in rows])


def window_gallery(target: Float64, rows: Sequence[Row]) -> tuple[Float64, list[str], Index]:
    """The same of every distinct window."""
    windows = _windows(target, rows)
    own = _places([rows[number].window for number in windows], [row.window for row in rows])
    return target[windows], [rows[number].style for number in windows], own


def _windows(target: Float64, rows: Sequence[Row]) -> list[int]:
    """The first row of each distinct window. Raises DataError where rows of one differ in target."""
    by_window: dict[str, int] = {}
    for number, row in enumerate(rows):
        known = by_window.setdefault(row.window, number)
        if not np.allclose(target[known], target[number], rtol=1e-6, atol=1e-9):
            raise DataError(f"The window {row.window} has two different targets", remedy="one stretch, one embedding")
    return list(by_window.values())


def _places(names: Sequence[str], own: Sequence[str]) -> Index:
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[name] for name in own], dtype=np.int64)


def _blocks(own: Index, folds: Sequence[int] | None) -> list[Block]:
    if folds is None:
        return [Block(np.arange(len(own)), np.unique(own))]
    numbers = np.asarray(folds)
    rows = [np.flatnonzero(numbers == fold) for fold in np.unique(numbers)]
    return [Block(part, np.unique(own[part])) for part in rows]


def _check_size(config: ProtocolConfig, blocks: Sequence[Block], styles: Sequence[str]) -> None:
    sizes = sorted({len(block.items) for block in blocks})
    if len(sizes) > 1:
        raise DataError(
            f"Folds with galleries of {sizes[0]} and of {sizes[-1]}", remedy="hold out equally many in each fold"
        )
    for what, expected, got in (
        (config.gallery.of, config.gallery.size, sizes[0]),
        ("styles", config.gallery.styles, len(set(styles))),
    ):
        if expected is not None and got != expected:
            raise DataError(
                f"The gallery holds {got} {what}",
                allowed=f"{expected}, as the protocol {config.name} says",
                remedy="a gallery of another size is another score: test on all, or declare a protocol of your own",
            )
