"""EnCodec's halves on sound of any length in bounded memory, with the numbers of one pass.

Only the convolutions between sound and the latents' rate take memory by the second: these run stretch by stretch, each
with as much beside it as they see. The LSTM, which sees everything before, runs once over the whole at the latents'
rate, so that there is no seam to hide. Knows layers and shapes only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

# Longer sound runs in stretches of this length; anything shorter in one pass.
STRETCH_S = 30.0


def decode_long(decoder: Any, latents: Tensor, hop: int, frames: int) -> Tensor:
    """What `decoder(latents)` gives, to float rounding: (batch, channel, frame) -> (batch, 1, frame * hop).

    Parameters
    ----------
    hop : samples per latent frame
    frames : latent frames of a stretch
    """
    low, high = _halves(list(decoder.layers), first_is_low=True)
    features = _run(low, latents)

    def part(start: int, stop: int) -> Tensor:
        return _run(high, features[..., start:stop])

    return _joined(part, features.shape[-1], frames, _reach_frames(high, hop), hop)


def encode_long(encoder: Any, audio: Tensor, hop: int, frames: int) -> Tensor:
    """What `encoder(audio)` gives, to float rounding: (batch, 1, samples) -> (batch, channel, ceil(samples / hop))."""
    high, low = _halves(list(encoder.layers), first_is_low=False)
    total = math.ceil(audio.shape[-1] / hop)

    def part(start: int, stop: int) -> Tensor:
        return _run(high, audio[..., start * hop : stop * hop])

    return _run(low, _joined(part, total, frames, _reach_frames(high, hop), 1))


def splits_exactly(model: Any) -> bool:
    """Whether a half can run in stretches: not where layers are normalised over the whole time."""
    return not any(getattr(module, "norm_type", None) == "time_group_norm" for module in model.modules())


def _halves(layers: Sequence[nn.Module], *, first_is_low: bool) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
    """The layers cut at the LSTM, which belongs to those at the latents' rate."""
    place = next(index for index, layer in enumerate(layers) if hasattr(layer, "lstm"))
    cut = place + 1 if first_is_low else place
    return layers[:cut], layers[cut:]


def _run(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _joined(part: Callable[[int, int], Tensor], total: int, frames: int, reach: int, scale: int) -> Tensor:
    """Parts of `frames` frames, each computed with `reach` more on either side; `scale` values per frame come out."""
    out: Tensor | None = None
    for start, stop in _stretches(total, frames):
        first = max(0, start - reach)
        piece = part(first, min(total, stop + reach))
        if out is None:
            out = piece.new_empty(*piece.shape[:-1], total * scale)
        # At once into its place: pieces kept until the end would hold all twice.
        out[..., start * scale : stop * scale] = piece[..., (start - first) * scale : (stop - first) * scale]
    assert out is not None
    return out


def _stretches(total: int, frames: int) -> Iterator[tuple[int, int]]:
    """Equal stretches, so that none is so short that padding by reflection would not find enough."""
    count = math.ceil(total / frames)
    return pairwise(round(index * total / count) for index in range(count + 1))


def _reach_frames(layers: Sequence[nn.Module], hop: int) -> int:
    """Latent frames beyond which nothing is seen: every kernel at the rate it runs at, all in one path."""
    convolutions = [module for layer in layers for module in layer.modules() if isinstance(module, _CONVOLUTIONS)]
    up = any(isinstance(module, nn.ConvTranspose1d) for module in convolutions)
    samples, step = 0, hop if up else 1
    for module in convolutions:
        kernel, stride = (int(module.kernel_size[0]) - 1) * int(module.dilation[0]) + 1, int(module.stride[0])
        if isinstance(module, nn.ConvTranspose1d):
            step //= stride
        samples += kernel * step
        if not isinstance(module, nn.ConvTranspose1d):
            step *= stride
    return math.ceil(samples / hop) + 1


_CONVOLUTIONS = (nn.Conv1d, nn.ConvTranspose1d)
