"""p-values of many comparisons, adjusted so that what looks rare among many is not taken for rare.

`holm` for the few figures of a report (no false claim among all of them); for many voxels or channels, where a share of
false claims is allowed, `metrics.encoding.benjamini_hochberg`. Computes no p-values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.evaluation.clusters import Float64


def holm(p_values: ArrayLike) -> Float64:
    """Holm's (1979) step-down adjustment: keeps the chance of any false claim at the level.

    Parameters
    ----------
    p_values : (m,) in [0, 1], under any dependence

    Returns
    -------
    (m,) adjusted p-values in the order given: reject where they are below the level.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values, order, back = _sorted(p_values)
    adjusted = values[order] * (len(values) - np.arange(len(values)))
    return np.minimum(np.maximum.accumulate(adjusted), 1.0)[back]


def _sorted(p_values: ArrayLike) -> tuple[Float64, np.ndarray, np.ndarray]:
    """The checked values, the order that sorts them, and the way back."""
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not ((values >= 0.0) & (values <= 1.0)).all():
        raise InputError(f"p-values of shape {values.shape}", allowed="(m,) numbers from 0 to 1, m >= 1")
    order = np.argsort(values, kind="stable")
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return values, order, back
