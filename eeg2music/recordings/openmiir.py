"""OpenMIIR: EEG of three people who heard twelve short pieces five times, and what can be read off the music.

Reads the folder of features (`stimulus_*.npz`): one virtual channel a person, onset flux and log-mel of the audio as
heard. The cue clicks before each piece are dropped. Never fits anything and never decides who trains and who tests,
but declares which pieces are versions of one work.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import DataError

RECORDED_RATE_HZ = 512
RATE_HZ = 64
BAND_HZ = (1.0, 12.0)
SUBJECTS = ("P09", "P11", "P12")
# Pieces 1 to 4 with lyrics are pieces 11 to 14 without: eight independent works, not twelve.
SAME_WORK = {11: 1, 12: 2, 13: 3, 14: 4}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """One piece of music and what was recorded while it was heard, from its first sounding beat.

    Attributes
    ----------
    work : pieces of the same work (with and without lyrics) share it, and are held out together
    flux : (frame,) onset flux at 64 Hz
    log_mel : (band, frame) at 64 Hz
    eeg : (subject, trial, frame) virtual channel, 1-12 Hz, at 64 Hz
    """

    number: int
    work: int
    flux: Array
    log_mel: Array
    eeg: Array

    @property
    def song(self) -> str:
        """Name of the stimulus."""
        return f"stimulus_{self.number:02d}"

    @property
    def style(self) -> str:
        """The three kinds of stimuli of the data set, which stand in for a genre."""
        if self.number > 20:
            return "instrumental"
        return "without lyrics" if self.number > 10 else "with lyrics"


def declared_works(pieces: Sequence[Piece]) -> dict[str, str]:
    """{song: work} of all pieces, as a split's manifest takes it."""
    return {piece.song: f"work_{piece.work:02d}" for piece in pieces}


def load_pieces(folder: str | os.PathLike[str]) -> list[Piece]:
    """Read the recordings and the features of what was heard; cue clicks are dropped.

    Raises
    ------
    DataError
        If the folder holds no pieces, or a piece lacks something.
    """
    files = sorted(Path(folder).glob("stimulus_*.npz"))
    if not files:
        raise DataError(
            f"No stimulus_*.npz in {folder}",
            allowed="a folder of features, one stimulus_*.npz for each piece",
            remedy="point at the folder openmiir_features",
        )
    return [_load_piece(file) for file in files]


def _load_piece(file: Path) -> Piece:
    try:
        return _piece(int(file.stem.rpartition("_")[2]), file)
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise DataError(
            f"{file.name} cannot be read as a piece",
            allowed="a whole stimulus_NUMBER.npz",
            remedy="fetch it again",
        ) from None


def _piece(number: int, file: Path) -> Piece:
    with np.load(file, allow_pickle=False) as data:
        wanted = (*(f"eeg_{subject}" for subject in SUBJECTS), "cue_s", "onset_flux", "log_mel")
        missing = [key for key in wanted if key not in data]
        if missing:
            raise DataError(
                f"{file.name} lacks {', '.join(missing)}", allowed=", ".join(wanted), remedy="fetch it again"
            )
        eeg = np.stack([data[f"eeg_{subject}"] for subject in SUBJECTS]).astype(np.float64)
        cue = int(np.ceil(float(data["cue_s"]) * RATE_HZ))
        flux = data["onset_flux"].astype(np.float64)
        log_mel = data["log_mel"].astype(np.float64)
    if not all(np.isfinite(values).all() for values in (eeg, flux, log_mel)):
        raise DataError(
            f"{file.name} holds values that are not finite", allowed="finite numbers", remedy="fetch it again"
        )
    eeg = band_pass(eeg, RECORDED_RATE_HZ)[..., :: RECORDED_RATE_HZ // RATE_HZ]
    stop = min(eeg.shape[-1], flux.size)
    return Piece(number, SAME_WORK.get(number, number), flux[cue:stop], log_mel[:, cue:stop], eeg[..., cue:stop])


def band_pass(values: Array, rate_hz: float) -> Array:
    """1-12 Hz along the last axis, forwards and backwards."""
    from scipy.signal import butter, sosfiltfilt

    return np.asarray(sosfiltfilt(butter(4, BAND_HZ, "bandpass", fs=rate_hz, output="sos"), values, axis=-1))
