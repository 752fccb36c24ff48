"""What the page of `score` plays and draws: picked by rank alone, copied at one level, none of it too large."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from eeg2music.evaluation.identification import Search
from eeg2music.evaluation.outside import listening
from eeg2music.evaluation.outside.listening import by_rank, listen_to, listening_gallery
from eeg2music.evaluation.outside.manifest import Clips, read_manifest
from eeg2music.evaluation.outside.measure import Space
from eeg2music.evaluation.outside.pictures import first_condition, score_pictures, searches
from eeg2music.evaluation.outside.run import ScoreConfig, run_score

RATE_HZ, SONGS = 24_000, 12


def tone(number: int, seconds: float = 0.5) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * (200 + 20 * number) * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def study(folder: Path, conditions: tuple[str, ...] = ("brain", "no_brain"), *, heard: bool = True) -> Clips:
    rows = []
    for name in ("heard", *conditions):
        (folder / name).mkdir(parents=True)
        for number in range(SONGS):
            soundfile.write(folder / name / f"{number}.wav", tone(number), RATE_HZ)
            if name != "heard":
                known = {"reference": f"heard/{number}.wav", "song": f"song-{number}"} if heard else {}
                rows.append({"file": f"{name}/{number}.wav", "condition": name, **known})
    (folder / "clips.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return read_manifest(folder / "clips.jsonl")


def of_ranks(ranks: list[int]) -> Search:
    """Row n's target has the rank `ranks[n]` among as many candidates."""
    gallery = np.eye(len(ranks))
    query = np.stack(
        [np.roll(np.linspace(1.0, 0.1, len(ranks)), number - rank + 1) for number, rank in enumerate(ranks)]
    )
    return Search(query, gallery, np.arange(len(ranks)), [f"s{n}" for n in range(len(ranks))])


def test_the_best_the_median_and_the_worst_are_picked_whatever_the_order_of_the_table() -> None:
    ranks = [7, 3, 12, 1, 9, 5, 2, 11, 4, 10, 6, 8]
    picked, found = by_rank(of_ranks(ranks), 8)
    assert found.tolist() == ranks
    places = {"best": (1, 2, 3), "median": (6, 7), "worst": (10, 11, 12)}
    assert [(ranks[row], why) for row, why in picked.items()] == [(n, why) for why, of in places.items() for n in of]
    assert [(ranks[row], why) for row, why in by_rank(of_ranks(ranks), 3)[0].items()] == [
        (1, "best"), (6, "median"), (12, "worst"),
    ]  # fmt: skip
    everything, _ = by_rank(of_ranks(ranks), 12)
    assert [ranks[row] for row in everything] == list(range(1, 13)) and set(everything.values()) == {""}


def test_of_one_rank_the_nearer_comes_first() -> None:
    search = Search(np.array([[1.0, 0.5], [0.1, 1.0], [1.0, 0.9]]), np.eye(2), np.array([0, 1, 0]), ["a", "b", "a"])
    assert list(by_rank(search, 3)[0]) == [1, 0, 2]


def test_what_is_played_lies_beside_what_was_heard_and_says_how_it_was_picked(tmp_path: Path) -> None:
    clips = study(tmp_path)
    found = listen_to(clips, "brain", of_ranks(list(range(SONGS, 0, -1))), "scorer", 3)
    assert found.facts is not None
    json.dumps(found.facts, allow_nan=False)
    rows = found.facts["rows"]
    assert [(row["clip"], row["rank"], row["picked"]) for row in rows] == [
        ("brain/11.wav", 1.0, "best"), ("brain/6.wav", 6.0, "median"), ("brain/0.wav", 12.0, "worst"),
    ]  # fmt: skip
    for row in rows:
        number = int(row["song"].removeprefix("song-"))
        assert list(row["files"]) == ["what was heard", "brain", "no_brain"]
        for file in row["files"].values():
            np.testing.assert_allclose(found.waves[file], tone(number), atol=1e-4)
    page = listening_gallery({"listening": found.facts})
    assert page is not None and page["heads"] == ["what was heard", "brain", "no brain"]
    assert page["rows"][0]["label"] == "song-11: rank 1 of 12 (best)"
    assert (
        "Of the 12 clips of 'brain': the 1 best, the 1 median, the 1 worst, by the" in page["note"]
        and "not by ear" in page["note"]
    )
    assert "the clips of 'no_brain' for the same" in page["note"] and "folder listen" in page["note"]


