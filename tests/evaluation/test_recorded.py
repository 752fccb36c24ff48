"""Scores on recordings: planted signals, noise, planted leaks, and the real folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eeg2music.config import load_config
from eeg2music.errors import DataError, LeakError
from eeg2music.evaluation.corrections import holm
from eeg2music.evaluation.onset_ridge import decode_held_out, make_folds, rows_of
from eeg2music.evaluation.recorded import MODES, RecordedConfig, Scored, evaluate_recorded, score_pieces
from eeg2music.evaluation.recorded_controls import EXPECTED, judge
from eeg2music.evaluation.recorded_page import recorded_pictures, write_recorded
from eeg2music.evaluation.retrieval_pictures import rank_curve
from eeg2music.recordings.openmiir import Piece

CONFIG = RecordedConfig(data="nowhere", draws=2, penalties=(0.01, 0.1, 1.0))
NUMBERS = (1, 2, 3, 11, 12, 13, 21, 22)


def planted(strength: float, seed: int = 0) -> list[Piece]:
    """Pieces whose channel is their flux 110 ms later plus noise; three works have two versions. Two listeners."""
    rng = np.random.default_rng(seed)
    pieces = []
    for number in NUMBERS:
        flux = np.maximum(rng.standard_normal(480), 0.0) * (rng.random(480) < 0.2)
        response = np.roll(flux, 7)
        response[:7] = 0.0
        eeg = strength * response / response.std() + rng.standard_normal((2, 3, 480))
        pieces.append(Piece(number, number % 10 if number < 20 else number, flux, np.zeros((24, 480)), eeg))
    return pieces


@pytest.fixture(scope="module")
def scored() -> Scored:
    return score_pieces(planted(0.12), CONFIG)


@pytest.fixture(scope="module")
def scores(scored: Scored) -> dict:  # type: ignore[type-arg]
    return scored.scores


def test_a_planted_response_is_found_in_both_ways_of_taking_trials(scores: dict) -> None:  # type: ignore[type-arg]
    mean, single = (scores["scores"][mode] for mode in MODES)
    assert mean["identification"]["accuracy"] > 0.9
    assert 0.7 < single["identification"]["accuracy"] < mean["identification"]["accuracy"]
    assert mean["onsets"]["correlation"] > single["onsets"]["correlation"] > 0.05
    # Five works have 120 orders; no p-value can be smaller than one of them.
    assert mean["identification"]["p_value"] == pytest.approx(1 / 120)
    assert mean["identification"]["permutations"] == "all 120 orders of 5 works"


def test_works_are_counted_not_pieces(scores: dict) -> None:  # type: ignore[type-arg]
    assert scores["pieces"] == 8 and scores["independent_works"] == 5
    main = scores["scores"]["mean_of_trials"]["identification"]
    assert main["works"] == 5 and "over 5 works" in main["interval"]
    assert "5 works" in main["power"]
    assert "With these 5 works" in scores["scores"]["mean_of_trials"]["onsets"]["power"]
    assert scores["scores"]["mean_of_trials"]["within_work"]["works"] == 3


def test_p_values_of_the_decoder_are_corrected_over_all_that_is_printed(scores: dict) -> None:  # type: ignore[type-arg]
    """Two ways of taking trials, two scores, two listeners and both: twelve p-values. Controls keep their own."""
    found = [
        one
        for of in scores["scores"].values()
        for kind in ("identification", "onsets")
        for one in (of[kind], *of[f"{kind}_by_subject"].values())
    ]
    assert len(found) == 12
    assert [one["p_corrected"] for one in found] == holm([one["p_value"] for one in found]).tolist()
    assert all("p_corrected" not in one["identification"] for one in scores["scores"][MODES[0]]["controls"].values())


def test_controls_sit_where_they_should(scores: dict) -> None:  # type: ignore[type-arg]
    controls = scores["scores"]["mean_of_trials"]["controls"]
    assert list(controls) == list(EXPECTED)
    for name in ("phase randomisation", "random filter", "circular shift", "shuffled"):
        assert controls[name]["identification"]["accuracy"] < 0.66, name
        assert abs(controls[name]["onsets"]["correlation"]) < 0.1, name
    assert controls["music itself"]["identification"]["accuracy"] == 1.0
    assert controls["other subject"]["identification"]["accuracy"] > 0.9
    assert "keeps the tempo" in EXPECTED["circular shift"].what


def test_noise_is_at_chance() -> None:
    found = [
        score_pieces(planted(0.0, seed), CONFIG.model_copy(update={"draws": 1})).scores["scores"]["single_trial"]
        for seed in range(2)
    ]
    assert np.mean([one["identification"]["accuracy"] for one in found]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([one["onsets"]["correlation"] for one in found]) == pytest.approx(0.0, abs=0.03)
    assert any("not told from chance" in text for one in found for text in one["surprises"])


def test_holding_out_pieces_leaks_the_other_version_and_is_refused() -> None:
    with pytest.raises(LeakError, match="works"):
        score_pieces(planted(0.2), CONFIG.model_copy(update={"hold_out": "song"}))


def test_a_trial_on_both_sides_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is run on the manifests of the folds' own rows."""
    from eeg2music.evaluation import onset_ridge

    honest = onset_ridge._sides

    def leaky(*arguments):  # type: ignore[no-untyped-def]
        split, train, _, held_out = honest(*arguments)
        return split, train, train, held_out

    monkeypatch.setattr(onset_ridge, "_sides", leaky)
    pieces = planted(0.2)
    with pytest.raises(LeakError):
        make_folds(pieces, rows_of(pieces, averaged=False), lags=5, penalties=(0.1,))


