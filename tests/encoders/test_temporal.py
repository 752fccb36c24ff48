"""Grouped convolutions keep their groups apart; pooling computes what it says."""

from __future__ import annotations

import torch

from eeg2music.encoders.temporal import PooledEmbedding, TemporalStack, as_image


def test_groups_stay_apart() -> None:
    torch.manual_seed(0)
    stack = TemporalStack(inputs=6, hidden=12, groups=3, dilations=(1, 2)).eval()
    x = torch.randn(1, 6, 64, requires_grad=True)
    stack(x)[0, 4:8].sum().backward()
    touched = x.grad[0].abs().amax(-1) > 0  # type: ignore[index]
    assert touched.tolist() == [False, False, True, True, False, False]


def test_it_sees_two_seconds_and_no_more() -> None:
    torch.manual_seed(0)
    stack = TemporalStack(inputs=1, hidden=4, groups=1, dilations=(1, 2, 4, 8, 1))
    for block in stack.blocks:  # normalisation looks at the whole window: take it out
        block.norm = torch.nn.Identity()
    stack.norm = torch.nn.Identity()  # type: ignore[assignment]
    x = torch.randn(1, 1, 512, requires_grad=True)
    out = stack(x)
    assert out.shape == (1, 4, 1, 256)
    out[0, :, 0, 128].sum().backward()
    seen = x.grad[0, 0].nonzero()  # type: ignore[index]
    seconds = float(seen.max() - seen.min() + 1) / 64
    assert 1.5 < seconds < 2.5


def test_pooling_is_mean_deviation_and_attended_mean() -> None:
    torch.manual_seed(0)
    head = PooledEmbedding(channels=6, groups=2, outputs=5, hidden=7)
    with torch.no_grad():
        head.attend.weight.normal_()
    x = torch.randn(3, 6, 20)
    pooled = head._pool(as_image(x))
    first = x[:, :3]
    scores = torch.einsum("bcf,c->bf", first, head.attend.weight[0, :, 0, 0]) + head.attend.bias[0]  # type: ignore[index]
    attended = torch.einsum("bcf,bf->bc", first, scores.softmax(-1))
    expected = torch.cat([first.mean(-1), (first.var(-1, unbiased=False) + 1e-4).sqrt(), attended], -1)
    torch.testing.assert_close(pooled[:, 0], expected)
    assert head(as_image(x)).shape == (3, 2, 5)
