"""ClapMini's contract: shapes, silence, save and load, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eeg2music.errors import CheckpointError, InputError
from eeg2music.targets.clap import ClapMini
from eeg2music.targets.pretrained import load_clap
from eeg2music.targets.tokenizer import build_vocabulary
from eeg2music.types import SAMPLE_RATE_HZ
from eeg2music.weights import save_model


@pytest.fixture(scope="module")
def clap() -> ClapMini:
    torch.manual_seed(0)
    vocabulary = build_vocabulary(["slow funk", "fast waltz"])
    return ClapMini(vocabulary, audio_width=16, dilations=(1, 2), text_width=16, text_layers=1).eval()


def noise(seconds: float = 1.0, rows: int = 3) -> torch.Tensor:
    shape = (rows, round(seconds * SAMPLE_RATE_HZ))
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_both_towers_give_unit_vectors_of_one_length(clap: ClapMini) -> None:
    with torch.no_grad():
        audio, text = clap.embed_audio(noise()), clap.embed_text(["slow funk", "polka"])
    assert audio.shape == (3, 128) and text.shape == (2, 128)
    torch.testing.assert_close(audio.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(text.norm(dim=1), torch.ones(2))


def test_silence_and_near_silence_are_finite_and_alike(clap: ClapMini) -> None:
    with torch.no_grad():
        silent = clap.embed_audio(torch.zeros(1, SAMPLE_RATE_HZ))
        # One step of 16-bit audio, at random: what a silent stem holds in a file.
        dust = clap.embed_audio(noise(rows=1).sign() / 32768)
        digital = clap.embed_audio(torch.full((1, SAMPLE_RATE_HZ), 1e-30))
    assert torch.isfinite(silent).all()
    torch.testing.assert_close(silent, digital)
    assert float((silent * dust).sum()) > 0.99


def test_a_clip_is_the_same_alone_and_in_a_batch(clap: ClapMini) -> None:
    with torch.no_grad():
        torch.testing.assert_close(
            clap.embed_audio(noise()[1:2])[0], clap.embed_audio(noise())[1], atol=1e-5, rtol=1e-5
        )


def test_saved_and_loaded_it_is_the_same(clap: ClapMini, tmp_path: Path) -> None:
    save_model(clap, tmp_path / "full")
    again = load_clap(tmp_path / "full")
    assert isinstance(again, ClapMini) and not any(p.requires_grad for p in again.parameters())
    with torch.no_grad():
        torch.testing.assert_close(again.embed_audio(noise()), clap.embed_audio(noise()), rtol=0, atol=0)
        torch.testing.assert_close(again.embed_text(["polka"]), clap.embed_text(["polka"]), rtol=0, atol=0)


def test_half_precision_on_disk_costs_little(clap: ClapMini, tmp_path: Path) -> None:
    save_model(clap, tmp_path / "half", dtype=torch.bfloat16)
    again = load_clap(tmp_path / "half")
    assert next(again.parameters()).dtype == torch.float32
    with torch.no_grad():
        assert float((again.embed_audio(noise()) * clap.embed_audio(noise())).sum(1).min()) > 0.999


def test_the_layout_is_the_one_of_diffusers(clap: ClapMini, tmp_path: Path) -> None:
    clap.save_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        theirs = ClapMini.from_pretrained(tmp_path / "theirs").embed_audio(noise())
        torch.testing.assert_close(theirs, clap.embed_audio(noise()))
        torch.testing.assert_close(load_clap(tmp_path / "theirs").embed_audio(noise()), theirs)


def test_what_cannot_be_embedded_is_refused(clap: ClapMini) -> None:
    with pytest.raises(InputError, match="too short"):
        clap.embed_audio(torch.zeros(1, 100))
    with pytest.raises(InputError, match="shape"):
        clap.embed_audio(torch.zeros(SAMPLE_RATE_HZ))
    with pytest.raises(InputError, match="not finite"):
        clap.embed_audio(torch.full((1, SAMPLE_RATE_HZ), float("nan")))
    with pytest.raises(InputError, match="one text"):
        clap.embed_text("slow funk")  # type: ignore[arg-type]


def test_weights_that_do_not_fit_are_refused(clap: ClapMini, tmp_path: Path) -> None:
    save_model(clap, tmp_path / "a")
    config = (tmp_path / "a" / "config.json").read_text()
    (tmp_path / "a" / "config.json").write_text(config.replace('"audio_width": 16', '"audio_width": 24'))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_clap(tmp_path / "a")
