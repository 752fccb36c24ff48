"""`evaluate` from config to page, on random material with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import leaking

from eeg2music.config import load_config
from eeg2music.errors import CheckpointError, ConfigError, InputError, LeakError
from eeg2music.evaluation import units
from eeg2music.evaluation.alike import Listened
from eeg2music.evaluation.baselines import BASELINES
from eeg2music.evaluation.brain import CONTROLS, is_off_chance
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.material import ListeningConfig
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.runner import EvaluateConfig, LevelConfig, refuse_known, run_evaluation
from eeg2music.files import sha256_file, sha256_json
from eeg2music.pipeline import SamplingConfig
from eeg2music.seeding import derive_seed

MakeHeard = Callable[..., Heard]
KEYS = {"accuracy", "top1", "ci95", "chance", "p_value", "n", "gallery_size"}
LEVELS = (
    LevelConfig(
        name="clean",
        snr="clean",
        conditions=("brain", *CONTROLS),
        generate=("brain", "no_brain"),
        generated_windows=3,
    ),
    LevelConfig(name="hard", snr=-12.0, conditions=("brain", "shuffled"), generate=(), generated_windows=0),
)

# What is heard is random; these are the songs that are listened to for look-alikes.
FEW = ListeningConfig(songs=2, song_seconds=6.6, window_start_s=1.0)


def listen(make_heard: MakeHeard, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let the runner hear random material; returns what it asked for."""
    asked: list[dict[str, Any]] = []

    def heard(config: object, snr_db: float, stems: object = None, *, seed: int = 0) -> Heard:
        asked.append({"snr_db": snr_db, "stems": stems, "seed": seed})
        return make_heard(5)

    monkeypatch.setattr(units, "simulated_heard", heard)
    return asked


