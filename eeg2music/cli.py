"""The command line: arguments, progress and exit codes.

The only module that prints or exits. Each command builds a config, calls one function of the
library and says where the result lies. A mistake of the user's is one line and exit code 2.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from eeg2music import __version__
from eeg2music.errors import Eeg2MusicError
from eeg2music.memory import keep_freed_memory

app = typer.Typer(
    name="eeg2music",
    help="Decode music from recordings of a brain, and measure how much of it came from the brain.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# What a shell gives to a command that was ended by Ctrl-C.
INTERRUPTED = 130
# How a log is told of progress, in seconds.
QUIET_S = 10.0
EVERY_S = 10.0
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Seed = Annotated[int | None, typer.Option(help="The one seed that everything random derives from.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, or auto.")]
# What the commands take that draw nothing, or compute nothing on a device.
IdleSeed = Annotated[int | None, typer.Option(help="Taken as every command takes it; nothing here depends on it.")]
IdleDevice = Annotated[
    str, typer.Option(help="Taken as every command takes it, and has to be there; nothing here depends on it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Dotted overrides, e.g. sampling.steps=8")]


def main() -> None:
    """Entry point of the console script."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    keep_freed_memory()
    try:
        code = app(standalone_mode=False)
    except Eeg2MusicError as error:
        err.print(f"[red]error:[/red] {_plain(str(error))}", soft_wrap=True)
        sys.exit(2)
    except OSError as error:
        # A full disk, a folder without permission: the machine's trouble, not a defect.
        if error.errno is None:
            raise
        where = f": {error.filename}" if error.filename else ""
        err.print(f"[red]error:[/red] {_plain(f'{error.strerror}{where}.')}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "exit_code"):  # not one of click's own
            raise
        message = getattr(error, "format_message", lambda text=str(error): text)()
        if message:
            err.print(f"[red]error:[/red] {_plain(message)}", soft_wrap=True)
        sys.exit(error.exit_code)
    if code == INTERRUPTED:  # typer turns the interruption into this
        err.print("stopped")
    sys.exit(code if isinstance(code, int) else 0)


def _plain(text: str) -> str:
    """Escape rich markup, so that a path in brackets stays readable."""
    from rich.markup import escape

    return escape(text)


def _version(value: bool) -> None:
    if value:
        out.print(f"eeg2music {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what happens.")] = False,
) -> None:
    """Decode music from recordings of a brain, and measure how much of it came from the brain."""
    if verbose:
        logging.getLogger("eeg2music").setLevel(logging.INFO)


def _show(config: Any) -> None:
    """Print a resolved config as YAML."""
    import yaml

    values = config if isinstance(config, dict) else config.model_dump(mode="json")
    out.print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip(), soft_wrap=True, markup=False)


def _given(**options: object) -> list[str]:
    """Overrides for the options that were given; quoted, so that a channel named "1" stays a name."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in options.items() if value is not None]


def _names(text: str | None) -> list[str] | None:
    """Comma-separated names."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _seeded(overrides: list[str] | None, seed: int | None, key: str = "seed") -> list[str]:
    return [*(overrides or []), *([f"{key}={seed}"] if seed is not None else [])]


def _check_device(device: str) -> None:
    """Refuse a device that is not there, also where nothing is computed on it."""
    if device != "auto":
        from eeg2music.pipeline import pick_device

        pick_device(device)


class _Steps:
    """Says what is being done: on a terminal in a line that changes, in a log by a plain line for each step.

    A log is left alone for the first QUIET_S seconds, so that a mistake that is found at once stays one line; the lines
    until then follow. Steps that differ in their numbers only, such as "song 3 of 800", come every EVERY_S seconds.
    """

    def __init__(self) -> None:
        self._status = err.status("starting")
        self._held: list[str] | None = []
        self._last, self._told_s = "", 0.0
        self._lock = threading.Lock()
        self._timer = threading.Timer(QUIET_S, self._release)
        self._timer.daemon = True

    def __enter__(self) -> _Steps:
        if err.is_terminal:
            self._status.start()
        else:
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._status.stop()

    def __call__(self, step: str, artefact: object = None) -> None:
        if err.is_terminal:
            self._status.update(_plain(step))
            return
        kind, now = re.sub(r"[0-9]+", "", step), time.monotonic()
        if kind == self._last and now - self._told_s < EVERY_S:
            return
        self._last, self._told_s = kind, now
        with self._lock:
            if self._held is None:
                _say(step)
            else:
                self._held.append(step)

    def _release(self) -> None:
        with self._lock:
            for step in self._held or ():
                _say(step)
            self._held = None


