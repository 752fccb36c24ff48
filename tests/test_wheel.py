"""A wheel that is installed elsewhere runs the demonstration from any folder, with nothing of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import load_file

from eeg2music import __version__
from eeg2music.weights import checkpoint_sha256

ROOT = Path(__file__).parents[1]
SOURCES = (
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    "eeg2music",
    "configs",
    "checkpoints",
    "train",
    "eval",
    "tests",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the installed wheel in it."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.is_file():
            shutil.copy(path, source / name)
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(wheels), str(source)], check=True
    )
    (wheel,) = wheels.glob("eeg2music-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)
    shutil.rmtree(source)
    return site


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -P and PYTHONPATH: the package comes from the wheel, its dependencies from this environment.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-P", *arguments], cwd="/", env=environment, capture_output=True, text=True, check=False
    )


def test_only_the_package_is_in_it(site: Path) -> None:
    folders = {path.name for path in site.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert folders - {"bin"} == {"eeg2music"}
    assert not list(site.rglob("test_*.py"))


def test_configs_checkpoints_and_types_travel_in_it(site: Path) -> None:
    for folder in ("configs", "checkpoints"):
        shipped = {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).rglob("*") if path.is_file()}
        inside = site / "eeg2music" / folder
        assert {str(path.relative_to(inside)) for path in inside.rglob("*") if path.is_file()} >= shipped
    assert (site / "eeg2music" / "py.typed").is_file()


def test_every_module_is_in_it(site: Path) -> None:
    ours = {str(path.relative_to(ROOT / "eeg2music")) for path in (ROOT / "eeg2music").rglob("*.py")}
    theirs = {str(path.relative_to(site / "eeg2music")) for path in (site / "eeg2music").rglob("*.py")}
    assert ours <= theirs


def test_it_is_imported_from_there(site: Path) -> None:
    ran = run(site, "-c", "import eeg2music; print(eeg2music.__file__)")
    assert ran.stdout.strip() == str(site / "eeg2music" / "__init__.py"), ran.stderr


def test_version_and_shipped_configs(site: Path) -> None:
    # The console script, as it is installed.
    assert run(site, str(site / "bin" / "eeg2music"), "--version").stdout.strip() == f"eeg2music {__version__}"
    ran = run(site, "-m", "eeg2music.cli", "evaluate", "configs/eval/smoke.yaml", "--out", "x", "--dry-run")
    assert "listening:" in ran.stdout, ran.stderr


@pytest.mark.slow
def test_accelerate_launches_a_training_from_it(site: Path, tmp_path: Path) -> None:
    """As far as a dry run goes: the module is found, its config resolved and the data looked at."""
    made = load_file(Path(__file__).with_name("training") / "music.py")
    music = made.write_music(tmp_path / "music", ["one", "two", "three"], seconds=1.0)
    ran = run(
        site, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "eeg2music.training", "codec", "codec/smoke",
        "--dry-run", f"task.data={music}", "task.valid_songs=1", "train.steps=7", f"train.out={tmp_path / 'run'}",
        "train.device=cpu",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert yaml.safe_load(ran.stdout)["train"]["steps"] == 7
    assert not (tmp_path / "run").exists()


def test_the_demonstration_runs_with_the_models_in_it(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    overrides = ["listening.songs=6", "listening.song_seconds=7", "clips=2", "clip_s=2", "levels=[]"]
    ran = run(
        site, "-m", "eeg2music.cli", "demo", "--out", str(out), "--device", "cpu", *overrides,
        "generate.sampling.steps=2",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["checkpoint_sha256"] == checkpoint_sha256(ROOT / "checkpoints" / "mini")
    # Trained models find the song that was heard: chance is 0.5.
    assert report["identification"]["embedding"]["accuracy"] > 0.8
    assert (out / "mix.wav").is_file()


def test_the_demonstration_runs_from_the_root_folder(site: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    overrides = ["listening.songs=6", "listening.song_seconds=7", "clips=2", "clip_s=2", "levels=[]"]
    ran = run(
        site, "-m", "eeg2music.cli", "demo", "--out", str(out), "--checkpoint", str(tiny_checkpoint), "--device", "cpu",
        *overrides, "generate.sampling.steps=2",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    # Progress, where it takes long, and nothing that a library says.
    assert "arning" not in ran.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["identification"]["embedding"]["gallery_size"] == 6
    assert (out / "mix.wav").is_file()
