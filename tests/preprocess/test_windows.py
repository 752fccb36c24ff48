"""Windows cover a recording, and fall on what was heard to the sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eeg2music.errors import InputError
from eeg2music.preprocess.eeg import preprocess
from eeg2music.preprocess.windows import cover, spread_windows, stimulus_windows
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, Event, Recording


def recording(samples: int, events: tuple[Event, ...] = (), sfreq_hz: float = EEG_RATE_HZ) -> Recording:
    signal = numpy_rng(0, "windows", samples).standard_normal((5, samples)).astype(np.float32)
    return Recording(
        signal_v=signal,
        sfreq_hz=sfreq_hz,
        channel_names=tuple("abcde"),
        positions_m=np.zeros((5, 3), dtype=np.float32),
        kind="eeg",
        key="r",
        bad_channels={"b": "flat"},
        events=events,
    )


@given(total=st.integers(128, 20_000), hop=st.floats(0.1, 5.0))
def test_windows_cover_everything_and_stay_inside(total: int, hop: float) -> None:
    length, starts = cover(total, 5.0, hop)
    covered = np.zeros(total, dtype=bool)
    for start in starts:
        assert 0 <= start <= total - length
        assert start % 2 == 0
        covered[start : start + length] = True
    # An odd last sample has no place on the 32 Hz grid.
    assert covered[: total - total % 2].all()
    assert starts == sorted(set(starts))


def test_short_recordings_are_one_window_of_their_true_length() -> None:
    (window,) = spread_windows(recording(128))
    assert window.eeg.shape == (5, 128)
    assert window.channel_mask.tolist() == [True, False, True, True, True]


def test_the_last_window_ends_with_the_recording() -> None:
    found = spread_windows(recording(1000), hop_s=2.5)
    assert [window.start_s for window in found] == [0.0, 2.125, 4.25, 6.375, 8.5, 10.625]
    np.testing.assert_array_equal(found[-1].eeg, recording(1000).signal_v[:, -320:])


def test_windows_lie_inside_their_stimulus() -> None:
    events = (Event(1.01, 12.0, "music", "a.wav"), Event(0.0, 0.0, "start"), Event(20.0, 4.0, "music", "short.wav"))
    found = list(stimulus_windows(recording(64 * 30, events), hop_s=2.5))
    assert [event.stimulus for event, _, _ in found] == ["a.wav"] * 3
    for event, start, length in found:
        assert start / EEG_RATE_HZ >= event.onset_s
        assert (start + length) / EEG_RATE_HZ <= event.onset_s + event.duration_s
        assert start % 2 == 0


def test_a_stimulus_without_a_duration_ends_with_the_next() -> None:
    events = (Event(0.0, 0.0, "music", "a"), Event(10.0, 0.0, "music", "b"))
    found = [(event.stimulus, start) for event, start, _ in stimulus_windows(recording(64 * 16, events), hop_s=5.0)]
    assert found == [("a", 0), ("a", 320), ("b", 640)]


def test_a_planted_impulse_is_found_where_the_events_say() -> None:
    """A click 3 s into a stimulus lies, after filtering and windowing, at 3 s of stimulus time."""
    rate, onset = 512.0, 4.3
    raw = 1e-7 * numpy_rng(3, "impulse").standard_normal((6, round(30 * rate)))
    gains = np.array([1.0, -1.0, 0.5, -0.5, 0.8, -0.8])
    raw[:, round((onset + 3.0) * rate)] += 2.4e-6 * gains
    event = Event(onset, 16.0, "music", "song")
    clean = preprocess(
        Recording(
            raw.astype(np.float32), rate, tuple("abcdef"), np.zeros((6, 3), np.float32), "eeg", "r", events=(event,)
        )
    )
    hits = 0
    for _, start, length in stimulus_windows(clean, hop_s=2.5):
        stretch = np.abs(clean.signal_v[0, start : start + length])
        assert np.abs(stretch).max() < 10
        if stretch.max() > 5:
            hits += 1
            assert (start + np.argmax(stretch)) / EEG_RATE_HZ - onset == pytest.approx(3.0, abs=1 / EEG_RATE_HZ)
    assert hits == 2


def test_windows_of_no_length_are_refused() -> None:
    with pytest.raises(InputError, match="both above 0"):
        spread_windows(recording(640), hop_s=0.0)


@pytest.mark.parametrize(
    "events",
    [
        (Event(1.0, 8.0, "music", "rock.wav"), Event(1.0, 8.0, "music", "jazz.wav")),
        (Event(1.0, 8.0, "music", "rock.wav"), Event(8.0, 8.0, "music", "jazz.wav")),
        (Event(1.0, 0.0, "music", "rock.wav"), Event(1.0, 0.0, "music", "jazz.wav")),
        (Event(1.0, 20.0, "music", "rock.wav"), Event(2.0, 1.0, "music", "rock.wav"), Event(9.0, 1.0, "m", "jazz.wav")),
    ],
)
def test_stimuli_that_overlap_are_refused_by_name(events: tuple[Event, ...]) -> None:
    with pytest.raises(InputError, match=r"stimuli rock\.wav at 1 s and \w+\.wav at \d s overlap.*events\.tsv"):
        list(stimulus_windows(recording(64 * 30, events)))


def test_stimuli_that_follow_each_other_at_once_do_not_overlap() -> None:
    events = (Event(1.0, 8.01, "music", "a"), Event(9.0, 8.0, "music", "b"), Event(1.5, 3.0, "beat"))
    found = {event.stimulus for event, _, _ in stimulus_windows(recording(64 * 30, events))}
    assert found == {"a", "b"}


@pytest.mark.parametrize("total", [320, 486, 640, 1000, 4001])
def test_spread_windows_are_even_where_steps_of_a_hop_are_not(total: int) -> None:
    stepped = [start / EEG_RATE_HZ for start in cover(total, 5.0, 2.5)[1]]
    starts = [window.start_s for window in spread_windows(recording(total), hop_s=2.5)]
    assert len(starts) == len(stepped)
    assert (starts[0], starts[-1]) == (stepped[0], stepped[-1])
    gaps = np.diff(starts)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 2 / EEG_RATE_HZ + 1e-9
    assert gaps.size == 0 or gaps.max() <= 2.5
    if total % 160 == 0:
        assert starts == stepped
