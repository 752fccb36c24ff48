"""FIF: the native format of MNE and of Elekta/MEGIN systems (EEG, MEG, both)."""

from __future__ import annotations

from pathlib import Path

from eeg2music.recordings.contents import READERS, FileContents, Reader
from eeg2music.recordings.through_mne import read_through_mne


@READERS.add("fif")
class FifReader(Reader):
    """FIF, also split and gzipped."""

    suffixes = (".fif", ".fif.gz")
    title = "FIF"

    def read(self, path: Path) -> FileContents:
        import mne

        return read_through_mne(path, mne.io.read_raw_fif, title=self.title, allow_maxshield="yes")
