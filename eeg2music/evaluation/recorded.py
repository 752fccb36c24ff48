"""Recordings of people, scored now: onset decoding and identification of the music from OpenMIIR's features.

Whole works are held out (pieces 1 to 4 and 11 to 14 are the same works with and without lyrics), the folds go through
the leak refusal, and intervals and permutations count works. Every figure stands beside its controls. The recordings'
one channel is a weighted sum of 64 whose weights were learned on trials of these same pieces, by those who published
it: identification may flatter, onset tracking less. Trains nothing that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eeg2music.config import Config
from eeg2music.encoders.linear import standard
from eeg2music.errors import DataError
from eeg2music.evaluation.comparisons import corrected
from eeg2music.evaluation.identification import Search, identify
from eeg2music.evaluation.onset_ridge import CHECKED, Fold, Heard, HeldOut, decode_held_out, make_folds, rows_of
from eeg2music.evaluation.orders import all_orders
from eeg2music.evaluation.power import power_note, smallest_above_chance
from eeg2music.evaluation.recorded_controls import blind_queries, judge, signal_queries
from eeg2music.evaluation.recorded_page import write_recorded
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.files import sha256_folder
from eeg2music.metrics.retrieval import TIE_TOLERANCE, pairwise_score, similarity_matrix, standing, topk_hit
from eeg2music.origin import made_with
from eeg2music.recordings.openmiir import RATE_HZ, SUBJECTS, Piece, declared_works, load_pieces

SCHEMA = 1
MODES = ("mean_of_trials", "single_trial")
DECODER = "decoder"
Array = NDArray[np.float64]
Index = NDArray[np.int64]


class RecordedConfig(Config):
    """What is scored of the recordings, and how.

    Attributes
    ----------
    data : the folder with stimulus_*.npz
    window_s : identification decodes this much from the first sounding beat of each piece
    lag_s : how long after a sound the recording is looked at
    penalties : of the ridge, to choose from inside the training works, in units of the predictors' mean sum of squares
    hold_out : "song" would hold out pieces and leak the other version of a work; it is refused
    draws : how often each random control is drawn
    """

    kind: Literal["recorded"] = "recorded"
    data: str
    window_s: float = Field(default=6.5, gt=0.5)
    lag_s: float = Field(default=0.4, ge=0.0, le=2.0)
    penalties: tuple[float, ...] = Field(default=(0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), min_length=1)
    hold_out: HeldOut = "work"
    draws: int = Field(default=20, ge=1)
    seed: int = Field(default=0, ge=0)


def evaluate_recorded(config: RecordedConfig, out: Path) -> dict[str, Any]:
    """Score the folder that the config names and write scores.json, scores.md and report.html into `out`."""
    pieces = load_pieces(config.data)
    found = score_pieces(pieces, config)
    found.scores["data_sha256"] = sha256_folder(config.data, "stimulus_*.npz")
    write_recorded(out, found.scores, found.searches)
    return found.scores


class Scored(NamedTuple):
    """What was scored.

    Attributes
    ----------
    scores : ready for JSON: `scores` by mode ("mean_of_trials", "single_trial"), each with `identification` and
        `onsets` (overall, by subject, power in words), `within_work` and `controls`; the folds with their manifests;
        `surprises` in words
    searches : {mode: {"decoder" or control: what is compared}}
    """

    scores: dict[str, Any]
    searches: dict[str, dict[str, Search]]


def score_pieces(pieces: Sequence[Piece], config: RecordedConfig) -> Scored:
    """Score pieces in memory; writes nothing.

    Raises
    ------
    LeakError
        If a fold shares a work, a piece or a trial with its training rows.
    DataError
        If a piece is shorter than the window.
    """
    works = declared_works(pieces)
    modes = {mode: _Mode(pieces, config, averaged=mode == MODES[0]) for mode in MODES}
    scored = {mode: of.scores() for mode, of in modes.items()}
    found = {mode: scores for mode, (scores, _) in scored.items()}
    _correct(found)
    scores = {
        "schema": SCHEMA,
        **made_with(),
        "kind": config.kind,
        # Where the data lie on this machine is no part of the result.
        "config": config.model_dump(mode="json", exclude={"data"}),
        "pieces": len(pieces),
        "works": works,
        "independent_works": len(set(works.values())),
        "checked": list(CHECKED),
        "folds": {mode: [_fold_summary(fold) for fold in of.folds] for mode, of in modes.items()},
        "scores": found,
        "surprises": [f"{mode.replace('_', ' ')}: {text}" for mode in MODES for text in found[mode]["surprises"]],
    }
    return Scored(scores, {mode: searches for mode, (_, searches) in scored.items()})


def _correct(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Give the decoder's scores, of all and of each listener, their p-values corrected (Holm) over all there are."""
    scores = [
        one
        for of in found.values()
        for kind in ("identification", "onsets")
        for one in (of[kind], *of[f"{kind}_by_subject"].values())
    ]
    for one, value in zip(scores, corrected([one["p_value"] for one in scores]), strict=True):
        one["p_corrected"] = value


