"""What is measured once a codec is trained: statistics and codebooks of its own latents, and no weight moves."""

from __future__ import annotations

from pathlib import Path

import torch

from eeg2music.codec.encodec import Codec
from eeg2music.training.codec_export import finish, fitting_songs, song_latents
from eeg2music.training.data import StimuliFolder
from eeg2music.types import FRAME_RATE_HZ, STEMS


def untrained() -> Codec:
    torch.manual_seed(0)
    return Codec.from_config(hidden_size=8, num_filters=2, num_lstm_layers=1, codebook_size=16).eval()


def test_statistics_are_those_of_the_stems_and_codebooks_say_more_than_nothing(music: Path) -> None:
    codec, folder = untrained(), StimuliFolder(music)
    before = {name: value.clone() for name, value in codec.state_dict().items()}
    finish(codec, folder, 2, 5, seed=0)
    songs = fitting_songs(folder, 2, 0)
    stems = torch.cat([song_latents(codec, folder, song)[: len(STEMS)] for song in songs])
    torch.testing.assert_close(codec.latent_mean.flatten(), stems.mean((0, 2)), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(codec.latent_std.flatten(), stems.std((0, 2)), atol=1e-3, rtol=1e-2)
    moved = {name for name, value in codec.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and not any(".encoder." in name or ".decoder." in name for name in moved)


def test_songs_are_drawn_by_seed_and_measured_in_their_middle(music: Path) -> None:
    folder = StimuliFolder(music)
    assert len(fitting_songs(folder, 3, 0)) == 3 and set(fitting_songs(folder, 99, 0)) == set(folder.songs)
    assert fitting_songs(folder, 3, 0) == fitting_songs(folder, 3, 0)
    assert any(fitting_songs(folder, 3, 0) != fitting_songs(folder, 3, seed) for seed in range(1, 5))
    latents = song_latents(untrained(), folder, folder.songs[0])
    assert latents.shape == (len(STEMS) + 1, 8, round(3.0 * FRAME_RATE_HZ))
