"""A listening experiment that never happened, as a BIDS data set: `simulate(config)`.

Writes songs, recordings and sidecars as `experiment` plans them. A subject's folder is there whole
or not at all; running the same configuration again goes on where it stopped. The bytes do not
depend on the number of processes.
"""

from __future__ import annotations

import functools
import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.errors import DataError
from eeg2music.files import atomic_folder, check_new_folder, read_json, write_json
from eeg2music.simulation import bids
from eeg2music.simulation.calibration import REAL_SNR_DB
from eeg2music.simulation.experiment import (
    SimulationConfig,
    dataset_listener,
    dataset_songs,
    record_run,
    session_plan,
    subject_id,
    subject_songs,
)
from eeg2music.simulation.head import MONTAGES
from eeg2music.simulation.session import Stimulus, simulate_listener, stimulus_from_folder

__all__ = ["SimulatedDataset", "SimulationConfig", "simulate", "simulate_listener"]

_LOG = logging.getLogger(__name__)
# What may change between two runs that write the same data set.
_FREE_KEYS = {"out", "workers", "subjects"}

README = """# Simulated listening to composed music

{subjects} simulated listeners hear {songs} pieces of {seconds:g} s, composed by rule, through a simulated head.
**These are not recordings of people.**

- `stimuli/<song>/`: four stems (drums, bass, harmony, melody), their exact sum `mix.wav`, MIDI, annotations.
- `sub-*/eeg/`: {channels} channels at {sfreq:g} Hz. `events.tsv` names the piece (`stim_file`), the presentation
  (`trial`, `repeat`) and its signal-to-noise ratio (`snr_db`).
- Envelope, onset flux, pitch and brightness of each stem drive the sources of one region (drums: central, bass: left
  temporal, harmony: right temporal, melody: frontal) through response functions of 50 to 300 ms (family
  "{family}"), then a three-shell sphere model. Caps are turned by up to 5 degrees, latencies shifted by up to 30 ms.
- Added: background with a 1/f spectrum, alpha, blinks, muscle bursts, line noise ({line} Hz), drift, sensor noise.
- Signal-to-noise ratio: variance of the stimulus-driven part over that of everything else, both in 1-12 Hz while music
  plays, each averaged over channels. Here: {levels} dB. Recordings of people lie near {real:g} dB.

`code/simulation.json` holds the configuration that made this data set.
"""


@dataclass(frozen=True)
class SimulatedDataset:
    """What `simulate` wrote: subjects as "sub-<label>", songs by id."""

    root: Path
    subjects: tuple[str, ...]
    songs: tuple[str, ...]


Progress = Callable[[str, int, int], None]


