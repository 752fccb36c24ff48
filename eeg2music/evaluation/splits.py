"""Who trains and who tests: splits by song, subject, run or site, by song and one of these, and their manifests.

Everything that shares a *work* (declared; by default each song is its own) stays on one side. A split that leaks is
refused, never repaired; `without_neighbours` leaves windows out, and the manifest says how many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eeg2music.errors import DataError, InputError
from eeg2music.files import sha256_json, write_json
from eeg2music.recordings.manifests import (
    ALWAYS,
    KINDS,
    NEVER_SHARED,
    Manifest,
    Seen,
    as_manifest,
    declared_works,
    refuse_fitted_across,
    refuse_leaks,
    run_label,
)
from eeg2music.recordings.neighbours import RESPONSE_LAG_S, default_gap_s, has_times, near, refuse_adjacent
from eeg2music.seeding import numpy_rng

__all__ = [
    "ALWAYS",
    "KINDS",
    "Manifest",
    "Split",
    "as_manifest",
    "refuse_adjacent",
    "refuse_fitted_across",
    "refuse_leaks",
    "split_by_run",
    "split_by_site",
    "split_by_song",
    "split_by_song_and",
    "split_by_subject",
    "without_neighbours",
    "write_split",
]

SCHEMA = 2
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Split:
    """Row numbers of each side; `unused` rows belong to neither (the off-diagonal of a grid, neighbours)."""

    train: tuple[int, ...]
    test: tuple[int, ...]
    unused: tuple[int, ...]
    by: str
    seed: int


def split_by_song(
    rows: Sequence[Row], *, test_share: float, seed: int, works: Mapping[str, str] | None = None
) -> Split:
    """Hold out whole songs (whole works, where declared). Test has at least one and never all.

    Parameters
    ----------
    rows : windows with `stimulus`, and `work_id` where they declare their works themselves
    test_share : of the works, in (0, 1)
    works : {song: work}
    """
    work_of = _works_of(rows, works)
    held_out = _draw(sorted(set(work_of.values())), test_share, seed, "song")
    test = {song for song, work in work_of.items() if work in held_out}
    return _assign(rows, lambda row: str(row["stimulus"]) in test, "song", seed)


def split_by_subject(rows: Sequence[Row], *, test_share: float, seed: int) -> Split:
    """Hold out whole subjects. Songs are then heard on both sides: not a test of new music."""
    return _split_by(rows, "subject", test_share, seed)


def split_by_run(rows: Sequence[Row], *, test_share: float, seed: int) -> Split:
    """Hold out whole runs: the same ones ("session/run") in every subject. Each run needs songs of its own."""
    return _split_by(rows, "run", test_share, seed)


def split_by_site(rows: Sequence[Row], *, test_share: float, seed: int) -> Split:
    """Hold out whole sites (laboratories, devices). Songs are heard on both sides unless each site has its own."""
    return _split_by(rows, "site", test_share, seed)


def split_by_song_and(
    rows: Sequence[Row],
    other: str,
    *,
    song_share: float,
    other_share: float,
    seed: int,
    works: Mapping[str, str] | None = None,
) -> Split:
    """Test new songs in new subjects, runs or sites; windows with only one of the two new go unused.

    Parameters
    ----------
    other : "subject", "run" or "site"
    """
    by_song = set(split_by_song(rows, test_share=song_share, seed=seed, works=works).test)
    by_other = set(_split_by(rows, other, other_share, seed).test)
    places = range(len(rows))
    return Split(
        train=tuple(i for i in places if i not in by_song and i not in by_other),
        test=tuple(i for i in places if i in by_song and i in by_other),
        unused=tuple(i for i in places if (i in by_song) != (i in by_other)),
        by=f"song and {other}",
        seed=seed,
    )


def without_neighbours(
    split: Split, rows: Sequence[Row], *, gap_s: float | None = None, lag_s: float = RESPONSE_LAG_S
) -> Split:
    """Leave training windows out that lie closer to a test window of their recording than the gap.

    Parameters
    ----------
    rows : with `recording` and times, as for `neighbours.window_spans`
    gap_s : from the end of one to the start of the other; None takes the longest window and the longest response lag

    Returns
    -------
    The split with those windows under `unused`.
    """
    train, test = [rows[i] for i in split.train], [rows[i] for i in split.test]
    gap = default_gap_s([*train, *test], lag_s=lag_s) if gap_s is None else gap_s
    close = near(train, test, gap_s=gap)
    kept = tuple(i for i, drop in zip(split.train, close, strict=True) if not drop)
    dropped = tuple(i for i, drop in zip(split.train, close, strict=True) if drop)
    if not kept:
        raise DataError(
            f"No training window lies {gap:g} s from every test window",
            remedy="hold out whole recordings, or choose a smaller gap and say so",
        )
    return replace(split, train=kept, unused=tuple(sorted((*split.unused, *dropped))))


def write_split(
    path: str | os.PathLike[str],
    split: Split,
    rows: Sequence[Row],
    *,
    works: Mapping[str, str] | None = None,
    kinds: Sequence[str] = ("song", "work", "trial"),
    gap_s: float | None = None,
    lag_s: float = RESPONSE_LAG_S,
    fitted: Mapping[str, Seen] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Check a split, write its manifest beside the scores, and return it.

    Windows of one recording on both sides have to keep the gap where the rows say where they lie; where they do not,
    the manifest has no gap ("gap_s": null), which says that neighbours were not checked.

    Parameters
    ----------
    works : {song: work}; the rows' `work_id` goes with it
    kinds : what may not be shared, beside songs, works and the content of stimuli
    gap_s, lag_s : as for `neighbours.refuse_adjacent`
    fitted : {"scaler": the windows it was fitted on, ...} of whatever was fitted; the manifest names it
    more : further entries of the manifest

    Raises
    ------
    LeakError
        If the sides overlap or touch, or something was fitted on what is tested; nothing is written then.
    """
    sides = [[rows[i] for i in side] for side in (split.train, split.test)]
    declared = declared_works(rows, works)
    train, test = (Manifest.from_rows(side, declared) for side in sides)
    refuse_leaks(train, test, kinds=kinds)
    for what, seen in (fitted or {}).items():
        refuse_fitted_across(seen, test, what=what, kinds=kinds)
    gap = None
    if all(map(has_times, (*sides[0], *sides[1]))):
        gap = refuse_adjacent(*sides, gap_s=gap_s, lag_s=lag_s)
    elif gap_s is not None:
        raise DataError("A gap is asked for, but the windows do not say where they lie", remedy="add their times")
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "by": split.by,
        "seed": split.seed,
        "windows": {"train": len(split.train), "test": len(split.test), "unused": len(split.unused)},
        "checked": sorted({*NEVER_SHARED, *kinds}),
        "gap_s": gap,
        "fitted_on_training": sorted(fitted or {}),
        "train": train.to_dict(),
        "test": test.to_dict(),
        **(more or {}),
    }
    body["sha256"] = sha256_json(body)
    write_json(path, body)
    return body


