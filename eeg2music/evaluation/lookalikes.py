"""The same music under two names: found by ear, after re-encoding, trimming, a change of gain and renaming.

Landmarks (Wang 2003, "An industrial-strength audio search algorithm"): pairs of spectral peaks, each pair named by
its two frequencies and the time between. Two recordings of one sound share many landmarks at one offset in time; two
pieces share few, at scattered offsets. So a copy is found wherever it was cut from.

What it never finds: another performance, a transposed or a faster version. Those are versions of one work, and
have to be declared by `work_id`. Warns and refuses nothing, because it goes by likeness.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.audio import read_audio, resample
from eeg2music.errors import InputError
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

RATE_HZ = 8000
WINDOW, HOP = 1024, 128
# Half the width of the neighbourhood in which a peak has to be the highest: frames (16 ms) and bins (7.8 Hz).
PEAK_FRAMES, PEAK_BINS = 10, 12
# Peaks this far below the loudest are hiss, and the first to go when audio is encoded.
FLOOR_DB = 60.0
LOWEST_BIN = 8
# Each peak is paired with the next few in this zone.
FAN_OUT, ZONE_FRAMES, ZONE_BINS = 8, 120, 96
# Below either, two sounds are not alike. Of 360 pairs of simulated songs of one style none shares more than 0.005, and
# none 0.04 with its drums alone; copies that were cut and sent through MP3 or Vorbis keep 0.33 or more.
SHARE, LANDMARKS = 0.08, 12
# A stretch shorter than this is no music that could be told from another's.
OVERLAP_S = 2.0


class Fingerprint(NamedTuple):
    """The landmarks of a recording, sorted by name.

    names : (n,) two frequencies and a time between
    frames : (n,) when the first peak sounds, in frames of 16 ms
    length : frames of the recording
    """

    names: NDArray[np.int64]
    frames: NDArray[np.int64]
    length: int


class LookAlike(NamedTuple):
    """Two recordings that share landmarks at one offset.

    share : of the landmarks of the sparser one in the stretch that both have, how many match
    landmarks : how many these are
    offset_s : where the test song's begin lies in the training song
    overlap_s : length of the stretch that both have
    """

    train: str
    test: str
    share: float
    landmarks: int
    offset_s: float
    overlap_s: float


def fingerprint(audio: FloatArray, sample_rate_hz: float = SAMPLE_RATE_HZ) -> Fingerprint:
    """Landmarks of a recording.

    Parameters
    ----------
    audio : (samples,) mono

    Raises
    ------
    InputError
        If it is not finite, or holds too little sound to be told from another.
    """
    signal = np.asarray(audio, dtype=np.float32)
    if signal.ndim != 1 or not np.isfinite(signal).all():
        raise InputError(f"Audio of shape {signal.shape}", allowed="(samples,) finite, mono")
    level_db = _spectrogram_db(resample(signal, sample_rate_hz, RATE_HZ))
    frames, bins = _peaks(level_db)
    names, times = _landmarks(frames, bins)
    if len(names) < LANDMARKS:
        raise InputError(
            f"{len(names)} landmarks in {len(signal) / sample_rate_hz:.1f} s of audio",
            allowed=f"{LANDMARKS} or more",
            remedy="give more of the music: silence and single tones cannot be told apart",
        )
    order = np.lexsort((times, names))
    return Fingerprint(names[order], times[order], level_db.shape[1])


def fingerprint_files(files: Mapping[str, str | os.PathLike[str]]) -> dict[str, Fingerprint]:
    """{song: fingerprint} of whole sound files (WAV, FLAC, OGG, MP3).

    Raises
    ------
    InputError
        Naming the song that cannot be read or holds too little sound.
    """
    found = {}
    for song, path in files.items():
        try:
            found[song] = fingerprint(read_audio(path, sample_rate_hz=RATE_HZ), RATE_HZ)
        except InputError as error:
            raise InputError(f"{song}: {error.what}", allowed=error.allowed, remedy=error.remedy) from error
    return found


def look_alikes(
    train: Mapping[str, Fingerprint],
    test: Mapping[str, Fingerprint],
    *,
    share: float = SHARE,
    landmarks: int = LANDMARKS,
) -> list[LookAlike]:
    """Pairs of a training and a test song that sound like one recording, the most alike first.

    Pairs of one name are left out: these are caught by name.

    Parameters
    ----------
    train, test : {song: fingerprint}
    share, landmarks : from which on two are alike
    """
    names = list(train)
    index = _index([train[name] for name in names])
    found = []
    for song, own in test.items():
        # Few songs have a landmark worth counting in common: only these are looked at closely.
        for place in _candidates(index, own, landmarks):
            match = _match(names[place], train[names[place]], song, own)
            if match.share >= share and match.landmarks >= landmarks and match.train != match.test:
                found.append(match)
    return sorted(found, key=lambda match: -match.share)


def _spectrogram_db(signal: FloatArray) -> FloatArray:
    """(bin, frame) decibels above a floor relative to the loudest, so that gain changes nothing."""
    padded = np.pad(signal, (0, max(0, WINDOW - len(signal))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    window = np.hanning(WINDOW).astype(np.float32)
    power = np.empty((len(frames), WINDOW // 2 + 1), dtype=np.float32)
    # Blocks, so that long recordings do not fill the memory with windows.
    for start in range(0, len(frames), 4096):
        block = np.fft.rfft(frames[start : start + 4096] * window, axis=1)
        power[start : start + 4096] = np.square(np.abs(block))
    loudest = float(power.max())
    if loudest <= 0.0:
        return np.zeros_like(power).T
    return np.maximum(FLOOR_DB + 10.0 * np.log10(power / loudest + 1e-12), 0.0).astype(np.float32).T


def _peaks(level_db: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frames and bins of local maxima, in order of time."""
    from scipy.ndimage import maximum_filter

    highest = maximum_filter(level_db, size=(2 * PEAK_BINS + 1, 2 * PEAK_FRAMES + 1), mode="constant")
    peaks = (level_db == highest) & (level_db > 0.0)
    peaks[:LOWEST_BIN] = False
    frames, bins = np.nonzero(peaks.T)
    return frames.astype(np.int64), bins.astype(np.int64)


