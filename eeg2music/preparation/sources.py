"""Which recordings a path holds, and what files each consists of."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eeg2music.errors import InputError
from eeg2music.files import sha256_file
from eeg2music.recordings.bids import BidsDataset
from eeg2music.recordings.contents import all_suffixes
from eeg2music.recordings.formats.brainvision import companions
from eeg2music.recordings.formats.fif import further_parts, split_parts
from eeg2music.recordings.read import FOLDER_SUFFIXES, reader_of
from eeg2music.recordings.sidecars import Sidecars, dataset_root

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """One recording to prepare; `key` is None where only its content names it."""

    path: Path
    key: str | None = None
    session: str | None = None
    run: str | None = None


def find_sources(root: Path) -> Iterator[Source]:
    """The recordings of a BIDS data set, of a folder, or the one recording itself.

    Raises
    ------
    InputError, DataError
        If there is none, or a data set lacks files.
    """
    if not root.exists():
        raise InputError(
            f"Nothing at {root}", allowed="a BIDS data set, a folder or a recording", remedy="check the path"
        )
    if root.is_file() or root.suffix.lower() in FOLDER_SUFFIXES:
        reader_of(root)
        yield _single(root)
    elif (root / "dataset_description.json").is_file():
        dataset = BidsDataset(root)
        dataset.check()
        for recording in dataset.recordings:
            yield Source(recording.path, recording.key, recording.session, recording.run)
    else:
        yield from (_single(path) for path in _search(root))


def stimuli_folder(root: Path) -> Path:
    """Where `stim_file` columns point."""
    return (root if root.is_dir() else dataset_root(root) or root.parent) / "stimuli"


def hash_files(path: Path) -> dict[str, str]:
    """Content hashes of a recording, its companions and its sidecars, by path from the recording's folder."""
    reader_of(path)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    if path.suffix.lower() in (".vhdr", ".ahdr"):
        files += [file for file in companions(path) if file.is_file()]
    if path.with_suffix(".fdt").is_file():
        files.append(path.with_suffix(".fdt"))
    files += split_parts(path)
    sidecars = Sidecars.of(path)
    files += sidecars.files() if sidecars is not None else []
    here = path.absolute().parent
    return {Path(os.path.relpath(file.absolute(), here)).as_posix(): sha256_file(file) for file in files}


def _single(path: Path) -> Source:
    sidecars = Sidecars.of(path)
    if sidecars is None:
        return Source(path)
    return Source(path, sidecars.key, sidecars.entities.get("ses"), sidecars.entities.get("run"))


def _search(root: Path) -> list[Path]:
    suffixes = all_suffixes()
    found = sorted(path for path in root.rglob("*") if path.name.lower().endswith(suffixes))
    # Nothing hidden: what other systems leave ("._a.edf") is no recording, and in .git/annex everything lies again.
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    # Some formats are folders; what lies inside them is not a recording of its own.
    found = [path for path in found if path.is_file() or path.suffix.lower() in FOLDER_SUFFIXES]
    found = [path for path in found if not any(parent in found for parent in path.parents)]
    parts = {part for path in found for part in further_parts(path)}
    if parts:
        _LOG.warning("left out %d files that continue another one: they are read together with it", len(parts))
    found = [path for path in found if path not in parts]
    if not found:
        raise InputError(
            f"{root} is neither a BIDS data set nor a folder with recordings",
            allowed="dataset_description.json at the top, or files ending in " + ", ".join(suffixes),
            remedy="name the data set's top folder, or a recording",
        )
    return found
