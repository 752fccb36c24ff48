"""Shared fixtures. Nothing is downloaded: the hub is switched off before anything imports it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support import load_file

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Before numpy and torch are imported: processes with a thread for every core each wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings, `$EEG2MUSIC_REAL_DATA` or `../shared/data`."""
    root = Path(os.environ.get("EEG2MUSIC_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no real recordings: set EEG2MUSIC_REAL_DATA ({root.name} is absent)")
    return root


@pytest.fixture(scope="session")
def recorded_music(real_data: Path) -> list[Path]:
    """Recorded pieces beside the real recordings."""
    folder = real_data / "librosa_music"
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is absent")
    files = sorted((folder / "audio").glob("*.ogg"))
    assert files, f"{folder} holds no music"
    return files


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random model of every kind; copy it before changing it."""
    tiny = load_file(Path(__file__).with_name("tiny.py"))
    folder: Path = tiny.write_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    return folder


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """Such a folder of the test's own."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


@pytest.fixture(scope="session")
def recording_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An EDF of eight electrodes and an auxiliary channel, 2.5 s of noise, with a person's name in its header."""
    from edfio import Edf, EdfSignal, Patient

    from eeg2music.seeding import numpy_rng

    signals = [
        EdfSignal(
            20.0 * numpy_rng(0, "recording", name).standard_normal(320),
            128.0,
            label=name,
            physical_dimension="uV",
            physical_range=(-200.0, 200.0),
        )
        for name in ("Fz", "Cz", "C3", "C4", "T7", "T8", "Pz", "Oz", "AUX1")
    ]
    path = tmp_path_factory.mktemp("recording") / "lovelace.edf"
    Edf(signals, patient=Patient(name="Ada_Lovelace"), data_record_duration=0.5).write(path)
    return path
