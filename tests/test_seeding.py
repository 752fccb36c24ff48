"""Randomness depends on the seed and the names alone: not on order, process or the type a number comes in."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from eeg2music.seeding import derive_seed, numpy_rng, torch_generator, torch_noise


def test_the_derivation_never_changes() -> None:
    # Songs, listeners and shipped models are made from these numbers: another value is another data set.
    assert derive_seed(0) == 2033344993903900207
    assert derive_seed(0, "clip", 3) == 3258330701996819211
    assert derive_seed(7, "song", "funk", 12, "notes") == 1023992589858087604


def test_it_is_63_bits_and_never_negative() -> None:
    values = [derive_seed(seed, "x", i) for seed in (-5, 0, 2**70) for i in range(50)]
    assert len(set(values)) == len(values)
    assert all(0 <= value < 2**63 for value in values)


@pytest.mark.parametrize(
    ("one", "other"),
    [((0, "a", "b"), (0, "b", "a")), ((0, "ab"), (0, "a", "b")), ((0, 3), (0, "3")), ((0, 1), (1, 0)), ((0,), (0, ""))],
)
def test_ids_are_told_apart(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    assert derive_seed(*one) != derive_seed(*other)


@pytest.mark.parametrize("number", [np.int64(3), np.int32(3), np.uint8(3)])
def test_numpy_numbers_count_as_numbers(number: np.integer) -> None:
    assert derive_seed(0, number) == derive_seed(0, 3)  # type: ignore[arg-type]
    assert derive_seed(number, "a") == derive_seed(3, "a")  # type: ignore[arg-type]


def test_numpy_text_counts_as_text() -> None:
    assert derive_seed(0, np.str_("song")) == derive_seed(0, "song")


@pytest.mark.parametrize("value", [1.5, None, ("a", 1), True])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="identifier"):
        derive_seed(0, value)  # type: ignore[arg-type]


def test_draws_do_not_depend_on_order_or_on_the_global_generators() -> None:
    first = {name: (numpy_rng(1, name).normal(size=4), torch_noise((4,), 1, name)) for name in "abc"}
    np.random.seed(123)  # noqa: NPY002 (the point: it must not matter)
    torch.manual_seed(123)
    random.seed(123)
    for name in "cab":
        assert np.array_equal(numpy_rng(1, name).normal(size=4), first[name][0])
        assert torch.equal(torch_noise((4,), 1, name), first[name][1])


def test_the_global_generators_are_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    numpy_rng(0, "x").normal(size=10)
    torch_noise((10,), 0, "x")
    torch_generator(0, "x")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_another_process_draws_the_same() -> None:
    # PYTHONHASHSEED differs from process to process: `hash` must not be part of it.
    code = "from eeg2music.seeding import *; print(derive_seed(4, 'clip', 'é', 9), numpy_rng(4, 'é').integers(2**60))"
    for hash_seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": hash_seed}
        ).stdout
        assert printed.split() == [str(derive_seed(4, "clip", "é", 9)), str(numpy_rng(4, "é").integers(2**60))]


def test_noise_is_standard_normal_and_independent_between_ids() -> None:
    one, other = torch_noise((20_000,), 0, "a"), torch_noise((20_000,), 0, "b")
    assert one.dtype == torch.float32
    assert abs(float(one.mean())) < 0.03
    assert abs(float(one.std()) - 1) < 0.03
    assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.03
