"""Prepares every recording of a source and writes the list of windows last."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from eeg2music.errors import ConfigError, DataError, InputError
from eeg2music.files import check_new_folder, read_json, sha256_json, write_json, write_text
from eeg2music.preparation.config import PrepareConfig
from eeg2music.preparation.single import Facts, counted, prepare_one
from eeg2music.preparation.sources import Source, find_sources, stimuli_folder
from eeg2music.recordings.declared import participant_sites, stimulus_works
from eeg2music.recordings.montages import resolve_montage
from eeg2music.recordings.prepared import MIXED, SCHEMA
from eeg2music.types import EEG_RATE_HZ

_LOG = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
_SHOWN = 5


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: PrepareConfig | None = None,
    *,
    progress: Progress | None = None,
) -> Path:
    """Preprocess and window a BIDS data set, a folder of recordings, or one recording.

    Run again, it goes on where it was stopped.

    Parameters
    ----------
    progress : called with (finished, all, name of the recording)

    Returns
    -------
    The folder of the cache, to be opened with `recordings.prepared.PreparedDataset`.

    Raises
    ------
    InputError, DataError
        If the source has no recording, lacks files, or holds unusable recordings.
    ConfigError
        If `out` holds a cache made with another config.
    """
    config = config or PrepareConfig()
    root, cache = Path(source), Path(out)
    sources = check_prepare(root, cache, config)
    new = _claim(cache, config)
    _sweep(cache)
    results = _run_all(sources, cache, config, progress)
    failures = {str(s.path): r for s, r in zip(sources, results, strict=True) if "error" in r}
    if failures and (not config.skip_unusable or len(failures) == len(sources)):
        if new and len(failures) == len(sources):
            shutil.rmtree(cache)  # nothing in it is worth resuming
        raise _failed(failures, len(sources))
    if failures:
        _warn([source for source, result in zip(sources, results, strict=True) if "error" in result], len(sources))
    done = sorted((r for r in results if "error" not in r), key=lambda r: str(r["recording"]))
    marked = sum(facts["left_out_windows"] for facts in done)
    if not any(facts["rows"] for facts in done):
        if new:
            shutil.rmtree(cache)  # the remedy is another config, which such a cache would not take
        raise _no_window(config, marked)
    if marked:
        _LOG.warning("left out %d windows that overlap stretches marked bad", marked)
    _finish(cache, config, done, len(failures), stimuli_folder(root))
    return cache


def check_prepare(source: Path, cache: Path, config: PrepareConfig) -> list[Source]:
    """Everything that can be refused before a recording is read. Returns the recordings.

    Raises
    ------
    InputError, DataError, ConfigError
    """
    if config.montage is not None:
        resolve_montage(config.montage)
    sources = list(find_sources(source))
    _check_cache(cache, config)
    check_new_folder(cache)
    return sources


def _check_cache(cache: Path, config: PrepareConfig) -> bool:
    """Refuse a folder that holds anything but a cache made with this config. Whether it is new."""
    file = cache / "config.json"
    identity = config.identity()
    if file.is_file():
        theirs = _config_in(file)
        if theirs != identity:
            keys = sorted(key for key in identity.keys() | theirs.keys() if identity.get(key) != theirs.get(key))
            raise ConfigError(
                f"{cache} holds a cache made with another config (differs in {', '.join(keys)})",
                allowed="the same config, to resume it",
                remedy="name another --out, or delete that folder",
            )
        return False
    if cache.exists() and (not cache.is_dir() or any(cache.iterdir())):
        raise InputError(
            f"{cache} is there already and is no prepared cache", allowed="a new or empty folder", remedy="change --out"
        )
    return True


def _config_in(file: Path) -> Facts:
    try:
        return dict(read_json(file))
    except (ValueError, TypeError):
        raise DataError(
            f"{file} is damaged",
            allowed="what `eeg2music prepare` wrote",
            remedy="delete its folder, or name another --out",
        ) from None


def _claim(cache: Path, config: PrepareConfig) -> bool:
    """Make the cache's folder ours. Whether it is new."""
    new = _check_cache(cache, config)
    if new:
        write_json(cache / "config.json", config.identity())
    return new


def _sweep(cache: Path) -> None:
    """Remove temporary files of a run that was killed."""
    for folder in (cache, cache / "signals", cache / "recordings"):
        for leftover in folder.glob(".*-*"):
            leftover.unlink()


