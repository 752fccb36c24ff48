"""Personal filters and responses."""

from __future__ import annotations

import numpy as np
import torch

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
