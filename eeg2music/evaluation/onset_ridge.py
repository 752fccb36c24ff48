"""Decoding of onset flux from one EEG channel by ridge regression, with whole works held out.

A backward model (Crosse et al. 2016): what follows each frame by up to 0.4 s predicts the flux at that frame. The folds
go through the splitter's leak refusal before anything is fitted; scaling of the predictors and the penalty are learned
inside the training works. Each trial, and each piece's flux, is brought to zero mean and unit deviation by itself,
which carries nothing from one row to another. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eeg2music.encoders.linear import lagged, ridge_weights, standard
from eeg2music.errors import DataError
from eeg2music.evaluation.splits import Manifest, Split, refuse_leaks
from eeg2music.recordings.openmiir import Piece, declared_works

Array = NDArray[np.float64]
HeldOut = Literal["work", "song"]
CHECKED = ("song", "work", "trial")


@dataclass(frozen=True)
class Heard:
    """One row: what one listener's channel did during one presentation (or the mean of several) of a piece."""

    piece: int
    subject: int
    trial: str
    eeg: Array


@dataclass(frozen=True)
class Decoder:
    """One listener's filter; `works` are those it was fitted on.

    Attributes
    ----------
    mean, scale : (lag,) of the training rows' predictors
    weights : (lag,)
    penalty : chosen inside the training works
    """

    works: tuple[str, ...]
    mean: Array
    scale: Array
    weights: Array
    penalty: float

    def decode(self, eeg: Array) -> Array:
        """(..., frame) of the channel -> (..., frame) of decoded flux, in no particular unit."""
        return np.asarray((lagged(standard(eeg), len(self.weights)) - self.mean) / self.scale @ self.weights)


@dataclass(frozen=True)
class Fold:
    """One held-out work (or song): the rows of each side, their manifests, and one decoder a listener."""

    held_out: str
    split: Split
    train: Manifest
    test: Manifest
    decoders: tuple[Decoder, ...]


@dataclass(frozen=True)
class _Sums:
    """Sums over frames from which every regression follows: of x, y, xx', xy and yy."""

    frames: float
    x: Array
    y: float
    xx: Array
    xy: Array
    yy: float

    @classmethod
    def of(cls, x: Array, y: Array) -> _Sums:
        return cls(float(len(x)), x.sum(axis=0), float(y.sum()), x.T @ x, x.T @ y, float(y @ y))

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.frames + other.frames,
            self.x + other.x,
            self.y + other.y,
            self.xx + other.xx,
            self.xy + other.xy,
            self.yy + other.yy,
        )

    def centred(self) -> tuple[Array, Array, float]:
        """xx', xy and yy about their means."""
        return (
            self.xx - np.outer(self.x, self.x) / self.frames,
            self.xy - self.x * self.y / self.frames,
            self.yy - self.y**2 / self.frames,
        )


def rows_of(pieces: Sequence[Piece], *, averaged: bool) -> list[Heard]:
    """Every presentation, or with `averaged` the mean over the presentations of a piece to a listener."""
    rows = []
    for number, piece in enumerate(pieces):
        for subject, trials in enumerate(piece.eeg):
            if averaged:
                rows.append(Heard(number, subject, f"{piece.song}/mean", trials.mean(axis=0)))
            else:
                rows += [Heard(number, subject, f"{piece.song}/{one + 1}", eeg) for one, eeg in enumerate(trials)]
    return rows