def _works_of(rows: Sequence[Row], works: Mapping[str, str] | None) -> dict[str, str]:
    _refuse_missing(rows, "stimulus", "song")
    declared = declared_works(rows, works)
    return {song: declared.get(song, song) for song in {str(row["stimulus"]) for row in rows}}


def _split_by(rows: Sequence[Row], kind: str, test_share: float, seed: int) -> Split:
    """Hold out whole subjects, runs or sites."""
    label: dict[str, Callable[[Row], str]] = {
        "subject": lambda row: str(row["subject"]),
        "run": run_label,
        "site": lambda row: str(row["site"]),
    }
    if kind not in label:
        raise InputError(f"A split by {kind!r}", allowed=", ".join(label), remedy="name one of these")
    _refuse_missing(rows, kind, kind)
    held_out = _draw(sorted({label[kind](row) for row in rows}), test_share, seed, kind)
    return _assign(rows, lambda row: label[kind](row) in held_out, kind, seed)


def _refuse_missing(rows: Sequence[Row], key: str, kind: str) -> None:
    missing = sum(row.get(key) is None for row in rows)
    if missing:
        raise DataError(
            f"{missing} of {len(rows)} windows have no {key}",
            allowed=f"a {key} for every window",
            remedy=f"leave them out before splitting by {kind}, or split by something else",
        )


def _draw(labels: list[str], share: float, seed: int, kind: str) -> set[str]:
    if not 0.0 < share < 1.0:
        raise InputError(f"A test share of {share}", allowed="above 0 and below 1", remedy="0.25 is usual")
    if len(labels) < 2:
        raise DataError(
            f"{len(labels)} {kind} cannot be split", allowed="two or more", remedy="prepare more, or split otherwise"
        )
    count = min(max(1, round(share * len(labels))), len(labels) - 1)
    order = numpy_rng(seed, "split", kind).permutation(len(labels))
    return {labels[i] for i in order[:count]}


def _assign(rows: Sequence[Row], is_test: Callable[[Row], bool], by: str, seed: int) -> Split:
    test = tuple(i for i, row in enumerate(rows) if is_test(row))
    held = set(test)
    return Split(tuple(i for i in range(len(rows)) if i not in held), test, (), by, seed)
