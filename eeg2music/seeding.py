"""Randomness that depends on (seed, sample id) and on nothing else.

A clip's noise, a song's notes and a training sample's crop are each derived from
the one seed and the name of the thing, so that they are the same whatever the
batch size, the order, or the number of processes. The global generators of numpy
and torch are never used by the library.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Identifier = str | int


def derive_seed(seed: int, *ids: Identifier) -> int:
    """Hash a seed and any number of identifiers into 63 bits.

    >>> derive_seed(0, "clip", 3) == derive_seed(0, "clip", 3)
    True
    >>> derive_seed(0, "clip", 3) == derive_seed(0, "clip", "3")
    False
    """
    text = "\x1f".join([repr(int(seed)), *(_plain(i) for i in ids)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def _plain(identifier: Identifier) -> str:
    """A text that tells 3 from "3", but not a numpy 3 from a Python 3."""
    if isinstance(identifier, str):
        return repr(str(identifier))
    if isinstance(identifier, int | np.integer) and not isinstance(identifier, bool):
        return repr(int(identifier))
    raise TypeError(f"an identifier is a text or a whole number, not {identifier!r}")


def numpy_rng(seed: int, *ids: Identifier) -> np.random.Generator:
    """A numpy generator for (seed, ids)."""
    return np.random.default_rng(derive_seed(seed, *ids))


def torch_generator(seed: int, *ids: Identifier) -> torch.Generator:
    """A CPU torch generator for (seed, ids)."""
    import torch

    generator = torch.Generator(device="cpu")
    generator.manual_seed(derive_seed(seed, *ids))
    return generator


def torch_noise(shape: tuple[int, ...], seed: int, *ids: Identifier) -> torch.Tensor:
    """Standard normal noise of `shape` for (seed, ids), drawn on the CPU in float32.

    Drawing on the CPU keeps a clip's noise the same on every device.
    """
    import torch

    return torch.randn(shape, generator=torch_generator(seed, *ids), dtype=torch.float32)
