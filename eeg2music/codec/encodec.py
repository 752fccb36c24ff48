"""The codec between sound and latents: EnCodec (Défossez et al. 2022), through transformers' EncodecModel.

Diffusion runs on the continuous latents, before the quantizer, normalized per channel. The residual quantizer
gives codes at 1.5–6 kb/s. This module never trains anything; see `training/codec.py`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from eeg2music.codec.convolution import without_copies
from eeg2music.codec.stretches import STRETCH_S, decode_long, encode_long, splits_exactly
from eeg2music.compat import mend_torchaudio, quiet_libraries
from eeg2music.errors import CheckpointError, ConfigError, InputError
from eeg2music.weights import local_folder, read_state, refuse_misfit

mend_torchaudio()
from transformers import EncodecConfig, EncodecModel  # noqa: E402 - after torchaudio is mended

STATISTICS_FILE = "latent_statistics.safetensors"
BANDWIDTHS_KBPS = (1.5, 3.0, 6.0)


class CodecOutput(NamedTuple):
    """What training needs of one pass."""

    audio: Tensor
    latents: Tensor


class Codec(nn.Module):
    """Sound to latents and back.

    Shapes: audio (batch, samples) in [-1, 1] at `sample_rate_hz`; latents (batch, channel, frame) at
    `frame_rate_hz`; codes (batch, codebook, frame) int64.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, encodec: EncodecModel) -> None:
        super().__init__()
        if encodec.config.audio_channels != 1 or encodec.config.normalize:
            raise CheckpointError(
                "This EnCodec is a stereo or loudness-normalizing one",
                allowed="mono models such as facebook/encodec_24khz and facebook/encodec_32khz",
            )
        self.encodec = without_copies(encodec)
        channels = encodec.config.hidden_size
        # NaN says: not measured yet. Normalizing with it is refused.
        self.register_buffer("latent_mean", torch.full((channels,), torch.nan))
        self.register_buffer("latent_std", torch.full((channels,), torch.nan))

    # -- making --------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, **values: Any) -> Codec:
        """A codec with random weights; `values` go to transformers' EncodecConfig."""
        try:
            config = EncodecConfig(audio_channels=1, target_bandwidths=list(BANDWIDTHS_KBPS), **values)
            return cls(EncodecModel(config))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"No EnCodec can be made of {values} ({error})") from error

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str]) -> Codec:
        """Load a folder written by `save_pretrained`, or any mono EnCodec by hub name.

        Weights are read from safetensors only. A model from the hub has no latent statistics: set them with
        `set_statistics` before normalizing. A path that is not there is never asked for on the hub.

        Raises
        ------
        CheckpointError
            If it is missing, pickled, damaged, or not an EnCodec.
        """
        folder = local_folder(name_or_path)
        try:
            with quiet_libraries():
                loaded: Any = EncodecModel.from_pretrained(
                    str(name_or_path),
                    use_safetensors=True,
                    output_loading_info=True,
                    local_files_only=folder is not None,
                )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"No codec can be loaded from {name_or_path} ({reason})",
                allowed="a folder with config.json and model.safetensors, or a model's name on the hub",
                remedy="check the path, or copy the checkpoint again",
            ) from error
        model, report = loaded
        refuse_misfit(str(name_or_path), report)
        codec = cls(model.float()).eval()
        if folder is not None and (folder / STATISTICS_FILE).is_file():
            statistics = read_state(folder / STATISTICS_FILE)
            if statistics.keys() != {"mean", "std"}:
                raise CheckpointError(f"{folder / STATISTICS_FILE} holds {', '.join(statistics)}", allowed="mean, std")
            codec.set_statistics(statistics["mean"].float(), statistics["std"].float())
        return codec

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json, model.safetensors and the latent statistics, each whole or not at all.

        What lies there besides stays, but for statistics of an earlier codec.
        """
        root = Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        statistics = {"mean": self.latent_mean.detach().cpu(), "std": self.latent_std.detach().cpu()}
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as made:
            with quiet_libraries():
                self.encodec.save_pretrained(made)
            if self.has_statistics:
                save_file(statistics, Path(made) / STATISTICS_FILE)
            # Before the weights that they would not fit.
            (root / STATISTICS_FILE).unlink(missing_ok=True)
            for file in sorted(Path(made).iterdir()):
                file.chmod(0o644)
                file.replace(root / file.name)

    # -- sizes ---------------------------------------------------------------------------------

    @property
    def sample_rate_hz(self) -> int:
        return int(self.encodec.config.sampling_rate)

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return int(self.encodec.config.hop_length)

    @property
    def frame_rate_hz(self) -> float:
        return self.sample_rate_hz / self.hop

    @property
    def channels(self) -> int:
        """Latent channels (D)."""
        return int(self.encodec.config.hidden_size)

    @property
    def bandwidths_kbps(self) -> tuple[float, ...]:
        return tuple(self.encodec.config.target_bandwidths)

    # -- sound and latents ---------------------------------------------------------------------

    def encode(self, audio: Tensor) -> Tensor:
        """(batch, samples) -> continuous latents (batch, channel, ceil(samples / hop)).

        Sound of more than 30 s runs in stretches, in memory that does not grow with its length.
        """
        if audio.ndim != 2:
            raise InputError(f"Audio of shape {tuple(audio.shape)}", allowed="(batch, samples)")
        frames = self._stretch_frames(self.encodec.encoder)
        if frames is not None and audio.shape[-1] > frames * self.hop:
            return encode_long(self.encodec.encoder, audio[:, None], self.hop, frames)
        latents: Tensor = self.encodec.encoder(audio[:, None])
        return latents

    def decode(self, latents: Tensor, samples: int | None = None) -> Tensor:
        """Latents (batch, channel, frame) -> (batch, frame * hop), or the first `samples` of it.

        More than 30 s run in stretches, as in `encode`.
        """
        frames = self._stretch_frames(self.encodec.decoder)
        if frames is not None and latents.shape[-1] > frames:
            return decode_long(self.encodec.decoder, latents, self.hop, frames)[:, 0, :samples]
        audio: Tensor = self.encodec.decoder(latents)[:, 0]
        return audio[:, :samples]

    def _stretch_frames(self, half: Any) -> int | None:
        """Latent frames of the longest single pass; None where one pass is all there is."""
        return round(STRETCH_S * self.frame_rate_hz) if splits_exactly(half) else None

    def forward(self, audio: Tensor, noise: Tensor | None = None) -> CodecOutput:
        """There and back, with `noise` added to the latents in between where given."""
        latents = self.encode(audio)
        decoded = self.decode(latents if noise is None else latents + noise.to(latents.dtype), audio.shape[-1])
        return CodecOutput(decoded, latents)

    # -- statistics ----------------------------------------------------------------------------

    @property
    def has_statistics(self) -> bool:
        return bool(torch.isfinite(self.latent_mean).all() and torch.isfinite(self.latent_std).all())

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Mean and standard deviation of each latent channel, (channel,)."""
        for name, values in (("mean", mean), ("std", std)):
            if values.shape != (self.channels,) or not torch.isfinite(values).all():
                raise CheckpointError(f"The latents' {name} of shape {tuple(values.shape)} does not fit the codec")
        self.latent_mean.copy_(mean)
        # A channel that never varies would be blown up to noise.
        self.latent_std.copy_(std.clamp_min(1e-4))

    def latent_space(self) -> str:
        """Hash of what makes the normalised latents: encoder and statistics. Decoders can be exchanged behind it.

        Weights count as rounded to bfloat16, so that storing them in it keeps the hash; names do not count, because
        they differ between versions of libraries.
        """
        weights = [tensor.detach().to(torch.bfloat16) for tensor in self.encodec.encoder.state_dict().values()]
        parts = sorted(_content(tensor) for tensor in weights)
        parts += [_content(self.latent_mean), _content(self.latent_std)]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def normalize(self, latents: Tensor) -> Tensor:
        """To zero mean and unit deviation per channel. (…, channel, frame)"""
        self._need_statistics()
        return (latents - self.latent_mean[:, None]) / self.latent_std[:, None]

    def denormalize(self, latents: Tensor) -> Tensor:
        """The inverse of `normalize`."""
        self._need_statistics()
        return latents * self.latent_std[:, None] + self.latent_mean[:, None]

    def _need_statistics(self) -> None:
        if not self.has_statistics:
            raise CheckpointError(
                "This codec has no latent statistics",
                remedy="measure them on training songs: codec.set_statistics(*latent_statistics(…))",
            )

    # -- codes ---------------------------------------------------------------------------------

    def quantize(self, latents: Tensor, bandwidth_kbps: float) -> Tensor:
        """Continuous (not normalized) latents -> codes (batch, codebook, frame)."""
        if bandwidth_kbps not in self.bandwidths_kbps:
            raise InputError(f"A bandwidth of {bandwidth_kbps} kb/s", allowed=", ".join(map(str, self.bandwidths_kbps)))
        codes: Tensor = self.encodec.quantizer.encode(latents, bandwidth_kbps)
        return codes.transpose(0, 1)

    def dequantize(self, codes: Tensor) -> Tensor:
        """Codes (batch, codebook, frame) -> latents (batch, channel, frame)."""
        latents: Tensor = self.encodec.quantizer.decode(codes.transpose(0, 1))
        return latents

    def codebooks(self) -> Tensor:
        """(codebook, code, channel), a copy."""
        return torch.stack([layer.codebook.embed for layer in self.encodec.quantizer.layers])

    def set_codebooks(self, codebooks: Tensor, usage: Tensor) -> None:
        """Put trained codebooks (codebook, code, channel) and how often each code is used (codebook, code) in."""
        layers = self.encodec.quantizer.layers
        expected = (len(layers), self.encodec.config.codebook_size, self.channels)
        if tuple(codebooks.shape) != expected:
            raise CheckpointError(f"Codebooks of shape {tuple(codebooks.shape)}", allowed=str(expected))
        for layer, values, counts in zip(layers, codebooks, usage, strict=True):
            layer.codebook.embed.copy_(values)
            layer.codebook.embed_avg.copy_(values * counts[:, None])
            layer.codebook.cluster_size.copy_(counts)


def _content(tensor: Tensor) -> str:
    """Hash of a tensor's shape and values."""
    values = tensor.detach().float().cpu().contiguous().numpy()
    return hashlib.sha256(f"{values.shape}".encode() + values.astype("<f4").tobytes()).hexdigest()


def latent_statistics(latents: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel over latents (batch, channel, frame) of any number and length."""
    flat = torch.cat([part.transpose(0, 1).flatten(1).double() for part in latents], dim=1)
    return flat.mean(dim=1).float(), flat.std(dim=1).float()
