"""Planted frauds that the commands themselves meet: `evaluate` on a prepared cache, `split` and `score`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from eeg2music import cli
from eeg2music.audio import write_audio
from eeg2music.files import read_json, sha256_file, write_json, write_text
from eeg2music.seeding import numpy_rng
from eeg2music.types import SAMPLE_RATE_HZ, STEMS
from eeg2music.weights import MANIFEST_NAME

WriteCache = Callable[..., Path]
ROWS = [("sub-a", "chim_nolyrics", 1.0, 64), ("sub-a", "other", 12.0, 768), ("sub-b", "chim_nolyrics", 3.0, 192)]
KNOWN = {"songs": ["chim", "train"], "subjects": ["sub-x"]}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that is refused; returns its one line."""

    def refused(*arguments: Any) -> str:
        monkeypatch.setattr(sys, "argv", ["eeg2music", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        return re.sub(r"\s+", " ", capsys.readouterr().err)

    return refused


@pytest.fixture
def evaluate(
    command: Callable[..., str], tiny_checkpoint: Path, tmp_path: Path, write_cache: WriteCache
) -> Callable[..., str]:
    """Score the cache, whose works are declared, with an encoder whose manifest says what is given."""

    def refused(manifest: dict[str, Any], works: dict[str, str]) -> str:
        models = tmp_path / "models"
        models.mkdir()
        for part in tiny_checkpoint.iterdir():
            (models / part.name).symlink_to(part)
        (models / "encoder").unlink()
        (models / "encoder").mkdir()
        for part in (tiny_checkpoint / "encoder").iterdir():
            (models / "encoder" / part.name).write_bytes(part.read_bytes())
        told = read_json(models / "encoder" / MANIFEST_NAME)
        write_json(models / "encoder" / MANIFEST_NAME, {**told, **manifest})
        cache = write_cache(ROWS, works=works, stems=(*STEMS, "mix"))
        level = "levels: [{name: recorded, snr: 0, conditions: [brain], generate: []}]"
        write_text(tmp_path / "evaluate.yaml", f"prepared: {cache}\nseeds: [0]\n{level}\n")
        said = command("evaluate", tmp_path / "evaluate.yaml", "--out", tmp_path / "out", f"checkpoint={models}")
        assert not (tmp_path / "out").exists()
        return said

    return refused


@pytest.mark.parametrize(
    "known",
    [{"works": {"chim": "W1"}}, {"songs": ["train"], "valid": {"songs": ["chim"], "works": {"chim": "W1"}}}],
    ids=["trained", "chosen"],
)
def test_work_known_to_a_model_under_another_name_is_caught(
    evaluate: Callable[..., str], known: dict[str, Any]
) -> None:
    """The model was trained (or chosen) on a piece with lyrics and is scored on the same piece without them."""
    assert "share 1 of 2 works: W1" in evaluate({**KNOWN, **known}, {"chim_nolyrics": "W1"})


@pytest.mark.parametrize("chosen", [False, True], ids=["trained", "chosen"])
def test_renamed_song_known_to_a_model_is_caught(evaluate: Callable[..., str], tmp_path: Path, chosen: bool) -> None:
    """The very file that is scored was trained (or chosen) on, under another name."""
    heard = 0.1 * numpy_rng(0, "other", "mix").standard_normal(8 * SAMPLE_RATE_HZ)
    write_audio(tmp_path / "renamed.wav", heard.astype(np.float32))
    met = {"songs": ["renamed"], "stimuli": [sha256_file(tmp_path / "renamed.wav")]}
    assert "share 1 of 2 stimuli" in evaluate({**KNOWN, **({"valid": met} if chosen else met)}, {})
    assert sha256_file(tmp_path / "stimuli/other/mix.wav") == met["stimuli"][0]


def test_scaler_fitted_on_what_is_scored_is_caught(evaluate: Callable[..., str]) -> None:
    """Trained on other songs alone; mean and deviation of the features were taken over everything."""
    fitted = {"feature scaler": {"songs": ["train", "other"], "subjects": ["sub-x"]}}
    said = evaluate({**KNOWN, "fitted": fitted}, {})
    assert "The feature scaler of the encoder was fitted across the split: it shares 1 of 2 songs: other" in said


def test_windows_called_songs_in_a_manifest_are_caught(command: Callable[..., str], tmp_path: Path) -> None:
    """Three windows of one piece, each called a song: the interval would count three for one."""
    rng = np.random.default_rng(0)
    lines = ["file,reference,song"]
    for number in range(6):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.standard_normal(24_000), 24_000)
        lines.append(f"{number}.wav,heard{number // 3}.wav,window-{number}")
    for number in range(2):
        soundfile.write(tmp_path / f"heard{number}.wav", 0.1 * rng.standard_normal(24_000), 24_000)
    write_text(tmp_path / "clips.csv", "\n".join(lines) + "\n")
    said = command("score", tmp_path / "clips.csv", "--out", tmp_path / "out")
    assert "the reference 'heard0.wav' has two songs, 'window-0' and 'window-1'" in said
