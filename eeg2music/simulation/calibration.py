"""How hard real recordings are, expressed as the simulator's signal-to-noise ratio.

The yardstick is the identification of music by a ridge model from EEG lags to onset flux, with the
whole work held out, from one trial and from the mean of five. It is applied to the real recordings
of OpenMIIR (one virtual channel, three subjects) and to a simulated twin of them: the same pieces,
split into four frequency ranges in place of stems, heard by three simulated listeners, reduced to
one virtual channel by a spatial filter learned on the same trials, as the real one was. The ratio at
which both identify equally well is `REAL_SNR_DB`. Never trains anything that is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.encoders.linear import lagged, ridge_weights, standard
from eeg2music.recordings.openmiir import RATE_HZ, Array, Piece

CLEAN_SNR_DB = 0.0
# The middle of the levels at which the simulated twin is identified as well as the real recordings, within their
# intervals, from one trial and from five: of benchmarks/calibrate_snr.json, -38.2 to -36.9 dB and -37.5 to -35.5 dB, so
# -37.5 to -36.9 dB for both. The share of variance that returns when a piece is repeated is lower there (about 0.03,
# real 0.041). The level depends on the virtual channel: a weighting of 64 electrodes learned on the trials, as the
# real one was.
REAL_SNR_DB = -37.2
# With the twin's best single electrode both hold from -28.5 to -26.6 dB: again the middle. A quarter of the real share
# returns there.
SINGLE_ELECTRODE_SNR_DB = -27.6

LAGS = round(0.4 * RATE_HZ) + 1
RIDGE = 0.1
WINDOW = round(6.5 * RATE_HZ)


@dataclass(frozen=True)
class Scores:
    """Pairwise identification of every piece, (piece, subject), from the mean of the trials and from single ones."""

    mean_of_trials: Array
    single_trial: Array
    works: NDArray[np.int64]


def identification(pieces: Sequence[Piece]) -> Scores:
    """The yardstick, the same for real and simulated recordings: one ridge model per subject and held-out work.

    A window of 6.5 s from the start of each piece is decoded; it is identified against another piece
    if the decoded flux correlates more with its own flux than with the other's. Chance is 0.5.
    """
    works = np.array([piece.work for piece in pieces])
    averaged = [piece.eeg.mean(axis=1, keepdims=True) for piece in pieces]
    single = [piece.eeg for piece in pieces]
    flux = [piece.flux for piece in pieces]
    return Scores(_accuracy(averaged, flux, works), _accuracy(single, flux, works), works)


def reproducible_share(pieces: Sequence[Piece]) -> float:
    """Share of a single trial's variance that returns when the piece is played again, mean over subjects.

    Covariance between different trials of the same piece over the variance of a trial: a measure of the
    signal in the virtual channel that needs neither features nor a model.
    """
    between, within = 0.0, 0.0
    for piece in pieces:
        trials = piece.eeg - piece.eeg.mean(axis=-1, keepdims=True)
        count = trials.shape[1]
        own = np.square(trials).sum(axis=(1, 2))
        summed = np.square(trials.sum(axis=1)).sum(axis=1)
        between += float(((summed - own) / (count * (count - 1))).sum())
        within += float((own / count).sum())
    return between / within


def _accuracy(eeg: Sequence[Array], flux: Sequence[Array], works: NDArray[np.int64]) -> Array:
    """(piece, subject) pairwise accuracy, mean over trials and over the other pieces."""
    targets = [standard(one) for one in flux]
    gallery = np.stack([standard(one[:WINDOW]) for one in flux])
    subjects = eeg[0].shape[0]
    accuracy = np.zeros((len(eeg), subjects))
    for subject in range(subjects):
        trials = [[lagged(standard(trial), LAGS) for trial in piece[subject]] for piece in eeg]
        gram = np.stack([np.sum([x.T @ x for x in piece], axis=0) for piece in trials])
        cross = np.stack([np.sum([x.T @ y for x in piece], axis=0) for piece, y in zip(trials, targets, strict=True)])
        for work in np.unique(works):
            kept = np.flatnonzero(works != work)
            total = gram[kept].sum(axis=0)
            weights = ridge_weights(total, cross[kept].sum(axis=0), RIDGE)
            for piece in np.flatnonzero(works == work):
                decoded = np.stack([standard((x @ weights)[:WINDOW]) for x in trials[piece]])
                scores = decoded @ gallery.T
                others = np.arange(len(eeg)) != piece
                accuracy[piece, subject] = (scores[:, [piece]] > scores[:, others]).mean()
    return accuracy
