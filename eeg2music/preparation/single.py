"""One recording -> its signal file and its facts. Runs in a process of its own and sees no other recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from eeg2music.errors import Eeg2MusicError
from eeg2music.files import atomic_path, read_json, sha256_file, sha256_json, write_json
from eeg2music.preparation.config import PrepareConfig
from eeg2music.preparation.sources import Source, hash_files
from eeg2music.preprocess.eeg import channel_mask, preprocess
from eeg2music.preprocess.gaps import bad_stretches
from eeg2music.preprocess.windows import cover, stimulus_windows
from eeg2music.recordings.declared import work_label
from eeg2music.recordings.read import content_key, read_recording
from eeg2music.types import EEG_RATE_HZ, Recording

Facts = dict[str, Any]


def prepare_one(source: Source, *, cache: Path, config: PrepareConfig) -> Facts:
    """Facts about one recording, taken from the cache where they still hold; if it is unusable, {"error": why and what
    to do, "why": that alone}."""
    from threadpoolctl import threadpool_limits

    try:
        fingerprint = sha256_json([config.identity(), hash_files(source.path)])
        known = _finished(cache, source, fingerprint)
        if known is not None:
            return known
        # One thread: sums in another order would differ in the last bit.
        with threadpool_limits(1):
            raw = read_recording(source.path, channels=config.channels, montage=config.montage)
            recording = preprocess(raw, config.preprocess)
        named = recording.replace(key=source.key or recording.key)
        rows, left_out = without_marked(list(_rows(named, source, config)), bad_stretches(named))
    except Eeg2MusicError as error:
        return {"error": str(error), "why": str(Eeg2MusicError(error.what, allowed=error.allowed))}
    content = content_key(raw.signal_v, raw.sfreq_hz, raw.channel_names)
    return _store(named, {"content": content, "fingerprint": fingerprint}, rows, left_out, cache)


def _store(recording: Recording, hashes: Facts, rows: list[Facts], left_out: int, cache: Path) -> Facts:
    # From here on the list of windows no longer describes the signals, until it is written anew.
    (cache / "meta.json").unlink(missing_ok=True)
    signal_file = cache / "signals" / f"{recording.key}.npy"
    with atomic_path(signal_file) as temporary, temporary.open("wb") as handle:
        np.save(handle, recording.signal_v, allow_pickle=False)
    facts = {
        "recording": recording.key,
        **hashes,
        "signal_sha256": sha256_file(signal_file),
        "subject": recording.subject,
        "channels": _channel_facts(recording),
        "rows": rows,
        "left_out_windows": left_out,
    }
    write_json(cache / "recordings" / f"{recording.key}.json", facts)
    return facts


def _finished(cache: Path, source: Source, fingerprint: str) -> Facts | None:
    """Facts of an earlier run, if files, config and algorithm are still the same."""
    folder = cache / "recordings"
    candidates = [folder / f"{source.key}.json"] if source.key else sorted(folder.glob("[!.]*.json"))
    for file in candidates:
        if file.is_file():
            try:
                facts: Facts = dict(read_json(file))
            except (ValueError, TypeError):
                continue  # damaged: done again
            if facts.get("fingerprint") == fingerprint and (cache / "signals" / f"{facts['recording']}.npy").is_file():
                return facts
    return None


def _channel_facts(recording: Recording) -> Facts:
    stretches = bad_stretches(recording)
    places = [place if np.isfinite(place).all() else None for place in recording.positions_m]
    return {
        "names": list(recording.channel_names),
        "positions_m": [None if place is None else place.tolist() for place in places],
        "good": channel_mask(recording).tolist(),
        "bad": dict(recording.bad_channels),
        "left_out": dict(recording.left_out),
        "kind": recording.kind,
        "notes": list(recording.notes),
        **({"marked_bad_s": [list(stretch) for stretch in stretches]} if stretches else {}),
    }


def _rows(recording: Recording, source: Source, config: PrepareConfig) -> Iterator[Facts]:
    """Windows inside stimuli; over the whole recording where nothing was played."""
    place = {
        "recording": recording.key,
        "subject": recording.subject,
        "session": source.session,
        "run": source.run,
    }
    if not any(event.stimulus for event in recording.events):
        length, starts = cover(recording.signal_v.shape[1], config.window_s, config.hop_s)
        nothing = dict.fromkeys(("trial", "stimulus", "stim_file", "stimulus_onset_s", "repeat", "snr_db", "work_id"))
        for start in starts:
            yield {"window_id": f"{recording.key}/{start}", **place, **nothing, **_extent(start, length)}
        return
    trials: dict[float, int] = {}
    for event, start, length in stimulus_windows(recording, window_s=config.window_s, hop_s=config.hop_s):
        trial = trials.setdefault(event.onset_s, len(trials) + 1)
        yield {
            "window_id": f"{recording.key}/{start}",
            **place,
            "trial": _integer(event.fields.get("trial"), trial),
            "stimulus": stimulus_id(str(event.stimulus)),
            "stim_file": event.stimulus,
            "stimulus_onset_s": event.onset_s,
            **_extent(start, length),
            "repeat": _integer(event.fields.get("repeat"), None),
            "snr_db": _decibels(event.fields.get("snr_db")),
            "work_id": work_label(event.fields, f"the events of {recording.key}"),
        }


def without_marked(rows: list[Facts], stretches: Sequence[tuple[float, float]]) -> tuple[list[Facts], int]:
    """The windows that no stretch (start, stop) in seconds overlaps, and how many others there were.

    Repeats are counted first: what was heard was heard, also where its windows are left out.
    """
    if not stretches:
        return rows, 0
    kept = []
    for row in counted(rows):
        first, last = row["start_sample"] / EEG_RATE_HZ, (row["start_sample"] + row["n_samples"]) / EEG_RATE_HZ
        if not any(start < last and stop > first for start, stop in stretches):
            kept.append(row)
    return kept, len(rows) - len(kept)


def counted(rows: Sequence[Facts]) -> Iterator[Facts]:
    """Fill in how often a stimulus has been heard in its recording, this time included, where no column says it."""
    heard: dict[str, list[int]] = {}
    for row in rows:
        if row["stimulus"] is not None and row["repeat"] is None:
            trials = heard.setdefault(row["stimulus"], [])
            if row["trial"] not in trials:
                trials.append(row["trial"])
            row = {**row, "repeat": trials.index(row["trial"]) + 1}
        yield row


def stimulus_id(stim_file: str) -> str:
    """The song a `stim_file` names: its folder where that holds several stems, else the file without its suffix.

    With the folders above: files in two of them may have one name.

    >>> stimulus_id("funk-1-0042/mix.wav"), stimulus_id("rock/01.wav"), stimulus_id("jazz/01.wav")
    ('funk-1-0042', 'rock/01', 'jazz/01')
    """
    path = PurePosixPath(stim_file)
    return (path.parent if path.stem == "mix" and path.parent.name else path.with_suffix("")).as_posix()


def _extent(start: int, length: int) -> Facts:
    return {"start_sample": start, "n_samples": length}


def _integer(text: Any, default: int | None) -> int | None:
    try:
        return int(text)
    except (TypeError, ValueError):
        return default


def _decibels(text: Any) -> float | None:
    """The level that a simulated data set states for a trial."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None
