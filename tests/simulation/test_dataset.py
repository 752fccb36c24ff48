"""The data set on disk: read back by mne-bids, valid, resumable, the same bytes however it is made."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.config import build_config
from eeg2music.errors import DataError, InputError
from eeg2music.files import read_json, sha256_file, sha256_folder
from eeg2music.simulation import bids
from eeg2music.simulation.dataset import SimulatedDataset, simulate
from eeg2music.simulation.experiment import SimulationConfig, record_run, session_plan
from eeg2music.simulation.session import stimulus_from_folder

TINY: dict[str, Any] = {
    "subjects": 2, "songs": 2, "song_seconds": 4.0, "repeats": 2, "repeated_songs": 1, "runs": 2,
    "sfreq_hz": 128.0, "snr": [0.0, -5.0], "subject_prefix": "t", "workers": 1,
}  # fmt: skip


def tiny(out: Path, **changes: Any) -> SimulationConfig:
    return build_config(SimulationConfig, {**TINY, "out": str(out), **changes})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> SimulatedDataset:
    return simulate(tiny(tmp_path_factory.mktemp("bids") / "set"))


def test_mne_bids_reads_the_recording_and_its_events(dataset: SimulatedDataset) -> None:
    import mne_bids

    config = tiny(dataset.root)
    stimuli = {song: stimulus_from_folder(dataset.root / "stimuli" / song) for song in dataset.songs}
    for index, subject in enumerate(dataset.subjects):
        plan = session_plan(config, index)
        for run, trials in enumerate(plan, start=1):
            path = mne_bids.BIDSPath(
                root=dataset.root, subject=subject[4:], task="listening", run=f"{run:02d}", datatype="eeg"
            )
            raw = mne_bids.read_raw_bids(path, verbose="ERROR")
            memory = record_run(config, index, run, stimuli)
            assert tuple(raw.ch_names) == memory.channel_names
            assert raw.info["sfreq"] == memory.sfreq_hz == 128.0
            assert raw.info["line_freq"] == 50
            # Sixteen bits of 0.1 microvolt, rounded to the nearest.
            assert np.abs(raw.get_data() - memory.signal_v).max() < 0.051e-6
            positions = np.array([channel["loc"][:3] for channel in raw.info["chs"]])
            assert np.allclose(positions, memory.positions_m, atol=2e-5)
            music = [note for note in raw.annotations if note["description"] == "music"]
            assert [note["extras"]["stim_file"] for note in music] == [f"{trial.song}/mix.wav" for trial in trials]
            assert [int(note["extras"]["trial"]) for note in music] == [trial.number for trial in trials]
            assert [float(note["extras"]["snr_db"]) for note in music] == [trial.snr_db for trial in trials]
            expected = [event.onset_s for event in memory.events if event.kind == "music"]
            assert np.allclose([note["onset"] for note in music], expected, atol=1e-5)
            assert all((dataset.root / "stimuli" / note["extras"]["stim_file"]).is_file() for note in music)


def test_nothing_personal_and_no_dates(dataset: SimulatedDataset) -> None:
    import mne

    for header in dataset.root.rglob("*_eeg.vhdr"):
        raw = mne.io.read_raw_brainvision(header, verbose="ERROR")
        assert raw.info["meas_date"] is None
    texts = [path for path in dataset.root.rglob("*") if path.suffix in {".json", ".tsv", ".md", ".vhdr", ".vmrk"}]
    for path in texts:
        if "stimuli" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(19|20)\d\d-\d\d-\d\d|\bage\b|\bsex\b|\bname\tage", text), path.name
        assert str(dataset.root) not in text
    columns = (dataset.root / "participants.tsv").read_text().splitlines()[0].split("\t")
    assert set(columns) == set(bids.PARTICIPANT_COLUMNS)


def test_participants_are_those_on_disk(dataset: SimulatedDataset) -> None:
    rows = [line.split("\t") for line in (dataset.root / "participants.tsv").read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == list(dataset.subjects)
    assert [row[2] for row in rows] == ["0", "-5"]
    assert all((dataset.root / row[0] / "eeg").is_dir() for row in rows)


def test_resumes_where_it_stopped_with_the_same_bytes(dataset: SimulatedDataset, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(dataset.root, root)
    kept, lost = dataset.subjects
    before = sha256_folder(dataset.root)
    shutil.rmtree(root / lost)
    (root / f".{lost}-leftover").mkdir()
    stamp = next((root / kept).rglob("*.eeg")).stat().st_mtime_ns
    said: list[tuple[str, int, int]] = []
    simulate(tiny(root), progress=lambda *message: said.append(message))
    assert said[-1] == ("subject", 1, 1)
    assert next((root / kept).rglob("*.eeg")).stat().st_mtime_ns == stamp
    assert sha256_folder(root) == before


def test_progress_is_told_song_by_song(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    simulate(tiny(tmp_path / "set", subjects=0, songs=3), progress=lambda *message: said.append(message))
    assert said == [("song", done, 3) for done in (1, 2, 3)]
    shutil.rmtree(next((tmp_path / "set" / "stimuli").iterdir()))
    said.clear()
    simulate(tiny(tmp_path / "set", subjects=0, songs=3), progress=lambda *message: said.append(message))
    assert said == [("song", 3, 3)]


def test_another_simulation_is_not_mixed_in(dataset: SimulatedDataset) -> None:
    before = sha256_folder(dataset.root)
    with pytest.raises(DataError, match=r"another simulation .it differs in crosstalk."):
        simulate(tiny(dataset.root, crosstalk=0.3))
    assert sha256_folder(dataset.root) == before


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        simulate(tiny(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_music_alone_can_be_played_to_listeners_later(tmp_path: Path) -> None:
    root = tmp_path / "set"
    made = simulate(tiny(root, subjects=0, songs=1))
    assert made.subjects == ()
    assert not list(root.glob("sub-*"))
    assert (root / "stimuli" / made.songs[0] / "mix.wav").is_file()
    assert not (root / "participants.tsv").exists()
    with_people = simulate(tiny(root, subjects=1, songs=1, runs=1, repeats=1, snr="clean"))
    assert (root / with_people.subjects[0] / "eeg").is_dir()
    assert read_json(root / "code" / "simulation.json")["snr"] == "clean"


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_processes(dataset: SimulatedDataset, tmp_path: Path) -> None:
    again = simulate(tiny(tmp_path / "set", workers=2))
    ours = {path.relative_to(dataset.root): sha256_file(path) for path in dataset.root.rglob("*") if path.is_file()}
    theirs = {path.relative_to(again.root): sha256_file(path) for path in again.root.rglob("*") if path.is_file()}
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.parametrize("subjects", [0, 2])
def test_the_bids_validator_finds_no_error(dataset: SimulatedDataset, tmp_path: Path, subjects: int) -> None:
    validator = Path(sysconfig.get_path("scripts")) / "bids-validator-deno"
    if not validator.is_file():
        pytest.skip("bids-validator-deno is not installed (extra: bids)")
    root = dataset.root if subjects else simulate(tiny(tmp_path / "set", subjects=0)).root
    result = subprocess.run([validator, root, "--json"], capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout[-2000:]
    assert '"severity": "error"' not in result.stdout


def test_labels_and_ranges_that_do_not_fit_are_refused(dataset: SimulatedDataset, tmp_path: Path) -> None:
    config = tiny(dataset.root)
    stimuli = {song: stimulus_from_folder(dataset.root / "stimuli" / song) for song in dataset.songs}
    recording = record_run(config, 0, 1, stimuli)
    with pytest.raises(InputError, match="subject label 'jane_doe'"):
        bids.write_run(tmp_path, recording.replace(subject="sub-jane_doe"), 1)
    with pytest.raises(InputError, match="does not fit into 16 bits"):
        bids.write_run(tmp_path, recording.replace(signal_v=recording.signal_v * 1e4), 1)
    assert not list(tmp_path.iterdir())


def test_a_piece_without_a_stem_is_named(dataset: SimulatedDataset, tmp_path: Path) -> None:
    shutil.copytree(dataset.root / "stimuli" / dataset.songs[0], tmp_path / "piece")
    (tmp_path / "piece" / "bass.wav").unlink()
    with pytest.raises(DataError, match=r"'piece' lacks bass\.wav"):
        stimulus_from_folder(tmp_path / "piece")
