"""The yardstick itself: right on planted signals, at chance on noise, on real recordings as published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eeg2music.files import read_json
from eeg2music.recordings.openmiir import Piece, load_pieces
from eeg2music.simulation import calibration
from eeg2music.simulation.calibration import identification, reproducible_share
from eeg2music.simulation.twin import reproducible_component


def planted(strength: float, seed: int = 0, works: int = 6) -> list[Piece]:
    """Pieces whose virtual channel is their flux 110 ms later plus white noise; two pieces a work."""
    rng = np.random.default_rng(seed)
    pieces = []
    for number in range(2 * works):
        flux = np.maximum(rng.standard_normal(520), 0.0) * (rng.random(520) < 0.2)
        response = np.roll(flux, 7)
        response[:7] = 0.0
        eeg = strength * response / response.std() + rng.standard_normal((2, 5, 520))
        pieces.append(Piece(number, number // 2, flux, np.zeros((24, 520)), eeg))
    return pieces


def test_a_planted_response_is_found_and_averaging_helps() -> None:
    scores = identification(planted(0.15))
    assert scores.mean_of_trials.shape == (12, 2)
    assert scores.mean_of_trials.mean() > 0.95
    assert 0.7 < scores.single_trial.mean() < scores.mean_of_trials.mean()


def test_noise_is_at_chance() -> None:
    found = [identification(planted(0.0, seed)).single_trial.mean() for seed in range(4)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)


def test_the_held_out_work_is_not_learned_from() -> None:
    """A response that holds for one work only, the other way round elsewhere, must not be identified."""
    pieces = planted(1.0)
    pieces = [replace(p, eeg=-p.eeg) if p.work == 0 else p for p in pieces]
    scores = identification(pieces)
    assert scores.mean_of_trials[scores.works == 0].mean() < 0.2
    assert scores.mean_of_trials[scores.works != 0].mean() > 0.9


def test_reproducible_share_is_the_planted_one() -> None:
    pieces = planted(0.5)
    assert reproducible_share(pieces) == pytest.approx(0.25 / 1.25, abs=0.02)
    assert reproducible_share(planted(0.0)) == pytest.approx(0.0, abs=0.01)


def test_reproducible_component_finds_the_repeating_pattern() -> None:
    rng = np.random.default_rng(0)
    pattern = rng.standard_normal(8)
    electrodes = []
    for _ in range(6):
        course = rng.standard_normal(400)
        noise = rng.standard_normal((2, 4, 8, 400)) * np.linspace(0.5, 3.0, 8)[:, None]
        electrodes.append((noise + 0.5 * pattern[:, None] * course).astype(np.float32))
    weights = reproducible_component(electrodes)
    best = pattern / np.linspace(0.5, 3.0, 8) ** 2
    assert abs(np.corrcoef(weights, best)[0, 1]) > 0.95


def test_real_recordings_score_as_published(real_data: Path) -> None:
    pieces = load_pieces(real_data / "openmiir_features")
    scores = identification(pieces)
    assert scores.mean_of_trials.mean() == pytest.approx(0.86, abs=0.03)
    assert scores.single_trial.mean() == pytest.approx(0.70, abs=0.03)


def test_levels_are_in_order() -> None:
    assert calibration.REAL_SNR_DB < calibration.CLEAN_SNR_DB == 0.0


@pytest.mark.parametrize("figure", ["mean_of_trials", "single_trial"])
def test_the_real_level_is_as_hard_as_real_recordings(figure: str) -> None:
    """Within the real interval, from five trials and from one, as measured by benchmarks/calibrate_snr.py."""
    measured = read_json(Path(__file__).parents[2] / "benchmarks" / "calibrate_snr.json")
    rows = sorted(measured["learned"]["simulated"], key=lambda row: row["snr_db"])
    curve = [row[figure]["accuracy"] for row in rows]
    twin = np.interp(calibration.REAL_SNR_DB, [row["snr_db"] for row in rows], curve)
    low, high = measured["real"][figure]["ci95"]
    assert low <= twin <= high
    weakest, strongest = measured["learned"]["agreement"][figure]["interval_db"]
    assert weakest <= calibration.REAL_SNR_DB <= strongest
