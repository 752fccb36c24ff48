"""Rotary positions, attention and modulation, against plain references."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from eeg2music.diffusion.layers import GatedMLP, Modulation, TimeAttention, attend, rotary_tables, rotate

CPU = torch.device("cpu")


def tables(tokens: int, channels: int, offset: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return rotary_tables(tokens, channels, base=1000.0, device=CPU, dtype=torch.float64, offset=offset)


def test_rotation_is_multiplication_by_complex_numbers() -> None:
    x = torch.randn(3, 7, 2, 8, dtype=torch.float64)
    angle = torch.arange(7)[:, None] * 1000.0 ** (-torch.arange(0, 8, 2).double() / 8)
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones_like(angle), angle)[:, None]
    expected = torch.cat([turned.real, turned.imag], dim=-1)
    torch.testing.assert_close(rotate(x, *tables(7, 8)), expected, atol=1e-6, rtol=0)


def test_gradient_of_the_rotation() -> None:
    x = torch.randn(2, 5, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: rotate(values, *tables(5, 4)), (x,))


def test_attention_in_time_knows_differences_of_positions_only() -> None:
    torch.manual_seed(0)
    layer = TimeAttention(16, 2).double()
    x = torch.randn(2, 4, 9, 16, dtype=torch.float64)
    here, elsewhere = layer(x, tables(9, 8)), layer(x, tables(9, 8, offset=50))
    torch.testing.assert_close(here, elsewhere, atol=1e-5, rtol=0)
    unrotated = layer(x, tables(9, 8)[::-1])
    assert (here - unrotated).abs().max() > 1e-3


def test_attention_in_time_keeps_stems_apart() -> None:
    torch.manual_seed(0)
    layer = TimeAttention(16, 2)
    x = torch.randn(1, 4, 9, 16)
    changed = x.clone()
    changed[:, 2] += 1.0
    cos, sin = (table.float() for table in tables(9, 8))
    difference = (layer(x, (cos, sin)) - layer(changed, (cos, sin))).abs().amax(dim=(0, 2, 3))
    assert difference[2] > 0.01
    assert torch.all(difference[[0, 1, 3]] == 0)


@pytest.mark.parametrize("hidden", [False, True])
def test_attend_is_torchs_attention(hidden: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, 5, 8, generator=generator)
    mask = torch.rand(2, 1, 5, 5, generator=generator) < 0.3 if hidden else None
    if mask is not None:
        mask &= ~torch.eye(5, dtype=torch.bool)
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=None if mask is None else ~mask)
    torch.testing.assert_close(attend(query, key, value, mask), expected, atol=1e-5, rtol=1e-5)


def test_modulation_begins_as_the_identity() -> None:
    parts = Modulation(8, 6, 4)(torch.randn(2, 4, 8))
    assert len(parts) == 6
    assert all(part.shape == (2, 4, 1, 8) and not part.any() for part in parts)


def test_gated_mlp() -> None:
    torch.manual_seed(0)
    layer, x = GatedMLP(4, 6), torch.randn(3, 4)
    gate = x @ layer.gate.weight.T
    expected = (gate / (1 + torch.exp(-gate)) * (x @ layer.value.weight.T)) @ layer.out.weight.T
    torch.testing.assert_close(layer(x), expected)
