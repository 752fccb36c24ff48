"""One run of a listening experiment: which piece when, with pauses, and what the electrodes record.

The same function serves the BIDS writer and callers that want a recording in memory.
Never writes files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eeg2music.audio import read_audio
from eeg2music.errors import ConfigError, DataError, InputError
from eeg2music.files import read_json
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.features import Notes, extract_features
from eeg2music.simulation.listening import Listener, simulate_eeg, source_responses
from eeg2music.types import REGIONS, SAMPLE_RATE_HZ, STEMS, Event, FloatArray, Recording

PAUSE_S = (1.5, 3.0)
LEAD_IN_S = 2.0
MUSIC, PAUSE, RUN_START, RUN_END = "music", "pause", "run_start", "run_end"


@dataclass(frozen=True)
class Stimulus:
    """A piece that can be played to a simulated listener.

    features : (stem, feature, frame) at 240 Hz
    stim_file : path relative to the data set's `stimuli` folder
    """

    name: str
    features: FloatArray
    duration_s: float
    stim_file: str


@dataclass(frozen=True)
class Trial:
    """One presentation. repeat counts from 1 within a session; number is unique within it."""

    stimulus: Stimulus
    number: int
    repeat: int = 1
    snr_db: float = 0.0


def stimulus_from_stems(name: str, stems: FloatArray, notes: Notes | None = None) -> Stimulus:
    """A piece from its stems (stem, samples) at 24 kHz and, if there are, its notes by stem."""
    return Stimulus(
        name=name,
        features=extract_features(stems, notes),
        duration_s=stems.shape[-1] / SAMPLE_RATE_HZ,
        stim_file=f"{name}/mix.wav",
    )


def stimulus_from_song(song_id: str, duration_s: float) -> Stimulus:
    """A piece composed and rendered on the spot."""
    from eeg2music.simulation.composer import compose
    from eeg2music.simulation.rendering import render

    song = compose(song_id, duration_s=duration_s)
    return stimulus_from_stems(song_id, render(song), song.notes)


def stimulus_from_folder(folder: str | os.PathLike[str]) -> Stimulus:
    """A piece from a stimuli folder: one WAV per stem and, if there is one, annotations.json.

    Raises
    ------
    DataError
        If a stem is missing.
    """
    root = Path(folder)
    missing = [f"{stem}.wav" for stem in STEMS if not (root / f"{stem}.wav").is_file()]
    if missing:
        raise DataError(f"The piece {root.name!r} lacks {', '.join(missing)}", allowed="one WAV file per stem")
    stems = [read_audio(root / f"{stem}.wav") for stem in STEMS]
    length = max(stem.size for stem in stems)
    audio = np.stack([np.pad(stem, (0, length - stem.size)) for stem in stems])
    annotations = root / "annotations.json"
    notes = read_json(annotations).get("notes") if annotations.is_file() else None
    return stimulus_from_stems(root.name, audio, notes)


def simulate_listener(
    listener: Listener,
    trials: Sequence[Trial],
    *,
    sfreq_hz: float = 256.0,
    seed: int = 0,
    run: int = 1,
    exchange: tuple[str, Sequence[Stimulus]] | None = None,
) -> Recording:
    """Play the trials to the listener, one after the other with pauses, and record.

    Parameters
    ----------
    exchange : (region, stimuli): that region's sources follow these pieces, one per trial, while
        everything else, noise included, stays as it is

    Returns
    -------
    Recording with events of the kinds `music` (stimulus = path of the mix below `stimuli`; fields
    `trial`, `repeat`, `snr_db`), `pause`, `run_start` and `run_end`.

    Raises
    ------
    InputError
        If there are no trials.
    ConfigError
        If the sampling rate is too low or the exchanged region does not exist.
    """
    if not trials:
        raise InputError("A run without trials cannot be recorded", remedy="give at least one trial")
    if sfreq_hz < 64:
        raise ConfigError(f"sfreq_hz = {sfreq_hz} is too low", allowed="64 Hz and above")
    key = f"sub-{listener.subject_id}_run-{run:02d}"
    onsets, samples, events = _timeline(trials, sfreq_hz, seed, listener.subject_id, run)
    heard = np.zeros(samples, dtype=bool)
    snr_db = np.zeros(samples)
    for trial, onset in zip(trials, onsets, strict=True):
        heard[onset : onset + round(trial.stimulus.duration_s * sfreq_hz)] = True
        snr_db[onset:] = trial.snr_db
    played = _sources([trial.stimulus for trial in trials], onsets, samples, listener, sfreq_hz)
    sources = played if exchange is None else _exchange(played, exchange, onsets, listener, sfreq_hz)
    eeg = simulate_eeg(
        sources, listener, sfreq_hz=sfreq_hz, snr_db=snr_db, seed=seed, ids=(run,), heard=heard, reference=played
    )
    head = listener.head
    return Recording(
        signal_v=eeg,
        sfreq_hz=float(sfreq_hz),
        channel_names=head.channel_names,
        positions_m=head.positions_m.astype(np.float32),
        kind="eeg",
        key=key,
        subject=f"sub-{listener.subject_id}",
        events=events,
        line_freq_hz=listener.noise.line_hz,
        notes=("simulated",),
    )


def _timeline(
    trials: Sequence[Trial], sfreq_hz: float, seed: int, subject_id: str, run: int
) -> tuple[list[int], int, tuple[Event, ...]]:
    """Sample of each trial's onset, length of the run in samples, and its events in order."""
    rng = numpy_rng(seed, "pauses", subject_id, run)
    lead_in = round(LEAD_IN_S * sfreq_hz)
    now, onsets, events = lead_in, [], [Event(0.0, 0.0, RUN_START)]
    for trial in trials:
        pause = round(rng.uniform(*PAUSE_S) * sfreq_hz)
        events.append(Event(now / sfreq_hz, pause / sfreq_hz, PAUSE))
        now += pause
        onsets.append(now)
        fields = {"trial": trial.number, "repeat": trial.repeat, "snr_db": trial.snr_db}
        stimulus = trial.stimulus
        events.append(Event(now / sfreq_hz, stimulus.duration_s, MUSIC, stimulus.stim_file, fields))
        now += round(stimulus.duration_s * sfreq_hz)
    samples = now + lead_in
    events.append(Event((samples - 1) / sfreq_hz, 0.0, RUN_END))
    return onsets, samples, tuple(events)


