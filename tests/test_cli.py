"""The command line: what it prints, what it refuses in one line, and that it leaves nothing half-written."""

from __future__ import annotations

import errno
import os
import pickle
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from eeg2music import __version__, cli
from eeg2music.seeding import numpy_rng
from eeg2music.weights import WEIGHTS_NAME

COMMANDS = ("demo", "simulate", "prepare", "train", "generate", "evaluate", "info", "score", "compare", "split")
CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the console script in this process."""

    # A slow machine would be told of its progress.
    monkeypatch.setattr(cli, "QUIET_S", 1e6)

    def call(*arguments: object) -> Ran:
        monkeypatch.setattr("sys.argv", ["eeg2music", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return call


def plain(text: str) -> str:
    """Without colours and frames."""
    return re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text)


# -- what it says ----------------------------------------------------------------------------------


def test_simulate_says_how_far_it_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(cli._Steps, "__call__", lambda self, step, artefact=None: steps.append(step))
    small = ("--subjects", 1, "--songs", 2, "song_seconds=3", "runs=1", "montage=eeg32", "workers=1")
    assert run("simulate", tmp_path / "data", *small).code == 0
    assert steps == ["songs", "song 1 of 2", "song 2 of 2", "subject 1 of 1"]


def test_version(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out.strip()) == (0, f"eeg2music {__version__}")


def test_help_names_every_command(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    for name in COMMANDS:
        assert re.search(rf"^\s+{name}\s", plain(ran.out), re.MULTILINE), name


def test_without_arguments_it_helps(run: Run) -> None:
    ran = run()
    assert "Usage" in plain(ran.out + ran.err)
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_common_options(run: Run, command: str) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    text = plain(ran.out)
    for option in ("--seed", "--device", "--dry-run", "[overrides]"):
        assert option in text, option


def test_a_circular_scorer_has_to_be_allowed_by_name(run: Run, tmp_path: Path) -> None:
    arguments = ("evaluate", "configs/eval/smoke.yaml", "--out", tmp_path / "out", "--dry-run")
    assert "allow_circular: false" in run(*arguments).out
    assert "allow_circular: true" in run(*arguments, "--allow-circular").out
    protocol = ("evaluate", "configs/eval/protocols/nmedt_leaky.yaml", *arguments[2:], "--allow-circular")
    assert run(*protocol).code == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo", "--out", "OUT", "--seed", "5", "clips=3"], {"seed": 5, "clips": 3}),
        (["simulate", "OUT", "--subjects", "2", "--snr", "-12", "--seed", "5"], {"subjects": 2, "seed": 5}),
        (["prepare", "gone", "--out", "OUT", "window_s=4"], {"window_s": 4.0}),
        (["train", "codec", "configs/codec/smoke.yaml", "--seed", "5"], {}),
        (["generate", "gone.edf", "--out", "OUT", "--channels", "1, 2", "--montage", "1020", "--start", "1.5"],
         {"channels": ["1", "2"], "montage": "1020", "start_s": 1.5, "seed": 0}),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "--seed", "5", "seeds=[1]"],
         {"seed": 5, "seeds": [1]}),
        (["split", "gone", "--out", "OUT", "--by", "grid", "--seed", "5"], {"by": "grid", "seed": 5}),
        (["info", "gone.edf", "--channels", "C3,C4"], {"channels": ["C3", "C4"]}),
    ],
)  # fmt: skip
def test_a_dry_run_shows_the_config_and_does_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*(str(tmp_path / "out") if word == "OUT" else word for word in arguments), "--dry-run")
    assert ran.code == 0, ran.err
    shown = yaml.safe_load(ran.out)
    assert {key: shown[key] for key in expected} == expected
    assert list(tmp_path.iterdir()) == []


def test_a_shown_config_can_be_given_back(run: Run, tmp_path: Path) -> None:
    shown = run("evaluate", "configs/eval/smoke.yaml", "--out", tmp_path / "out", "--seed", "5", "--dry-run").out
    (tmp_path / "mine.yaml").write_text(shown)
    assert run("evaluate", tmp_path / "mine.yaml", "--out", tmp_path / "out", "--dry-run").out == shown


# -- what it does ----------------------------------------------------------------------------------


def test_info_about_a_recording(run: Run, recording_file: Path) -> None:
    ran = run("info", recording_file)
    assert ran.code == 0
    assert "8 brain channels" in ran.out
    assert "AUX1" in ran.out
    assert "ovelace" not in ran.out.replace(str(recording_file), "")


def test_info_about_a_checkpoint(run: Run, tiny_checkpoint: Path) -> None:
    ran = run("info", tiny_checkpoint)
    assert ran.code == 0
    assert re.search(r"^encoder: BrainEncoder, [\d,]+ values stored, ", ran.out, re.MULTILINE)
    assert re.search(r"^codec: encodec", ran.out, re.MULTILINE)


def test_generate_prints_where_the_sound_lies(
    run: Run, recording_file: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eeg2music.report.result._figures", lambda *_: [])  # they take longer than all the rest
    out = tmp_path / "out[1]"  # brackets are markup to rich
    ran = run(
        "generate", recording_file, "--out", out, "--checkpoint", tiny_checkpoint, "--device", "cpu", "sampling.steps=1"
    )
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert str(out / "mix.wav") in ran.out
    assert (out / "mix.wav").is_file()


# -- what it refuses -------------------------------------------------------------------------------


def write_fif(
    path: Path, *, names: str = "Fz Cz C3 C4 T7 T8 Pz Oz", seconds: float = 3.0, sfreq: float = 128.0
) -> Path:
    """A FIF file of noise; it can hold what an EDF cannot."""
    import mne

    labels = names.split()
    signal = 2e-5 * numpy_rng(0, "bad input").standard_normal((len(labels), round(seconds * sfreq)))
    mne.io.RawArray(signal, mne.create_info(labels, sfreq, "eeg"), verbose="ERROR").save(path, verbose="ERROR")
    return path


def write_signal(path: Path, signal: np.ndarray) -> Path:
    import mne

    names = ["Fz", "Cz", "C3", "C4", "T7", "T8", "Pz", "Oz"][: len(signal)]
    mne.io.RawArray(signal, mne.create_info(names, 128.0, "eeg"), verbose="ERROR").save(path, verbose="ERROR")
    return path


def missing(folder: Path, sound: Path) -> Path:
    return folder / "gone.edf"


def no_recording(folder: Path, sound: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("words")
    return path


def not_what_it_says(folder: Path, sound: Path) -> Path:
    path = folder / "notes.edf"
    path.write_text("words " * 500)
    return path


def truncated(folder: Path, sound: Path) -> Path:
    path = folder / "cut.edf"
    path.write_bytes(sound.read_bytes()[: sound.stat().st_size * 3 // 4])
    return path


def without_eeg(folder: Path, sound: Path) -> Path:
    return write_fif(folder / "aux_raw.fif", names="AUX1 AUX2 TRIG ECG EOG1")


def all_nan(folder: Path, sound: Path) -> Path:
    return write_signal(folder / "nan_raw.fif", np.full((8, 400), np.nan))


def flat(folder: Path, sound: Path) -> Path:
    return write_signal(folder / "flat_raw.fif", np.zeros((8, 400)))


def too_few(folder: Path, sound: Path) -> Path:
    return write_fif(folder / "few_raw.fif", names="Fz Cz C3")


def too_short(folder: Path, sound: Path) -> Path:
    return write_fif(folder / "short_raw.fif", seconds=1.5)


def too_slow(folder: Path, sound: Path) -> Path:
    return write_fif(folder / "slow_raw.fif", sfreq=10.0, seconds=60.0)


BAD_RECORDINGS: list[tuple[Callable[[Path, Path], Path], str]] = [
    (missing, r"(No file|Nothing) at .*gone\.edf"),
    (no_recording, r"notes\.txt is not a recording"),
    (not_what_it_says, r"notes\.edf"),
    (truncated, r"cut\.edf is truncated"),
    (without_eeg, r"no brain channel among its 5"),
    (all_nan, r"good channel"),
    (flat, r"good channel"),
    (too_few, r"3 .*channels"),
    (too_short, r"short_raw\.fif gives only 1\.5 s"),
    (too_slow, r"impossible sampling rate: 10 Hz"),
]


def one_line(ran: Ran, message: str) -> None:
    """The contract of an error: code 2, one line that names the thing, what is allowed and the remedy."""
    assert ran.code == 2, ran
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1, ran.err
    assert re.search(message, ran.err), ran.err
    assert "Allowed: " in ran.err, ran.err
    assert "Remedy: " in ran.err, ran.err


@pytest.mark.parametrize(("make", "message"), BAD_RECORDINGS, ids=lambda value: getattr(value, "__name__", ""))
def test_bad_recordings(
    run: Run,
    tiny_checkpoint: Path,
    recording_file: Path,
    tmp_path: Path,
    make: Callable[[Path, Path], Path],
    message: str,
) -> None:
    source = make(tmp_path, recording_file)
    before = sorted(path.name for path in tmp_path.iterdir())
    ran = run("generate", source, "--out", tmp_path / "out", "--checkpoint", tiny_checkpoint, "--device", "cpu")
    one_line(ran, message)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    if make in (missing, no_recording, not_what_it_says, truncated, without_eeg, too_short, too_slow):
        one_line(run("info", source), message)


class Payload:
    """A pickle that, when it is loaded, creates a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def pickled(checkpoint: Path) -> Path:
    (checkpoint / "diffusion" / WEIGHTS_NAME).unlink()
    (checkpoint / "diffusion" / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(checkpoint / "executed")))
    return checkpoint


