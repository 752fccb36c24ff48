"""What every metric demands of its arrays: the right shape, enough rows, finite numbers.

Never repairs an array: a NaN is an error, not a zero.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError

Float64 = NDArray[np.float64]


def finite(name: str, array: ArrayLike) -> Float64:
    """The array in float64.

    Raises
    ------
    InputError
        If it is empty or holds NaN or infinity.
    """
    values = np.asarray(array, dtype=np.float64)
    if values.size == 0:
        raise InputError(f"{name} is empty, shape {values.shape}", allowed="at least one value")
    bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if bad:
        raise InputError(
            f"{name} holds {bad} of {values.size} values that are not finite",
            allowed="finite numbers",
            remedy="find the clip that produced them; they are never dropped",
        )
    return values


def embeddings(name: str, array: ArrayLike, *, at_least: int = 1) -> Float64:
    """(n, dim) in float64 with at least `at_least` rows."""
    values = finite(name, array)
    if values.ndim != 2 or values.shape[0] < at_least:
        raise InputError(f"{name} has shape {values.shape}", allowed=f"(n, dim) with n >= {at_least}")
    return values


def same_dim(name_x: str, x: Float64, name_y: str, y: Float64) -> None:
    """Refuse embeddings of different dimension."""
    if x.shape[1] != y.shape[1]:
        raise InputError(f"{name_x} has dimension {x.shape[1]}, {name_y} has {y.shape[1]}", allowed="one dimension")


def same_shape(name_x: str, x: NDArray[np.float64], name_y: str, y: NDArray[np.float64]) -> None:
    """Refuse arrays of different shape."""
    if x.shape != y.shape:
        raise InputError(f"{name_x} has shape {x.shape}, {name_y} has {y.shape}", allowed="equal shapes")


def label_codes(name: str, labels: Sequence[Hashable], n: int) -> NDArray[np.int64]:
    """Labels to 0, 1, ... in order of first appearance. (n,).

    Raises
    ------
    InputError
        If there are not n of them, or none.
    """
    if len(labels) != n or n == 0:
        raise InputError(f"{len(labels)} {name} for {n} values", allowed="one each")
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)
