"""What a study of this size can see: the smallest effect.

Against chance it works from the null of the permutation test (`smallest_above_chance`), so that it says something about
the songs, listeners and queries, and is not small only because a score is near its ceiling, where nothing varies.
Between two runs it works from the standard error of their paired differences (`smallest_effect`). Either way the songs
(and many subjects) count, not the windows. Says nothing about effects that were found: power after the fact is the
p-value again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from eeg2music.errors import InputError
from eeg2music.evaluation.clusters import checked_values

POWER = 0.8
LEVEL = 0.95
# Of the permutation tests, one-sided.
ALPHA = 0.05


def smallest_effect(standard_error: float, df: float, *, power: float = POWER, level: float = LEVEL) -> float:
    """The true effect that is seen with the given power; smaller ones are missed more often.

    Parameters
    ----------
    standard_error, df : as `cluster_interval` gives them: of the scores for an effect against chance, of the paired
        differences for one of two runs against each other

    Returns
    -------
    In the unit of the scores.

    >>> round(smallest_effect(0.03, 11), 3)
    0.092
    """
    _check(standard_error, df, level)
    if not 1.0 - level < power < 1.0:
        raise InputError(f"A power of {power}", allowed=f"above {1.0 - level:g} and below 1")
    return standard_error * _noncentrality(power, df, level)


def smallest_above_chance(null: ArrayLike, *, highest: float = 1.0, power: float = POWER) -> float | None:
    """The true effect above chance that a one-sided permutation test at 0.05 sees with the given power.

    The null distribution, moved up by the effect, stands for what studies with that effect would find (a shift
    alternative, as Collings and Hamilton 1988 estimate the power of rank tests): the effect is the distance from the
    null's quantile 1 - power to the test's critical value, 2.49 standard deviations where the null is normal. The
    exchange keeps how far queries of one song agree: where they all do, as near the ceiling, songs alone count.

    Parameters
    ----------
    null : (permutations,) mean scores when what was heard is exchanged, as `song_permutations` gives them
    highest : possible score

    Returns
    -------
    In the unit of the scores. None where the test sees nothing with that power: every exchange gives one score, there
    are too few of them for p < 0.05, or not even the highest score lies that far above the null's mean.

    >>> smallest_above_chance([0.5] * 100) is None, smallest_above_chance(np.linspace(0.4, 0.6, 19)) is None
    (True, True)
    >>> round(smallest_above_chance(np.linspace(0.4, 0.6, 1999)), 3)
    0.15
    """
    draws = np.sort(checked_values(null))
    # How many draws may reach a score that still has p < ALPHA, where the score itself counts as one.
    reached = math.ceil(ALPHA * (len(draws) + 1) - 1.0) - 1
    if reached < 0 or draws[-1] - draws[0] < 1e-12:
        return None
    alike = int(np.sum(draws > draws[-1] - 1e-12))
    # Of three songs, one order in six is the one observed: it ties with itself whatever the score.
    if alike > 1 and alike >= ALPHA * len(draws):
        return None
    effect = float(draws[-1 - reached] - np.quantile(draws, 1.0 - power))
    return effect if effect <= highest - float(draws.mean()) else None


def power_note(
    smallest: float | None, songs: int, *, what: str = "effect", of: str = "songs", above: str = "chance"
) -> str:
    """One sentence for a report.

    Parameters
    ----------
    smallest : as `smallest_above_chance` gives it
    songs : how many there are
    what, above : what the score is, above what: "effect", "correlation"; "chance", "the null's mean"
    of : what they are, where the independent units are no songs: "passages"

    >>> power_note(0.0917, 12).startswith("With these 12 songs an effect below 0.092 above chance can't be seen")
    True
    """
    article = "an" if what[:1] in "aeiou" else "a"
    if smallest is None:
        return f"With these {songs} {of} no {what} above {above} is seen with a power of {POWER:g} (p < {ALPHA:g})."
    return (
        f"With these {songs} {of} {article} {what} below {smallest:.3f} above {above} can't be seen (power "
        f"{POWER:g} at that size; one-sided p < {ALPHA:g}, uncorrected; from the spread of the score when what was "
        "heard is exchanged at random)."
    )


def _power(noncentrality: float, df: float, level: float) -> float:
    edge = float(stats.t.ppf(0.5 + level / 2.0, df))
    # scipy's nct gives NaN far out, where the near tail is whole and the far one empty.
    near = np.nan_to_num(float(stats.nct.sf(edge, df, noncentrality)), nan=1.0)
    far = np.nan_to_num(float(stats.nct.cdf(-edge, df, noncentrality)), nan=0.0)
    return float(near + far)


def _noncentrality(power: float, df: float, level: float) -> float:
    high = 1.0
    while _power(high, df, level) < power:
        high *= 2.0
    return float(optimize.brentq(lambda value: _power(value, df, level) - power, 0.0, high, xtol=1e-10))


def _check(standard_error: float, df: float, level: float) -> None:
    if not (np.isfinite(standard_error) and standard_error > 0.0):
        raise InputError(f"A standard error of {standard_error}", allowed="above 0")
    if df < 1 - 1e-9:
        raise InputError(f"{df} degrees of freedom", allowed="1 or more: two songs or more")
    if not 0.0 < level < 1.0:
        raise InputError(f"A level of {level}", allowed="above 0 and below 1")
