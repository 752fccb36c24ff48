"""Events against mir_eval and another matching algorithm; tempo against mir_eval; onsets against planted clicks."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from eeg2music.errors import InputError
from eeg2music.metrics import harmony, rhythm
from eeg2music.seeding import numpy_rng


def times(name: str, number: int, seconds: float = 10.0) -> np.ndarray:
    return np.sort(numpy_rng(0, name).uniform(0.0, seconds, number))


def matched(ours: np.ndarray, ref: np.ndarray, tolerance_s: float) -> int:
    """Size of the largest matching, by an independent algorithm."""
    near = csr_array(np.abs(ours[:, None] - ref) <= tolerance_s)
    return int(np.sum(maximum_bipartite_matching(near, perm_type="column") >= 0))


@pytest.mark.parametrize("number", [1, 7, 60, 400])
def test_onsets_are_matched_as_well_as_can_be(number: int) -> None:
    """Dense events, so that a greedy matching in order of distance would lose some."""
    ours, ref = times(f"ours {number}", number), times("ref", 150)
    found = rhythm.onset_f_measure(ours, ref)
    hits = matched(ours, ref, 0.05)
    assert found.precision == hits / len(ours)
    assert found.recall == hits / len(ref)
    assert found.f_measure == pytest.approx(2 * hits / (len(ours) + len(ref)), abs=1e-15)
    assert found == mir_eval.onset.f_measure(ref, ours)


def test_each_onset_counts_once_and_the_edge_is_inside() -> None:
    found = rhythm.onset_f_measure([0.98, 1.0, 1.02], [1.0])
    assert (found.precision, found.recall) == (1 / 3, 1.0)
    assert rhythm.onset_f_measure([1.0], [1.0 + 0.0625], tolerance_s=0.0625).f_measure == 1.0
    assert rhythm.onset_f_measure([1.0], [1.0 + 0.0626], tolerance_s=0.0625).f_measure == 0.0


@pytest.mark.parametrize("skip_s", [0.0, 5.0])
def test_beats_equal_mir_eval(skip_s: float) -> None:
    ref = np.arange(0.3, 20.0, 0.5)
    for number in range(20):
        rng = numpy_rng(number, "beats")
        ours = np.sort(np.maximum(ref[rng.random(len(ref)) < 0.8] + rng.normal(0, 0.06), 0.0))
        expected = mir_eval.beat.f_measure(
            mir_eval.beat.trim_beats(ref, skip_s), mir_eval.beat.trim_beats(ours, skip_s)
        )
        assert rhythm.beat_f_measure(ours, ref, skip_first_s=skip_s) == expected
        assert rhythm.beat_f_measure(ref, ours, skip_first_s=skip_s) == pytest.approx(expected, abs=1e-15)


def test_half_the_tempo_gets_two_thirds() -> None:
    beats = np.arange(20) / 2.0
    assert rhythm.beat_f_measure(beats[::2], beats) == pytest.approx(2 / 3)
    assert rhythm.beat_f_measure(beats + 0.25, beats) == 0.0


def test_nothing_against_something_is_zero_as_in_mir_eval() -> None:
    assert rhythm.onset_f_measure([], [1.0]) == (0.0, 0.0, 0.0)
    assert rhythm.beat_f_measure([1.0], []) == 0.0
    assert rhythm.beat_f_measure([1.0, 2.0], [1.0, 2.0], skip_first_s=5.0) == 0.0


def test_tempo_equals_mir_eval() -> None:
    rng = numpy_rng(0, "tempo")
    ours, ref = rng.uniform(80, 130, 50), rng.uniform(80, 130, 50)
    expected = [
        mir_eval.tempo.detection(np.array([0.0, b]), 0.0, np.array([0.0, a]), tol=0.08)[0]
        for a, b in zip(ours, ref, strict=True)
    ]
    found = harmony.tempo_agreement(ours, ref, tolerance=0.08, octaves=False)
    assert 5 < sum(expected) < 45
    np.testing.assert_array_equal(found, expected)


def test_planted_clicks_are_found_where_they_are() -> None:
    rate_hz, rng = 93.75, numpy_rng(0, "clicks")
    frames = np.array([10, 40, 44, 120, 200, 300])
    curve = rng.uniform(0.0, 0.2, 400)
    curve[frames] += 3.0
    curve[frames + 1] += 1.0
    np.testing.assert_allclose(rhythm.pick_onsets(curve, rate_hz), frames / rate_hz)
    assert rhythm.pick_onsets(np.full(100, 2.0), rate_hz).size == 0
    assert rhythm.pick_onsets(curve, rate_hz, threshold=10.0).size == 0


def test_a_plateau_is_one_onset() -> None:
    curve = np.zeros(100)
    curve[50:53] = 5.0
    assert rhythm.pick_onsets(curve, 93.75).tolist() == [50 / 93.75]


@pytest.mark.slow
def test_onsets_equal_those_of_librosa() -> None:
    """The same rule in another implementation."""
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    rate_hz = 93.75
    curve = np.maximum(numpy_rng(0, "curve").normal(size=2000), 0.0)
    reach = round(0.03 * rate_hz)
    expected = librosa.util.peak_pick(
        curve, pre_max=reach, post_max=reach + 1, pre_avg=round(0.1 * rate_hz), post_avg=round(0.07 * rate_hz) + 1,
        delta=0.5, wait=int(0.03 * rate_hz),
    )  # fmt: skip
    np.testing.assert_allclose(rhythm.pick_onsets(curve, rate_hz), np.asarray(expected) / rate_hz)


@pytest.mark.parametrize("bad", [[2.0, 1.0], [-0.1, 1.0], [[1.0, 2.0]]])
def test_times_that_are_none_are_refused(bad: list[float]) -> None:
    with pytest.raises(InputError, match="ascending"):
        rhythm.onset_f_measure(bad, [1.0])
    with pytest.raises(InputError, match="ascending"):
        rhythm.beat_f_measure([1.0], bad)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="not finite"):
        rhythm.onset_f_measure([np.nan], [1.0])
    with pytest.raises(InputError, match="tolerance_s = 0"):
        rhythm.beat_f_measure([1.0], [1.0], tolerance_s=0.0)
    with pytest.raises(InputError, match="rate_hz"):
        rhythm.pick_onsets([1.0, 2.0], 0.0)
