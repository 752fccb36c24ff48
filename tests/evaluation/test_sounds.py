"""Clips to listen to: the ones that were scored, measured, written, shown and found again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from eeg2music.audio import read_audio, write_audio
from eeg2music.config import load_config
from eeg2music.errors import ConfigError, InputError
from eeg2music.evaluation import sounds_scores, units
from eeg2music.evaluation.baselines import through_codec
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig, SoundsConfig
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.material import ListeningConfig
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.reconstruction import reconstruction_scores
from eeg2music.evaluation.runner import run_evaluation
from eeg2music.evaluation.sounds import SoundUnit, clip_rows, sound_units
from eeg2music.evaluation.sounds_page import gallery, sound_tables
from eeg2music.evaluation.units import Bench, Unit, spread_rows, unit_of
from eeg2music.pipeline import SamplingConfig, load_pipeline
from eeg2music.types import STEMS, FloatArray

MakeHeard = Callable[..., Heard]
SONGS = 5
CLEAN = LevelConfig(
    name="clean",
    snr="clean",
    conditions=("brain", "oracle", "no_brain"),
    generate=("brain", "oracle"),
    generated_windows=6,
)


def config_of(checkpoint: Path, **changes: Any) -> EvaluateConfig:
    settings: dict[str, Any] = {
        "listening": ListeningConfig(songs=SONGS, song_seconds=6.6, window_start_s=1.0),
        "seeds": (0, 3),
        "levels": (CLEAN,),
        "sampling": SamplingConfig(steps=1),
        "reference_songs": 9,
        "sounds": SoundsConfig(clips=4, written=2, stems=True),
        **changes,
    }
    return EvaluateConfig(checkpoint=str(checkpoint), **settings)


@pytest.fixture(autouse=True)
def material(monkeypatch: pytest.MonkeyPatch, make_heard: MakeHeard) -> None:
    monkeypatch.setattr(units, "simulated_heard", lambda *_, **__: make_heard(SONGS))


@pytest.fixture(scope="module")
def result(tiny_checkpoint: Path, make_heard: MakeHeard, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sounds")
    made: dict[str, FloatArray] = {}
    generated = units.generate_clips

    def keep(conditions: Any, evidence: Any, rows: list[int], sampling: Any) -> FloatArray:
        """What the scored units made, by window."""
        clips = generated(conditions, evidence, rows, sampling)
        name = "oracle" if conditions is not None and len(conditions) == len(evidence.heard.windows) else "?"
        for row, clip in zip(rows, clips, strict=True):
            made[f"{evidence.seed} {name} {len(made)} {row}"] = clip
        return clips

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "simulated_heard", lambda *_, **__: make_heard(SONGS))
        patch.setattr(units, "generate_clips", keep)
        config = config_of(tiny_checkpoint, seeds=(0,))
        scores = run_evaluation(config, folder / "out", device="cpu")
    return {"scores": scores, "out": folder / "out", "made": list(made.items()), "config": config}


def test_the_clips_are_those_that_were_scored(result: dict[str, Any], make_heard: MakeHeard) -> None:
    sounds = result["scores"]["sounds"]
    heard = make_heard(SONGS)
    rows = clip_rows(heard, 6, 4)
    assert set(rows) < set(spread_rows(heard, 6))
    scored = {int(key.split()[-1]) for key, _ in result["made"]}
    assert set(rows) < scored
    written = [rows[0], rows[-1]]
    for listed, row in zip(sounds["files"], written, strict=True):
        assert (listed["song"], listed["listener"]) == (heard.query_songs[row], heard.query_subjects[row])
        for name in ("brain", "oracle"):
            file = read_audio(result["out"] / listed["files"][name])
            candidates = [clip for key, clip in result["made"] if key.split()[0] == "0" and int(key.split()[-1]) == row]
            assert len(candidates) == 2  # of the brain and of the oracle
            errors = [np.abs(sounds["gain"] * clip.sum(0) - file).max() for clip in candidates]
            # One step of sixteen bits, and no more than that.
            assert min(errors) <= 1.001 * 2.0**-15, name
        assert np.abs(sounds["gain"] * heard.stems[heard.target[row]].sum(0) - read_audio(
            result["out"] / listed["files"]["heard"])).max() < 2.0**-15  # fmt: skip


def test_a_clip_is_the_units_to_the_byte(tiny_checkpoint: Path, make_heard: MakeHeard) -> None:
    config = config_of(tiny_checkpoint, sounds=SoundsConfig(clips=3, written=3))
    bench = Bench(config, tiny_checkpoint, "cpu")
    caught: list[FloatArray] = []
    score = units.generated_score
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "generated_score", lambda clips, *given: (caught.append(clips), score(clips, *given))[1])
        bench.score(unit_of(CLEAN, "brain", 0))
    unit = next(unit for unit in sound_units(config) if unit.condition == "brain")
    kept = unit.score(bench).sounds
    assert kept is not None
    scored = spread_rows(make_heard(SONGS), 6)
    for row, mix in zip(clip_rows(make_heard(SONGS), 6, 3), kept["mix"], strict=True):
        assert mix.tobytes() == caught[0][scored.index(row)].sum(0).tobytes()


def test_ceiling_and_rows(result: dict[str, Any], tiny_checkpoint: Path, make_heard: MakeHeard) -> None:
    sounds = result["scores"]["sounds"]
    assert list(sounds["reconstruction"]) == ["codec", "brain", "oracle", "no_brain"]
    assert list(sounds["stems"]) == ["heard", "codec", "brain", "oracle", "no_brain"]
    assert (sounds["clips"], sounds["seed"], sounds["level"]) == (4, 0, "clean")
    heard = make_heard(SONGS)
    chosen = heard.select(clip_rows(heard, 6, 4))
    truth = chosen.stems[chosen.target]
    codec = through_codec(load_pipeline(tiny_checkpoint, "cpu").codec, truth)
    expected = reconstruction_scores(codec, truth, songs=chosen.query_songs, seed=0, measures=["mel_correlation"])
    for row in expected:
        for name in ("brain", "oracle", "no_brain"):
            found = next(
                one
                for one in sounds["reconstruction"][name]
                if (one["measure"], one["stem"]) == (row["measure"], row["stem"])
            )
            assert found["ceiling"] == pytest.approx(row["mean"], abs=1e-9)
            assert found["n"] == 4
    assert all(row["ceiling"] is None for row in sounds["reconstruction"]["codec"])
    assert sounds["why"] == {"shuffled": "the level does not score it"}


def test_classes_are_of_every_scored_clip(result: dict[str, Any]) -> None:
    classes = result["scores"]["sounds"]["classes"]
    assert "funk" in classes["why"]["genre"]
    assert classes["why"]["no_brain"] == "its clips are not scored"
    assert classes["bank"] == 4
    assert {row["n"] for row in classes["rows"]["brain"]} == {6}
    assert {row["n"] for row in classes["rows"]["heard"]} == {SONGS}


def test_files_and_players_are_relative_and_whole(result: dict[str, Any]) -> None:
    out, sounds = result["out"], result["scores"]["sounds"]
    page = (out / "report.html").read_text()
    players = re.findall(r'src="(clips/[^"]+)"', page)
    assert len(players) == 2 * 5
    for player in players:
        info = soundfile.info(out / player)
        assert (info.samplerate, info.channels, info.subtype, info.duration) == (24000, 1, "PCM_16", 5.0)
    waves = sorted(path for path in out.rglob("*.wav"))
    assert sum(path.stat().st_size for path in waves) == sounds["bytes"]
    for listed in sounds["files"]:
        # The stems of a clip add up to it.
        paths = listed["stems"]["brain"]
        assert [Path(path).stem for path in paths] == list(STEMS)
        total = sum(read_audio(out / path) for path in paths)
        assert np.abs(total - read_audio(out / listed["files"]["brain"])).max() < 5.0 * 2.0**-15
    table = (out / "scores.md").read_text()
    assert "## clean (0 dB): how near the brain's music comes to what was heard" in table
    assert "| shuffled | not measured: the level does not score it" in table
    assert "| genre | not measured: all songs are of one class (funk)" in table
    assert json.loads((out / "scores.json").read_text())["sounds"] == json.loads(json.dumps(sounds))


def test_a_rerun_replaces_the_sounds_and_leaves_foreign_folders(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = CLEAN.model_copy(update={"conditions": ("brain",), "generate": ("brain",), "generated_windows": 2})
    one = config_of(tiny_checkpoint, levels=(level,), sounds=SoundsConfig(written=1), seeds=(0,), reference_songs=0)
    scores = run_evaluation(one, tmp_path / "out", device="cpu")
    assert scores["sounds"]["clips"] == 2  # no more than the level scores
    assert scores["sounds"]["classes"]["why"] == {"classes": "there are no reference songs beside the heard ones"}
    (tmp_path / "out" / "clips" / "brain" / "stale.wav").write_bytes(b"RIFF")
    run_evaluation(one, tmp_path / "out", device="cpu")
    names = sorted(path.name for path in (tmp_path / "out" / "clips" / "brain").iterdir())
    assert names == ["song-0-sub-a.wav"]
    (tmp_path / "out" / "thesis").mkdir()
    with pytest.raises(InputError, match="thesis"):
        run_evaluation(one, tmp_path / "out", device="cpu")


def test_finished_sounds_are_not_made_again(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = CLEAN.model_copy(update={"conditions": ("brain",), "generate": ("brain",), "generated_windows": 3})
    config = config_of(tiny_checkpoint, levels=(level,), seeds=(0,), reference_songs=0)
    whole = run_evaluation(config, tmp_path / "whole", device="cpu")
    done: list[str] = []
    measured = SoundUnit.score

    def stopped(unit: SoundUnit, bench: Bench) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(unit.condition)
        return measured(unit, bench)

    monkeypatch.setattr(SoundUnit, "score", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(config, tmp_path / "out", device="cpu")
    first, done[:] = set(done), []
    again = run_evaluation(config, tmp_path / "out", device="cpu")
    assert len(done) == 1 and first | set(done) == {"heard", "codec", "brain"}
    assert again == whole
    for path in (tmp_path / "whole").rglob("*.wav"):
        other = tmp_path / "out" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == other.read_bytes()


def test_what_decides_the_sounds_is_in_their_key(tiny_checkpoint: Path, tmp_path: Path) -> None:
    config = config_of(tiny_checkpoint)
    parts = Parts(tmp_path / "out", config, tiny_checkpoint, "cpu")

    def key(condition: str = "brain", **changes: Any) -> str:
        given = {"clips": 4, "scored": 8, "written": 2, "stems": False, "seed": 0, "snr_db": 0.0, **changes}
        return parts.key(SoundUnit("any name", given.pop("snr_db"), condition, **given))

    different = [
        key(),
        key("oracle"),
        key(clips=3),
        key(scored=9),
        key(written=1),
        key(stems=True),
        key(seed=1),
        key(snr_db=-9.0),
        parts.key(Unit("any name", 0.0, "brain", 0, 4)),
    ]
    assert len(set(different)) == len(different)
    for name in ("heard", "codec", "oracle", "no_brain"):
        assert key(name) == key(name, snr_db=-9.0)


def test_level_and_seed_are_chosen_by_name(tiny_checkpoint: Path) -> None:
    hard = CLEAN.model_copy(update={"name": "hard", "snr": -12.0})
    chosen = SoundsConfig(level="hard", seed=3)
    found = sound_units(config_of(tiny_checkpoint, levels=(CLEAN, hard), sounds=chosen, seed=10))
    assert {(unit.level, unit.snr_db, unit.seed) for unit in found} == {("hard", -12.0, 13)}
    assert [unit.condition for unit in found] == ["heard", "codec", "brain", "oracle", "no_brain"]
    with pytest.raises(ConfigError, match=r"no level 'harder'.*clean"):
        sound_units(config_of(tiny_checkpoint, sounds=SoundsConfig(level="harder")))
    with pytest.raises(ConfigError, match=r"1 is none of the seeds"):
        sound_units(config_of(tiny_checkpoint, sounds=SoundsConfig(seed=1)))
    with pytest.raises(ConfigError, match=r"no 'brian'\. Allowed: brain"):
        load_config(EvaluateConfig, None, ["sounds.conditions=[brian]"])


@pytest.mark.parametrize(
    ("sounds", "level", "why"),
    [
        (SoundsConfig(clips=0), CLEAN, "sounds.clips is 0"),
        (SoundsConfig(), CLEAN.model_copy(update={"generate": ()}), "no clips are scored at the level clean"),
    ],
)
def test_without_clips_nothing_is_made_and_the_reason_stands(
    tiny_checkpoint: Path, tmp_path: Path, sounds: SoundsConfig, level: LevelConfig, why: str
) -> None:
    config = config_of(tiny_checkpoint, sounds=sounds, levels=(level,), seeds=(0,), reference_songs=0)
    assert sound_units(config) == []
    found = sounds_scores.gather_sounds(config, lambda unit: pytest.fail("nothing to read"), list)
    assert found.scores["why"] == {"sounds": why}
    assert not found.waves
    assert sound_tables({"sounds": found.scores}) == []
    assert gallery({"sounds": found.scores}) is None


def test_prepared_music_says_why_it_has_no_classes(
    tiny_checkpoint: Path, tmp_path: Path, make_heard: MakeHeard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "prepared_heard", lambda *_, **__: make_heard(4, subjects=("sub-a",)))
    monkeypatch.setattr("eeg2music.evaluation.parts._material", lambda config: {})
    monkeypatch.setattr("eeg2music.evaluation.runner.hear_heard", lambda *_: None)
    monkeypatch.setattr("eeg2music.evaluation.runner.PreparedDataset", lambda cache: None)
    monkeypatch.setattr("eeg2music.evaluation.runner.brain_map", lambda *_: ("Brain maps", "", None))
    level = CLEAN.model_copy(update={"conditions": ("brain",), "generate": ("brain",), "generated_windows": 2})
    sounds = SoundsConfig(written=1)
    config = config_of(tiny_checkpoint, prepared="cache", levels=(level,), seeds=(0,), sounds=sounds)
    found = run_evaluation(config, tmp_path / "out", device="cpu")["sounds"]
    assert "prepared music comes without classes" in found["classes"]["why"]["classes"]
    assert (found["level"], found["snr_db"], found["listeners"]) == ("recorded", None, 1)
    assert found["reconstruction"]["brain"]
    assert "| classes | not measured: prepared music" in (tmp_path / "out" / "scores.md").read_text()


def test_clips_of_too_few_songs_are_heard_and_not_measured(tiny_checkpoint: Path, tmp_path: Path) -> None:
    level = CLEAN.model_copy(update={"conditions": ("brain",), "generate": ("brain",), "generated_windows": 2})
    config = config_of(
        tiny_checkpoint, levels=(level,), seeds=(0,), sounds=SoundsConfig(clips=1, conditions=("brain",))
    )
    found = run_evaluation(config, tmp_path / "out", device="cpu")["sounds"]
    assert (found["clips"], found["reconstruction"], found["stems"]) == (1, {}, {})
    assert "One song has 1 of 1 windows" in found["why"]["measures"]
    assert (tmp_path / "out" / found["files"][0]["files"]["brain"]).is_file()
    assert "| measures | not measured: One song has 1 of 1" in (tmp_path / "out" / "scores.md").read_text()


def test_names_of_files_stay_in_their_folder_and_apart() -> None:
    windows = [["../a/b", "sub-1"], ["..\\a b", "sub-1"], ["Song", "sub-1"], ["song", "sub-2"], ["..", "sub-1"]]
    names = sounds_scores._names(windows)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", part) for pair in names for part in pair)
    assert len({pair[0].casefold() for pair in names}) == 5


def test_loud_clips_share_one_gain(tmp_path: Path) -> None:
    loud, soft = np.full((1, 2400), 2.0, np.float32), np.full((1, 2400), 0.5, np.float32)
    found = {name: units.UnitResult({}, {}, sounds={"mix": wave}) for name, wave in (("heard", soft), ("brain", loud))}
    waves, files, gain = sounds_scores._files(found, {"windows": [["song", "sub-1"]], "written": [0]})
    assert gain == 0.5
    for path, wave in waves.items():
        write_audio(tmp_path / path, wave)
    levels = [np.abs(read_audio(tmp_path / files[0]["files"][name])).max() for name in ("heard", "brain")]
    assert levels == pytest.approx([0.25, 1.0], abs=1e-4)
