"""What one side of a split, a fitted scaler or a trained model has seen, and a guard against overlaps.

Works with names only: two names of one thing are two things here, unless a `work` or the content of the stimulus is
declared (`evaluation.lookalikes` listens to the audio). A leak is refused, never repaired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from eeg2music.errors import DataError, InputError, LeakError, first_few
from eeg2music.files import sha256_file

_FIELDS = {
    "song": "songs",
    "stimulus": "stimuli",
    "trial": "trials",
    "recording": "recordings",
    "subject": "subjects",
    "run": "runs",
    "site": "sites",
}
KINDS = ("song", "work", *(kind for kind in _FIELDS if kind != "song"))
# Of which an overlap is a leak whatever is claimed. Subjects, runs and sites are apart only where that is claimed.
ALWAYS = ("song", "work", "stimulus", "trial", "recording")
# No choice of kinds leaves these out.
NEVER_SHARED = ("song", "work", "stimulus")


@dataclass(frozen=True)
class Manifest:
    """What one side of a split, or a trained model, has seen.

    Attributes
    ----------
    songs : stimulus ids
    works : {song: work} for songs that are versions of one work; a song not named is its own work
    trials : "recording/trial" of each presentation
    recordings, subjects, sites : labels
    runs : "session/run", or the run where there are no sessions; the same label in several subjects is one run
    stimuli : hashes of the audio that was played, so that one file under two names is one stimulus
    """

    songs: frozenset[str]
    works: Mapping[str, str] = field(default_factory=dict)
    trials: frozenset[str] = frozenset()
    recordings: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    stimuli: frozenset[str] = frozenset()

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], works: Mapping[str, str] | None = None) -> Manifest:
        """Read it off window rows; fields that are None are left out.

        Parameters
        ----------
        rows : with `stimulus`, `recording`, `trial`, `subject`, `session`, `run`, `site`, `stimulus_sha256`, and
            `work_id` where a row declares its work itself
        works : {song: work}; where a row's `work_id` names it too, both have to agree

        Raises
        ------
        DataError
            If a song is declared to be of two works.
        """
        rows = list(rows)

        def labels(key: str) -> frozenset[str]:
            return frozenset(str(row[key]) for row in rows if row.get(key) is not None)

        trials = frozenset(f"{row.get('recording')}/{row['trial']}" for row in rows if row.get("trial") is not None)
        runs = frozenset(run_label(row) for row in rows if row.get("run") is not None)
        songs = labels("stimulus")
        declared = {song: work for song, work in declared_works(rows, works).items() if song in songs}
        return cls(
            songs,
            declared,
            trials,
            labels("recording"),
            labels("subject"),
            runs,
            labels("site"),
            labels("stimulus_sha256"),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """Read a stored manifest; `songs` is required, other keys of the file are not our concern."""
        if "songs" not in values:
            raise DataError(
                "The manifest does not say which songs it holds",
                allowed="a list under 'songs'",
                remedy="train again, or write the manifest: without it an overlap cannot be excluded",
            )
        sets = {one.name: _listed(values, one.name) for one in fields(cls) if one.name != "works"}
        return cls(works=dict(values.get("works") or {}), **sets)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: sorted lists."""
        return {
            one.name: dict(sorted(self.works.items())) if one.name == "works" else sorted(getattr(self, one.name))
            for one in fields(self)
        }


Seen = Manifest | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def as_manifest(seen: Seen) -> Manifest:
    """A manifest from itself, from a mapping as `Manifest.to_dict` gives, or from window rows."""
    if isinstance(seen, Manifest):
        return seen
    return Manifest.from_dict(seen) if isinstance(seen, Mapping) else Manifest.from_rows(seen)


def declared_works(rows: Iterable[Mapping[str, Any]], works: Mapping[str, str] | None = None) -> dict[str, str]:
    """{song: work} as declared by `works` and by the rows' `work_id`.

    Raises
    ------
    DataError
        If a song is declared to be of two works, or two works differ in letter case or spaces alone.
    """
    found = dict(works or {})
    for row in rows:
        if row.get("work_id") is None or row.get("stimulus") is None:
            continue
        song, work = str(row["stimulus"]), str(row["work_id"])
        if found.setdefault(song, work) != work:
            raise DataError(
                f"The song {song!r} is declared to be of the works {found[song]!r} and {work!r}",
                allowed="one work for each song",
                remedy="use one work_id for all versions",
            )
    refuse_spellings("work", found.values())
    return found


def refuse_spellings(kind: str, labels: Iterable[str]) -> None:
    """Raise if two labels differ in letter case or spaces alone: one thing would count as two.

    Raises
    ------
    DataError
        Naming both.
    """
    known: dict[str, str] = {}
    for label in labels:
        first = known.setdefault(_spelled(label), label)
        if first != label:
            raise DataError(
                f"The {kind}s {first!r} and {label!r} differ in letter case or spaces alone",
                allowed=f"one spelling for each {kind}",
                remedy="write both alike, or tell them apart by more",
            )


