"""BIDS data sets: which recordings there are, who was recorded, what was played.

Reads labels of participants only, never their ages, names or remarks. Files that a data set
announces but lacks are listed together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eeg2music.errors import DataError, InputError, first_few
from eeg2music.recordings.contents import all_suffixes
from eeg2music.recordings.sidecars import KINDS, bids_key, parse_name

_HEADERS_FIRST = (".vhdr", ".edf", ".bdf", ".set", ".fif", ".fif.gz")
_SHOWN = 5
FETCH = "fetch them, e.g. `datalad get sub-*/` or `git annex get .` in the data set"


@dataclass(frozen=True)
class BidsRecording:
    """One recording of a data set.

    key : "sub-01_ses-1_task-music_run-2": unique within the data set
    """

    path: Path
    key: str
    subject: str
    session: str | None
    task: str | None
    run: str | None
    suffix: str


class BidsDataset:
    """A folder in the Brain Imaging Data Structure, EEG, iEEG and MEG.

    Attributes
    ----------
    recordings : those whose files are there, sorted by key
    missing : paths of recordings that sidecars announce, or links that lead nowhere
    stimuli : the folder that `stim_file` columns are relative to

    Raises
    ------
    InputError
        If the folder is not BIDS.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        if not self.root.exists():
            raise InputError(f"No folder at {self.root}", allowed="a BIDS data set", remedy="check the path")
        if not (self.root / "dataset_description.json").is_file():
            raise InputError(
                f"{self.root} is a folder but not a BIDS data set: it has no dataset_description.json",
                allowed="a BIDS data set, or one recording",
                remedy="name one recording, or the data set's top folder; `eeg2music prepare` makes of a folder of "
                "recordings a cache that `generate` takes",
            )
        self.stimuli = self.root / "stimuli"
        self.recordings, self.missing = self._scan()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Labels such as "sub-01", sorted."""
        return tuple(sorted({recording.subject for recording in self.recordings}))

    def check(self) -> None:
        """Refuse a data set with missing files, or with none at all.

        Raises
        ------
        DataError
            Naming the files.
        """
        if self.missing:
            names = [path.relative_to(self.root) for path in self.missing]
            raise DataError(
                f"{len(self.missing)} recording(s) of {self.root} are missing: {first_few(names, _SHOWN)}",
                allowed="the data files beside their sidecars",
                remedy=FETCH,
            )
        if not self.recordings:
            raise DataError(
                f"{self.root} holds no EEG, iEEG or MEG recording",
                allowed="sub-*/[ses-*/]{eeg,ieeg,meg}/*_{eeg,ieeg,meg}.<suffix>",
                remedy="check that this is the top folder of the data set",
            )

    def _scan(self) -> tuple[tuple[BidsRecording, ...], tuple[Path, ...]]:
        groups: dict[tuple[Path, str, str], list[Path]] = {}
        for kind in KINDS:
            for pattern in (f"sub-*/{kind}/*", f"sub-*/ses-*/{kind}/*"):
                for path in self.root.glob(pattern):
                    parsed = parse_name(path)
                    if parsed is not None and parsed[0].get("split", "01").lstrip("0") not in ("", "1"):
                        continue  # a split file is read together with its first part
                    if parsed is not None and parsed[1] == kind:
                        stem = path.name.split(f"_{kind}.")[0]
                        groups.setdefault((path.parent, stem, kind), []).append(path)
                    elif path.name.endswith("_channels.tsv"):
                        groups.setdefault((path.parent, path.name.removesuffix("_channels.tsv"), kind), [])
        found, missing = [], []
        for (folder, stem, kind), paths in sorted(groups.items(), key=lambda item: item[0][1]):
            data = _data_file(paths)
            if data is None and any(_inherits(other, (folder, stem, kind)) for other in groups):
                continue  # sidecars that hold for several recordings announce none of their own
            if data is None or not data.exists():
                missing.append(data or folder / f"{stem}_{kind}.*")
            else:
                found.append(_recording(data, kind))
        return tuple(found), tuple(missing)


def _inherits(one: tuple[Path, str, str], other: tuple[Path, str, str]) -> bool:
    """Whether sidecars of `other` hold for `one`, which is more particular: of a run, say, and not of all."""
    return (one[0], one[2]) == (other[0], other[2]) and set(one[1].split("_")) > set(other[1].split("_"))


def _data_file(paths: Sequence[Path]) -> Path | None:
    """The file to open among those of one recording."""
    readable = [path for path in paths if path.name.lower().endswith(all_suffixes())]

    def rank(path: Path) -> tuple[int, str]:
        order = [i for i, suffix in enumerate(_HEADERS_FIRST) if path.name.lower().endswith(suffix)]
        return (order[0] if order else len(_HEADERS_FIRST), path.name)

    return min(readable, key=rank) if readable else None


def _recording(path: Path, kind: str) -> BidsRecording:
    parsed = parse_name(path)
    assert parsed is not None  # only such names are grouped
    entities = parsed[0]
    return BidsRecording(
        path=path,
        key=bids_key(entities, kind),
        subject=f"sub-{entities['sub']}",
        session=entities.get("ses"),
        task=entities.get("task"),
        run=entities.get("run"),
        suffix=kind,
    )
