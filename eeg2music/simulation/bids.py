"""Writes simulated recordings as a BIDS data set: BrainVision files, sidecars, participants.

Knows the layout and nothing of brains or music. What it writes holds no dates, no names and no
paths, and is the same to the byte for the same recordings.
"""

from __future__ import annotations

import os
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import eeg2music
from eeg2music.errors import InputError
from eeg2music.files import write_json, write_text
from eeg2music.simulation.head import fiducials
from eeg2music.simulation.session import MUSIC, PAUSE, RUN_END, RUN_START
from eeg2music.types import Event, Recording

BIDS_VERSION = "1.10.0"
TASK = "listening"
SPACE = "CapTrak"
RESOLUTION_UV = 0.1
EVENT_FIELDS = ("trial", "repeat", "snr_db")
_LABEL = frozenset(string.ascii_letters + string.digits)

EVENT_COLUMNS: dict[str, Any] = {
    "onset": {"Description": "Start of the event from the first sample of the run", "Units": "s"},
    "duration": {"Description": "Length of the event", "Units": "s"},
    "trial_type": {
        "Description": "What happened",
        "Levels": {
            MUSIC: "A piece of music was played",
            PAUSE: "Silence before a piece",
            RUN_START: "First sample of the run",
            RUN_END: "Last sample of the run",
        },
    },
    "stim_file": {"Description": "The audio that was played, relative to the stimuli folder"},
    "trial": {"Description": "Number of the presentation within the session, from 1"},
    "repeat": {"Description": "How often this piece has been played to this listener, this time included"},
    "snr_db": {
        "Description": "Variance of the stimulus-driven part over that of everything else in 1-12 Hz while music plays",
        "Units": "dB",
    },
}
PARTICIPANT_COLUMNS: dict[str, Any] = {
    "participant_id": {"Description": "Random label of a simulated listener"},
    "species": {"Description": "Binomial species name of what is simulated"},
    "snr_db": {"Description": "Mean signal-to-noise ratio of the listener's trials", "Units": "dB"},
    "latency_ms": {"Description": "What the listener's response latencies differ from the average by", "Units": "ms"},
    "response_family": {"Description": "Family of temporal response functions"},
    "montage": {"Description": "Simulated cap"},
}


def write_run(folder: str | os.PathLike[str], recording: Recording, run: int) -> None:
    """Write one run into a subject's `eeg` folder: signals (16 bit, 0.1 microvolt), events, channels.

    Raises
    ------
    InputError
        If the subject's label is not alphanumeric or the signal exceeds the format's range.
    """
    label = recording.subject.removeprefix("sub-")
    if not label or not set(label) <= _LABEL:
        raise InputError(f"The subject label {label!r} does not fit", allowed="letters and digits")
    peak_uv = float(np.abs(recording.signal_v).max()) * 1e6
    largest_uv = RESOLUTION_UV * np.iinfo(np.int16).max
    if not peak_uv <= largest_uv:
        raise InputError(
            f"A signal of {peak_uv:.0f} microvolts does not fit into 16 bits of {RESOLUTION_UV} microvolts",
            allowed=f"up to {largest_uv:.0f} microvolts",
            remedy="simulate with a lower snr",
        )
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    base = f"sub-{label}_task-{TASK}_run-{run:02d}"
    _write_signals(root, f"{base}_eeg", recording)
    write_json(root / f"{base}_eeg.json", _eeg_sidecar(recording))
    write_table(root / f"{base}_channels.tsv", _channel_rows(recording))
    write_table(root / f"{base}_events.tsv", _event_rows(recording.events))


def write_electrodes(folder: str | os.PathLike[str], recording: Recording) -> None:
    """Nominal electrode positions and the landmarks that define their coordinate system."""
    root = Path(folder)
    base = f"{recording.subject}_space-{SPACE}"
    rows = [
        {"name": name, "x": f"{x:.5f}", "y": f"{y:.5f}", "z": f"{z:.5f}", "type": "ring", "material": "AgCl"}
        for name, (x, y, z) in zip(recording.channel_names, recording.positions_m.tolist(), strict=True)
    ]
    write_table(root / f"{base}_electrodes.tsv", rows)
    landmarks = {name: [round(float(value), 5) + 0.0 for value in point] for name, point in fiducials().items()}
    system = {
        "EEGCoordinateSystem": SPACE,
        "EEGCoordinateUnits": "m",
        "EEGCoordinateSystemDescription": "Origin between the ears, x to the right, y to the front, z up. "
        "Positions of the template; the simulated cap sits up to 5 degrees off.",
        "AnatomicalLandmarkCoordinates": landmarks,
        "AnatomicalLandmarkCoordinateSystem": SPACE,
        "AnatomicalLandmarkCoordinateUnits": "m",
    }
    write_json(root / f"{base}_coordsystem.json", system)