def simulate(config: SimulationConfig, *, progress: Progress | None = None) -> SimulatedDataset:
    """Write the data set, or what is missing of it.

    Parameters
    ----------
    progress : called whenever something was written with what it was ("song", "subject"), how many there are now and
        of how many

    Raises
    ------
    DataError
        If the folder holds another simulation.
    ConfigError
        If a style does not exist or more songs per subject are wanted than there are.
    """
    from eeg2music.simulation.library import write_songs

    songs = check_simulation(config)
    root = Path(config.out)
    _claim(root, config)
    told = None if progress is None else functools.partial(progress, "song")
    write_songs(root, songs, duration_s=config.song_seconds, workers=config.workers, progress=told)
    indices = range(config.first_subject, config.first_subject + config.subjects)
    for leftover in root.glob(".sub-*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    missing = [index for index in indices if not (root / f"sub-{subject_id(config, index)}").is_dir()]
    _LOG.info("%d subjects wanted, %d to simulate", len(indices), len(missing))
    _write_subjects(config, missing, progress)
    participants = _participants(config)
    bids.write_top_level(root, participants=participants, readme=_readme(config, len(participants)))
    return SimulatedDataset(root, tuple(f"sub-{subject_id(config, index)}" for index in indices), tuple(songs))


def check_simulation(config: SimulationConfig) -> list[str]:
    """Everything that can be refused before a song is composed. Returns the songs.

    Raises
    ------
    DataError, ConfigError, InputError
    """
    songs = dataset_songs(config)
    _differing(Path(config.out), config)
    check_new_folder(config.out)
    return songs


def write_subject(config: SimulationConfig, index: int) -> str:
    """Simulate one subject from the songs on disk and write its folder. Returns its label."""
    from threadpoolctl import threadpool_limits

    root = Path(config.out)
    stimuli = {song: _stimulus(str(root / "stimuli" / song)) for song in subject_songs(config, index)}
    label = f"sub-{subject_id(config, index)}"
    # One thread: sums in another order would differ in the last bit.
    with threadpool_limits(1), atomic_folder(root / label) as folder:
        for run in range(1, len(session_plan(config, index)) + 1):
            recording = record_run(config, index, run, stimuli)
            bids.write_run(folder / "eeg", recording, run)
            if run == 1:
                bids.write_electrodes(folder / "eeg", recording)
    return label


@functools.lru_cache(maxsize=512)
def _stimulus(folder: str) -> Stimulus:
    return stimulus_from_folder(folder)


def _write_subjects(config: SimulationConfig, indices: Sequence[int], progress: Progress | None) -> None:
    workers = min(config.workers, len(indices))
    write = functools.partial(write_subject, config)
    if workers <= 1:
        _follow(map(write, indices), len(indices), progress)
        return
    # spawn: a fork would inherit the locks of threads that a caller may hold
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        _follow(pool.map(write, indices), len(indices), progress)


def _follow(labels: Iterable[str], total: int, progress: Progress | None) -> None:
    for done, label in enumerate(labels, start=1):
        _LOG.info("%s (%d of %d)", label, done, total)
        if progress is not None:
            progress("subject", done, total)


def _fingerprint(config: SimulationConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude=_FREE_KEYS) | {"snr_levels_db": list(config.snr_levels_db)}


def _differing(root: Path, config: SimulationConfig) -> bool:
    """Refuse a folder that holds something else. Whether its note has to be written (again)."""
    note = root / "code" / "simulation.json"
    if note.is_file():
        wanted, found = _fingerprint(config), read_json(note)
        different = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
        # Music without listeners yet may be played to any.
        if different and any(root.glob("sub-*")):
            raise DataError(
                f"{root} holds another simulation (it differs in {', '.join(different)})",
                allowed="the same settings, to complete it",
                remedy="choose another folder, or remove this one",
            )
        return bool(different)
    if root.is_dir() and any(path.name != "stimuli" for path in root.iterdir()):
        raise DataError(f"{root} is not empty", allowed="a new or empty folder", remedy="choose another folder")
    return True


def _claim(root: Path, config: SimulationConfig) -> None:
    """Note what the folder will hold."""
    if _differing(root, config):
        write_json(root / "code" / "simulation.json", _fingerprint(config))


def _participants(config: SimulationConfig) -> list[dict[str, Any]]:
    """A row for every subject that is there: those wanted, and those that an earlier, longer call left."""
    rows = []
    index = config.first_subject
    while (Path(config.out) / f"sub-{subject_id(config, index)}").is_dir():
        levels = [trial.snr_db for run in session_plan(config, index) for trial in run]
        rows.append(
            {
                "participant_id": f"sub-{subject_id(config, index)}",
                "species": "homo sapiens",
                "snr_db": float(np.mean(levels)),
                "latency_ms": round(1000.0 * dataset_listener(config, index).latency_s, 1),
                "response_family": config.response_family,
                "montage": config.montage,
            }
        )
        index += 1
    return rows


def _readme(config: SimulationConfig, subjects: int) -> str:
    return README.format(
        subjects=subjects,
        songs=config.songs,
        seconds=config.song_seconds,
        channels=len(MONTAGES[config.montage]),
        sfreq=config.sfreq_hz,
        family=config.response_family,
        line=config.line_freq_hz,
        levels=", ".join(f"{level:g}" for level in sorted(set(config.snr_levels_db), reverse=True)),
        real=REAL_SNR_DB,
    )
