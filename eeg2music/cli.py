"""The command line: arguments, progress and exit codes.

With `console`, which prints for it, and `training.__main__` the only module that prints or exits. Each command builds a
config, calls one function of the library and says where the result lies. A mistake of the user's is one line and exit
code 2.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from eeg2music import __version__, options
from eeg2music.console import Steps, TrainingBar, complain, err, show, tell
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


def main() -> None:
    """Entry point of the console script."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    keep_freed_memory()
    try:
        code = app(standalone_mode=False)
    except Eeg2MusicError as error:
        complain(str(error))
        sys.exit(2)
    except OSError as error:
        # A full disk, a folder without permission: the machine's trouble, not a defect.
        if error.errno is None:
            raise
        where = f": {error.filename}" if error.filename else ""
        complain(f"{error.strerror}{where}.")
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "exit_code"):  # not one of the parser's own
            raise
        wrong = options.usage_error(error)
        if wrong is not None:
            complain(str(wrong))
        sys.exit(error.exit_code)
    if code == INTERRUPTED:  # typer turns the interruption into this
        err.print("stopped")
    sys.exit(code if isinstance(code, int) else 0)


def _version(value: bool) -> None:
    if value:
        tell(f"eeg2music {__version__}")
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


def _dry_run(config: Any, check: Callable[[], object]) -> None:
    """Make every check that needs no work, then show the config."""
    check()
    show(config)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where the stems, the mix and the report go.")] = Path(
        "out/demo"
    ),
    overrides: Annotated[list[str] | None, options.overrides_like("clips=4")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of models; the small shipped ones by default.")
    ] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Simulate a held-out listener, decode the music, mix it, score it, report it."""
    from eeg2music.config import load_config
    from eeg2music.demo import DemoConfig, check_demo, run_demo

    config = load_config(DemoConfig, None, options.seeded(overrides, seed))
    options.check_device(device)
    if dry_run:
        return _dry_run(config, lambda: check_demo(folder, checkpoint=checkpoint))
    with Steps() as hook:
        report = run_demo(config, folder, checkpoint=checkpoint, device=device, hook=hook)
    from eeg2music.report.words import demo_summary

    tell(demo_summary(report, folder))
    return None


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the BIDS data set.")],
    overrides: Annotated[list[str] | None, options.overrides_like("song_seconds=8")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="YAML file.")] = None,
    subjects: Annotated[int | None, typer.Option(help="Number of listeners; 0 writes music only.")] = None,
    songs: Annotated[int | None, typer.Option(help="Number of songs.")] = None,
    repeats: Annotated[
        int | None, typer.Option(help="How often each song is heard; with repeated_songs=N, N songs of each listener.")
    ] = None,
    snr: Annotated[str | None, typer.Option(help="clean (0 dB), real, or decibels.")] = None,
    seed: options.Seed = None,
    device: options.IdleDevice = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Write a BIDS data set of simulated people who listen to composed music."""
    from eeg2music.config import load_config
    from eeg2music.simulation.dataset import SimulationConfig, check_simulation
    from eeg2music.simulation.dataset import simulate as run

    given = options.given(out=str(folder), subjects=subjects, songs=songs, repeats=repeats)
    # A level may be a word or a number.
    given += [f"snr={snr}"] if snr is not None else []
    config = load_config(SimulationConfig, config_file, [*given, *options.seeded(overrides, seed)])
    options.check_device(device)
    if dry_run:
        return _dry_run(config, lambda: check_simulation(config))
    with Steps() as hook:
        hook("songs")
        run(config, progress=lambda what, done, total: hook(f"{what} {done} of {total}"))
    tell(f"Wrote {config.out}")
    return None