def _cores() -> int:
    """Cores that this process may use; where the system does not say, all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_all(sources: Sequence[Source], cache: Path, config: PrepareConfig, progress: Progress | None) -> list[Facts]:
    """Facts about each recording, in the order of `sources`."""
    work = partial(prepare_one, cache=cache, config=config)
    workers = min(config.workers or _cores(), len(sources))
    results: dict[int, Facts] = {}

    def finished(index: int, result: Facts) -> None:
        results[index] = result
        if progress is not None:
            progress(len(results), len(sources), str(result.get("recording", "unusable")))

    if workers <= 1:
        for index, one in enumerate(sources):
            finished(index, work(one))
    else:
        # Forking a process whose libraries hold threads can hang it.
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(work, one): index for index, one in enumerate(sources)}
            for future in as_completed(futures):
                finished(futures[future], future.result())
    return [results[index] for index in range(len(sources))]


def _failed(failures: Mapping[str, Facts], count: int) -> DataError:
    path, told = next(iter(failures.items()))
    # Of several, one remedy for them all; `info` has that of each.
    why = told["error" if count == 1 else "why"]
    named = why if path in why else f"{path}: {why}"
    if count == 1:
        return DataError(f"1 of 1 recordings cannot be used. {named}")
    first = ", the first" if len(failures) > 1 else ""
    kept = " (what was finished is kept)" if len(failures) < count else ""
    return DataError(
        f"{len(failures)} of {count} recordings cannot be used{first}: {named}",
        remedy=f"mend or remove them and run this again{kept}, or set skip_unusable=true to leave them out; "
        "`eeg2music info FILE` says what is wrong with each",
    )


def _warn(left_out: Sequence[Source], count: int) -> None:
    """Say how many were left out, and which by their keys: a file's name or folder may be a person's."""
    keys = [source.key for source in left_out if source.key is not None]
    named = f", such as {', '.join(keys[:_SHOWN])}" if keys else ""
    _LOG.warning(
        "left out %d of %d recordings that cannot be used%s; `eeg2music info FILE` says why",
        len(left_out),
        count,
        named,
    )


def _no_window(config: PrepareConfig, marked: int) -> DataError:
    if marked:
        return DataError(
            f"All {marked} windows of {config.window_s:g} s overlap stretches marked bad",
            allowed="windows without such a stretch",
            remedy="set a shorter window_s, or correct the annotations",
        )
    return DataError(
        f"No window of {config.window_s:g} s lies inside a stimulus",
        allowed="stimuli at least as long as a window",
        remedy="set a shorter window_s, or correct onset and duration in events.tsv",
    )


def _refuse_copies(done: Sequence[Facts]) -> None:
    """One recording under one name or two: outside a BIDS data set the content is the name."""
    names: dict[str, list[str]] = {}
    for facts in done:
        names.setdefault(facts["content"], []).append(facts["recording"])
    copies = [", ".join(sorted(set(same))) for same in names.values() if len(same) > 1]
    if copies:
        raise DataError(
            f"The same recording lies in the source twice ({'; '.join(copies[:_SHOWN])})",
            allowed="each recording once: a copy in training and test would be a leak",
            remedy="remove the copies",
        )


def _finish(cache: Path, config: PrepareConfig, done: Sequence[Facts], left_out: int, stimuli: Path) -> None:
    """Write the list of windows, then meta.json: its presence says that the cache is complete."""
    _refuse_copies(done)
    done = _with_declared(done, stimuli.parent)
    rows = [row for facts in done for row in counted(facts["rows"])]
    located = (_located(row, stimuli, cache) for row in rows)
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in located]
    write_text(cache / "windows.jsonl", "".join(f"{line}\n" for line in lines))
    write_json(cache / "meta.json", _meta(config, done, rows, left_out))


def _with_declared(done: Sequence[Facts], dataset: Path) -> list[Facts]:
    """Facts whose rows say the site of the listener and the work of the stimulus, as the data set declares them.

    Both hold for the whole data set, so that no recording is prepared anew when they change.
    """
    sites, refused = participant_sites(dataset)
    if refused:
        _LOG.warning(
            "left out the site of %d participants: it is no label of letters and digits in participants.tsv", refused
        )
    works = stimulus_works(dataset)

    def declared(row: Facts) -> Facts:
        # What stands beside the event itself goes first.
        work = row["work_id"] or works.get(row["stim_file"] or "") or works.get(row["stimulus"] or "")
        return {**row, "work_id": work, "site": sites.get(row["subject"])}

    return [{**facts, "rows": [declared(row) for row in facts["rows"]]} for facts in done]


def _meta(config: PrepareConfig, done: Sequence[Facts], rows: Sequence[Facts], left_out: int) -> Facts:
    kinds = sorted({facts["channels"]["kind"] for facts in done})
    return {
        "schema": SCHEMA,
        "sfreq_hz": EEG_RATE_HZ,
        "kind": kinds[0] if len(kinds) == 1 else MIXED,
        "subjects": sorted({facts["subject"] for facts in done}),
        "n_windows": len(rows),
        "n_channels_max": max(len(facts["channels"]["names"]) for facts in done),
        "left_out_recordings": left_out,
        "left_out_windows": sum(facts["left_out_windows"] for facts in done),
        "config": config.identity(),
        "content_hash": sha256_json([[f["recording"], f["signal_sha256"], f["channels"], f["rows"]] for f in done]),
        "channels_by_recording": {facts["recording"]: facts["channels"] for facts in done},
        "content_by_recording": {facts["recording"]: facts["content"] for facts in done},
    }


def _located(row: Facts, stimuli: Path, cache: Path) -> Facts:
    """Replace the data set's `stim_file` by a path relative to the cache, or None where the sound is not there."""
    row = dict(row)
    stim_file = row.pop("stim_file")
    row["stimulus_file"] = None
    if stim_file is not None and (stimuli / stim_file).is_file():
        row["stimulus_file"] = Path(os.path.relpath((stimuli / stim_file).absolute(), cache.absolute())).as_posix()
    return row
