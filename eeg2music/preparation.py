"""Recordings on disk -> a prepared cache: what `eeg2music prepare` does.

Each recording is read, preprocessed and windowed by itself, in any number of processes, with the
same bytes. A finished recording carries a hash of its files, the config and the algorithm's
version, and is skipped when the command is run again. Learns nothing across recordings.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.config import Config
from eeg2music.errors import ConfigError, DataError, Eeg2MusicError, InputError
from eeg2music.files import atomic_path, read_json, sha256_file, sha256_json, write_json, write_text
from eeg2music.preprocess.eeg import ALGORITHM_VERSION, PreprocessConfig, channel_mask, preprocess
from eeg2music.preprocess.windows import cover, stimulus_windows
from eeg2music.recordings.bids import BidsDataset
from eeg2music.recordings.contents import READERS
from eeg2music.recordings.formats.brainvision import companions
from eeg2music.recordings.prepared import SCHEMA
from eeg2music.recordings.read import read_recording, reader_of
from eeg2music.recordings.sidecars import Sidecars
from eeg2music.types import EEG_RATE_HZ, WINDOW_S, Recording

Progress = Callable[[int, int, str], None]


class PrepareConfig(Config):
    """How a cache is made.

    Attributes
    ----------
    window_s, hop_s : windows inside each stimulus (or over a recording without stimuli)
    workers : processes; 0 takes one per core. Does not change a byte of the cache
    channels, montage : as for reading one recording
    skip_unusable : leave out recordings that cannot be used, naming them in meta.json, instead of stopping
    """

    window_s: float = WINDOW_S
    hop_s: float = WINDOW_S / 2
    channels: tuple[str, ...] | None = None
    montage: str | None = None
    skip_unusable: bool = False
    workers: int = 0
    preprocess: PreprocessConfig = PreprocessConfig()

    def identity(self) -> dict[str, Any]:
        """What decides the content of the cache."""
        return {**self.model_dump(mode="json", exclude={"workers"}), "algorithm": ALGORITHM_VERSION, "schema": SCHEMA}


@dataclass(frozen=True)
class _Source:
    """One recording to prepare; `key` is None where only its content names it."""

    path: Path
    key: str | None = None
    session: str | None = None
    run: str | None = None


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

    Raises
    ------
    InputError, DataError
        If the source has no recording, lacks files, or holds unusable recordings.
    ConfigError
        If `out` holds a cache made with another config.
    """
    config = config or PrepareConfig()
    root, cache = Path(source), Path(out)
    sources = list(_sources(root))
    _claim(cache, config)
    _sweep(cache)
    results = _run_all(sources, cache, root, config, progress)
    failures = {str(s.path): r["error"] for s, r in zip(sources, results, strict=True) if "error" in r}
    if failures and (not config.skip_unusable or len(failures) == len(sources)):
        raise _failed(failures, len(sources))
    done = sorted((r for r in results if "error" not in r), key=lambda r: r["recording"])
    _finish(cache, config, done, failures)
    return cache


def _sources(root: Path) -> Iterator[_Source]:
    if not root.exists():
        raise InputError(f"Nothing at {root}", allowed="a BIDS data set, a folder or a recording", remedy="check the path")
    if root.is_file():
        yield _Source(root)
        return
    if (root / "dataset_description.json").is_file():
        dataset = BidsDataset(root)
        dataset.check()
        for recording in dataset.recordings:
            yield _Source(recording.path, recording.key, recording.session, recording.run)
        return
    suffixes = tuple(suffix for entry in READERS for suffix in READERS[entry].suffixes)
    found = sorted(path for path in root.rglob("*") if path.name.lower().endswith(suffixes) and path.is_file())
    if not found:
        raise InputError(
            f"{root} is neither a BIDS data set nor a folder with recordings",
            allowed="dataset_description.json at the top, or files ending in " + ", ".join(sorted(suffixes)),
            remedy="name the data set's top folder",
        )
    yield from (_Source(path) for path in found)


def _claim(cache: Path, config: PrepareConfig) -> None:
    """Make the cache's folder ours, or refuse one made with another config."""
    file = cache / "config.json"
    identity = config.identity()
    if file.is_file():
        theirs = read_json(file)
        if theirs != identity:
            keys = sorted(key for key in identity.keys() | theirs.keys() if identity.get(key) != theirs.get(key))
            raise ConfigError(
                f"{cache} holds a cache made with another config (differs in {', '.join(keys)})",
                allowed="the same config, to resume it",
                remedy="name another --out, or delete that folder",
            )
        return
    if cache.exists() and (not cache.is_dir() or any(cache.iterdir())):
        raise InputError(f"{cache} is there already and is no prepared cache", allowed="a new or empty folder")
    write_json(file, identity)


