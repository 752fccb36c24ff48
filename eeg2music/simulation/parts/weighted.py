"""Draws from weighted tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """One key, drawn with probability proportional to its weight."""
    keys = list(weights)
    values = np.array([weights[key] for key in keys], dtype=np.float64)
    return keys[int(rng.choice(len(keys), p=values / values.sum()))]
