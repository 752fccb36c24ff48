"""EEGLAB: a MATLAB structure (.set), its samples inside it or in a .fdt beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eeg2music.recordings.contents import READERS, FileContents, Reader
from eeg2music.recordings.through_mne import read_through_mne


@READERS.add("eeglab")
class EeglabReader(Reader):
    """EEGLAB continuous data."""

    suffixes = (".set",)
    title = "EEGLAB"

    def read(self, path: Path, wanted: Sequence[str] = ()) -> FileContents:
        import mne

        return read_through_mne(
            path,
            mne.io.read_raw_eeglab,
            title=self.title,
            remedy="check that the file holds continuous (not epoched) data and that its .fdt lies beside it",
        )
