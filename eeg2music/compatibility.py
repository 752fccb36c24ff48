"""Whether the models of a checkpoint belong together: latents, frame rates and the space of the conditions.

Models that were trained apart load alone and fail together, or worse, play noise. Compares what they say of themselves;
loads and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from eeg2music.errors import CheckpointError
from eeg2music.targets.cache import conditioning_space
from eeg2music.types import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from eeg2music.weights import CONDITIONING_SPACE, LATENT_SPACE

if TYPE_CHECKING:
    from eeg2music.codec.encodec import Codec

NO_LATENT_SPACE = (
    "The diffusion model does not say which codec's latents it makes: only their number of channels was compared. "
    "With another codec than its own the sound would be noise."
)
NO_CONDITIONING_SPACE = (
    "The brain encoder, the diffusion model or both do not say which CLAP's embeddings they were trained on: only "
    "their length was compared. If these differ, the music does not follow the brain."
)
Manifests = Mapping[str, Mapping[str, Any]]


def check_together(
    folder: Path, codec: Codec, encoder: Mapping[str, Any], diffusion: Mapping[str, Any], manifests: Manifests
) -> tuple[str, ...]:
    """Refuse models that cannot make music together.

    Parameters
    ----------
    folder : of the checkpoint, for messages
    encoder, diffusion : configs of the models
    manifests : training manifests by the models' names, as far as there are any

    Returns
    -------
    Sentences about what could not be compared.

    Raises
    ------
    CheckpointError
        If codec and diffusion model, or encoder and diffusion model, do not fit, or the codec runs at other rates.
    """
    _check_rates(folder, codec)
    space = manifests.get("diffusion", {}).get(LATENT_SPACE)
    check_latents(folder, codec, int(diffusion["latent_dim"]), space)
    told = _check_conditions(folder, int(encoder["embedding_dim"]), int(diffusion["embedding_dim"]), manifests)
    return (*(() if space else (NO_LATENT_SPACE,)), *(() if told else (NO_CONDITIONING_SPACE,)))


def check_clap(folder: Path, clap: nn.Module, manifests: Manifests) -> None:
    """Refuse to score in the space of a CLAP that the models were not trained on, where they name theirs.

    Raises
    ------
    CheckpointError
    """
    named = {name: manifests[name][CONDITIONING_SPACE] for name in manifests if CONDITIONING_SPACE in manifests[name]}
    own = conditioning_space(clap) if named else None
    for name, space in named.items():
        if space != own:
            raise CheckpointError(
                f"The parts of {folder} do not fit: the {name} was trained on the embeddings of another CLAP "
                f"({str(space)[:12]}, this one's are {str(own)[:12]})",
                remedy="put the CLAP beside them that they were trained with",
            )


def check_latents(folder: Path, codec: Codec, channels: int, space: str | None) -> None:
    """Refuse a diffusion model that makes other latents than the codec's.

    Parameters
    ----------
    channels, space : number and `Codec.latent_space` of those that the diffusion model was trained on, None if unknown

    Raises
    ------
    CheckpointError
    """
    remedy = "use a codec and a diffusion model that were trained together"
    if codec.channels != channels:
        raise CheckpointError(
            f"The parts of {folder} do not fit: the codec has {codec.channels} latent channels, "
            f"the diffusion model {channels}",
            remedy=remedy,
        )
    if space is not None and codec.latent_space() != space:
        raise CheckpointError(
            f"The parts of {folder} do not fit: the diffusion model was trained on the latents of another codec "
            f"({space[:12]}, this one's are {codec.latent_space()[:12]})",
            remedy=remedy,
        )


def _check_rates(folder: Path, codec: Codec) -> None:
    hop = SAMPLE_RATE_HZ // FRAME_RATE_HZ
    if (codec.sample_rate_hz, codec.hop) != (SAMPLE_RATE_HZ, hop):
        raise CheckpointError(
            f"The codec in {folder} runs at {codec.sample_rate_hz} Hz with {codec.hop} samples a frame",
            allowed=f"{SAMPLE_RATE_HZ} Hz with {hop}",
            remedy="use a codec of that rate, such as one trained with eeg2music train codec",
        )


def _check_conditions(folder: Path, encoder: int, diffusion: int, manifests: Manifests) -> bool:
    """Whether both models name the space of their conditions, which then is the same."""
    remedy = "use an encoder and a diffusion model that were trained with the same CLAP"
    if encoder != diffusion:
        raise CheckpointError(
            f"The parts of {folder} do not fit: the encoder's embeddings have {encoder} dimensions, "
            f"the diffusion model's {diffusion}",
            remedy=remedy,
        )
    spaces = [manifests.get(name, {}).get(CONDITIONING_SPACE) for name in ("encoder", "diffusion")]
    if None in spaces:
        return False
    if spaces[0] != spaces[1]:
        raise CheckpointError(
            f"The parts of {folder} do not fit: encoder and diffusion model were trained on the embeddings of "
            f"different CLAPs ({str(spaces[0])[:12]} and {str(spaces[1])[:12]})",
            remedy=remedy,
        )
    return True
