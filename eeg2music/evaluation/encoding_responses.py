"""Responses that come as arrays: voxels or contacts of each listener, beside features of what was heard.

One .npz a listener. Reads and checks them; scores nothing and embeds nothing.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.encoding_config import GIVEN, MNI, EncodingConfig
from eeg2music.evaluation.encoding_data import EncodingData
from eeg2music.evaluation.encoding_features import FeatureSet
from eeg2music.evaluation.encoding_material import Listened, Signals, Study
from eeg2music.metrics.checks import Float64, embeddings, finite

ALLOWED = (
    "a .npz with features (n, dim), responses (n, unit) or (presentation, n, unit) and songs (n,); and where they are "
    "known names (unit,), coordinates_mm (unit, 3) and works (n,)"
)
# No brain reaches further from the origin of MNI space, or lies within a millimetre of it as a whole.
_REACH_MM = (1.0, 200.0)


class Responses(NamedTuple):
    """One listener's. Rows are moments or clips in the order of the recording.

    features : (n, dim) of what was heard
    responses : (presentation, n, unit)
    songs : (n,)
    names : (unit,)
    coordinates_mm : (unit, 3) MNI; NaN where there are none
    work_of : {song: work}, as far as it is declared
    """

    features: Float64
    responses: Float64
    songs: tuple[str, ...]
    names: tuple[str, ...]
    coordinates_mm: Float64
    work_of: dict[str, str]


def read_responses(path: str | Path) -> Responses:
    """The arrays of one listener.

    Raises
    ------
    InputError
        If the file lacks one, or they do not fit each other.
    """
    file = Path(path)
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        raise InputError(f"{file.name} cannot be read", allowed=ALLOWED, remedy="save it with numpy.savez") from None
    missing = [name for name in ("features", "responses", "songs") if name not in arrays]
    if missing:
        raise InputError(f"{file.name} has no {', '.join(missing)}", allowed=ALLOWED)
    responses = finite("responses", arrays["responses"])
    trials = responses[None] if responses.ndim == 2 else responses
    features = embeddings("features", arrays["features"])
    if trials.ndim != 3 or trials.shape[1] != len(features):
        raise InputError(f"Responses of shape {responses.shape} for {len(features)} rows of features", allowed=ALLOWED)
    count = trials.shape[2]
    songs = _labels("songs", arrays["songs"], len(features))
    works = _labels("works", arrays["works"], len(features)) if "works" in arrays else ()
    names = _labels("names", arrays.get("names", np.arange(1, count + 1)), count)
    if len(set(names)) < count:
        raise InputError(f"{len(set(names))} different names for {count} units", allowed="a name for each")
    work_of = dict(zip(songs, works, strict=False))
    return Responses(features, trials, songs, names, _coordinates(arrays, count), work_of)


def responses_study(files: Mapping[str, str], genres: Mapping[str, str]) -> Study:
    """The listeners whose responses are given. files : {listener: .npz}; genres : {song: genre}, where it is known."""
    of = {subject: read_responses(file) for subject, file in files.items()}
    songs = tuple(sorted({song for one in of.values() for song in one.songs}))
    work_of = {song: work for one in of.values() for song, work in one.work_of.items()}
    return Study(tuple(of), songs, {song: genres[song] for song in songs if song in genres}, work_of,
                 lambda subject: _listened(subject, of[subject]))  # fmt: skip


def given_features(config: EncodingConfig) -> FeatureSet:
    """The only set of features there is: no audio is at hand from which others could be computed."""
    return FeatureSet(GIVEN, np.asarray, rate_hz=0.0, permutations=config.embedding_permutations)


def _listened(subject: str, one: Responses) -> Listened:
    signals = {f"presentation {turn + 1}": trial.T.astype(np.float32) for turn, trial in enumerate(one.responses)}
    why = None if len(signals) > 1 else "one presentation is given"
    places = (one.coordinates_mm / 1000.0).astype(np.float32)
    return Listened(subject, one.names, places, MNI, signals, partial(_rows, one), why)


def _rows(one: Responses, _: FeatureSet, signals: Signals) -> tuple[EncodingData, ...]:
    return tuple(
        EncodingData(one.features, np.asarray(signal.T, dtype=np.float64), one.songs, one.names)
        for signal in signals.values()
    )


def _labels(name: str, values: NDArray[Any], count: int) -> tuple[str, ...]:
    if values.shape != (count,):
        raise InputError(f"{name} of shape {values.shape}", allowed=f"({count},)")
    return tuple(str(value) for value in values.tolist())


def _coordinates(arrays: Mapping[str, NDArray[Any]], count: int) -> Float64:
    if "coordinates_mm" not in arrays:
        return np.full((count, 3), np.nan)
    places = finite("coordinates_mm", arrays["coordinates_mm"])
    if places.shape != (count, 3):
        raise InputError(f"coordinates_mm of shape {places.shape}", allowed=f"({count}, 3)")
    reach = float(np.abs(places).max())
    if not _REACH_MM[0] < reach < _REACH_MM[1]:
        raise InputError(
            f"coordinates_mm reach {reach:g}", allowed="millimetres in MNI space", remedy="multiply metres by 1000"
        )
    return places
