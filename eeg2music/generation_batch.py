"""A prepared cache in, one clip per heard stretch out: `eeg2music generate CACHE`.

Each clip goes the way of one recording and is written as one, in a folder of its own; here are only the choice of the
stretches and the totals over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.errors import DataError
from eeg2music.files import atomic_folder, write_json
from eeg2music.generation import DECIDED, TITLE, GenerateConfig, Take, check_generate, make_result, refuse_decided
from eeg2music.pipeline import Hook, default_checkpoint, load_pipeline, no_hook
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.report.html import write_page
from eeg2music.report.result import write_clip
from eeg2music.report.words import made_in
from eeg2music.weights import checkpoint_sha256


def run_generate_prepared(
    cache: Path,
    out: Path,
    config: GenerateConfig,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    hook: Hook = no_hook,
) -> dict[str, Any]:
    """Generate `out/clips/NNNN/`, each as `run_generate` leaves it, and report.json, report.html over them.

    One window of each presentation of each stimulus, at most `config.clips` (0: all).

    Raises
    ------
    InputError
        If options were given that belong to a raw recording.
    DataError
        If the cache holds no window.
    """
    data = check_generate_prepared(cache, out, config, checkpoint=checkpoint)
    rows = list(chosen_rows(data, config.clips))
    hook("loading the models")
    pipeline = load_pipeline(checkpoint, device)
    checkpoint_hash = checkpoint_sha256(checkpoint or default_checkpoint())
    entries = []
    with atomic_folder(out) as folder:
        for number, row in enumerate(rows):
            hook(f"clip {number + 1} of {len(rows)}")
            first = row["start_sample"]
            take = Take.prepared(data, row["recording"], first, first + row["n_samples"])
            one = config.model_copy(update={"recording": row["recording"]})
            result = make_result(take, pipeline, one, checkpoint_hash)
            heard = {"window": row["window_id"], "subject": row["subject"], "stimulus": row["stimulus"]}
            result.report.update(heard)
            name = f"clips/{number:04d}"
            write_clip(folder / name, result, title=f"{TITLE}: {_title(heard)}")
            entries.append({"folder": name, **_below(name, result.report)})
        report = totals(entries)
        write_json(folder / "report.json", report)
        _write_overview(folder / "report.html", report)
    return report


def check_generate_prepared(
    cache: Path, out: Path, config: GenerateConfig, *, checkpoint: Path | None = None
) -> PreparedDataset:
    """Everything that can be refused before a signal is read or a model is loaded. Returns the cache.

    Raises
    ------
    InputError, DataError, CheckpointError
    """
    refuse_decided(cache, config, (*DECIDED, "start_s", "stop_s"))
    check_generate(cache, out, config, checkpoint=checkpoint)
    data = PreparedDataset(cache)
    if not len(data):
        raise DataError(f"{cache} holds no window", allowed="one or more", remedy="prepare longer recordings")
    return data


def chosen_rows(data: PreparedDataset, most: int) -> Iterator[Mapping[str, Any]]:
    """The first window of each presentation, in order."""
    seen: set[tuple[Any, ...]] = set()
    for row in data.rows:
        presentation = (row["recording"], row.get("trial"), row.get("stimulus"))
        if presentation not in seen and (not most or len(seen) < most):
            seen.add(presentation)
            yield row


def _below(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """A clip's report with its paths as seen from the folder above all clips."""
    stems = {stem: f"{name}/{path}" for stem, path in report["stems"].items()}
    return {**report, "stems": stems, "mix": f"{name}/{report['mix']}"}


def totals(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all clips have in common, and their sums.

    `stems` and `mix` are those of the first clip; loudness is the mean; times are sums. `clips` holds each clip's own.
    """
    first = entries[0]
    same = ("schema", "stems", "mix", "sample_rate_hz", "seed", "checkpoint_sha256")
    # Each once, in order.
    warnings, notes = (
        list(dict.fromkeys(text for entry in entries for text in entry.get(kind, ()))) for kind in ("warnings", "notes")
    )
    stages = {name: sum(entry["seconds_by_stage"][name] for entry in entries) for name in first["seconds_by_stage"]}
    duration_s = sum(entry["duration_s"] for entry in entries)
    return {
        **{name: first[name] for name in same},
        "duration_s": duration_s,
        "loudness_lufs": sum(entry["loudness_lufs"] for entry in entries) / len(entries),
        "real_time_factor": sum(stages.values()) / duration_s,
        "seconds_by_stage": stages,
        "notes": notes,
        "warnings": warnings,
        "clips": list(entries),
    }


def _title(heard: Mapping[str, Any]) -> str:
    return f"{heard['window']} ({heard['stimulus'] or 'no stimulus'})"


def _write_overview(path: Path, report: Mapping[str, Any]) -> None:
    players = [
        {
            "title": _title(entry),
            "link": f"{entry['folder']}/report.html",
            "sounds": [
                {"label": "with the brain", "file": entry["mix"]},
                {"label": "the same seed without the brain", "file": f"{entry['folder']}/no_brain/mix.wav"},
            ],
        }
        for entry in report["clips"]
    ]
    write_page(
        path,
        title="Music from prepared recordings",
        lead=f"{len(players)} clips, {report['duration_s']:.1f} s of music, {made_in(report)}, "
        f"seed {report['seed']}, checkpoint {report['checkpoint_sha256'][:12]}.",
        warnings=report["warnings"],
        notes=report["notes"],
        players=players,
    )
