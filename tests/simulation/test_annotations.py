"""Annotations and captions: complete, JSON, true to the song, varied."""

from __future__ import annotations

import json
from itertools import chain

from eeg2music.simulation.annotations import annotate
from eeg2music.simulation.composer import STYLES, compose
from eeg2music.simulation.instruments import words_for
from eeg2music.simulation.song import format_song_id
from eeg2music.types import STEMS

SONGS = [compose(format_song_id(style, 2, index), duration_s=8.0) for style in STYLES for index in range(3)]


def test_annotations_survive_json_and_hold_every_note() -> None:
    for song in SONGS:
        found = json.loads(json.dumps(annotate(song), allow_nan=False))
        assert found["song_id"] == song.song_id
        assert found["instruments"] == song.instruments
        for stem in STEMS:
            assert [tuple(row) for row in found["notes"][stem]] == list(song.notes[stem])


def test_annotated_beats_follow_the_tempo() -> None:
    for song in SONGS:
        found = annotate(song)
        step = 60.0 / found["tempo_bpm"]
        gaps = [later - earlier for earlier, later in zip(found["beats_s"], found["beats_s"][1:], strict=False)]
        assert all(abs(gap - step) < 2e-4 for gap in gaps)
        assert found["downbeats_s"] == found["beats_s"][:: found["beats_per_bar"]]


def test_mix_captions_name_style_tempo_key_and_instruments() -> None:
    for song in SONGS:
        captions = annotate(song)["captions"]
        assert len(captions) >= 4
        assert len(set(captions)) == len(captions)
        text = " ".join(captions).lower()
        assert all(song.style in caption.lower() for caption in captions)
        assert f"{round(song.tempo_bpm)} b" in text
        assert f"{song.key_name} {song.mode}".lower() in text
        for stem in STEMS:
            assert any(word.lower() in text for word in words_for(song.timbres[stem].instrument))


def test_stem_captions_name_their_own_instrument_only() -> None:
    for song in SONGS:
        captions = annotate(song)["stem_captions"]
        assert set(captions) == set(STEMS)
        for stem in STEMS:
            names = [word.lower() for word in words_for(song.timbres[stem].instrument)]
            for caption in captions[stem]:
                assert any(name in caption.lower() for name in names), caption


def test_captions_are_sentences() -> None:
    for song in SONGS:
        found = annotate(song)
        for caption in [*found["captions"], *chain(*found["stem_captions"].values())]:
            assert caption[0].isupper() or caption[0].isdigit()
            assert caption.endswith(".")
            assert "  " not in caption
            assert not any(f" a {vowel}" in caption for vowel in "aeiou"), caption


def test_captions_are_reproducible_and_differ_between_songs() -> None:
    first, second = compose("techno-1-0001"), compose("techno-1-0002")
    assert annotate(first)["captions"] == annotate(first)["captions"]
    assert not set(annotate(first)["captions"]) & set(annotate(second)["captions"])
