"""The plane of a map: scikit-learn's principal components where sets weigh alike, and the same picture every time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from eeg2music.errors import InputError
from eeg2music.metrics.projection import principal_plane


def sets(*counts: int, dim: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    scale = 0.5 ** np.arange(dim)
    return [rng.normal(size=(count, dim)) * scale + rng.normal(size=dim) for count in counts]


def test_equals_scikit_learn_where_sets_are_of_one_size() -> None:
    one, two = sets(20, 20)
    plane = principal_plane([one, two])
    expected = PCA(2).fit(np.concatenate([one, two]))
    flat = expected.transform(np.concatenate([one, two]))
    np.testing.assert_allclose(np.abs(np.concatenate(plane.coordinates)), np.abs(flat), atol=1e-9)
    np.testing.assert_allclose(plane.share, expected.explained_variance_ratio_, atol=1e-12)


def test_a_set_weighs_the_same_however_often_its_rows_are_given() -> None:
    one, two = sets(15, 6)
    plain, heavy = principal_plane([one, two]), principal_plane([one, np.repeat(two, 9, axis=0)])
    np.testing.assert_allclose(heavy.coordinates[0], plain.coordinates[0], atol=1e-9)
    np.testing.assert_allclose(heavy.coordinates[1][::9], plain.coordinates[1], atol=1e-9)
    np.testing.assert_allclose(heavy.share, plain.share, atol=1e-9)


def test_the_picture_does_not_flip() -> None:
    one, two = sets(15, 6)
    for flat in (np.concatenate(principal_plane(given).coordinates) for given in ([one, two], [-one, -two])):
        assert (flat[np.abs(flat).argmax(axis=0), [0, 1]] > 0).all()


def test_points_on_a_line_have_one_axis() -> None:
    plane = principal_plane([np.outer(np.arange(4.0), [1.0, 2.0, 2.0])])
    assert plane.share == pytest.approx([1.0, 0.0])
    assert np.ptp(plane.coordinates[0][:, 0]) == pytest.approx(9.0)
    two = principal_plane([[[0.0, 1.0]], [[4.0, 1.0]]])
    assert [one.tolist() for one in two.coordinates] in ([[[2.0, 0.0]], [[-2.0, 0.0]]], [[[-2.0, 0.0]], [[2.0, 0.0]]])


def test_what_has_no_plane_is_refused() -> None:
    with pytest.raises(InputError, match="all equal"):
        principal_plane([np.ones((3, 4)), np.ones((2, 4))])
    with pytest.raises(InputError, match="fewer than two dimensions"):
        principal_plane([np.ones((3, 1))])
    with pytest.raises(InputError, match="not finite"):
        principal_plane([[[0.0, np.nan], [1.0, 0.0]]])
    with pytest.raises(InputError, match="dimension"):
        principal_plane([np.ones((3, 2)), np.ones((3, 3))])
