"""The embedding "scorer": the project's own fingerprint, trained to judge and to condition nothing."""

from __future__ import annotations

from eeg2music.evaluation.embedders.base import Embedder, Options, names_of, torch_device
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.evaluation.followed import FOLLOWED
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray


@EMBEDDERS.add("scorer")
class Scorer(Embedder):
    """`eeg2music.scoring.encoder.ScorerNet` of the checkpoint's folder `scorer`; needs no network."""

    name = "scorer"
    sample_rate_hz = SAMPLE_RATE_HZ
    # Its fingerprint keeps coarse time in slots that stretch with the clip.
    one_length = True
    unit_norm = True
    # What `evaluate` judges its clips by.
    followed = tuple(FOLLOWED["generated"]["hears"])
    note = (
        "A fingerprint of music and time. It computes no control curve, but hears onsets and brightness in the "
        "spectrum: a clip that follows its conditions well scores better."
    )

    def __init__(self, options: Options) -> None:
        from eeg2music.scoring.encoder import SHORTEST_S, ScorerNet
        from eeg2music.targets.cache import model_hash
        from eeg2music.weights import load_model

        self._source = options.source or str(options.checkpoint / "scorer")
        model = load_model(ScorerNet, self._source)
        self._identity = model_hash(model)
        self._model = model.to(torch_device(options.device)).requires_grad_(False)
        self.dim, self.shortest_s = model.embedding_dim, SHORTEST_S

    def _vector(self, audio: FloatArray) -> FloatArray:
        import torch

        return self._model.embed(torch.from_numpy(audio)[None])[0].float().cpu().numpy()

    def identity(self) -> str:
        return self._identity

    def known_as(self) -> frozenset[str]:
        return super().known_as() | names_of(self._source, part_of_generator=False)
