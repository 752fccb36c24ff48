"""Scores predictions by a published protocol: its gallery, repeats and metric, beside chance, oracles and the figure.

Takes arrays and labels, whoever made them. The published figure gets a column of its own and is never compared with in
a test: the data differ. A gallery or a number of repeats that is not the protocol's is refused, not scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.controls import derangement
from eeg2music.evaluation.protocols.config import MetricRule, ProtocolConfig, Stage
from eeg2music.evaluation.protocols.windows import Row, clusters_of
from eeg2music.evaluation.signal_blind import genre_oracle, song_oracle
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.evaluation.statistics import cluster_interval, permutation_p_value, song_permutations
from eeg2music.metrics.checks import embeddings, same_shape
from eeg2music.metrics.retrieval import (
    TIE_TOLERANCE,
    Standing,
    nway_score,
    pairwise_score,
    similarity_matrix,
    standing,
    topk_hit,
)
from eeg2music.seeding import numpy_rng

Float64 = NDArray[np.float64]
OTHER_DATA = "other data: not comparable as it stands"
NOT_GENERATED = "needs generated audio, embedded by an encoder that does not condition the generator"


class Reference(NamedTuple):
    """Songs outside the gallery (training songs), from which the genre oracle takes its means."""

    embeddings: ArrayLike
    styles: Sequence[str]
    songs: Sequence[str]


class _Query(NamedTuple):
    """Rows after averaging over repeats, and the gallery."""

    rows: list[Row]
    target: Float64
    gallery: Float64
    gallery_styles: list[str]
    own: NDArray[np.int64]
    clusters: list[str]


def run_protocol(
    config: ProtocolConfig,
    predicted: ArrayLike,
    target: ArrayLike,
    rows: Sequence[Row],
    *,
    train: Manifest | Mapping[str, Any] | None = None,
    leak: str = "",
    generated: ArrayLike | None = None,
    controls: Mapping[str, ArrayLike] | None = None,
    reference: Reference | None = None,
) -> list[dict[str, Any]]:
    """Score predictions as a protocol says.

    Parameters
    ----------
    predicted, target : (n, dim) what was decoded from each tested window, and the embedding of what was heard
    rows : (n,) their labels; windows of the same listener and stretch of music are repeats and are averaged
    train : what the model was trained on; checked against the rows
    leak : what leaks between training and test, in words (`protocol_folds` finds it)
    generated : (m, draws, dim) embeddings of music generated from each window after averaging, in order of first
        appearance, by an encoder that did not condition it
    controls : further predictions by name, each (n, dim)
    reference : training songs for the genre oracle; without, it takes the other songs of the gallery, among which its
        own then comes last

    Returns
    -------
    One mapping for each metric and condition: `value` with `ci95`, `chance`, `p_value`, `n`, `gallery_size`, `leak`,
    `published` and, where it could not be measured, `why`.

    Raises
    ------
    LeakError
        If training and test overlap, and the protocol is not one that leaks.
    DataError
        If the gallery or the repeats are not the protocol's.
    InputError
        For arrays that do not fit, or a leak under a protocol that has none.
    """
    if leak and not config.split.leaky:
        raise InputError(f"A leak under the protocol {config.name}: {leak}", remedy="split as the protocol says")
    if train is not None and not config.split.leaky:
        refuse_leaks(train, Manifest.from_rows(row.labels() for row in rows), kinds=("song", "work"))
    query, merge = _prepare(config, embeddings("target", target), rows)
    predictions = {"decoder": merge("predicted", predicted)}
    predictions |= {name: merge(name, values) for name, values in (controls or {}).items()}
    stages: dict[str, Stage] = {"decoder": "embedding"}
    if generated is not None:
        predictions |= _generated(generated, predictions["decoder"], query)
        stages |= {
            name: "generated" if name == "generated once" else "best of many"
            for name in predictions
            if name not in stages and name.startswith(("generated", "best of"))
        }
    found: list[dict[str, Any]] = []
    for place, metric in enumerate(config.metrics):
        found += [
            _row(
                config,
                metric,
                place,
                name,
                similarity_matrix(values, query.gallery, kind=metric.similarity),
                query,
                stages.get(name),
                leak,
            )
            for name, values in predictions.items()
        ]
        found += _absent_stages(config, metric, place, query, stages, leak)
        found += _oracle_rows(config, metric, place, query, reference, leak)
    return found


def _prepare(config: ProtocolConfig, target: Float64, rows: Sequence[Row]) -> tuple[_Query, Any]:
    """Average repeats, build the gallery; and a function that does the same to predictions."""
    if len(rows) != len(target):
        raise InputError(f"{len(rows)} rows for {len(target)} targets", allowed="one each")
    places: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        places.setdefault((row.subject, row.window), []).append(number)
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
    gallery, styles, index = _gallery(config, averaged, first)
    return _Query(first, averaged, gallery, styles, index, clusters_of(config, first)), merge


def _gallery(
    config: ProtocolConfig, target: Float64, rows: Sequence[Row]
) -> tuple[Float64, list[str], NDArray[np.int64]]:
    """(g, dim) items, their styles, and each row's item."""
    by_window: dict[str, int] = {}
    for number, row in enumerate(rows):
        known = by_window.setdefault(row.window, number)
        if not np.allclose(target[known], target[number], rtol=1e-6, atol=1e-9):
            raise DataError(f"The window {row.window} has two different targets", remedy="one stretch, one embedding")
    windows = list(by_window.values())
    if config.gallery.of == "windows":
        names = [rows[number].window for number in windows]
        gallery, styles = target[windows], [rows[number].style for number in windows]
        own = [row.window for row in rows]
    else:
        names = list(dict.fromkeys(row.song for row in rows))
        gallery = np.stack([target[[n for n in windows if rows[n].song == name]].mean(axis=0) for name in names])
        style_of = {row.song: row.style for row in rows}
        styles, own = [style_of[name] for name in names], [row.song for row in rows]
    for what, expected, got in (
        (config.gallery.of, config.gallery.size, len(names)),
        ("styles", config.gallery.styles, len(set(styles))),
    ):
        if expected is not None and got != expected:
            raise DataError(
                f"The gallery holds {got} {what}",
                allowed=f"{expected}, as the protocol {config.name} says",
                remedy="a gallery of another size is another score: test on all, or declare a protocol of your own",
            )
    place = {name: number for number, name in enumerate(names)}
    return gallery, styles, np.array([place[name] for name in own], dtype=np.int64)


