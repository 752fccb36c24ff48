"""Simulated recordings for the protocols, and a linear decoder for them: a whole run in seconds, without torch.

Songs come from the composer; what a listener follows in them is read off their notes (they are not rendered), and
heads, responses and noise are the simulator's. The decoder is linear throughout: lagged channels to curves, summaries
of these to an embedding of the music. It shows what a protocol does, not how good any model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.encoders.linear import lagged, ridge_predict, ridge_weights
from eeg2music.evaluation.protocols.config import ProtocolConfig, SimulatedRule
from eeg2music.evaluation.protocols.scoring import Reference
from eeg2music.evaluation.protocols.sketch import (
    CURVE_RATE_HZ,
    curves_of,
    describe,
    make_songs,
    music_scale,
    sketch,
    summarize,
)
from eeg2music.evaluation.protocols.windows import ProtocolFold, Row, protocol_folds, window_starts
from eeg2music.evaluation.signal_blind import signal_blind
from eeg2music.recordings.openmiir import band_pass
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.listening import Listener, draw_listener, project, record_noise, source_responses
from eeg2music.types import FloatArray

SFREQ_HZ = 128
STEP = SFREQ_HZ // CURVE_RATE_HZ
LAGS = 13
CURVE_PENALTY = 0.1
EMBEDDING_PENALTY = 0.5
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Simulated:
    """What `run_protocol` takes, made of simulated recordings.

    Attributes
    ----------
    rows, predicted, target : of the tested windows
    controls : "signal-blind" (metadata alone) and "no music in the recording" (the same listeners and presentations,
        noise only, trained and tested alike)
    folds : which fold tested each row
    leak : what leaks in the folds, in words
    """

    rows: list[Row]
    predicted: Float64
    target: Float64
    controls: dict[str, Float64]
    reference: Reference | None
    folds: list[int]
    leak: str


@dataclass(frozen=True)
class _Material:
    """Every window: channels and curves at 32 Hz, and the embedding of the music."""

    rows: list[Row]
    eeg: list[FloatArray]
    curves: list[FloatArray]
    target: Float64


class _Sums(NamedTuple):
    """What a window adds to the regression on curves: x'x, x'y, sums of x and of y, frames."""

    gram: FloatArray
    cross: FloatArray
    x: FloatArray
    y: FloatArray
    frames: int


def simulate_protocol(config: ProtocolConfig) -> Simulated:
    """Simulate recordings for a protocol, split them as it says and decode them."""
    rows = _plan(config)
    folds = protocol_folds(config, rows)
    tested = {number for fold in folds for number in fold.test}
    # Only tested windows were presented again; a song for training was heard once.
    kept = [number for number, row in enumerate(rows) if number in tested or row.repeat == 1]
    rows = [rows[number] for number in kept]
    folds = protocol_folds(config, rows)
    heard, silent = _record(config, rows)
    order = [number for fold in folds for number in fold.test]
    blind = _signal_blind(heard, folds)
    reference = None
    if config.split.folds == 1 and config.target == "music":
        train = sorted({number for fold in folds for number in fold.train})
        reference = Reference(
            heard.target[train], [rows[number].style for number in train], [rows[number].song for number in train]
        )
    return Simulated(
        rows=[rows[number] for number in order],
        predicted=_decode(heard, folds),
        target=heard.target[order],
        controls={"signal-blind": blind, "no music in the recording": _decode(silent, folds)},
        reference=reference,
        folds=[fold.number for fold in folds for _ in fold.test],
        leak=next((fold.leak for fold in folds if fold.leak), ""),
    )


def _plan(config: ProtocolConfig) -> list[Row]:
    rule = config.simulated
    starts = window_starts(config, rule.song_seconds)
    return [
        Row(song.name, song.style, f"listener-{subject + 1}", start, repeat + 1)
        for subject in range(rule.listeners)
        for song in make_songs(rule)
        for repeat in range(config.repeats)
        for start in starts
    ]


def _record(config: ProtocolConfig, rows: Sequence[Row]) -> tuple[_Material, _Material]:
    """Play every song that has rows to the listeners and cut the recordings: with music, and the same without any."""
    rule = config.simulated
    songs = {song.name: song for song in make_songs(rule)}
    features = {name: sketch(song.song) for name, song in songs.items()}
    scale = music_scale(list(features.values()))
    curves = {name: curves_of(values / scale[..., None]) for name, values in features.items()}
    length = round(config.window.seconds * CURVE_RATE_HZ)

    def cut(values: FloatArray, start_s: float) -> FloatArray:
        first = round(start_s * CURVE_RATE_HZ)
        return values[:, first : first + length]

    made: dict[tuple[str, str, int], tuple[FloatArray, FloatArray]] = {}
    listeners = {name: draw_listener(f"protocol{name}", montage="eeg32") for name in {row.subject for row in rows}}
    for row in rows:
        key = (row.subject, row.song, row.repeat)
        if key not in made:
            made[key] = _present(rule, features[row.song] / scale[..., None], listeners[row.subject], key)
    heard = [cut(curves[row.song], row.start_s) for row in rows]
    if config.target == "song":
        names = sorted(songs)
        target = np.eye(len(names))[[names.index(row.song) for row in rows]]
    else:
        target = describe(heard, rule, config.window.seconds)
    both = []
    for kind in (0, 1):
        eeg = [cut(made[row.subject, row.song, row.repeat][kind], row.start_s + config.window.delay_s) for row in rows]
        both.append(_Material(list(rows), eeg, heard, target))
    return both[0], both[1]


def _present(
    rule: SimulatedRule, features: FloatArray, listener: Listener, key: tuple[str, str, int]
) -> tuple[FloatArray, FloatArray]:
    """(channel, frame) at 32 Hz, 1-12 Hz, in units of the noise: one presentation of a song, and its noise alone."""
    signal = project(source_responses(features, listener, SFREQ_HZ), listener)
    noise = record_noise(listener, signal.shape[1], SFREQ_HZ, rule.seed, "protocol", *key)
    music, rest = (band_pass(one.astype(np.float64), SFREQ_HZ)[:, ::STEP] for one in (signal, noise))
    # The ratio as everywhere in the simulator: variances in 1-12 Hz, averaged over channels.
    gain = np.sqrt(rest.var(axis=1).mean() / max(music.var(axis=1).mean(), 1e-30)) * 10.0 ** (rule.snr_db / 20.0)
    drift = numpy_rng(rule.seed, "protocol", "drift", *key).standard_normal((len(rest), 1))
    gains = np.exp(rule.channel_drift * drift) / rest.std()
    return np.asarray((rest + gain * music) * gains, np.float32), np.asarray(rest * gains, np.float32)


def _decode(material: _Material, folds: Sequence[ProtocolFold]) -> Float64:
    """(tested, dim) embeddings, fold after fold; nothing is fitted on tested rows."""
    sums = [_sums(eeg, curves) for eeg, curves in zip(material.eeg, material.curves, strict=True)]
    power = np.stack([np.log(np.square(eeg, dtype=np.float64).mean(axis=-1)) for eeg in material.eeg])
    found = []
    for fold in folds:
        weights, centre = _fit_curves([sums[number] for number in fold.train])
        numbers = [*fold.train, *fold.test]
        decoded = np.stack([(_predictors(material.eeg[number]) @ weights + centre).T for number in numbers])
        summaries = np.concatenate([summarize(decoded), power[numbers]], axis=1)
        train, test = summaries[: len(fold.train)], summaries[len(fold.train) :]
        found.append(ridge_predict(train, material.target[list(fold.train)], test, penalty=EMBEDDING_PENALTY))
    return np.concatenate(found)


def _predictors(eeg: FloatArray) -> FloatArray:
    """(channel, frame) -> (frame, channel * lag): every other frame of the 0.4 s that follow."""
    columns = lagged(eeg.astype(np.float64), LAGS)[..., ::2].swapaxes(0, 1)
    return np.asarray(columns.reshape(len(columns), -1), dtype=np.float32)


def _sums(eeg: FloatArray, curves: FloatArray) -> _Sums:
    x = _predictors(eeg)
    return _Sums(x.T @ x, x.T @ curves.T, x.sum(axis=0), curves.sum(axis=1), len(x))


def _fit_curves(sums: Sequence[_Sums]) -> tuple[Float64, Float64]:
    """Weights (channel * lag, curve) and the curves' mean."""
    gram, cross, x, y = (np.zeros_like(part, dtype=np.float64) for part in sums[0][:4])
    frames = 0
    for own in sums:
        gram += own.gram
        cross += own.cross
        x += own.x
        y += own.y
        frames += own.frames
    # Band-passed signals have no mean, so that only the curves need centring.
    return ridge_weights(gram, cross - np.outer(x, y / frames), CURVE_PENALTY), y / frames


def _signal_blind(material: _Material, folds: Sequence[ProtocolFold]) -> Float64:
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
