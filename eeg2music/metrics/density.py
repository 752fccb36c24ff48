"""Density and coverage (Naeem et al. 2020), precision and recall (Kynkäänniemi et al. 2019) of generated clips.

Around every reference item lies a ball that reaches to its k-th nearest other reference item.
  precision  share of the generated items in at least one of these balls
  density    number of balls a generated item lies in, over k: 1 in the mean for equal distributions, may exceed 1
  coverage   share of these balls that hold a generated item
  recall     share of the reference items in at least one ball drawn likewise around the generated items
Precision and density say whether what is generated is like the reference, recall and coverage whether all of it is
reached. A stray reference item has a large ball: all that falls in it counts in full for precision, for density as one
ball of k.

Conventions: Euclidean distances; an item is never its own neighbour; balls are closed, a tie at the rim
counts as inside, and rounding does not undo a tie. Copies: a reference item with k copies of itself has a ball without
volume, which is refused (it says that clips are duplicated, not how near anything is). Among the generated items copies
are a finding, the collapse of a generator: their balls hold nothing but themselves, and recall falls.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, same_dim
from eeg2music.metrics.kernel import squared_distances

# The value of Naeem et al. (2020); Kynkäänniemi et al. (2019) take 3.
NEAREST = 5
BLOCK_ROWS = 512
# Squared distances differ from a tie by rounding, in proportion to the squared norms.
TIE = 1e-12


class DensityCoverage(NamedTuple):
    """The four measures, with `coverage_expected` for equal distributions (density: 1) and what they rest on."""

    density: float
    coverage: float
    precision: float
    recall: float
    coverage_expected: float
    nearest: int
    n_reference: int
    n_generated: int


def density_coverage(reference: ArrayLike, generated: ArrayLike, *, nearest: int = NEAREST) -> DensityCoverage:
    """How much of what is generated is like the reference, and how much of the reference is reached.

    Parameters
    ----------
    reference : (n, dim), n > nearest
    generated : (m, dim), m > nearest; rows are not paired
    nearest : k

    Raises
    ------
    InputError
        For values that are not finite, too few rows, unequal dimensions, or a reference item with `nearest`
        copies or more.

    >>> found = density_coverage([[0.0], [1.0], [3.0]], [[0.5], [9.0]], nearest=1)
    >>> found.density, round(found.coverage, 3), found.precision, round(found.recall, 3)
    (1.0, 0.667, 0.5, 1.0)
    """
    if nearest < 1:
        raise InputError(f"nearest = {nearest}", allowed="1 or more")
    real = embeddings("reference", reference, at_least=nearest + 1)
    made = embeddings("generated", generated, at_least=nearest + 1)
    same_dim("reference", real, "generated", made)
    centre = real.mean(axis=0)
    real, made = real - centre, made - centre
    real_reach, made_reach = _reach(real, nearest), _reach(made, nearest)
    empty = np.flatnonzero(real_reach <= 4.0 * TIE * np.sum(real**2, axis=1))
    if empty.size:
        raise InputError(
            f"{empty.size} reference rows have {nearest} copies or more, the first is row {empty[0]}",
            allowed=f"fewer than {nearest} copies of any row",
            remedy="remove duplicated clips from the reference",
        )
    balls = np.zeros(len(made), dtype=np.int64)
    covered = reached = 0
    for start in range(0, len(real), BLOCK_ROWS):
        squared = squared_distances(real[start : start + BLOCK_ROWS], made, slack=TIE)
        inside = squared <= real_reach[start : start + BLOCK_ROWS, None]
        balls += np.count_nonzero(inside, axis=0)
        covered += int(np.count_nonzero(inside.any(axis=1)))
        reached += int(np.count_nonzero((squared <= made_reach).any(axis=1)))
    return DensityCoverage(
        density=float(balls.mean()) / nearest,
        coverage=covered / len(real),
        precision=float(np.mean(balls > 0)),
        recall=reached / len(real),
        coverage_expected=expected_coverage(len(real), len(made), nearest),
        nearest=nearest,
        n_reference=len(real),
        n_generated=len(made),
    )


def expected_coverage(n_reference: int, n_generated: int, nearest: int = NEAREST) -> float:
    """Coverage in the mean over draws from equal distributions (Naeem et al. 2020, lemma 2).

    A ball stays empty if the k nearest of the n - 1 + m other items all belong to the reference:
    1 - C(n - 1, k) / C(n + m - 1, k). It is far below 1 for few generated items, so read coverage against it.

    >>> expected_coverage(2, 1, 1)
    0.5
    >>> round(expected_coverage(10000, 10000, 5), 3)
    0.969
    """
    return 1.0 - comb(n_reference - 1, nearest) / comb(n_reference + n_generated - 1, nearest)


def _reach(rows: Float64, nearest: int) -> Float64:
    """Squared distance of each row to its `nearest`-th nearest other row. (n,)"""
    found = []
    for start in range(0, len(rows), BLOCK_ROWS):
        squared = squared_distances(rows[start : start + BLOCK_ROWS], rows)
        own = np.arange(len(squared))
        squared[own, start + own] = np.inf
        found.append(np.partition(squared, nearest - 1, axis=1)[:, nearest - 1])
    return np.concatenate(found)
