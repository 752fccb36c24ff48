"""Rows of an encoding model: features of what was heard beside what was recorded meanwhile.

From stretches of audio and recording, or window by window from a prepared set. Fits and scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.audio import read_audio
from eeg2music.errors import DataError, InputError
from eeg2music.metrics.checks import Float64, embeddings, finite
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.types import EEG_RATE_HZ, FloatArray


@dataclass(frozen=True)
class EncodingData:
    """What an encoding model is fitted on.

    Attributes
    ----------
    features : (n, dim), responses : (n, target), row by row the same moment (or clip)
    groups : (n,) song of each row, held out whole
    names : (target,) of voxels, regions or channels
    """

    features: Float64
    responses: Float64
    groups: tuple[str, ...]
    names: tuple[str, ...]


class Stretch(NamedTuple):
    """What was heard and what was recorded meanwhile. audio : (samples,) at 24 kHz, eeg : (channel, time) at 64 Hz."""

    song: str
    audio: FloatArray
    eeg: ArrayLike


def lagged(features: ArrayLike, lags: int) -> Float64:
    """Features of the last `lags` frames side by side, for a response that comes late. (n, dim) -> (n, lags * dim).

    Before the first frame there is nothing: zeros. Lag each song for itself.

    >>> lagged([[1.0], [2.0], [3.0]], 2)
    array([[1., 0.],
           [2., 1.],
           [3., 2.]])
    """
    values = embeddings("features", features)
    if not 1 <= lags <= len(values):
        raise InputError(f"lags = {lags}", allowed=f"1 to the number of frames, {len(values)}")
    padded = np.concatenate([np.zeros((lags - 1, values.shape[1])), values])
    return np.hstack([padded[lags - 1 - lag : lags - 1 - lag + len(values)] for lag in range(lags)])


def encoding_rows(
    stretches: Iterable[Stretch],
    names: Sequence[str],
    features_of: Callable[[FloatArray], ArrayLike],
    *,
    rate_hz: float,
    lags: int = 1,
    power: bool = False,
) -> EncodingData:
    """Features of the heard audio and the recorded channels, row by row.

    Parameters
    ----------
    names : of the channels of every stretch
    features_of : (samples,) at 24 kHz -> (frame, dim) at `rate_hz`, or (dim,) for one row a stretch
    rate_hz : of the features; the recording is averaged down to it. It divides 64 Hz
    lags : frames of the past that are looked at, e.g. 13 at 32 Hz for 400 ms
    power : a channel's response is the logarithm of its power in each frame, as it always is for (dim,) features
    """
    step = round(EEG_RATE_HZ / rate_hz)
    features, responses, songs = [], [], []
    for stretch in stretches:
        values = finite("features_of(audio)", features_of(stretch.audio))
        eeg = np.asarray(stretch.eeg, dtype=np.float64)
        whole = values.ndim == 1
        frames = 1 if whole else min(len(values), eeg.shape[-1] // step)
        cut = eeg[:, None] if whole else eeg[:, : frames * step].reshape(len(eeg), frames, step)
        response = np.log(np.mean(cut**2, axis=-1) + 1e-12) if power or whole else cut.mean(axis=-1)
        features.append(values[None] if whole else lagged(values[:frames], lags))
        responses.append(response.T)
        songs += [stretch.song] * frames
    return EncodingData(np.concatenate(features), np.concatenate(responses), tuple(songs), tuple(names))


def prepared_encoding_data(
    cache: str | Path | PreparedDataset,
    subject: str,
    features_of: Callable[[FloatArray], ArrayLike],
    *,
    rate_hz: float,
    lags: int = 1,
    power: bool = False,
    places: Sequence[int] | None = None,
    signals: Mapping[str, FloatArray] | None = None,
) -> EncodingData:
    """Features of the heard audio and the channels of one subject, window by window, from a prepared set.

    Parameters
    ----------
    cache : folder made by `eeg2music prepare`, or the set itself
    subject : label; channels of different subjects are not the same channels
    features_of, rate_hz, lags, power : as for `encoding_rows`, a stretch being a window
    places : which of the set's windows, in this order; all of the subject's by default
    signals : {recording: (channel, time)} in place of the set's own, e.g. surrogates

    Raises
    ------
    DataError
        If the subject has no window with known audio, or its recordings have different channels.
    """
    data = cache if isinstance(cache, PreparedDataset) else PreparedDataset(cache)
    rows = heard_windows(data, subject)
    names, good = common_channels(data, rows)

    def stretches() -> Iterable[Stretch]:
        for place in rows if places is None else places:
            window = data.window(place)
            first, count = data.rows[place]["start_sample"], window.eeg.shape[-1]
            eeg = window.eeg if signals is None else signals[window.recording][:, first : first + count]
            start_s, seconds = window.stimulus_start_s or 0.0, count / EEG_RATE_HZ
            audio = read_audio(str(window.stimulus_file), start_s=start_s, duration_s=seconds)
            yield Stretch(str(window.stimulus_id), audio, eeg[good])

    return encoding_rows(stretches(), names, features_of, rate_hz=rate_hz, lags=lags, power=power)


def heard_windows(data: PreparedDataset, subject: str) -> list[int]:
    """Places of a subject's windows whose audio is known.

    Raises
    ------
    DataError
        If there are none.
    """
    rows = [place for place, row in enumerate(data.rows) if row["subject"] == subject and row["stimulus_file"]]
    if not rows:
        raise DataError(
            f"{subject} has no window whose audio is known", allowed=f"a subject of {', '.join(data.subjects)}"
        )
    return rows


def common_channels(data: PreparedDataset, rows: Sequence[int]) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Names of the channels that are good in all recordings of the windows `rows`, and where they are: (channel,).

    Raises
    ------
    DataError
        If the recordings have different channels.
    """
    recordings = sorted({data.rows[place]["recording"] for place in rows})
    names = data.channel_names(recordings[0])
    other = [recording for recording in recordings if data.channel_names(recording) != names]
    if other:
        raise DataError(
            f"{recordings[0]} and {other[0]} have different channels", remedy="score the recordings one by one"
        )
    good = np.all([data.channels(recording)[1] for recording in recordings], axis=0)
    return tuple(name for name, kept in zip(names, good, strict=True) if kept), good