def stimulus_hashes(files: Iterable[str]) -> frozenset[str]:
    """Hashes of the files that are there, by which a manifest knows one under two names."""
    return frozenset(sha256_file(file) for file in set(files) if Path(file).is_file())


def with_stimulus_hashes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with `stimulus_sha256` of their `stimulus_file`, by which a split knows one file under two names.

    Rows whose file is not there have none.
    """
    files = {str(row["stimulus_file"]) for row in rows if row.get("stimulus_file") is not None}
    known = {file: sha256_file(file) for file in files if Path(file).is_file()}
    hashes = [known.get(str(row.get("stimulus_file"))) for row in rows]
    return [
        row | ({} if of is None else {"stimulus_sha256": of}) for row, of in zip(map(dict, rows), hashes, strict=True)
    ]


def run_label(row: Mapping[str, Any]) -> str:
    """ "session/run", or the run alone."""
    return str(row["run"]) if row.get("session") is None else f"{row['session']}/{row['run']}"


def refuse_leaks(train: Seen, test: Seen, *, kinds: Sequence[str] = ALWAYS) -> None:
    """Raise if training and test share anything of the given kinds.

    Parameters
    ----------
    train, test : manifests (or mappings as `Manifest.to_dict` gives, or window rows)
    kinds : of `KINDS`. Songs, works and the content of stimuli are always among them: a
        within-recording split may leave out "recording", nothing may leave out the song.

    Raises
    ------
    LeakError
        Naming the kind, how many are shared, and the first few.
    """
    _refuse(as_manifest(train), as_manifest(test), kinds, "Training and test share", "split again by song")


def refuse_fitted_across(fitted_on: Seen, test: Seen, *, what: str = "scaler", kinds: Sequence[str] = ALWAYS) -> None:
    """Raise if something was fitted on what is tested: a scaler, a normaliser, a spatial filter, a selection.

    A mean over training and test tells the training about the test. What is fitted on one recording by itself and
    applied to it alone (its own mean and deviation) needs no such check.

    Parameters
    ----------
    fitted_on : manifest (or mapping, or window rows) of all that went into the fit
    test : of the test side
    what : for the message

    Raises
    ------
    LeakError
        Naming the kind, how many are shared, and the first few.
    DataError
        If the fit does not say what it was made on.
    """
    remedy = f"fit the {what} on the training side alone"
    _refuse(
        as_manifest(fitted_on), as_manifest(test), kinds, f"The {what} was fitted across the split: it shares", remedy
    )


def _refuse(ours: Manifest, theirs: Manifest, kinds: Sequence[str], what: str, remedy: str) -> None:
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise InputError(f"Unknown kind of overlap {sorted(unknown)[0]!r}", allowed=", ".join(KINDS))
    for kind in KINDS:
        if kind in NEVER_SHARED or kind in kinds:
            shared = _shared(ours, theirs, kind)
            if shared:
                raise _leak(kind, shared, len(_labels(theirs, kind)), what, remedy)


def _shared(train: Manifest, test: Manifest, kind: str) -> list[str]:
    if kind != "work":
        return sorted(_labels(train, kind) & _labels(test, kind))
    # A work declared on one side holds for the other: the model's manifest may not know of it.
    declared = {**train.works, **test.works}
    # Declared by hand, on either side by another person: letter case tells no works apart.
    ours, theirs = (
        {_spelled(work): work for work in (declared.get(song, song) for song in side.songs)} for side in (train, test)
    )
    return sorted(theirs[work] for work in ours.keys() & theirs.keys())


def _spelled(label: str) -> str:
    """A label without what is no difference."""
    return " ".join(str(label).split()).casefold()


def _listed(values: Mapping[str, Any], name: str) -> frozenset[str]:
    found = values.get(name) or ()
    if not isinstance(found, (list, tuple, set, frozenset)):
        # The letters of a single name would pass for names, and nothing would overlap.
        raise DataError(
            f"The manifest holds {found!r} under {name!r}",
            allowed="a list of names",
            remedy="write a list, also of one",
        )
    return frozenset(map(str, found))


def _labels(manifest: Manifest, kind: str) -> frozenset[str]:
    return manifest.songs if kind == "work" else getattr(manifest, _FIELDS[kind])


def _leak(kind: str, shared: list[str], of: int, what: str, remedy: str) -> LeakError:
    several = {"stimulus": "stimuli"}.get(kind, f"{kind}s")
    return LeakError(
        f"{what} {len(shared)} of {of} {several}: {first_few(shared)}",
        allowed=f"no {kind} on both sides",
        remedy=f"{remedy}, or test on data the model has not seen (simulated songs: of another song_seed)",
    )
