"""What the linear decoder reads off a protocol's recordings, simulated or prepared: a fit for each fold, and controls.

Nothing is fitted on tested rows. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.evaluation.protocols.config import ProtocolConfig
from eeg2music.evaluation.protocols.decoder import Decoder, Untrained, sums_of
from eeg2music.evaluation.protocols.judged import Reference
from eeg2music.evaluation.protocols.sketch import ONSETS, Onsets
from eeg2music.evaluation.protocols.windows import ProtocolFold, Row
from eeg2music.evaluation.signal_blind import signal_blind
from eeg2music.seeding import numpy_rng
from eeg2music.types import FloatArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Material:
    """Every window: channels and curves at 32 Hz, and the embedding of the music.

    onsets : which of the curves are onsets
    """

    rows: list[Row]
    eeg: list[FloatArray]
    curves: list[FloatArray]
    target: Float64
    onsets: Onsets = ONSETS


@dataclass(frozen=True)
class Decoded:
    """What `run_protocol` takes.

    Attributes
    ----------
    rows, predicted, target : of the tested windows
    controls : "signal-blind" (metadata alone), "no music in the recording" (the same listeners and presentations,
        noise only, trained and tested alike; of simulated recordings), "phase-randomized recording" (the fitted decoder
        on tested presentations of random phase) and "untrained decoder" (random weights)
    folds : which fold tested each row
    leak : what leaks in the folds, in words
    heard, splits, decoders : everything that was recorded, which of it trains and which is tested in each fold (`rows`
        are the tested ones, fold after fold), and what was fitted on each
    """

    rows: list[Row]
    predicted: Float64
    target: Float64
    controls: dict[str, Float64]
    reference: Reference | None
    folds: list[int]
    leak: str
    heard: Material
    splits: list[ProtocolFold]
    decoders: list[Decoder]


def decode_protocol(
    config: ProtocolConfig,
    heard: Material,
    splits: list[ProtocolFold],
    scrambled: Sequence[FloatArray],
    silent: Material | None = None,
) -> Decoded:
    """Decode recordings fold by fold.

    Parameters
    ----------
    scrambled : the channels of every window once their presentation's phases are random
    silent : the same presentations without any music
    """
    rows = heard.rows
    order = [number for fold in splits for number in fold.test]
    reference = None
    if config.split.folds == 1 and config.target == "music":
        train = sorted({number for fold in splits for number in fold.train})
        reference = Reference(
            heard.target[train], [rows[number].style for number in train], [rows[number].song for number in train]
        )
    decoders, predicted = _decode(heard, splits)
    rng = numpy_rng(config.seed, "protocol", config.name, "untrained decoder")
    without = {} if silent is None else {"no music in the recording": _decode(silent, splits)[1]}
    return Decoded(
        rows=[rows[number] for number in order],
        predicted=predicted,
        target=heard.target[order],
        controls={
            "signal-blind": _signal_blind(heard, splits),
            **without,
            "phase-randomized recording": _read(decoders, scrambled, splits),
            "untrained decoder": _read([one.untrained(rng) for one in decoders], heard.eeg, splits),
        },
        reference=reference,
        folds=[fold.number for fold in splits for _ in fold.test],
        leak=next((fold.leak for fold in splits if fold.leak), ""),
        heard=heard,
        splits=splits,
        decoders=decoders,
    )


def _decode(material: Material, folds: Sequence[ProtocolFold]) -> tuple[list[Decoder], Float64]:
    """A decoder for each fold, and (tested, dim) embeddings, fold after fold."""
    decoders = [
        Decoder.fit(
            [material.eeg[number] for number in fold.train],
            # One after the other: the sums of all windows would fill the memory where there are many channels.
            (sums_of(material.eeg[number], material.curves[number]) for number in fold.train),
            material.target[list(fold.train)],
            material.onsets,
        )
        for fold in folds
    ]
    return decoders, _read(decoders, material.eeg, folds)


def _read(decoders: Sequence[Decoder | Untrained], eeg: Sequence[FloatArray], folds: Sequence[ProtocolFold]) -> Float64:
    """(tested, dim): what each fold's decoder reads off the rows that the fold tests."""
    found = [one.read([eeg[number] for number in fold.test]) for one, fold in zip(decoders, folds, strict=True)]
    return np.concatenate(found)


def _signal_blind(material: Material, folds: Sequence[ProtocolFold]) -> Float64:
    def metadata(numbers: Sequence[int]) -> dict[str, list[object]]:
        rows = [material.rows[number] for number in numbers]
        return {
            "style": [row.style for row in rows],
            "subject": [row.subject for row in rows],
            "start": [float(row.start_s) for row in rows],
        }

    return np.concatenate(
        [signal_blind(metadata(fold.train), material.target[list(fold.train)], metadata(fold.test)) for fold in folds]
    )
