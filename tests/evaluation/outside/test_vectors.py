"""Checks on arrays of embeddings, against brute force; and what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eeg2music.errors import DataError, InputError, LeakError
from eeg2music.evaluation.outside import vectors

RNG = np.random.default_rng(0)


def names(n: int) -> list[str]:
    return [f"clip-{number}" for number in range(n)]


def test_npy_and_npz_are_read(tmp_path: Path) -> None:
    table = RNG.standard_normal((3, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", table)
    np.savez(tmp_path / "b.npz", anything=table)
    for name in ("a.npy", "b.npz"):
        np.testing.assert_array_equal(vectors.load_array(tmp_path / name), table.astype(np.float64))


def test_other_contents_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "text.npy", np.array([["a"]]))
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    (tmp_path / "not.npy").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "flat.npy").read_bytes()[:20])
    for name in ("flat.npy", "text.npy", "two.npz", "not.npy", "cut.npy", "gone.npy"):
        with pytest.raises(InputError, match=name):
            vectors.load_array(tmp_path / name)


@pytest.mark.parametrize("n", [5, 1500])
def test_near_duplicates_wherever_they_stand(n: int) -> None:
    """Also far from the origin and across blocks, where products lose the digits of small distances."""
    table = 1e3 + RNG.standard_normal((n, 8))
    vectors.refuse_near(table, names(n), "test", "mend")
    table[n - 1] = table[1] + 1e-5
    with pytest.raises(DataError, match=f"clip-{n - 1} and clip-1 "):
        vectors.refuse_near(table, names(n), "test", "mend")


def test_a_tenth_of_the_distance_is_no_duplicate() -> None:
    table = RNG.standard_normal((50, 8))
    table[7] = table[3] + 0.1 * RNG.standard_normal(8)
    vectors.refuse_near(table, names(50), "test", "mend")


def test_copies_of_references() -> None:
    references = RNG.standard_normal((20, 8))
    made = references + 0.1 * RNG.standard_normal((20, 8))
    vectors.refuse_copied(made, names(20), references, names(20), "brain")
    made[4] = references[9] * (1 + 1e-6)
    with pytest.raises(LeakError, match="clip-4 of 'brain' is a copy of the reference clip-9"):
        vectors.refuse_copied(made, names(20), references, names(20), "brain")


def test_constant_and_broken_vectors() -> None:
    with pytest.raises(DataError, match="Constant embeddings: all 3 of test"):
        vectors.refuse_bad(np.full((3, 4), 7.0) + 1e-9, names(3), "test")
    vectors.refuse_bad(np.full((1, 4), 7.0), names(1), "test")
    broken = RNG.standard_normal((3, 4))
    broken[1, 2] = np.inf
    with pytest.raises(InputError, match="NaN or infinite embeddings: 1 of 3 in test, such as clip-1"):
        vectors.refuse_bad(broken, names(3), "test")