def write_top_level(root: str | os.PathLike[str], *, participants: Sequence[Mapping[str, Any]], readme: str) -> None:
    """dataset_description.json, README, participants and the meaning of the event columns."""
    folder = Path(root)
    description = {
        "Name": "Simulated listening to composed music",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "License": "CC0",
        "Authors": ["The eeg2music authors"],
        "GeneratedBy": [{"Name": "eeg2music", "Version": eeg2music.__version__}],
        "Keywords": ["EEG", "music", "simulation"],
    }
    write_json(folder / "dataset_description.json", description)
    write_text(folder / "README.md", readme)
    if participants:
        write_table(folder / "participants.tsv", participants)
        write_json(folder / "participants.json", PARTICIPANT_COLUMNS)
        write_json(folder / f"task-{TASK}_events.json", {**EVENT_COLUMNS, "StimulusPresentation": _PRESENTATION})


_PRESENTATION = {"SoftwareName": "eeg2music", "SoftwareVersion": eeg2music.__version__}


def write_table(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Tab-separated values; the first row's keys are the columns."""
    listed = list(rows)
    lines = ["\t".join(listed[0])]
    lines += ["\t".join(_cell(value) for value in row.values()) for row in listed]
    write_text(path, "\n".join(lines) + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value)


def _write_signals(folder: Path, base: str, recording: Recording) -> None:
    import pybv

    markers = [
        {
            "onset": round(event.onset_s * recording.sfreq_hz),
            "duration": max(1, round(event.duration_s * recording.sfreq_hz)),
            "description": event.kind,
            "type": "Comment",
        }
        for event in recording.events
    ]
    # pybv cuts decimals off; a quarter of a step away from zero makes that rounding to the nearest.
    steps = np.rint(recording.signal_v.astype(np.float64) * (1e6 / RESOLUTION_UV))
    steps += np.copysign(0.25, steps)
    pybv.write_brainvision(
        data=steps * (RESOLUTION_UV * 1e-6),
        sfreq=recording.sfreq_hz,
        ch_names=list(recording.channel_names),
        fname_base=base,
        folder_out=folder,
        events=markers,
        resolution=RESOLUTION_UV,
        fmt="binary_int16",
    )


def _eeg_sidecar(recording: Recording) -> dict[str, Any]:
    return {
        "TaskName": TASK,
        "TaskDescription": "Passive listening to short pieces of music with pauses between them",
        "SamplingFrequency": recording.sfreq_hz,
        "EEGReference": "average",
        "PowerLineFrequency": recording.line_freq_hz,
        "SoftwareFilters": "n/a",
        "HardwareFilters": "n/a",
        "EEGPlacementScheme": "10-05",
        "EEGChannelCount": len(recording.channel_names),
        "EOGChannelCount": 0,
        "ECGChannelCount": 0,
        "EMGChannelCount": 0,
        "MISCChannelCount": 0,
        "TriggerChannelCount": 0,
        "RecordingDuration": round(recording.duration_s, 6),
        "RecordingType": "continuous",
        "Manufacturer": "simulated",
    }


def _channel_rows(recording: Recording) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "type": "EEG",
            "units": "µV",
            "sampling_frequency": recording.sfreq_hz,
            "reference": "average",
            "status": "bad" if name in recording.bad_channels else "good",
        }
        for name in recording.channel_names
    ]


def _event_rows(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [
        {
            "onset": float(event.onset_s),
            "duration": float(event.duration_s),
            "trial_type": event.kind,
            "stim_file": event.stimulus,
            **{name: event.fields.get(name) for name in EVENT_FIELDS},
        }
        for event in events
    ]
