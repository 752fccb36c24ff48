"""A codec that starts as a lapped transform reconstructs what its latents can hold, before any training."""

from __future__ import annotations

import math

import pytest
import torch

from eeg2music.codec.encodec import Codec
from eeg2music.codec.initialization import mdct, start_as_lapped_transform
from eeg2music.codec.losses import si_sdr_db
from eeg2music.errors import ConfigError

FITTING = {"num_lstm_layers": 1, "use_causal_conv": False, "use_conv_shortcut": False, "pad_mode": "constant"}


def lapped(**sizes: object) -> Codec:
    torch.manual_seed(0)
    codec = Codec.from_config(**{**FITTING, "codebook_size": 16, **sizes}).eval()
    start_as_lapped_transform(codec.encodec)
    return codec


def tone(hz: float, amplitude: float = 0.1) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * hz * torch.arange(24_000) / 24_000)[None]


def test_mdct_is_orthonormal_and_lapped_frames_add_up() -> None:
    transform = mdct(20)
    torch.testing.assert_close(transform @ transform.T, torch.eye(20), atol=1e-6, rtol=0)
    audio = torch.randn(200, generator=torch.Generator().manual_seed(0))
    frames = audio.unfold(0, 40, 20) @ transform.T @ transform
    back = torch.zeros(200)
    for index, frame in enumerate(frames):
        back[index * 20 : index * 20 + 40] += frame
    torch.testing.assert_close(back[20:-20], audio[20:-20], atol=1e-5, rtol=0)  # Princen–Bradley


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 64, "num_filters": 16, "upsampling_ratios": [5, 4, 4, 4]},
        {"hidden_size": 32, "num_filters": 8, "upsampling_ratios": [8, 5, 4, 2]},
        {"hidden_size": 16, "num_filters": 8, "upsampling_ratios": [5, 4, 4, 4]},
    ],
)
@torch.no_grad()
def test_low_sound_passes_and_high_sound_does_not(sizes: dict) -> None:
    codec = lapped(**sizes)
    limit_hz = sizes["hidden_size"] * codec.frame_rate_hz / 2
    low, high = tone(0.4 * limit_hz), tone(1.6 * limit_hz)
    inner = slice(1000, -1000)  # the first and the last frame have no neighbour to overlap with
    decoded = codec(low + high).audio
    assert si_sdr_db(decoded[:, inner], low[:, inner]).item() > 25
    assert codec(low).latents.abs().mean() > 20 * codec(high).latents.abs().mean()


@torch.no_grad()
def test_the_edges_do_not_ring() -> None:
    codec = lapped(hidden_size=64, num_filters=16, upsampling_ratios=[5, 4, 4, 4])
    assert codec(torch.zeros(1, 9600)).audio.abs().max() < 0.01
    assert codec(tone(300.0)).audio.abs().max() < 0.2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"use_causal_conv": True}, "use_causal_conv"),
        ({"use_conv_shortcut": True}, "use_conv_shortcut"),
        ({"pad_mode": "reflect"}, "pad_mode"),
        ({"num_filters": 2}, "num_filters"),
    ],
)
def test_architectures_that_cannot_hold_it_are_refused(change: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        lapped(hidden_size=64, upsampling_ratios=[5, 4, 4, 4], **{"num_filters": 16, **change})
