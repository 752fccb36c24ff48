"""The forward model: linear, anatomically sensible, turned with the cap."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.errors import ConfigError
from eeg2music.simulation import head as heads
from eeg2music.types import REGIONS


@pytest.fixture(scope="module")
def head() -> heads.Head:
    return heads.make_head()


def test_montages_have_the_channels_they_are_named_after() -> None:
    for name, count in (("eeg64", 64), ("eeg32", 32)):
        names, positions = heads.montage_positions(name)
        assert len(names) == len(set(names)) == count
        assert positions.shape == (count, 3)
    assert set(heads.MONTAGES["eeg32"]) - {"PO3", "PO4"} < set(heads.MONTAGES["eeg64"])


def test_positions_lie_where_anatomy_has_them() -> None:
    names, positions = heads.montage_positions("eeg64")
    at = dict(zip(names, positions, strict=True))
    assert at["T7"][0] < -0.07 < 0.07 < at["T8"][0]
    assert at["Fpz"][1] > 0.09
    assert at["Cz"][2] > 0.12
    assert abs(at["Cz"][0]) < 0.005


def test_fiducials_define_the_head_frame() -> None:
    points = heads.fiducials()
    assert np.allclose(points["NAS"][[0, 2]], 0.0, atol=1e-6)
    assert np.allclose(points["LPA"][1:], 0.0, atol=1e-6)
    assert points["RPA"][0] > 0 > points["LPA"][0]


@pytest.mark.parametrize(
    ("region", "electrodes"),
    [
        ("central", {"Cz", "C1", "C2", "CPz", "FCz"}),
        ("left_temporal", {"T7", "C5", "FT7", "TP7"}),
        ("right_temporal", {"T8", "C6", "FT8", "TP8"}),
        ("frontal", {"Fz", "F1", "F2", "AFz", "FCz"}),
    ],
)
def test_radial_dipole_of_a_region_is_largest_above_it(head: heads.Head, region: str, electrodes: set[str]) -> None:
    lead = np.abs(head.regions[:, REGIONS.index(region), 0])
    assert head.channel_names[int(lead.argmax())] in electrodes


def test_lead_field_of_a_radial_dipole_agrees_with_the_analytic_series() -> None:
    """Brody et al. 1973 / Zhang 1995: potential on a homogeneous sphere, against MNE's with equal conductivities."""
    import mne

    names, nominal = heads.montage_positions("eeg64")
    directions = (nominal - heads.SPHERE_CENTRE_M) / np.linalg.norm(
        nominal - heads.SPHERE_CENTRE_M, axis=1, keepdims=True
    )
    radius, depth, sigma = heads.SPHERE_RADIUS_M, 0.05, 0.33
    electrodes = heads.SPHERE_CENTRE_M + radius * directions
    dipole = heads.SPHERE_CENTRE_M + np.array([0.0, 0.0, depth])
    info = mne.create_info(list(names), 1000.0, "eeg", verbose="ERROR")
    info.set_montage(mne.channels.make_dig_montage(dict(zip(names, electrodes, strict=True)), coord_frame="head"))
    cosine, order = directions[:, 2], np.arange(1, 80)
    legendre = np.stack([np.polynomial.legendre.legval(cosine, np.eye(80)[n]) for n in order])
    weights = (2 * order + 1) * (depth / radius) ** (order - 1)
    analytic = (weights[:, None] * legendre).sum(0) / (4 * np.pi * sigma * radius**2)
    analytic -= analytic.mean()
    sphere = mne.make_sphere_model(
        heads.SPHERE_CENTRE_M, radius, info, (0.9, 0.95, 1.0), (sigma, sigma, sigma), verbose="ERROR"
    )
    space = mne.setup_volume_source_space(
        pos={"rr": dipole[None], "nn": np.array([[0.0, 0.0, 1.0]])}, sphere_units="m", verbose="ERROR"
    )
    forward = mne.make_forward_solution(info, None, space, sphere, meg=False, eeg=True, mindist=0, verbose="ERROR")
    ours = forward["sol"]["data"][:, 2]
    ours = ours - ours.mean()
    assert np.allclose(ours, analytic, rtol=0.02, atol=0.01 * np.abs(analytic).max())


def test_a_skull_weakens_and_blurs(head: heads.Head) -> None:
    """The three shells must really be there: a homogeneous head would see far more."""
    lead = head.regions[:, 0, 0]
    assert 50 < np.abs(lead).max() < 3000  # volts per ampere-metre; a homogeneous sphere gives several thousand
    assert np.allclose(head.regions.mean(axis=0), 0.0, atol=1e-9)
    assert np.allclose(head.background.mean(axis=0), 0.0, atol=1e-9)


def test_turning_the_cap_by_nothing_changes_nothing_and_five_degrees_a_little(head: heads.Head) -> None:
    turned = heads.make_head("eeg64", (5.0, -5.0, 5.0))
    assert heads.make_head("eeg64", (0.0, 0.0, 0.0)) is heads.make_head("eeg64", (0.0, 0.0, 0.0))
    assert np.array_equal(turned.positions_m, head.positions_m)
    moved = np.linalg.norm(turned.true_positions_m - head.positions_m, axis=1)
    assert 0.0 < moved.max() < 0.02
    flat, other = head.regions.reshape(64, -1), turned.regions.reshape(64, -1)
    alike = [np.corrcoef(flat[:, k], other[:, k])[0, 1] for k in range(flat.shape[1])]
    assert 0.8 < min(alike) < 0.999


def test_thirty_two_electrodes_see_the_same_field() -> None:
    many, few = heads.make_head("eeg64"), heads.make_head("eeg32")
    shared = [name for name in few.channel_names if name in many.channel_names]
    a = many.regions[[many.channel_names.index(name) for name in shared]].reshape(len(shared), -1)
    b = few.regions[[few.channel_names.index(name) for name in shared]].reshape(len(shared), -1)
    assert np.allclose(a - a.mean(0), b - b.mean(0), atol=1e-6)


def test_patches_hold_at_least_four_differing_dipoles_inside_the_brain() -> None:
    positions, moments = heads.region_dipoles()
    assert positions.shape[1] >= 4
    depth = np.linalg.norm(positions - heads.SPHERE_CENTRE_M, axis=2)
    assert depth.max() < heads.RELATIVE_RADII[0] * heads.SPHERE_RADIUS_M
    assert np.allclose(np.linalg.norm(moments, axis=2), 1.0)
    for place, direction in zip(positions, moments, strict=True):
        assert len(np.unique(np.concatenate([place, direction], axis=1).round(6), axis=0)) == positions.shape[1]


def test_unknown_montage_is_named() -> None:
    with pytest.raises(ConfigError, match=r"eeg65.*Allowed: eeg64, eeg32"):
        heads.make_head("eeg65")
