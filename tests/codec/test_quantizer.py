"""The residual quantizer finds what is there, and gets closer with every codebook."""

from __future__ import annotations

import itertools

import pytest
import torch

from eeg2music.codec.quantizer import assign, fit_codebooks
from eeg2music.errors import InputError


def test_separate_clusters_are_found() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(8, 6, generator=generator)
    vectors = centres.repeat(200, 1) + 0.1 * torch.randn(1600, 6, generator=generator)
    codebooks, usage = fit_codebooks(vectors, books=1, codes=8, steps=120, seed=1)
    distances = torch.cdist(centres, codebooks[0])
    # k-means from random vectors may join two clusters; most are found, and none is left far from a code.
    assert (distances.min(dim=1).values < 0.3).sum() >= 6
    assert usage.sum() == 1600


def test_each_codebook_lowers_the_error() -> None:
    vectors = torch.randn(4000, 8, generator=torch.Generator().manual_seed(2))
    codebooks, usage = fit_codebooks(vectors, books=4, codes=32, steps=60, seed=0)
    residual, errors = vectors.clone(), [float(vectors.square().mean())]
    for codebook in codebooks:
        residual = residual - codebook[assign(residual, codebook)]
        errors.append(float(residual.square().mean()))
    assert all(after < 0.8 * before for before, after in itertools.pairwise(errors))
    assert (usage > 0).float().mean() > 0.95  # hardly a code is wasted


def test_assign_is_the_nearest_by_brute_force() -> None:
    generator = torch.Generator().manual_seed(3)
    vectors, codebook = torch.randn(50, 5, generator=generator), torch.randn(9, 5, generator=generator)
    assert torch.equal(assign(vectors, codebook, chunk=7), torch.cdist(vectors, codebook).argmin(dim=1))


def test_fit_depends_on_the_seed_alone() -> None:
    vectors = torch.randn(500, 4, generator=torch.Generator().manual_seed(4))
    fits = [fit_codebooks(vectors, books=2, codes=8, steps=10, seed=seed)[0] for seed in (0, 0, 1)]
    assert torch.equal(fits[0], fits[1]) and not torch.equal(fits[0], fits[2])


def test_no_vectors_are_refused() -> None:
    with pytest.raises(InputError, match="vector, channel"):
        fit_codebooks(torch.zeros(0, 4), books=1, codes=2, steps=1, seed=0)