@app.command()
def prepare(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="BIDS data set, a folder of recordings, or one file.")],
    cache: Annotated[Path, typer.Option("--out", help="Folder of the prepared cache.")],
    overrides: Annotated[list[str] | None, options.overrides_like("window_s=4")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="YAML file.")] = None,
    channels: options.Channels = None,
    montage: options.Montage = None,
    seed: options.IdleSeed = None,
    device: options.IdleDevice = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Preprocess and window recordings into a memory-mapped cache."""
    from eeg2music.config import load_config
    from eeg2music.preparation import PrepareConfig, check_prepare
    from eeg2music.preparation import prepare as run

    given = options.given(channels=options.names(channels), montage=montage)
    config = load_config(PrepareConfig, config_file, [*given, *(overrides or [])])
    options.check_device(device)
    if dry_run:
        return _dry_run(config, lambda: check_prepare(data, cache, config))
    with Steps() as hook:
        path = run(data, cache, config, progress=lambda done, total, name: hook(f"{done} of {total}: {name}"))
    tell(f"Wrote {path}")
    return None


@app.command()
def split(
    cache: Annotated[Path, typer.Argument(metavar="CACHE", help="Folder of a prepared cache.")],
    file: Annotated[Path, typer.Option("--out", help="JSON file of the manifest.")],
    overrides: Annotated[list[str] | None, options.overrides_like("test_share=0.2")] = None,
    by: Annotated[str | None, typer.Option(help="song (the default), subject, grid, run or site.")] = None,
    seed: options.Seed = None,
    device: options.IdleDevice = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Say who of a prepared cache trains and who tests: a manifest, checked for leaks."""
    from eeg2music.config import load_config
    from eeg2music.evaluation.split_cache import SplitConfig, check_split, split_cache, summary

    config = load_config(SplitConfig, None, [*options.given(by=by), *options.seeded(overrides, seed)])
    options.check_device(device)
    if dry_run:
        return _dry_run(config, lambda: check_split(cache, file))
    with Steps() as hook:
        hook("splitting and listening")
        body = split_cache(cache, file, config)
    for line in (*summary(body), f"Wrote {file}"):
        tell(line)
    return None


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="codec, clap, scorer, encoder or diffusion.")],
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file.")],
    overrides: Annotated[list[str] | None, options.overrides_like("train.steps=100")] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Train one of the models. The same command again resumes; Ctrl-C ends it with its weights written."""
    from eeg2music.training import config as training_config
    from eeg2music.training import loop

    given = options.seeded(overrides, seed, key="train.seed")
    if device != "auto":
        given.append(f"train.device={device}")
    resolved = training_config.resolve(name, str(config_file), given)
    if dry_run:
        return _dry_run(resolved, lambda: loop.check_run(name, resolved))
    with TrainingBar() as progress:
        result = loop.run(name, resolved, progress=progress, stop_on_signals=True)
    state = "finished" if result.finished else "stopped before its last step; the same command goes on"
    tell(f"{name}: {state} at step {result.step}. Weights: {result.export}")
    return None


@app.command()
def generate(
    recording: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A recording (EDF, BDF, BrainVision, FIF, …) or a prepared cache.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Where the stems, the mix and the report go.")],
    overrides: Annotated[list[str] | None, options.overrides_like("sampling.steps=12")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of models; the small shipped ones by default.")
    ] = None,
    channels: options.Channels = None,
    montage: options.Montage = None,
    start: Annotated[float | None, typer.Option(help="Start in seconds.")] = None,
    stop: Annotated[float | None, typer.Option(help="Stop in seconds.")] = None,
    line_freq: Annotated[
        float | None, typer.Option(help="Mains in Hz, such as 50 or 60; found from the signal by default.")
    ] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Turn a recording into stems, a mix and a report."""
    from eeg2music.config import load_config
    from eeg2music.generation import GenerateConfig, check_generate, run_generate
    from eeg2music.generation_batch import check_generate_prepared, run_generate_prepared
    from eeg2music.recordings.prepared import is_prepared

    given = options.given(
        channels=options.names(channels), montage=montage, start_s=start, stop_s=stop, line_freq_hz=line_freq
    )
    config = load_config(GenerateConfig, None, [*given, *options.seeded(overrides, seed)])
    options.check_device(device)
    clips = is_prepared(recording) and config.recording is None
    if dry_run:
        check = check_generate_prepared if clips else check_generate
        return _dry_run(config, lambda: check(recording, folder, config, checkpoint=checkpoint))
    with Steps() as hook:
        run = run_generate_prepared if clips else run_generate
        report = run(recording, folder, config, checkpoint=checkpoint, device=device, hook=hook)
    from eeg2music.report.words import generate_summary

    tell(generate_summary(report, folder))
    return None