def _say(line: str) -> None:
    err.print(line, soft_wrap=True, markup=False)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where the stems, the mix and the report go.")] = Path(
        "out/demo"
    ),
    overrides: Overrides = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of models; the small shipped ones by default.")
    ] = None,
    seed: Seed = None,
    device: Device = "auto",
    dry_run: DryRun = False,
) -> None:
    """Simulate a held-out listener, decode the music, mix it, score it, report it."""
    from eeg2music.config import load_config
    from eeg2music.demo import DemoConfig, run_demo

    config = load_config(DemoConfig, None, _seeded(overrides, seed))
    _check_device(device)
    if dry_run:
        return _show(config)
    with _Steps() as hook:
        report = run_demo(config, folder, checkpoint=checkpoint, device=device, hook=hook)
    from eeg2music.report.words import demo_summary

    out.print(demo_summary(report, folder), soft_wrap=True, markup=False)
    return None


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the BIDS data set.")],
    overrides: Overrides = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="YAML file.")] = None,
    subjects: Annotated[int | None, typer.Option(help="Number of listeners; 0 writes music only.")] = None,
    songs: Annotated[int | None, typer.Option(help="Number of songs.")] = None,
    repeats: Annotated[int | None, typer.Option(help="How often the repeated songs are heard.")] = None,
    snr: Annotated[str | None, typer.Option(help="clean (0 dB), real, or decibels.")] = None,
    seed: Seed = None,
    device: IdleDevice = "auto",
    dry_run: DryRun = False,
) -> None:
    """Write a BIDS data set of simulated people who listen to composed music."""
    from eeg2music.config import load_config
    from eeg2music.simulation.dataset import SimulationConfig
    from eeg2music.simulation.dataset import simulate as run

    given = _given(out=str(folder), subjects=subjects, songs=songs, repeats=repeats)
    # A level may be a word or a number.
    given += [f"snr={snr}"] if snr is not None else []
    config = load_config(SimulationConfig, config_file, [*given, *_seeded(overrides, seed)])
    _check_device(device)
    if dry_run:
        return _show(config)
    with _Steps() as hook:
        hook("songs")
        run(config, progress=lambda what, done, total: hook(f"{what} {done} of {total}"))
    out.print(f"Wrote {folder}", soft_wrap=True, markup=False)
    return None


@app.command()
def prepare(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="BIDS data set, a folder of recordings, or one file.")],
    cache: Annotated[Path, typer.Option("--out", help="Folder of the prepared cache.")],
    overrides: Overrides = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="YAML file.")] = None,
    seed: IdleSeed = None,
    device: IdleDevice = "auto",
    dry_run: DryRun = False,
) -> None:
    """Preprocess and window recordings into a memory-mapped cache."""
    from eeg2music.config import load_config
    from eeg2music.preparation import PrepareConfig
    from eeg2music.preparation import prepare as run

    config = load_config(PrepareConfig, config_file, overrides or [])
    _check_device(device)
    if dry_run:
        return _show(config)
    with _Steps() as hook:
        path = run(data, cache, config, progress=lambda done, total, name: hook(f"{done} of {total}: {name}"))
    out.print(f"Wrote {path}", soft_wrap=True, markup=False)
    return None


@app.command()
def split(
    cache: Annotated[Path, typer.Argument(metavar="CACHE", help="Folder of a prepared cache.")],
    file: Annotated[Path, typer.Option("--out", help="JSON file of the manifest.")],
    overrides: Overrides = None,
    by: Annotated[str | None, typer.Option(help="song (the default), subject, grid, run or site.")] = None,
    seed: Seed = None,
    device: IdleDevice = "auto",
    dry_run: DryRun = False,
) -> None:
    """Say who of a prepared cache trains and who tests: a manifest, checked for leaks."""
    from eeg2music.config import load_config
    from eeg2music.evaluation.split_cache import SplitConfig, split_cache, summary

    config = load_config(SplitConfig, None, [*_given(by=by), *_seeded(overrides, seed)])
    _check_device(device)
    if dry_run:
        return _show(config)
    with _Steps() as hook:
        hook("splitting and listening")
        body = split_cache(cache, file, config)
    for line in (*summary(body), f"Wrote {file}"):
        out.print(line, soft_wrap=True, markup=False)
    return None


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="codec, clap, scorer, encoder or diffusion.")],
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file.")],
    overrides: Overrides = None,
    seed: Seed = None,
    device: Device = "auto",
    dry_run: DryRun = False,
) -> None:
    """Train one of the models. The same command again resumes; Ctrl-C ends it with its weights written."""
    from eeg2music.training import config as training_config
    from eeg2music.training import loop

    given = _seeded(overrides, seed, key="train.seed")
    if device != "auto":
        given.append(f"train.device={device}")
    resolved = training_config.resolve(name, str(config_file), given)
    if dry_run:
        return _show(resolved)
    with _Progress() as progress:
        result = loop.run(name, resolved, progress=progress, stop_on_signals=True)
    state = "finished" if result.finished else "stopped before its last step; the same command goes on"
    out.print(f"{name}: {state} at step {result.step}. Weights: {result.export}", soft_wrap=True, markup=False)
    return None


