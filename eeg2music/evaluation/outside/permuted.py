"""Labels that were permuted throughout: none contradicts another, but another table of them fits the clips.

Clips that know what was heard, under exchanged labels, score at chance; yet some exchange of the references then fits
them better than any exchange fits clips that know nothing. Seen are permutations of what a good model made: with one
clip for each of 20 songs, where its pairwise accuracy was 0.98 or so, with three clips each, 0.9. Of a weaker model, of
fewer than eight references, and where each listener's labels are exchanged otherwise, it cannot be told from chance.
Mends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from eeg2music.evaluation.config import BRAIN, CONDITIONS
from eeg2music.evaluation.statistics import permutation_p_value
from eeg2music.seeding import numpy_rng

FEWEST, MOST = 8, 300
SHUFFLES = 199
P_BELOW = 0.01


def best_exchange(
    pairwise: NDArray[np.float64], target: ArrayLike, names: Sequence[str], *, seed: int
) -> dict[str, Any] | None:
    """The exchange of references that fits the clips best; None with fewer than 8 references, or more than 300.

    Parameters
    ----------
    pairwise : (n, g) each clip's pairwise score, were item j what was heard
    target : (n,) the item that its label names
    names : (g,) of the items

    Returns
    -------
    `accuracy` (mean over references), `p_value` (of so good a fit, where every reference's clips rank the items at
    random), `references`, `moved` (how many of them fit elsewhere) and, of the first of these, `stands` and `fits`.

    >>> names = [f"song-{n}" for n in range(9)]
    >>> found = best_exchange(np.eye(9)[:, np.roll(np.arange(9), 1)], np.arange(9), names, seed=0)
    >>> found["accuracy"], found["moved"], found["stands"], found["fits"], found["p_value"] <= 0.01
    (1.0, 9, 'song-0', 'song-1', True)
    """
    labels, of_query = np.unique(np.asarray(target), return_inverse=True)
    if not FEWEST <= len(labels) <= MOST:
        return None
    table = np.stack([pairwise[of_query == place].mean(axis=0) for place in range(len(labels))])
    rng = numpy_rng(seed, "permuted labels")
    best, chosen = _fit(table)
    null = np.array([_fit(rng.permuted(table, axis=1))[0] for _ in range(SHUFFLES)])
    moved = np.flatnonzero(chosen != labels)
    first = moved[0] if len(moved) else 0
    return {
        "accuracy": best,
        "p_value": permutation_p_value(best, null),
        "references": len(labels),
        "moved": len(moved),
        "stands": names[labels[first]],
        "fits": names[chosen[first]],
    }


def permuted_labels(scored: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Sentences for conditions whose labels look permuted.

    Nothing is said of known controls: some are at chance because their recordings were exchanged.

    Parameters
    ----------
    scored : {condition: {embedding: {"identification"}}}
    """
    for condition, spaces in scored.items():
        if condition in CONDITIONS and condition != BRAIN:
            continue
        for name, of in spaces.items():
            found = of["identification"]
            if not found:
                continue
            says = f"The labels of {condition!r} look permuted: in the embedding {name!r} its clips"
            chance = f"(pairwise {found['accuracy']:.3f}"
            exchange = found["best_exchange"]
            if exchange is not None and exchange["p_value"] <= P_BELOW:
                yield (
                    f"{says} are at chance with what the table says was heard {chance}), and fit another table "
                    f"({exchange['accuracy']:.3f}, p {exchange['p_value']:.3f}) in which {exchange['moved']} of "
                    f"{exchange['references']} references are exchanged: where it says {exchange['stands']}, "
                    f"{exchange['fits']} fits. Check the column `reference`."
                )
            elif found["p_value_below"] <= P_BELOW:
                yield (
                    f"{says} lie below chance {chance}, p {found['p_value_below']:.3g}), as those do that know what "
                    "was heard under labels of something else. Check the column `reference`."
                )


def _fit(table: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]]:
    """Mean score of the best assignment of items to rows, and the items. (r, g), r <= g"""
    rows, items = linear_sum_assignment(table, maximize=True)
    return float(table[rows, items].mean()), np.asarray(items)
