"""One file per family of recording formats; each enters itself in `eeg2music.recordings.contents.READERS`."""
