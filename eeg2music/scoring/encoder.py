"""ScorerNet: is this clip the same music at the same time as that window?

It judges generated audio and must therefore share nothing with what conditioned the generation:
another architecture than ClapMini (a recurrent network on log-frequency spectra that keeps coarse
time, in the manner of audio fingerprints: Chang et al. 2021, "Neural audio fingerprint for
high-specific audio retrieval"), another objective (one and the same window under two different
degradations), and other songs.

It computes none of the control curves, and level and level changes of the whole clip are invisible
to it. But it listens: note onsets, their rhythm, the balance of the stems and the brightness of a
passage can all be heard in a spectrum, so that a clip that follows its onset curve well scores
better for it. Its score says "it followed its conditions", not "it was decoded from a brain": that
is what the controls beside it are for. It never sees captions, stems, or a brain.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eeg2music.compat import mend_torchaudio
from eeg2music.errors import InputError
from eeg2music.types import EMBEDDING_DIM, SAMPLE_RATE_HZ, FloatArray

mend_torchaudio()
from diffusers.configuration_utils import ConfigMixin, register_to_config  # noqa: E402 - after torchaudio is mended
from diffusers.models.modeling_utils import ModelMixin  # noqa: E402

FFT = 4096
HOP = 600
FRAME_RATE_HZ = SAMPLE_RATE_HZ / HOP
BANDS = 96
LOWEST_MIDI = 28  # 41 Hz; one band for each semitone up to 10 kHz
SHORTEST_S = 1.0
# Added to power relative to the clip's mean: nothing below -45 dB is heard.
RELATIVE_FLOOR = 10.0**-4.5
# Mean band power of a clip that only holds the rounding of 16-bit audio: below it everything is silence.
ABSOLUTE_FLOOR = 1e-12


class LogFrequency(nn.Module):
    """Power in 96 semitone bands, 40 frames per second, frames not padded."""

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", torch.from_numpy(semitone_filters()), persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, samples) at 24 kHz -> (batch, band, frame) power."""
        audio = F.pad(audio.float(), (0, max(0, FFT - audio.shape[-1])))
        pieces = audio.unfold(-1, FFT, HOP) * self.window
        power = (torch.fft.rfft(pieces).abs() / self.window.sum()).square()
        return (power @ self.filters).transpose(1, 2)


def semitone_filters() -> FloatArray:
    """(bin, band) triangles centred on MIDI notes, at least two bins wide, each summing to one."""
    freqs = np.fft.rfftfreq(FFT, 1.0 / SAMPLE_RATE_HZ)
    centers = 440.0 * 2.0 ** ((LOWEST_MIDI + np.arange(BANDS) - 69.0) / 12.0)
    half_width = np.maximum(centers * (2.0 ** (1.0 / 12.0) - 1.0), 2.0 * SAMPLE_RATE_HZ / FFT)
    triangles = np.maximum(0.0, 1.0 - np.abs(freqs[:, None] - centers) / half_width)
    return np.asarray(triangles / triangles.sum(0), dtype=np.float32)


class ScorerNet(ModelMixin, ConfigMixin):
    """Audio to a fingerprint of unit norm whose first part keeps coarse time.

    Parameters
    ----------
    width : units of the recurrent network, in each direction
    slots : stretches of time, each with numbers of its own in the fingerprint
    slot_dim : numbers for each slot; what remains of `embedding_dim` describes the whole clip
    embedding_dim : length of the fingerprint
    """

    config_name = "config.json"  # type: ignore[assignment]

    @register_to_config
    def __init__(
        self, width: int = 128, slots: int = 8, slot_dim: int = 12, embedding_dim: int = EMBEDDING_DIM
    ) -> None:
        super().__init__()
        self.front = LogFrequency()
        self.frame = nn.Linear(4 * BANDS, 2 * width)
        self.frame_norm = nn.LayerNorm(2 * width)
        self.recurrent = nn.GRU(2 * width, width, num_layers=2, batch_first=True, bidirectional=True)
        self.slot = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, slot_dim))
        self.whole = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, embedding_dim - slots * slot_dim))

    @property
    def embedding_dim(self) -> int:
        """Length of a fingerprint."""
        return int(self.config["embedding_dim"])

    def embed(self, audio: Tensor) -> Tensor:
        """Fingerprint of clips.

        Parameters
        ----------
        audio : (batch, samples) float at 24 kHz, 1 s or more; clips to be compared have one length

        Returns
        -------
        (batch, embedding) float32, unit norm; the same at any level of the clip.

        Raises
        ------
        InputError
            For another shape, less than a second, or samples that are not finite.
        """
        if audio.ndim != 2 or audio.shape[-1] < SHORTEST_S * SAMPLE_RATE_HZ:
            raise InputError(
                f"Audio of shape {tuple(audio.shape)} cannot be scored",
                allowed=f"(batch, samples) with {SHORTEST_S} s or more at {SAMPLE_RATE_HZ} Hz",
            )
        if not bool(torch.isfinite(audio).all()):
            raise InputError("The audio to score holds samples that are not finite", remedy="check where it comes from")
        return self(self.front(audio.to(self.device)))

    def forward(self, power: Tensor) -> Tensor:
        """(batch, band, frame) power in semitone bands -> (batch, embedding) unit norm."""
        x = self.frame_norm(F.gelu(self.frame(describe(power))))
        x, _ = self.recurrent(x)
        slots = self.config["slots"]
        pooled = F.adaptive_avg_pool1d(x.transpose(1, 2), slots).transpose(1, 2)
        timed = F.normalize(self.slot(pooled), dim=-1).flatten(1)
        whole = F.normalize(self.whole(x.mean(1)), dim=-1)
        # Each slot and, twice, the whole weigh alike in a cosine.
        return F.normalize(torch.cat([timed, 2.0**0.5 * whole], 1), dim=-1)


def describe(power: Tensor) -> Tensor:
    """Level relative to the clip's mean, and the same relative to the band's mean, at 20 Hz.

    (batch, band, frame) power -> (batch, frame // 2, 4 * band). The first half feels what the sound
    is coloured like, the second is blind to any filter over the clip.
    """
    power = power.float()
    reference = power.mean((1, 2), keepdim=True).clamp_min(ABSOLUTE_FLOOR)
    level = torch.log10(power / reference + RELATIVE_FLOOR)
    both = torch.cat([level, 2.0 * (level - level.mean(2, keepdim=True))], 1)
    pairs = both.shape[2] // 2
    return both[:, :, : 2 * pairs].unflatten(2, (pairs, 2)).permute(0, 2, 1, 3).flatten(2)
