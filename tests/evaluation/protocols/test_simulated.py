"""Whole protocols on small simulated recordings. The point of two of them: what a leak is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.config import load_config
from eeg2music.evaluation.protocols import ProtocolConfig, simulated
from eeg2music.evaluation.protocols.run import _warnings, evaluate_protocol, score_protocol
from eeg2music.evaluation.protocols.simulated import simulate_protocol
from eeg2music.evaluation.protocols.sketch import make_songs

CONFIGS = Path(__file__).parents[3] / "configs" / "eval" / "protocols"
SMALL = ("permutations=200", "simulated.listeners=1", "simulated.song_seconds=18")


def load(name: str, *overrides: str) -> ProtocolConfig:
    return load_config(ProtocolConfig, CONFIGS / f"{name}.yaml", overrides)


def pick(scores: dict[str, Any], condition: str, metric: str | None = None) -> dict[str, Any]:
    return next(r for r in scores["rows"] if r["condition"] == condition and metric in (None, r["metric"]))


@pytest.fixture(scope="module")
def leaky() -> dict[str, Any]:
    return score_protocol(load("nmedt_leaky", *SMALL))


@pytest.fixture(scope="module")
def pairs() -> dict[str, Any]:
    return score_protocol(load("nmedt_pairs_held_out", *SMALL))


def test_the_leaky_form_exceeds_the_song_held_out_one_on_the_same_recordings(
    leaky: dict[str, Any], pairs: dict[str, Any]
) -> None:
    assert leaky["config"]["simulated"] == pairs["config"]["simulated"]
    ours, theirs = pick(pairs, "decoder"), pick(leaky, "decoder", "pairwise identification")
    assert theirs["metric"] == ours["metric"] and theirs["chance"] == ours["chance"] == 0.5
    assert theirs["value"] > ours["value"] + 0.1
    assert theirs["ci95"][0] > ours["ci95"][0] and theirs["value"] > ours["ci95"][1] - 0.1
    assert pick(leaky, "decoder")["value"] > 0.7


def test_ten_held_out_songs_are_told_apart_by_the_music_alone(leaky: dict[str, Any]) -> None:
    """The same ten songs, gallery and chances as in the leaky form: less is found, and nothing without music."""
    found = score_protocol(load("nmedt_song_held_out", *SMALL))
    for metric, chance in (("top-1", 0.1), ("pairwise identification", 0.5)):
        ours, theirs = pick(found, "decoder", metric), pick(leaky, "decoder", metric)
        assert ours["chance"] == theirs["chance"] == chance and ours["gallery_size"] == theirs["gallery_size"] == 10
        assert ours["n"] == theirs["n"] and ours["clusters"] == theirs["clusters"] == 10
        assert chance < ours["ci95"][0] and ours["value"] < theirs["value"]
        silent = pick(found, "no music in the recording", metric)
        assert silent["ci95"][0] < chance < silent["ci95"][1] and silent["p_value"] > 0.05
    assert found["leak"] == "" and pick(found, "genre oracle")["value"] is not None


def test_only_the_leaky_form_scores_without_any_music(leaky: dict[str, Any], pairs: dict[str, Any]) -> None:
    with_leak, without = (pick(one, "no music in the recording") for one in (leaky, pairs))
    assert with_leak["value"] > 2.5 * with_leak["chance"] and with_leak["p_value"] < 0.05
    assert without["p_value"] > 0.03


def test_what_the_other_controls_lose(leaky: dict[str, Any], pairs: dict[str, Any]) -> None:
    """Random weights find nothing, and nothing is found in what was decoded from other songs; rhythm needs no phase."""
    for scores in (leaky, pairs):
        for name in ("untrained decoder", "shuffled"):
            row = pick(scores, name)
            assert row["value"] < row["chance"] + 0.1 and row["p_value"] > 0.05
    made = simulate_protocol(load("nmedt_pairs_held_out", *SMALL, "simulated.song_seconds=9"))
    assert not np.allclose(made.controls["phase-randomized recording"], made.predicted, atol=0.1)
    high = pick(leaky, "phase-randomized recording")
    said = [text for text in _warnings(leaky) if text.startswith("Recordings of random phase score")]
    assert high["p_value"] < 0.05 and f"{high['value']:.3f} top-1" in said[0] and "needs no timing" in said[0]
    assert not any(text.startswith(("A decoder that", "What was decoded")) for text in _warnings(leaky))


def test_the_leak_is_on_every_row(leaky: dict[str, Any], pairs: dict[str, Any]) -> None:
    assert "Training and test share" in leaky["leak"] and all(row["leak"] for row in leaky["rows"])
    assert pairs["leak"] == "" and not any(row["leak"] for row in pairs["rows"])


def test_a_run_is_reproducible(pairs: dict[str, Any]) -> None:
    assert score_protocol(load("nmedt_pairs_held_out", *SMALL)) == pairs


def test_brain2music_small(tmp_path: Path) -> None:
    config = load(
        "brain2music",
        "permutations=50",
        "simulated.songs=60",
        "simulated.song_seconds=6",
        "simulated.listeners=1",
        "simulated.snr_db=0",
        "window.seconds=6",
        "split.test_songs=20",
        "gallery.size=20",
        "repeats=2",
    )
    scores = evaluate_protocol(config, tmp_path / "out")
    decoder = pick(scores, "decoder")
    assert decoder["value"] > 0.6 and decoder["n"] == 20 and decoder["gallery_styles"] == 10
    assert pick(scores, "perfect guess of the genre")["value"] == pytest.approx((18 + 0.5) / 19)
    assert pick(scores, "genre oracle")["value"] is not None
    text = (tmp_path / "out" / "scores.md").read_text()
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png") == 2
    assert "decoder 20 queries, 20 windows" in page and "95 % intervals over songs" in page
    assert "0.876 (identification accuracy, MuLan-music)" in text and "other data" in text
    assert "perfect guess of the genre" in text


def test_what_is_tested_has_no_say_in_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """One song as loud as can be: the curves and embeddings of the others stay as they were."""
    config = load("nmedt_pairs_held_out", *SMALL, "simulated.song_seconds=3")
    songs, rows = make_songs(config.simulated), simulated._plan(config)
    before = simulated._record(config, rows)[0]
    levels_db = {stem: value + 60.0 for stem, value in songs[-1].song.levels_db.items()}
    loud = replace(songs[-1], song=replace(songs[-1].song, levels_db=levels_db))
    monkeypatch.setattr(simulated, "make_songs", lambda rule: (*songs[:-1], loud))
    after = simulated._record(config, rows)[0]
    for number, row in enumerate(rows):
        same = np.array_equal(before.target[number], after.target[number])
        assert same == (row.song != loud.name)
        assert np.array_equal(before.curves[number], after.curves[number]) == (row.song != loud.name)


def test_ten_genres_of_eight_styles() -> None:
    songs = make_songs(load("brain2music", "simulated.songs=40", "simulated.song_seconds=4").simulated)
    counts = {style: sum(song.style == style for song in songs) for style in {song.style for song in songs}}
    assert len(counts) == 10 and set(counts.values()) == {4}
    slow = [song.song.tempo_bpm for song in songs if song.style == "ballad, slow"]
    fast = [song.song.tempo_bpm for song in songs if song.style == "ballad, fast"]
    assert np.max(slow) <= np.min(fast)
    assert len({song.name for song in songs}) == 40


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_every_protocol_runs_as_shipped(name: str, tmp_path: Path) -> None:
    scores = evaluate_protocol(load(name), tmp_path / "out")
    assert pick(scores, "decoder")["value"] > pick(scores, "decoder")["chance"]
    assert any(row["condition"] == "genre oracle" for row in scores["rows"])
