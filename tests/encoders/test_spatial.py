"""Spherical splines against MNE's, against analytic potentials, and under missing channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from eeg2music.encoders.spatial import SphericalSpline, channel_directions, spread_points

CENTRE = torch.tensor([0.0, 0.0, 0.04])


def electrodes(count: int, centre: Tensor = CENTRE) -> Tensor:
    """(1, channel, 3) evenly spread over the upper head, 9.5 cm from the centre."""
    return (torch.from_numpy(spread_points(count, -0.5)) * 0.095 + centre)[None]


def everything(positions: Tensor) -> Tensor:
    return torch.ones(positions.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize("order", [3, 4])
def test_weights_equal_those_of_mne(order: int) -> None:
    interpolation = pytest.importorskip("mne.channels.interpolation")
    positions = electrodes(40)
    spline = SphericalSpline(points=20, order=order, regularisation=1e-3)
    ours = spline.weights(positions, everything(positions))[0]
    # MNE's kernel is not scaled to a peak of one, so that its ridge is.
    degrees = np.arange(1, 25)
    peak = ((2 * degrees + 1) / (degrees * (degrees + 1.0)) ** order).sum() / (4 * np.pi)
    source = channel_directions(positions, everything(positions))[0].double().numpy()
    kernel = interpolation._calc_g(source @ source.T, stiffness=order, n_legendre_terms=24)
    across = interpolation._calc_g(spline.directions.double().numpy() @ source.T, stiffness=order, n_legendre_terms=24)
    # Perrin et al. 1989, eq. 4 and 5, as one system with the constraint on the coefficients.
    count = len(source)
    system = np.block(
        [[kernel + 1e-3 * peak * np.eye(count), np.ones((count, 1))], [np.ones((1, count)), np.zeros((1, 1))]]
    )
    theirs = np.hstack([across, np.ones((len(across), 1))]) @ np.linalg.inv(system)[:, :count]
    np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-4)


def test_fast_matrix_products_leave_the_weights_alone() -> None:
    """Training sets this precision on CPU; inference does not."""
    positions, before = electrodes(40), torch.get_float32_matmul_precision()
    spline = SphericalSpline(points=20)
    exact = spline.weights(positions, everything(positions))
    torch.set_float32_matmul_precision("medium")
    try:
        fast = spline.weights(positions, everything(positions))
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(fast, exact, atol=1e-5, rtol=0)


def test_resampled_signals_are_not_rounded() -> None:
    positions, spline = electrodes(12), SphericalSpline(points=10)
    eeg = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(0))
    plain = spline(eeg, positions, everything(positions))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(spline(eeg, positions, everything(positions)), plain)


def test_constant_and_smooth_potentials_arrive() -> None:
    positions = electrodes(64)
    spline = SphericalSpline(points=30, regularisation=1e-3)
    directions = (positions[0] - CENTRE) / 0.095
    constant = spline(torch.full((1, 64, 1), 3.0), positions, everything(positions))
    torch.testing.assert_close(constant, torch.full((1, 30, 1), 3.0), atol=1e-3, rtol=0)
    slope = torch.tensor([0.3, -1.0, 0.5])
    tilted = spline((directions @ slope)[None, :, None], positions, everything(positions))
    torch.testing.assert_close(tilted[0, :, 0], spline.directions @ slope, atol=0.06, rtol=0)


def test_missing_channels_change_little_where_the_field_is_smooth() -> None:
    positions = electrodes(64)
    field = torch.exp(2.0 * ((positions - CENTRE) / 0.095) @ torch.tensor([0.0, 0.6, 0.8]))[..., None]
    spline = SphericalSpline(points=30)
    whole = spline(field, positions, everything(positions))
    some = everything(positions)
    some[0, ::4] = False
    error = (spline(field, positions, some) - whole).square().mean().sqrt()
    assert error < 0.1 * whole.std()


def test_a_fitted_sphere_finds_the_head_where_it_is() -> None:
    away = torch.tensor([0.003, 0.02, 0.05])
    positions = electrodes(64, away)
    found = channel_directions(positions, everything(positions))[0]
    true = torch.nn.functional.normalize(positions[0] - away, dim=-1)
    degrees = torch.rad2deg(torch.acos((found * true).sum(-1).clamp(-1, 1)))
    assert degrees.max() < 1.5


def test_a_one_sided_cap_does_not_run_away() -> None:
    positions = electrodes(64)
    front = positions[0, :, 1] > 0.06
    found = channel_directions(positions, front[None])[0, front]
    true = torch.nn.functional.normalize(positions[0, front] - CENTRE, dim=-1)
    assert (found * true).sum(-1).min() > np.cos(np.deg2rad(10))


def test_no_channel_no_potential() -> None:
    positions = torch.full((1, 8, 3), float("nan"))
    out = SphericalSpline(points=5)(torch.ones(1, 8, 4), positions, everything(positions))
    assert torch.equal(out, torch.zeros(1, 5, 4))
