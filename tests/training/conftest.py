"""Enters the toy tasks, for tests that train in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import load_file

# Run as scripts, or loaded by the fixtures below: not to be imported a second time by the search for doctests.
collect_ignore = ["toys.py", "distributed.py", "fakes.py", "music.py"]


@pytest.fixture(scope="session", autouse=True)
def toy_tasks() -> None:
    load_file(Path(__file__).with_name("toys.py"))


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stimuli folder of six short songs."""
    module = load_file(Path(__file__).with_name("music.py"))
    root: Path = module.write_music(tmp_path_factory.mktemp("music"), [f"song-{index}" for index in range(6)])
    return root


@pytest.fixture(scope="session")
def longer_music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight songs of six seconds, which windows of five fit into."""
    module = load_file(Path(__file__).with_name("music.py"))
    root: Path = module.write_music(tmp_path_factory.mktemp("music"), [f"song-{k}" for k in range(8)], seconds=6.0)
    return root


@pytest.fixture(scope="session")
def small_trainings(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> dict[str, list[str]]:
    """What makes `configs/<name>/smoke.yaml` of each real task a matter of seconds: three listeners, eight songs."""
    from eeg2music.preparation.config import PrepareConfig
    from eeg2music.preparation.run import prepare
    from eeg2music.simulation.dataset import simulate
    from eeg2music.simulation.experiment import SimulationConfig

    root = tmp_path_factory.mktemp("simulated")
    music = root / "music"
    simulate(
        SimulationConfig(
            out=str(music), subjects=3, songs=8, songs_per_subject=8, song_seconds=6.0, repeats=1, runs=1, workers=1
        )
    )
    prepared = prepare(music, root / "prepared", PrepareConfig(hop_s=5.0, workers=1))
    data, window = f"task.data={music}", "task.window_s=1.5"
    clap = f"task.clap={tiny_checkpoint / 'clap'}"
    targets = [f"task.targets={root / 'targets'}", "task.window_s=3", "task.valid_subjects=0.3"]
    return {
        "codec": [data, "task.fit_songs=1", "task.quantizer_steps=1", "task.valid_songs=1", "task.crop_s=0.2"],
        "clap": [data, window, "task.shortest_s=1.0", "task.valid_share=0.25"],
        "scorer": [data, window, "task.valid_share=0.25"],
        "encoder": [f"task.caches=[{prepared}]", clap, *targets],
        "diffusion": [data, f"task.codec={tiny_checkpoint / 'codec'}", clap, f"task.cache={root / 'latents'}"],
    }
