"""Fits the codec's residual vector quantizer on frozen latents.

Each stage is a codebook learned by k-means with exponential moving averages over minibatches (van den Oord et al. 2017,
appendix A.1), on what the stages before it left over (residual VQ, Zeghidour et al. 2021). Codes that go
unused are moved onto random vectors. It never changes encoder or decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eeg2music.errors import InputError
from eeg2music.seeding import torch_generator

_DECAY = 0.95
# A code that is used less than this share of what all codes are on average is moved.
_DEAD_SHARE = 0.02


@torch.no_grad()
def fit_codebooks(
    vectors: Tensor, *, books: int, codes: int, steps: int, seed: int, batch: int = 8192
) -> tuple[Tensor, Tensor]:
    """Learn `books` codebooks of `codes` entries each.

    Parameters
    ----------
    vectors : (vector, channel) latents, one row per frame
    steps : minibatches per codebook

    Returns
    -------
    codebooks (book, code, channel) and usage (book, code), the number of vectors per code.

    Raises
    ------
    InputError
        If there are no vectors.
    """
    if vectors.ndim != 2 or len(vectors) == 0:
        raise InputError(f"Latents of shape {tuple(vectors.shape)} to fit a quantizer on", allowed="(vector, channel)")
    residual = vectors.float().clone()
    found, usage = [], []
    for book in range(books):
        generator = torch_generator(seed, "quantizer", book)
        codebook = _fit_one(residual, codes, steps, batch, generator)
        nearest = assign(residual, codebook)
        residual -= codebook[nearest]
        found.append(codebook)
        usage.append(torch.bincount(nearest, minlength=codes).float())
    return torch.stack(found), torch.stack(usage)


@torch.no_grad()
def assign(vectors: Tensor, codebook: Tensor, chunk: int = 16384) -> Tensor:
    """Index of the nearest code (Euclidean) of each vector, (vector,)."""
    half_norm = codebook.square().sum(dim=1) / 2
    return torch.cat([(part @ codebook.T - half_norm).argmax(dim=1) for part in vectors.split(chunk)])


def _fit_one(vectors: Tensor, codes: int, steps: int, batch: int, generator: torch.Generator) -> Tensor:
    codebook = _pick(vectors, codes, generator).clone()
    counts, sums = torch.ones(codes, device=vectors.device), codebook.clone()
    for _ in range(steps):
        part = _pick(vectors, min(batch, len(vectors)), generator)
        nearest = assign(part, codebook)
        new_counts = torch.bincount(nearest, minlength=codes).float()
        new_sums = torch.zeros_like(sums).index_add_(0, nearest, part)
        counts.lerp_(new_counts, 1 - _DECAY)
        sums.lerp_(new_sums, 1 - _DECAY)
        dead = counts < _DEAD_SHARE * len(part) / codes
        if dead.any():
            sums[dead] = _pick(vectors, int(dead.sum()), generator)
            counts[dead] = 1.0
        codebook = sums / counts[:, None]
    return codebook


def _pick(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    rows = torch.randint(len(vectors), (count,), generator=generator)
    return vectors[rows.to(vectors.device)]
