"""Composition: ids, determinism, grids, ranges, harmony and how much songs of one style differ."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.simulation.composer import STYLES, compose
from eeg2music.simulation.instruments import INSTRUMENTS
from eeg2music.simulation.instruments.percussion import KITS, SOUNDS
from eeg2music.simulation.song import Song, format_song_id
from eeg2music.simulation.styles import STYLES as RULES
from eeg2music.simulation.theory import MODES
from eeg2music.types import STEMS

SONGS = [compose(format_song_id(style, 11, index)) for style in STYLES for index in range(5)]


def test_there_are_at_least_six_styles() -> None:
    assert len(STYLES) >= 6


def test_same_id_gives_the_same_song() -> None:
    assert compose("funk-1-0042") == compose("funk-1-0042")


@pytest.mark.parametrize("song_id", ["", "funk", "funk-1", "polka-1-0001", "funk-1-1", "funk--1-0001", "funk-x-0001"])
def test_malformed_ids_are_refused(song_id: str) -> None:
    with pytest.raises(InputError, match="not a song id"):
        compose(song_id)


@pytest.mark.parametrize("duration_s", [0.0, 1.9, -3.0, math.inf, math.nan])
def test_bad_durations_are_refused(duration_s: float) -> None:
    with pytest.raises(InputError, match="a song of"):
        compose("funk-1-0001", duration_s=duration_s)


@pytest.mark.parametrize("duration_s", [2.0, 5.5, 40.0])
def test_any_duration_is_filled(duration_s: float) -> None:
    song = compose("waltz-2-0003", duration_s=duration_s)
    assert song.beats_s[-1] < duration_s
    assert song.beats_s[-1] > duration_s - 2 * 60.0 / song.tempo_bpm
    last = max(notes[-1].onset_s for notes in song.notes.values() if notes)
    assert duration_s - 4.0 < last < duration_s


@pytest.mark.parametrize("song", SONGS, ids=lambda song: song.song_id)
def test_song_obeys_its_style_and_instruments(song: Song) -> None:
    rules = RULES[song.style]
    assert rules.tempo_bpm[0] <= song.tempo_bpm <= rules.tempo_bpm[1]
    assert song.beats_per_bar in rules.meters
    assert song.mode in rules.modes
    assert song.timbres["drums"].instrument in KITS
    assert {note.pitch for note in song.notes["drums"]} <= set(SOUNDS)
    for stem in STEMS[1:]:
        instrument = INSTRUMENTS[song.timbres[stem].instrument]
        pitches = [note.pitch for note in song.notes[stem]]
        assert instrument.low <= min(pitches) and max(pitches) <= instrument.high, stem
    assert len(set(song.instruments.values())) == len(STEMS)


@pytest.mark.parametrize("song", SONGS, ids=lambda song: song.song_id)
def test_notes_are_well_formed(song: Song) -> None:
    for stem in STEMS:
        notes = song.notes[stem]
        assert notes == tuple(sorted(notes))
        for note in notes:
            assert 0.0 <= note.onset_s < song.duration_s
            assert note.duration_s > 0.0
            assert 1 <= note.velocity <= 127


@pytest.mark.parametrize("song", SONGS, ids=lambda song: song.song_id)
def test_every_stem_plays_most_of_the_time(song: Song) -> None:
    """At least 70 % of the bars have an onset of the stem; never do two stems rest together for long."""
    bar_s = song.beats_per_bar * 60.0 / song.tempo_bpm
    bars = [start for start in song.downbeats_s if start + bar_s <= song.duration_s]
    for stem in STEMS:
        onsets = np.array([note.onset_s for note in song.notes[stem]])
        played = [bool(np.any((onsets > start - 0.1) & (onsets < start + bar_s - 0.1))) for start in bars]
        assert np.mean(played) >= 0.7, stem


def test_chords_cover_the_song_without_gaps() -> None:
    for song in SONGS:
        for earlier, later in pairwise(song.chords):
            assert earlier.end_s == later.start_s
        assert song.chords[-1].end_s == pytest.approx(song.duration_s, abs=1e-3)


def test_strong_beats_of_harmony_are_chord_tones() -> None:
    for song in SONGS:
        for note in song.notes["harmony"]:
            spans = [span for span in song.chords if span.start_s - 0.08 <= note.onset_s < span.end_s + 0.08]
            assert any(note.pitch % 12 in span.pitch_classes for span in spans)


def test_melody_and_harmony_lie_in_the_key() -> None:
    for song in SONGS:
        scale = {(song.key + step) % 12 for step in MODES[song.mode]} | {(song.key + 11) % 12}
        for stem in ("harmony", "melody"):
            assert {note.pitch % 12 for note in song.notes[stem]} <= scale


def test_harmony_voices_move_little_from_chord_to_chord() -> None:
    """Voice leading: the mean voice moves less than root position chords would."""
    moved, rooted = [], []
    for song in SONGS:
        chords = [
            sorted({n.pitch for n in song.notes["harmony"] if span.start_s + 0.05 < n.onset_s < span.end_s - 0.05})
            for span in song.chords
        ]
        for (first, a), (second, b) in zip(
            zip(chords, song.chords, strict=True), zip(chords[1:], song.chords[1:], strict=True), strict=False
        ):
            if first and second and a.pitch_classes != b.pitch_classes:
                moved.append(abs(np.mean(first) - np.mean(second)))
                step = (b.pitch_classes[0] - a.pitch_classes[0]) % 12
                rooted.append(min(step, 12 - step))
    assert np.mean(moved) < 0.7 * np.mean(rooted)


def _fingerprint(song: Song, stem: str) -> np.ndarray:
    """Onsets of a stem in 125 ms bins."""
    bins = np.zeros(round(song.duration_s * 8))
    for note in song.notes[stem]:
        bins[min(bins.size - 1, int(note.onset_s * 8))] = 1
    return bins


@pytest.mark.parametrize("style", STYLES)
def test_no_two_songs_of_a_style_share_rhythm_or_tempo(style: str) -> None:
    songs = [compose(format_song_id(style, 5, index)) for index in range(25)]
    assert len({song.tempo_bpm for song in songs}) == len(songs)
    assert len({(song.key, song.mode) for song in songs}) >= 10
    assert len({tuple(song.instruments.values()) for song in songs}) >= 20
    for stem in STEMS:
        prints = np.array([_fingerprint(song, stem) for song in songs])
        correlation = np.corrcoef(prints)[np.triu_indices(len(songs), 1)]
        assert correlation.max() < 0.9, stem
        assert abs(correlation.mean()) < 0.15, stem


def test_motives_return() -> None:
    """Repetition: the rhythm of a bar comes back in the song far more often than another song's does."""

    def bars(song: Song) -> list[tuple[int, ...]]:
        step_s = 60.0 / song.tempo_bpm / song.steps_per_beat
        size = song.beats_per_bar * song.steps_per_beat
        found: dict[int, set[int]] = {}
        for note in song.notes["melody"]:
            step = round((note.onset_s - song.beats_s[0]) / step_s)
            found.setdefault(step // size, set()).add(step % size)
        return [tuple(sorted(steps)) for steps in found.values()]

    def overlap(first: tuple[int, ...], second: tuple[int, ...]) -> float:
        return len(set(first) & set(second)) / max(len(set(first) | set(second)), 1)

    own, other = [], []
    for song, stranger in pairwise(SONGS):
        here, there = bars(song), bars(stranger)
        own += [max(overlap(bar, b) for k, b in enumerate(here) if k != place) for place, bar in enumerate(here)]
        other += [max(overlap(bar, b) for b in there) for bar in here]
    assert np.mean(own) > np.mean(other) + 0.2