def _score(metric: MetricRule, found: Standing) -> Float64:
    if metric.k is not None:
        return topk_hit(found, metric.k)
    return pairwise_score(found) if metric.n_way is None else nway_score(found, metric.n_way)


def chance_of(metric: MetricRule, gallery_size: int) -> float:
    """What a constant prediction scores."""
    if metric.k is not None:
        return metric.k / gallery_size
    return 0.5 if metric.n_way is None else 1.0 / metric.n_way


def _row(
    config: ProtocolConfig,
    metric: MetricRule,
    place: int,
    name: str,
    similarity: Float64,
    query: _Query,
    stage: Stage | None,
    leak: str,
) -> dict[str, Any]:
    """One condition under one metric."""
    size = similarity.shape[1]
    columns = [standing(similarity, np.full(len(similarity), item), tolerance=TIE_TOLERANCE) for item in range(size)]
    table = np.stack([_score(metric, column) for column in columns], axis=1)
    own = table[np.arange(len(table)), query.own]
    subjects = [row.subject for row in query.rows]
    interval = cluster_interval(own, query.clusters, subjects, bounds=(0.0, 1.0))
    rng = numpy_rng(config.seed, "protocol", config.name, name, metric.label)
    null = song_permutations(table, query.own, query.clusters, rng=rng, permutations=config.permutations)
    return _empty(config, metric, place, name, query, stage, leak) | {
        "value": interval.estimate,
        "ci95": [interval.low, interval.high],
        "interval": interval.method,
        "p_value": permutation_p_value(interval.estimate, null),
    }


