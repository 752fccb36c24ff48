"""A recording in, music out, on files as people have them: the same bytes for the same brain, and only for it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from eeg2music.audio import fade_edges, read_audio, write_audio
from eeg2music.compatibility import NO_LATENT_SPACE
from eeg2music.config import load_config
from eeg2music.errors import ConfigError, InputError
from eeg2music.generation import (
    GenerateConfig,
    Take,
    decode,
    kind_warnings,
    make_result,
    read_source,
    run_generate,
)
from eeg2music.generation_batch import run_generate_prepared
from eeg2music.pipeline import BrainToMusicPipeline, SamplingConfig, load_pipeline
from eeg2music.preparation import PrepareConfig, prepare
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.report import words
from eeg2music.report.result import Stopwatch, write_result
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, SAMPLE_RATE_HZ, STEMS, FloatArray
from eeg2music.weights import checkpoint_sha256

CONFIG = GenerateConfig(sampling=SamplingConfig(steps=2))
SOUNDS = ["mix.wav", *(f"stems/{name}.wav" for name in STEMS)]
REPORT_KEYS = {
    "stems", "mix", "sample_rate_hz", "duration_s", "loudness_lufs", "real_time_factor", "seconds_by_stage", "seed",
    "checkpoint_sha256",
}  # fmt: skip
SHORT_EDF = "musicattention_edf_cc0/EEG signals (edf)/subject12/20200620_day1/s_right2_0620_103747_Trial.edf"
LONG_EDF = "musicattention_edf_cc0/EEG signals (edf)/subject12/20200704_day2/e_right2_0704_105158_Trial.edf"
IEEG_EDF = "naplib_ieeg_edf/tests/io/tiny_test.edf"
XDF = "eeg_formats_xdf/clock_resets.xdf"


@pytest.fixture(scope="module")
def pipeline(tiny_checkpoint: Path) -> BrainToMusicPipeline:
    return load_pipeline(tiny_checkpoint, "cpu")


@pytest.fixture(scope="module")
def written() -> list[tuple[Any, ...]]:
    """The arguments with which the run of `result` wrote it."""
    return []


@pytest.fixture(scope="module")
def result(
    tiny_checkpoint: Path,
    recording_file: Path,
    written: list[tuple[Any, ...]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What one run leaves behind."""

    def write(*arguments: Any, **named: Any) -> None:
        written.append(arguments)
        write_result(*arguments, **named)

    out = tmp_path_factory.mktemp("generation") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eeg2music.generation.write_result", write)
        run_generate(recording_file, out, CONFIG, checkpoint=tiny_checkpoint, device="cpu")
    return out


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than a tiny model does; where the pictures are not looked at, they are left out."""
    monkeypatch.setattr("eeg2music.report.result._figures", lambda *_: [])


def sound_of(pipeline: BrainToMusicPipeline, path: Path, **changes: Any) -> FloatArray:
    """The stereo mix of a recording."""
    config = CONFIG.model_copy(update=changes)
    return decode(read_source(path, config), pipeline, config, watch=Stopwatch())[1].mixed.stereo


def sound_with_the_noise_of(
    other: Take, pipeline: BrainToMusicPipeline, path: Path, **changes: Any
) -> tuple[FloatArray, FloatArray]:
    """Stems of a recording and of the same noise without a brain, from another recording's noise.

    Each recording's noise is its own; only with the same noise does a difference tell that the brain was heard.
    """
    config = CONFIG.model_copy(update=changes)
    take = replace(read_source(path, config), noise_id=other.noise_id)
    _, clip, silent = decode(take, pipeline, config, watch=Stopwatch())
    return clip.stems, silent.stems


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


# -- the folder that is left behind --------------------------------------------------------------


def test_everything_is_there(result: Path) -> None:
    found = {str(path.relative_to(result)) for path in result.rglob("*") if path.is_file()}
    assert found == {"report.json", "report.html", *SOUNDS, *(f"no_brain/{name}" for name in SOUNDS)}
    assert [path.name for path in result.parent.iterdir()] == ["out"]


def test_the_report_says_what_was_made(result: Path, tiny_checkpoint: Path) -> None:
    report = report_of(result)
    assert report.keys() >= REPORT_KEYS
    assert set(report["stems"]) == set(STEMS)
    assert report["mix"] == "mix.wav"
    assert report["sample_rate_hz"] == SAMPLE_RATE_HZ
    assert report["duration_s"] == pytest.approx(2.5, abs=0.02)
    assert report["seed"] == 0
    assert report["checkpoint_sha256"] == checkpoint_sha256(tiny_checkpoint)
    assert set(report["seconds_by_stage"]) == {"preprocess", "encode", "generate", "mix", "write"}
    spent = sum(report["seconds_by_stage"].values())
    assert report["real_time_factor"] == pytest.approx(spent / report["duration_s"])
    assert report["recording"]["channels"] == ["Fz", "Cz", "C3", "C4", "T7", "T8", "Pz", "Oz"]
    assert "auxiliary" in report["recording"]["left_out"]["AUX1"]
    assert any("simulated brains" in text for text in report["warnings"])


def test_sounds_are_stereo_at_24_khz_and_as_long_as_the_report_says(result: Path) -> None:
    report = report_of(result)
    frames = round(report["duration_s"] * SAMPLE_RATE_HZ)
    for name, channels in [("mix.wav", 2), ("no_brain/mix.wav", 2), *((path, 1) for path in report["stems"].values())]:
        info = soundfile.info(result / name)
        assert (info.samplerate, info.channels, info.frames) == (SAMPLE_RATE_HZ, channels, frames), name


def test_the_mix_is_as_loud_as_the_report_says(result: Path) -> None:
    import pyloudnorm

    audio, rate = soundfile.read(result / "mix.wav")
    measured = pyloudnorm.Meter(rate).integrated_loudness(audio)
    assert measured == pytest.approx(report_of(result)["loudness_lufs"], abs=0.2)
    assert np.abs(audio).max() < 1.0


def test_the_same_seed_without_the_brain_lies_beside_and_differs(result: Path) -> None:
    assert (result / "mix.wav").read_bytes() != (result / "no_brain/mix.wav").read_bytes()


def test_the_page_plays_what_is_there_and_shows_pictures(result: Path) -> None:
    page = (result / "report.html").read_text()
    sources = re.findall(r'<audio[^>]* src="([^"]+)"', page)
    assert {"mix.wav", "no_brain/mix.wav"} <= set(sources)
    assert set(report_of(result)["stems"].values()) <= set(sources)
    assert all((result / source).is_file() for source in sources)
    assert page.count("data:image/png;base64,") == 3  # spectrograms, curves, regions
    assert "simulated brains" in page
    assert "AUX1" in page
    without_pictures = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)
    assert "http" not in without_pictures.replace("http-equiv", "")  # nothing is fetched


def test_nobody_is_named(result: Path) -> None:
    for path in result.rglob("*"):
        if path.is_file():
            assert b"ovelace" not in path.read_bytes(), path
            assert "ovelace" not in path.name


def test_the_settings_make_the_clip_again(
    recording_file: Path, tiny_checkpoint: Path, tmp_path: Path, no_pictures: None
) -> None:
    given = [
        "seed=5", "start_s=0.25", "stop_s=2.35", "line_freq_hz=60", "channels=[Fz, Cz, C3, C4, T7]",
        "montage=standard_1020", "sampling.steps=2", "sampling.curve_scale=1.5", "mixer.gain_db={bass: -3}",
    ]  # fmt: skip
    config = load_config(GenerateConfig, None, given)
    report = run_generate(recording_file, tmp_path / "one", config, checkpoint=tiny_checkpoint, device="cpu")
    settings = report_of(tmp_path / "one")["settings"]
    assert settings == report["settings"]
    assert settings["line_freq_hz"] == {"asked": 60.0, "found": 60.0}
    assert settings["montage"]["asked"] == "standard_1020" and "standard_1020, as asked" in settings["montage"]["found"]
    assert settings["channels"]["asked"] == settings["channels"]["found"] == ["Fz", "Cz", "C3", "C4", "T7"]
    assert settings["recording_id"] == read_source(recording_file, config).noise_id
    assert (settings["device"], settings["threads"]) == ("cpu", torch.get_num_threads())
    words = shlex.split(settings["command"])
    assert words[:5] == ["eeg2music", "generate", "INPUT", "--out", "OUT"]
    again = load_config(GenerateConfig, None, words[5:])
    run_generate(recording_file, tmp_path / "two", again, checkpoint=tiny_checkpoint, device="cpu")
    for name in SOUNDS:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert str(recording_file) not in json.dumps(report)


def test_what_was_not_asked_for_is_told_as_found(result: Path) -> None:
    settings = report_of(result)["settings"]
    assert settings["montage"]["asked"] is settings["channels"]["asked"] is settings["line_freq_hz"]["asked"] is None
    assert settings["montage"]["found"].startswith("positions by matching names with")
    assert settings["channels"]["found"] == report_of(result)["recording"]["channels"]
    assert (settings["config"]["start_s"], settings["config"]["stop_s"]) == (0.0, 2.5)
    assert "<summary>Settings" in (result / "report.html").read_text()


def test_regions_are_drawn_by_what_the_encoder_has_learned(
    recording_file: Path, pipeline: BrainToMusicPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Any, ...]] = []

    def draw(*arguments: Any) -> bytes:
        drawn.append(arguments)
        return b""

    monkeypatch.setattr("eeg2music.report.figures.head_regions", draw)
    take = read_source(recording_file, CONFIG)
    take = replace(take, recording=take.recording.replace(bad_channels={"C4": "told so"}))
    result = make_result(take, pipeline, CONFIG, "0" * 64)
    write_result(tmp_path / "out", result, title="Title")
    _, weights, _, good = drawn[0]
    row = result.clean.channel_names.index("C4")
    assert not good[row] and good.sum() == 7
    inputs = (torch.from_numpy(result.clean.positions_m)[None], torch.from_numpy(good)[None], torch.tensor([-1]))
    expected = pipeline.encoder.channel_weights(*inputs)
    assert expected is not None
    assert np.array_equal(weights, expected[0].numpy())
    assert not weights[:, row].any()
    assert words.REGION_WEIGHTS.split(".")[0] in (tmp_path / "out/report.html").read_text().replace("&#39;", "'")


def test_an_encoder_without_weights_by_region_says_so(
    recording_file: Path, pipeline: BrainToMusicPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.encoder, "channel_weights", lambda *_: None)
    result = make_result(read_source(recording_file, CONFIG), pipeline, CONFIG, "0" * 64)
    write_result(tmp_path / "out", result, title="Title")
    page = (tmp_path / "out/report.html").read_text()
    assert words.NO_WEIGHTS in page
    assert page.count("data:image/png;base64,") == 2


def test_too_few_positions_are_global_decoding_and_the_report_says_so(
    recording_file: Path, pipeline: BrainToMusicPipeline, tmp_path: Path
) -> None:
    take = read_source(recording_file, CONFIG)
    places = take.recording.positions_m.copy()
    places[4:] = np.nan
    # Four positions, but one of them is of a bad channel.
    few = take.recording.replace(positions_m=places, bad_channels={"Cz": "told so"})
    result = make_result(replace(take, recording=few), pipeline, CONFIG, "0" * 64)
    told = result.report["recording"]
    assert told["regions_known"] is False
    assert told["coverage"].startswith("regions could not be told apart: global decoding only (")
    assert "position unknown: 4 electrodes" in told["coverage"]
    write_result(tmp_path / "out", result, title="Title")
    page = (tmp_path / "out/report.html").read_text()
    assert told["coverage"].replace("_", " ") in page and words.NO_REGIONS in page
    assert "one for each region" not in page and "bass (whole recording)" in page
    assert page.count("data:image/png;base64,") == 2
    curves = result.clip.reading.conditions.curves[0]  # type: ignore[union-attr]
    assert torch.equal(curves[0], curves[3])
    whole = make_result(take, pipeline, CONFIG, "0" * 64).report["recording"]
    assert whole["regions_known"] is True
    assert "electrode" in whole["coverage"] and "global" not in whole["coverage"]


def test_bad_channels_cover_no_region(recording_file: Path, pipeline: BrainToMusicPipeline) -> None:
    take = read_source(recording_file, CONFIG)
    without = replace(take, recording=take.recording.replace(bad_channels={"T8": "told so"}))
    reports = [make_result(one, pipeline, CONFIG, "").report["recording"]["coverage"] for one in (take, without)]
    assert "right_temporal: 2 electrodes;" in reports[0]
    assert "right_temporal: 1 electrode;" in reports[1]


# -- other signals and known people ------------------------------------------------------------


def test_intracranial_signals_are_warned_of_and_magnetic_ones_refused(
    recording_file: Path, pipeline: BrainToMusicPipeline
) -> None:
    take = read_source(recording_file, CONFIG)
    assert kind_warnings("eeg", pipeline.encoder) == []
    inside = replace(take, recording=take.recording.replace(kind="ieeg"))
    warnings = make_result(inside, pipeline, CONFIG, "").report["warnings"]
    assert any("is intracranial EEG" in text and "trained on scalp EEG" in text for text in warnings)
    magnetic = replace(take, recording=take.recording.replace(kind="meg"))
    with pytest.raises(InputError, match=r"is MEG.*trained on scalp EEG.*Remedy: train an encoder") as caught:
        make_result(magnetic, pipeline, CONFIG, "")
    assert "\n" not in str(caught.value)


def test_a_known_listener_is_told_of_and_not_named(recording_file: Path, pipeline: BrainToMusicPipeline) -> None:
    take = read_source(recording_file, CONFIG)
    assert make_result(take, pipeline, CONFIG, "").report["recording"]["listener_known"] is False
    known = replace(take, recording=take.recording.replace(subject="sub-train01"))
    report = make_result(known, pipeline, CONFIG, "").report
    assert report["recording"]["listener_known"] is True
    assert words.LISTENER_KNOWN in report["notes"]
    assert "train01" not in json.dumps(report)


def test_what_is_to_be_said_about_the_models_stands_in_the_report(
    recording_file: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))
    (copy / "diffusion" / "training_manifest.json").unlink()
    result = make_result(read_source(recording_file, CONFIG), load_pipeline(copy, "cpu"), CONFIG, "")
    assert NO_LATENT_SPACE in result.report["warnings"]


# -- some stems alone --------------------------------------------------------------------------


def test_stems_alone_and_beside_given_ones(recording_file: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "band"
    bass = 0.4 * numpy_rng(0, "bass").uniform(-1, 1, round(2.5 * SAMPLE_RATE_HZ)).astype(np.float32)
    write_audio(folder / "bass.wav", bass)
    chosen = [f"given={folder}", "only=[drums,melody]", "sampling.steps=2"]
    config = load_config(GenerateConfig, None, chosen)
    out = tmp_path / "out"
    report = run_generate(recording_file, out, config, checkpoint=tiny_checkpoint, device="cpu")
    assert report == report_of(out)
    assert set(report["stems"]) == {"drums", "bass", "melody"}
    assert report["stems_given"] == ["bass"]
    assert report["stems_absent"] == ["harmony"]
    for place in (out, out / "no_brain"):
        assert {path.stem for path in (place / "stems").iterdir()} == set(report["stems"])
        written = read_audio(place / "stems/bass.wav")
        expected = fade_edges(read_audio(folder / "bass.wav")[: written.size] * np.float32(report["stems_gain"]))
        assert np.abs(written - expected).max() <= 1.0 / 32768
    page = (out / "report.html").read_text()
    assert "bass (given)" in page and "harmony (" not in page
    assert any("Given, not generated: bass" in note for note in report["notes"])
    assert any("Left out by choice: harmony" in note for note in report["notes"])
    assert (out / "mix.wav").read_bytes() != (out / "no_brain/mix.wav").read_bytes()


def test_stems_that_are_not_there(recording_file: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no 'trumpet'\. Allowed: drums"):
        load_config(GenerateConfig, None, ["only=[trumpet]"])
    config = CONFIG.model_copy(update={"given": str(tmp_path)})
    with pytest.raises(InputError, match=r"No given stem in .*drums\.wav"):
        run_generate(recording_file, tmp_path / "out", config, checkpoint=tiny_checkpoint, device="cpu")
    assert not (tmp_path / "out").exists()


def test_how_much_memory_it_takes_is_said_before_the_models_are_loaded(
    recording_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eeg2music.memory.UNSAID_GB", 0.0)
    monkeypatch.setattr("eeg2music.generation.load_pipeline", stop)
    with pytest.raises(KeyboardInterrupt):
        run_generate(recording_file, tmp_path / "out", CONFIG, device="cpu")
    assert "of music take roughly 2 GB of memory; --start and --stop" in caplog.messages[0]


# -- the same music for the same brain -----------------------------------------------------------


def test_run_again_it_is_the_same_to_the_byte(
    result: Path, tiny_checkpoint: Path, recording_file: Path, tmp_path: Path, no_pictures: None
) -> None:
    copy = tmp_path / "renamed.edf"
    shutil.copy(recording_file, copy)
    out = tmp_path / "out"
    out.mkdir()
    for name in ("mix.wav", "report.json"):  # an earlier result is replaced
        (out / name).write_text("old")
    run_generate(copy, out, CONFIG, checkpoint=tiny_checkpoint, device="cpu")
    for name in [*SOUNDS, "no_brain/mix.wav"]:
        assert (out / name).read_bytes() == (result / name).read_bytes(), name


@pytest.mark.slow
def test_in_a_process_of_its_own_it_is_the_same_and_errors_stay_silent(
    result: Path, tiny_checkpoint: Path, recording_file: Path, tmp_path: Path
) -> None:
    # A slow machine would be told of its progress.
    script = (
        f"import torch; torch.set_num_threads({torch.get_num_threads()}); from eeg2music import cli, console; "
        "console.QUIET_S = 1e6; cli.main()"
    )
    options = ["--out", str(tmp_path / "out"), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", script, "generate", str(recording_file), *options, "sampling.steps=2"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "simulated brains" in done.stdout
    assert "ovelace" not in done.stdout.replace(str(recording_file), "")
    for name in SOUNDS:
        assert (tmp_path / "out" / name).read_bytes() == (result / name).read_bytes(), name


def test_the_seed_the_recording_and_the_stretch_matter(pipeline: BrainToMusicPipeline, recording_file: Path) -> None:
    base = sound_of(pipeline, recording_file)
    assert np.array_equal(sound_of(pipeline, recording_file), base)
    assert not np.array_equal(sound_of(pipeline, recording_file, seed=1), base)
    shorter = sound_of(pipeline, recording_file, stop_s=2.0)
    assert shorter.shape[-1] == 2 * SAMPLE_RATE_HZ


def test_with_the_same_noise_the_brain_decides(
    pipeline: BrainToMusicPipeline, recording_file: Path, tmp_path: Path
) -> None:
    take = read_source(recording_file, CONFIG)
    base, without = sound_with_the_noise_of(take, pipeline, recording_file)
    changes = {
        "fewer channels": sound_with_the_noise_of(take, pipeline, recording_file, channels=("Fz", "Cz", "C3", "C4")),
        "another Cz": sound_with_the_noise_of(
            take, pipeline, replace_samples(recording_file, tmp_path / "other.edf", "Cz")
        ),
    }
    for name, (stems, silent) in changes.items():
        assert np.array_equal(silent, without), name
        assert stems.shape == base.shape, name
        assert not np.array_equal(stems, base), name
        # Not a digit at the end, but music.
        assert np.abs(stems - base).max() > 1e-4 * np.abs(base).max(), name


def replace_samples(source: Path, target: Path, label: str) -> Path:
    """Copy an EDF, with noise in the data records of one signal."""
    data = bytearray(source.read_bytes())
    header_bytes, records, signals = int(data[184:192]), int(data[236:244]), int(data[252:256])
    fields = data[256:header_bytes]
    labels = [fields[16 * i : 16 * (i + 1)].decode("latin-1").strip() for i in range(signals)]
    counts = [int(fields[216 * signals + 8 * i : 216 * signals + 8 * (i + 1)]) for i in range(signals)]
    row = labels.index(label)
    rng = numpy_rng(0, "replaced")
    for record in range(records):
        start = header_bytes + 2 * (record * sum(counts) + sum(counts[:row]))
        data[start : start + 2 * counts[row]] = rng.integers(-30_000, 30_000, counts[row], dtype=np.int16).tobytes()
    target.write_bytes(data)
    return target


def test_what_is_no_brain_channel_is_not_heard(
    pipeline: BrainToMusicPipeline, recording_file: Path, tmp_path: Path
) -> None:
    other = replace_samples(recording_file, tmp_path / "other.edf", "AUX1")
    assert other.read_bytes() != recording_file.read_bytes()
    assert np.array_equal(sound_of(pipeline, other), sound_of(pipeline, recording_file))


# -- real recordings -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_data: Path) -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = real_data / name
        # Without the folder the fixture has skipped already: a file that is not in it is a mistake.
        assert path.is_file(), f"{name} is missing in {real_data}"
        return path

    return find


def test_two_seconds_of_a_real_recording(
    real: Callable[[str], Path], tiny_checkpoint: Path, tmp_path: Path, no_pictures: None
) -> None:
    out = tmp_path / "out"
    report = run_generate(real(SHORT_EDF), out, CONFIG, checkpoint=tiny_checkpoint, device="cpu")
    assert report == report_of(out)
    assert report["duration_s"] == pytest.approx(2.0, abs=0.01)
    assert len(report["recording"]["channels"]) == 64
    assert {"AUX69", "AUX70", "Digi"} <= set(report["recording"]["left_out"])
    assert soundfile.info(out / "mix.wav").frames == round(report["duration_s"] * SAMPLE_RATE_HZ)


def test_the_audio_as_played_is_not_heard(
    real: Callable[[str], Path], pipeline: BrainToMusicPipeline, tmp_path: Path
) -> None:
    ours = sound_of(pipeline, real(LONG_EDF))
    other = replace_samples(real(LONG_EDF), tmp_path / "other.edf", "AUX69")
    assert np.array_equal(sound_of(pipeline, other), ours)


def test_two_recordings_give_different_music(real: Callable[[str], Path], pipeline: BrainToMusicPipeline) -> None:
    take = read_source(real(SHORT_EDF), CONFIG.model_copy(update={"stop_s": 2.0}))
    one, without = sound_with_the_noise_of(take, pipeline, real(SHORT_EDF), stop_s=2.0)
    other, without_other = sound_with_the_noise_of(take, pipeline, real(LONG_EDF), stop_s=2.0)
    later, _ = sound_with_the_noise_of(take, pipeline, real(LONG_EDF), start_s=2.0, stop_s=4.0)
    assert np.array_equal(without, without_other)
    assert one.shape == other.shape == later.shape
    for first, second in ((one, other), (other, later)):
        assert np.abs(first - second).max() > 1e-4 * np.abs(first).max()


def test_intracranial_contacts(real: Callable[[str], Path], pipeline: BrainToMusicPipeline) -> None:
    recording = read_source(real(IEEG_EDF), CONFIG).recording
    assert recording.kind == "ieeg"
    assert recording.left_out
    assert np.isfinite(sound_of(pipeline, real(IEEG_EDF))).all()


def test_lab_streaming_layer(real: Callable[[str], Path], pipeline: BrainToMusicPipeline) -> None:
    recording = read_source(real(XDF), CONFIG).recording
    assert len(recording.channel_names) == 8
    assert recording.duration_s > 160
    audio = sound_of(pipeline, real(XDF), stop_s=4.0)
    assert audio.shape == (2, 4 * SAMPLE_RATE_HZ)
    assert np.isfinite(audio).all()
    assert audio.std() > 1e-3


# -- a prepared cache ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache(recording_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(recording_file, tmp_path_factory.mktemp("cache") / "cache", PrepareConfig(workers=1))


def test_a_recording_from_a_cache_sounds_as_the_file_does(
    cache: Path, result: Path, tiny_checkpoint: Path, tmp_path: Path, no_pictures: None
) -> None:
    out = tmp_path / "out"
    report = run_generate(cache, out, CONFIG, checkpoint=tiny_checkpoint, device="cpu")
    for name in [*SOUNDS, *(f"no_brain/{name}" for name in SOUNDS)]:
        assert (out / name).read_bytes() == (result / name).read_bytes(), name
    theirs = report_of(result)["recording"]
    assert {**report["recording"], "sfreq_hz": theirs["sfreq_hz"]} == theirs


@pytest.fixture(scope="module")
def study(recording_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording as two people's in a BIDS data set; the second was played a song."""
    root = tmp_path_factory.mktemp("study") / "bids"
    for number in ("01", "02"):
        folder = root / f"sub-{number}" / "eeg"
        folder.mkdir(parents=True)
        shutil.copy(recording_file, folder / f"sub-{number}_task-listen_eeg.edf")
    replace_samples(recording_file, root / "sub-02/eeg/sub-02_task-listen_eeg.edf", "Pz")
    (root / "dataset_description.json").write_text(json.dumps({"Name": "t", "BIDSVersion": "1.9.0"}))
    rows = "onset\tduration\ttrial_type\tstim_file\n0.125\t2.25\tmusic\tfunk-1-0000/mix.wav\n"
    (root / "sub-02/eeg/sub-02_task-listen_events.tsv").write_text(rows)
    return root


