"""The prepared cache: preprocessed recordings and a list of windows, read by training and evaluation.

```
CACHE/config.json               what the cache was made with
CACHE/meta.json                 written last: subjects, channels and content keys by recording, content hash
CACHE/windows.jsonl             one row per window
CACHE/signals/<recording>.npy   (channel, time) float32 at EEG_RATE_HZ, memory-mapped
CACHE/recordings/<recording>.json
```
Reads only. `eeg2music.preparation` writes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import DataError
from eeg2music.files import read_json
from eeg2music.types import EEG_RATE_HZ, MARKED_BAD, Event, FloatArray, Recording, SignalSpec, Window

SCHEMA = 3
# The kind of a cache that holds recordings of several.
MIXED = "mixed"


class PreparedDataset:
    """Windows of a prepared cache.

    Attributes
    ----------
    rows : one mapping per window: window_id, recording, subject, session, run, trial, stimulus,
        stimulus_file (absolute path or None), stimulus_onset_s, start_sample, n_samples, repeat (from 1),
        snr_db (of a simulated trial, or None), site (of the listener) and work_id (of the stimulus), None where
        the data set declares none
    spec : sizes that the data decides
    content_hash : of everything in the cache

    Raises
    ------
    DataError
        If the folder is no finished cache, or of another version.
    """

    def __init__(self, cache: str | os.PathLike[str]) -> None:
        self.cache = Path(cache)
        self.meta = _read_meta(self.cache)
        self.rows: list[dict[str, Any]] = [self._row(line) for line in self._lines()]
        self.content_hash: str = self.meta["content_hash"]
        self._signals: dict[str, FloatArray] = {}
        self._channels: dict[str, tuple[FloatArray, NDArray[np.bool_]]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Labels, sorted; a subject's number for the encoder is its place here."""
        return tuple(self.meta["subjects"])

    @property
    def recordings(self) -> tuple[str, ...]:
        return tuple(self.meta["channels_by_recording"])

    @property
    def spec(self) -> SignalSpec:
        return SignalSpec(
            kind=self.meta["kind"],
            sfreq_hz=float(self.meta["sfreq_hz"]),
            subjects=self.subjects,
            n_channels_max=int(self.meta["n_channels_max"]),
        )

    def channel_names(self, recording: str) -> tuple[str, ...]:
        return tuple(self.meta["channels_by_recording"][recording]["names"])

    def content(self, recording: str) -> str:
        """`read.content_key` of the recording that was prepared, before preprocessing."""
        return str(self.meta["content_by_recording"][recording])

    def subject(self, recording: str) -> str:
        """Label of who was recorded."""
        path = self.cache / "recordings" / f"{recording}.json"
        try:
            return str(read_json(path)["subject"])
        except (OSError, ValueError, KeyError):
            raise _damaged(path) from None

    def signal(self, recording: str) -> FloatArray:
        """(channel, time) of a whole recording, memory-mapped and read-only."""
        if recording not in self._signals:
            path = self.cache / "signals" / f"{recording}.npy"
            try:
                self._signals[recording] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError):
                raise _damaged(path) from None
        return self._signals[recording]

    def channels(self, recording: str) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Positions (channel, 3), NaN where unknown, and mask (channel,) of good channels."""
        if recording not in self._channels:
            facts = self.meta["channels_by_recording"][recording]
            positions = [[np.nan] * 3 if place is None else place for place in facts["positions_m"]]
            self._channels[recording] = (
                np.asarray(positions, dtype=np.float32).reshape(-1, 3),
                np.asarray(facts["good"], dtype=bool),
            )
        return self._channels[recording]

    def recording(self, recording: str, first: int = 0, last: int | None = None) -> Recording:
        """A recording as preprocessing left it, from sample `first` to before `last`; its signal is a copy.

        Of its events those come along that mark bad stretches.
        """
        facts = self.meta["channels_by_recording"][recording]
        signal = np.array(self.signal(recording)[:, first:last], dtype=np.float32)
        start_s, duration_s = first / EEG_RATE_HZ, signal.shape[1] / EEG_RATE_HZ
        marked = [(begin - start_s, end - begin) for begin, end in facts.get("marked_bad_s", ())]
        return Recording(
            signal_v=signal,
            sfreq_hz=float(EEG_RATE_HZ),
            channel_names=tuple(facts["names"]),
            positions_m=self.channels(recording)[0].copy(),
            kind=facts["kind"],
            key=recording,
            subject=self.subject(recording),
            bad_channels=dict(facts["bad"]),
            left_out=dict(facts["left_out"]),
            events=tuple(Event(*place, MARKED_BAD) for place in marked if -place[1] < place[0] < duration_s),
            notes=tuple(facts["notes"]),
        )

    def window(self, index: int) -> Window:
        """One window; its arrays are copies."""
        row = self.rows[index]
        start, count = row["start_sample"], row["n_samples"]
        positions, mask = self.channels(row["recording"])
        onset = row["stimulus_onset_s"]
        return Window(
            eeg=np.array(self.signal(row["recording"])[:, start : start + count], dtype=np.float32),
            positions_m=positions.copy(),
            channel_mask=mask.copy(),
            subject=row["subject"],
            window_id=row["window_id"],
            recording=row["recording"],
            stimulus_id=row["stimulus"],
            stimulus_file=row["stimulus_file"],
            stimulus_start_s=None if onset is None else start / EEG_RATE_HZ - onset,
            start_s=start / EEG_RATE_HZ,
        )

    def _lines(self) -> list[str]:
        try:
            return (self.cache / "windows.jsonl").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            raise _damaged(self.cache / "windows.jsonl") from None

    def _row(self, line: str) -> dict[str, Any]:
        try:
            row = dict(json.loads(line))
        except (ValueError, TypeError):
            raise _damaged(self.cache / "windows.jsonl") from None
        if row["stimulus_file"] is not None:
            # Stored relative to the cache, so that data set and cache can be moved together.
            row["stimulus_file"] = os.path.normpath(self.cache.absolute() / row["stimulus_file"])
        return row


def _damaged(path: Path) -> DataError:
    return DataError(
        f"{path} is missing or damaged",
        allowed="what `eeg2music prepare` wrote",
        remedy="delete it and run the same `eeg2music prepare` command again; it redoes what is missing",
    )


def is_prepared(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a finished prepared cache."""
    return (Path(folder) / "meta.json").is_file() and (Path(folder) / "windows.jsonl").is_file()


def _read_meta(cache: Path) -> Mapping[str, Any]:
    path = cache / "meta.json"
    if not path.is_file():
        unfinished = (cache / "config.json").is_file()
        raise DataError(
            f"{cache} is an unfinished prepared cache" if unfinished else f"{cache} is not a prepared cache",
            allowed="a folder made by `eeg2music prepare`",
            remedy="run the same `eeg2music prepare` command again, it resumes"
            if unfinished
            else "make one: eeg2music prepare DATA --out CACHE",
        )
    try:
        meta = dict(read_json(path))
    except (ValueError, TypeError):
        raise _damaged(path) from None
    if meta.get("schema") != SCHEMA:
        raise DataError(
            f"{cache} was prepared in format {meta.get('schema')!r}",
            allowed=f"format {SCHEMA}",
            remedy="prepare the data again into a new folder: eeg2music prepare DATA --out NEW_CACHE",
        )
    return meta
