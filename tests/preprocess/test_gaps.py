"""Gaps are found where every channel stands still, and bridged by straight lines."""

from __future__ import annotations

import numpy as np

from eeg2music.preprocess.gaps import bad_stretches, bridge, find_gaps, marked_bad
from eeg2music.seeding import numpy_rng
from eeg2music.types import MARKED_BAD, Event, Recording

ALL = np.ones(4, dtype=bool)


def noise() -> np.ndarray:
    return numpy_rng(0, "gaps").standard_normal((4, 1000)).astype(np.float32)


def test_held_values_at_the_start_and_lost_samples_in_the_middle_are_gaps() -> None:
    signal = noise()
    signal[:, :50] = signal[:, 50:51]
    signal[:, 500:540] = np.nan
    gaps = find_gaps(signal, 100.0, usable=ALL)
    assert gaps[:50].all()
    assert gaps[500:540].all()
    assert gaps.sum() <= 93


def test_one_resting_channel_is_no_gap() -> None:
    signal = noise()
    signal[2] = 0.0
    assert not find_gaps(signal, 100.0, usable=ALL).any()
    signal[:, 10:18] = 1.0  # shorter than 0.1 s
    assert not find_gaps(signal, 100.0, usable=ALL).any()


def test_unusable_channels_have_no_say() -> None:
    signal = noise()
    signal[:3, 200:300] = 4.0
    assert not find_gaps(signal, 100.0, usable=ALL).any()
    assert find_gaps(signal, 100.0, usable=np.array([True, True, True, False]))[200:300].all()
    assert not find_gaps(signal, 100.0, usable=~ALL).any()


def test_bridges_are_straight() -> None:
    signal = np.tile(np.arange(100, dtype=np.float32), (2, 1))
    broken = signal.copy()
    broken[:, 40:60] = 0.0
    gaps = np.zeros(100, dtype=bool)
    gaps[40:60] = True
    np.testing.assert_allclose(bridge(broken, gaps), signal, atol=1e-4)
    assert not broken[:, 40:60].any(), "the input is not changed"


def test_single_lost_samples_are_bridged_without_a_gap() -> None:
    signal = np.tile(np.arange(100, dtype=np.float32), (2, 1))
    broken = signal.copy()
    broken[1, [5, 50]] = np.nan
    np.testing.assert_allclose(bridge(broken, np.zeros(100, dtype=bool)), signal, atol=1e-4)


def test_what_is_marked_bad_is_merged_and_kept_inside_the_recording() -> None:
    marks = [(7.0, 1.0), (2.0, 1.0), (2.5, 2.0), (6.0, 0.0), (-1.0, 1.5), (9.0, 5.0), (30.0, 1.0)]
    found = Recording(
        signal_v=noise(),
        sfreq_hz=100.0,
        channel_names=tuple("abcd"),
        positions_m=np.full((4, 3), np.nan, np.float32),
        kind="eeg",
        key="r",
        events=(Event(3.0, 4.0, "music"), *(Event(onset, length, MARKED_BAD) for onset, length in marks)),
    )
    assert bad_stretches(found) == [(0.0, 0.5), (2.0, 4.5), (6.0, 6.0), (7.0, 8.0), (9.0, 10.0)]
    expected = np.zeros(1000, dtype=bool)
    for first, last in ((0, 50), (200, 450), (700, 800), (900, 1000)):
        expected[first:last] = True
    np.testing.assert_array_equal(marked_bad(found), expected)
    assert not marked_bad(found.replace(events=())).any()