def _landmarks(frames: NDArray[np.int64], bins: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Names and times of pairs of peaks: each with the next `FAN_OUT` in its zone."""
    names, times = [], []
    paired = np.zeros(len(frames), dtype=np.int64)
    # Peaks come in order of time, so that the k-th next of all peaks is one shift of the arrays.
    for shift in range(1, len(frames)):
        apart, jump = frames[shift:] - frames[:-shift], bins[shift:] - bins[:-shift]
        reachable = apart <= ZONE_FRAMES
        if not reachable.any():
            break
        good = reachable & (apart > 0) & (np.abs(jump) <= ZONE_BINS) & (paired[:-shift] < FAN_OUT)
        anchor = np.flatnonzero(good)
        paired[anchor] += 1
        names.append((bins[anchor] * 1024 + bins[anchor + shift]) * 128 + apart[anchor])
        times.append(frames[anchor])
    if not names:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(names), np.concatenate(times)


class _Index(NamedTuple):
    """All landmarks of the training songs, sorted by name, with the song that each is of."""

    names: NDArray[np.int64]
    frames: NDArray[np.int64]
    songs: NDArray[np.int64]


def _index(fingerprints: Sequence[Fingerprint]) -> _Index:
    if not fingerprints:
        return _Index(*(np.zeros(0, np.int64) for _ in range(3)))
    names = np.concatenate([one.names for one in fingerprints])
    frames = np.concatenate([one.frames for one in fingerprints])
    songs = np.repeat(np.arange(len(fingerprints)), [len(one.names) for one in fingerprints])
    order = np.argsort(names, kind="stable")
    return _Index(names[order], frames[order], songs[order])


def _candidates(index: _Index, own: Fingerprint, landmarks: int) -> list[int]:
    """Training songs that share enough landmarks at one offset, give or take a frame."""
    place, mine = _joined(index.names, own.names)
    if place.size == 0:
        return []
    offsets = index.frames[place] - own.frames[mine]
    offsets -= offsets.min()
    width = int(offsets.max()) + 2
    keys, counts = np.unique(index.songs[place] * width + offsets, return_counts=True)
    follows = np.concatenate([np.diff(keys) == 1, [False]])
    together = counts + np.where(follows, np.concatenate([counts[1:], [0]]), 0)
    return sorted(set((keys[together >= landmarks] // width).tolist()))


def _match(name: str, other: Fingerprint, song: str, own: Fingerprint) -> LookAlike:
    """How much two recordings share at the offset that suits them best."""
    place, mine = _joined(other.names, own.names)
    if place.size == 0:
        return LookAlike(name, song, 0.0, 0, 0.0, 0.0)
    offsets = other.frames[place] - own.frames[mine]
    lowest = int(offsets.min())
    counts = np.bincount(offsets - lowest)
    # A cut between two frames spreads one offset over two neighbours.
    counts = counts + np.concatenate([counts[1:], [0]])
    for peak in np.argsort(-counts, kind="stable")[:8]:
        offset = int(peak) + lowest
        begin, end = max(0, offset), min(other.length, own.length + offset)
        overlap_s = (end - begin) * HOP / RATE_HZ
        if overlap_s < OVERLAP_S:
            continue
        there = int(np.sum((other.frames >= begin) & (other.frames < end)))
        here = int(np.sum((own.frames + offset >= begin) & (own.frames + offset < end)))
        matched = int(min(counts[peak], there, here))
        share = matched / max(1, min(there, here))
        return LookAlike(name, song, share, matched, offset * HOP / RATE_HZ, overlap_s)
    return LookAlike(name, song, 0.0, 0, 0.0, 0.0)


def _joined(names: NDArray[np.int64], own: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places in `names` (sorted) and in `own` of every pair of equal names."""
    first = np.searchsorted(names, own, side="left")
    count = np.searchsorted(names, own, side="right") - first
    mine = np.repeat(np.arange(len(own)), count)
    # 0, 1, ... within each run of equal names.
    within = np.arange(len(mine)) - np.repeat(np.cumsum(count) - count, count)
    return first[mine] + within, mine
