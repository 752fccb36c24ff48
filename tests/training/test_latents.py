"""The latent cache holds what the audio says, whole songs or none, and nothing stale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from eeg2music.audio import read_audio, write_audio
from eeg2music.errors import DataError
from eeg2music.seeding import numpy_rng
from eeg2music.targets.curves import control_curves
from eeg2music.training.data import StimuliFolder
from eeg2music.training.latents import LatentCache
from eeg2music.types import SAMPLE_RATE_HZ, STEMS


class FrameCodec:
    """Latents are three numbers of each frame of 320 samples, and one frame too many, as some codecs give."""

    calls = 0

    def encode(self, audio: Tensor) -> Tensor:
        self.calls += 1
        frames = audio.unflatten(-1, (-1, 320))
        latents = torch.stack([frames.mean(-1), frames.std(-1), frames[..., 0]], dim=1)
        return torch.nn.functional.pad(latents, (0, 1))

    def normalize(self, latents: Tensor) -> Tensor:
        return latents * 2


class LevelClap:
    """The embedding says how loud the fifths of the window are."""

    def embed_audio(self, audio: Tensor) -> Tensor:
        return torch.nn.functional.normalize(audio.unflatten(-1, (5, -1)).abs().mean(-1), dim=-1)


def write_song(root: Path, name: str, seconds: float) -> None:
    rng = numpy_rng(0, name)
    stems = (0.2 * rng.standard_normal((4, round(seconds * SAMPLE_RATE_HZ)))).astype(np.float32)
    stems *= np.linspace(0.2, 1.0, stems.shape[1], dtype=np.float32)
    for stem, audio in zip((*STEMS, "mix"), (*stems, stems.sum(0)), strict=True):
        write_audio(root / "stimuli" / name / f"{stem}.wav", audio)


@pytest.fixture
def music(tmp_path: Path) -> StimuliFolder:
    for name, seconds in (("a", 7.0), ("b", 5.0)):
        write_song(tmp_path, name, seconds)
    return StimuliFolder(tmp_path)


@pytest.fixture
def cache(music: StimuliFolder, tmp_path: Path) -> LatentCache:
    cache = LatentCache(tmp_path / "cache", music, "v1")
    cache.fill(FrameCodec(), LevelClap())
    return cache


def test_a_window_is_what_its_audio_says(music: StimuliFolder, cache: LatentCache) -> None:
    song = cache.song("a")
    assert song.starts == 3 and cache.song("b").starts == 1
    window = song.window(2)
    stems = np.stack([read_audio(music.path("a", stem), start_s=2, duration_s=5) for stem in STEMS])
    latents = FrameCodec().normalize(FrameCodec().encode(torch.from_numpy(stems))[..., :375]).numpy()
    np.testing.assert_allclose(window["latents"], latents, atol=1e-3)
    curves = control_curves(torch.from_numpy(stems)).numpy()
    assert window["curves"].shape == (4, 3, 160)
    # Away from the ends, where the curves of the song know the audio before and after.
    np.testing.assert_allclose(window["curves"][..., 3:-3], curves[..., 3:-3], atol=2e-3)
    mix = read_audio(music.path("a", "mix"), start_s=2, duration_s=5)
    expected = LevelClap().embed_audio(torch.from_numpy(mix)[None])[0].numpy()
    np.testing.assert_allclose(window["global_embedding"], expected, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(window["stem_embedding"], axis=-1), 1.0, rtol=1e-5)


def test_only_what_is_missing_is_computed(music: StimuliFolder, cache: LatentCache, tmp_path: Path) -> None:
    assert cache.missing() == []
    codec = FrameCodec()
    write_song(tmp_path, "c", 6.0)
    more = LatentCache(cache.root, StimuliFolder(tmp_path), "v1")
    assert more.missing() == ["c"]
    more.fill(codec, LevelClap())
    assert codec.calls == 1
    assert more.song("c").starts == 2


def test_changed_audio_or_another_codec_is_not_mistaken(cache: LatentCache, tmp_path: Path) -> None:
    assert LatentCache(cache.root, cache.music, "v2").missing() == ["a", "b"]
    write_audio(tmp_path / "stimuli" / "b" / "bass.wav", np.zeros(5 * SAMPLE_RATE_HZ, np.float32))
    changed = LatentCache(cache.root, StimuliFolder(tmp_path), "v1")
    assert changed.missing() == ["b"]
    assert changed.content_hash != cache.content_hash
    with pytest.raises(DataError, match="b is not in the latent cache"):
        changed.song("b")


def test_an_interrupted_song_is_not_there(music: StimuliFolder, tmp_path: Path) -> None:
    class Broken(LevelClap):
        def embed_audio(self, audio: Tensor) -> Tensor:
            raise KeyboardInterrupt

    cache = LatentCache(tmp_path / "cache", music, "v1")
    with pytest.raises(KeyboardInterrupt):
        cache.fill(FrameCodec(), Broken())
    assert cache.missing() == ["a", "b"]
    cache.fill(FrameCodec(), LevelClap())
    assert cache.missing() == []


def test_songs_shorter_than_a_window_are_named(tmp_path: Path) -> None:
    write_song(tmp_path, "short", 3.0)
    with pytest.raises(DataError, match="short"):
        LatentCache(tmp_path / "cache", StimuliFolder(tmp_path), "v1")
