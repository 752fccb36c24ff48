"""Personal filters and responses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eeg2music.encoders.subjects import TAPS, SubjectFilters


def test_a_personal_response_is_a_convolution() -> None:
    torch.manual_seed(0)
    layer = SubjectFilters(subjects=2, points=5, regions=2, filters=3)
    with torch.no_grad():
        layer.response.normal_()
    virtual = torch.randn(1, 5, 40)
    plain = layer(virtual, torch.tensor([-1]))[0]
    heard = layer(virtual, torch.tensor([1]))[0]
    for channel in range(6):
        taps = layer.response[1, channel // 3].detach().numpy()
        expected = plain[channel].detach().numpy() + np.convolve(plain[channel].detach().numpy(), taps[::-1], "same")
        np.testing.assert_allclose(heard[channel].detach().numpy(), expected, atol=1e-4)


def test_a_delay_can_be_learned() -> None:
    """Taps of minus one at the centre and one beside it shift the sources by a sample."""
    layer = SubjectFilters(subjects=1, points=4, regions=1, filters=2)
    with torch.no_grad():
        layer.response[0, 0, TAPS // 2] = -1.0
        layer.response[0, 0, TAPS // 2 - 1] = 1.0
    virtual = torch.randn(1, 4, 30)
    plain, late = layer(virtual, torch.tensor([-1])), layer(virtual, torch.tensor([0]))
    torch.testing.assert_close(late[..., 1:], plain[..., :-1])


def test_nobody_known() -> None:
    layer = SubjectFilters(subjects=0, points=4, regions=2, filters=2)
    assert layer(torch.randn(3, 4, 10), torch.tensor([-1, -1, -1])).shape == (3, 4, 10)


def test_people_start_out_alike() -> None:
    layer = SubjectFilters(subjects=2, points=4, regions=2, filters=2)
    out = layer(torch.randn(1, 4, 10).expand(3, -1, -1), torch.tensor([-1, 0, 1]))
    torch.testing.assert_close(out[0], out[1])
    torch.testing.assert_close(out[0], out[2])


def alike(points: int, samples: int, spread: float = 0.01) -> Tensor:
    """(1, point, time): one strong source that all channels share, and what tells them apart."""
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(1, 1, samples, generator=generator)
    return shared + spread * torch.randn(1, points, samples, generator=generator)


def test_whitened_coordinates_change_nothing_that_is_computed() -> None:
    torch.manual_seed(1)
    layer = SubjectFilters(subjects=2, points=6, regions=2, filters=3)
    with torch.no_grad():
        layer.personal.normal_(std=0.1)
    virtual, who = alike(6, 500).expand(3, -1, -1), torch.tensor([-1, 0, 1])
    before, kept = layer(virtual, who), {name: value.clone() for name, value in layer.state_dict().items()}
    layer.precondition(virtual[0] @ virtual[0].T / 500)
    assert not torch.allclose(layer.shared, kept["shared"], atol=0.1)
    torch.testing.assert_close(layer(virtual, who), before, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(layer.of(who), kept["shared"] + torch.cat([torch.zeros(1, 6, 6), kept["personal"]]),
                               rtol=1e-3, atol=1e-3)  # fmt: skip
    layer.settle()
    assert layer.state_dict().keys() == kept.keys()
    for name, value in layer.state_dict().items():
        torch.testing.assert_close(value, kept[name], rtol=1e-4, atol=1e-4)


def test_filters_that_cancel_shared_noise_are_learned_in_whitened_coordinates() -> None:
    """What tells the channels apart has a ten thousandth of their variance: plain descent hardly gets there."""
    virtual = alike(8, 2000)
    wanted = (virtual[:, 0] - virtual[:, 1])[:, None] * 100.0

    def error(whitened: bool) -> float:
        torch.manual_seed(2)
        layer = SubjectFilters(subjects=0, points=8, regions=1, filters=1)
        if whitened:
            layer.precondition(virtual[0] @ virtual[0].T / 2000)
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
        for _ in range(300):
            optimizer.zero_grad()
            loss = (layer(virtual, torch.tensor([-1])) - wanted).square().mean() / wanted.square().mean()
            loss.backward()
            optimizer.step()
        layer.settle()
        with torch.no_grad():
            return float((layer(virtual, torch.tensor([-1])) - wanted).square().mean() / wanted.square().mean())

    assert error(True) < 0.02
    assert error(False) > 0.3


def test_channels_that_nearly_cancel_are_not_rounded() -> None:
    layer = SubjectFilters(subjects=0, points=2, regions=1, filters=1)
    with torch.no_grad():
        layer.shared.copy_(torch.tensor([[100.0, -100.0]]))
    virtual = alike(2, 200)
    plain = layer(virtual, torch.tensor([-1]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = layer(virtual, torch.tensor([-1]))
    assert torch.equal(plain, rounded)