@app.command()
def generate(
    recording: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A recording (EDF, BDF, BrainVision, FIF, …) or a prepared cache.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Where the stems, the mix and the report go.")],
    overrides: Overrides = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of models; the small shipped ones by default.")
    ] = None,
    channels: Annotated[str | None, typer.Option(help="Comma-separated names of the channels to use.")] = None,
    montage: Annotated[
        str | None, typer.Option(help="Name of a standard montage, if the file has no positions.")
    ] = None,
    start: Annotated[float | None, typer.Option(help="Start in seconds.")] = None,
    stop: Annotated[float | None, typer.Option(help="Stop in seconds.")] = None,
    line_freq: Annotated[float | None, typer.Option(help="50 or 60 Hz; found from the signal by default.")] = None,
    seed: Seed = None,
    device: Device = "auto",
    dry_run: DryRun = False,
) -> None:
    """Turn a recording into stems, a mix and a report."""
    from eeg2music.config import load_config
    from eeg2music.generation import GenerateConfig, run_generate
    from eeg2music.generation_batch import run_generate_prepared
    from eeg2music.recordings.prepared import is_prepared

    given = _given(channels=_names(channels), montage=montage, start_s=start, stop_s=stop, line_freq_hz=line_freq)
    config = load_config(GenerateConfig, None, [*given, *_seeded(overrides, seed)])
    _check_device(device)
    if dry_run:
        return _show(config)
    with _Steps() as hook:
        run = run_generate_prepared if is_prepared(recording) and config.recording is None else run_generate
        report = run(recording, folder, config, checkpoint=checkpoint, device=device, hook=hook)
    from eeg2music.report.words import generate_summary

    out.print(generate_summary(report, folder), soft_wrap=True, markup=False)
    return None


@app.command()
def evaluate(
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file.")],
    folder: Annotated[Path, typer.Option("--out", help="Where scores and report go.")],
    overrides: Overrides = None,
    allow_circular: Annotated[
        bool,
        typer.Option("--allow-circular", help="The scorer may be what conditioned the music; the report is stamped."),
    ] = False,
    seed: Seed = None,
    device: Device = "auto",
    dry_run: DryRun = False,
) -> None:
    """Retrieval, identification and FAD, each beside its controls.

    What is finished is kept in OUT.parts until the whole is: stopped, the same command goes on, also with levels added.
    With workers=2 two processes share the work. A config with `kind: recorded` scores features of people's recordings,
    one with `kind: protocol` a published way of scoring, one with `kind: encoding` which channels follow the music.
    """
    from eeg2music.evaluation.config import EvaluateConfig
    from eeg2music.evaluation.kinds import load_evaluation, run

    given = _given(allow_circular=allow_circular or None)
    config = load_evaluation(config_file, [*given, *_seeded(overrides, seed)])
    _check_device(device)
    if dry_run:
        return _show(config)
    with _Steps() as hook:
        scores = run(config, folder, device=device, hook=hook)
    if isinstance(config, EvaluateConfig):
        from eeg2music.report.words import evaluation_summary

        out.print(evaluation_summary(scores, folder), soft_wrap=True, markup=False)
    else:
        out.print((folder / "scores.md").read_text(encoding="utf-8"), soft_wrap=True, markup=False)
        out.print(f"Wrote {folder}", soft_wrap=True, markup=False)
    return None


