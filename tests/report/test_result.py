"""What a run may write over, and what it may not. The result itself is tested where it is made, in test_generation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eeg2music.audio import read_audio
from eeg2music.errors import InputError
from eeg2music.files import check_result_folder
from eeg2music.mixing.mixer import MixResult, mix
from eeg2music.report.result import (
    RESULT_FILES,
    Clip,
    Result,
    Stopwatch,
    _figures,
    _recording_tables,
    common_gain,
    recording_report,
    sound_report,
    write_clip,
    write_sound,
)
from eeg2music.seeding import numpy_rng
from eeg2music.types import REGIONS, STEMS, Event, Recording


def test_new_empty_and_earlier_results_may_be_replaced(tmp_path: Path) -> None:
    check_result_folder(tmp_path / "new" / "deeper", RESULT_FILES)
    check_result_folder(tmp_path, RESULT_FILES)
    (tmp_path / "stems").mkdir()
    (tmp_path / "mix.wav").touch()
    check_result_folder(tmp_path, RESULT_FILES)


@pytest.mark.parametrize("name", ["notes.txt", ".git", "Mix.wav"])
def test_anything_else_may_not(tmp_path: Path, name: str) -> None:
    (tmp_path / "report.json").touch()
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"such as .*Remedy: choose a new folder with --out"):
        check_result_folder(tmp_path, RESULT_FILES)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        check_result_folder(tmp_path / "file", RESULT_FILES)
    with pytest.raises(InputError, match="Nothing can be written"):
        check_result_folder(tmp_path / "file" / "below", RESULT_FILES)


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_result_folder(".", RESULT_FILES)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        check_result_folder(".", RESULT_FILES)


def mixed(*peaks: float) -> MixResult:
    stems = np.zeros((len(STEMS), 2400), dtype=np.float32)
    stems[:, 700] = peaks  # away from the ends, which are faded
    return MixResult(np.zeros((2, 2400), dtype=np.float32), stems, {})


def test_stems_that_would_clip_are_all_scaled_alike(tmp_path: Path) -> None:
    loud, calm = mixed(0.5, -2.5, 1.0, 0.25), mixed(0.5, -1.0, 1.0, 0.25)
    assert common_gain(calm) == 1.0
    assert common_gain(loud, calm) == common_gain(calm, loud) == pytest.approx(0.4)
    write_sound(tmp_path / "loud", loud)
    write_sound(tmp_path / "calm", calm)
    for folder, expected in (("loud", [0.2, -1.0, 0.4, 0.1]), ("calm", [0.5, -1.0, 1.0, 0.25])):
        written = [read_audio(tmp_path / folder / f"stems/{name}.wav")[700] for name in STEMS]
        assert written == pytest.approx(expected, abs=1 / 32768)


def test_a_clip_and_its_companion_are_scaled_alike_and_the_report_says_so(tmp_path: Path) -> None:
    clip, silent = (Clip(one.stems, one, None) for one in (mixed(0.5, 0.1, 0.1, 0.1), mixed(2.0, 0.1, 0.1, 0.1)))
    recording = Recording(
        np.zeros((1, 64), np.float32), 64.0, ("Cz",), np.full((1, 3), np.nan, np.float32), kind="eeg", key="a"
    )
    facts = recording_report(recording, recording, None)
    loud = MixResult(
        clip.mixed.stereo,
        clip.mixed.stems,
        {**mix(clip.stems, regions=REGIONS).report, "stems": {}},
    )
    clip = Clip(clip.stems, loud, None)
    report = {
        **sound_report(clip, {}, 0), "checkpoint_sha256": "0", "recording": facts, "notes": [], "warnings": [],
    }  # fmt: skip
    write_clip(tmp_path, Result(report, clip, silent, recording), title="Title")
    assert report["stems_gain"] == pytest.approx(0.5)
    assert read_audio(tmp_path / "stems/drums.wav")[700] == pytest.approx(0.25, abs=1 / 32768)
    assert read_audio(tmp_path / "no_brain/stems/drums.wav")[700] == pytest.approx(1.0, abs=1 / 32768)
    assert "by the factor 0.500 (-6.0 dB), so that none clips" in (tmp_path / "report.html").read_text()


def test_what_is_marked_bad_stands_in_the_report() -> None:
    recording = Recording(
        np.zeros((1, 640), np.float32), 64.0, ("Cz",), np.full((1, 3), np.nan, np.float32), kind="eeg", key="a"
    )
    assert recording_report(recording, recording, None)["marked_bad_s"] == []
    marked = recording.replace(events=(Event(1.0, 2.0, "bad"), Event(2.5, 1.0, "bad"), Event(5.0, 1.0, "music")))
    assert recording_report(marked, marked, None)["marked_bad_s"] == [[1.0, 3.5]]


def test_time_adds_up_by_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 10.0, 12.5, 20.0, 20.5])
    monkeypatch.setattr("eeg2music.report.result.time.perf_counter", lambda: next(ticks))
    watch = Stopwatch()
    for stage in ("encode", "mix", "encode"):
        with watch(stage):
            pass
    assert watch.seconds == {"encode": 1.5, "mix": 2.5}


def test_what_the_mixer_did_and_why_stands_on_the_page(tmp_path: Path) -> None:
    stems = np.stack([0.1 * numpy_rng(0, name).standard_normal(48_000) for name in STEMS]).astype(np.float32)
    made = mix(stems, regions=REGIONS)
    told = {"corrections": ["bass did A"], "left_alone": ["drums beats at B"], "notes": ["The mix lies at C"]}
    made = replace(made, report={**made.report, **told})
    clip = Clip(stems, made, None)
    recording = Recording(
        np.zeros((1, 64), np.float32), 64.0, ("Cz",), np.full((1, 3), np.nan, np.float32), kind="eeg", key="a"
    )
    facts = recording_report(recording, recording, None)
    report = {
        **sound_report(clip, {}, 0), "checkpoint_sha256": "0", "recording": facts, "notes": ["Said <so>"],
        "warnings": [],
    }  # fmt: skip
    write_clip(tmp_path, Result(report, clip, clip, recording), title="Title")
    page = (tmp_path / "report.html").read_text()
    assert '<p class="note">Said &lt;so&gt;</p>' in page
    assert "bass did A. drums beats at B. The mix lies at C." in page
    assert f"turned down by up to {made.report['limiter_db']:.1f} dB" in page or "nothing was limited" in page
    # Noise has a key that fits best, and it is not clear.
    assert made.report["stems"]["drums"]["key"] and page.count("no clear key (nearest: ") == len(STEMS)
    assert "Settings" not in page
    assert page.count("times the tempo") == 1
    for row in made.report["stems"].values():
        assert f">{row['gain_db']:+.1f}</td>" in page


def test_the_mix_that_is_drawn_is_the_mix_that_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    stems = np.stack([0.1 * numpy_rng(0, name).standard_normal(48_000) for name in STEMS]).astype(np.float32)
    clip, silent = (Clip(audio, mix(audio, regions=REGIONS), None) for audio in (stems, 0.5 * stems[::-1]))
    recording = Recording(
        np.zeros((1, 64), np.float32), 64.0, ("Cz",), np.full((1, 3), np.nan, np.float32), kind="eeg", key="a"
    )
    drawn: dict[str, np.ndarray] = {}
    monkeypatch.setattr("eeg2music.report.result.figures.spectrograms", lambda panels: drawn.update(panels) or b"")
    _figures(Result({}, clip, silent, recording))
    assert list(drawn) == ["mix", "mix without the brain", *STEMS]
    np.testing.assert_array_equal(drawn["mix"], clip.mixed.stereo.mean(0))
    np.testing.assert_array_equal(drawn["mix without the brain"], silent.mixed.stereo.mean(0))
    np.testing.assert_array_equal(drawn["bass"], stems[1])


@pytest.mark.parametrize(("left_out", "bad"), [({}, {}), ({"EOG": "eyes"}, {}), ({}, {"Cz": "flat"})])
def test_a_recording_without_bad_channels_says_so(left_out: dict[str, str], bad: dict[str, str]) -> None:
    places = np.full((1, 3), np.nan, np.float32)
    recording = Recording(
        np.zeros((1, 64), np.float32), 64.0, ("Cz",), places, "eeg", "a", bad_channels=bad, left_out=left_out
    )
    facts = recording_report(recording, recording, None)
    table = _recording_tables({"recording": facts, "seconds_by_stage": {}})[0]
    assert ("No channel was left out, and none is bad." in table["note"]) == (not left_out and not bad)
    assert len(table["rows"]) == len(left_out) + len(bad)
    assert "1 channels of scalp EEG" in table["note"]
