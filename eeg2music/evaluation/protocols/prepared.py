"""A prepared cache as the recordings of a protocol: windows cut as it says, and an embedding of what was heard in each.

The embedding sums up the control curves of the audio, on the scale of composed songs, none of which is heard: nothing
that is tested has a say in it. Prepares and scores nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.audio import audio_duration_s, read_audio
from eeg2music.errors import DataError, first_few
from eeg2music.evaluation.controls import phase_randomize
from eeg2music.evaluation.encoding_material import known_genres
from eeg2music.evaluation.protocols.config import ProtocolConfig
from eeg2music.evaluation.protocols.decoded import Decoded, Material, decode_protocol
from eeg2music.evaluation.protocols.sketch import SCALE_SEED, SCALE_SONGS, summarize
from eeg2music.evaluation.protocols.windows import Row, protocol_folds, window_starts
from eeg2music.files import sha256_file
from eeg2music.recordings.openmiir import band_pass
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.composer import compose
from eeg2music.simulation.library import song_ids
from eeg2music.simulation.rendering import render
from eeg2music.targets.curves import control_curves_numpy
from eeg2music.types import CURVE_RATE_HZ, CURVES, EEG_RATE_HZ, FloatArray

STEP = EEG_RATE_HZ // CURVE_RATE_HZ
ONSETS = (CURVES.index("onset"), len(CURVES))
# Heard before a window, so that its first frame has a past.
LEAD_S = 1.0
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class _Presentation:
    """One piece heard once. spans : (first, stop) samples that the cache has windows of, in order."""

    recording: str
    subject: str
    song: str
    file: str
    onset_s: float
    repeat: int
    work_id: str | None
    spans: tuple[tuple[int, int], ...]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.subject, self.song, self.repeat

    def holds(self, first: int, stop: int) -> bool:
        """Whether a stretch was prepared, and nothing of it left out as bad.

        To within the step that the cache's windows start on: they lie on a grid of their own.
        """
        return any(begin - STEP <= first and stop <= end + STEP for begin, end in self.spans)


def check_prepared(config: ProtocolConfig) -> PreparedDataset:
    """The cache that a protocol is run on, once what it holds is known to be of the protocol's kind.

    Raises
    ------
    DataError
        If it is no prepared cache, or holds other signals than the protocol's.
    """
    data = PreparedDataset(str(config.prepared))
    if data.spec.kind != config.modality.lower():
        raise DataError(
            f"{data.cache} holds {data.spec.kind} recordings",
            allowed=f"{config.modality}, as the protocol {config.name} says",
            remedy=f"prepare {config.modality} into a cache of its own",
        )
    return data


def prepared_protocol(config: ProtocolConfig) -> tuple[Decoded, dict[str, Any]]:
    """Cut the recordings of a prepared cache for a protocol, split them as it says and decode them.

    Returns
    -------
    What was decoded; and of the result the cache's content hash, how many windows there are, and how many were left
    out because the cache does not hold all of them.

    Raises
    ------
    DataError
        If the cache holds no EEG, no audio, too few songs, or no window of the protocol's length.
    LeakError
        If the sides of a fold share a song, and the protocol does not say that it leaks.
    """
    data = check_prepared(config)
    heard, scrambled, left_out = _record(config, data)
    made = decode_protocol(config, heard, protocol_folds(config, heard.rows), scrambled)
    return made, {"content_hash": data.content_hash, "windows": len(heard.rows), "left_out": left_out}


def _record(config: ProtocolConfig, data: PreparedDataset) -> tuple[Material, list[FloatArray], int]:
    """Every window, the same once its presentation's phases are random, and how many windows the cache lacks."""
    presentations = _presentations(data)
    hashes = {file: sha256_file(file) for file in {one.file for one in presentations}}
    seconds_of = {file: audio_duration_s(file) for file in hashes}
    genres = known_genres(tuple(sorted({one.song for one in presentations})), config.genres)
    # The genre of some songs alone would call the others one genre.
    named = all(one.song in genres for one in presentations)
    rows: list[Row] = []
    eeg, scrambled, curves = [], [], []
    heard: dict[tuple[str, float], FloatArray] = {}
    left_out = 0
    for one, begin, music, without in _played(config, data, presentations):
        for start_s in window_starts(config, seconds_of[one.file]):
            first = round((one.onset_s + start_s + config.window.delay_s) * EEG_RATE_HZ)
            stop = first + round(config.window.seconds * CURVE_RATE_HZ) * STEP
            if not one.holds(first, stop) or not begin <= first < stop <= begin + music.shape[1]:
                left_out += 1
                continue
            if (one.file, start_s) not in heard:
                heard[one.file, start_s] = _curves(one.file, start_s, config.window.seconds)
            own = slice(first - begin, stop - begin, STEP)
            eeg.append(np.ascontiguousarray(music[:, own]))
            scrambled.append(np.ascontiguousarray(without[:, own]))
            curves.append(heard[one.file, start_s])
            style = genres[one.song] if named else ""
            rows.append(Row(one.song, style, one.subject, start_s, one.repeat, one.work_id, hashes[one.file]))
    if not rows:
        raise DataError(
            f"{data.cache} holds no stretch of {config.window.seconds:g} s of one piece",
            allowed=f"windows of {config.window.seconds:g} s or more, or a hop that leaves no gaps",
            remedy=f"prepare again with window_s={config.window.seconds:g}",
        )
    target = _one_hot(rows) if config.target == "song" else _describe(curves, config.window.seconds)
    return Material(rows, eeg, curves, target, ONSETS), scrambled, left_out


