"""Writes a composed song as a General MIDI file, one track for each stem. It never reads MIDI."""

from __future__ import annotations

import os

from eeg2music.files import atomic_path
from eeg2music.simulation.instruments import INSTRUMENTS
from eeg2music.simulation.song import PITCH_NAMES, Song
from eeg2music.types import STEMS

_RESOLUTION = 960


def write_midi(song: Song, path: str | os.PathLike[str]) -> None:
    """Write ``song`` to ``path`` (.mid), atomically.

    The tempo, meter and key signature are the song's; times keep the swing and the human timing.
    """
    import pretty_midi

    score = pretty_midi.PrettyMIDI(resolution=_RESOLUTION, initial_tempo=song.tempo_bpm)
    score.time_signature_changes.append(pretty_midi.TimeSignature(song.beats_per_bar, 4, 0.0))
    score.key_signature_changes.append(pretty_midi.KeySignature(_key_number(song), 0.0))
    for stem in STEMS:
        drums = stem == "drums"
        program = 0 if drums else INSTRUMENTS[song.timbres[stem].instrument].program
        track = pretty_midi.Instrument(program, is_drum=drums, name=stem)
        for note in song.notes[stem]:
            end = min(song.duration_s, note.onset_s + note.duration_s)
            track.notes.append(pretty_midi.Note(note.velocity, note.pitch, note.onset_s, end))
        score.instruments.append(track)
    with atomic_path(path) as temporary:
        score.write(str(temporary))


def _key_number(song: Song) -> int:
    """pretty_midi's key number: major 0..11, minor 12..23; a mode is named by its third."""
    from eeg2music.simulation.theory import MINOR_THIRD_MODES

    return song.key % len(PITCH_NAMES) + (12 if song.mode in MINOR_THIRD_MODES else 0)
