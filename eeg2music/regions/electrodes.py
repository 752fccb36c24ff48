"""Scalp electrodes -> the four named regions.

A region is a direction from the centre of the head; an electrode within reach of several belongs to the
nearest. Says how well a cap covers each region, in words. Never looks at a signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.types import HEAD_CENTRE_M, REGIONS, FloatArray

_CENTRE_M = np.array(HEAD_CENTRE_M)
# Vertex, above both auditory cortices (near T7 and T8), forehead (near AFz).
_DIRECTIONS = {
    "central": (0.0, 0.0, 1.0),
    "left_temporal": (-0.998, 0.0, 0.06),
    "right_temporal": (0.998, 0.0, 0.06),
    "frontal": (0.0, 0.86, 0.51),
}
REACH_DEG = 45.0


def angles_deg(positions_m: FloatArray) -> NDArray[np.float64]:
    """(region, channel) angle between electrode and region centre seen from the centre of the head; NaN if unknown."""
    places = np.asarray(positions_m, dtype=float).reshape(-1, 3) - _CENTRE_M
    length = np.linalg.norm(places, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(length > 0, places / length, np.nan)
    centres = np.stack([np.asarray(_DIRECTIONS[region]) for region in REGIONS])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return np.degrees(np.arccos(np.clip(centres @ unit.T, -1.0, 1.0)))


@dataclass(frozen=True)
class Coverage:
    """How many electrodes lie nearest to each region.

    electrodes : {region: number}, each electrode counted once, at the nearest region within reach
    unknown : electrodes without a position
    elsewhere : electrodes out of every region's reach
    """

    electrodes: Mapping[str, int]
    unknown: int
    elsewhere: int

    def in_words(self, *, regions_known: bool = True) -> str:
        """Such as "central: 14 electrodes; left_temporal: none".

        Parameters
        ----------
        regions_known : whether the decoder told the regions apart
        """
        if not any(self.electrodes.values()) and not self.elsewhere:
            return "no electrode has a known position: global decoding only"
        words = self._counts()
        return words if regions_known else f"regions could not be told apart: global decoding only ({words})"

    def _counts(self) -> str:
        parts = [f"{region}: {_count(number)}" for region, number in self.electrodes.items()]
        parts += [f"elsewhere: {_count(self.elsewhere)}"] if self.elsewhere else []
        parts += [f"position unknown: {_count(self.unknown)}"] if self.unknown else []
        return "; ".join(parts)


def coverage(positions_m: FloatArray) -> Coverage:
    """Count the electrodes of (channel, 3) positions by region."""
    angles = angles_deg(positions_m)
    known = np.isfinite(angles).all(axis=0)
    nearest = np.argmin(np.where(np.isfinite(angles), angles, np.inf), axis=0)
    within = known & (np.where(known, angles.min(axis=0), np.inf) <= REACH_DEG)
    counts = {region: int((within & (nearest == index)).sum()) for index, region in enumerate(REGIONS)}
    return Coverage(counts, int((~known).sum()), int((known & ~within).sum()))


def _count(number: int) -> str:
    return "none" if number == 0 else f"{number} electrode{'s' if number > 1 else ''}"
