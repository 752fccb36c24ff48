"""What a composed song is: plain frozen data shared by composer, renderer, annotations and MIDI.

It never composes, renders or touches a file. Times are in seconds from the start of the song, pitches are MIDI
note numbers (General MIDI percussion keys for the drums), velocities are MIDI velocities 1..127.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from eeg2music.errors import InputError

PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class Note(NamedTuple):
    """One sounding note of one stem."""

    onset_s: float
    duration_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class ChordSpan:
    """A chord and the time it holds. ``pitch_classes`` begins with the root."""

    start_s: float
    end_s: float
    degree: int
    pitch_classes: tuple[int, ...]
    symbol: str


@dataclass(frozen=True)
class Timbre:
    """How one song plays one instrument; every dial lies in [0, 1], 0.5 is the instrument's own default."""

    instrument: str
    brightness: float = 0.5
    attack: float = 0.5
    detune: float = 0.5
    vibrato: float = 0.5
    release: float = 0.5
    character: float = 0.5


@dataclass(frozen=True)
class Room:
    """The per-song reverberation: decay time to -60 dB, high-frequency damping in [0, 1], wet share by stem."""

    decay_s: float
    damping: float
    predelay_s: float
    wet: Mapping[str, float]


@dataclass(frozen=True)
class Song:
    """A finished composition, before it is rendered.

    Attributes:
        key: pitch class of the tonic, 0 = C.
        density: overall busyness in [0, 1].
        steps_per_beat: 4, or 3 where beats are divided in triplets.
        swing: share of a pair of subdivisions taken by the first one (0.5 = straight).
        register: MIDI pitch around which the melody lies.
        articulation: by stem, share of the time to the next note for which a note is held.
        levels_db: by stem, level relative to the style's balance.
        beats_s, downbeats_s: the metrical grid, without swing or human timing.
    """

    song_id: str
    style: str
    seed: int
    index: int
    duration_s: float
    tempo_bpm: float
    beats_per_bar: int
    steps_per_beat: int
    key: int
    mode: str
    density: float
    swing: float
    register: int
    timbres: Mapping[str, Timbre]
    articulation: Mapping[str, float]
    levels_db: Mapping[str, float]
    room: Room
    chords: tuple[ChordSpan, ...]
    beats_s: tuple[float, ...]
    downbeats_s: tuple[float, ...]
    notes: Mapping[str, tuple[Note, ...]]

    @property
    def key_name(self) -> str:
        """Name of the tonic, sharps only."""
        return PITCH_NAMES[self.key]

    @property
    def instruments(self) -> dict[str, str]:
        """Instrument name by stem."""
        return {stem: timbre.instrument for stem, timbre in self.timbres.items()}


def format_song_id(style: str, seed: int, index: int) -> str:
    """``("funk", 1, 42) -> "funk-1-0042"``."""
    return f"{style}-{seed}-{index:04d}"


def parse_song_id(song_id: str, styles: tuple[str, ...]) -> tuple[str, int, int]:
    """``"funk-1-0042" -> ("funk", 1, 42)``.

    Raises:
        InputError: the id is not ``<style>-<seed>-<index>`` or the style is unknown.
    """
    parts = song_id.split("-")
    if len(parts) == 3 and parts[0] in styles and all(part.isdecimal() and part.isascii() for part in parts[1:]):
        style, seed, index = parts[0], int(parts[1]), int(parts[2])
        if format_song_id(style, seed, index) == song_id:
            return style, seed, index
    raise InputError(
        f"{song_id!r} is not a song id",
        allowed=f"<style>-<seed>-<index>, such as {styles[0]}-1-0042; styles: {', '.join(styles)}",
        remedy="take an id from song_ids()",
    )
