"""Composed songs as curves without rendering them: what a listener follows, read off the notes.

Rougher than `simulation.features`, which measures rendered audio, and a thousand times faster. Serves the protocols'
simulated recordings alone.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.evaluation.protocols.config import SimulatedRule
from eeg2music.simulation.composer import STYLES, compose
from eeg2music.simulation.features import FEATURE_RATE_HZ, PITCH_CENTRE
from eeg2music.simulation.library import song_ids
from eeg2music.simulation.responses import FEATURES, kernels, respond
from eeg2music.simulation.song import Song
from eeg2music.types import STEMS, FloatArray

CURVE_RATE_HZ = 32
# A family of songs of their own, and one from which curves and embeddings take their scale.
SONG_SEED, SCALE_SEED = 77, 78
SCALE_SONGS = 64
DECAY_S = {"drums": 0.08}
RHYTHM_LAGS = 32
# Which of the curves (stem * feature, frame) are onsets: the first, and how many lie from one to the next.
Onsets = tuple[int, int]
ONSETS: Onsets = (FEATURES.index("onset"), len(FEATURES))
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """A composed song with its genre."""

    name: str
    style: str
    song: Song


@functools.lru_cache(maxsize=4)
def make_songs(rule: SimulatedRule) -> tuple[Labelled, ...]:
    """The songs of a rule, genres in turn. Beyond the composer's eight styles, styles are halved by tempo."""
    each = -(-rule.songs // rule.styles)
    by_genre: list[list[Labelled]] = []
    for genre in range(rule.styles):
        style = STYLES[genre % len(STYLES)]
        halved = rule.styles > len(STYLES) and (genre + len(STYLES) < rule.styles or genre >= len(STYLES))
        ids = song_ids(style, SONG_SEED + 1000 * rule.seed, 2 * each if halved else each)
        songs = [compose(name, duration_s=rule.song_seconds) for name in ids]
        if halved:
            songs.sort(key=lambda song: song.tempo_bpm)
            songs = songs[each:] if genre >= len(STYLES) else songs[:each]
            style += ", fast" if genre >= len(STYLES) else ", slow"
        by_genre.append([Labelled(song.song_id, style, song) for song in songs])
    turns = [own[turn] for turn in range(each) for own in by_genre]
    return tuple(turns[: rule.songs])


def sketch(song: Song) -> FloatArray:
    """(stem, feature, frame) at 240 Hz: envelope, onset, pitch, brightness, before scaling."""
    frames = round(song.duration_s * FEATURE_RATE_HZ)
    rows = np.zeros((len(STEMS), len(FEATURES), frames))
    for place, stem in enumerate(STEMS):
        gain = 10.0 ** (song.levels_db[stem] / 20.0)
        bright = song.timbres[stem].brightness - 0.5
        sounding = np.zeros(frames)
        for onset_s, duration_s, pitch, velocity in song.notes[stem]:
            first = max(round(onset_s * FEATURE_RATE_HZ), 0)
            last = min(max(round((onset_s + duration_s) * FEATURE_RATE_HZ), first + 2), frames)
            if first >= last:
                continue
            loudness = gain * velocity / 127.0
            course = np.exp(-np.arange(last - first) / (FEATURE_RATE_HZ * DECAY_S.get(stem, 0.5)))
            rows[place, 0, first:last] += loudness * course
            rows[place, 1, first : first + 3] += loudness
            rows[place, 2, first:last] += (pitch - PITCH_CENTRE[stem]) / 12.0
            rows[place, 3, first:last] += bright + (velocity - 90.0) / 127.0
            sounding[first:last] += 1.0
        rows[place, 2:] /= np.maximum(sounding, 1.0)
    return rows.astype(np.float32)


@functools.lru_cache(maxsize=8)
def music_scale(seconds: float) -> FloatArray:
    """(stem, feature) deviation of the responses over other songs, none of which is heard: features drive the brain
    about alike.

    seconds : length of the windows
    """
    taps = kernels("default", FEATURE_RATE_HZ)
    responses = np.concatenate([respond(one, taps) for one in _others(seconds)], axis=-1)
    return np.asarray(np.maximum(responses.std(axis=-1), 1e-6), dtype=np.float32)


@functools.lru_cache(maxsize=8)
def _others(seconds: float) -> tuple[FloatArray, ...]:
    """Sketches of songs that no protocol plays: what is tested has no say in the scale that it is tested on."""
    return tuple(sketch(compose(name, duration_s=seconds + 0.5)) for name in song_ids(None, SCALE_SEED, SCALE_SONGS))


def curves_of(features: FloatArray) -> FloatArray:
    """(stem * feature, frame) at 32 Hz, smoothed over a frame."""
    flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
    width = FEATURE_RATE_HZ // CURVE_RATE_HZ
    total = np.cumsum(np.pad(flat, ((0, 0), (width // 2 + 1, width // 2))), axis=1)
    smooth = (total[:, width:] - total[:, :-width]) / width
    frames = int(flat.shape[1] / FEATURE_RATE_HZ * CURVE_RATE_HZ)
    centres = ((np.arange(frames) + 0.5) * FEATURE_RATE_HZ / CURVE_RATE_HZ).astype(np.int64)
    return smooth[:, np.minimum(centres, smooth.shape[1] - 1)].astype(np.float32)


def summarize(curves: NDArray[np.floating], onsets: Onsets = ONSETS) -> Float64:
    """Level, spread and rhythm of windows: (window, curve, frame) -> (window, summary).

    Rhythm is the autocorrelation of the onsets of each stem up to one second. onsets : which curves these are, as
    `ONSETS`
    """
    values = np.asarray(curves, dtype=np.float64)
    onset = values[:, onsets[0] :: onsets[1]]
    onset = onset - onset.mean(axis=-1, keepdims=True)
    frames = onset.shape[-1]
    spread = np.maximum(np.square(onset).mean(axis=-1), 1e-9)
    lags = range(1, min(RHYTHM_LAGS, frames - 1) + 1)
    rhythm = [(onset[..., lag:] * onset[..., :-lag]).sum(axis=-1) / frames / spread for lag in lags]
    parts = [values.mean(axis=-1), values.std(axis=-1), np.concatenate(rhythm, axis=-1)]
    return np.concatenate(parts, axis=1)


def describe(curves: Sequence[FloatArray], seconds: float) -> Float64:
    """(window, dim) embeddings of music: summaries on the scale of other songs, none of which is heard."""
    mean, deviation = _embedding_scale(seconds)
    return (summarize(np.stack(curves)) - mean) / deviation


@functools.lru_cache(maxsize=8)
def _embedding_scale(seconds: float) -> tuple[Float64, Float64]:
    scale = music_scale(seconds)
    frames = round(seconds * CURVE_RATE_HZ)
    summaries = summarize(np.stack([curves_of(one / scale[..., None])[:, :frames] for one in _others(seconds)]))
    return summaries.mean(axis=0), np.maximum(summaries.std(axis=0), 1e-6)