def _sweep(cache: Path) -> None:
    """Remove temporary files of a run that was killed."""
    for folder in (cache, cache / "signals", cache / "recordings"):
        for leftover in folder.glob(".*-*"):
            leftover.unlink()


def _run_all(
    sources: Sequence[_Source], cache: Path, root: Path, config: PrepareConfig, progress: Progress | None
) -> list[dict[str, Any]]:
    """Facts about each recording, in the order of `sources`."""
    work = partial(_prepare_one, cache=cache, root=root, config=config)
    workers = min(config.workers or os.cpu_count() or 1, len(sources))
    results: dict[int, dict[str, Any]] = {}

    def finished(index: int, result: dict[str, Any]) -> None:
        results[index] = result
        if progress is not None:
            progress(len(results), len(sources), str(result.get("recording", "unusable")))

    if workers <= 1:
        for index, one in enumerate(sources):
            finished(index, work(one))
    else:
        # Forking a process whose libraries hold threads can hang it.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            futures = {pool.submit(work, one): index for index, one in enumerate(sources)}
            for future in as_completed(futures):
                finished(futures[future], future.result())
    return [results[index] for index in range(len(sources))]


def _prepare_one(source: _Source, *, cache: Path, root: Path, config: PrepareConfig) -> dict[str, Any]:
    """Facts about one recording, taken from the cache where they still hold."""
    try:
        fingerprint = sha256_json([config.identity(), _hash_files(source.path)])
        known = _finished(cache, source, fingerprint)
        if known is not None:
            return known
        raw = read_recording(source.path, channels=config.channels, montage=config.montage)
        recording = preprocess(raw, config.preprocess)
    except Eeg2MusicError as error:
        return {"error": str(error)}
    recording = recording.replace(key=_safe(source.key or recording.key))
    signal_file = cache / "signals" / f"{recording.key}.npy"
    with atomic_path(signal_file) as temporary, temporary.open("wb") as handle:
        np.save(handle, recording.signal_v, allow_pickle=False)
    facts = {
        "recording": recording.key,
        "fingerprint": fingerprint,
        "signal_sha256": sha256_file(signal_file),
        "subject": recording.subject,
        "channels": _channel_facts(recording),
        "rows": list(_rows(recording, source, cache, root, config)),
    }
    write_json(cache / "recordings" / f"{_record_name(source, recording.key)}.json", facts)
    return facts


def _record_name(source: _Source, key: str) -> str:
    return _safe(source.key) if source.key is not None else key


def _finished(cache: Path, source: _Source, fingerprint: str) -> dict[str, Any] | None:
    """Facts of an earlier run, if files, config and algorithm are still the same."""
    folder = cache / "recordings"
    candidates = [folder / f"{_safe(source.key)}.json"] if source.key else sorted(folder.glob("*.json"))
    for file in candidates:
        if not file.is_file():
            continue
        facts: dict[str, Any] = read_json(file)
        signal = cache / "signals" / f"{facts['recording']}.npy"
        if facts["fingerprint"] == fingerprint and signal.is_file():
            return facts
    return None


def _hash_files(path: Path) -> dict[str, str]:
    """Content hashes of a recording, its companions and its sidecars, by name."""
    reader_of(path)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    if path.suffix.lower() in (".vhdr", ".ahdr"):
        files += [file for file in companions(path) if file.is_file()]
    files += [path.with_suffix(".fdt")] if path.with_suffix(".fdt").is_file() else []
    sidecars = Sidecars.of(path)
    files += sidecars.files() if sidecars is not None else []
    return {file.name: sha256_file(file) for file in files}


def _channel_facts(recording: Recording) -> dict[str, Any]:
    known = np.isfinite(recording.positions_m).all(axis=1)
    return {
        "names": list(recording.channel_names),
        "positions_m": [
            [float(v) for v in place] if ok else None for place, ok in zip(recording.positions_m, known, strict=True)
        ],
        "good": channel_mask(recording).tolist(),
        "bad": dict(recording.bad_channels),
        "kind": recording.kind,
        "notes": list(recording.notes),
    }


