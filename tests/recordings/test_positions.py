"""Positions: matched by name, repaired in unit and origin, never invented."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from eeg2music.recordings.contents import no_positions
from eeg2music.recordings.electrodes_tsv import head_positions
from eeg2music.recordings.montages import bare_name, bipolar, guess_positions, match_montage, template
from eeg2music.recordings.positions import fit_sphere, locate, onto_head
from eeg2music.types import HEAD_CENTRE_M

CAP = (
    "Fp1",
    "Fp2",
    "F7",
    "F3",
    "Fz",
    "F4",
    "F8",
    "T7",
    "C3",
    "Cz",
    "C4",
    "T8",
    "P7",
    "P3",
    "Pz",
    "P4",
    "P8",
    "O1",
    "O2",
)


def test_names_are_freed_of_what_recorders_add() -> None:
    for name in ("EEG Fp1-REF", "Fp1.", "Fp1..", "EEG Fp1-LE", "POL Fp1", " Fp1 ", "Fp1-A2", "EEGFp1", "eegFp1-REF"):
        assert bare_name(name) == "Fp1"
    assert [bare_name(name) for name in ("EEG1", "EEG", "EEGX")] == ["EEG1", "EEG", "EEGX"]


def test_the_head_frame_has_x_right_y_front_z_up() -> None:
    places = dict(zip(CAP, match_montage(CAP, "10-05"), strict=True))
    assert places["T8"][0] > 0.05 > -0.05 > places["T7"][0]
    assert places["Fz"][1] > places["Cz"][1] > places["Pz"][1]
    assert places["Cz"][2] > places["O1"][2]
    centre, radius = fit_sphere(np.stack(list(places.values())))
    np.testing.assert_allclose(centre, HEAD_CENTRE_M, atol=0.012)
    assert 0.085 < radius < 0.11


def test_old_and_new_names_are_the_same_place() -> None:
    np.testing.assert_array_equal(match_montage(["T3"], "10-05"), match_montage(["T7"], "10-05"))


def test_bipolar_derivations_lie_between_their_electrodes() -> None:
    assert bipolar("Fp1-F7") == ("FP1", "F7")
    assert bipolar("C3-A2") is None
    ends = match_montage(["Fp1", "F7", "Fp1-F7", "EEGFp1-F7", "EEGFp1-EEGF7"], "10-05")
    for between in ends[2:]:
        np.testing.assert_allclose(between, ends[:2].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(("count", "size"), [(32, 32), (64, 64), (128, 128)])
def test_biosemi_plugs_are_placed_in_order(count: int, size: int) -> None:
    names = [f"{'ABCDEFGH'[i // 32]}{i % 32 + 1}" for i in range(count)]
    positions, montage = guess_positions(names)
    assert montage == f"biosemi{size}"
    assert np.isfinite(positions).all()
    if count == 64:
        table = template("biosemi64")
        np.testing.assert_allclose(positions[names.index("A1")], table["FP1"], atol=1e-6)
        np.testing.assert_allclose(positions[names.index("B16")], table["CZ"], atol=1e-6)
        np.testing.assert_allclose(positions[names.index("A32")], table["CPZ"], atol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "montage"),
    [
        (range(1, 33), "GSN-HydroCel-32"),
        (range(1, 65), "GSN-HydroCel-65_1.0"),
        (range(1, 129), "GSN-HydroCel-129"),
        (sorted({*range(1, 129)} - {17, 43, 48, 49, 119, 120, 125, 126, 127, 128}), "GSN-HydroCel-129"),
        (range(1, 257), "GSN-HydroCel-257"),
    ],
)
def test_nets_are_placed_by_their_size(numbers: Iterable[int], montage: str) -> None:
    names = [f"E{i}" for i in numbers]
    positions, found = guess_positions([*names, "Cz"])
    assert found == montage
    table = template(montage)
    np.testing.assert_allclose(positions, [table[name.upper()] for name in [*names, "Cz"]], atol=1e-6)


def numbered(*prefixes: str, count: int = 32) -> list[str]:
    return [f"{prefix}{i}" for prefix in prefixes for i in range(1, count + 1)]


@pytest.mark.parametrize(
    "names",
    [
        numbered("C", count=64),
        numbered("P", count=20),
        [name for name in numbered("C", count=64) if name not in ("C1", "C17")],
        [*numbered("P", count=20), "Cz"],
        numbered("EEGP", count=20),
        numbered("EEG ", count=32),
        numbered("F", count=16),
        numbered("A", count=16),
        numbered("E", count=16),
        numbered("E", count=100),
        numbered("C"),
        numbered("B", "C"),
        numbered("A", "C"),
        numbered("A", "B", "D"),
    ],
    ids=lambda names: f"{names[0]}-{names[-1]}",
)
def test_numbers_are_no_places(names: list[str]) -> None:
    """Some of the names are also those of places, of electrodes of a net, or of plugs of a cap."""
    positions, notes = locate(names, no_positions(len(names)), origin="the file", fiducials=False, kind="eeg")
    assert np.isnan(positions).all()
    shown = ", ".join([name for name in names if name != "Cz"][:3])
    assert notes == (
        f"positions unknown: the file has none and names such as {shown} only number the channels; global decoding "
        "only (name the channels by their electrodes in the file)",
    )


def test_places_that_happen_to_count_stay_places() -> None:
    for names in (numbered("P", count=10), [*CAP, *numbered("T", count=6)], numbered("C", "CP", "FC", count=6)):
        positions, montage = guess_positions(names)
        assert montage == "colin27_1005"
        np.testing.assert_array_equal(positions, match_montage(names, "10-05"))


def test_unknown_names_stay_unknown() -> None:
    positions, montage = guess_positions(["x", "y", "z"])
    assert montage is None
    assert np.isnan(positions).all()


def test_a_few_known_names_do_not_place_the_others() -> None:
    positions, notes = locate(["Cz", "x", "y", "z"], no_positions(4), origin="the file", fiducials=False, kind="eeg")
    assert np.isfinite(positions).all(axis=1).tolist() == [True, False, False, False]
    assert "3 of 4 channels without one" in notes[0]


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0, 1000.0])
def test_a_wrong_unit_is_found_by_the_size_of_the_head(scale: float) -> None:
    true = match_montage(CAP, "10-05")
    found, how = onto_head(true * scale, fiducials=True)
    assert found is not None
    np.testing.assert_allclose(found, true, atol=1e-4)
    assert ("multiplied" in how) is (scale != 1.0)


def test_a_cap_without_fiducials_is_moved_onto_the_head() -> None:
    true = match_montage(CAP, "10-05")
    found, how = onto_head(true - np.float32(HEAD_CENTRE_M), fiducials=False)
    assert found is not None
    assert "for want of fiducials" in how
    np.testing.assert_allclose(found, true, atol=0.02)
    kept, how = onto_head(true - np.float32(HEAD_CENTRE_M), fiducials=True)
    assert how == ""
    np.testing.assert_allclose(kept, true - HEAD_CENTRE_M, atol=1e-6)


def test_no_head_at_all_is_not_used() -> None:
    assert onto_head(np.zeros((5, 3), np.float32), fiducials=False)[0] is None


def test_electrodes_are_turned_by_their_fiducials() -> None:
    """Any rigid motion and unit of electrodes and landmarks gives the same place on the head."""
    true = match_montage(CAP, "10-05").astype(float)
    marks = {"NAS": [0.0, 0.1, 0.0], "LPA": [-0.08, 0.0, 0.0], "RPA": [0.08, 0.0, 0.0]}
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    shift = np.array([0.01, -0.03, 0.02])
    places = {name.upper(): 1000 * (turn @ place + shift) for name, place in zip(CAP, true, strict=True)}
    system = {
        "EEGCoordinateSystem": "Other",
        "EEGCoordinateUnits": "mm",
        "AnatomicalLandmarkCoordinates": {k: (1000 * (turn @ np.array(v) + shift)).tolist() for k, v in marks.items()},
        "AnatomicalLandmarkCoordinateUnits": "mm",
    }
    found, fiducials = head_positions(CAP, places, system)
    assert fiducials
    np.testing.assert_allclose(found, true, atol=1e-5)


def test_eeglabs_axes_are_turned_to_the_nose() -> None:
    places = {"NOSEWARDS": np.array([90.0, 0.0, 0.0]), "LEFT": np.array([0.0, 90.0, 0.0])}
    found, fiducials = head_positions(
        ("nosewards", "left", "lost"),
        places,
        {"EEGCoordinateSystem": "Other", "EEGCoordinateSystemDescription": "EEGLAB", "EEGCoordinateUnits": "mm"},
    )
    assert not fiducials
    np.testing.assert_allclose(found[:2], [[0.0, 0.09, 0.0], [-0.09, 0.0, 0.0]], atol=1e-6)
    assert np.isnan(found[2]).all()
