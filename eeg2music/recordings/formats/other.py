"""The formats that need nothing but MNE's reader: GDF, CNT, EGI, CTF, KIT, Curry, Persyst and others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eeg2music.recordings.contents import READERS, FileContents, Reader
from eeg2music.recordings.through_mne import read_through_mne


@READERS.add("other")
class OtherReader(Reader):
    """Whatever else `mne.io.read_raw` knows by its suffix and that holds brain signals."""

    suffixes = (
        ".gdf",
        ".cnt",
        ".mff",
        ".raw",
        ".egi",
        ".mefd",
        ".nxe",
        ".data",
        ".sqd",
        ".con",
        ".ds",
        ".dat",
        ".dap",
        ".rs3",
        ".cdt",
        ".nedf",
        ".ns3",
        ".lay",
        ".21e",
    )
    title = "read by MNE"

    def read(self, path: Path, wanted: Sequence[str] = ()) -> FileContents:
        import mne

        title = path.suffix.lstrip(".").upper()
        if path.suffix.lower() == ".raw":
            return read_through_mne(path, mne.io.read_raw_egi, title="EGI simple binary")
        return read_through_mne(path, mne.io.read_raw, title=title)
