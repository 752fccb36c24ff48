"""Trains the codec: EnCodec without an adversary, for faithful continuous latents.

Crops of single stems and some mixes; the loss is time-domain (noise-to-signal ratio in dB and L1) and multi-scale
spectral. A little noise on the latents keeps them smooth and the decoder robust to the errors of the diffusion that
will write them. The quantizer is fitted afterwards, on the frozen latents. A second stage may train the decoder alone:
the latents stay what they are, and what was trained on them stays valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from eeg2music.codec.encodec import Codec, CodecOutput
from eeg2music.codec.initialization import start_as_lapped_transform
from eeg2music.codec.losses import log_mel_distance, noise_to_signal_db, si_sdr_db, spectral_distances
from eeg2music.config import Config
from eeg2music.config_words import Unfit
from eeg2music.errors import ConfigError
from eeg2music.seeding import derive_seed, numpy_rng, torch_generator
from eeg2music.training.codec_export import finish, fitting_songs
from eeg2music.training.data import MIX, StimuliFolder, random_start_s
from eeg2music.training.first_stage import fitted_before, refuse_known, with_earlier
from eeg2music.training.gather import gather
from eeg2music.training.registry import TASKS
from eeg2music.training.task import Batch, Gather, ItemSource, Task
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, FloatArray
from eeg2music.weights import FITTED, local_folder


class ModelConfig(Config):
    """Sizes of the EnCodec; names as in transformers' EncodecConfig."""

    hidden_size: int = 64
    num_filters: int = 16
    num_residual_layers: int = 1
    upsampling_ratios: tuple[int, ...] = (5, 4, 4, 4)
    num_lstm_layers: int = 1
    use_causal_conv: bool = False
    use_conv_shortcut: bool = False
    pad_mode: str = "constant"
    kernel_size: int = 7
    last_kernel_size: int = 7
    codebook_size: int = 1024