@app.command()
def evaluate(
    config_file: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file.")],
    folder: Annotated[Path, typer.Option("--out", help="Where scores and report go.")],
    overrides: Annotated[list[str] | None, options.overrides_like("seed=1")] = None,
    allow_circular: Annotated[
        bool,
        typer.Option("--allow-circular", help="The scorer may be what conditioned the music; the report is stamped."),
    ] = False,
    seed: options.Seed = None,
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Retrieval, identification and FAD, each beside its controls.

    What is finished is kept in OUT.parts until the whole is: stopped, the same command goes on, also with levels added.
    With workers=2 two processes share the work. A config with `kind: recorded` scores features of people's recordings,
    one with `kind: protocol` a published way of scoring, one with `kind: encoding` which channels follow the music.
    """
    from eeg2music.evaluation.config import EvaluateConfig
    from eeg2music.evaluation.kinds import check, load_evaluation, run

    given = options.given(allow_circular=allow_circular or None)
    config = load_evaluation(config_file, [*given, *options.seeded(overrides, seed)])
    options.check_device(device)
    if dry_run:
        return _dry_run(config, lambda: check(config, folder))
    with Steps() as hook:
        scores = run(config, folder, device=device, hook=hook)
    if isinstance(config, EvaluateConfig):
        from eeg2music.report.words import evaluation_summary

        tell(evaluation_summary(scores, folder))
    else:
        tell((folder / "scores.md").read_text(encoding="utf-8"))
        tell(f"Wrote {folder}")
    return None


@app.command()
def score(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="CSV or JSON lines: one clip on each line, with what was heard.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Where scores and report go.")],
    overrides: Annotated[list[str] | None, options.overrides_like("permutations=500")] = None,
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
    seed: options.Seed = None,
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
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
    gallery_size, repeated, copied. `conditioned_on` has to be there:
    the embeddings that steered the generation, by name or hash, or
    [] for none. Without it only `classical` scores, which is not
    learned.
    """
    from eeg2music.config import load_config
    from eeg2music.evaluation.outside.config import ScoreConfig, check_score

    given = options.given(
        reference=reference,
        embedding=options.names(embedding),
        resample=resample or None,
        allow_small=allow_small or None,
        allow_circular=allow_circular or None,
    )
    config = load_config(ScoreConfig, config_file, [*given, *options.seeded(overrides, seed)])

    def check() -> None:
        # The device last: it takes seconds to import what knows it.
        check_score(manifest, folder, config)
        options.check_device(device)

    if dry_run:
        return _dry_run(config, check)
    check()
    from eeg2music.evaluation.outside.page import summary
    from eeg2music.evaluation.outside.run import run_score

    with Steps() as hook:
        scores = run_score(manifest, folder, config, device=device, hook=hook)
    tell(summary(scores, folder))
    return None


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of `evaluate` or `score`, or its scores.json.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another, of the same songs, gallery, levels and seeds.")],
    overrides: Annotated[list[str] | None, options.overrides_like("permutations=1000")] = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="JSON file of the comparison; the table goes beside it as Markdown.")
    ] = None,
    seed: options.Seed = None,
    device: options.IdleDevice = "auto",
    dry_run: options.DryRun = False,
) -> None:
    r"""Paired differences of two results, B less A, with intervals.

    Of the brain; conditions=\[all] takes every condition that both hold. Differences are paired by song and listener,
    and p-values are corrected over all figures. Results of other songs, galleries, scorers or seeds are refused.
    """
    from eeg2music.config import load_config
    from eeg2music.evaluation.compare import (
        CompareConfig,
        check_compare,
        compare_runs,
        comparison_markdown,
        write_comparison,
    )

    config = load_config(CompareConfig, None, options.seeded(overrides, seed))
    options.check_device(device)
    if dry_run:
        return _dry_run(config, lambda: check_compare(first, second, config, out=file))
    check_compare(first, second, config, out=file)
    result = compare_runs(first, second, config)
    tell(comparison_markdown(result))
    for path in write_comparison(file, result) if file else ():
        tell(f"Wrote {path}")
    return None


@app.command()
def info(
    thing: Annotated[Path, typer.Argument(metavar="CHECKPOINT|RECORDING", help="A folder of models or a recording.")],
    overrides: Annotated[list[str] | None, options.overrides_like("montage=10-20")] = None,
    channels: options.Channels = None,
    montage: options.Montage = None,
    seed: options.IdleSeed = None,
    device: options.IdleDevice = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Say in plain words what a checkpoint or a recording is."""
    from eeg2music.config import load_config
    from eeg2music.report.describe import InfoConfig, check_describe, describe

    given = options.given(channels=options.names(channels), montage=montage)
    config = load_config(InfoConfig, None, [*given, *(overrides or [])])
    options.check_device(device)
    if dry_run:
        return _dry_run(config, lambda: check_describe(thing, montage=config.montage))
    for line in describe(thing, channels=config.channels, montage=config.montage):
        tell(line)
    return None


if __name__ == "__main__":
    main()