@pytest.fixture(scope="module")
def scores(tiny_checkpoint: Path, make_heard: MakeHeard, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("evaluation") / "out"
    config = EvaluateConfig(
        checkpoint=str(tiny_checkpoint), seeds=(0, 1), levels=LEVELS, sampling=SamplingConfig(steps=1),
        listening=ListeningConfig(songs=5, song_seconds=6.6, window_start_s=1.0), reference_songs=7,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        asked = listen(make_heard, patch)
        result = run_evaluation(config, out, device="cpu")
    return {"scores": result, "out": out, "asked": asked}


def test_what_is_written(scores: dict[str, Any]) -> None:
    out: Path = scores["out"]
    files = ["card.md", "clips", "report.html", "scores.json", "scores.md", "split.json"]
    assert sorted(path.name for path in out.iterdir()) == files
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert json.loads((out / "scores.json").read_text()) == json.loads(json.dumps(scores["scores"]))
    page = (out / "report.html").read_text()
    # Against difficulty; bars: clean three, hard two; matrix and ranks of both, a map where there are clips; the brain.
    assert page.count("data:image/png;base64,") == 6 + 5 + 1
    for title in ("clean (0 dB): map of the embeddings", "hard (-12 dB): retrieval matrix", "Brain maps"):
        assert f"<h2>{title}</h2>" in page
    table = (out / "scores.md").read_text()
    assert next(line for line in table.splitlines() if line.startswith("## ")) == "## Summary"
    assert "## clean (0 dB): embedding" in table
    assert "## hard (-12 dB): embedding" in table
    assert "## hard (-12 dB): generated" not in table
    assert "## hard (-12 dB): curves, by seed" in table
    assert "## clean (0 dB): following, mean of 2 seeds" in table


def test_what_the_scores_are_worth_is_said(scores: dict[str, Any]) -> None:
    """P-values corrected over all of the brain's, too few seeds, and which conditions the scores feel."""
    found, page = scores["scores"], (scores["out"] / "scores.md").read_text()
    # Two seeds: the embedding and the curves at both levels, generated music at one.
    assert found["comparisons"]["count"] == 10 and "## The brain against chance, corrected" in page
    # Embedding and curves of the brain at both levels and of six controls, the oracle's too; clips of two conditions.
    assert found["summary_comparisons"]["count"] == 2 * 2 + 2 * 6 + 2 and "over all 18 of this table" in page
    # At two levels, of two seeds and both together.
    judged = [level["at_chance"]["judged"] for level in found["levels"]]
    assert judged == [3 * 8, 3 * 2] and judged[0] < found["levels"][0]["expectations"]
    assert found["remarks"] and found["remarks"][0].startswith("The evaluation has 2 seeds")
    assert f"**{found['remarks'][0]}**" in page and found["stamps"] == []
    assert found["followed_conditions"]["following"]["measures"] == ["onset"]
    assert "hears onsets and brightness" in page


def test_the_split_stands_beside_the_scores(
    scores: dict[str, Any], tiny_checkpoint: Path, make_heard: MakeHeard
) -> None:
    split = json.loads((scores["out"] / "split.json").read_text())
    heard = make_heard(5)
    assert set(split["test"]["songs"]) > set(heard.songs)  # and the further songs of the reference
    assert len(split["test"]["songs"]) == 7
    assert split["test"]["subjects"] == ["sub-a", "sub-b"]
    assert split["passed"] is True and {"song", "subject"} <= set(split["checked"])
    for name in ("encoder", "diffusion", "clap", "codec", "scorer"):
        file = tiny_checkpoint / name / "training_manifest.json"
        told = {"manifest_sha256": sha256_file(file), "songs": 1, "subjects": 0, "fitted": []}
        assert split["models"][name] == told
    # The five that were heard, and the two beside them that the generated music is compared with.
    assert split["look_alikes"]["listened_to"] == 7
    assert split["look_alikes"]["warnings"] == scores["scores"]["warnings"] == []
    assert split.pop("sha256") == sha256_json(split)


def test_every_control_stands_beside_the_brain(scores: dict[str, Any]) -> None:
    level = scores["scores"]["levels"][0]
    assert list(level["scores"]) == ["brain", *CONTROLS]
    assert level["subjects"] == ["sub-a", "sub-b"]
    for name, entry in level["scores"].items():
        assert [seeded["seed"] for seeded in entry["seeds"]] == [0, 1], name
        for seeded in entry["seeds"]:
            assert seeded["embedding"].keys() >= KEYS
            assert (seeded["embedding"]["n"], seeded["embedding"]["gallery_size"]) == (10, 5)
            assert (seeded["generated"] is not None) == (name in ("brain", "no_brain"))
        assert {key: entry[key] for key in ("seed", "embedding")} == {
            key: entry["seeds"][0][key] for key in ("seed", "embedding")
        }


def test_generated_clips_are_scored_with_their_distance_and_following(scores: dict[str, Any]) -> None:
    level = scores["scores"]["levels"][0]
    entry = level["scores"]["brain"]["seeds"][1]
    assert (entry["generated"]["n"], entry["generated"]["gallery_size"]) == (3, 5)
    assert -1 <= entry["following"]["mean"] <= 1
    assert entry["following"]["n"] == 3
    assert -1 <= entry["following"]["mean_by_listener"] <= 1
    # Two of the three clips are of one song: they cannot all be paired with another's.
    assert entry["following"]["null"] is entry["following"]["null_by_beat"] is None
    assert set(entry["following"]["lag_s_by_listener"]) == {"sub-a", "sub-b"}
    assert set(level["distances"]) == {"brain", "no_brain"}
    assert level["distances"]["brain"]["too_few_for_frechet"] is True
    assert level["distances"]["brain"]["frechet"] is None
    # Three clips, two of them of one song.
    assert "2 songs and 2 reference songs" in level["distances"]["brain"]["refused"]
    assert scores["scores"]["stamps"] == []
    # Seven songs of the family, of which five were heard.
    assert (level["distances"]["brain"]["n"], level["distances"]["brain"]["n_reference"]) == (3, 2)
    by_seed = [one["kernel"] for one in level["distances"]["brain"]["seeds"]]
    assert level["distances"]["brain"]["kernel"] == pytest.approx(sum(by_seed) / 2)
    assert "## clean (0 dB): distance from music, mean of 2 seeds" in (scores["out"] / "scores.md").read_text()


def test_levels_share_the_music_and_the_seed(scores: dict[str, Any]) -> None:
    asked = scores["asked"]
    second = [derive_seed(seed, "second presentation") for seed in (0, 1)]
    # Each seed has its own recordings, and its own second presentation for the other subject; once each.
    assert sorted((one["snr_db"], one["seed"]) for one in asked) == sorted(
        [(0.0, 0), (0.0, 1), (0.0, second[0]), (0.0, second[1]), (-12.0, 0), (-12.0, 1)]
    )
    assert [one["stems"] is None for one in asked] == [True] + 5 * [False]


def test_the_oracle_is_certain(scores: dict[str, Any]) -> None:
    oracle = scores["scores"]["levels"][0]["scores"]["oracle"]["embedding"]
    assert (oracle["accuracy"], oracle["top1"]) == (1.0, 1.0)


@pytest.mark.parametrize("leaks", [False, True])
def test_random_weights_are_at_chance_and_a_leak_is_not(
    leaks: bool, tiny_checkpoint: Path, make_heard: MakeHeard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Songs enough that a decoder that is told of one query in three what was heard would not pass."""
    heard = make_heard(24)
    monkeypatch.setattr(units, "simulated_heard", lambda *_, **__: heard)
    if leaks:
        monkeypatch.setattr(units, "control_conditions", leaking)
    level = LevelConfig(name="clean", snr="clean", conditions=("brain", "random_encoder"), generate=())
    config = EvaluateConfig(checkpoint=str(tiny_checkpoint), seeds=(0,), levels=(level,), listening=FEW)
    found = run_evaluation(config, tmp_path / "out", device="cpu")["levels"][0]["scores"]
    assert {name: is_off_chance(of["embedding"]) for name, of in found.items()} == dict.fromkeys(found, leaks)


def test_the_seed_of_the_command_reaches_recordings_and_sampling(
    tiny_checkpoint: Path, make_heard: MakeHeard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = listen(make_heard, monkeypatch)
    config = EvaluateConfig(checkpoint=str(tiny_checkpoint), seed=7, seeds=(0,), levels=LEVELS[1:], listening=FEW)
    result = run_evaluation(config, tmp_path / "out", device="cpu")
    assert asked[0]["seed"] == 7
    assert result["levels"][0]["scores"]["brain"]["seed"] == 7


# -- leaks -------------------------------------------------------------------------------------


def plant(checkpoint: Path, **manifest: list[str]) -> None:
    (checkpoint / "encoder" / "training_manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"songs": ["song-3", "x"]}, r"share 1 of \d+ songs: song-3"),
        ({"songs": ["x"], "subjects": ["sub-b"]}, "share 1 of 2 subjects: sub-b"),
    ],
)
def test_a_model_that_knows_what_is_scored_is_refused(
    copy: Path,
    make_heard: MakeHeard,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    manifest: dict[str, list[str]],
    message: str,
) -> None:
    plant(copy, **manifest)
    listen(make_heard, monkeypatch)
    with pytest.raises(LeakError, match=message):
        run_evaluation(EvaluateConfig(checkpoint=str(copy), levels=LEVELS[1:]), tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_model_that_knows_other_music_is_not(copy: Path, make_heard: MakeHeard) -> None:
    plant(copy, songs=["x", "y"], subjects=["sub-train"])
    refuse_known(copy, make_heard(5))


def test_a_leak_of_any_model_counts(copy: Path, make_heard: MakeHeard) -> None:
    plant(copy, songs=["x"])
    (copy / "scorer" / "training_manifest.json").write_text(json.dumps({"songs": ["song-0"]}))
    with pytest.raises(LeakError, match="song-0"):
        refuse_known(copy, make_heard(5))


@pytest.mark.parametrize("model", ["encoder", "diffusion", "clap", "codec", "scorer"])
def test_a_model_that_does_not_say_what_it_was_trained_on_is_refused(
    copy: Path, make_heard: MakeHeard, model: str
) -> None:
    (copy / model / "training_manifest.json").unlink()
    with pytest.raises(CheckpointError, match=rf"training_manifest\.json is missing in {model}\."):
        refuse_known(copy, make_heard(5))


def test_the_judge_shares_no_song_with_those_it_judges(copy: Path, make_heard: MakeHeard) -> None:
    plant(copy, songs=["x", "tiny-judge"])
    with pytest.raises(LeakError, match=r"scorer and the encoder were trained on 1 songs together, such as tiny-judge"):
        refuse_known(copy, make_heard(5))


def test_songs_beside_the_scored_ones_count_and_so_do_those_that_chose_the_model(
    copy: Path, make_heard: MakeHeard
) -> None:
    with pytest.raises(LeakError, match="tiny-train"):
        refuse_known(copy, make_heard(5), ["tiny-train"])
    manifest = {"songs": ["x"], "valid": {"songs": ["song-2"], "subjects": []}}
    (copy / "encoder" / "training_manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LeakError, match="song-2"):
        refuse_known(copy, make_heard(5))


def test_songs_that_chose_a_model_count_too(copy: Path, make_heard: MakeHeard) -> None:
    manifest = {"songs": ["x"], "valid": {"songs": ["song-1"]}}
    (copy / "codec" / "training_manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LeakError, match="song-1"):
        refuse_known(copy, make_heard(5))


# -- mistakes ----------------------------------------------------------------------------------


def test_an_unknown_control_is_a_mistake_of_the_config() -> None:
    with pytest.raises(ConfigError, match=r"no 'shuffeld'\. Allowed: brain, shuffled"):
        load_config(EvaluateConfig, None, ["levels=[{name: a, snr: 0, conditions: [shuffeld]}]"])


def test_an_unknown_level_is_a_mistake_of_the_config() -> None:
    with pytest.raises(ConfigError, match=r"levels\.0\.snr"):
        load_config(EvaluateConfig, None, ["levels=[{name: a, snr: quiet}]"])


def test_prepared_recordings_have_one_level(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 levels with prepared recordings"):
        run_evaluation(EvaluateConfig(prepared="cache", levels=LEVELS), tmp_path / "out")


def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path: Path, tiny_checkpoint: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        run_evaluation(EvaluateConfig(checkpoint=str(tiny_checkpoint)), tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", ["mini", "quick", "smoke"])
def test_shipped_configs_are_valid(name: str) -> None:
    config = load_config(EvaluateConfig, f"configs/eval/{name}.yaml")
    assert config.levels[0].name == "clean"


def test_the_quoted_evaluation_is_as_large_as_promised() -> None:
    config = load_config(EvaluateConfig, "configs/eval/mini.yaml")
    assert len(config.listening.subjects) >= 4
    assert config.listening.songs >= 50
    assert len(config.seeds) >= 3
    assert config.levels[0].generated_windows >= 200
    assert set(config.levels[0].conditions) == {"brain", *CONTROLS, *BASELINES}
    assert any(level.snr == "real" for level in config.levels)
    # The headline is of generated clips: there, too, the brain stands beside its linear rival.
    assert all({"brain", "ridge"} <= set(level.generate) for level in config.levels)


def test_the_oracle_of_the_real_level_is_the_clean_ones(tiny_checkpoint: Path, tmp_path: Path) -> None:
    config = load_config(EvaluateConfig, "configs/eval/mini.yaml")
    levels = {level.name: level for level in config.levels}
    parts = Parts(tmp_path / "out", config, tiny_checkpoint, "cpu")

    def key(level: str, condition: str) -> str:
        return parts.key(units.unit_of(levels[level], condition, 1))

    assert key("clean", "oracle") == key("real", "oracle")
    assert key("clean", "brain") != key("real", "brain")


# -- recordings ----------------------------------------------------------------------------------


def test_recordings_are_scored_without_a_ratio_and_say_what_is_missing(
    tiny_checkpoint: Path, make_heard: MakeHeard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def prepared(cache: Path, split: str | None, *, genres: object) -> Heard:
        read.append(cache)
        return replace(make_heard(4), works={"song-0": "w", "song-1": "w"})

    monkeypatch.setattr(units, "prepared_heard", prepared)
    monkeypatch.setattr(units, "prepared_others", lambda *_: None)
    monkeypatch.setattr("eeg2music.evaluation.parts._material", lambda config: {})
    monkeypatch.setattr("eeg2music.evaluation.runner.PreparedDataset", lambda cache: None)
    monkeypatch.setattr("eeg2music.evaluation.runner.brain_map", lambda *_: ("Brain maps", "", None))
    alike = make_heard(1).stems[0]

    def hear(listened: Listened, listening: object, cache: str | None, split: str | None) -> None:
        assert cache == "cache"
        listened.hear_stems(["a song", "its copy"], [alike, 0.5 * alike])

    monkeypatch.setattr("eeg2music.evaluation.runner.hear_heard", hear)
    level = LevelConfig(name="clean", snr="clean", conditions=("brain", "other_subject"), generate=())
    config = EvaluateConfig(checkpoint=str(tiny_checkpoint), prepared="cache", seeds=(0, 1), levels=(level,))
    found = run_evaluation(config, tmp_path / "out", device="cpu")["levels"][0]
    assert read == [Path("cache")]  # the same with every seed
    assert (found["name"], found["snr_db"]) == ("recorded", None)
    assert "second presentation" in found["scores"]["other_subject"]["why"]
    brain = found["scores"]["brain"]["embedding"]
    assert (brain["songs"], brain["works"]) == (4, 3) and "over 3 works" in brain["interval"]
    text = (tmp_path / "out" / "scores.md").read_text()
    assert "4 songs are versions of 3 works: intervals and p-values count works." in text
    assert json.loads((tmp_path / "out" / "split.json").read_text())["test"]["works"] == {"song-0": "w", "song-1": "w"}
    assert "| other subject | not measured: it takes a second presentation" in text
    assert " dB" not in text
    (warning,) = json.loads((tmp_path / "out" / "split.json").read_text())["look_alikes"]["warnings"]
    assert "its copy" in warning and "a song" in warning
    assert warning in (tmp_path / "out" / "report.html").read_text()
    assert warning in (tmp_path / "out" / "card.md").read_text()


def test_a_control_that_the_songs_do_not_allow_is_not_measured(
    tiny_checkpoint: Path, make_heard: MakeHeard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_heard(3)
    monkeypatch.setattr(units, "simulated_heard", lambda *_, **__: whole.select([0, 3, 0, 1]))
    level = LevelConfig(name="clean", snr="clean", conditions=("brain", "shuffled"), generate=())
    config = EvaluateConfig(checkpoint=str(tiny_checkpoint), seeds=(0,), levels=(level,), listening=FEW)
    found = run_evaluation(config, tmp_path / "out", device="cpu")["levels"][0]
    assert found["scores"]["brain"]["embedding"]["n"] == 4
    assert "One song has 3 of 4 windows" in found["scores"]["shuffled"]["why"]


def test_a_simulated_level_needs_its_ratio(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="The level 'a' has no snr"):
        run_evaluation(EvaluateConfig(levels=(LevelConfig(name="a"),)), tmp_path / "out")
