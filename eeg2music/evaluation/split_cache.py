"""`eeg2music split CACHE`: who of a prepared cache trains and who tests, as a manifest that was checked for leaks.

Windows that lie too close to a test window are left out of both sides and counted. Where the audio is there, test
songs that sound like a training song are named. Writes the manifest and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from eeg2music.config import Config
from eeg2music.errors import DataError
from eeg2music.evaluation.alike import Listened
from eeg2music.evaluation.splits import (
    Split,
    split_by_run,
    split_by_site,
    split_by_song,
    split_by_song_and,
    split_by_subject,
    without_neighbours,
    write_split,
)
from eeg2music.files import check_result_file
from eeg2music.recordings.manifests import with_stimulus_hashes
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.recordings.split_file import SIDES, HeldOut

By = Literal["song", "subject", "grid", "run", "site"]
# What may not be on both sides, beside songs, works and the content of stimuli.
KINDS: Mapping[str, tuple[str, ...]] = {
    "song": ("trial",),
    "subject": ("trial", "recording", "subject"),
    "grid": ("trial", "recording", "subject"),
    "run": ("trial", "recording", "run"),
    "site": ("trial", "recording", "site"),
}


class SplitConfig(Config):
    """How a prepared cache is split.

    Attributes
    ----------
    by : song; subject, run or site (each of which needs songs of its own on either side); grid: new songs in new
        subjects, what has only one of the two new goes unused
    test_share : of the works, subjects, runs or sites; in a grid of the works and of the subjects
    gap_s : between training and test windows of one recording; None takes the longest window and the longest lag
    listen : look for test songs that sound like a training song, where the audio is there
    held_out : what the test side is for: "test" is scored and never trained on, on "validation" a training measures
        how far it has come, and nothing is scored
    """

    by: By = "song"
    test_share: float = Field(default=0.25, gt=0.0, lt=1.0)
    gap_s: float | None = Field(default=None, ge=0.0)
    listen: bool = True
    held_out: HeldOut = "test"
    seed: int = Field(default=0, ge=0)


def split_rows(data: PreparedDataset) -> list[dict[str, Any]]:
    """The windows of a cache in which something was heard, as `splits` takes them.

    With `stimulus`, `work_id`, `recording`, `trial`, `subject`, `session`, `run`, `site`, where they lie, and
    `stimulus_sha256` where the audio is there, by which one file under two names is known.

    Raises
    ------
    DataError
        If nothing was heard in any window.
    """
    rows = [row for row in data.rows if row["stimulus"] is not None]
    if not rows:
        raise DataError(
            f"No window of {data.cache} says what was heard",
            allowed="recordings with a stim_file column in events.tsv",
            remedy="prepare a data set that names its stimuli",
        )
    return with_stimulus_hashes([_with_audio_there(row) for row in rows])


def make_split(rows: Sequence[Mapping[str, Any]], config: SplitConfig) -> Split:
    """Rows to a split, without the training windows that lie too close to a test window."""
    share, seed = config.test_share, config.seed
    if config.by == "song":
        split = split_by_song(rows, test_share=share, seed=seed)
    elif config.by == "grid":
        split = split_by_song_and(rows, "subject", song_share=share, other_share=share, seed=seed)
    else:
        by = {"subject": split_by_subject, "run": split_by_run, "site": split_by_site}[config.by]
        split = by(rows, test_share=share, seed=seed)
    return without_neighbours(split, rows, gap_s=config.gap_s)


def check_split(cache: str | os.PathLike[str], out: str | os.PathLike[str]) -> PreparedDataset:
    """Everything that can be refused before windows are split. Returns the cache.

    Raises
    ------
    InputError, DataError
    """
    check_result_file(out, "split.json")
    return PreparedDataset(cache)


def split_cache(cache: str | os.PathLike[str], out: str | os.PathLike[str], config: SplitConfig) -> dict[str, Any]:
    """Split a prepared cache and write the manifest to `out`; returns it.

    Raises
    ------
    LeakError
        If songs, works, trials or what is held out would be on both sides, e.g. songs that all subjects heard in a
        split by subject; nothing is written then.
    DataError
        If windows lack what they are split by, such as a site.
    """
    data = check_split(cache, out)
    rows = split_rows(data)
    split = make_split(rows, config)
    sides = [[rows[place] for place in side] for side in (split.train, split.test)]
    return write_split(
        out,
        split,
        rows,
        kinds=KINDS[config.by],
        gap_s=config.gap_s,
        more={
            "cache": data.content_hash,
            "held_out": config.held_out,
            "window_ids": {name: [row["window_id"] for row in side] for name, side in zip(SIDES, sides, strict=True)},
            "look_alikes": _look_alikes(*sides) if config.listen else None,
        },
    )


def summary(body: Mapping[str, Any]) -> list[str]:
    """What the command prints: windows, what each side holds, what was checked, and what sounds alike."""
    counts = body["windows"]
    lines = [f"By {body['by']}: {counts['train']} windows train, {counts['test']} test, {counts['unused']} unused."]
    for side in ("train", "test"):
        of = body[side]
        works = len({of["works"].get(song, song) for song in of["songs"]})
        lines.append(f"  {side}: {len(of['songs'])} songs of {works} works, {len(of['subjects'])} subjects")
    lines.append(f"  on one side only: {', '.join(body['checked'])}; {body['gap_s']:g} s between the sides")
    heard = body["look_alikes"]
    if heard is not None:
        lines.append(f"  listened to {heard['listened_to']} songs")
        lines += [f"  ! {text}" for text in heard["warnings"]]
    return lines


def _look_alikes(train: Sequence[Mapping[str, Any]], test: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    listened = Listened()
    for row in (*train, *test):
        if row["stimulus_file"] is not None:
            listened.hear_file(row["stimulus"], row["stimulus_file"])
    return listened.between(*({row["stimulus"]: None for row in side} for side in (train, test)))


def _with_audio_there(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, naming its audio only where that is still there."""
    file = row["stimulus_file"]
    return {**row, "stimulus_file": file if file is not None and Path(file).is_file() else None}
