"""Regions on the head: known electrodes lie where anatomy says, and coverage is said."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.recordings.montages import match_montage
from eeg2music.regions.electrodes import angles_deg, coverage
from eeg2music.types import REGIONS

TYPICAL = {"Cz": "central", "T7": "left_temporal", "T8": "right_temporal", "AFz": "frontal", "Fpz": "frontal"}


@pytest.mark.parametrize(("name", "region"), TYPICAL.items())
def test_a_typical_electrode_is_counted_in_its_region(name: str, region: str) -> None:
    found = coverage(match_montage([name], "10-05"))
    assert found.electrodes == {other: int(other == region) for other in REGIONS}


def test_left_is_left() -> None:
    left, right = (angles_deg(np.array([[x, 0.0146, 0.0432]], dtype=np.float32))[:, 0] for x in (-0.09, 0.09))
    assert REGIONS[int(left.argmin())] == "left_temporal"
    assert REGIONS[int(right.argmin())] == "right_temporal"


def test_unknown_positions_count_nowhere() -> None:
    nowhere = coverage(np.full((3, 3), np.nan, np.float32))
    assert nowhere.unknown == 3
    assert not any(nowhere.electrodes.values())
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
