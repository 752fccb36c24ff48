"""The text files that BIDS puts beside a recording: events, channels, electrodes, JSON.

Follows the inheritance principle (a file higher up holds for everything below whose entities it
shares). Reads positions, rates and markers; never names, ages or free descriptions.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.errors import DataError
from eeg2music.types import MARKED_BAD, Event, is_marked_bad

KINDS = ("eeg", "ieeg", "meg")
_NAME = re.compile(r"^(?P<entities>sub-[A-Za-z0-9+]+(?:_[a-zA-Z]+-[A-Za-z0-9+]+)*)_(?P<suffix>eeg|ieeg|meg)\.")
_SPACE_ENTITIES = {"space"}


def parse_name(path: Path) -> tuple[dict[str, str], str] | None:
    """({entity: label}, suffix) of a BIDS file name, or None if it is none.

    >>> parse_name(Path("sub-01_task-music_run-2_eeg.vhdr"))
    ({'sub': '01', 'task': 'music', 'run': '2'}, 'eeg')
    """
    match = _NAME.match(path.name)
    if match is None:
        return None
    pairs = (part.split("-", 1) for part in match.group("entities").split("_"))
    return {part[0]: part[1] for part in pairs}, match.group("suffix")


def bids_key(entities: Mapping[str, str], suffix: str) -> str:
    """The label of a recording, unique within its data set, such as "sub-01_task-music_run-2"."""
    label = "_".join(f"{key}-{value}" for key, value in entities.items())
    return label if suffix == "eeg" else f"{label}_{suffix}"


def dataset_root(path: Path) -> Path | None:
    """The nearest folder above with a dataset_description.json."""
    for folder in path.absolute().parents:
        if (folder / "dataset_description.json").is_file():
            return folder
    return None


@dataclass(frozen=True)
class Sidecars:
    """What the text files beside one BIDS recording say."""

    path: Path
    root: Path
    entities: Mapping[str, str]
    suffix: str

    @classmethod
    def of(cls, path: Path) -> Sidecars | None:
        """The sidecars of a recording inside a BIDS data set, or None elsewhere."""
        parsed, root = parse_name(path), dataset_root(path)
        return None if parsed is None or root is None else cls(path, root, parsed[0], parsed[1])

    @property
    def key(self) -> str:
        return bids_key(self.entities, self.suffix)

    @property
    def subject(self) -> str:
        return f"sub-{self.entities['sub']}"

    def files(self) -> list[Path]:
        """Every sidecar that counts, for hashing."""
        found = [*self._find(self.suffix, ".json"), *self._find("coordsystem", ".json", _SPACE_ENTITIES)]
        for suffix, extra in (("events", set()), ("channels", set()), ("electrodes", _SPACE_ENTITIES)):
            found += self._find(suffix, ".tsv", extra)[:1]
        return found

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The merged JSON; nearer files override."""
        merged: dict[str, Any] = {}
        for file in reversed(self._find(self.suffix, ".json")):
            merged |= _read_json(file)
        return merged

    @property
    def line_freq_hz(self) -> float | None:
        value = self.metadata.get("PowerLineFrequency")
        return float(value) if isinstance(value, int | float) and value > 0 else None

    def channels(self) -> list[dict[str, str]]:
        return self._table("channels")

    def electrodes(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """({NAME: (3,)} in the file's own unit and frame, the coordinate system's JSON)."""
        rows = self._table("electrodes", _SPACE_ENTITIES)
        places = {}
        for row in rows:
            where = np.array([_number(row.get(axis)) for axis in "xyz"])
            if "name" in row and np.isfinite(where).all():
                places[row["name"].strip().upper()] = where
        system: dict[str, Any] = {}
        for file in self._find("coordsystem", ".json", _SPACE_ENTITIES)[:1]:
            system = _read_json(file)
        return places, system

    def events(self) -> tuple[Event, ...]:
        """Rows of events.tsv. A `stim_file` column makes an event the onset of a stimulus.

        Other rows whose trial_type begins with "bad" mark bad stretches, as MNE-BIDS writes and reads them.
        """
        events = []
        for row in self._table("events"):
            onset, duration = _number(row.get("onset")), _number(row.get("duration"))
            if not math.isfinite(onset):
                continue
            stim_file = row.get("stim_file", "n/a").strip()
            stimulus = None if stim_file in ("", "n/a") else stim_file
            kind = row.get("trial_type", "event")
            others = {key: value for key, value in row.items() if key not in ("onset", "duration", "stim_file")}
            events.append(
                Event(
                    onset_s=onset,
                    duration_s=duration if math.isfinite(duration) and duration > 0 else 0.0,
                    kind=MARKED_BAD if stimulus is None and is_marked_bad(kind) else kind,
                    stimulus=stimulus,
                    fields=others,
                )
            )
        return tuple(events)

    def _table(self, suffix: str, extra: set[str] | frozenset[str] = frozenset()) -> list[dict[str, str]]:
        files = self._find(suffix, ".tsv", extra)
        return read_tsv(files[0]) if files else []

    def _find(self, suffix: str, extension: str, extra: set[str] | frozenset[str] = frozenset()) -> list[Path]:
        """Sidecars that hold for this recording, nearest first."""
        found = []
        folder = self.path.absolute().parent
        while True:
            for file in sorted(folder.glob(f"*{suffix}{extension}")):
                if file.is_file() and self._holds(file, suffix, extension, extra):
                    found.append(file)
            if folder == self.root or folder == folder.parent:
                return found
            folder = folder.parent

    def _holds(self, file: Path, suffix: str, extension: str, extra: set[str] | frozenset[str]) -> bool:
        stem = file.name.removesuffix(extension)
        parts = stem.split("_")
        if parts[-1] != suffix:
            return False
        for part in parts[:-1]:
            key, _, value = part.partition("-")
            if key not in extra and self.entities.get(key) != value:
                return False
        return True


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Rows of a BIDS table.

    Raises
    ------
    DataError
        If it cannot be read as one.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t"))
    except (UnicodeDecodeError, csv.Error):
        raise DataError(
            f"{path} cannot be read as a table", allowed="tab-separated UTF-8 text", remedy="write it anew"
        ) from None
    return [{key: value or "" for key, value in row.items() if key is not None} for row in rows]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
        return dict(values)
    except (ValueError, TypeError):
        raise DataError(f"{path} is not valid JSON", allowed="a JSON object", remedy="write it anew") from None


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
