"""What must not work: recordings, pairings and models from which the link to the music was removed.

Each control keeps everything but one thing. Nothing here scores; a control's output goes through
the same path as the real thing. All randomness comes in as a generator or a seed.
"""

from __future__ import annotations

import copy
import itertools
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.compat import quiet_libraries
from eeg2music.errors import DataError, InputError
from eeg2music.seeding import derive_seed
from eeg2music.types import FloatArray

if TYPE_CHECKING:
    from torch import nn

Index = NDArray[np.int64]


def phase_randomize(eeg: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Surrogate with the same spectra and cross-spectra but no timing (Prichard and Theiler 1994).

    The SAME random phase is added at each frequency to all channels: amplitudes, and phase
    differences between channels, stay as they were, so a decoder finds everything that it
    could know without timing. The cleanest null for time-locked decoding.

    Parameters
    ----------
    eeg : (..., channel, time); leading axes are randomised independently

    Returns
    -------
    Same shape and type. Mean and, for an even length, the Nyquist component are kept.

    Raises
    ------
    InputError
        For values that are not finite (a NaN would spread over the whole channel).
    """
    signal = _finite_signal(eeg)
    samples = signal.shape[-1]
    spectrum = np.fft.rfft(signal, axis=-1)
    phase = rng.uniform(0.0, 2.0 * np.pi, size=(*signal.shape[:-2], 1, spectrum.shape[-1]))
    phase[..., 0] = 0.0
    if samples % 2 == 0:
        phase[..., -1] = 0.0
    return np.fft.irfft(spectrum * np.exp(1j * phase), n=samples, axis=-1).astype(np.asarray(eeg).dtype)


def time_shift(eeg: FloatArray, rng: np.random.Generator, *, min_shift: int | None = None) -> FloatArray:
    """Shift a recording around in a circle by a random time, all channels alike.

    Tempo survives it: where music is periodic this control lies above chance, so judge it beside
    `phase_randomize`.

    Parameters
    ----------
    eeg : (..., channel, time)
    min_shift : samples, either way round, at most half the length; None takes a quarter of the length

    Raises
    ------
    InputError
        If the recording is too short for such a shift.
    """
    samples = np.shape(eeg)[-1]
    least = max(1, samples // 4) if min_shift is None else min_shift
    if not 1 <= least <= samples // 2:
        raise InputError(f"min_shift = {least} of {samples} samples", allowed=f"1 to {samples // 2}")
    return np.roll(np.asarray(eeg), int(rng.integers(least, samples - least + 1)), axis=-1)


def derangement(songs: int | Sequence[Hashable] | NDArray[Any], rng: np.random.Generator) -> Index:
    """A random permutation that pairs every window with one of another song.

    Parameters
    ----------
    songs : (n,) song (or work) of each window; a number n means n windows of n songs

    Returns
    -------
    (n,) index with songs[index[i]] != songs[i] for every i.

    Raises
    ------
    DataError
        If one song makes up more than half of the windows.

    >>> bool(np.any(derangement(5, np.random.default_rng(0)) == np.arange(5)))
    False
    """
    labels = range(songs) if isinstance(songs, int) else list(songs)
    members: dict[Hashable, list[int]] = defaultdict(list)
    for place, song in enumerate(labels):
        members[song].append(place)
    largest = max((len(m) for m in members.values()), default=0)
    if len(members) < 2 or 2 * largest > len(labels):
        raise DataError(
            f"One song has {largest} of {len(labels)} windows",
            allowed="at most half",
            remedy="add windows of other songs: these cannot be paired without pairing a song with itself",
        )
    groups = list(members.values())
    blocks = [rng.permutation(groups[g]) for g in rng.permutation(len(groups))]
    order = np.concatenate(blocks)
    index = np.empty(len(order), dtype=np.int64)
    # Windows lie song by song: a turn by the largest song's size takes every one out of its own song.
    index[order] = np.roll(order, -largest)
    return index


def reinitialised(model: nn.Module, seed: int) -> nn.Module:
    """A copy of a model with fresh random weights: same architecture, nothing learned.

    Models with a stored config are built anew from it; others are copied and every module that can
    `reset_parameters` does. Buffers (positions, scalers) are data, not learning, and are kept, except for the running
    statistics of batch normalisation and for those that a module names in `learned_buffers` (weights that have a closed
    form), which become noise of their own spread. torch's global generator is left as it was.

    Raises
    ------
    InputError
        If a weight matrix came out as it was: the control would be no control.
    """
    import torch
    from torch import nn

    devices = [p.device for p in model.parameters() if p.device.type == "cuda"][:1]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, "random weights"))
        fresh = _rebuild(model)
        noise = {
            f"{prefix}.{name}": torch.randn_like(module.get_buffer(name)) * module.get_buffer(name).std()
            for prefix, module in model.named_modules()
            for name in getattr(module, "learned_buffers", ())
        }
    own = dict(fresh.named_modules())
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        for key, buffer in module.named_buffers(recurse=False):
            setattr(own[name], key, noise.get(f"{name}.{key}", buffer.detach().clone()))
    trained = dict(model.named_parameters())
    kept = [
        name
        for name, weight in fresh.named_parameters()
        # A weight that is all one value (as an output layer that starts at zero) may be untrained.
        if weight.ndim >= 2 and weight.unique().numel() > 1 and torch.equal(weight.cpu(), trained[name].cpu())
    ]
    if kept:
        raise InputError(
            f"{len(kept)} weights kept their trained values (the first: {kept[0]})",
            remedy="give that module a reset_parameters method",
        )
    return fresh.train(model.training)


def _rebuild(model: nn.Module) -> nn.Module:
    from_config: Any = getattr(type(model), "from_config", None)
    stored: Any = getattr(model, "config", None)
    if from_config is not None and stored is not None:
        reference = next(itertools.chain(model.parameters(), model.buffers()))
        # diffusers lists arguments given by position among the defaults, and leaves those out again.
        config = {key: value for key, value in dict(stored).items() if key != "_use_default_values"}
        with quiet_libraries():  # diffusers warns of any type, also of the one that the model has
            return from_config(config).to(device=reference.device, dtype=reference.dtype)
    fresh = copy.deepcopy(model)
    for module in fresh.modules():
        reset: Any = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
    return fresh


def _finite_signal(eeg: FloatArray) -> NDArray[np.float64]:
    signal = np.asarray(eeg, dtype=np.float64)
    if signal.ndim < 2:
        raise InputError(f"A recording of shape {signal.shape}", allowed="(..., channel, time)")
    if not np.isfinite(signal).all():
        raise InputError("The recording holds values that are not finite", remedy="mask bad channels to zero first")
    return signal