def pickled_file(checkpoint: Path) -> Path:
    (checkpoint / "model.pt").write_bytes(pickle.dumps(Payload(checkpoint / "executed")))
    return checkpoint / "model.pt"


def wrong_shapes(checkpoint: Path) -> Path:
    config = checkpoint / "diffusion" / "config.json"
    config.write_text(config.read_text().replace('"hidden": 32', '"hidden": 64'))
    return checkpoint


def wrong_codec_shapes(checkpoint: Path) -> Path:
    config = checkpoint / "codec" / "config.json"
    config.write_text(config.read_text().replace('"num_filters": 4', '"num_filters": 6'))
    return checkpoint


def damaged(checkpoint: Path) -> Path:
    file = checkpoint / "encoder" / WEIGHTS_NAME
    file.write_bytes(file.read_bytes()[:1000])
    return checkpoint


def incomplete(checkpoint: Path) -> Path:
    shutil.rmtree(checkpoint / "encoder")
    return checkpoint


def absent(checkpoint: Path) -> Path:
    return checkpoint / "gone"


BAD_CHECKPOINTS: list[tuple[Callable[[Path], Path], str]] = [
    (pickled, r"pytorch_model\.bin is a pickled checkpoint"),
    (pickled_file, r"model\.pt is a pickled checkpoint"),
    (wrong_shapes, r"diffusion do not fit: .* has shape"),
    (wrong_codec_shapes, r"codec"),
    (damaged, r"encoder.* is damaged"),
    (incomplete, r"encoder missing"),
    (absent, r"No checkpoint at .*gone"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_CHECKPOINTS, ids=lambda value: getattr(value, "__name__", ""))
def test_bad_checkpoints(
    run: Run, tiny_checkpoint: Path, recording_file: Path, tmp_path: Path, spoil: Callable[[Path], Path], message: str
) -> None:
    checkpoint = spoil(Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")))
    ran = run("generate", recording_file, "--out", tmp_path / "out", "--checkpoint", checkpoint, "--device", "cpu")
    one_line(ran, message)
    assert not (tmp_path / "checkpoint" / "executed").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    if spoil in (pickled, pickled_file, damaged):
        one_line(run("info", checkpoint), "pickled|damaged")
        assert not (tmp_path / "checkpoint" / "executed").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "generate.seed=3"], r"generate\.seed = 3.*Remedy: use --seed\.$"),
        (["demo", "clps=3"], r"Unknown key 'clps'.*did you mean 'clips'\?$"),
        (["demo", "generate.sampling.step=3"], r"Unknown key 'generate\.sampling\.step'.*did you mean 'steps'\?$"),
        (["simulate", "OUT", "sedd=3"], r"Unknown key 'sedd'.*did you mean 'seed'\?$"),
        (["prepare", "gone", "--out", "OUT", "window=3"], r"Unknown key 'window'.*did you mean 'window_s'\?$"),
        (["generate", "RECORDING", "--out", "OUT", "sampling.stps=3"], r"Unknown key 'sampling\.stps'.*'steps'\?$"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "sampling.stps=3"], r"Unknown key 'sampling\.stps'"),
        (["evaluate", "YAML", "--out", "OUT"], r"Unknown key 'listning' in .*a\.yaml.*did you mean 'listening'\?$"),
        (["train", "codec", "YAML"], r"Unknown key 'listning'"),
        (["generate", "RECORDING", "--out", "OUT", "--montage", "biosemi63"], r"No montage named 'biosemi63'"),
        (["generate", "RECORDING", "--out", "OUT", "--channels", "Cz,Xz"], r"No channel named 'Xz'"),
        (["generate", "RECORDING", "--out", "OUT", "--stop", "1"], r"gives only 1 s"),
        (["generate", "RECORDING", "--out", "OUT", "--line-freq", "7"], r"line frequency cannot be 7 Hz"),
        (["generate", "RECORDING", "--out", "RECORDING"], r"lovelace\.edf is a file"),
        (["generate", "RECORDING", "--out", "RECORDING/sub"], r"Nothing can be written in .*lovelace\.edf"),
        (["evaluate", "gone.yaml", "--out", "OUT"], r"No config file at gone\.yaml"),
    ],
)
def test_mistakes_in_arguments(
    run: Run, recording_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("listning: {songs: 3}\n")
    names = {"OUT": "out", "YAML": "a.yaml", "RECORDING": str(recording_file), "RECORDING/sub": f"{recording_file}/sub"}
    one_line(run(*(names.get(word, word) for word in arguments)), message)
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generat"], "No such command 'generat'"),
        (["generate", "a.edf"], "--out"),
        (["generate", "a.edf", "--out", "b", "--sed", "3"], "--sed"),
        (["generate", "a.edf", "--out", "b", "--seed", "x"], "Invalid value for '--seed'"),
        (["train", "nothing", "configs/codec/smoke.yaml"], "nothing"),
    ],
)
def test_words_it_does_not_know(run: Run, arguments: list[str], message: str) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert message in ran.err


