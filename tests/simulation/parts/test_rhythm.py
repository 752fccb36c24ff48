"""Rhythmic cells and the clock."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.seeding import numpy_rng
from eeg2music.simulation.parts.rhythm import Clock, draw_cell, euclid, metric_weights, vary_cell


def test_metric_weights_rank_positions() -> None:
    weights = metric_weights(4, 4)
    assert weights.shape == (16,)
    assert weights[0] > weights[8] > weights[4] > weights[2] > weights[1]
    assert metric_weights(3, 3).shape == (9,)


def test_syncopation_moves_onsets_off_the_beat() -> None:
    weights = metric_weights(4, 4)
    rng = numpy_rng(0, "cells")

    def on_the_beat(syncopation: float) -> float:
        cells = [draw_cell(rng, weights, 5, syncopation) for _ in range(200)]
        return float(np.mean([step % 4 == 0 for cell in cells for step in cell]))

    assert on_the_beat(0.0) > 0.5 > 0.25 > on_the_beat(1.0)


@pytest.mark.parametrize("count", [-1, 0, 1, 7, 16, 40])
def test_cells_are_ascending_and_inside_the_bar(count: int) -> None:
    cell = draw_cell(numpy_rng(0, count), metric_weights(4, 4), count, 0.5, first=True)
    assert cell == tuple(sorted(set(cell)))
    assert len(cell) == int(np.clip(count, 1, 16))
    assert cell[0] == 0 and cell[-1] < 16


def test_varied_cells_keep_the_first_onset_and_differ_at_high_rates() -> None:
    rng = numpy_rng(0, "vary")
    cell = (0, 3, 6, 10, 12)
    assert vary_cell(rng, cell, 16, 0.0) == cell
    varied = [vary_cell(rng, cell, 16, 0.9) for _ in range(50)]
    assert all(result[0] == 0 for result in varied)
    assert len(set(varied)) > 20


def test_euclid_spreads_evenly() -> None:
    assert euclid(4, 16, 0) == (0, 4, 8, 12)
    assert euclid(3, 8, 0) == (0, 2, 5)
    assert euclid(3, 8, 1) == (1, 3, 6)


def test_clock_straight_and_swung() -> None:
    straight = Clock(120.0, 4, 0.5, 2, 0.0)
    assert straight.seconds(4) == pytest.approx(0.5)
    swung = Clock(120.0, 4, 2 / 3, 2, 0.1)
    assert swung.seconds(0) == pytest.approx(0.1)
    assert swung.seconds(2) == pytest.approx(0.1 + 0.5 * 2 / 3)
    assert swung.seconds(4) == pytest.approx(0.6)
    sixteenths = Clock(120.0, 4, 0.6, 4, 0.0)
    assert sixteenths.seconds(1) == pytest.approx(0.6 * 0.25)
    times = [swung.seconds(step / 4) for step in range(64)]
    assert np.all(np.diff(times) > 0)
