"""FIF: the native format of MNE and of Elekta/MEGIN systems (EEG, MEG, both)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from eeg2music.recordings.contents import READERS, FileContents, Reader
from eeg2music.recordings.through_mne import quiet, read_through_mne


@READERS.add("fif")
class FifReader(Reader):
    """FIF, also split and gzipped."""

    suffixes = (".fif", ".fif.gz")
    title = "FIF"

    def read(self, path: Path, wanted: Sequence[str] = ()) -> FileContents:
        import mne

        return read_through_mne(path, mne.io.read_raw_fif, title=self.title, allow_maxshield="yes")


def further_parts(path: Path) -> list[Path]:
    """Those of `split_parts` that are read together with a file, by what the file itself says."""
    named = split_parts(path)
    if not named:
        return []
    import mne

    with quiet():
        try:
            raw = mne.io.read_raw_fif(path, preload=False, on_split_missing="ignore", verbose="ERROR")
        except Exception:  # reading it in earnest says what is wrong with it
            return []
    together = {Path(file).resolve() for file in raw.filenames if file is not None}
    return [file for file in named if file.resolve() in together]


def split_parts(path: Path) -> list[Path]:
    """The files that a FIF file is continued in: "x-1.fif", "x-2.fif" after "x.fif", "split-02" after "split-01"."""
    match = re.match(r"(.*?)(\.fif(?:\.gz)?)$", path.name, re.IGNORECASE)
    if match is None:
        return []
    stem, suffix = match.groups()
    first = re.search(r"_split-0*1(?=_|$)", stem)
    before, after = (f"{stem}-", "") if first is None else (f"{stem[: first.start()]}_split-", stem[first.end() :])
    numbered = re.compile(re.escape(before) + r"\d+" + re.escape(after + suffix))
    return [file for file in sorted(path.parent.iterdir()) if numbered.fullmatch(file.name) and file.name != path.name]
