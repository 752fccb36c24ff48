"""How well any model could predict a response, given its noise.

From repeats of the same stimulus. Formulas: Schoppe et al. 2016 (signal power and CC_max, after Sahani and Linden 2003
and Hsu et al. 2004). A target whose repeats share nothing has a ceiling of 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, finite


class NoiseCeiling(NamedTuple):
    """What repeats have in common, (target,) each.

    signal_power : variance of the part of a response that repeats share; may come out below 0
    correlation : [0, 1] CC_max, the correlation that a perfect model would have with the mean of the repeats
    repeats : how many
    """

    signal_power: Float64
    correlation: Float64
    repeats: int


def noise_ceiling(repeats: ArrayLike) -> NoiseCeiling:
    """Signal power and the highest correlation that a model can reach with the mean of R repeats.

    SP = (Var(sum over repeats) - sum of Var(repeat)) / (R (R - 1));  CC_max = sqrt(SP / Var(mean over repeats)).
    Variances are over time.

    Parameters
    ----------
    repeats : (repeat, n, target), two repeats or more of the same n samples

    >>> signal = np.sin(np.arange(40.0))
    >>> noise_ceiling(np.stack([signal, signal])[..., None]).correlation.round(6)
    array([1.])
    """
    values = finite("repeats", repeats)
    if values.ndim != 3 or values.shape[0] < 2 or values.shape[1] < 2:
        raise InputError(f"repeats has shape {values.shape}", allowed="(repeat, n, target), two repeats or more")
    count = values.shape[0]
    power = (values.sum(axis=0).var(axis=0) - values.var(axis=1).sum(axis=0)) / (count * (count - 1))
    mean_variance = values.mean(axis=0).var(axis=0)
    share = np.divide(power, mean_variance, out=np.zeros_like(power), where=mean_variance > 0.0)
    return NoiseCeiling(power, np.sqrt(np.clip(share, 0.0, 1.0)), count)
