"""What a recording is, in plain words: what `eeg2music info RECORDING` says.

Tells what can be used and what was left out, and why. Never tells who was recorded or when.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eeg2music.errors import InputError
from eeg2music.preprocess.eeg import MIN_GOOD_CHANNELS
from eeg2music.preprocess.gaps import bad_stretches
from eeg2music.preprocess.quality import assess, signal_notes
from eeg2music.recordings.prepared import PreparedDataset, is_prepared
from eeg2music.recordings.read import read_recording, reader_of
from eeg2music.regions.electrodes import coverage
from eeg2music.types import KIND_WORDS, Recording


@dataclass(frozen=True)
class Description:
    """facts : JSON-able; lines : the same in plain words."""

    facts: Mapping[str, Any]
    lines: list[str]


def describe_recording(
    path: str | os.PathLike[str], *, channels: Sequence[str] | None = None, montage: str | None = None
) -> Description:
    """Describe a recording, a BIDS data set or a prepared cache.

    Raises
    ------
    InputError
        If it cannot be read; as for `read_recording`.
    """
    place = Path(path)
    if is_prepared(place):
        return _describe_cache(place)
    if place.is_dir() and (place / "dataset_description.json").is_file():
        return _describe_dataset(place)
    recording = read_recording(place, channels=channels, montage=montage)
    title = reader_of(place).title if place.is_file() else "recording"
    facts = recording_facts(recording, file_format=title)
    return Description(facts, _in_words(facts))


def recording_facts(recording: Recording, *, file_format: str | None = None) -> dict[str, Any]:
    """Facts about a raw recording, for `info` and for reports."""
    bad = assess(recording)
    good = [name not in bad for name in recording.channel_names]
    covered = coverage(recording.positions_m[good])
    return {
        "format": file_format,
        "kind": recording.kind,
        "key": recording.key,
        "duration_s": round(recording.duration_s, 3),
        "sfreq_hz": round(recording.sfreq_hz, 4),
        "channels": list(recording.channel_names),
        "left_out": dict(recording.left_out),
        "bad_channels": bad,
        "n_good_channels": sum(good),
        "regions": dict(covered.electrodes),
        "regions_in_words": covered.in_words(),
        "events": dict(Counter(event.kind for event in recording.events)),
        "marked_bad_s": [list(stretch) for stretch in bad_stretches(recording)],
        "n_stimuli": sum(event.stimulus is not None for event in recording.events),
        "line_freq_hz": recording.line_freq_hz,
        "notes": [*recording.notes, *signal_notes(recording)],
    }


def _in_words(facts: Mapping[str, Any]) -> list[str]:
    kind = KIND_WORDS.get(facts["kind"], facts["kind"])
    kept = facts["channels"]
    lines = [
        f"{kind} recording ({facts['format']}), {facts['duration_s']:g} s at {facts['sfreq_hz']:g} Hz",
        f"{len(kept)} brain channels: {_listed(kept)}",
    ]
    lines += _grouped("left out", facts["left_out"])
    lines += _grouped("bad", facts["bad_channels"]) or ["no bad channel"]
    if facts["n_good_channels"] < MIN_GOOD_CHANNELS:
        lines.append(f"cannot be decoded: {facts['n_good_channels']} good channels, {MIN_GOOD_CHANNELS} are needed")
    lines.append(f"regions covered: {facts['regions_in_words']}")
    count = sum(facts["events"].values())
    lines.append(f"{count} events, {facts['n_stimuli']} of them name what was played" if count else "no events")
    lines += [f"note: {note}" for note in facts["notes"]]
    return lines


def _grouped(word: str, reasons: Mapping[str, str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for name, why in reasons.items():
        groups.setdefault(why, []).append(name)
    return [f"{word}: {_listed(names)} ({why})" for why, names in groups.items()]


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"


def _describe_dataset(place: Path) -> Description:
    from eeg2music.recordings.bids import FETCH, BidsDataset

    dataset = BidsDataset(place)
    if not dataset.recordings and not dataset.missing:
        dataset.check()
    facts = {
        "format": "BIDS",
        "n_recordings": len(dataset.recordings),
        "n_missing": len(dataset.missing),
        "subjects": list(dataset.subjects),
        "kinds": sorted({recording.suffix for recording in dataset.recordings}),
    }
    lines = [f"BIDS data set: {len(dataset.recordings)} recordings of {len(dataset.subjects)} subjects"]
    if dataset.missing:
        lines.append(f"{len(dataset.missing)} recordings are announced and not here; {FETCH}")
    if dataset.recordings:
        lines.append("name one recording to see its channels, or use `eeg2music prepare` for all")
    return Description(facts, lines)


def _describe_cache(place: Path) -> Description:
    data = PreparedDataset(place)
    if not len(data):
        raise InputError(
            f"{place} is a prepared cache without a window", allowed="one or more", remedy="prepare longer recordings"
        )
    songs = {row["stimulus"] for row in data.rows if row["stimulus"] is not None}
    facts = {
        "format": "prepared cache",
        "n_windows": len(data),
        "n_recordings": len(data.recordings),
        "subjects": list(data.subjects),
        "n_stimuli": len(songs),
        "left_out_windows": data.meta["left_out_windows"],
        "kind": data.spec.kind,
    }
    line = (
        f"prepared cache: {len(data)} windows from {len(data.recordings)} recordings of {len(data.subjects)} subjects, "
        f"{len(songs)} stimuli, {KIND_WORDS.get(data.spec.kind, data.spec.kind)} at {data.spec.sfreq_hz:g} Hz"
    )
    left_out = facts["left_out_windows"]
    marked = [f"{left_out} windows that overlap stretches marked bad were left out"] if left_out else []
    return Description(facts, [line, *marked])
