"""The cache of embeddings: found by content alone, never stale, never beside the audio."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from eeg2music.evaluation.embedders.base import Embedder
from eeg2music.evaluation.embedding_cache import EmbeddingCache, cache_folder
from eeg2music.types import FloatArray


class Counting(Embedder):
    name, dim, sample_rate_hz, shortest_s = "counting", 3, 100, 0.1

    def __init__(self, identity: str = "a") -> None:
        self._identity, self.calls = identity, 0

    def _vector(self, audio: FloatArray) -> FloatArray:
        self.calls += 1
        return np.array([audio.mean(), audio.std(), len(audio)], dtype=np.float32)

    def identity(self) -> str:
        return self._identity


AUDIO = np.linspace(-1.0, 1.0, 50, dtype=np.float32)


def test_computed_once(tmp_path: Path) -> None:
    embedder = Counting()
    cache = EmbeddingCache(embedder, tmp_path)
    first = cache.embed(AUDIO)
    again = EmbeddingCache(Counting(), tmp_path)
    np.testing.assert_array_equal(again.embed(AUDIO.astype(np.float64)), first)
    assert (embedder.calls, cache.computed, again.computed, again.found) == (1, 1, 0, 1)


def test_changed_content_and_another_embedding_are_computed_anew(tmp_path: Path) -> None:
    EmbeddingCache(Counting(), tmp_path).embed(AUDIO)
    changed = AUDIO.copy()
    changed[7] += 1e-4
    for identity, audio in (("a", changed), ("b", AUDIO), ("a", AUDIO[:-1])):
        embedder = Counting(identity)
        EmbeddingCache(embedder, tmp_path).embed(audio)
        assert embedder.calls == 1, (identity, audio.size)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = EmbeddingCache(Counting(), tmp_path)
    expected, file = cache.embed(AUDIO), cache.path(AUDIO)
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes({"flip": bytes(data), "cut": bytes(data[:-5]), "empty": b"", "other": b"not one of ours"}[damage])
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(cache.embed(AUDIO), expected)
    assert "computed again" in caplog.text and cache.computed == 2
    np.testing.assert_array_equal(EmbeddingCache(Counting(), tmp_path).embed(AUDIO), expected)


def test_it_lies_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "eeg2music" / "embeddings"
    for relative in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert cache_folder() == Path.home() / ".cache" / "eeg2music" / "embeddings"
