"""Turns a BIDS electrodes.tsv with its coordinate system into metres on the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.recordings.contents import no_positions
from eeg2music.types import FloatArray

_UNITS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
# Systems whose x points to the nose and y to the left ear.
_ALS = ("EEGLAB", "CTF", "4DBTI", "KITYOKOGAWA", "CHIETIITAB")
_LANDMARKS = (("nasion", ("NAS", "NASION", "NZ")), ("lpa", ("LPA", "LHJ")), ("rpa", ("RPA", "RHJ")))


def head_positions(
    names: Sequence[str], places: Mapping[str, NDArray[np.float64]], system: Mapping[str, Any]
) -> tuple[FloatArray, bool]:
    """(channel, 3) positions in head coordinates and whether fiducials placed them.

    Parameters
    ----------
    places : {NAME: (3,)} as in electrodes.tsv
    system : the content of coordsystem.json
    """
    positions = no_positions(len(names))
    for row, name in enumerate(names):
        if name.strip().upper() in places:
            positions[row] = places[name.strip().upper()]
    prefix = next((p for p in ("EEG", "iEEG", "MEG") if f"{p}CoordinateSystem" in system), "EEG")
    unit = _UNITS.get(str(system.get(f"{prefix}CoordinateUnits", "m")), 1.0)
    positions = (positions * unit).astype(np.float32)
    landmarks = _landmarks(places, system, unit)
    if landmarks is not None:
        return _to_head(positions, *landmarks), True
    described = (
        f"{system.get(f'{prefix}CoordinateSystem', '')} {system.get(f'{prefix}CoordinateSystemDescription', '')}"
    )
    if any(word in described.upper().replace("-", "").replace("/", "") for word in _ALS):
        positions = np.stack([-positions[:, 1], positions[:, 0], positions[:, 2]], axis=1)
    return positions, False


def _landmarks(
    places: Mapping[str, NDArray[np.float64]], system: Mapping[str, Any], unit: float
) -> tuple[NDArray[np.float64], ...] | None:
    """Nasion, left and right ear, in metres, from the coordinate system or from the table itself."""
    listed = {
        str(key).upper(): np.asarray(value, dtype=float)
        for key, value in (system.get("AnatomicalLandmarkCoordinates") or {}).items()
        if isinstance(value, list) and len(value) == 3 and all(isinstance(v, int | float) for v in value)
    }
    listed_unit = _UNITS.get(str(system.get("AnatomicalLandmarkCoordinateUnits", "")), unit)
    found = []
    for _, spellings in _LANDMARKS:
        point = next((listed[s] * listed_unit for s in spellings if s in listed), None)
        if point is None:
            point = next((places[s] * unit for s in spellings if s in places), None)
        if point is None:
            return None
        found.append(point)
    return tuple(found)


def _to_head(
    positions: FloatArray, nasion: NDArray[np.float64], lpa: NDArray[np.float64], rpa: NDArray[np.float64]
) -> FloatArray:
    """Neuromag head frame: x through the ears to the right, y through the nasion, z up."""
    x = (rpa - lpa) / np.linalg.norm(rpa - lpa)
    origin = lpa + x * np.dot(nasion - lpa, x)
    y = (nasion - origin) / np.linalg.norm(nasion - origin)
    rotation = np.stack([x, y, np.cross(x, y)])
    return ((positions - origin) @ rotation.T).astype(np.float32)
