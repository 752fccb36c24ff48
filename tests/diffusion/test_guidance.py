"""The dials: which passes they cost, and that their sum is what the paper says."""

from __future__ import annotations

import pytest
import torch

from eeg2music.diffusion.guidance import Dials, combine, expand, variants
from eeg2music.errors import ConfigError
from eeg2music.types import Conditions


@pytest.mark.parametrize(
    ("embedding", "curves", "passes"),
    [(1, 1, 1), (2, 2, 2), (2, 1, 2), (1, 2, 3), (3, 2, 3), (0, 0, 1), (0, 1, 1)],
)
def test_passes(embedding: float, curves: float, passes: int) -> None:
    wanted = variants(Dials(embedding_scale=embedding, curve_scale=curves), 0.5)
    assert len(wanted) == passes
    assert sum(variant.weight for variant in wanted) == pytest.approx(1.0)


def test_sum_is_that_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(0)
    nothing, curves, everything = torch.randn(3, 2, 4, 8, 10, generator=generator)
    wanted = variants(Dials(embedding_scale=3.0, curve_scale=2.0), 0.5)
    guided = combine(torch.cat([nothing, curves, everything]), wanted)
    torch.testing.assert_close(guided, nothing + 2.0 * (curves - nothing) + 3.0 * (everything - curves))


def test_interval() -> None:
    dials = Dials(embedding_scale=2.0, curve_scale=2.0, interval=(0.2, 0.8))
    assert [len(variants(dials, time)) for time in (0.0, 0.2, 0.5, 0.8)] == [1, 2, 2, 1]


def test_expand_drops_by_kind_and_keeps_dropped_what_was_dropped() -> None:
    keep_stem = torch.tensor([[True, False] * 2] * 2)
    conditions = Conditions(torch.randn(2, 8), torch.randn(2, 4, 8), torch.randn(2, 4, 3, 16), keep_stem=keep_stem)
    wanted = variants(Dials(embedding_scale=3.0, curve_scale=2.0), 0.0)
    out = expand(conditions, wanted)
    assert len(out) == 6
    assert out.keep_global is not None and out.keep_stem is not None and out.keep_curves is not None
    assert out.keep_global.tolist() == [False] * 4 + [True] * 2
    assert out.keep_curves.all(1).tolist() == [False] * 2 + [True] * 4
    assert not out.keep_stem[:4].any()
    assert out.keep_stem[4:].tolist() == [[True, False, True, False]] * 2
    torch.testing.assert_close(out.curves[4:], conditions.curves)


def test_rescale_gives_back_the_spread() -> None:
    generator = torch.Generator().manual_seed(0)
    nothing, everything = torch.randn(2, 1, 4, 8, 50, generator=generator)
    wanted = variants(Dials(embedding_scale=4.0, curve_scale=4.0), 0.5)
    both = torch.cat([nothing, everything])
    plain, rescaled = combine(both, wanted), combine(both, wanted, rescale=1.0)
    spread = everything.std(dim=(-2, -1))
    assert torch.all(plain.std(dim=(-2, -1)) > 2 * spread)
    torch.testing.assert_close(rescaled.std(dim=(-2, -1)), spread)


@pytest.mark.parametrize("wrong", [{"embedding_scale": -1.0}, {"interval": (0.8, 0.2)}, {"rescale": 2.0}])
def test_what_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="Allowed"):
        Dials(**wrong)  # type: ignore[arg-type]
