"""Ground truth of a song as plain JSON values. It never looks at audio."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from eeg2music.simulation.captions import describe_mix, describe_stem
from eeg2music.simulation.song import Song
from eeg2music.types import STEMS

SCHEMA = 1


def annotate(song: Song) -> dict[str, Any]:
    """Everything known about a song, ready for JSON.

    Returns: keys ``song_id, style, tempo_bpm, beats_per_bar, steps_per_beat, key, mode, density, swing, duration_s,
    beats_s, downbeats_s, instruments, timbres, captions, stem_captions, chords, notes``. Notes are, by stem, rows
    of ``[onset_s, duration_s, midi_pitch, velocity]``; chords are rows of ``[start_s, end_s, symbol, pitch classes]``.
    """
    return {
        "schema": SCHEMA,
        "song_id": song.song_id,
        "style": song.style,
        "tempo_bpm": song.tempo_bpm,
        "beats_per_bar": song.beats_per_bar,
        "steps_per_beat": song.steps_per_beat,
        "key": song.key_name,
        "mode": song.mode,
        "density": song.density,
        "swing": song.swing,
        "duration_s": song.duration_s,
        "beats_s": list(song.beats_s),
        "downbeats_s": list(song.downbeats_s),
        "instruments": song.instruments,
        "timbres": {stem: asdict(timbre) for stem, timbre in song.timbres.items()},
        "captions": describe_mix(song),
        "stem_captions": {stem: describe_stem(song, stem) for stem in STEMS},
        "chords": [[span.start_s, span.end_s, span.symbol, list(span.pitch_classes)] for span in song.chords],
        "notes": {stem: [list(note) for note in song.notes[stem]] for stem in STEMS},
    }
