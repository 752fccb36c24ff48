"""BrainVision: a text header (.vhdr), its markers and its samples in companion files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eeg2music.errors import InputError
from eeg2music.recordings.contents import READERS, FileContents, Reader
from eeg2music.recordings.through_mne import read_through_mne

_BYTES = {"INT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}


@READERS.add("brainvision")
class BrainVisionReader(Reader):
    """BrainVision Core Data Format."""

    suffixes = (".vhdr", ".ahdr")
    title = "BrainVision"

    def read(self, path: Path, wanted: Sequence[str] = ()) -> FileContents:
        import mne

        _check(path)
        return read_through_mne(path, mne.io.read_raw_brainvision, title=self.title, **_resolved(path))


def _resolved(path: Path) -> dict[str, Any]:
    """Options for MNE, which does not know that `$b` in a header stands for the header's own name."""
    keys = {"data_fname": "datafile", "marker_fname": "markerfile"}
    fields = _fields(path)
    names = {option: _named(path, fields[key]) for option, key in keys.items() if "$b" in fields.get(key, "")}
    return {"overrides": names} if names else {}


def companions(path: Path) -> list[Path]:
    """The data and marker files that a header names."""
    fields = _fields(path)
    named = [fields.get("datafile"), fields.get("markerfile")]
    return [path.parent / _named(path, name) for name in named if name]


def _named(path: Path, name: str) -> str:
    return name.replace("$b", path.with_suffix("").name)


def _fields(path: Path) -> dict[str, str]:
    """What the header sets, keys in lower case; the remarks at its end set nothing."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # as MNE takes headers from before UTF-8
    if not text.lower().startswith("brain vision"):
        raise InputError(
            f"{path} is not a recording: it does not begin like a BrainVision header",
            allowed="a .vhdr written by BrainVision software",
            remedy="check that the file is what its name says",
        )
    settings = re.split(r"^\[comment\]", text, maxsplit=1, flags=re.MULTILINE | re.IGNORECASE)[0]
    return {key.lower(): value.strip() for key, value in re.findall(r"^(\w+)=(.*)$", settings, flags=re.MULTILINE)}


def _check(path: Path) -> None:
    fields = _fields(path)
    if not fields.get("datafile"):
        raise InputError(
            f"{path} names no data file",
            allowed="a header with a line DataFile=…",
            remedy="export it anew from the recording software",
        )
    missing = [file.name for file in companions(path) if not file.is_file()]
    if missing:
        raise InputError(
            f"{path.name} names files that are not there: {', '.join(missing)}",
            allowed="header, marker and data file side by side",
            remedy="copy the companion files too (git-annex: `git annex get .`), and don't rename one alone",
        )
    try:
        width = _BYTES.get(fields.get("binaryformat", "").upper())
        row = int(fields["numberofchannels"]) * (width or 0)
        promised = int(fields["datapoints"]) if fields.get("datapoints") else None
    except (KeyError, ValueError):
        return  # MNE names what is wrong with such a header
    data = companions(path)[0]
    size = data.stat().st_size
    if row and (size % row or (promised is not None and size < promised * row)):
        expected = f"{promised * row} bytes" if promised is not None else f"a multiple of {row} bytes"
        raise InputError(
            f"{data} is truncated: the header promises {expected}, the file holds {size}",
            allowed="a complete file",
            remedy="copy the file again, or export it anew from the recording software",
        )
