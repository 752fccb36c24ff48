"""The command line: what it prints, what it refuses in one line, and that it leaves nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from eeg2music import __version__, cli, console
from eeg2music.seeding import numpy_rng
from eeg2music.types import STEMS
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
    monkeypatch.setattr(console, "QUIET_S", 1e6)

    def call(*arguments: object) -> Ran:
        monkeypatch.setattr("sys.argv", ["eeg2music", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def cache(recording_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared cache of one recording."""
    from eeg2music.preparation import PrepareConfig, prepare

    folder = tmp_path_factory.mktemp("prepared") / "cache"
    return prepare(recording_file, folder, PrepareConfig(window_s=2.0, workers=1))


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stimuli folder of two songs that nothing listens to."""
    root = tmp_path_factory.mktemp("music")
    for song in ("one", "other"):
        (root / "stimuli" / song).mkdir(parents=True)
        for name in (*STEMS, "mix"):
            (root / "stimuli" / song / f"{name}.wav").touch()
    return root


@pytest.fixture
def annexed(tmp_path: Path) -> Path:
    """A BIDS data set of which only the links are here, as after `datalad install`."""
    folder = tmp_path / "annexed"
    (folder / "sub-1" / "eeg").mkdir(parents=True)
    (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    (folder / "sub-1" / "eeg" / "sub-1_task-music_eeg.edf").symlink_to("../../.git/annex/objects/gone.edf")
    (folder / "sub-1" / "eeg" / "sub-1_task-music_channels.tsv").write_text("name\ttype\tunits\nCz\tEEG\tuV\n")
    return folder


def plain(text: str) -> str:
    """Without colours and frames."""
    return re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text)


# -- what it says ----------------------------------------------------------------------------------


def test_simulate_says_how_far_it_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(console.Steps, "__call__", lambda self, step, artefact=None: steps.append(step))
    small = ("--subjects", 1, "--songs", 2, "song_seconds=3", "runs=1", "montage=eeg32", "workers=1")
    ran = run("simulate", tmp_path / "named", *small, f"out={tmp_path / 'data'}")
    assert (ran.code, ran.out) == (0, f"Wrote {tmp_path / 'data'}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
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


def in_place(word: str, names: Mapping[str, object]) -> str:
    """A word with paths for the names in capitals."""
    return re.sub("[A-Z]{3,}", lambda name: str(names.get(name.group(), name.group())), word)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo", "--out", "OUT", "--seed", "5", "clips=3"], {"seed": 5, "clips": 3}),
        (["simulate", "OUT", "--subjects", "2", "--snr", "-12", "--seed", "5"], {"subjects": 2, "seed": 5}),
        (["prepare", "RECORDING", "--out", "OUT", "window_s=4", "--channels", "Cz, Pz", "--montage", "10-20"],
         {"window_s": 4.0, "channels": ["Cz", "Pz"], "montage": "10-20"}),
        (["train", "codec", "configs/codec/smoke.yaml", "task.data=MUSIC", "--seed", "5"], {}),
        (["generate", "RECORDING", "--out", "OUT", "--channels", "1, 2", "--montage", "1020", "--start", "1.5"],
         {"channels": ["1", "2"], "montage": "1020", "start_s": 1.5, "seed": 0}),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "--seed", "5", "seeds=[1]"],
         {"seed": 5, "seeds": [1]}),
        (["split", "CACHE", "--out", "OUT", "--by", "grid", "--seed", "5"], {"by": "grid", "seed": 5}),
        (["info", "RECORDING", "--channels", "C3,C4"], {"channels": ["C3", "C4"]}),
    ],
)  # fmt: skip
def test_a_dry_run_shows_the_config_and_does_nothing(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recording_file: Path,
    cache: Path,
    music: Path,
    arguments: list[str],
    expected: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"OUT": tmp_path / "out", "RECORDING": recording_file, "CACHE": cache, "MUSIC": music}
    ran = run(*(in_place(word, names) for word in arguments), "--dry-run")
    assert ran.code == 0, ran.err
    shown = yaml.safe_load(ran.out)
    assert {key: shown[key] for key in expected} == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--out", "FULL"], r"full holds what is not of an earlier result, such as thesis\.txt"),
        (["demo", "--out", "OUT", "--checkpoint", "FULL"], "is not a complete checkpoint"),
        (["demo", "--out", "OUT", "listening.style=jazz"], r"there is no 'jazz'\. Allowed: ballad"),
        (["simulate", "FULL"], "full is not empty"),
        (["simulate", "RECORDING"], "is a file"),
        (["simulate", "OUT", "songs=2", "songs_per_subject=3"], "songs_per_subject = 3 does not fit"),
        (["prepare", "gone", "--out", "OUT"], "Nothing at gone"),
        (["prepare", "FULL", "--out", "OUT"], "full is neither a BIDS data set"),
        (["prepare", "ANNEXED", "--out", "OUT"], "datalad get"),
        (["prepare", "SOUND", "--out", "OUT"], r"a\.wav is not a recording"),
        (["prepare", "RECORDING", "--out", "FULL"], "full is there already"),
        (["prepare", "RECORDING", "--out", "CACHE", "window_s=3"], r"another config \(differs in window_s\)"),
        (["prepare", "RECORDING", "--out", "OUT", "montage=foo"], "No montage named 'foo'"),
        (["split", "FULL", "--out", "OUT"], "full is not a prepared cache"),
        (["split", "CACHE", "--out", "FULL"], r"full is a folder\. Allowed: a file, such as split\.json"),
        (["split", "CACHE", "--out", "SOUND/a.json"], r"Nothing can be written in .*a\.wav"),
        (["train", "codec", "codec/smoke", "train.out=RECORDING"], "is a file"),
        (["train", "codec", "codec/smoke", "--device", "cuda:99"], "No device 'cuda:99'"),
        (["train", "codec", "codec/smoke", "task.data=gone"], "No music at gone"),
        (["train", "codec", "codec/smoke", "task.data=MUSIC", "task.start_from=gone"], "No checkpoint at gone"),
        (["train", "clap", "clap/smoke", "task.data=FULL"], "No complete song in full"),
        (["train", "scorer", "scorer/smoke", "task.data=gone"], "No music at gone"),
        (["train", "encoder", "encoder/smoke"], "No checkpoint at runs/clap-smoke/export"),
        (["train", "encoder", "encoder/smoke", "task.clap=made/up"], "data/prepared is not a prepared cache"),
        (["train", "encoder", "encoder/smoke", "task.clap=made/up", "task.caches=[CACHE]"], "holds no window of 5 s"),
        (["train", "encoder", "encoder/smoke", "task.clap=made/up", "task.encoder=brian"], "No brain encoder named"),
        (["train", "diffusion", "diffusion/smoke"], "No checkpoint at runs/codec-smoke/export"),
        (["generate", "gone.edf", "--out", "OUT"], r"No file at gone\.edf"),
        (["generate", "SOUND", "--out", "OUT"], r"a\.wav is not a recording"),
        (["generate", "ANNEXED", "--out", "OUT"], "1 recording.* are missing: .*datalad get"),
        (["generate", "RECORDING", "--out", "FULL"], "full holds what is not"),
        (["generate", "RECORDING", "--out", "RECORDING"], "is a file"),
        (["generate", "RECORDING", "--out", "OUT", "--line-freq", "-7"], "cannot be -7 Hz"),
        (["generate", "RECORDING", "--out", "OUT", "--montage", "foo"], "No montage named 'foo'"),
        (["generate", "RECORDING", "--out", "OUT", "--start", "-1"], "start = -1 s"),
        (["generate", "RECORDING", "--out", "OUT", "--start", "5", "--stop", "4"], "is not before stop = 4 s"),
        (["generate", "RECORDING", "--out", "OUT", "given=FULL"], "No given stem in"),
        (["generate", "RECORDING", "--out", "OUT", "--checkpoint", "FULL"], "is not a complete checkpoint"),
        (["generate", "RECORDING", "--out", "OUT", "recording=a"], "is no prepared cache"),
        (["generate", "CACHE", "--out", "OUT", "recording=nobody"], "none named 'nobody'"),
        (["generate", "CACHE", "--out", "OUT", "--start", "1"], "its start_s can no longer be chosen"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "FULL"], "full holds what is not"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "checkpoint=gone"], "No checkpoint at gone"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "prepared=gone"], "gone is not a prepared cache"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "levels=[]"], "1 or more of them"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "seeds=[0,0]"], "a seed stands twice"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "sounds.level=a"], "there is no level 'a'"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "sounds.seed=7"], "7 is none of the seeds"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "listening.montage=eeg63"], "mean 'eeg64'"),
        (["evaluate", "configs/eval/openmiir.yaml", "--out", "OUT", "data=gone"], "No folder at gone"),
        (["evaluate", "configs/eval/encoding.yaml", "--out", "FULL"], "full holds what is not"),
        (["score", "gone.csv", "--out", "OUT"], r"No manifest at gone\.csv"),
        (["score", "EMPTY", "--out", "OUT"], r"empty\.csv names no clip\. Allowed: a header"),
        (["score", "GERMAN", "--out", "OUT"], r"german\.csv are separated by semicolons\. Allowed: commas"),
        (["compare", "gone", "FULL"], "No result at gone"),
        (["info", "gone.edf"], r"Nothing at gone\.edf"),
        (["info", "SOUND"], r"a\.wav is not a recording"),
        (["info", "RECORDING", "--montage", "foo"], "No montage named 'foo'"),
    ],
)
def test_a_dry_run_refuses_what_the_command_refuses_before_it_works(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recording_file: Path,
    cache: Path,
    music: Path,
    annexed: Path,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"full/thesis.txt": "", "a.wav": "RIFF", "empty.csv": "", "german.csv": "file;song\na.wav;b\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    names = {
        "OUT": "out", "FULL": "full", "SOUND": "a.wav", "EMPTY": "empty.csv", "GERMAN": "german.csv",
        "RECORDING": recording_file, "CACHE": cache, "ANNEXED": annexed, "MUSIC": music,
    }  # fmt: skip
    words = [in_place(word, names) for word in arguments]
    before = sorted(tmp_path.rglob("*"))
    for more in ([], ["--dry-run"]):
        one_line(run(*words, *more), message)
    assert sorted(tmp_path.rglob("*")) == before


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


def test_info_about_the_folder_of_a_run_is_about_what_it_exported(
    run: Run, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    one_line(run("info", tmp_path), "is a folder but not a BIDS data set")
    shutil.copytree(tiny_checkpoint / "clap", tmp_path / "export")
    ran = run("info", tmp_path)
    assert (ran.code, re.findall(r"^(\S+):", ran.out, re.MULTILINE)) == (0, ["export"])


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
        (["generate", "RECORDING", "--out", "OUT", "--start", "2", "--stop", "3.5"], r"gives only 1\.5 s"),
        (["generate", "RECORDING", "--out", "OUT", "--line-freq", "7"], r"line frequency cannot be 7 Hz"),
        (["generate", "RECORDING", "--out", "RECORDING"], r"lovelace\.edf is a file"),
        (["generate", "RECORDING", "--out", "RECORDING/sub"], r"Nothing can be written in .*lovelace\.edf"),
        (["evaluate", "gone.yaml", "--out", "OUT"], r"No config file at gone\.yaml"),
        (["evaluate", "EMPTY", "--out", "OUT"], r"empty\.yaml sets nothing"),
        (["train", "codec", "EMPTY"], r"empty\.yaml sets nothing"),
        (["simulate", "OUT", "--config", "EMPTY"], r"empty\.yaml sets nothing"),
        (["simulate", "OUT", "--snr", "loud"], r"snr = 'loud' on the command line .*Allowed: clean, real, a number of"),
        (["simulate", "OUT", "--snr=-500"], r"snr = -500 on the command line .*Allowed: clean, real, a number of dB"),
        (["simulate", "OUT", "--subjects", "-1"], r"subjects = -1 .*Allowed: a whole number, 0 or more"),
        (["simulate", "OUT", "snr_by=subjects"], r"Allowed: subject or trial\. .*did you mean 'subject'"),
        (["generate", "RECORDING", "--out", "OUT", "sampling.steps=0"], r"Allowed: a whole number, 1 or more\."),
        (["generate", "RECORDING", "--out", "OUT", "steps=4"], r"Unknown key 'steps' .*mean 'sampling\.steps'\?$"),
        (["generate", "RECORDING", "--out", "OUT", "only=[drum,bass]"], r"there is no 'drum'.*did you mean 'drums'\?$"),
        (["generate", "RECORDING", "--out", "OUT", "sampling.interval=[1,0]"], "guidance interval"),
        (["evaluate", "configs/eval/smoke.yaml", "--out", "OUT", "samplng.steps=3"], "'samplng' on the command line"),
        (["train", "codec", "codec/smoke", "steps=4"], r"Unknown key 'steps' .*did you mean 'train\.steps'\?$"),
        (["train", "codec", "codec/smoke", "train.batch_size=7", "train.accumulation=2"], "is not a multiple"),
    ],
)
def test_mistakes_in_arguments(
    run: Run, recording_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("listning: {songs: 3}\n")
    (tmp_path / "empty.yaml").write_text("# seed: 1\n")
    names = {
        "OUT": "out",
        "YAML": "a.yaml",
        "EMPTY": "empty.yaml",
        "RECORDING": str(recording_file),
        "RECORDING/sub": f"{recording_file}/sub",
    }
    one_line(run(*(names.get(word, word) for word in arguments)), message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yaml", "empty.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generat"], r"No such command 'generat'\. Allowed: demo, simulate, .*did you mean 'generate'\?$"),
        (["generate", "a.edf"], r"Missing option '--out'\. Allowed: a path \(Where the stems.*generate --help"),
        (["info"], r"Missing argument 'CHECKPOINT\|RECORDING'\. Allowed: a path"),
        (["generate", "a.edf", "--out", "b", "--sed", "3"], r"No such option: --sed\. .*did you mean '--seed'\?$"),
        (["prepare", "a.edf", "--out", "b", "--window", "4"], r"--window.*settings are written key=value"),
        (["generate", "a.edf", "--out", "b", "--seed", "x"], r"Invalid value for '--seed'\. Allowed: a whole number"),
        (["generate", "a.edf", "--out", "b", "--start", "x"], r"Invalid value for '--start'\. Allowed: a number"),
        (["train", "nothing", "configs/codec/smoke.yaml"], r"'nothing'\. Allowed: clap, codec, diffusion"),
        (["train", "codex", "configs/codec/smoke.yaml"], r"'codex'.*did you mean 'codec'\?$"),
        (["info", "a.edf", "b.edf"], r"The override 'b\.edf' cannot be read.* a second file .* not taken"),
    ],
)
def test_words_it_does_not_know(run: Run, arguments: list[str], message: str) -> None:
    one_line(run(*arguments), message)


def test_the_example_of_an_override_in_a_help_is_one_that_the_command_takes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording_file: Path, cache: Path, music: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clips.csv").write_text("file,reference,song\na.wav,b.wav,c\n")
    Path("clips.json").write_text('{"conditioned_on": []}')
    for name in ("a.wav", "b.wav"):
        Path(name).touch()
    Path("scores.json").write_text(json.dumps({"levels": []}))
    recording = [str(recording_file)]
    words = {
        "demo": [], "simulate": ["out"], "prepare": [*recording, "--out", "out"],
        "split": [str(cache), "--out", "out"], "train": ["codec", "codec/smoke", f"task.data={music}"],
        "info": recording,
        "generate": [*recording, "--out", "out"], "evaluate": ["configs/eval/smoke.yaml", "--out", "out"],
        "score": ["clips.csv", "--out", "out"], "compare": [".", "."],
    }  # fmt: skip
    for command in COMMANDS:
        found = re.search(r"Dotted overrides, e\.g\. (\S+)", " ".join(plain(run(command, "--help").out).split()))
        assert found is not None, command
        ran = run(command, *words[command], found.group(1), "--dry-run")
        assert ran.code == 0, (command, found.group(1), ran.err)


def test_a_device_that_is_not_there(run: Run, tiny_checkpoint: Path, recording_file: Path, tmp_path: Path) -> None:
    ran = run(
        "generate", recording_file, "--out", tmp_path / "out", "--checkpoint", tiny_checkpoint, "--device", "gpu7"
    )
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "No device 'gpu7'" in ran.err
    assert "Allowed: cpu, cuda" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [["prepare", "RECORDING", "--out", "OUT"], ["simulate", "OUT"], ["info", "RECORDING"], ["demo", "--out", "OUT"],
     ["generate", "RECORDING", "--out", "OUT"],
     ["evaluate", CONFIGS / "eval" / "smoke.yaml", "--out", "OUT"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_device_that_is_not_there_is_refused_also_where_none_is_needed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording_file: Path, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [str(recording_file) if word == "RECORDING" else word for word in arguments]
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


@pytest.mark.parametrize(
    ("trouble", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out/mix.wav"), 2,
         "error: No space left on device: out/mix.wav.\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)  # fmt: skip
def test_what_is_no_defect_is_one_line(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    recording_file: Path,
    trouble: BaseException,
    code: int,
    said: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr("eeg2music.report.describe.describe", fail)
    ran = run("info", recording_file)
    assert (ran.code, ran.err) == (code, said)


def test_a_defect_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch, recording_file: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a defect of ours")

    monkeypatch.setattr("eeg2music.report.describe.describe", broken)
    monkeypatch.setattr("sys.argv", ["eeg2music", "info", str(recording_file)])
    with pytest.raises(KeyError, match="a defect of ours"):
        cli.main()