def test_a_device_that_is_not_there(run: Run, tiny_checkpoint: Path, recording_file: Path, tmp_path: Path) -> None:
    ran = run(
        "generate", recording_file, "--out", tmp_path / "out", "--checkpoint", tiny_checkpoint, "--device", "gpu7"
    )
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "No device 'gpu7'" in ran.err
    assert "Allowed: cpu, cuda" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [["prepare", "gone", "--out", "OUT"], ["simulate", "OUT"], ["info", "gone.edf"], ["demo", "--out", "OUT"],
     ["generate", "gone.edf", "--out", "OUT"],
     ["evaluate", CONFIGS / "eval" / "smoke.yaml", "--out", "OUT"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_device_that_is_not_there_is_refused_also_where_none_is_needed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--dry-run"]):
        ran = run(*arguments, "--seed", "3", "--device", "nonsense", *more)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "No device 'nonsense'" in ran.err
    assert list(tmp_path.iterdir()) == []
    assert run(*arguments, "--device", "cpu", "--dry-run").code == 0


@pytest.mark.parametrize(("command", "idle"), [("prepare", 2), ("simulate", 1), ("info", 2), ("generate", 0)])
def test_the_help_says_what_nothing_depends_on(run: Run, command: str, idle: int) -> None:
    text = " ".join(plain(run(command, "--help").out).split())
    assert text.count("nothing here depends on it") == idle


def test_a_demonstration_lacking_models_is_refused_without_the_network(
    run: Run, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_checkpoint, tmp_path / "mine")
    for name in ("clap", "scorer"):
        shutil.rmtree(tmp_path / "mine" / name)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.socket.connect", never)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    one_line(run("demo", "--checkpoint", "mine", "--out", "out", "--device", "cpu"), "mine .*: clap, scorer missing")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_full_disk_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, recording_file: Path) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "out/mix.wav")

    monkeypatch.setattr("eeg2music.report.describe.describe", full)
    ran = run("info", recording_file)
    assert (ran.code, ran.err) == (2, "error: No space left on device: out/mix.wav.\n")


def test_a_defect_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch, recording_file: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a defect of ours")

    monkeypatch.setattr("eeg2music.report.describe.describe", broken)
    monkeypatch.setattr("sys.argv", ["eeg2music", "info", str(recording_file)])
    with pytest.raises(KeyError, match="a defect of ours"):
        cli.main()


def test_an_interruption_is_not_an_error(run: Run, monkeypatch: pytest.MonkeyPatch, recording_file: Path) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eeg2music.report.describe.describe", interrupted)
    ran = run("info", recording_file)
    assert (ran.code, ran.err.strip()) == (130, "stopped")


# -- progress in a log -----------------------------------------------------------------------------


def test_a_log_is_told_each_step_once_it_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "QUIET_S", 2.0)
    with cli._Steps() as hook:
        hook("loading the models")
        hook("song [1] of 800")
        hook("song [2] of 800")  # of the same kind, at once: not worth a line
        assert capsys.readouterr().err == ""
        deadline = time.monotonic() + 60
        while hook._held is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert capsys.readouterr().err.splitlines() == ["loading the models", "song [1] of 800"]
        hook("writing")
        assert capsys.readouterr().err == "writing\n"
        monkeypatch.setattr(cli, "EVERY_S", 0.0)
        hook("song 3 of 800")
        hook("song 4 of 800")
        assert capsys.readouterr().err.splitlines() == ["song 3 of 800", "song 4 of 800"]


def test_a_command_that_ends_at_once_leaves_the_log_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "QUIET_S", 0.5)
    with cli._Steps() as hook:
        hook("loading the models")
    time.sleep(0.7)
    assert capsys.readouterr().err == ""


def test_training_tells_a_log_its_step_loss_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    from eeg2music.training.loop import Progress

    with cli._Progress() as progress:
        progress(Progress(20, 600, {"loss": 0.51234}, 1.0, 580.0))
    assert capsys.readouterr().err == "step 20 of 600, loss 0.5123, 9.7 min left\n"
