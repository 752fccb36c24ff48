"""Long sound in stretches: the numbers of one pass, and no pass longer than a stretch and its surroundings."""

from __future__ import annotations

import pytest
import torch

from eeg2music.codec import encodec as module
from eeg2music.codec.encodec import Codec
from eeg2music.codec.stretches import splits_exactly
from eeg2music.seeding import torch_noise

HOP = 320
STRETCH = 75  # frames, with a stretch of 1 s


def make(**changes: object) -> Codec:
    torch.manual_seed(0)
    sizes: dict[str, object] = {
        "hidden_size": 8, "num_filters": 4, "num_residual_layers": 1, "upsampling_ratios": [5, 4, 4, 4],
        "num_lstm_layers": 1, "codebook_size": 16, "use_causal_conv": False,
    }  # fmt: skip
    return Codec.from_config(**{**sizes, **changes}).eval()


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRETCH_S", 1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"pad_mode": "constant"},
        {"pad_mode": "reflect", "num_residual_layers": 3},
        {"use_causal_conv": True, "kernel_size": 15, "residual_kernel_size": 7, "num_residual_layers": 2},
    ],
    ids=["ours", "reflecting", "causal"],
)
@pytest.mark.parametrize("frames", [STRETCH + 1, 397])
@torch.no_grad()
def test_the_same_as_in_one_pass(short_stretches: None, changes: dict[str, object], frames: int) -> None:
    codec = make(**changes)
    latents = torch_noise((2, 8, frames), 1)
    whole = codec.encodec.decoder(latents)[:, 0]
    # An LSTM that forgot what came before a stretch would be off by about as much as the sound itself.
    assert torch.allclose(codec.decode(latents), whole, atol=1e-6 + 1e-5 * float(whole.abs().max()))
    audio = whole[:, : frames * HOP - 77]
    expected = codec.encodec.encoder(audio[:, None])
    assert expected.shape[-1] == frames
    assert torch.allclose(codec.encode(audio), expected, atol=1e-6 + 1e-5 * float(expected.abs().max()))


@torch.no_grad()
def test_a_stretch_bounds_the_longest_pass(short_stretches: None) -> None:
    codec = make()
    longest = {"decode": 0, "encode": 0}

    def watch(layer: torch.nn.Module, which: str) -> None:
        def note(_: object, inputs: tuple[torch.Tensor, ...], __: object) -> None:
            longest[which] = max(longest[which], inputs[0].shape[-1])

        layer.register_forward_hook(note)

    watch(codec.encodec.decoder.layers[-1], "decode")
    watch(codec.encodec.encoder.layers[0], "encode")
    audio = codec.decode(torch_noise((1, 8, 60 * 75), 1))
    assert audio.shape == (1, 60 * 24_000)
    codec.encode(audio)
    for which, samples in longest.items():
        assert 0 < samples <= 1.5 * STRETCH * HOP, which


@torch.no_grad()
def test_up_to_thirty_seconds_it_is_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("in stretches")

    codec = make()
    monkeypatch.setattr(module, "decode_long", never)
    monkeypatch.setattr(module, "encode_long", never)
    audio = codec.decode(torch_noise((1, 8, 30 * 75), 1))
    assert codec.encode(audio).shape[-1] == 30 * 75
    with pytest.raises(AssertionError, match="in stretches"):
        codec.decode(torch_noise((1, 8, 30 * 75 + 1), 1))


def test_what_is_normalised_over_time_is_not_cut(short_stretches: None) -> None:
    codec = make(norm_type="time_group_norm")
    assert not splits_exactly(codec.encodec.decoder)
    latents = torch_noise((1, 8, 200), 1)
    with torch.no_grad():
        assert torch.equal(codec.decode(latents), codec.encodec.decoder(latents)[:, 0])
