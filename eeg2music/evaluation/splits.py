"""Who trains and who tests: splits by song, by subject or by both, and a guard against leaks.

Works with names only. Everything that shares a *work* (declared; by default each song is its
own) stays on one side. A split that leaks is refused, never repaired.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eeg2music.errors import DataError, InputError, LeakError
from eeg2music.files import sha256_json, write_json
from eeg2music.seeding import numpy_rng

SCHEMA = 1
KINDS = ("song", "work", "trial", "recording", "subject")
ALWAYS = ("song", "work", "trial", "recording")
_FIELDS = {"song": "songs", "trial": "trials", "recording": "recordings", "subject": "subjects"}


@dataclass(frozen=True)
class Manifest:
    """What one side of a split, or a trained model, has seen.

    Attributes
    ----------
    songs : stimulus ids
    works : {song: work} for songs that are versions of one work; a song not named is its own work
    trials : "recording/trial" of each presentation
    recordings, subjects : labels
    """

    songs: frozenset[str]
    works: Mapping[str, str] = field(default_factory=dict)
    trials: frozenset[str] = frozenset()
    recordings: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], works: Mapping[str, str] | None = None) -> Manifest:
        """Read it off window rows (`stimulus`, `recording`, `trial`, `subject`); fields that are None are left out."""
        rows = list(rows)

        def labels(key: str) -> frozenset[str]:
            return frozenset(str(row[key]) for row in rows if row.get(key) is not None)

        trials = frozenset(f"{row.get('recording')}/{row['trial']}" for row in rows if row.get("trial") is not None)
        songs = labels("stimulus")
        declared = {song: work for song, work in (works or {}).items() if song in songs}
        return cls(songs, declared, trials, labels("recording"), labels("subject"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """Read a stored manifest; `songs` is required, other keys of the file are not our concern."""
        if "songs" not in values:
            raise DataError(
                "The manifest does not say which songs it holds",
                allowed="a list under 'songs'",
                remedy="train again, or write the manifest: without it an overlap cannot be excluded",
            )
        sets = {key: frozenset(map(str, values.get(key) or ())) for key in ("trials", "recordings", "subjects")}
        return cls(frozenset(map(str, values["songs"])), dict(values.get("works") or {}), **sets)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: sorted lists."""
        return {
            "songs": sorted(self.songs),
            "works": dict(sorted(self.works.items())),
            "trials": sorted(self.trials),
            "recordings": sorted(self.recordings),
            "subjects": sorted(self.subjects),
        }


@dataclass(frozen=True)
class Split:
    """Row numbers of each side; `unused` rows belong to neither (the off-diagonal of a grid)."""

    train: tuple[int, ...]
    test: tuple[int, ...]
    unused: tuple[int, ...]
    by: str
    seed: int


def refuse_leaks(
    train: Manifest | Mapping[str, Any],
    test: Manifest | Mapping[str, Any],
    *,
    kinds: Sequence[str] = ALWAYS,
) -> None:
    """Raise if training and test share anything of the given kinds.

    Parameters
    ----------
    train, test : manifests (or mappings as `Manifest.to_dict` gives)
    kinds : of "song", "work", "trial", "recording", "subject". Songs and works are always among them: a
        within-recording split may leave out "recording", nothing may leave out the song.

    Raises
    ------
    LeakError
        Naming the kind, how many are shared, and the first few.
    """
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise InputError(f"Unknown kind of overlap {sorted(unknown)[0]!r}", allowed=", ".join(KINDS))
    ours = train if isinstance(train, Manifest) else Manifest.from_dict(train)
    theirs = test if isinstance(test, Manifest) else Manifest.from_dict(test)
    for kind in KINDS:
        if kind in ("song", "work") or kind in kinds:
            shared = _shared(ours, theirs, kind)
            if shared:
                raise _leak(kind, shared, len(_labels(theirs, kind)))


def split_by_song(
    rows: Sequence[Mapping[str, Any]], *, test_share: float, seed: int, works: Mapping[str, str] | None = None
) -> Split:
    """Hold out whole songs (whole works, where declared). Test has at least one and never all.

    Parameters
    ----------
    rows : windows with `stimulus`
    test_share : of the works, in (0, 1)
    """
    work_of = _works_of(rows, works)
    held_out = _draw(sorted(set(work_of.values())), test_share, seed, "song")
    test = {song for song, work in work_of.items() if work in held_out}
    return _assign(rows, lambda row: str(row["stimulus"]) in test, "song", seed)


