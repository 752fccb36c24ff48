"""Recordings on disk -> a prepared cache: what `eeg2music prepare` does.

Each recording is read, preprocessed and windowed by itself, in any number of processes, with the
same bytes. A finished recording carries a hash of its files, the config and the algorithm's
version, and is skipped when the command is run again. Learns nothing across recordings.
"""

from eeg2music.preparation.config import PrepareConfig
from eeg2music.preparation.run import check_prepare, prepare

__all__ = ["PrepareConfig", "check_prepare", "prepare"]