class _Mode:
    """One way of taking the trials: their mean, or each alone."""

    def __init__(self, pieces: Sequence[Piece], config: RecordedConfig, *, averaged: bool) -> None:
        self.pieces, self.config = pieces, config
        self.works = [declared_works(pieces)[piece.song] for piece in pieces]
        self.rows = rows_of(pieces, averaged=averaged)
        lags = round(config.lag_s * RATE_HZ) + 1
        self.folds = make_folds(pieces, self.rows, lags=lags, penalties=config.penalties, hold_out=config.hold_out)
        self.gallery = _gallery(pieces, round(config.window_s * RATE_HZ))

    def scores(self) -> tuple[dict[str, Any], dict[str, Search]]:
        """Decoder, by subject, controls, and what was not as expected; and what was compared for it."""
        decoded = decode_held_out(self.folds, self.rows)
        everyone = list(range(len(self.rows)))
        subjects = sorted({row.subject for row in self.rows})
        of = {subject: [n for n in everyone if self.rows[n].subject == subject] for subject in subjects}
        controls, searches = self._controls()
        searches[DECODER] = self._search(decoded, self.rows)
        main = self._identification(searches[DECODER])
        scores = {
            "identification": main,
            "identification_by_subject": {
                _name(s): self._identification(self._search(_at(decoded, n), _at(self.rows, n))) for s, n in of.items()
            },
            "onsets": self._onsets(decoded, self.rows),
            "onsets_by_subject": {_name(s): self._onsets(_at(decoded, n), _at(self.rows, n)) for s, n in of.items()},
            "within_work": self._within_work(decoded),
            "controls": controls,
            "surprises": judge(main, controls),
        }
        return scores, searches

    def _controls(self) -> tuple[dict[str, dict[str, Any]], dict[str, Search]]:
        """Each control: how it identifies, how its onsets correlate where there is a recording; and its vectors."""
        found: dict[str, dict[str, Any]] = {}
        searches: dict[str, Search] = {}
        for control in signal_queries(self.folds, self.rows, draws=self.config.draws, seed=self.config.seed):
            rows = [self.rows[number] for number in control.rows]
            targets = None if control.targets is None else np.asarray(control.targets)
            searches[control.name] = self._search(control.decoded, rows, targets)
            found[control.name] = {
                "identification": self._identification(searches[control.name], draws=control.draws),
                "onsets": self._onsets(control.decoded, rows, targets),
                "draws": control.draws,
            }
        for control in blind_queries(self.pieces, self.works, self.rows, self.folds, self.gallery):
            rows = [self.rows[number] for number in control.rows]
            searches[control.name] = self._search(control.decoded, rows)
            found[control.name] = {
                "identification": self._identification(searches[control.name]),
                "draws": control.draws,
                **({} if control.limit is None else {"limit": control.limit}),
            }
        return found, searches

    def _search(self, decoded: Sequence[Array], rows: Sequence[Heard], targets: Index | None = None) -> Search:
        """The window at the start of what was decoded, among those of the pieces; intervals count works."""
        index = np.array([row.piece for row in rows]) if targets is None else targets
        query = np.stack([standard(one[: self.gallery.shape[1]]) for one in decoded])
        works = [self.works[piece] for piece in index]
        return Search(query, self.gallery, index, works, [row.subject for row in rows])

    def _identification(self, search: Search, *, draws: int = 1) -> dict[str, Any]:
        """Which of the pieces was heard; exact p-values over the works."""
        query, index, works = search.query, search.target, search.clusters
        # The p-values that it draws are replaced by exact ones.
        score = identify(
            query,
            self.gallery,
            index,
            songs=[self.pieces[piece].song for piece in index],
            works=works,
            subjects=search.subjects or (),
            seed=self.config.seed,
            permutations=1,
        )
        similarity = similarity_matrix(query, self.gallery)
        columns = [
            standing(similarity, np.full(len(query), item), tolerance=TIE_TOLERANCE)
            for item in range(len(self.gallery))
        ]
        pairwise = np.stack([pairwise_score(column) for column in columns], axis=1)
        best = np.stack([topk_hit(column, 1) for column in columns], axis=1)
        orders = all_orders(pairwise, index, works)
        own = pairwise[np.arange(len(index)), index]
        # The first order is the observed one.
        smallest = smallest_above_chance(orders.means[1:])
        score |= {
            "p_value": orders.p_value,
            "p_two_sided": orders.two_sided,
            "top1_p_value": all_orders(best, index, works).p_value,
            "null_mean": float(orders.means.mean()),
            "null_95": orders.null_95,
            "permutations": f"all {len(orders.means)} orders of {len(set(works))} works",
            "range_of_draws": [float(edge(own.reshape(draws, -1).mean(axis=1))) for edge in (np.min, np.max)],
            "smallest_effect": smallest,
            "power": power_note(smallest, len(set(works)), of="works"),
        }
        return {key: value for key, value in score.items() if key not in ("cells", "seed", "songs", "p_value_below")}

    def _onsets(self, decoded: Sequence[Array], rows: Sequence[Heard], targets: Index | None = None) -> dict[str, Any]:
        """Correlation of decoded with true flux over whole pieces; the null gives whole works another's flux."""
        index = np.array([row.piece for row in rows]) if targets is None else targets
        works = [self.works[piece] for piece in index]
        table = np.stack([[_correlation(one, piece.flux) for piece in self.pieces] for one in decoded])
        own = table[np.arange(len(index)), index]
        interval = cluster_interval(own, works, of="works")
        orders = all_orders(table, index, works)
        smallest = smallest_above_chance(orders.means[1:])
        return {
            "correlation": interval.estimate,
            "ci95": [interval.low, interval.high],
            "p_value": orders.p_value,
            "null_mean": float(orders.means.mean()),
            "null_95": orders.null_95,
            "n": len(index),
            "works": len(set(works)),
            "interval": interval.method,
            "smallest_effect": smallest,
            "power": power_note(smallest, len(set(works)), what="correlation", of="works", above="the null's mean"),
        }

    def _within_work(self, decoded: Sequence[Array]) -> dict[str, Any] | None:
        """With or without lyrics? Each piece against the other version of its work alone; chance is 0.5."""
        sibling = {
            one: other
            for one, work in enumerate(self.works)
            for other, same in enumerate(self.works)
            if one != other and work == same
        }
        numbers = [number for number, row in enumerate(self.rows) if row.piece in sibling]
        works = [self.works[self.rows[number].piece] for number in numbers]
        if len(set(works)) < 2:
            return None
        query = np.stack([standard(decoded[number][: self.gallery.shape[1]]) for number in numbers])
        similarity = similarity_matrix(query, self.gallery)
        own = np.array([self.rows[number].piece for number in numbers])
        pair = np.stack([own, [sibling[piece] for piece in own]], axis=1)
        found = standing(np.take_along_axis(similarity, pair, axis=1), np.zeros(len(pair), dtype=np.int64))
        interval = cluster_interval(pairwise_score(found), works, bounds=(0.0, 1.0))
        return {
            "accuracy": interval.estimate,
            "ci95": [interval.low, interval.high],
            "chance": 0.5,
            "n": len(numbers),
            "gallery_size": 2,
            "works": len(set(works)),
        }


