"""Windows cover every clip, overlap, and merge without a seam."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eeg2music.diffusion.windows import WINDOW_FRAMES, frame_noise, plan_windows
from eeg2music.errors import InputError


@given(n_frames=st.integers(150, 20_000), patch=st.sampled_from([3, 5]))
def test_plans(n_frames: int, patch: int) -> None:
    plan = plan_windows(n_frames, patch)
    assert plan.length <= WINDOW_FRAMES
    assert plan.starts[0] == 0 and plan.starts[-1] + plan.length == plan.frames
    assert n_frames <= plan.frames < n_frames + patch
    assert all(start % patch == 0 for start in (*plan.starts, plan.length))
    overlaps = [one + plan.length - other for one, other in zip(plan.starts[:-1], plan.starts[1:], strict=True)]
    assert all(37 <= overlap <= plan.length // 2 + patch for overlap in overlaps)


@pytest.mark.parametrize("n_frames", [150, 375, 376, 750, 1201, 4500])
def test_merging_what_was_split_changes_nothing(n_frames: int) -> None:
    plan = plan_windows(n_frames, 5)
    x = torch.randn(4, 6, plan.frames, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(plan.merge(plan.split(x)), x)


def test_windows_that_disagree_are_blended_without_a_step() -> None:
    plan = plan_windows(750, 5)
    levels = torch.arange(len(plan.starts), dtype=torch.float32)
    merged = plan.merge(levels[:, None, None].expand(-1, 1, plan.length))[0]
    assert merged[0] == 0.0 and merged[-1] == levels[-1]
    assert (merged[1:] - merged[:-1]).abs().max() < 0.05


def test_noise_belongs_to_the_frame() -> None:
    short, long = frame_noise(4, 8, 150, 0, "a"), frame_noise(4, 8, 801, 0, "a")
    assert torch.equal(short, long[..., :150])
    assert not torch.equal(short, frame_noise(4, 8, 150, 0, "b"))
    assert not torch.equal(short, frame_noise(4, 8, 150, 1, "a"))
    assert not torch.equal(long[..., :75], long[..., 75:150])
    assert abs(float(long.std()) - 1.0) < 0.02


def test_too_short() -> None:
    with pytest.raises(InputError, match="2 s or more"):
        plan_windows(149, 5)
