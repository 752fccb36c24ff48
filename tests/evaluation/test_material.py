"""The windows that are scored are those of the songs they claim, at the moment they claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.errors import DataError
from eeg2music.evaluation.material import (
    ListeningConfig,
    composed,
    composed_tempi,
    gallery_stems,
    listening_songs,
    simulated_heard,
    song_windows,
)
from eeg2music.evaluation.prepared_material import prepared_heard, prepared_others
from eeg2music.simulation.composer import compose
from eeg2music.types import EEG_RATE_HZ, SAMPLE_RATE_HZ, STEMS, Event, Recording

TINY = ListeningConfig(songs=2, song_seconds=7.0, subjects=("unseen01", "unseen02"))


def ramp(events: list[Event], seconds: float = 30.0) -> Recording:
    """A recording whose every sample is its own number."""
    signal = np.tile(np.arange(round(seconds * EEG_RATE_HZ), dtype=np.float32), (4, 1))
    return Recording(
        signal_v=signal,
        sfreq_hz=EEG_RATE_HZ,
        channel_names=("a", "b", "c", "d"),
        positions_m=np.zeros((4, 3), dtype=np.float32),
        kind="eeg",
        key="rec",
        subject="sub-x",
        events=tuple(events),
        bad_channels={"c": "flat"},
    )


def heard_event(onset_s: float, song: str) -> Event:
    return Event(onset_s, 8.0, "stimulus", f"stimuli/{song}/mix.wav")


def test_windows_are_cut_where_their_song_played() -> None:
    recording = ramp([heard_event(12.0, "two"), Event(3.0, 0.0, "button"), heard_event(2.0, "one")])
    one, two = song_windows(recording, ["one", "two"], 1.5)
    assert one.eeg.shape == (4, 5 * EEG_RATE_HZ)
    assert one.eeg[0, 0] == 3.5 * EEG_RATE_HZ
    assert two.eeg[0, 0] == 13.5 * EEG_RATE_HZ
    assert (one.stimulus_id, one.stimulus_start_s, one.start_s) == ("one", 1.5, 3.5)
    assert one.window_id != two.window_id
    assert one.channel_mask.tolist() == [True, True, False, True]


def test_a_song_that_was_not_heard_is_missed() -> None:
    with pytest.raises(DataError, match="1 songs were not heard, such as two"):
        song_windows(ramp([heard_event(2.0, "one")]), ["one", "two"], 1.5)


def test_a_window_that_the_recording_does_not_hold_is_refused() -> None:
    with pytest.raises(DataError, match="ends before"):
        song_windows(ramp([heard_event(26.0, "one")]), ["one"], 1.5)


@pytest.fixture(scope="module")
def simulated() -> Any:
    return simulated_heard(TINY, 20.0, seed=0)


def test_every_listener_hears_every_song(simulated: Any) -> None:
    assert simulated.songs == tuple(listening_songs(TINY))
    assert simulated.target.tolist() == [0, 1, 0, 1]
    assert [window.stimulus_id for window in simulated.windows] == list(simulated.songs) * 2
    assert len({window.window_id for window in simulated.windows}) == 4
    assert [window.subject[-2:] for window in simulated.windows] == ["01", "01", "02", "02"]
    assert {window.eeg.shape for window in simulated.windows} == {(64, 5 * EEG_RATE_HZ)}
    assert simulated.style == "funk"


def test_the_gallery_is_the_stretch_that_was_heard(simulated: Any) -> None:
    stems = composed(simulated.songs[1], 7.0)[1]
    start = round(1.5 * SAMPLE_RATE_HZ)
    assert np.array_equal(simulated.stems[1], stems[:, start : start + 5 * SAMPLE_RATE_HZ])
    assert np.array_equal(gallery_stems(TINY), simulated.stems)


def test_the_seed_is_of_the_recording_and_not_of_the_music(simulated: Any) -> None:
    alone = TINY.model_copy(update={"subjects": TINY.subjects[:1]})
    again = simulated_heard(alone, 20.0, simulated.stems, seed=0)
    other = simulated_heard(alone, 20.0, simulated.stems, seed=1)
    assert np.array_equal(again.windows[0].eeg, simulated.windows[0].eeg)
    assert not np.array_equal(other.windows[0].eeg, again.windows[0].eeg)
    assert other.songs == again.songs


def test_windows_hold_what_was_heard(simulated: Any) -> None:
    """At a high level, the two listeners' windows of one song are more alike than those of two songs."""

    def alike(one: int, other: int) -> float:
        x, y = simulated.windows[one].eeg, simulated.windows[other].eeg
        x, y = (v - v.mean(1, keepdims=True) for v in (x, y))
        lags = range(-4, 5)  # listeners differ by up to 30 ms
        return max(abs(float(np.corrcoef(np.roll(x, lag, 1).ravel(), y.ravel())[0, 1])) for lag in lags)

    same = (alike(0, 2) + alike(1, 3)) / 2
    different = (alike(0, 3) + alike(1, 2)) / 2
    assert same > different + 0.2


# -- a prepared cache --------------------------------------------------------------------------