def _gallery(pieces: Sequence[Piece], window: int) -> Array:
    """(piece, frame) standardised flux of the window at the start of each piece."""
    short = [piece.song for piece in pieces if piece.flux.size < window]
    if short:
        raise DataError(
            f"{short[0]} is shorter than the window of {window / RATE_HZ:g} s",
            allowed=f"up to {min(piece.flux.size for piece in pieces) / RATE_HZ:.2f} s",
            remedy="shorten window_s",
        )
    return np.stack([standard(piece.flux[:window]) for piece in pieces])


def _correlation(one: Array, other: Array) -> float:
    """Pearson correlation over what both last."""
    frames = min(one.size, other.size)
    x, y = one[:frames] - one[:frames].mean(), other[:frames] - other[:frames].mean()
    return float(x @ y / max(np.sqrt((x @ x) * (y @ y)), 1e-24))


def _fold_summary(fold: Fold) -> dict[str, Any]:
    return {
        "held_out": fold.held_out,
        "rows": {"train": len(fold.split.train), "test": len(fold.split.test)},
        "penalty_by_subject": [decoder.penalty for decoder in fold.decoders],
        "train": fold.train.to_dict(),
        "test": fold.test.to_dict(),
    }


def _name(subject: int) -> str:
    return SUBJECTS[subject] if subject < len(SUBJECTS) else f"subject {subject + 1}"


def _at(values: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [values[place] for place in places]
