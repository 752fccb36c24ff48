"""CLAP embeddings: "clap-music" from the hub, and "ours", which conditions this project's generator."""

from __future__ import annotations

from typing import Any

from eeg2music.evaluation.embedders.base import Embedder, Options, names_of, torch_device
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.files import sha256_json
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray


class _Clap(Embedder):
    """What `load_clap` gives, with its audio tower alone in use."""

    sample_rate_hz = SAMPLE_RATE_HZ
    unit_norm = True

    def __init__(self, source: str, device: str) -> None:
        from eeg2music.targets.cache import model_hash
        from eeg2music.targets.clap import SHORTEST_S
        from eeg2music.targets.pretrained import TransformersClap, load_clap

        clap: Any = load_clap(source)
        # The spectrogram's settings are no weights, and decide the vector as much.
        settings = clap.extractor.to_dict() if isinstance(clap, TransformersClap) else None
        self._source, self._identity = source, sha256_json({"model": model_hash(clap), "extractor": settings})
        self._weights = model_hash(clap)
        self._clap = clap.to(torch_device(device))
        self.dim, self.shortest_s = clap.embedding_dim, SHORTEST_S

    def _vector(self, audio: FloatArray) -> FloatArray:
        import torch

        with torch.no_grad():
            return self._clap.embed_audio(torch.from_numpy(audio)[None])[0].float().cpu().numpy()

    def identity(self) -> str:
        return self._identity

    def known_as(self) -> frozenset[str]:
        return super().known_as() | names_of(self._source, part_of_generator=True) | {self._weights}


@EMBEDDERS.add("clap-music")
class ClapMusic(_Clap):
    """LAION's CLAP trained on music (Wu et al. 2023), 512 dimensions, from the hub or a folder."""

    name = "clap-music"
    hub = "laion/larger_clap_music"
    note = "Trained on audio and captions. Clips of more than 10 s are the mean over equal pieces."

    def __init__(self, options: Options) -> None:
        super().__init__(options.source or self.hub, options.device)


@EMBEDDERS.add("ours")
class Ours(_Clap):
    """The project's small CLAP of the checkpoint's folder `clap`; needs no network.

    It conditions the project's generator and must not judge clips made from it.
    """

    name = "ours"
    note = "The conditioning space of this project's generator: for clips made otherwise only."

    def __init__(self, options: Options) -> None:
        super().__init__(options.source or str(options.checkpoint / "clap"), options.device)