class CodecTaskConfig(Config):
    """What the codec is trained on, and for what.

    Attributes
    ----------
    start_from : folder of a trained codec to begin with; `model` and `start` are then not used
    decoder_only : the encoder, the latents and the quantizer stay what they are
    treble_hz : above it only magnitudes count, not phases: 64 latent channels hold the waveform up to 2.4 kHz, and
        beyond that a decoder that is asked for the waveform answers with silence
    spectral_floor_db : magnitudes below it are the same to the logarithmic spectral distance
    """

    data: str
    valid_share: float = Field(0.08, gt=0, lt=1)
    model: ModelConfig = ModelConfig()
    start: Literal["lapped", "random"] = "lapped"
    crop_s: float = Field(0.48, gt=0.1)
    mix_share: float = Field(0.15, ge=0, le=1)
    gain_db: float = Field(6.0, ge=0)
    latent_noise: float = Field(0.08, ge=0)
    weight_nsr: float = Field(0.1, ge=0)
    weight_l1: float = Field(1.0, ge=0)
    weight_spectral: float = Field(1.0, ge=0)
    weight_log_spectral: float = Field(0.3, ge=0)
    start_from: str | None = None
    decoder_only: bool = False
    treble_hz: float | None = Field(None, gt=0)
    spectral_floor_db: float = Field(-60.0, lt=0)
    fit_songs: int = Field(60, ge=1)
    quantizer_steps: int = Field(150, ge=1)
    valid_songs: int = Field(8, ge=1)

    @field_validator("decoder_only")
    @classmethod
    def _of_a_trained_codec(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("start_from") is None:
            raise Unfit(allowed="false, unless start_from names a trained codec", remedy="set task.start_from")
        return value


def below(audio: Tensor, cutoff_hz: float) -> Tensor:
    """(batch, samples) without what lies above `cutoff_hz`."""
    spectrum = torch.fft.rfft(audio)
    frequency_hz = torch.fft.rfftfreq(audio.shape[-1], 1 / SAMPLE_RATE_HZ, device=audio.device)
    return torch.fft.irfft(spectrum * (frequency_hz <= cutoff_hz), n=audio.shape[-1])


class StemCrops:
    """One random crop per song and draw, of a stem or (more seldom) the mix."""

    def __init__(self, music: StimuliFolder, config: CodecTaskConfig, seed: int) -> None:
        self.music, self.config, self.seed = music, config, seed

    def __len__(self) -> int:
        return len(self.music)

    def item(self, index: int, draw: int) -> Mapping[str, Any]:
        """{"audio": (samples,), "noise_seed": int}"""
        song = self.music.songs[index]
        rng = numpy_rng(self.seed, "codec", song, draw)
        name = MIX if rng.random() < self.config.mix_share else STEMS[int(rng.integers(len(STEMS)))]
        duration_s = self.music.duration_s(song)
        audio = np.zeros(0, np.float32)
        for _ in range(4):  # most silence is passed over
            start_s = random_start_s(rng, duration_s, self.config.crop_s)
            audio = self.music.crop(song, [name], start_s, self.config.crop_s)[0]
            if np.abs(audio).max() > 3e-3:
                break
        gain = 10 ** (rng.uniform(-self.config.gain_db, self.config.gain_db) / 20)
        gain = min(gain, 1.0 / max(1.0, float(np.abs(audio).max()))) if gain > 1 else gain
        gain *= rng.choice((-1.0, 1.0))
        return {"audio": audio * np.float32(gain), "noise_seed": derive_seed(self.seed, "noise", song, draw)}


class CodecModel(nn.Module):
    """The codec with the running deviation of its latents, which the noise is measured in."""

    running_std: Tensor

    def __init__(self, codec: Codec, noise_share: float) -> None:
        super().__init__()
        self.codec = codec
        self.noise_share = noise_share
        self.register_buffer("running_std", torch.zeros(codec.channels))

    def forward(self, audio: Tensor, noise: Tensor | None = None) -> CodecOutput:
        """`noise` (batch, channel, frame) is standard normal; it is scaled to each channel's deviation here."""
        if noise is not None:
            noise = noise * (self.noise_share * self.running_std[:, None])
        output: CodecOutput = self.codec(audio, noise)
        if self.training:
            with torch.no_grad():
                std = deviation(output.latents)
                self.running_std.lerp_(std, 0.02 if self.running_std.any() else 1.0)
        return output


def deviation(latents: Tensor) -> Tensor:
    """Standard deviation of each channel over the batches of all processes: (batch, channel, frame) -> (channel,)."""
    values = latents.float()
    shares = gather(values.mean(dim=(0, 2))[None])  # processes hold equally many
    mean = shares.mean(0)
    squares = gather((values - mean[:, None]).square().sum(dim=(0, 2))[None]).sum(0)
    count = values.shape[0] * values.shape[2] * len(shares)
    return (squares / (count - 1)).sqrt()


@TASKS.add("codec")
class CodecTask(Task):
    """See the module's docstring."""

    Config = CodecTaskConfig
    changeable = ("fit_songs", "quantizer_steps", "valid_songs")
    config: CodecTaskConfig

    def __init__(self, config: CodecTaskConfig, *, seed: int) -> None:
        super().__init__(config, seed=seed)
        music = StimuliFolder(config.data)
        self.music = music.split("train", config.valid_share)
        self.held_out = music.split("valid", config.valid_share)
        if config.start_from is not None:
            local_folder(config.start_from)
            refuse_known(Path(config.start_from), self.held_out.songs, stimuli=self.held_out.stimuli.values())

    def train_items(self) -> ItemSource:
        return StemCrops(self.music, self.config, self.seed)

    def build_model(self) -> nn.Module:
        codec = self._first_codec()
        if self.config.decoder_only:
            codec.encodec.encoder.requires_grad_(False)
        return CodecModel(codec, self.config.latent_noise)

    def _first_codec(self) -> Codec:
        if self.config.start_from is not None:
            codec = Codec.from_pretrained(self.config.start_from)
            if (codec.channels, codec.hop) != (self.config.model.hidden_size, self._hop):
                raise ConfigError(
                    f"The codec in {self.config.start_from} has {codec.channels} channels every {codec.hop} samples",
                    remedy="give its sizes in task.model",
                )
            return codec
        codec = Codec.from_config(sampling_rate=SAMPLE_RATE_HZ, **self.config.model.model_dump())
        if self.config.start == "lapped":
            start_as_lapped_transform(codec.encodec)
        return codec

    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        audio = batch["audio"]
        output: CodecOutput = model(audio, self._noise(batch))
        decoded = output.audio.float()
        config = self.config
        pair = (decoded, audio)
        if config.treble_hz is not None:
            pair = (below(decoded, config.treble_hz), below(audio, config.treble_hz))
        nsr = noise_to_signal_db(*pair).mean()
        distance = F.l1_loss(*pair)
        linear, logarithmic = spectral_distances(decoded, audio, floor=10 ** (config.spectral_floor_db / 20))
        total = (
            config.weight_nsr * nsr
            + config.weight_l1 * distance
            + config.weight_spectral * linear
            + config.weight_log_spectral * logarithmic
        )
        return {"loss": total, "nsr_db": nsr, "l1": distance, "spectral": linear, "log_spectral": logarithmic}

    @property
    def _hop(self) -> int:
        return int(np.prod(self.config.model.upsampling_ratios))

    def _noise(self, batch: Batch) -> Tensor:
        audio, channels = batch["audio"], self.config.model.hidden_size
        shape = (channels, -(-audio.shape[-1] // self._hop))
        drawn = [torch.randn(shape, generator=torch_generator(int(seed))) for seed in batch["noise_seed"]]
        return torch.stack(drawn).to(audio.device)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """SI-SDR (median over songs) and log-mel distance of held-out stems, 4 s each, from continuous latents."""
        device = next(model.parameters()).device
        figures = {}
        for name in (*STEMS, MIX):
            heard = torch.from_numpy(np.stack([self._held_out_crop(song, name) for song in self._valid_songs()]))
            heard = heard.to(device)
            decoded = model(heard).audio.float()
            figures[f"si_sdr_db/{name}"] = float(si_sdr_db(decoded, heard).quantile(0.5))
            figures[f"log_mel_db/{name}"] = float(log_mel_distance(decoded, heard).mean())
        return figures

    def _valid_songs(self) -> list[str]:
        # By hash, so that a few songs are of several styles although ids are sorted by style.
        return sorted(self.held_out.songs, key=lambda song: derive_seed(0, "valid", song))[: self.config.valid_songs]

    def _held_out_crop(self, song: str, name: str) -> FloatArray:
        start_s = self.held_out.duration_s(song) / 4
        return self.held_out.crop(song, [name], start_s, 4.0)[0]

    def export(self, model: nn.Module, folder: Path) -> None:
        codec: Codec = model.codec  # type: ignore[assignment]
        if not self.config.decoder_only:
            finish(codec, self.music, self.config.fit_songs, self.config.quantizer_steps, self.seed)
        codec.save_pretrained(folder)

    def manifest(self) -> dict[str, Any]:
        if self.config.decoder_only:
            fitted = fitted_before(self.config.start_from)
        else:
            chosen = fitting_songs(self.music, self.config.fit_songs, self.seed)
            fitted = {FITTED: {"latent statistics and codebooks": {"songs": chosen}}}
        return with_earlier({**self.music.manifest(self.held_out), **fitted}, self.config.start_from)
