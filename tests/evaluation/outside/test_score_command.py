"""`eeg2music score`, its shipped config, and the thin scripts that call it."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from eeg2music import cli

ROOT = Path(__file__).parents[3]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the console script, or another, in this process."""

    def call(*arguments: object, script: str | None = None) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", [script or "eeg2music", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main() if script is None else runpy.run_path(str(ROOT / script), run_name="__main__")
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    heard = rng.standard_normal((8, 3))
    np.save(tmp_path / "heard.npy", heard)
    np.save(tmp_path / "made.npy", heard + 0.2 * rng.standard_normal(heard.shape))
    np.save(tmp_path / "music.npy", rng.standard_normal((30, 3)))
    (tmp_path / "clips.csv").write_text("row,reference\n" + "".join(f"{n},{n}\n" for n in range(8)))
    header = {"array": "made.npy", "reference_array": "heard.npy", "embedding": "muq", "conditioned_on": ["clap-music"]}
    (tmp_path / "clips.json").write_text(json.dumps(header))
    return tmp_path / "clips.csv"


def test_it_prints_the_scores_and_where_they_lie(run: Run, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out[1]"
    code, printed, err = run("score", manifest, "--out", out, "--reference", tmp_path / "music.npy", "--seed", "4")
    assert (code, err) == (0, "")
    assert "brain, muq" in printed and "KAD" in printed
    assert str(out / "scores.json") in printed
    assert json.loads((out / "scores.json").read_text())["seed"] == 4


def test_a_mistake_is_one_line(run: Run, manifest: Path, tmp_path: Path) -> None:
    manifest.with_suffix(".json").write_text('{"array": "../made.npy"}')
    code, printed, err = run("score", manifest, "--out", tmp_path / "out")
    assert (code, printed) == (2, "") and err.count("\n") == 1 and "leads out of" in err
    assert not (tmp_path / "out").exists()


def test_an_undeclared_table_is_told_what_to_write(run: Run, manifest: Path, tmp_path: Path) -> None:
    """Also by the dry run; and what it says to write is enough."""
    values = json.loads(manifest.with_suffix(".json").read_text())
    del values["conditioned_on"]
    manifest.with_suffix(".json").write_text(json.dumps(values))
    for more in ((), ("--dry-run",)):
        code, _, err = run("score", manifest, "--out", tmp_path / "out", *more)
        assert code == 2 and err.count("\n") == 1 and not (tmp_path / "out").exists()
        assert '{"conditioned_on": []}' in err and "clips.json" in err and "--allow-circular" in err
    manifest.with_suffix(".json").write_text(json.dumps({**values, "conditioned_on": []}))
    assert run("score", manifest, "--out", tmp_path / "out")[0] == 0


def test_options_reach_the_config(run: Run, manifest: Path, tmp_path: Path) -> None:
    code, printed, _ = run(
        "score", manifest, "--out", tmp_path / "out", "--config", "configs/eval/score.yaml", "--embedding",
        "mert, classical", "--reference", tmp_path / "music.npy", "--allow-small", "--allow-circular", "--resample",
        "sources.mert=here", "--dry-run",
    )  # fmt: skip
    shown = yaml.safe_load(printed)
    assert code == 0 and not (tmp_path / "out").exists()
    assert shown["embedding"] == ["mert", "classical"] and shown["sources"] == {"mert": "here"}
    assert shown["allow_small"] and shown["allow_circular"] and shown["resample"]
    assert shown["distances"] == ["kernel", "frechet_infinity", "coverage"] and shown["reference"] == str(
        tmp_path / "music.npy"
    )


def test_the_scripts_measure_one_thing_each(run: Run, manifest: Path, tmp_path: Path) -> None:
    music = ("--reference", tmp_path / "music.npy")
    assert run(manifest, "--out", tmp_path / "fad", *music, script="eval/fad.py")[0] == 0
    assert run(manifest, "--out", tmp_path / "found", script="eval/retrieval.py")[0] == 0
    fad, found = (
        json.loads((tmp_path / name / "scores.json").read_text())["scores"]["brain"]["muq"] for name in ("fad", "found")
    )
    assert fad["identification"] is None and fad["distances"]["frechet"] >= 0.0
    assert found["distances"] is None and found["identification"]["gallery_size"] == 8


def test_power_correction_and_seeds_are_said(run: Run, manifest: Path, tmp_path: Path) -> None:
    """Two conditions of one seed: two p-values are corrected together, and what eight songs can show is said."""
    lines = [f"{row},{row % 8},{'brain' if row < 8 else 'ridge'},0\n" for row in range(16)]
    manifest.write_text("row,reference,condition,seed\n" + "".join(lines))
    made = np.load(manifest.parent / "made.npy")
    np.save(manifest.parent / "made.npy", np.concatenate([made, np.random.default_rng(5).standard_normal(made.shape)]))
    code, printed, err = run("score", manifest, "--out", tmp_path / "out")
    assert (code, err) == (0, "") and "The manifest names one seed" in printed
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    of = {name: spaces["muq"]["identification"] for name, spaces in scores["scores"].items()}
    p = {name: one["p_value"] for name, one in of.items()}
    assert p["brain"] < 0.01 < p["ridge"]
    assert of["brain"]["p_corrected"] == 2 * p["brain"] and of["ridge"]["p_corrected"] == p["ridge"]
    text = (tmp_path / "out" / "scores.md").read_text()
    for name, found in of.items():
        # The brain is never wrong: what it can see is told by the exchange of songs, not by scores that do not vary.
        assert 0.15 < found["smallest_effect"] < 0.35
        assert (
            f"| {name} | muq | With these 8 songs an effect below {found['smallest_effect']:.3f} above chance" in text
        )
    assert "Corrected p-values are Holm's" in text


def test_three_seeds_need_no_remark(run: Run, manifest: Path, tmp_path: Path) -> None:
    manifest.write_text("row,reference,seed\n" + "".join(f"{n},{n},{n % 3}\n" for n in range(8)))
    assert "names" not in run("score", manifest, "--out", tmp_path / "out")[1]