WriteCache = Callable[..., Path]


def test_one_window_of_each_song_and_subject(write_cache: WriteCache) -> None:
    rows = [
        ("sub-a", "one", 1.0, 64), ("sub-a", "one", 1.0, 224),  # a later window of the same trial
        ("sub-a", None, 0.0, 600), ("sub-a", "two", 12.0, 768), ("sub-b", "one", 3.0, 192), ("sub-b", "two", 9.0, 576),
    ]  # fmt: skip
    heard = prepared_heard(write_cache(rows))
    assert heard.songs == ("one", "two")
    assert [(w.subject, w.stimulus_id, w.start_s) for w in heard.windows] == [
        ("sub-a", "one", 1.0), ("sub-a", "two", 12.0), ("sub-b", "one", 3.0), ("sub-b", "two", 9.0),
    ]  # fmt: skip
    assert heard.target.tolist() == [0, 1, 0, 1]
    assert heard.stems.shape == (2, len(STEMS), 5 * SAMPLE_RATE_HZ)


def test_onsets_off_the_grid_are_the_same_stretch(write_cache: WriteCache) -> None:
    # Windows start on a grid of 1/32 s after onsets that need not lie on it.
    heard = prepared_heard(
        write_cache([("sub-a", "one", 0.990, 64), ("sub-b", "one", 2.996, 192), ("sub-b", "two", 9.0, 576)])
    )
    assert [w.subject for w in heard.windows if w.stimulus_id == "one"] == ["sub-a", "sub-b"]


def test_another_stretch_of_the_song_is_not_taken_for_the_same(write_cache: WriteCache) -> None:
    heard = prepared_heard(
        write_cache([("sub-a", "one", 1.0, 64), ("sub-b", "one", 1.0, 128), ("sub-b", "two", 9.0, 576)])
    )
    assert [w.subject for w in heard.windows if w.stimulus_id == "one"] == ["sub-a"]


def test_the_gallery_is_the_stretch_of_the_first_window(write_cache: WriteCache, tmp_path: Path) -> None:
    from eeg2music.audio import read_audio

    heard = prepared_heard(write_cache([("sub-a", "one", 1.0, 128), ("sub-a", "two", 9.0, 640)]))
    drums = read_audio(tmp_path / "stimuli" / "one" / "drums.wav")
    assert np.array_equal(heard.stems[0, 0], drums[SAMPLE_RATE_HZ : 6 * SAMPLE_RATE_HZ])


def test_recordings_without_music(write_cache: WriteCache) -> None:
    with pytest.raises(DataError, match=r"No window of .* says what was heard.*stim_file column"):
        prepared_heard(write_cache([("sub-a", None, 0.0, 0)]))


def test_music_without_stems(write_cache: WriteCache) -> None:
    with pytest.raises(DataError, match=r"one lacks harmony\.wav, melody\.wav.*or no stem"):
        prepared_heard(write_cache([("sub-a", "one", 1.0, 64)], stems=("drums", "bass")))


def test_tempi_are_those_of_the_composer() -> None:
    config = ListeningConfig(songs=2)
    one, other = listening_songs(config)
    tempi = composed_tempi(config, [other, one, other])
    expected = [compose(name, duration_s=config.song_seconds).tempo_bpm for name in (other, one, other)]
    assert tempi == expected and tempi[0] != tempi[1]


# -- other listeners of a prepared cache -------------------------------------------------------

TWICE = [
    ("sub-a", "one", 1.0, 64), ("sub-a", "two", 7.0, 448), ("sub-a", "one", 13.0, 832), ("sub-a", "two", 19.0, 1216),
    ("sub-b", "two", 2.0, 128), ("sub-b", "one", 8.0, 512), ("sub-b", "two", 14.0, 896), ("sub-b", "one", 20.0, 1280),
]  # fmt: skip


def test_the_other_listener_is_the_next_in_a_further_presentation_of_the_same_stretch(write_cache: WriteCache) -> None:
    later = ("sub-b", "one", 20.0, 1290)  # another stretch of the same presentation
    cache = write_cache([*TWICE[:-1], later, TWICE[-1]])
    heard = prepared_heard(cache)
    others = prepared_others(cache, heard)
    assert others is not None
    assert others.query_songs == heard.query_songs == tuple(window.stimulus_id for window in others.windows)
    assert [(w.subject, w.start_s) for w in others.windows] == [
        ("sub-b", 20.0), ("sub-b", 14.0), ("sub-a", 19.0), ("sub-a", 13.0),
    ]  # fmt: skip
    assert not {w.window_id for w in others.windows} & {w.window_id for w in heard.windows}


def test_of_one_presentation_there_is_no_other_listener(write_cache: WriteCache) -> None:
    cache = write_cache([*TWICE[:2], *TWICE[4:6]])
    assert prepared_others(cache, prepared_heard(cache)) is None


def test_a_listener_is_not_the_other_of_themselves(write_cache: WriteCache) -> None:
    cache = write_cache(TWICE[:6])  # sub-a alone heard everything twice
    assert prepared_others(cache, prepared_heard(cache)) is None