def _rows(
    recording: Recording, source: _Source, cache: Path, root: Path, config: PrepareConfig
) -> Iterator[dict[str, Any]]:
    """Windows inside stimuli; over the whole recording where nothing was played."""
    shared = {
        "recording": recording.key,
        "subject": recording.subject,
        "session": source.session,
        "run": source.run,
    }
    if not any(event.stimulus for event in recording.events):
        length, starts = cover(recording.signal_v.shape[1], config.window_s, config.hop_s)
        nothing = dict.fromkeys(("trial", "stimulus", "stimulus_file", "stimulus_onset_s", "repeat"))
        for start in starts:
            yield {
                "window_id": f"{recording.key}/{start}",
                **shared,
                **nothing,
                "start_sample": start,
                "n_samples": length,
            }
        return
    trials: dict[float, int] = {}
    for event, start, length in stimulus_windows(recording, window_s=config.window_s, hop_s=config.hop_s):
        trial = trials.setdefault(event.onset_s, len(trials))
        yield {
            "window_id": f"{recording.key}/{start}",
            **shared,
            "trial": _integer(event.fields.get("trial"), trial),
            "stimulus": stimulus_id(str(event.stimulus)),
            "stimulus_file": _stimulus_file(str(event.stimulus), cache, root),
            "stimulus_onset_s": event.onset_s,
            "start_sample": start,
            "n_samples": length,
            "repeat": _integer(event.fields.get("repeat"), None),
        }


def stimulus_id(stim_file: str) -> str:
    """The song a `stim_file` names: its folder where that holds several stems, else its stem.

    >>> stimulus_id("funk-1-0042/mix.wav"), stimulus_id("songs/yesterday.wav")
    ('funk-1-0042', 'yesterday')
    """
    path = Path(stim_file)
    return path.parent.name if path.stem == "mix" and path.parent.name else path.stem


def _stimulus_file(stim_file: str, cache: Path, root: Path) -> str | None:
    file = root / "stimuli" / stim_file
    return Path(os.path.relpath(file.absolute(), cache.absolute())).as_posix() if file.is_file() else None


def _integer(text: Any, default: int | None) -> int | None:
    try:
        return int(text)
    except (TypeError, ValueError):
        return default


def _safe(key: str) -> str:
    return "".join(c if c.isalnum() or c in "-_+" else "-" for c in key)


def _failed(failures: dict[str, str], count: int) -> DataError:
    path, why = next(iter(failures.items()))
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return DataError(
        f"{len(failures)} of {count} recordings cannot be used. {path if path not in why else 'The first'}{more}: {why}",
        remedy="mend or remove them, or set skip_unusable=true to leave them out",
    )


def _finish(cache: Path, config: PrepareConfig, done: Sequence[dict[str, Any]], failures: dict[str, str]) -> None:
    """Write the list of windows, then meta.json: its presence says that the cache is complete."""
    names = [facts["recording"] for facts in done]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"The same recording lies in the source twice ({', '.join(twice)})",
            allowed="each recording once: a copy in training and test would be a leak",
            remedy="remove the copies",
        )
    rows = [row for facts in done for row in _counted(facts["rows"])]
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    write_text(cache / "windows.jsonl", "".join(f"{line}\n" for line in lines))
    kinds = sorted({facts["channels"]["kind"] for facts in done})
    write_json(
        cache / "meta.json",
        {
            "schema": SCHEMA,
            "sfreq_hz": EEG_RATE_HZ,
            "kind": kinds[0] if len(kinds) == 1 else "mixed",
            "subjects": sorted({facts["subject"] for facts in done}),
            "n_windows": len(rows),
            "n_channels_max": max(len(facts["channels"]["names"]) for facts in done),
            "left_out_recordings": len(failures),
            "config": config.identity(),
            "content_hash": sha256_json([[f["recording"], f["signal_sha256"], f["rows"]] for f in done]),
            "channels_by_recording": {facts["recording"]: facts["channels"] for facts in done},
        },
    )


def _counted(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Fill in how often a stimulus was heard before in its recording, where the data set does not say."""
    heard: dict[str, list[Any]] = {}
    for row in rows:
        if row["stimulus"] is not None and row["repeat"] is None:
            trials = heard.setdefault(row["stimulus"], [])
            if row["trial"] not in trials:
                trials.append(row["trial"])
            row = {**row, "repeat": trials.index(row["trial"])}
        yield row
