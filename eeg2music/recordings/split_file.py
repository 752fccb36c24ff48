"""A split manifest that `eeg2music split` wrote, read beside the cache that it was made of.

What it says is checked again: a manifest of other recordings, or one that leaks, is refused and never repaired.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eeg2music.errors import DataError, first_few
from eeg2music.files import read_json, sha256_json
from eeg2music.recordings.manifests import KINDS, refuse_leaks, with_stimulus_hashes
from eeg2music.recordings.neighbours import has_times, refuse_adjacent
from eeg2music.recordings.prepared import PreparedDataset

HeldOut = Literal["test", "validation"]
SIDES = ("train", "test")


@dataclass(frozen=True)
class SplitFile:
    """Both sides of a split manifest, as numbers of the rows of its cache.

    Attributes
    ----------
    train, test : row numbers; rows of neither are unused
    held_out : what the test side is for
    by, sha256 : how it was split, and the manifest's own hash
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    held_out: HeldOut
    by: str
    sha256: str

    @property
    def told(self) -> dict[str, str]:
        """What a result says of it."""
        return {"by": self.by, "sha256": self.sha256}


def read_split(path: str | os.PathLike[str], data: PreparedDataset) -> SplitFile:
    """The sides of a manifest of the cache `data`.

    Raises
    ------
    DataError
        If the file is none, was changed by hand, or is of another cache.
    LeakError
        If its sides share what they may not, or touch.
    """
    body = _read(Path(path))
    if body["cache"] != data.content_hash:
        raise DataError(
            f"{path} is the split of another cache than {data.cache}",
            allowed="the cache that it was made of, unchanged",
            remedy=f"eeg2music split {data.cache} --out {path}",
        )
    place = {row["window_id"]: number for number, row in enumerate(data.rows)}
    listed = {side: [str(name) for name in body["window_ids"][side]] for side in SIDES}
    unknown = [name for side in SIDES for name in listed[side] if name not in place]
    if unknown:
        raise DataError(
            f"{path} names {len(unknown)} windows that {data.cache} does not hold: {first_few(unknown)}",
            allowed="windows of the cache",
            remedy=f"eeg2music split {data.cache} --out {path}",
        )
    train, test = (tuple(place[name] for name in listed[side]) for side in SIDES)
    _refuse_leaks(body, data, train, test)
    if body["sha256"] != sha256_json({key: value for key, value in body.items() if key != "sha256"}):
        raise DataError(
            f"{path} was changed after it was written",
            allowed="what `eeg2music split` wrote",
            remedy=f"eeg2music split {data.cache} --out {path}",
        )
    return SplitFile(train, test, body["held_out"], str(body["by"]), str(body["sha256"]))


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise DataError(f"No split manifest at {path}", remedy="make one: eeg2music split CACHE --out split.json")
    try:
        body = read_json(path)
        complete = all(isinstance(body["window_ids"][side], list) and body["window_ids"][side] for side in SIDES)
        complete = complete and {"cache", "by", "checked", "gap_s", "held_out", "sha256"} <= set(body)
    except (ValueError, TypeError, KeyError):
        complete = False
    if not complete:
        raise DataError(
            f"{path} is no split manifest that names its windows",
            allowed="what `eeg2music split` writes",
            remedy="eeg2music split CACHE --out split.json",
        )
    return dict(body)


def _refuse_leaks(
    body: Mapping[str, Any], data: PreparedDataset, train: tuple[int, ...], test: tuple[int, ...]
) -> None:
    """By what the cache says of the windows, not by what the manifest says that they share."""
    heard = [[data.rows[number] for number in side] for side in (train, test)]
    ours, theirs = (with_stimulus_hashes(side) for side in heard)
    refuse_leaks(ours, theirs, kinds=("trial", *(kind for kind in body["checked"] if kind in KINDS)))
    if all(map(has_times, (*ours, *theirs))):
        refuse_adjacent(ours, theirs, gap_s=body["gap_s"])