def _empty(
    config: ProtocolConfig, metric: MetricRule, place: int, name: str, query: _Query, stage: Stage | None, leak: str
) -> dict[str, Any]:
    figures = [one for one in config.published if one.stage == stage and one.metric == place]
    return {
        "condition": name,
        "stage": stage,
        "metric": metric.label,
        "value": None,
        "ci95": None,
        "p_value": None,
        "chance": chance_of(metric, len(query.gallery)),
        "n": len(query.rows),
        "gallery_size": len(query.gallery),
        "gallery_styles": len(set(query.gallery_styles)),
        "subjects": len({row.subject for row in query.rows}),
        "clusters": len(set(query.clusters)),
        "leak": leak,
        "published": [{"value": one.value, "what": one.what, "note": OTHER_DATA} for one in figures],
        "why": "",
    }


def _absent_stages(
    config: ProtocolConfig, metric: MetricRule, place: int, query: _Query, stages: Mapping[str, Stage], leak: str
) -> list[dict[str, Any]]:
    """Published stages that were not given here: the figure is shown, nothing is made up for it."""
    wanted = dict.fromkeys(one.stage for one in config.published if one.metric == place)
    return [
        _empty(config, metric, place, stage, query, stage, leak) | {"why": NOT_GENERATED}
        for stage in wanted
        if stage not in stages.values()
    ]


def _oracle_rows(
    config: ProtocolConfig, metric: MetricRule, place: int, query: _Query, reference: Reference | None, leak: str
) -> list[dict[str, Any]]:
    """Shuffled pairs, what the genre and the song alone are worth, and chance."""
    styles, songs = [row.style for row in query.rows], [row.song for row in query.rows]
    labels = np.array([[float(own == other) for other in query.gallery_styles] for own in styles])
    found = [_row(config, metric, place, "perfect guess of the genre", labels, query, None, leak)]
    shuffle = derangement(query.clusters, numpy_rng(config.seed, "protocol", config.name, "shuffled"))
    tries: list[tuple[str, Any]] = [
        ("genre oracle", lambda: genre_oracle(query.target, styles, songs, reference=reference)),
        ("shuffled", lambda: query.target[shuffle]),
    ]
    if config.gallery.of == "windows":
        tries.insert(1, ("song oracle", lambda: song_oracle(query.target, songs, [row.window for row in query.rows])))
    for name, make in tries:
        try:
            similarity = similarity_matrix(make(), query.gallery, kind=metric.similarity)
        except DataError as error:
            found.append(_empty(config, metric, place, name, query, None, leak) | {"why": error.what})
            continue
        found.append(_row(config, metric, place, name, similarity, query, None, leak))
    flat = _row(config, metric, place, "chance", np.zeros_like(labels), query, None, leak)
    return [*found, flat | {"ci95": None, "p_value": None}]


def _generated(generated: ArrayLike, decoded: Float64, query: _Query) -> dict[str, Float64]:
    """One generation; the best of all by what was decoded; and by the answer, which is no fair choice."""
    clips = np.asarray(generated, dtype=np.float64)
    if clips.ndim != 3 or len(clips) != len(decoded) or not np.isfinite(clips).all():
        raise InputError(
            f"Generated embeddings of shape {clips.shape}", allowed=f"({len(decoded)}, draws, dim), finite"
        )
    if clips.shape[2] != query.target.shape[1]:
        raise InputError(f"Generated embeddings of dimension {clips.shape[2]}", allowed=f"{query.target.shape[1]}")
    found = {"generated once": clips[:, 0]}
    count = clips.shape[1]
    if count > 1:
        for name, guide in (("nearest what was decoded", decoded), ("chosen by the answer", query.target)):
            near = [int(similarity_matrix(one, own[None]).argmax()) for one, own in zip(clips, guide, strict=True)]
            found[f"best of {count}, {name}"] = clips[np.arange(len(clips)), near]
    return found
