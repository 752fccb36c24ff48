"""Distance to the nearest training item: a planted copy must show."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from eeg2music.metrics.nearest import nearest_distance, replay_check


def test_equals_cdist() -> None:
    rng = np.random.default_rng(0)
    query, bank = rng.normal(size=(9, 16)), rng.normal(size=(31, 16))
    table = cdist(query, bank, "cosine")
    found = nearest_distance(query, bank)
    np.testing.assert_allclose(found.distance, table.min(1), atol=1e-12)
    np.testing.assert_array_equal(found.row, table.argmin(1))


def test_a_replayed_training_set_is_caught() -> None:
    rng = np.random.default_rng(1)
    training, held_out, fresh = rng.normal(size=(200, 32)), rng.normal(size=(60, 32)), rng.normal(size=(60, 32))
    honest = replay_check(fresh, held_out, training)
    copied = replay_check(training[:60] + 0.1 * rng.normal(size=(60, 32)), held_out, training)
    assert 0.8 < honest.ratio < 1.25
    assert 0.25 < honest.share_nearer < 0.75
    assert copied.ratio < 0.1
    assert copied.share_nearer == 1.0
