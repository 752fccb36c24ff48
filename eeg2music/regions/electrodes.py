"""Scalp electrodes -> the four named regions.

A region is a direction from the centre of the head. The weight of an electrode falls off with the
angle between the two. Says how well a cap covers each region, in words. Never looks at a signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eeg2music.registry import Registry
from eeg2music.types import HEAD_CENTRE_M, REGIONS, FloatArray

_CENTRE_M = np.array(HEAD_CENTRE_M)
# Of the sphere through the 10-05 electrodes.
HEAD_RADIUS_M = 0.096
_DIRECTIONS = {
    "central": (0.0, 0.0, 1.0),
    "left_temporal": (-0.998, 0.0, 0.06),
    "right_temporal": (0.998, 0.0, 0.06),
    "frontal": (0.0, 0.86, 0.51),
}
# Vertex, above both auditory cortices (near T7 and T8), forehead (near AFz); metres in head coordinates.
REGION_CENTRES_M: FloatArray = np.stack(
    [_CENTRE_M + HEAD_RADIUS_M * np.asarray(_DIRECTIONS[region]) for region in REGIONS]
).astype(np.float32)
WIDTH_DEG = 25.0
REACH_DEG = 45.0


class RegionMap(Protocol):
    """Places of sensors of one modality -> weights of the same named regions."""

    def weights(self, positions_m: FloatArray) -> FloatArray:
        """(channel, 3) -> (region, channel), rows summing to 1, or to 0 where nothing covers the region."""
        ...


REGION_MAPS: Registry[type[RegionMap]] = Registry("region map", "eeg2music.regions")


@REGION_MAPS.add("eeg")
class ElectrodeMap:
    """Electrodes on the scalp."""

    def weights(self, positions_m: FloatArray) -> FloatArray:
        return region_weights(positions_m)


def angles_deg(positions_m: FloatArray) -> NDArray[np.float64]:
    """(region, channel) angle between electrode and region centre seen from the centre of the head; NaN if unknown."""
    places = np.asarray(positions_m, dtype=float).reshape(-1, 3) - _CENTRE_M
    length = np.linalg.norm(places, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(length > 0, places / length, np.nan)
    centres = np.stack([np.asarray(_DIRECTIONS[region]) for region in REGIONS])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return np.degrees(np.arccos(np.clip(centres @ unit.T, -1.0, 1.0)))


def region_weights(positions_m: FloatArray, *, width_deg: float = WIDTH_DEG) -> FloatArray:
    """Weight of each electrode in each region: a Gaussian of the angle, cut off at `REACH_DEG`.

    Parameters
    ----------
    positions_m : (channel, 3) metres in head coordinates, NaN where unknown

    Returns
    -------
    (region, channel) float32, in the order of REGIONS; each row sums to 1, or to 0 where no
    electrode lies within reach.
    """
    angles = angles_deg(positions_m)
    weights = np.exp(-0.5 * (angles / width_deg) ** 2)
    weights = np.where(np.isfinite(angles) & (angles <= REACH_DEG), weights, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1.0)).astype(np.float32)


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
