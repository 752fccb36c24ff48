"""What a trained codec needs before it is used: latent statistics and codebooks, measured on training songs.

Never changes the weights of encoder or decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eeg2music.codec.encodec import Codec, latent_statistics
from eeg2music.codec.quantizer import fit_codebooks
from eeg2music.seeding import numpy_rng
from eeg2music.training.data import MIX, StimuliFolder
from eeg2music.types import STEMS

_SECONDS = 8.0


@torch.no_grad()
def finish(codec: Codec, music: StimuliFolder, songs: int, quantizer_steps: int, seed: int) -> None:
    """Measure the statistics of stem latents and fit the quantizer on stems and mixes, in place."""
    stems, mixes = [], []
    for song in fitting_songs(music, songs, seed):
        latents = song_latents(codec, music, song)
        stems.append(latents[: len(STEMS)])
        mixes.append(latents[len(STEMS) :])
    codec.set_statistics(*latent_statistics(stems))
    vectors = torch.cat([part.transpose(1, 2).flatten(0, 1) for part in (*stems, *mixes)])
    config = codec.encodec.config
    codebooks, usage = fit_codebooks(
        vectors, books=config.num_quantizers, codes=config.codebook_size, steps=quantizer_steps, seed=seed
    )
    codec.set_codebooks(codebooks, usage)


def fitting_songs(music: StimuliFolder, songs: int, seed: int) -> list[str]:
    """The songs that `finish` measures: up to `songs`, drawn at random."""
    chosen = sorted(numpy_rng(seed, "codec finish").permutation(len(music))[:songs])
    return [music.songs[index] for index in chosen]


def song_latents(codec: Codec, music: StimuliFolder, song: str) -> Tensor:
    """Latents of the middle of a song: (stem and mix, channel, frame)."""
    device = codec.latent_mean.device
    seconds = min(_SECONDS, music.duration_s(song))
    start_s = round((music.duration_s(song) - seconds) / 2, 3)
    audio = torch.from_numpy(music.crop(song, (*STEMS, MIX), start_s, seconds)).to(device)
    return codec.encode(audio)