def _sources(
    stimuli: Sequence[Stimulus], onsets: Sequence[int], samples: int, listener: Listener, sfreq_hz: float
) -> FloatArray:
    """(region, dipole, time) of a whole run."""
    total: FloatArray | None = None
    for stimulus, onset in zip(stimuli, onsets, strict=True):
        piece = source_responses(stimulus.features, listener, sfreq_hz)
        if total is None:
            total = np.zeros((*piece.shape[:2], samples), dtype=np.float32)
        stop = min(samples, onset + piece.shape[-1])
        total[..., onset:stop] += piece[..., : stop - onset]
    assert total is not None  # the caller refused an empty run
    return total


def _exchange(
    played: FloatArray,
    exchange: tuple[str, Sequence[Stimulus]],
    onsets: Sequence[int],
    listener: Listener,
    sfreq_hz: float,
) -> FloatArray:
    region, stimuli = exchange
    if region not in REGIONS or len(stimuli) != len(onsets):
        raise ConfigError(
            f"Exchange of {region!r} with {len(stimuli)} pieces does not fit",
            allowed=f"{', '.join(REGIONS)}; {len(onsets)} pieces, one per trial",
        )
    changed = played.copy()
    index = REGIONS.index(region)
    changed[index] = _sources(stimuli, onsets, played.shape[-1], listener, sfreq_hz)[index]
    return changed
