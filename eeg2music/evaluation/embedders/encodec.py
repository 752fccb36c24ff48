"""The embedding "encodec": what the codec's encoder hears before it is quantized (Défossez et al. 2022)."""

from __future__ import annotations

import numpy as np

from eeg2music.evaluation.embedders.base import Embedder, Options, names_of, pieces, torch_device
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.types import FloatArray

SHORTEST_S = 0.5


@EMBEDDERS.add("encodec")
class EncodecEmbedder(Embedder):
    """Mean over time of the continuous latents (128 for facebook/encodec_24khz), from the hub or a folder.

    Timbre and noise rather than melody. A generator that works in the latents of the very same codec has to declare
    it under `conditioned_on`.
    """

    name = "encodec"
    hub = "facebook/encodec_24khz"
    shortest_s = SHORTEST_S
    note = "Mean over time of the codec's latents: timbre and noise rather than notes."

    def __init__(self, options: Options) -> None:
        from eeg2music.codec.encodec import Codec
        from eeg2music.targets.cache import model_hash

        self._source = options.source or self.hub
        codec = Codec.from_pretrained(self._source)
        self._identity = model_hash(codec.encodec.encoder)
        self._codec = codec.to(torch_device(options.device)).requires_grad_(False)
        self._device = torch_device(options.device)
        self.dim, self.sample_rate_hz = codec.channels, codec.sample_rate_hz

    def _vector(self, audio: FloatArray) -> FloatArray:
        import torch

        parts = [
            self._codec.encode(torch.from_numpy(part)[None].to(self._device))[0].mean(dim=-1).float().cpu().numpy()
            for part in pieces(audio, self.sample_rate_hz)
        ]
        return np.asarray(np.mean(parts, axis=0), dtype=np.float32)

    def identity(self) -> str:
        return self._identity

    def known_as(self) -> frozenset[str]:
        return super().known_as() | names_of(self._source, part_of_generator=True)
