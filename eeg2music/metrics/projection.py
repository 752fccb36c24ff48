"""Two axes that show most of how embeddings differ: principal components (Pearson 1901), for pictures.

Distances in the plane are those in the space only as far as the two axes carry the variance: show that share beside
every picture. The plane is never scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, same_dim


class Plane(NamedTuple):
    """Coordinates of each set (n, 2) in the order given, and the share of the variance that each axis carries (2,)."""

    coordinates: tuple[Float64, ...]
    share: Float64


def principal_plane(sets: Sequence[ArrayLike]) -> Plane:
    """Principal components of several sets of embeddings together, each set weighing the same.

    Parameters
    ----------
    sets : of (n, dim), n >= 1, dim >= 2; without the equal weights the largest set would choose the axes

    Returns
    -------
    Coordinates about the common mean. The largest coordinate (in absolute value) of each axis over all sets is
    positive, so that the picture does not flip (but where two are equally far on either side).

    Raises
    ------
    InputError
        For values that are not finite, unequal dimensions, fewer than two dimensions, or rows that are all equal.

    >>> plane = principal_plane([[[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]], [[2.0, 1.0, 0.0], [2.0, -1.0, 0.0]]])
    >>> plane.share.round(2).tolist(), [float(abs(one[1] - one[0]).max().round(2)) for one in plane.coordinates]
    ([0.8, 0.2], [4.0, 2.0])
    """
    rows = [embeddings(f"set {number}", one) for number, one in enumerate(sets)]
    for number, one in enumerate(rows):
        same_dim("set 0", rows[0], f"set {number}", one)
    if not rows or rows[0].shape[1] < 2:
        raise InputError("A plane of embeddings of fewer than two dimensions", allowed="two or more")
    weights = np.concatenate([np.full(len(one), 1.0 / len(one)) for one in rows]) / len(rows)
    whole = np.concatenate(rows)
    centred = whole - weights @ whole
    _, found, axes = np.linalg.svd(np.sqrt(weights)[:, None] * centred, full_matrices=False)
    total = float(np.sum(found**2))
    if total <= 1e-20 * max(float(np.sum(whole**2)), 1e-300):
        raise InputError("Embeddings that are all equal have no axes", allowed="rows that differ")
    # One point and its mirror image give a single axis.
    axes = np.concatenate([axes, np.zeros((2, axes.shape[1]))])[:2]
    flat = centred @ axes.T
    flat *= np.where(flat[np.abs(flat).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    ends = np.cumsum([len(one) for one in rows])[:-1]
    share = np.concatenate([found**2, np.zeros(2)])[:2] / total
    return Plane(tuple(np.split(flat, ends)), share)
