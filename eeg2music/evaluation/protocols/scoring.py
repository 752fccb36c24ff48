"""Scores predictions by a published protocol: its gallery, repeats and metric, beside chance, oracles and the figure.

Takes arrays and labels, whoever made them. The published figure gets a column of its own and is never compared with in
a test: the data differ. A gallery or a number of repeats that is not the protocol's is refused, not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.comparisons import corrected
from eeg2music.evaluation.permutations import fold_permutations, permutation_p_value
from eeg2music.evaluation.power import power_note, smallest_above_chance
from eeg2music.evaluation.protocols.config import MetricRule, ProtocolConfig, Stage
from eeg2music.evaluation.protocols.gallery import Query, prepare
from eeg2music.evaluation.protocols.judged import (
    Generated,
    Predictions,
    Reference,
    best_of,
    checked_draws,
    judged,
    nearest_draw,
    shuffled,
)
from eeg2music.evaluation.protocols.windows import Row
from eeg2music.evaluation.signal_blind import genre_oracle, song_oracle
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.metrics.checks import embeddings
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
# What a gallery holds: what predictions are decoded towards, or what an encoder that conditioned nothing hears.
EMBEDDING, GENERATED = "embedding", "scorer"
DECODER = "decoder"
GENRE_GUESS, GENRE_ORACLE = "perfect guess of the genre", "genre oracle"
NO_GENRE = "the genres of the songs are not declared (genres: in the config)"
NOT_GENERATED = "needs generated audio, embedded by an encoder that does not condition the generator"


class Compared(NamedTuple):
    """One gallery, and everything that is looked for in it.

    predictions : {condition: ((n, dim), stage that the published figures are of)}
    space : what the gallery holds, EMBEDDING or GENERATED
    """

    query: Query
    predictions: Predictions
    space: str


def run_protocol(
    config: ProtocolConfig,
    predicted: ArrayLike,
    target: ArrayLike,
    rows: Sequence[Row],
    *,
    train: Manifest | Mapping[str, Any] | None = None,
    leak: str = "",
    folds: Sequence[int] | None = None,
    generated: ArrayLike | Generated | None = None,
    controls: Mapping[str, ArrayLike] | None = None,
    reference: Reference | None = None,
) -> list[dict[str, Any]]:
    """Score predictions as a protocol says.

    Parameters
    ----------
    predicted, target : (n, dim) what was decoded from each tested window, and the embedding of what was heard
    rows : (n,) their labels; windows of the same listener and stretch of music are repeats and are averaged. Without
        a style there is no genre oracle, and the result says why
    train : what the model was trained on; checked against the rows
    leak : what leaks between training and test, in words (`protocol_folds` finds it)
    folds : (n,) which fold tested each row, where the protocol's gallery is what a fold held out
    generated : music generated from windows after averaging, embedded by an encoder that did not condition it: with a
        gallery of its own (`Generated`), or (m, draws, dim) of every window, in order of first appearance, where the
        target is by that encoder
    controls : further predictions by name, each (n, dim)
    reference : training songs for the genre oracle; without, it takes the other songs of the gallery, among which its
        own then comes last

    Returns
    -------
    One mapping for each metric and condition: `value` with `ci95`, `chance`, `p_value`, `n`, `gallery_size`, `space` of
    the gallery (that of the decoded embedding, or the scorer's), `power` in words, `leak`, `published` and, where it
    could not be measured, `why`. What was decoded or generated has `p_corrected` too (Holm, over the metrics); controls
    are there to fail, and are not corrected.

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
    parts = compared(config, predicted, target, rows, folds=folds, generated=generated, controls=controls)
    decoded, _ = parts[0].predictions[DECODER]
    given = {stage for part in parts for _, stage in part.predictions.values()}
    found: list[dict[str, Any]] = []
    for place, metric in enumerate(config.metrics):
        for part in parts:
            scorer = _Scorer(config, metric, place, part.query, leak, space=part.space)
            found += [scorer.nearest(name, values, stage) for name, (values, stage) in part.predictions.items()]
            if part.space == EMBEDDING:
                found += scorer.absent(given)
                found += scorer.oracles(reference, decoded)
            elif isinstance(generated, Generated):
                found += scorer.oracles(generated.reference)
    claims = [row for row in found if row["stage"] is not None]
    for row, value in zip(claims, corrected([row["p_value"] for row in claims]), strict=True):
        row["p_corrected"] = value
    return found


def compared(
    config: ProtocolConfig,
    predicted: ArrayLike,
    target: ArrayLike,
    rows: Sequence[Row],
    *,
    folds: Sequence[int] | None = None,
    generated: ArrayLike | Generated | None = None,
    controls: Mapping[str, ArrayLike] | None = None,
) -> list[Compared]:
    """What `run_protocol` compares, by the same parameters: what was decoded, then music with a gallery of its own."""
    query, merge = prepare(config, embeddings("target", target), rows, folds)
    decoded = merge("predicted", predicted)
    predictions: Predictions = {DECODER: (decoded, "embedding")}
    further = []
    if isinstance(generated, Generated):
        further = [Compared(*judged(config, query, generated), GENERATED)]
    elif generated is not None:
        draws = checked_draws(generated, len(decoded), query.target.shape[1])
        predictions |= best_of(draws, {"nearest what was decoded": nearest_draw(draws, decoded)}, query.target)
    predictions |= {name: (merge(name, values), None) for name, values in (controls or {}).items()}
    return [Compared(query, predictions, EMBEDDING), *further]


def units_of(config: ProtocolConfig, rows: Sequence[Row]) -> str:
    """What the statistics count, as `prepare` clusters it."""
    if config.gallery.same_fold:
        return "folds"
    if config.split.by == "passages":
        return "passages"
    return "songs" if all(row.work_id is None for row in rows) else "works"


def chance_of(metric: MetricRule, gallery_size: int) -> float:
    """What a constant prediction scores."""
    if metric.k is not None:
        return metric.k / gallery_size
    return 0.5 if metric.n_way is None else 1.0 / metric.n_way


@dataclass(frozen=True)
class _Scorer:
    """One metric of a protocol: every condition becomes a row.

    place : the metric's among the protocol's
    space : what the gallery holds
    """

    config: ProtocolConfig
    metric: MetricRule
    place: int
    query: Query
    leak: str
    space: str = EMBEDDING

    def nearest(self, name: str, predicted: Float64, stage: Stage | None = None) -> dict[str, Any]:
        """A row from predicted embeddings."""
        return self.row(name, similarity_matrix(predicted, self.query.gallery, kind=self.metric.similarity), stage)

    def row(self, name: str, similarity: Float64, stage: Stage | None = None) -> dict[str, Any]:
        """A row from similarities with every item of the gallery."""
        query, config = self.query, self.config
        rng = numpy_rng(config.seed, "protocol", config.name, name, self.metric.label)
        scores = np.empty(len(query.rows))
        folds = []
        for block in query.blocks:
            table = self._table(similarity[np.ix_(block.rows, block.items)])
            own = np.searchsorted(block.items, query.own[block.rows])
            scores[block.rows] = table[np.arange(len(own)), own]
            folds.append((table, own, [query.songs[number] for number in block.rows]))
        null = fold_permutations(folds, rng=rng, permutations=config.permutations)
        subjects = [row.subject for row in query.rows]
        interval = cluster_interval(scores, query.clusters, subjects, bounds=(0.0, 1.0))
        smallest = smallest_above_chance(null)
        return self.empty(name, stage) | {
            "value": interval.estimate,
            "ci95": [interval.low, interval.high],
            "interval": interval.method,
            "smallest_effect": smallest,
            "power": power_note(smallest, len(set(query.clusters)), of=units_of(config, query.rows)),
            "p_value": permutation_p_value(interval.estimate, null),
        }

    def _table(self, similarity: Float64) -> Float64:
        """(row, item) score were the item the row's target."""
        items = range(similarity.shape[1])
        columns = [standing(similarity, np.full(len(similarity), item), tolerance=TIE_TOLERANCE) for item in items]
        return np.stack([self._score(column) for column in columns], axis=1)

    def _score(self, found: Standing) -> Float64:
        if self.metric.k is not None:
            return topk_hit(found, self.metric.k)
        return pairwise_score(found) if self.metric.n_way is None else nway_score(found, self.metric.n_way)

    def empty(self, name: str, stage: Stage | None = None, why: str = "") -> dict[str, Any]:
        """A row without a value: what it would be of, and the published figures of its stage."""
        query = self.query
        figures = [one for one in self.config.published if one.stage == stage and one.metric == self.place]
        return {
            "condition": name,
            "stage": stage,
            "metric": self.metric.label,
            "space": self.space,
            "value": None,
            "ci95": None,
            "p_value": None,
            "p_corrected": None,
            "smallest_effect": None,
            "power": None,
            "chance": chance_of(self.metric, query.gallery_size),
            "n": len(query.rows),
            "gallery_size": query.gallery_size,
            "gallery_styles": len(set(query.gallery_styles)) if all(query.gallery_styles) else None,
            "subjects": len({row.subject for row in query.rows}),
            "clusters": len(set(query.clusters)),
            "leak": self.leak,
            "published": [{"value": one.value, "what": one.what, "note": OTHER_DATA} for one in figures],
            "why": why,
        }

    def absent(self, given: set[Stage | None]) -> list[dict[str, Any]]:
        """Published stages that were not given here: the figure is shown, nothing is made up for it."""
        wanted = dict.fromkeys(one.stage for one in self.config.published if one.metric == self.place)
        return [self.empty(stage, stage, NOT_GENERATED) for stage in wanted if stage not in given]

    def oracles(self, reference: Reference | None, decoded: Float64 | None = None) -> list[dict[str, Any]]:
        """What the genre and the song alone are worth, what was `decoded` handed to other songs, and chance."""
        query = self.query
        styles, songs = [row.style for row in query.rows], [row.song for row in query.rows]
        works = [row.work for row in query.rows]
        labels = np.array([[float(own == other) for other in query.gallery_styles] for own in styles])
        tries: dict[str, Callable[[], Float64]] = {
            GENRE_ORACLE: lambda: genre_oracle(query.target, styles, works, reference=reference),
            "song oracle": lambda: song_oracle(query.target, songs, [row.window for row in query.rows]),
        }
        if decoded is not None:
            tries["shuffled"] = lambda: decoded[shuffled(self.config, query)]
        if self.config.gallery.of == "songs":
            # Against a gallery of songs it is right by definition.
            del tries["song oracle"]
        if all(styles):
            found = [self.row(GENRE_GUESS, labels)]
        else:
            found = [self.empty(name, why=NO_GENRE) for name in (GENRE_GUESS, GENRE_ORACLE)]
            del tries[GENRE_ORACLE]
        for name, make in tries.items():
            try:
                found.append(self.nearest(name, make()))
            except DataError as error:
                found.append(self.empty(name, why=error.what))
        return [*found, self.row("chance", np.zeros_like(labels)) | {"ci95": None, "p_value": None}]
