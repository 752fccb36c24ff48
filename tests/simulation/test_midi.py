"""MIDI: what is written reads back as the song."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from eeg2music.simulation.composer import STYLES, compose
from eeg2music.simulation.instruments import INSTRUMENTS
from eeg2music.simulation.midi import write_midi
from eeg2music.simulation.song import format_song_id
from eeg2music.types import STEMS


@pytest.mark.parametrize("style", STYLES)
def test_midi_reads_back_as_the_song(style: str, tmp_path: Path) -> None:
    song = compose(format_song_id(style, 4, 1))
    write_midi(song, tmp_path / "song.mid")
    score = pretty_midi.PrettyMIDI(str(tmp_path / "song.mid"))
    assert [track.name for track in score.instruments] == list(STEMS)
    assert score.get_tempo_changes()[1][0] == pytest.approx(song.tempo_bpm, abs=0.01)
    assert score.time_signature_changes[0].numerator == song.beats_per_bar
    for track in score.instruments:
        assert track.is_drum == (track.name == "drums")
        if not track.is_drum:
            assert track.program == INSTRUMENTS[song.timbres[track.name].instrument].program
        theirs = sorted((round(note.start, 3), note.pitch) for note in track.notes)
        # a key that is struck again before it is let go may be merged by the reader; nearly all notes come back
        ours = sorted((round(note.onset_s, 3), note.pitch) for note in song.notes[track.name])
        assert abs(len(theirs) - len(ours)) <= 0.03 * len(ours) + 1
        assert np.allclose(theirs[0][0], ours[0][0], atol=0.01)


def test_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    song = compose("chorale-1-0001", duration_s=4.0)
    write_midi(song, tmp_path / "a.mid")
    write_midi(song, tmp_path / "b.mid")
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mid", "b.mid"]
