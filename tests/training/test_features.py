"""Cached song features are those of the audio, and groups stay within a style."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eeg2music.audio import write_audio
from eeg2music.files import write_json
from eeg2music.seeding import numpy_rng
from eeg2music.targets.towers import MEL_HOP, SILENCE, LogMel, frames_of
from eeg2music.training.data import StimuliFolder
from eeg2music.training.features import SongFeatures, StyleGroups
from eeg2music.types import SAMPLE_RATE_HZ, STEMS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StimuliFolder:
    root = tmp_path_factory.mktemp("music")
    for number, style in enumerate(["funk", "funk", "funk", "waltz", "waltz", ""]):
        rng = np.random.default_rng(number)
        for name in (*STEMS, "mix"):
            audio = (0.05 * rng.standard_normal(2 * SAMPLE_RATE_HZ)).astype(np.float32)
            write_audio(root / "stimuli" / f"song{number}" / f"{name}.wav", audio)
        if style:
            write_json(root / "stimuli" / f"song{number}" / "annotations.json", {"style": style})
    return StimuliFolder(root)


def test_a_window_is_what_the_model_would_hear(folder: StimuliFolder) -> None:
    features = SongFeatures(folder, ("mix", "bass"), LogMel(), quiet=SILENCE)
    start, samples = 25, SAMPLE_RATE_HZ
    window = features.window("song1", 1, start, frames_of(samples))
    audio = folder.crop("song1", ["bass"], start * MEL_HOP / SAMPLE_RATE_HZ, 1.0)
    np.testing.assert_allclose(window, LogMel()(torch.from_numpy(audio))[0].numpy(), atol=2e-3)


def test_without_room_it_computes_again_and_gives_the_same(folder: StimuliFolder) -> None:
    kept = SongFeatures(folder, ("mix",), LogMel(), quiet=SILENCE)
    again = SongFeatures(folder, ("mix",), LogMel(), quiet=SILENCE, limit_gb=0.0)
    for _ in range(2):
        np.testing.assert_array_equal(kept.song("song0"), again.song("song0"))
    assert kept.song("song0") is kept.song("song0")
    assert again.song("song0") is not again.song("song0")


def test_beyond_the_song_there_is_silence(folder: StimuliFolder) -> None:
    features = SongFeatures(folder, ("mix",), LogMel(), quiet=SILENCE)
    frames = features.song("song0").shape[-1]
    window = features.window("song0", 0, -3, frames + 10)
    assert window.shape == (128, frames + 10)
    assert (window[:, :3] == SILENCE).all() and (window[:, -7:] == SILENCE).all()
    np.testing.assert_array_equal(window[:, 3:-7], features.song("song0")[0].astype(np.float32))


def test_groups_take_their_own_style_first(folder: StimuliFolder) -> None:
    groups = StyleGroups(folder)
    assert sorted(groups.group(0, 3, numpy_rng(0))) == ["song0", "song1", "song2"]
    assert set(groups.group(3, 2, numpy_rng(0))) == {"song3", "song4"}
    larger = groups.group(3, 4, numpy_rng(0))
    assert larger[:2] == ["song3", "song4"] and len(set(larger)) == 4
    assert len(groups.group(5, 9, numpy_rng(0))) == 9


def test_groups_can_be_mixed(folder: StimuliFolder) -> None:
    groups = StyleGroups(folder)
    seen = [groups.group(0, 4, numpy_rng(number), share=0.5) for number in range(30)]
    assert all(group[0] == "song0" and group[1] in ("song1", "song2") and len(set(group)) == 4 for group in seen)
    assert {song for group in seen for song in group[2:]} == {"song1", "song2", "song3", "song4", "song5"}
