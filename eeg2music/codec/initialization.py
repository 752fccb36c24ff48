"""Starts an EnCodec as a linear lapped transform, instead of from noise.

From random weights, hours of CPU go by before high notes are decoded in phase. An EnCodec of non-causal, zero-padded
convolutions can hold a modified discrete cosine transform (MDCT, Princen & Bradley 1986): its strided convolutions
rearrange samples into channels, the last of them (kernel of two hops) is the lapped transform, and the decoder is the
inverse. With the lowest `hidden_size` coefficients as latents, sound below hidden_size / 2 * frame rate is
reconstructed from the first step on; training then spends the latents better. Channels that the transform does not
need keep their random weights. Nothing here trains.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from eeg2music.errors import ConfigError

# ELU is the identity for positive values and nearly so for small ones. A bias that keeps values positive does not agree
# with zero padding, so where a kernel reaches past the edge, values are kept small instead.
_QUIET = 0.06  # of samples in the encoder
_GAIN = 0.3  # of samples in the decoder, with the same number as bias
_SMALL = 0.06  # of coefficients before the decoder's lapped convolution
_OFFSET = 4.0  # bias of coefficients before the encoder's last ELU
_LATENT = 6.0  # of coefficients as latents, so that those have a deviation of about one


@torch.no_grad()
def start_as_lapped_transform(model: Any) -> None:
    """Set the weights of a `transformers.EncodecModel` in place.

    Raises
    ------
    ConfigError
        If the architecture cannot hold the transform.
    """
    config = model.config
    strides = [int(ratio) for ratio in reversed(config.upsampling_ratios)]
    _check(config, strides)
    transform = mdct(math.prod(strides))
    group = math.prod(strides[:-1])  # samples per channel vector before the last strided convolution
    _start_encoder(model.encoder.layers, config, strides, transform, group)
    _start_decoder(model.decoder.layers, config, strides, transform, group)
    for part in (model.encoder, model.decoder):
        for module in part.modules():
            if type(module).__name__ == "EncodecResnetBlock":
                _scale(module.block[-1].conv, 0.0)
            elif isinstance(module, nn.LSTM):
                _close(module)


def mdct(hop: int) -> Tensor:
    """(coefficient, 2 * hop): the orthonormal MDCT with a sine window; its transpose is the inverse."""
    place = torch.arange(2 * hop, dtype=torch.float64) + 0.5
    window = torch.sin(math.pi * place / (2 * hop))
    frequency = torch.arange(hop, dtype=torch.float64)[:, None] + 0.5
    return (math.sqrt(2 / hop) * window * torch.cos(math.pi / hop * (place + hop / 2) * frequency)).float()


def _start_encoder(layers: Any, config: Any, strides: list[int], transform: Tensor, group: int) -> None:
    convolutions = _convolutions(layers)
    first, *middle, lapped, last = convolutions
    _set(first, _with_row(_weight(first), 0, centre=_QUIET), _with_main(first.bias, 1, 0.0))
    channels = 1
    for convolution, stride in zip(middle, strides[:-1], strict=True):
        weight = _weight(convolution)
        weight[: channels * stride] = 0
        for place in range(stride):
            for channel in range(channels):
                weight[place * channels + channel, channel, _left(stride) + place] = 1
        _set(convolution, weight, _with_main(convolution.bias, channels * stride, 0.0))
        channels *= stride
    # A window of two hops: kernel taps (time) by channels (samples within a tap).
    weight = _weight(lapped)
    kept = min(len(weight) - config.hidden_size, len(transform))
    rows = transform[:kept].reshape(kept, 2 * strides[-1], group).transpose(1, 2) * (_GAIN / _QUIET)
    weight[:kept] = 0
    weight[:kept, :group] = rows
    _set(lapped, weight, _with_main(lapped.bias, kept, _OFFSET))
    weight = torch.zeros_like(_weight(last))
    middle_tap = weight.shape[2] // 2
    index = torch.arange(config.hidden_size)
    weight[index, index, middle_tap] = _LATENT
    _set(last, weight, torch.full_like(last.bias, -_OFFSET * _LATENT))


def _start_decoder(layers: Any, config: Any, strides: list[int], transform: Tensor, group: int) -> None:
    convolutions = _convolutions(layers)
    first, lapped, *middle, last = convolutions
    size = config.hidden_size
    weight = _weight(first)
    index = torch.arange(size)
    weight[:size] = 0
    weight[index, index, weight.shape[2] // 2] = _SMALL / _LATENT
    _set(first, weight, _with_main(first.bias, size, 0.0))
    weight = _weight(lapped)  # (in, out, tap)
    weight[:, :group] = 0
    weight[:size, :group] = transform[:size].reshape(size, 2 * strides[-1], group).transpose(1, 2) / _SMALL
    _set(lapped, weight, _with_main(lapped.bias, group, _GAIN))
    channels = group
    for convolution, stride in zip(middle, reversed(strides[:-1]), strict=True):
        channels //= stride
        weight = _weight(convolution)
        weight[:, :channels] = 0
        for place in range(stride):
            for channel in range(channels):
                weight[place * channels + channel, channel, _left(stride) + place] = 1
        _set(convolution, weight, _with_main(convolution.bias, channels, 0.0))
    weight = torch.zeros_like(_weight(last))
    weight[0, 0, weight.shape[2] // 2] = 1 / _GAIN
    _set(last, weight, torch.full_like(last.bias, -1.0))


def _check(config: Any, strides: list[int]) -> None:
    needs = {
        "use_causal_conv": config.use_causal_conv is False,
        "use_conv_shortcut": config.use_conv_shortcut is False,
        "pad_mode": config.pad_mode == "constant",
        "norm_type": config.norm_type == "weight_norm",
    }
    held = all(
        math.prod(strides[: index + 1]) <= config.num_filters * 2 ** (index + 1) for index in range(len(strides) - 1)
    )
    wide = config.num_filters * 2 ** len(strides) > config.hidden_size
    if not (all(needs.values()) and held and wide and config.hidden_size <= math.prod(strides)):
        wrong = [key for key, fits in needs.items() if not fits] or ["num_filters, hidden_size and upsampling_ratios"]
        raise ConfigError(
            f"A codec with this {', '.join(wrong)} cannot start as a lapped transform",
            allowed="no causal convolutions or convolutional shortcuts, zero padding, as many channels as samples",
            remedy="start: random",
        )


def _convolutions(layers: Any) -> list[Any]:
    """The convolutions of the main path, in order."""
    return [layer.conv for layer in layers if hasattr(layer, "conv")]


def _left(stride: int) -> int:
    """Samples that the first tap of a non-causal convolution of kernel 2 * stride lies before its hop."""
    return stride - stride // 2


def _weight(convolution: Any) -> Tensor:
    return convolution.weight.detach().clone()


def _with_row(weight: Tensor, row: int, *, centre: float) -> Tensor:
    weight[row] = 0
    weight[row, 0, weight.shape[2] // 2] = centre
    return weight


def _with_main(bias: Tensor, count: int, value: float) -> Tensor:
    changed = bias.detach().clone()
    changed[:count] = value
    return changed


def _set(convolution: Any, weight: Tensor, bias: Tensor) -> None:
    """Assign through weight norm, whose magnitudes and directions are set apart."""
    # A row of zeros has no direction.
    dead = weight.flatten(1).norm(dim=1) == 0
    weight[dead] += 1e-6
    norm = weight.flatten(1).norm(dim=1)[:, None, None]
    convolution.parametrizations.weight.original0.copy_(norm)
    # Directions of unit scale per entry would turn slowly: keep them as long as fresh ones.
    convolution.parametrizations.weight.original1.copy_(weight / norm)
    convolution.bias.copy_(bias)


def _scale(convolution: Any, factor: float) -> None:
    convolution.parametrizations.weight.original0.mul_(factor)
    convolution.bias.mul_(factor)


def _close(lstm: nn.LSTM) -> None:
    """Shut the output gates, so that the residual around the LSTM passes unchanged."""
    size = lstm.hidden_size
    for layer in range(lstm.num_layers):
        for kind in ("weight_ih", "weight_hh"):
            getattr(lstm, f"{kind}_l{layer}")[3 * size :] = 0.0
        # The coefficients come with a bias, which would saturate the cells.
        getattr(lstm, f"weight_ih_l{layer}").mul_(0.1)
        getattr(lstm, f"bias_ih_l{layer}")[3 * size :] = -6.0
