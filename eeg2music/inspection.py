"""What a recording is, in plain words: what `eeg2music info RECORDING` says.

Tells what can be used and what was left out, and why. Never tells who was recorded or when.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eeg2music.errors import InputError
from eeg2music.preprocess.eeg import MIN_GOOD_CHANNELS, MIN_UNMARKED_S, lacks_signal, signal_gaps
from eeg2music.preprocess.quality import assess, signal_notes
from eeg2music.recordings.prepared import PreparedDataset, is_prepared
from eeg2music.recordings.read import read_recording, reader_of
from eeg2music.regions.electrodes import coverage
from eeg2music.types import KIND_WORDS, Recording


def describe_recording(
    path: str | os.PathLike[str], *, channels: Sequence[str] | None = None, montage: str | None = None
) -> list[str]:
    """Lines that describe a recording, a BIDS data set or a prepared cache.

    Raises
    ------
    InputError
        If it cannot be read; as for `read_recording`.
    """
    place = Path(path)
    if is_prepared(place):
        return _cache_in_words(place)
    if place.is_dir() and (place / "dataset_description.json").is_file():
        return _dataset_in_words(place)
    recording = read_recording(place, channels=channels, montage=montage)
    return _recording_in_words(recording, reader_of(place).title if place.is_file() else "a folder")


def _recording_in_words(recording: Recording, title: str) -> list[str]:
    kept, bad = recording.channel_names, assess(recording)
    good = [name not in bad for name in kept]
    kind = KIND_WORDS.get(recording.kind, recording.kind)
    lines = [
        f"{kind} recording ({title}), {round(recording.duration_s, 3):g} s at {round(recording.sfreq_hz, 4):g} Hz",
        f"{len(kept)} brain channels: {_listed(kept)}",
    ]
    lines += _grouped("left out", recording.left_out)
    lines += _grouped("bad", bad) or ["no bad channel"]
    if sum(good) < MIN_GOOD_CHANNELS:
        lines.append(f"cannot be decoded: {sum(good)} good channels, {MIN_GOOD_CHANNELS} are needed")
    elif (said := lacks_signal(recording, signal_gaps(recording, np.array(good)))) is not None:
        lines.append(f"cannot be decoded: {said}, {MIN_UNMARKED_S:g} s are needed")
    if any(good):
        lines.append(f"regions covered: {coverage(recording.positions_m[good]).in_words()}")
    count, stimuli = len(recording.events), sum(event.stimulus is not None for event in recording.events)
    several = "event" if count == 1 else "events"
    lines.append(f"{count} {several}, {stimuli} of them name what was played" if count else "no events")
    return lines + [f"note: {note}" for note in (*recording.notes, *signal_notes(recording))]


def _grouped(word: str, reasons: Mapping[str, str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for name, why in reasons.items():
        groups.setdefault(why, []).append(name)
    return [f"{word}: {_listed(names)} ({why})" for why, names in groups.items()]


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"


def _dataset_in_words(place: Path) -> list[str]:
    from eeg2music.recordings.bids import FETCH, BidsDataset

    dataset = BidsDataset(place)
    if not dataset.recordings and not dataset.missing:
        dataset.check()
    lines = [f"BIDS data set: {len(dataset.recordings)} recordings of {len(dataset.subjects)} subjects"]
    if dataset.missing:
        lines.append(f"{len(dataset.missing)} recordings are announced and not here; {FETCH}")
    if dataset.recordings:
        lines.append("name one recording to see its channels, or use `eeg2music prepare` for all")
    return lines


def _cache_in_words(place: Path) -> list[str]:
    data = PreparedDataset(place)
    if not len(data):
        raise InputError(
            f"{place} is a prepared cache without a window", allowed="one or more", remedy="prepare longer recordings"
        )
    songs = {row["stimulus"] for row in data.rows if row["stimulus"] is not None}
    lines = [
        f"prepared cache: {len(data)} windows from {len(data.recordings)} recordings of {len(data.subjects)} subjects, "
        f"{len(songs)} stimuli, {KIND_WORDS.get(data.spec.kind, data.spec.kind)} at {data.spec.sfreq_hz:g} Hz"
    ]
    left_out = data.meta["left_out_windows"]
    return lines + ([f"{left_out} windows that overlap stretches marked bad were left out"] if left_out else [])