@pytest.fixture(scope="module")
def study_cache(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cache") / "cache"
    return prepare(study, out, PrepareConfig(workers=1, window_s=2.0, hop_s=1.0))


def test_inside_a_data_set_and_prepared_a_recording_sounds_as_outside(
    pipeline: BrainToMusicPipeline, recording_file: Path, study: Path, study_cache: Path
) -> None:
    inside = study / "sub-01/eeg/sub-01_task-listen_eeg.edf"
    outside = sound_of(pipeline, recording_file)
    assert read_source(inside, CONFIG).recording.key == "sub-01_task-listen"
    assert np.array_equal(sound_of(pipeline, inside), outside)
    assert np.array_equal(sound_of(pipeline, study_cache, recording="sub-01_task-listen"), outside)
    other = sound_of(pipeline, study / "sub-02/eeg/sub-02_task-listen_eeg.edf")
    assert np.array_equal(sound_of(pipeline, study_cache, recording="sub-02_task-listen"), other)
    assert not np.array_equal(other, outside)


def test_a_listener_of_the_training_is_known_from_a_cache_as_from_a_file(
    pipeline: BrainToMusicPipeline, recording_file: Path, tmp_path: Path
) -> None:
    (known,) = pipeline.encoder.spec.subjects
    file = tmp_path / "bids" / known / "eeg" / f"{known}_task-listen_eeg.edf"
    file.parent.mkdir(parents=True)
    shutil.copy(recording_file, file)
    (tmp_path / "bids" / "dataset_description.json").write_text(json.dumps({"Name": "t", "BIDSVersion": "1.9.0"}))
    cache = prepare(tmp_path / "bids", tmp_path / "cache", PrepareConfig(workers=1))
    for source in (file, cache):
        recording = read_source(source, CONFIG).recording
        assert recording.subject == known
    assert np.array_equal(sound_of(pipeline, cache), sound_of(pipeline, file))


def test_clips_of_a_cache(study_cache: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = run_generate_prepared(study_cache, out, CONFIG, checkpoint=tiny_checkpoint, device="cpu")
    assert report == report_of(out)
    assert report.keys() >= REPORT_KEYS
    assert [clip["folder"] for clip in report["clips"]] == ["clips/0000", "clips/0001"]
    assert [clip["stimulus"] for clip in report["clips"]] == [None, "funk-1-0000"]
    assert report["duration_s"] == sum(clip["duration_s"] for clip in report["clips"]) == pytest.approx(4.0)
    spent = sum(report["seconds_by_stage"].values())
    assert report["real_time_factor"] == pytest.approx(spent / report["duration_s"])
    for clip in report["clips"]:
        folder = out / clip["folder"]
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert found == {"report.json", "report.html", *SOUNDS, *(f"no_brain/{name}" for name in SOUNDS)}
        own = report_of(folder)
        assert own.keys() >= REPORT_KEYS | {"recording", "warnings", "notes"}
        assert clip.keys() == own.keys() | {"folder"}
        assert own["recording"]["left_out"].keys() == {"AUX1"}
        assert out / clip["mix"] == folder / own["mix"]
        assert all((out / path).is_file() for path in (clip["mix"], *clip["stems"].values()))
        assert (folder / "mix.wav").read_bytes() != (folder / "no_brain/mix.wav").read_bytes()
        page = (folder / "report.html").read_text()
        assert page.count("data:image/png;base64,") == 3
        assert all((folder / source).is_file() for source in re.findall(r'<audio[^>]* src="([^"]+)"', page))
    overview = (out / "report.html").read_text()
    linked = re.findall(r'(?:<audio[^>]* src|<a href)="([^"]+)"', overview)
    assert len(linked) == 6
    assert all((out / path).is_file() for path in linked)


def test_a_clip_of_a_cache_is_the_stretch_of_its_recording(
    study_cache: Path, pipeline: BrainToMusicPipeline, tiny_checkpoint: Path, tmp_path: Path, no_pictures: None
) -> None:
    out = tmp_path / "out"
    run_generate_prepared(study_cache, out, CONFIG, checkpoint=tiny_checkpoint, device="cpu")
    row = next(row for row in PreparedDataset(study_cache).rows if row["stimulus"] is not None)
    start_s, length_s = row["start_sample"] / EEG_RATE_HZ, row["n_samples"] / EEG_RATE_HZ
    whole = {"recording": row["recording"], "start_s": start_s, "stop_s": start_s + length_s}
    config = CONFIG.model_copy(update=whole)
    run_generate(study_cache, tmp_path / "one", config, checkpoint=tiny_checkpoint, device="cpu")
    assert (out / "clips/0001/mix.wav").read_bytes() == (tmp_path / "one/mix.wav").read_bytes()
    # Each clip's settings name its stretch, so that it can be made alone.
    assert report_of(out / "clips/0001")["settings"] == report_of(tmp_path / "one")["settings"]
    few = CONFIG.model_copy(update={"clips": 1})
    assert len(run_generate_prepared(study_cache, tmp_path / "few", few, checkpoint=tiny_checkpoint)["clips"]) == 1


@pytest.mark.parametrize("changes", [{"channels": ("Cz",)}, {"start_s": 0.0}, {"stop_s": 2.0}, {"line_freq_hz": 50.0}])
def test_what_clips_of_a_cache_cannot_be_told(
    cache: Path, tiny_checkpoint: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = CONFIG.model_copy(update=changes)
    with pytest.raises(InputError, match=f"its {next(iter(changes))} can no longer be chosen.*Allowed.*Remedy"):
        run_generate_prepared(cache, tmp_path / "out", config, checkpoint=tiny_checkpoint, device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recording": "gone"}, "none named 'gone'.*Allowed: one of them"),
        ({"channels": ("Cz",)}, "its channels can no longer be chosen.*Remedy: prepare it anew"),
        ({"start_s": 2.0, "stop_s": 1.0}, "start = 2 s, stop = 1 s.*at least 2 s"),
        ({"stop_s": 9.0}, "stop = 9 s"),
    ],
)
def test_what_a_cache_cannot_do(cache: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_source(cache, CONFIG.model_copy(update=changes))


def test_a_file_has_no_recordings_to_choose_from(recording_file: Path) -> None:
    with pytest.raises(InputError, match="no prepared cache"):
        read_source(recording_file, CONFIG.model_copy(update={"recording": "a"}))


# -- nothing is lost -------------------------------------------------------------------------------


def test_a_folder_with_anything_else_in_it_is_left_alone(
    tiny_checkpoint: Path, recording_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "report.json").write_text("{}")
    (out / "chapter1.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis holds what is not of an earlier result, such as chapter1\.tex"):
        run_generate(recording_file, out, CONFIG, checkpoint=tiny_checkpoint, device="cpu")
    assert (out / "chapter1.tex").read_text() == "years of work"


def test_a_failure_at_the_last_moment_leaves_the_earlier_result(
    result: Path, written: list[tuple[Any, ...]], tmp_path: Path, no_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mix.wav").write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no picture today")

    monkeypatch.setattr("eeg2music.report.result.write_page", fail)
    with pytest.raises(RuntimeError, match="no picture"):
        write_result(out, *written[0][1:], title="Title")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["mix.wav"]
    assert (out / "mix.wav").read_text() == "old"


# -- given stems: early, once, and what is said of them ------------------------------------------------


def test_wrong_given_stems_are_refused_before_anything_is_loaded(
    recording_file: Path, cache: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("read or loaded before the given stems were looked at")

    monkeypatch.setattr("eeg2music.generation.read_source", never)
    monkeypatch.setattr("eeg2music.generation.load_pipeline", never)
    monkeypatch.setattr("eeg2music.generation_batch.load_pipeline", never)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bass.wav").write_text("no sound")
    write_audio(tmp_path / "good" / "bass.wav", np.zeros(2400, dtype=np.float32))
    for changes, message in (
        ({"given": str(tmp_path / "gone")}, "No given stem"),
        ({"given": str(tmp_path / "bad")}, "not an audio file"),
        ({"given": str(tmp_path / "good"), "only": ("bass",)}, "Nothing is left to generate"),
    ):
        config = CONFIG.model_copy(update=changes)
        for run, source in ((run_generate, recording_file), (run_generate_prepared, cache)):
            with pytest.raises(InputError, match=message):
                run(source, tmp_path / "out", config, checkpoint=tiny_checkpoint, device="cpu")


def test_a_given_stem_that_ends_early_is_said_and_each_file_is_read_once(
    recording_file: Path, pipeline: BrainToMusicPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eeg2music import generation

    bass = 0.4 * numpy_rng(0, "bass").uniform(-1, 1, SAMPLE_RATE_HZ).astype(np.float32)
    write_audio(tmp_path / "bass.wav", bass)
    write_audio(tmp_path / "drums.wav", np.tile(bass, 5))
    read: list[Path] = []

    def note(path: Path, **options: Any) -> FloatArray:
        read.append(path)
        return read_audio(path, **options)

    monkeypatch.setattr(generation, "read_audio", note)
    config = CONFIG.model_copy(update={"given": str(tmp_path)})
    result = make_result(read_source(recording_file, CONFIG), pipeline, config, "")
    assert sorted(path.name for path in read) == ["bass.wav", "drums.wav"]
    assert [text for text in result.report["notes"] if "ends after" in text] == [
        "The given bass ends after 1.00 s; silence follows."
    ]
    for clip in (result.clip, result.silent):
        assert np.abs(clip.stems[1, :SAMPLE_RATE_HZ] - bass).max() <= 1 / 32768
        assert not clip.stems[1, SAMPLE_RATE_HZ:].any()
        assert clip.stems[0, SAMPLE_RATE_HZ:].any()


def test_notes_of_all_clips_of_a_cache_are_kept(study_cache: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"only": ("bass",)})
    out = tmp_path / "out"
    report = run_generate_prepared(study_cache, out, config, checkpoint=tiny_checkpoint, device="cpu")
    absent = words.STEMS_ABSENT.format(names="drums, harmony, melody")
    assert len(report["clips"]) == 2
    assert report["notes"].count(absent) == 1
    assert absent in (out / "report.html").read_text()


def test_what_the_encoder_was_trained_on_is_what_the_report_says(
    recording_file: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))
    manifest = copy / "encoder" / "training_manifest.json"
    manifest.write_text(json.dumps({"songs": ["a"], "subjects": ["b", "c"], "simulated": False}))
    take = read_source(recording_file, CONFIG)
    warnings = make_result(take, load_pipeline(copy, "cpu"), CONFIG, "").report["warnings"]
    assert any("trained on 2 listeners hearing 1 piece" in text for text in warnings)
    assert not any("simulated" in text for text in warnings)


def test_names_that_the_mixer_does_not_know_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"mixer\.gain_db names 'drumz'.*Allowed: drums"):
        load_config(GenerateConfig, None, ["mixer.gain_db={drumz: 9}"])
