"""EnCodec's convolutions without their copies: the numbers of transformers' modules in half the time on CPU.

transformers pads and trims in tensors of their own around each convolution. Where padding is with zeros and the same on
both sides, the convolution can do it itself. Weights, names and results stay those of transformers.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from eeg2music.compat import mend_torchaudio

mend_torchaudio()
from transformers.models.encodec.modeling_encodec import (  # noqa: E402 - after torchaudio is mended
    EncodecConv1d,
    EncodecConvTranspose1d,
)


class DirectConv1d(EncodecConv1d):
    """`EncodecConv1d` that lets the convolution pad."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(batch, channel, time) -> (batch, channel, ceil(time / stride))"""
        stride, dilation = int(self.conv.stride[0]), int(self.conv.dilation[0])
        kernel = (int(self.conv.kernel_size[0]) - 1) * dilation + 1
        total = kernel - stride
        length = hidden_states.shape[-1]
        # Zeros on the right so that the last frame is whole.
        extra = (math.ceil((length - kernel + total) / stride + 1) - 1) * stride + kernel - total - length
        left, right = (total, extra) if self.causal else (total - total // 2, total // 2 + extra)
        if max(left, right) > 0 and (self.pad_mode != "constant" or left != right):
            hidden_states = self._pad1d(hidden_states, (left, right), mode=self.pad_mode)
            left = 0
        hidden_states = F.conv1d(hidden_states, self.conv.weight, self.conv.bias, stride, left, dilation)
        return self.norm(hidden_states) if self.norm_type == "time_group_norm" else hidden_states


class DirectConvTranspose1d(EncodecConvTranspose1d):
    """`EncodecConvTranspose1d` that lets the convolution trim where both sides lose the same."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(batch, channel, time) -> (batch, channel, time * stride)"""
        stride = int(self.conv.stride[0])
        total = int(self.conv.kernel_size[0]) - stride
        right = math.ceil(total * self.trim_right_ratio) if self.causal else total // 2
        left = total - right
        # The convolution's own result has to be a whole number of strides long. Of another length, oneDNN (torch 2.13,
        # AVX-512) got the first frames of 10 s wrong on several threads, and differently each time.
        both = left if left == right and self.norm_type == "weight_norm" else 0
        hidden_states = F.conv_transpose1d(hidden_states, self.conv.weight, self.conv.bias, stride, both)
        if self.norm_type == "time_group_norm":
            hidden_states = self.norm(hidden_states)
        return hidden_states[..., left - both : hidden_states.shape[-1] - (right - both)]


_REPLACED: dict[type[nn.Module], type[nn.Module]] = {
    EncodecConv1d: DirectConv1d,
    EncodecConvTranspose1d: DirectConvTranspose1d,
}


def without_copies(model: Any) -> Any:
    """Give a model's convolutions the lighter `forward`, in place; parameters and buffers stay as they are."""
    for module in model.modules():
        if type(module) in _REPLACED:
            module.__class__ = _REPLACED[type(module)]
    return model