def make_folds(
    pieces: Sequence[Piece],
    rows: Sequence[Heard],
    *,
    lags: int,
    penalties: Sequence[float],
    hold_out: HeldOut = "work",
) -> list[Fold]:
    """Fit one decoder for each listener and held-out work.

    Parameters
    ----------
    lags : frames after each frame, itself among them
    penalties : to choose from, in units of the predictors' mean sum of squares
    hold_out : "song" holds out pieces; with two versions of one work among them that leaks, and is refused

    Raises
    ------
    LeakError
        If a fold's sides share a work, a song or a trial; nothing is fitted then.
    DataError
        With fewer than three works: one is held out, and two are needed to choose the penalty.
    """
    works = declared_works(pieces)
    group = [works[piece.song] if hold_out == "work" else piece.song for piece in pieces]
    if len(set(group)) < 3:
        raise DataError(f"{len(set(group))} works", allowed="three or more", remedy="add pieces of other works")
    sides = [_sides(rows, pieces, group, held_out, works) for held_out in dict.fromkeys(group)]
    for _, train, test, _ in sides:
        refuse_leaks(train, test, kinds=CHECKED)
    sums = [_Sums.of(lagged(standard(row.eeg), lags), standard(pieces[row.piece].flux)) for row in rows]
    subjects = sorted({row.subject for row in rows})
    return [
        Fold(
            held_out,
            split,
            train,
            test,
            tuple(_fit(rows, sums, split.train, subject, group, penalties) for subject in subjects),
        )
        for split, train, test, held_out in sides
    ]


def decode_held_out(folds: Sequence[Fold], rows: Sequence[Heard], eeg: Sequence[Array] | None = None) -> list[Array]:
    """Flux of every row, decoded by the decoder that has not seen its work.

    Parameters
    ----------
    eeg : (frame,) of every row, where it is not the row's own (a control)
    """
    fold_of = {row: fold for fold in folds for row in fold.split.test}
    signals = [row.eeg for row in rows] if eeg is None else eeg
    return [
        fold_of[number].decoders[row.subject].decode(signal)
        for number, (row, signal) in enumerate(zip(rows, signals, strict=True))
    ]


def _sides(
    rows: Sequence[Heard], pieces: Sequence[Piece], group: Sequence[str], held_out: str, works: dict[str, str]
) -> tuple[Split, Manifest, Manifest, str]:
    test = tuple(number for number, row in enumerate(rows) if group[row.piece] == held_out)
    train = tuple(number for number, row in enumerate(rows) if group[row.piece] != held_out)

    def manifest(numbers: tuple[int, ...]) -> Manifest:
        return Manifest.from_rows((_labels(rows[number], pieces) for number in numbers), works)

    return Split(train, test, (), "work", 0), manifest(train), manifest(test), held_out


def _labels(row: Heard, pieces: Sequence[Piece]) -> dict[str, Any]:
    subject = f"subject-{row.subject}"
    return {"stimulus": pieces[row.piece].song, "recording": subject, "trial": row.trial, "subject": subject}


def _fit(
    rows: Sequence[Heard],
    sums: Sequence[_Sums],
    train: Sequence[int],
    subject: int,
    group: Sequence[str],
    penalties: Sequence[float],
) -> Decoder:
    """Penalty by leaving out each training work in turn, then all training works together."""
    by_work: dict[str, _Sums] = {}
    for number in train:
        if rows[number].subject == subject:
            work = group[rows[number].piece]
            by_work[work] = by_work[work] + sums[number] if work in by_work else sums[number]
    gain = np.zeros(len(penalties))
    for work, own in by_work.items():
        others = _total([value for name, value in by_work.items() if name != work])
        gain += [_correlation(_solve(others, penalty), own) for penalty in penalties]
    best = float(penalties[int(np.argmax(gain))])
    mean, scale, weights = _solve(_total(list(by_work.values())), best)
    return Decoder(tuple(by_work), mean, scale, weights, best)


def _total(parts: Sequence[_Sums]) -> _Sums:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _solve(sums: _Sums, penalty: float) -> tuple[Array, Array, Array]:
    """Mean and deviation of the predictors, and the weights of the scaled ones."""
    xx, xy, _ = sums.centred()
    scale = np.sqrt(np.maximum(np.diag(xx) / sums.frames, 1e-24))
    return sums.x / sums.frames, scale, ridge_weights(xx / np.outer(scale, scale), xy / scale, penalty)


def _correlation(solved: tuple[Array, Array, Array], own: _Sums) -> float:
    """Pearson correlation of decoded and true flux over the frames of `own`."""
    _, scale, weights = solved
    xx, xy, yy = own.centred()
    slope = weights / scale
    return float(slope @ xy / np.sqrt(max(float(slope @ xx @ slope) * yy, 1e-24)))
