"""The main job from end to end with tiny models: everything that the report promises is there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from eeg2music.config import load_config
from eeg2music.demo import DemoConfig, chosen_rows, gather_evidence, longer_clip, run_demo, score_pictures
from eeg2music.errors import CheckpointError, ConfigError, InputError, LeakError
from eeg2music.evaluation.brain import AT_CHANCE, CONTROLS
from eeg2music.pipeline import load_pipeline
from eeg2music.types import SAMPLE_RATE_HZ, STEMS

SCORE_KEYS = {"accuracy", "top1", "ci95", "chance", "p_value", "n", "gallery_size"}
TINY = [
    "listening.songs=6", "listening.song_seconds=6.6", "clips=2", "clip_s=2", "levels=[-12]",
    "generate.sampling.steps=1",
]  # fmt: skip


def config(*overrides: str) -> DemoConfig:
    return load_config(DemoConfig, None, [*TINY, *overrides])


@pytest.fixture(scope="module")
def demo(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out"
    run_demo(config(), out, checkpoint=tiny_checkpoint, device="cpu")
    return out


@pytest.fixture(scope="module")
def report(demo: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((demo / "report.json").read_text())
    return read


def test_the_report_has_what_every_report_has(report: dict[str, Any]) -> None:
    assert report.keys() >= {
        "stems", "mix", "sample_rate_hz", "duration_s", "loudness_lufs", "real_time_factor", "seconds_by_stage",
        "seed", "checkpoint_sha256", "identification", "controls",
    }  # fmt: skip
    assert report["duration_s"] == pytest.approx(2.0)


def test_identification_is_reported_twice(report: dict[str, Any]) -> None:
    assert set(report["identification"]) == {"embedding", "generated"}
    for score in report["identification"].values():
        assert score.keys() >= SCORE_KEYS
        assert score["chance"] == 0.5
        assert score["gallery_size"] == 6
        assert score["style"] == "funk"
    assert report["identification"]["embedding"]["n"] == 6
    assert report["identification"]["generated"]["n"] == 2
    assert report["identification"]["embedding"]["space"] != report["identification"]["generated"]["space"]


def test_all_seven_controls_stand_beside(report: dict[str, Any]) -> None:
    assert list(report["controls"]) == list(CONTROLS)
    for name, control in report["controls"].items():
        assert control["embedding"].keys() >= SCORE_KEYS, name
        assert (control["generated"] is not None) == (name in ("shuffled", "oracle")), name
    assert report["controls"]["oracle"]["embedding"]["accuracy"] == 1.0
    silent = report["controls"]["no_brain"]["embedding"]
    assert silent["accuracy"] == 0.5
    assert "no embedding" in silent["note"] and "is no measurement" in silent["note"]


def test_random_weights_are_at_chance(report: dict[str, Any]) -> None:
    scores = {name: report["controls"][name]["embedding"] for name in AT_CHANCE}
    scores["brain"] = report["identification"]["embedding"]
    for name, score in scores.items():
        low, high = score["ci95"]
        assert low <= 0.5 <= high, name


def test_difficulty_is_told(report: dict[str, Any]) -> None:
    assert [point["snr_db"] for point in report["by_snr"]] == [0.0, -12.0]
    for point in report["by_snr"]:
        assert point["embedding"].keys() >= SCORE_KEYS and point["embedding"]["n"] == 6
    # The second level is scored on recordings of its own.
    assert report["by_snr"][1]["embedding"] != report["by_snr"][0]["embedding"]
    assert report["by_snr"][0]["embedding"] == report["identification"]["embedding"]
    assert any("simulated" in text and f"{report['real_snr_db']:g} dB" in text for text in report["warnings"])


def test_sounds_are_there(demo: Path, report: dict[str, Any]) -> None:
    for name in ("mix.wav", "no_brain/mix.wav", "heard.wav", *report["stems"].values()):
        info = soundfile.info(demo / name)
        assert (info.samplerate, info.frames) == (SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ), name
    assert set(report["stems"]) == set(STEMS)
    assert soundfile.info(demo / "mix.wav").channels == 2


def test_the_page_has_players_pictures_and_tables(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    sources = re.findall(r'<audio[^>]* src="([^"]+)"', page)
    assert {"mix.wav", "no_brain/mix.wav", "heard.wav"} <= set(sources)
    assert all((demo / source).is_file() for source in sources)
    assert page.count("data:image/png;base64,") == 6
    for name in CONTROLS:
        assert name.replace("_", " ") in page
    assert "6 held-out songs" in page
    assert "Generated here, 2 clips each: brain, shuffled, oracle." in page
    assert page.count('<td class="num">not generated here</td>') == 5
    assert "generated at 0 dB only" in page and "No channel was left out" in page
    assert "<summary>Settings" in page and "eeg2music demo --out OUT" in page


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in ("seconds_by_stage", "real_time_factor")}


def test_the_same_seed_is_the_same_demonstration(
    demo: Path, report: dict[str, Any], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Drawing takes longer than everything else here.
    monkeypatch.setattr("eeg2music.demo.score_pictures", lambda *_: [])
    monkeypatch.setattr("eeg2music.report.result._figures", lambda *_: [])
    again = run_demo(config(), tmp_path / "out", checkpoint=tiny_checkpoint, device="cpu")
    assert without_times(again) == without_times(report)
    for name in ("mix.wav", "heard.wav", "no_brain/mix.wav"):
        assert (tmp_path / "out" / name).read_bytes() == (demo / name).read_bytes(), name


def test_the_longer_clip_is_another_song_and_the_seed_is_of_its_recording() -> None:
    played, recording = longer_clip(config())
    assert played.shape == (2 * SAMPLE_RATE_HZ,)
    assert np.abs(played).max() > 0.01
    assert recording.duration_s == pytest.approx(2.0, abs=0.01)
    other_played, other = longer_clip(config("seed=1"))
    assert np.array_equal(other_played, played)
    assert not np.array_equal(other.signal_v, recording.signal_v)


def test_queries_are_spread() -> None:
    class Many:
        windows = tuple(range(50))

    assert chosen_rows(Many(), 3) == [0, 24, 49]  # type: ignore[arg-type]
    assert chosen_rows(Many(), 99) == list(range(50))  # type: ignore[arg-type]


def test_a_checkpoint_without_a_scorer_is_refused_before_anything_is_simulated(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("listened before the checkpoint was complete")

    monkeypatch.setattr("eeg2music.demo.simulated_heard", never)
    copy = Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))
    shutil.rmtree(copy / "scorer")
    with pytest.raises(CheckpointError, match=r"not a complete checkpoint: scorer missing.*Allowed: .*scorer/.*Remedy"):
        run_demo(config(), tmp_path / "out", checkpoint=copy, device="cpu")
    assert not (tmp_path / "out").exists()


def test_every_clip_is_of_the_listener_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from eeg2music.evaluation import material

    asked: list[dict[str, Any]] = []
    draw = material.draw_listener

    def note(subject: str, **options: Any) -> Any:
        asked.append({"subject": subject, **options})
        return draw(subject, **options)

    monkeypatch.setattr(material, "draw_listener", note)
    overrides = ("listening.montage=eeg32", "listening.crosstalk=0.3", "listening.response_family=late")
    longer_clip(config(*overrides))
    first = config().listening.subjects[0]
    assert asked == [{"subject": first, "montage": "eeg32", "response_family": "late", "crosstalk": 0.3}]


def test_the_crosstalk_is_in_the_longer_clip() -> None:
    _, usual = longer_clip(config())
    _, mixed = longer_clip(config("listening.crosstalk=0.9"))
    assert not np.array_equal(usual.signal_v, mixed.signal_v)


def test_a_second_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"generate\.seed = 3.*Allowed: one seed.*Remedy: use --seed"):
        config("generate.seed=3")


@pytest.mark.parametrize(
    "override",
    [
        "clips=0", "clips=-3", "clip_s=-1", "clip_s=1", "snr_db=.nan", "levels=[.nan]", "levels=[-.inf]",
        "listening.songs=0", "listening.songs=1", "listening.subjects=[]", "listening.song_seconds=6",
        "listening.window_start_s=-1", "generate.sampling.steps=0", "generate.sampling.curve_scale=.nan",
        "generate.sampling.embedding_scale=-1", "generate.sampling.interval=[0.8,0.2]", "generate.sampling.rescale=2",
        "generate.sampling.sampler=magic", "generate.sampling.shift=0", "generate.mixer.pan_width=.nan",
        "generate.mixer.gain_db={drumz: 9}", "generate.mixer.gain_db={drums: .nan}", "generate.mixer.untuned=[drumz]",
        "generate.mixer.pan={nowhere: 1}", "generate.mixer.level_db={drumz: 1}",
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(override: str) -> None:
    with pytest.raises(ConfigError, match=r"Allowed: ") as caught:
        config(override)
    key, _, value = override.partition("=")
    named = key.split(".")[-1]
    assert named in str(caught.value) or value.strip("{[")[:6] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["recording=a", "clips=2", "channels=[Cz]", "start_s=1", "only=[drums]", "given=x",
                                    "preprocess={}"])  # fmt: skip
def test_options_without_an_effect_are_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=r"Unknown key 'generate\.\w+'.*Allowed: sampling, mixer"):
        config(f"generate.{option}")


def test_the_heard_curves_lie_behind_the_decoded_ones(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("eeg2music.demo.score_pictures", lambda *_: [])
    monkeypatch.setattr("eeg2music.demo.write_result", lambda out, result, **_: drawn.append(result))
    run_demo(config(), tmp_path / "out", checkpoint=tiny_checkpoint, device="cpu")
    heard, decoded = drawn[0].heard_curves, drawn[0].clip.reading.conditions.curves[0]
    assert heard.shape[:2] == decoded.shape[:2] and abs(heard.shape[2] - decoded.shape[2]) <= 1
    assert heard[:, 1].std() > 0.01


def test_no_bar_is_drawn_for_what_has_no_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[str]] = {}
    monkeypatch.setattr(
        "eeg2music.demo.figures.identification_bars", lambda bars, title: drawn.setdefault(title, list(bars)) and b""
    )
    monkeypatch.setattr("eeg2music.demo.figures.identification_by_snr", lambda *_, **__: b"")
    score = {"accuracy": 0.5, "ci95": [0.4, 0.6], "n": 2, "gallery_size": 6}
    scores = {name: {"embedding": score, "generated": score} for name in ("brain", "no_brain", "oracle")}
    pictures = score_pictures(scores, [{"snr_db": 0.0, "embedding": score, "generated": score}])
    assert drawn["embedding"] == ["brain", "oracle"]
    # A generator without a brain does make clips.
    assert drawn["generated, judged by the scorer"] == ["brain", "no_brain", "oracle"]
    assert "there is no embedding" in pictures[0][1]


def test_the_settings_lead_back_to_the_demonstration(report: dict[str, Any]) -> None:
    assert DemoConfig.model_validate(report["settings"]["config"]) == config()
    words = shlex.split(report["settings"]["command"])
    assert words[:4] == ["eeg2music", "demo", "--out", "OUT"]
    assert load_config(DemoConfig, None, words[4:]) == config()


def test_listeners_whose_names_end_alike_are_told_apart(tiny_checkpoint: Path) -> None:
    alike = config('listening.subjects=["b01", "01"]')
    evidence = gather_evidence(alike, load_pipeline(tiny_checkpoint, "cpu"), tiny_checkpoint, 0.0)
    assert evidence.other is not None
    assert {window.subject for window in evidence.heard.windows} == {"sub-b01"}
    assert {window.subject for window in evidence.other.windows} == {"sub-01"}


def test_a_model_that_knows_the_songs_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    from eeg2music.evaluation.material import listening_songs

    copy = Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))
    known = listening_songs(config().listening)[3]
    (copy / "diffusion" / "training_manifest.json").write_text(json.dumps({"songs": [known]}))
    with pytest.raises(LeakError, match=known):
        run_demo(config(), tmp_path / "out", checkpoint=copy, device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_anything_else_in_it_is_left_alone(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        run_demo(config(), tmp_path, checkpoint=tiny_checkpoint, device="cpu")
