"""Regions on the head: known electrodes lie where anatomy says, weights are normalised, coverage is said."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.recordings.montages import match_montage
from eeg2music.regions.electrodes import (
    REGION_CENTRES_M,
    REGION_MAPS,
    coverage,
    region_weights,
)
from eeg2music.types import REGIONS

TYPICAL = {"Cz": "central", "T7": "left_temporal", "T8": "right_temporal", "AFz": "frontal", "Fpz": "frontal"}


@pytest.mark.parametrize(("name", "region"), TYPICAL.items())
def test_a_typical_electrode_weighs_most_in_its_region(name: str, region: str) -> None:
    names = [*TYPICAL, "Oz", "Pz"]
    weights = region_weights(match_montage(names, "10-05"))
    assert REGIONS[int(weights[:, names.index(name)].argmax())] == region


def test_weights_sum_to_one_or_to_nothing() -> None:
    weights = region_weights(match_montage(["Cz", "T7", "Oz"], "10-05"))
    np.testing.assert_allclose(weights.sum(axis=1), [1.0, 1.0, 0.0, 0.0], atol=1e-6)
    assert not weights[:, 2].any()


def test_left_is_left() -> None:
    left = REGION_CENTRES_M[REGIONS.index("left_temporal")]
    right = REGION_CENTRES_M[REGIONS.index("right_temporal")]
    assert left[0] < 0 < right[0]
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-6)


def test_unknown_positions_weigh_nothing() -> None:
    weights = region_weights(np.full((3, 3), np.nan, dtype=np.float32))
    assert weights.shape == (4, 3)
    assert not weights.any()
    nowhere = coverage(np.full((3, 3), np.nan, np.float32))
    for known in (False, True):
        assert nowhere.in_words(regions_known=known) == "no electrode has a known position: global decoding only"


def test_coverage_counts_each_electrode_once() -> None:
    places = match_montage(["Cz", "C1", "T8", "Oz", "nowhere"], "10-05")
    found = coverage(places)
    assert found.electrodes == {"central": 2, "left_temporal": 0, "right_temporal": 1, "frontal": 0}
    assert (found.unknown, found.elsewhere) == (1, 1)
    assert found.in_words() == (
        "central: 2 electrodes; left_temporal: none; right_temporal: 1 electrode; frontal: none; "
        "elsewhere: 1 electrode; position unknown: 1 electrode"
    )


def test_electrodes_that_do_not_tell_regions_apart_are_said_not_to() -> None:
    words = coverage(match_montage(["Cz", "C1"], "10-05")).in_words(regions_known=False)
    assert words.startswith("regions could not be told apart: global decoding only (central: 2 electrodes; ")


def test_every_region_map_takes_positions_without_a_meaning() -> None:
    for name in REGION_MAPS:
        weights = REGION_MAPS[name]().weights(np.full((2, 3), np.nan, dtype=np.float32))
        assert weights.shape == (len(REGIONS), 2)