def _presentations(data: PreparedDataset) -> list[_Presentation]:
    """In the order in which each person heard them; repeats are counted over all of a person's recordings."""
    groups: dict[tuple[str, str, float, str], list[Mapping[str, Any]]] = {}
    for row in data.rows:
        if row["stimulus"] is not None and row["stimulus_onset_s"] is not None:
            key = row["subject"], row["recording"], float(row["stimulus_onset_s"]), row["stimulus"]
            groups.setdefault(key, []).append(row)
    silent = sorted({key[3] for key, rows in groups.items() if not Path(str(rows[0]["stimulus_file"])).is_file()})
    if silent or not groups:
        raise DataError(
            f"{data.cache} has no audio of what was heard: {first_few(silent)}",
            allowed="recordings whose events name an audio file (stim_file) that is there",
            remedy="put the audio below stimuli/ of the data set, and run `eeg2music prepare` again",
        )
    found: list[_Presentation] = []
    times: dict[tuple[str, str], int] = {}
    for (subject, recording, onset_s, song), rows in sorted(groups.items()):
        repeat = times[subject, song] = times.get((subject, song), 0) + 1
        file, work_id = str(rows[0]["stimulus_file"]), rows[0].get("work_id")
        found.append(_Presentation(recording, subject, song, file, onset_s, repeat, work_id, _spans(rows)))
    return found


def _spans(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, int], ...]:
    """Windows of one presentation, joined where they touch."""
    joined: list[tuple[int, int]] = []
    for first, count in sorted((int(row["start_sample"]), int(row["n_samples"])) for row in rows):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], first + count)
        else:
            joined.append((first, first + count))
    return tuple(joined)


def _played(
    config: ProtocolConfig, data: PreparedDataset, presentations: Sequence[_Presentation]
) -> Iterator[tuple[_Presentation, int, FloatArray, FloatArray]]:
    """Each presentation, the sample that it begins at, its channels (1-12 Hz at 64 Hz), and these of random phase."""
    shared = _shared_channels(config, data, presentations)
    last, whole = "", np.empty((0, 0))
    for one in presentations:
        if one.recording != last:
            names = data.channel_names(one.recording)
            places = [names.index(name) for name in shared[one.recording]]
            last = one.recording
            whole = band_pass(np.asarray(data.signal(last)[places], dtype=np.float64), EEG_RATE_HZ)
        begin = max(0, one.spans[0][0] - STEP)
        music = whole[:, begin : one.spans[-1][1] + STEP].astype(np.float32)
        # The whole presentation: within a window little of the timing would be left to lose.
        yield one, begin, music, phase_randomize(music, numpy_rng(config.seed, "protocol", "phase", *one.key))


def _shared_channels(
    config: ProtocolConfig, data: PreparedDataset, presentations: Sequence[_Presentation]
) -> dict[str, list[str]]:
    """{recording: names of its channels that are good in all recordings that one decoder meets}.

    Raises
    ------
    DataError
        If there is none.
    """
    alone = config.split.listeners == "own"
    groups: dict[str, list[str]] = {}
    for one in presentations:
        groups.setdefault(one.subject if alone else "", []).append(one.recording)
    found: dict[str, list[str]] = {}
    for recordings in groups.values():
        good = [
            [name for name, kept in zip(data.channel_names(key), data.channels(key)[1], strict=True) if kept]
            for key in dict.fromkeys(recordings)
        ]
        names = [name for name in good[0] if all(name in other for other in good[1:])]
        if not names:
            raise DataError(
                f"No channel is good in all {len(good)} recordings that one decoder meets",
                allowed="one or more of the same name",
                remedy="leave recordings out, or name channels alike",
            )
        found |= dict.fromkeys(recordings, names)
    return found


def _curves(file: str, start_s: float, seconds: float) -> FloatArray:
    """(curve, frame) control curves of a window of what was heard."""
    lead_s = min(LEAD_S, start_s)
    audio = read_audio(file, start_s=start_s - lead_s, duration_s=lead_s + seconds)
    first = round(lead_s * CURVE_RATE_HZ)
    return control_curves_numpy(audio)[:, first : first + round(seconds * CURVE_RATE_HZ)]


def _one_hot(rows: Sequence[Row]) -> Float64:
    names = sorted({row.song for row in rows})
    return np.eye(len(names))[[names.index(row.song) for row in rows]]


def _describe(curves: Sequence[FloatArray], seconds: float) -> Float64:
    """(window, dim) embeddings of what was heard."""
    mean, deviation = _embedding_scale(seconds)
    return (summarize(np.stack(curves), ONSETS) - mean) / deviation


@functools.lru_cache(maxsize=4)
def _embedding_scale(seconds: float) -> tuple[Float64, Float64]:
    frames = round(seconds * CURVE_RATE_HZ)
    songs = (render(compose(name, duration_s=seconds + 0.5)) for name in song_ids(None, SCALE_SEED, SCALE_SONGS))
    summaries = summarize(np.stack([control_curves_numpy(song.sum(axis=0))[:, :frames] for song in songs]), ONSETS)
    return summaries.mean(axis=0), np.maximum(summaries.std(axis=0), 1e-6)
