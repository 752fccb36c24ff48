"""A stopped evaluation goes on where it was, to the same scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eeg2music.errors import InputError
from eeg2music.evaluation import parts, units
from eeg2music.evaluation.config import SoundsConfig
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.material import ListeningConfig
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.runner import EvaluateConfig, LevelConfig, run_evaluation
from eeg2music.evaluation.units import Bench, Unit, UnitResult, level_units
from eeg2music.pipeline import SamplingConfig

MakeHeard = Callable[..., Heard]
CLEAN = LevelConfig(name="clean", snr="clean", conditions=("brain", "oracle"), generate=("brain",), generated_windows=2)
HARD = LevelConfig(name="hard", snr=-12.0, conditions=("brain", "oracle"), generate=())


class Watched:
    """Counts the units that are scored; may stop the run before one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, make_heard: MakeHeard) -> None:
        self.scored: list[tuple[float, str, int]] = []
        self.stop_after: int | None = None
        score = Bench.score

        def counted(bench: Bench, unit: Unit) -> UnitResult:
            if len(self.scored) == self.stop_after:
                raise KeyboardInterrupt
            self.scored.append((unit.snr_db, unit.condition, unit.seed))
            return score(bench, unit)

        def heard(config: object, snr_db: float, stems: object = None, *, seed: int = 0) -> Heard:
            return make_heard(4)

        monkeypatch.setattr(Bench, "score", counted)
        monkeypatch.setattr(units, "simulated_heard", heard)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, make_heard: MakeHeard) -> Watched:
    return Watched(monkeypatch, make_heard)


def config_of(checkpoint: Path, *levels: LevelConfig, **changes: Any) -> EvaluateConfig:
    # What is heard is random; these are the songs that are listened to for look-alikes.
    few = ListeningConfig(songs=2, song_seconds=6.6, window_start_s=1.0)
    settings = {
        "seeds": (0, 1),
        "sampling": SamplingConfig(steps=1),
        "reference_songs": 0,
        "listening": few,
        **changes,
    }
    settings.setdefault("sounds", SoundsConfig(clips=0))
    return EvaluateConfig(checkpoint=str(checkpoint), levels=levels, **settings)


def test_finished_units_are_not_scored_again(tiny_checkpoint: Path, tmp_path: Path, watched: Watched) -> None:
    whole = run_evaluation(config_of(tiny_checkpoint, CLEAN), tmp_path / "whole", device="cpu")
    every = list(watched.scored)
    assert len(every) == len(set(every)) == 4
    watched.scored.clear()
    watched.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(config_of(tiny_checkpoint, CLEAN), tmp_path / "out", device="cpu")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parts", "whole"]
    assert len(list((tmp_path / "out.parts").iterdir())) == 3
    watched.stop_after = None
    steps: list[str] = []
    resumed = run_evaluation(
        config_of(tiny_checkpoint, CLEAN),
        tmp_path / "out",
        device="cpu",
        hook=lambda step, artefact=None: steps.append(step),
    )
    assert watched.scored == every
    assert resumed == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]
    assert (tmp_path / "out" / "scores.json").read_bytes() == (tmp_path / "whole" / "scores.json").read_bytes()
    assert "3 of 4 units finished; clean, oracle, seed 1" in steps
    assert "4 of 4 units finished" in steps


def test_levels_and_conditions_may_be_added(tiny_checkpoint: Path, tmp_path: Path, watched: Watched) -> None:
    watched.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(config_of(tiny_checkpoint, CLEAN), tmp_path / "out", device="cpu")
    watched.stop_after = None
    watched.scored.clear()
    more = CLEAN.model_copy(update={"name": "easy", "conditions": ("shuffled", "brain", "oracle")})
    scores = run_evaluation(config_of(tiny_checkpoint, HARD, more), tmp_path / "out", device="cpu")
    # The first seed's brain of the clean level is there already, and its oracle, which is the same at both levels.
    assert set(watched.scored) >= {(0.0, "shuffled", 0), (0.0, "shuffled", 1), (-12.0, "brain", 0), (-12.0, "brain", 1)}
    assert [name for _, name, _ in watched.scored].count("oracle") == 1
    assert (0.0, "brain", 0) not in watched.scored
    assert len(watched.scored) == 6
    assert [level["name"] for level in scores["levels"]] == ["hard", "easy"]
    assert list(scores["levels"][1]["scores"]) == ["shuffled", "brain", "oracle"]
    assert scores["levels"][1]["distances"].keys() == {"brain"}


def test_the_key_knows_what_decides_a_unit(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tiny_checkpoint, CLEAN)
    unit = level_units(CLEAN, config)[0]

    def key(config: EvaluateConfig = config, checkpoint: Path = tiny_checkpoint, device: str = "cpu") -> str:
        return Parts(tmp_path / "out", config, checkpoint, device).key(unit)

    assert key() == key(config.model_copy(update={"workers": 4, "seeds": (0,), "levels": (HARD,)}))
    assert key() == key(checkpoint=shutil.copytree(tiny_checkpoint, tmp_path / "same"))
    manifest = shutil.copytree(tiny_checkpoint, tmp_path / "manifest")
    (manifest / "encoder" / "training_manifest.json").write_text(json.dumps({"songs": ["song-1"]}))
    weights = shutil.copytree(tiny_checkpoint, tmp_path / "weights")
    with next((weights / "codec").glob("*.safetensors")).open("ab") as file:
        file.write(b" ")
    others = [
        key(checkpoint=manifest),
        key(checkpoint=weights),
        key(device="cuda"),
        key(config.model_copy(update={"sampling": SamplingConfig(steps=2)})),
        key(config.model_copy(update={"listening": ListeningConfig(songs=51)})),
    ]
    monkeypatch.setattr(parts, "source_sha256", lambda: "other code")
    others.append(key())
    monkeypatch.undo()
    assert len({key(), *others}) == 7
    assert not (tmp_path / "out.parts").exists()


def test_a_folder_of_something_else_is_left_alone(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "out.parts").mkdir()
    (tmp_path / "out.parts" / "wheel.stl").write_text("solid")
    with pytest.raises(InputError, match=r"wheel\.stl"):
        run_evaluation(config_of(tiny_checkpoint, CLEAN), tmp_path / "out", device="cpu")
    assert (tmp_path / "out.parts" / "wheel.stl").read_text() == "solid"


def test_half_written_parts_are_swept(tiny_checkpoint: Path, tmp_path: Path) -> None:
    config = config_of(tiny_checkpoint, CLEAN)
    unit = level_units(CLEAN, config)[0]
    kept = Parts(tmp_path / "out", config, tiny_checkpoint, "cpu")
    half = kept.folder / f".{kept.key(unit)}-x1"
    half.mkdir(parents=True)
    (half / "unit.json").write_text("{")
    assert not Parts(tmp_path / "out", config, tiny_checkpoint, "cpu").has(unit)
    assert not half.exists()
