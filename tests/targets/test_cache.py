"""The target cache: exact answers, and no stale ones."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from eeg2music.errors import InputError
from eeg2music.targets import curves
from eeg2music.targets.cache import TargetCache, model_hash, window_targets
from eeg2music.targets.clap import ClapMini
from eeg2music.targets.tokenizer import build_vocabulary
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, Conditions


class Counting(ClapMini):
    """Counts how often it is asked."""

    calls = 0

    def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().embed_audio(audio)


def make_clap(seed: int = 0) -> Counting:
    torch.manual_seed(seed)
    return Counting(build_vocabulary([]), audio_width=8, dilations=(1,), text_width=8, text_layers=1).eval()


def stems(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.05 * rng.standard_normal((len(STEMS), SAMPLE_RATE_HZ))).astype(np.float32)


def assert_same(one: Conditions, other: Conditions) -> None:
    for part in ("global_embedding", "stem_embedding", "curves"):
        torch.testing.assert_close(getattr(one, part), getattr(other, part), rtol=0, atol=0)


def test_targets_are_those_of_the_mix_and_of_each_stem() -> None:
    clap, audio = make_clap(), stems()
    targets = window_targets(clap, audio)
    with torch.no_grad():
        mix = clap.embed_audio(torch.from_numpy(audio).sum(0, keepdim=True))
        bass = clap.embed_audio(torch.from_numpy(audio[1:2]))
    torch.testing.assert_close(targets.global_embedding, mix, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(targets.stem_embedding[:, 1], bass, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(targets.curves[0], curves.control_curves(torch.from_numpy(audio)))
    assert targets.stem_embedding.shape == (1, 4, 128) and targets.curves.shape == (1, 4, 3, 32)


def test_a_window_is_the_same_to_the_bit_alone_and_in_a_batch() -> None:
    clap = make_clap()
    together = window_targets(clap, np.stack([stems(0), stems(1)]))
    assert_same(together[1:2], window_targets(clap, stems(1)))


def test_an_entry_is_read_back_exactly_and_not_computed_again(tmp_path: Path) -> None:
    clap = make_clap()
    cache = TargetCache(tmp_path, clap)
    first = cache.targets(stems())
    asked = clap.calls
    assert_same(TargetCache(tmp_path, clap).targets(stems()), first)
    assert clap.calls == asked
    assert_same(first, window_targets(clap, stems()))


def test_other_audio_other_weights_and_other_scales_are_other_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clap = make_clap()
    here = TargetCache(tmp_path, clap).path(stems())
    changed = stems()
    changed[2, 500] += 1e-7
    assert TargetCache(tmp_path, clap).path(changed) != here
    assert TargetCache(tmp_path, clap).path(stems()[:, :-1]) != here
    with torch.no_grad():
        next(clap.audio_tower.parameters()).flatten()[0].add_(1e-3)
    assert TargetCache(tmp_path, clap).path(stems()) != here
    assert TargetCache(tmp_path, make_clap()).path(stems()) == here
    monkeypatch.setattr(curves, "ONSET_SCALE", 2.0)
    assert TargetCache(tmp_path, make_clap()).path(stems()) != here


def test_a_damaged_entry_is_computed_again_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = TargetCache(tmp_path, make_clap())
    first = cache.targets(stems())
    file = cache.path(stems())
    file.write_bytes(file.read_bytes()[:50])
    with caplog.at_level(logging.WARNING):
        assert_same(cache.targets(stems()), first)
    assert "damaged" in caplog.text
    assert_same(cache.targets(stems()), first)


def test_the_hash_of_a_model_is_that_of_its_weights() -> None:
    assert model_hash(make_clap(0)) == model_hash(make_clap(0))
    assert model_hash(make_clap(0)) != model_hash(make_clap(1))


def test_what_cannot_be_cached_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can be hashed"):
        TargetCache(tmp_path, object())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Stems of shape"):
        window_targets(make_clap(), np.zeros(SAMPLE_RATE_HZ, np.float32))
