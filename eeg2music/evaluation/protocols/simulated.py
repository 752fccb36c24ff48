"""Simulated recordings for the protocols: a whole run in seconds, without torch.

Songs come from the composer; what a listener follows in them is read off their notes (they are not rendered), and
heads, responses and noise are the simulator's. It shows what a protocol does, not how good any model is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eeg2music.evaluation.controls import phase_randomize
from eeg2music.evaluation.protocols.config import ProtocolConfig, SimulatedRule
from eeg2music.evaluation.protocols.decoded import Decoded, Material, decode_protocol
from eeg2music.evaluation.protocols.sketch import (
    CURVE_RATE_HZ,
    curves_of,
    describe,
    make_songs,
    music_scale,
    sketch,
)
from eeg2music.evaluation.protocols.windows import Row, protocol_folds, window_starts
from eeg2music.recordings.openmiir import band_pass
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.listening import Listener, draw_listener, project, record_noise, source_responses
from eeg2music.types import FloatArray

SFREQ_HZ = 128
STEP = SFREQ_HZ // CURVE_RATE_HZ


def simulate_protocol(config: ProtocolConfig) -> Decoded:
    """Simulate recordings for a protocol, split them as it says and decode them."""
    rows = _plan(config)
    folds = protocol_folds(config, rows)
    tested = {number for fold in folds for number in fold.test}
    # Only tested windows were presented again; a song for training was heard once.
    kept = [number for number, row in enumerate(rows) if number in tested or row.repeat == 1]
    rows = [rows[number] for number in kept]
    folds = protocol_folds(config, rows)
    heard, silent, scrambled = _record(config, rows)
    return decode_protocol(config, heard, folds, scrambled, silent)


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


def _record(config: ProtocolConfig, rows: Sequence[Row]) -> tuple[Material, Material, list[FloatArray]]:
    """Play every song that has rows to the listeners and cut the recordings.

    With music, the same without any, and the windows of those with music once their phases are random.
    """
    rule = config.simulated
    songs = {song.name: song for song in make_songs(rule)}
    features = {name: sketch(song.song) for name, song in songs.items()}
    scale = music_scale(config.window.seconds)
    curves = {name: curves_of(values / scale[..., None]) for name, values in features.items()}
    length = round(config.window.seconds * CURVE_RATE_HZ)

    def cut(values: FloatArray, start_s: float) -> FloatArray:
        first = round(start_s * CURVE_RATE_HZ)
        return values[:, first : first + length]

    made: dict[tuple[str, str, int], tuple[FloatArray, FloatArray, FloatArray]] = {}
    listeners = {name: draw_listener(f"protocol{name}", montage="eeg32") for name in {row.subject for row in rows}}
    for row in rows:
        key = (row.subject, row.song, row.repeat)
        if key not in made:
            music, silence = _present(rule, features[row.song] / scale[..., None], listeners[row.subject], key)
            # The whole presentation: within a window little of the timing would be left to lose.
            scrambled = phase_randomize(music, numpy_rng(rule.seed, "protocol", "phase", *key))
            made[key] = music, silence, scrambled
    heard = [cut(curves[row.song], row.start_s) for row in rows]
    if config.target == "song":
        names = sorted(songs)
        target = np.eye(len(names))[[names.index(row.song) for row in rows]]
    else:
        target = describe(heard, config.window.seconds)

    def recorded(kind: int) -> list[FloatArray]:
        return [cut(made[row.subject, row.song, row.repeat][kind], row.start_s + config.window.delay_s) for row in rows]

    heard_rows, silent_rows = (Material(list(rows), recorded(kind), heard, target) for kind in (0, 1))
    return heard_rows, silent_rows, recorded(2)


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