def split_by_subject(rows: Sequence[Mapping[str, Any]], *, test_share: float, seed: int) -> Split:
    """Hold out whole subjects. Songs are then heard on both sides: not a test of new music."""
    held_out = _draw(sorted({str(row["subject"]) for row in rows}), test_share, seed, "subject")
    return _assign(rows, lambda row: str(row["subject"]) in held_out, "subject", seed)


def split_by_song_and_subject(
    rows: Sequence[Mapping[str, Any]],
    *,
    song_share: float,
    subject_share: float,
    seed: int,
    works: Mapping[str, str] | None = None,
) -> Split:
    """Test new songs in new subjects; windows with only one of the two new go unused."""
    by_song = set(split_by_song(rows, test_share=song_share, seed=seed, works=works).test)
    by_subject = set(split_by_subject(rows, test_share=subject_share, seed=seed).test)
    places = range(len(rows))
    return Split(
        train=tuple(i for i in places if i not in by_song and i not in by_subject),
        test=tuple(i for i in places if i in by_song and i in by_subject),
        unused=tuple(i for i in places if (i in by_song) != (i in by_subject)),
        by="song and subject",
        seed=seed,
    )


def write_split(
    path: str | os.PathLike[str],
    split: Split,
    rows: Sequence[Mapping[str, Any]],
    *,
    works: Mapping[str, str] | None = None,
    kinds: Sequence[str] = ("song", "work", "trial"),
) -> dict[str, Any]:
    """Check a split, write its manifest beside the scores, and return it.

    Raises
    ------
    LeakError
        If the sides overlap; nothing is written then.
    """
    train = Manifest.from_rows((rows[i] for i in split.train), works)
    test = Manifest.from_rows((rows[i] for i in split.test), works)
    refuse_leaks(train, test, kinds=kinds)
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "by": split.by,
        "seed": split.seed,
        "windows": {"train": len(split.train), "test": len(split.test), "unused": len(split.unused)},
        "checked": sorted({"song", "work", *kinds}),
        "train": train.to_dict(),
        "test": test.to_dict(),
    }
    body["sha256"] = sha256_json(body)
    write_json(path, body)
    return body


def _works_of(rows: Sequence[Mapping[str, Any]], works: Mapping[str, str] | None) -> dict[str, str]:
    missing = sum(row.get("stimulus") is None for row in rows)
    if missing:
        raise DataError(
            f"{missing} of {len(rows)} windows have no stimulus", remedy="leave them out before splitting by song"
        )
    songs = {str(row["stimulus"]) for row in rows}
    return {song: (works or {}).get(song, song) for song in songs}


def _draw(labels: list[str], share: float, seed: int, kind: str) -> set[str]:
    if not 0.0 < share < 1.0:
        raise InputError(f"A test share of {share}", allowed="above 0 and below 1")
    if len(labels) < 2:
        raise DataError(f"{len(labels)} {kind} cannot be split", allowed="two or more")
    count = min(max(1, round(share * len(labels))), len(labels) - 1)
    order = numpy_rng(seed, "split", kind).permutation(len(labels))
    return {labels[i] for i in order[:count]}


def _assign(
    rows: Sequence[Mapping[str, Any]], is_test: Callable[[Mapping[str, Any]], bool], by: str, seed: int
) -> Split:
    test = tuple(i for i, row in enumerate(rows) if is_test(row))
    held = set(test)
    return Split(tuple(i for i in range(len(rows)) if i not in held), test, (), by, seed)


def _shared(train: Manifest, test: Manifest, kind: str) -> list[str]:
    if kind != "work":
        return sorted(_labels(train, kind) & _labels(test, kind))
    # A work declared on one side holds for the other: the model's manifest may not know of it.
    declared = {**train.works, **test.works}
    ours, theirs = ({declared.get(song, song) for song in side.songs} for side in (train, test))
    return sorted(ours & theirs)


def _labels(manifest: Manifest, kind: str) -> frozenset[str]:
    return manifest.songs if kind == "work" else getattr(manifest, _FIELDS[kind])


def _leak(kind: str, shared: list[str], of: int) -> LeakError:
    shown = ", ".join(shared[:5]) + (f" and {len(shared) - 5} more" if len(shared) > 5 else "")
    return LeakError(
        f"Training and test share {len(shared)} of {of} {kind}s: {shown}",
        allowed=f"no {kind} on both sides",
        remedy="split again by song, or test on data the model has not seen",
    )