def test_the_held_out_work_is_not_learned_from() -> None:
    """A response that holds for one work only, the other way round elsewhere, is not identified."""
    pieces = [replace(p, eeg=-p.eeg) if p.work == 1 else p for p in planted(1.0)]
    rows = rows_of(pieces, averaged=True)
    folds = make_folds(pieces, rows, lags=27, penalties=(0.01, 0.1))
    for row, decoded in zip(rows, decode_held_out(folds, rows), strict=True):
        correlation = np.corrcoef(decoded, pieces[row.piece].flux)[0, 1]
        assert (correlation < -0.3) == (pieces[row.piece].work == 1)


def test_scaler_and_penalty_ignore_the_held_out_work() -> None:
    pieces = planted(0.5)
    wild = [replace(p, eeg=1e3 * p.eeg**3 + 7.0) if p.work == 1 else p for p in pieces]
    fits = []
    for material in (pieces, wild):
        folds = make_folds(material, rows_of(material, averaged=False), lags=9, penalties=(0.01, 0.1, 1.0))
        fits.append(next(fold for fold in folds if fold.held_out == "work_01").decoders)
    for before, after in zip(*fits, strict=True):
        assert "work_01" not in before.works and before.penalty == after.penalty
        for name in ("mean", "scale", "weights"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_the_decoder_equals_scikit_learn() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    from eeg2music.encoders.linear import lagged, standard

    pieces = planted(0.5)
    rows = rows_of(pieces, averaged=False)
    fold = make_folds(pieces, rows, lags=6, penalties=(0.1,))[0]
    train = [rows[number] for number in fold.split.train if rows[number].subject == 0]
    x = np.concatenate([lagged(standard(row.eeg), 6) for row in train])
    y = np.concatenate([standard(pieces[row.piece].flux) for row in train])
    scaler = StandardScaler().fit(x)
    model = Ridge(alpha=0.1 * len(x)).fit(scaler.transform(x), y)
    np.testing.assert_allclose(fold.decoders[0].weights, model.coef_, rtol=1e-8)
    test = lagged(standard(rows[0].eeg), 6)
    expected = model.predict(scaler.transform(test)) - model.intercept_
    np.testing.assert_allclose(fold.decoders[0].decode(rows[0].eeg), expected, atol=1e-9)


def test_a_window_longer_than_a_piece_is_refused() -> None:
    with pytest.raises(DataError, match="shorter than the window"):
        score_pieces(planted(0.2), CONFIG.model_copy(update={"window_s": 9.0}))


def test_a_control_out_of_place_is_said_in_words() -> None:
    brain = {"accuracy": 0.8, "p_value": 0.001}
    high = {"accuracy": 0.9, "ci95": [0.85, 0.93], "chance": 0.5, "p_two_sided": 0.001}
    texts = judge(brain, {"phase randomisation": {"identification": high}})
    assert len(texts) == 2 and "above chance (two-sided p = 0.001); expected not above" in texts[0]
    assert "not below the decoder" in texts[1]


@pytest.mark.parametrize(
    ("name", "accuracy", "half", "p", "said"),
    [
        # Far inside any band that one would draw by hand, and off all the same: what is small is measured well.
        ("phase randomisation", 0.56, 0.03, 0.01, "above chance"),
        ("random filter", 0.44, 0.03, 0.01, "below chance"),
        ("random filter", 0.44, 0.07, 0.01, None),
        ("random filter", 0.44, 0.03, 0.06, None),
        ("shuffled", 0.44, 0.03, 0.01, None),
        ("signal-blind", 0.60, 0.05, 0.01, "above chance"),
        ("other subject", 0.60, 0.05, 0.01, None),
        ("other subject", 0.40, 0.05, 0.01, "below chance"),
        ("other subject", 0.90, 0.05, 0.01, "above the decoder"),
        ("circular shift", 0.60, 0.05, 0.01, None),
        ("circular shift", 0.82, 0.05, 0.01, "not below the decoder"),
        ("genre oracle", 0.70, 0.02, 0.01, "above a perfect guess of the kind"),
        ("genre oracle", 0.66, 0.02, 0.01, None),
        ("music itself", 0.99, 0.01, 0.01, "expected 1"),
    ],
)  # fmt: skip
def test_controls_are_judged_by_test_and_interval(
    name: str, accuracy: float, half: float, p: float, said: str | None
) -> None:
    brain = {"accuracy": 0.8, "p_value": 0.001}
    score = {"accuracy": accuracy, "ci95": [accuracy - half, accuracy + half], "chance": 0.5, "p_two_sided": p}
    texts = judge(brain, {name: {"identification": score, "limit": 0.67}})
    assert len(texts) == (said is not None) and all(str(said) in text for text in texts)


def test_matrix_and_ranks_are_of_the_vectors_that_were_scored(scored: Scored) -> None:
    """Their first place is the table's top-1; both ways of taking the trials, and random controls with every draw."""
    for mode in MODES:
        curve = rank_curve(scored.searches[mode]["decoder"])
        main = scored.scores["scores"][mode]["identification"]
        assert curve.share[0] == pytest.approx(main["top1"]) and curve.k[-1] == len(NUMBERS)
        assert [curve.low[0], curve.high[0]] == pytest.approx(main["top1_ci95"])
    (matrix, matrix_note, _), (ranks, ranks_note, _) = recorded_pictures(scored.searches)
    assert (matrix, ranks) == ("Retrieval matrix", "Ranks of what was heard")
    assert "mean of the trials 16 queries, 8 pieces; single trials 48 queries, 8 pieces" in matrix_note
    assert "95 % intervals over works" in ranks_note and "decoder 48, other subject" in ranks_note
    assert "phase randomisation 96" in ranks_note


def test_files_are_written(tmp_path: Path, scored: Scored) -> None:
    write_recorded(tmp_path / "out", *scored)
    assert (tmp_path / "out" / "report.html").read_text().count("data:image/png") == 2
    text = (tmp_path / "out" / "scores.md").read_text()
    assert "keeps the tempo" in text and "song permutation (null)" in text and "can't be seen" in text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scores.json", "scores.md", "report.html"}
    assert "nowhere" not in (tmp_path / "out" / "scores.json").read_text()


def test_the_shipped_config_is_whole() -> None:
    config = load_config(RecordedConfig, "configs/eval/openmiir.yaml", ["data=somewhere"])
    assert config.data == "somewhere" and config.window_s == 6.5


def test_real_recordings_score_as_published(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "openmiir_features"
    if not folder.is_dir():
        pytest.skip("no openmiir_features among the real recordings")
    config = RecordedConfig(data=str(folder), draws=1)
    scores = evaluate_recorded(config, tmp_path / "out")
    mean, single = (scores["scores"][mode]["identification"] for mode in MODES)
    assert scores["independent_works"] == 8 and mean["permutations"] == "all 40320 orders of 8 works"
    assert mean["accuracy"] == pytest.approx(0.87, abs=0.03) and single["accuracy"] == pytest.approx(0.69, abs=0.03)
    assert mean["p_value"] < 0.001 and single["p_value"] < 0.001
    onsets = scores["scores"]["mean_of_trials"]["onsets"]
    assert onsets["correlation"] > onsets["null_95"] and onsets["ci95"][0] > 0.0
    assert len(scores["data_sha256"]) == 64
