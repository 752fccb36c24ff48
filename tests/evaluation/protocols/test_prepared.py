"""Protocols on a prepared cache: its windows are cut as they say, at the moment they say, and nothing else is taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.audio import read_audio
from eeg2music.config import load_config
from eeg2music.errors import ConfigError, DataError
from eeg2music.evaluation.kinds import check
from eeg2music.evaluation.protocols import ProtocolConfig, prepared
from eeg2music.evaluation.protocols.run import evaluate_protocol
from eeg2music.preparation.config import PrepareConfig
from eeg2music.preparation.run import prepare
from eeg2music.recordings.openmiir import band_pass
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.simulation.dataset import simulate
from eeg2music.simulation.experiment import SimulationConfig
from eeg2music.targets.curves import control_curves_numpy

CONFIGS = Path(__file__).parents[3] / "configs" / "eval" / "protocols"
# Four songs: two are held out at a time.
FOUR = ("split.folds=2", "permutations=50")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated listeners to four songs of 8 s, written as BIDS and prepared."""
    root = tmp_path_factory.mktemp("protocol")
    simulate(
        SimulationConfig(
            out=str(root / "bids"), subjects=2, songs=4, songs_per_subject=4, song_seconds=8.0, repeats=1,
            runs=1, workers=1,
        )
    )  # fmt: skip
    return prepare(root / "bids", root / "cache", PrepareConfig(window_s=3.0, hop_s=1.0, workers=1))


@pytest.fixture(autouse=True)
def small_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "SCALE_SONGS", 6)


def load(name: str, cache: Path, *overrides: str) -> ProtocolConfig:
    return load_config(ProtocolConfig, CONFIGS / f"{name}.yaml", (f"prepared={cache}", *overrides))


def pick(scores: dict[str, Any], condition: str) -> dict[str, Any]:
    return next(row for row in scores["rows"] if row["condition"] == condition)


def test_a_protocol_runs_on_a_prepared_cache(cache: Path, tmp_path: Path) -> None:
    config = load("nmedt_pairs_held_out", cache, *FOUR)
    check(config, tmp_path / "out")
    scores = evaluate_protocol(config, tmp_path / "out")
    assert scores["material"] == "prepared" and str(cache) not in json.dumps(scores)
    # Two windows of 3 s in each song of 8 s.
    assert scores["prepared"] == {"content_hash": PreparedDataset(cache).content_hash, "windows": 16, "left_out": 0}
    assert scores["leak"] == ""
    decoder = pick(scores, "decoder")
    assert (decoder["n"], decoder["gallery_size"], decoder["subjects"]) == (16, 2, 2)
    for name in ("signal-blind", "phase-randomized recording", "untrained decoder", "shuffled", "chance"):
        assert pick(scores, name)["value"] is not None
    assert pick(scores, "perfect guess of the genre")["value"] is not None
    assert not any(row["condition"] == "no music in the recording" for row in scores["rows"])
    page = (tmp_path / "out" / "scores.md").read_text()
    assert "16 windows of EEG of a prepared cache" in page and "simulated EEG" not in page


def test_genres_that_nobody_declares_are_said_to_be_absent(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "known_genres", lambda songs, declared: dict(declared))
    scores = evaluate_protocol(load("nmedt_pairs_held_out", cache, *FOUR), tmp_path / "out")
    for name in ("perfect guess of the genre", "genre oracle"):
        row = pick(scores, name)
        assert row["value"] is None and row["why"].startswith("the genres of the songs are not declared")
    assert "2 songs of undeclared genres" in (tmp_path / "out" / "scores.md").read_text()
    songs = {row["stimulus"] for row in PreparedDataset(cache).rows if row["stimulus"]}
    given = "{" + ", ".join(f"{song}: made" for song in songs) + "}"
    scores = evaluate_protocol(load("nmedt_pairs_held_out", cache, *FOUR, f"genres={given}"), tmp_path / "declared")
    assert pick(scores, "perfect guess of the genre")["value"] == 0.5


def test_windows_are_of_the_moment_that_the_protocol_says(cache: Path) -> None:
    """Channels come 150 ms after the music, music from the start of the window, neither from anywhere else."""
    config = load("brennan2019", cache)
    data = PreparedDataset(cache)
    heard, scrambled, left_out = prepared._record(config, data)
    assert left_out == 0 and len(heard.rows) == 16
    for number in (0, 5, 15):
        row = heard.rows[number]
        found = next(one for one in data.rows if (one["subject"], one["stimulus"]) == (row.subject, row.song))
        first = round((found["stimulus_onset_s"] + row.start_s + 0.15) * 64)
        good = data.channels(found["recording"])[1]
        signal = band_pass(np.asarray(data.signal(found["recording"])[good], dtype=np.float64), 64)
        np.testing.assert_allclose(heard.eeg[number], signal[:, first : first + 192 : 2], atol=1e-5)
        assert heard.eeg[number].shape[1] == heard.curves[number].shape[1] == 96
        assert not np.allclose(heard.eeg[number], scrambled[number], atol=0.1)
        whole = control_curves_numpy(read_audio(found["stimulus_file"]))
        begin = round(row.start_s * 32)
        # But for the last frames, whose windows reach into what comes next.
        np.testing.assert_allclose(heard.curves[number][:, :90], whole[:, begin : begin + 90], atol=1e-3)


def test_what_was_not_prepared_is_left_out_and_repeats_are_counted(cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bids" / "cache"
    shutil.copytree(cache, copy)
    (tmp_path / "bids" / "bids").symlink_to(cache.parent / "bids")
    lines = [json.loads(line) for line in (copy / "windows.jsonl").read_text().splitlines()]
    first = min(line["start_sample"] for line in lines if line["stimulus"] == lines[0]["stimulus"])
    kept = [line for line in lines if line["recording"] != lines[0]["recording"] or line["start_sample"] != first]
    (copy / "windows.jsonl").write_text("\n".join(map(json.dumps, kept)))
    made, facts = prepared.prepared_protocol(load("nmedt_pairs_held_out", copy, *FOUR))
    assert facts["left_out"] == 1 and facts["windows"] == len(made.rows) == 15
    for line in lines:
        line["stimulus"] = lines[0]["stimulus"]
    (copy / "windows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert {one.repeat for one in prepared._presentations(PreparedDataset(copy))} == {1, 2, 3, 4}


@pytest.mark.parametrize("name", ["brain2music", "retrieval_anchored_2026"])
def test_recordings_of_another_kind_than_the_publication_are_refused(cache: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"its recordings are (fMRI|not said).*waits for"):
        load(name, cache)


def test_what_a_cache_lacks_is_said(cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "cache"
    shutil.copytree(cache, copy)
    # The copy lies elsewhere, so that the music is not found from it.
    with pytest.raises(DataError, match=r"no audio of what was heard: \w+-.*stim_file"):
        prepared.prepared_protocol(load("nmedt_pairs_held_out", copy, *FOUR))
    meta = json.loads((copy / "meta.json").read_text())
    (copy / "meta.json").write_text(json.dumps({**meta, "kind": "meg"}))
    with pytest.raises(DataError, match=r"holds meg recordings.*EEG, as the protocol"):
        check(load("nmedt_leaky", copy), tmp_path / "out")
    with pytest.raises(DataError, match="5 folds of 4 songs"):
        prepared.prepared_protocol(load("nmedt_pairs_held_out", cache))
    with pytest.raises(DataError, match=r"A song of 8 s for windows of 9 s"):
        prepared.prepared_protocol(load("nmedt_pairs_held_out", cache, "window.seconds=9"))
