"""ClapMini: audio and text in one space of 128 dimensions, small enough to train on a laptop.

The architecture of CLAP (Wu et al. 2023, "Large-scale contrastive language-audio pretraining"),
two towers that meet in a contrastive loss, at a thirtieth of its size. It judges nothing: it is a
conditioning space. It never trains itself (see eeg2music.training.clap) and never resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eeg2music.compat import mend_torchaudio
from eeg2music.errors import InputError
from eeg2music.targets.tokenizer import Tokenizer
from eeg2music.targets.towers import AudioTower, TextTower
from eeg2music.types import EMBEDDING_DIM, SAMPLE_RATE_HZ

mend_torchaudio()
from diffusers.configuration_utils import ConfigMixin, register_to_config  # noqa: E402 - after torchaudio is mended
from diffusers.models.modeling_utils import ModelMixin  # noqa: E402

SHORTEST_S = 0.5


class ClapMini(ModelMixin, ConfigMixin):
    """Audio tower, text tower and tokenizer.

    Parameters
    ----------
    vocabulary : tokens of the text tower, from `build_vocabulary`
    embedding_dim : length of the embeddings
    audio_width, dilations : channels and blocks of the audio tower
    text_width, text_layers, max_tokens : size of the text tower
    """

    config_name = "config.json"  # type: ignore[assignment]

    @register_to_config
    def __init__(
        self,
        vocabulary: Sequence[str],
        embedding_dim: int = EMBEDDING_DIM,
        audio_width: int = 192,
        dilations: Sequence[int] = (1, 2, 4, 1, 2),
        text_width: int = 128,
        text_layers: int = 2,
        max_tokens: int = 64,
    ) -> None:
        super().__init__()
        self.tokenizer = Tokenizer(vocabulary, max_tokens)
        self.audio_tower = AudioTower(embedding_dim, audio_width, tuple(dilations))
        self.text_tower = TextTower(embedding_dim, len(vocabulary), max_tokens, text_width, text_layers)

    @property
    def sample_rate_hz(self) -> int:
        """Sampling rate of the audio that `embed_audio` takes."""
        return SAMPLE_RATE_HZ

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding."""
        return int(self.config["embedding_dim"])

    def embed_audio(self, audio: Tensor) -> Tensor:
        """Embed mixes or stems.

        Parameters
        ----------
        audio : (batch, samples) float at 24 kHz, 0.5 s or more (trained on 1 to 5 s)

        Returns
        -------
        (batch, embedding) float32, unit norm. Silence has an embedding of its own.

        Raises
        ------
        InputError
            For another shape, less than half a second, or samples that are not finite.
        """
        check_audio(audio)
        mel = self.audio_tower.mel(audio.to(self.device))
        return self.audio_tower(mel.to(self.dtype))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Embed captions: (batch,) strings -> (batch, embedding) float32, unit norm."""
        check_texts(texts)
        return self.text_tower(self.tokenizer(texts).to(self.device))

    def forward(self, audio: Tensor) -> Tensor:
        """`embed_audio`."""
        return self.embed_audio(audio)


def check_audio(audio: Tensor) -> None:
    """Refuse audio that no CLAP can embed."""
    if audio.ndim != 2:
        raise InputError(f"Audio of shape {tuple(audio.shape)}", allowed="(batch, samples)")
    if audio.shape[-1] < SHORTEST_S * SAMPLE_RATE_HZ:
        raise InputError(
            f"{audio.shape[-1] / SAMPLE_RATE_HZ:.2f} s of audio is too short to embed",
            allowed=f"{SHORTEST_S} s or more",
        )
    if not bool(torch.isfinite(audio).all()):
        raise InputError("The audio to embed holds samples that are not finite", remedy="check where it comes from")


def check_texts(texts: Sequence[str]) -> None:
    """Refuse a bare string, which would be read as a list of letters."""
    if isinstance(texts, str):
        raise InputError(f"{texts!r} is one text", allowed="a list of texts", remedy="put it in a list")