def test_without_ranks_clips_are_taken_evenly_and_that_is_said(tmp_path: Path) -> None:
    found = listen_to(study(tmp_path, heard=False), "brain", None, "scorer", 4)
    page = listening_gallery({"listening": found.facts})
    assert page is not None and "evenly spread over the table" in page["note"] and page["heads"] == ["brain"]
    assert "Beside" not in page["note"]
    assert [row["label"] for row in page["rows"]] == [f"brain/{number}.wav" for number in (0, 4, 7, 11)]
    assert listen_to(read_manifest(tmp_path / "clips.jsonl"), "brain", None, "scorer", 0) == (None, {})
    assert listening_gallery({"listening": None}) is None


def test_many_sounds_are_cut_shorter_and_loud_ones_share_one_gain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = study(tmp_path)
    soundfile.write(tmp_path / "brain" / "3.wav", 20.0 * tone(3), RATE_HZ, subtype="FLOAT")
    monkeypatch.setattr(listening, "MOST_BYTES", 100_000)
    found = listen_to(clips, "brain", None, "scorer", SONGS)
    assert found.facts is not None and len(found.waves) == 3 * SONGS
    assert found.facts["bytes"] <= 100_000 + 46 * len(found.waves) and found.facts["seconds"] < 0.1
    assert max(float(np.abs(wave).max()) for wave in found.waves.values()) <= 1.0
    assert 0.4 < found.facts["gain"] < 0.6


def test_the_page_is_about_the_brain_or_the_first_that_answers(tmp_path: Path) -> None:
    assert first_condition(study(tmp_path / "a", ("oracle", "brain"))) == "brain"
    assert first_condition(study(tmp_path / "b", ("ours", "theirs"))) == "ours"
    assert first_condition(study(tmp_path / "c", ("ours",), heard=False)) == "ours"


def test_matrix_ranks_and_a_map_of_every_embedding(tmp_path: Path) -> None:
    clips = study(tmp_path, ("ours", "theirs"))
    rng = np.random.default_rng(0)
    gallery = rng.standard_normal((SONGS, 5))
    generated = {item: gallery[n % SONGS] + rng.standard_normal(5) for n, item in enumerate(clips.items())}
    wide = Space("wide", 5, generated, gallery, None, True, False)
    narrow = Space("narrow", 1, {name: row[:1] for name, row in generated.items()}, gallery[:, :1], None, False, False)
    found = searches(clips, (wide, narrow))
    pictures = {title: note for title, note, png in score_pictures(clips, found) if png is not None}
    assert list(pictures) == ["Retrieval matrix", "Ranks of what was heard", "Map of the embedding 'wide'"]
    assert "The clips of 'ours': wide 12 queries, 12 candidates" in pictures["Retrieval matrix"]
    assert "95 % intervals over songs" in pictures["Ranks of what was heard"]
    assert "narrow, 12 candidates: ours 12, theirs 12" in pictures["Ranks of what was heard"]
    assert score_pictures(clips, {}) == []


def test_the_command_writes_them(tmp_path: Path) -> None:
    """Of an array there is nothing to listen to; where nothing is identified, nothing is drawn."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "made.npy", rng.standard_normal((8, 3)))
    np.save(tmp_path / "music.npy", rng.standard_normal((20, 3)))
    (tmp_path / "clips.csv").write_text("row,reference\n" + "".join(f"{n},{(n + 1) % 8}\n" for n in range(8)))
    (tmp_path / "clips.json").write_text(
        '{"array": "made.npy", "reference_array": "made.npy", "copied": ["brain"], "conditioned_on": []}'
    )

    def page(**values: object) -> str:
        config = ScoreConfig(permutations=20, **values)  # type: ignore[arg-type]
        assert run_score(tmp_path / "clips.csv", tmp_path / "out", config, device="cpu")["listening"] is None
        return (tmp_path / "out" / "report.html").read_text(encoding="utf-8")

    drawn = page()
    assert drawn.count("data:image/png") == 3 and "Retrieval matrix" in drawn and "<audio" not in drawn
    music = str(tmp_path / "music.npy")
    assert "data:image/png" not in page(identification=False, reference=music, distances=("kernel",))