@app.command()
def score(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="CSV or JSON lines: one clip on each line, with what was heard.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Where scores and report go.")],
    overrides: Overrides = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="YAML file.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Folder of music that the clips are compared with as a whole (.npy for rows).")
    ] = None,
    embedding: Annotated[
        str | None, typer.Option(help="Comma-separated: scorer, classical, clap-music, encodec, mert, ours.")
    ] = None,
    resample: Annotated[bool, typer.Option("--resample", help="Several sample rates are meant.")] = False,
    allow_small: Annotated[
        bool, typer.Option("--allow-small", help="FAD also of too few clips; the score is stamped.")
    ] = False,
    allow_circular: Annotated[
        bool,
        typer.Option("--allow-circular", help="An embedding may score what it conditioned; the report is stamped."),
    ] = False,
    seed: Seed = None,
    device: Device = "auto",
    dry_run: DryRun = False,
) -> None:
    """Score what any model made: audio or embeddings, with a manifest.

    A line for each clip, and a column for what is known of it:

    file: the clip (or row: its row in an array of embeddings)
    reference: what was heard, audio or a row
    song, work: of what was heard; intervals count works
    subject, style, seed: of the listener, the song, the generation
    condition: brain, or the name of a control
    stems, reference_stems: folders, one sound file for each stem
    genre, mood, instrument: of what was heard
    made_genre, made_mood, made_instrument: of the clip, by a
    classifier of your own; else the nearest heard music tells

    Judged by where they should sit are the controls shuffled,
    phase_randomized, time_shifted, other_subject, no_brain,
    random_encoder, oracle, codec, ridge, song_oracle, genre_oracle
    and signal_blind. Other names are scored, and nothing is expected.

    What is true of all clips stands in a .json of the same name
    beside the table: conditioned_on, sample_rate_hz, loudness, array,
    reference_array, embedding, embedding_sha256, gallery,
    gallery_size, repeated, copied.
    """
    from eeg2music.config import load_config
    from eeg2music.evaluation.outside.page import summary
    from eeg2music.evaluation.outside.run import ScoreConfig, run_score

    flags = {"resample": resample, "allow_small": allow_small, "allow_circular": allow_circular}
    given = _given(reference=reference, embedding=_names(embedding), **{key: True for key in flags if flags[key]})
    config = load_config(ScoreConfig, config_file, [*given, *_seeded(overrides, seed)])
    _check_device(device)
    if dry_run:
        return _show(config)
    with _Steps() as hook:
        scores = run_score(manifest, folder, config, device=device, hook=hook)
    out.print(summary(scores, folder), soft_wrap=True, markup=False)
    return None


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of `evaluate` or `score`, or its scores.json.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another, of the same songs, gallery, levels and seeds.")],
    overrides: Overrides = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="JSON file of the comparison; the table goes beside it as Markdown.")
    ] = None,
    seed: Seed = None,
    device: IdleDevice = "auto",
    dry_run: DryRun = False,
) -> None:
    """Paired differences of two results, B less A, with intervals.

    Of the brain; conditions=[all] takes every condition that both hold. Differences are paired by song and listener,
    and p-values are corrected over all figures. Results of other songs, galleries, scorers or seeds are refused.
    """
    from eeg2music.config import load_config
    from eeg2music.evaluation.compare import CompareConfig, compare_runs, comparison_markdown, write_comparison

    config = load_config(CompareConfig, None, _seeded(overrides, seed))
    _check_device(device)
    if dry_run:
        return _show(config)
    result = compare_runs(first, second, config)
    out.print(comparison_markdown(result), soft_wrap=True, markup=False)
    for path in write_comparison(file, result) if file else ():
        out.print(f"Wrote {path}", soft_wrap=True, markup=False)
    return None


@app.command()
def info(
    thing: Annotated[Path, typer.Argument(metavar="CHECKPOINT|RECORDING", help="A folder of models or a recording.")],
    overrides: Overrides = None,
    channels: Annotated[str | None, typer.Option(help="Comma-separated names of the channels to use.")] = None,
    montage: Annotated[str | None, typer.Option(help="Name of a standard montage.")] = None,
    seed: IdleSeed = None,
    device: IdleDevice = "auto",
    dry_run: DryRun = False,
) -> None:
    """Say in plain words what a checkpoint or a recording is."""
    from eeg2music.config import load_config
    from eeg2music.report.describe import InfoConfig, describe

    config = load_config(InfoConfig, None, [*_given(channels=_names(channels), montage=montage), *(overrides or [])])
    _check_device(device)
    if dry_run:
        return _show(config)
    for line in describe(thing, channels=config.channels, montage=config.montage):
        out.print(line, soft_wrap=True, markup=False)
    return None


class _Progress:
    """Training's step, loss and estimate of the time left: a bar on a terminal, in a log a line at each report."""

    def __enter__(self) -> _Progress:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._task = self._bar.add_task("training", total=None)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Any) -> None:
        loss = progress.losses.get("loss")
        text = "training" if loss is None else f"loss {loss:.4g}"
        if not err.is_terminal:
            _say(f"step {progress.step} of {progress.steps}, {text}, {progress.seconds_left / 60:.1f} min left")
        self._bar.update(self._task, completed=progress.step, total=progress.steps, description=text)


if __name__ == "__main__":
    main()
