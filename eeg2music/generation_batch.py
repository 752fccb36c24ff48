"""A prepared cache in, one clip per heard stretch out: `eeg2music generate CACHE`.

The same path as for one recording, window by window; each clip has a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eeg2music.errors import InputError
from eeg2music.files import atomic_folder, check_result_folder, write_json
from eeg2music.generation import GenerateConfig, make_clip
from eeg2music.pipeline import Hook, default_checkpoint, load_pipeline, no_hook
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.report.html import write_page
from eeg2music.report.result import RESULT_FILES, Stopwatch, sound_report, write_sound
from eeg2music.report.words import SIMULATED
from eeg2music.types import EEG_RATE_HZ
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
    """Generate `out/clips/NNNN/{mix.wav, stems/*.wav}` and report.json, report.html over them.

    One window of each presentation of each stimulus, at most `config.clips` (0: all).

    Raises
    ------
    InputError
        If options were given that belong to a raw recording.
    """
    given = [name for name in ("channels", "montage", "start_s", "stop_s", "line_freq_hz") if getattr(config, name)]
    if given:
        raise InputError(
            f"{given[0]} does not go with a prepared cache",
            remedy="give it to `eeg2music prepare`, or use the recording",
        )
    check_result_folder(out, RESULT_FILES)
    data = PreparedDataset(cache)
    pipeline = load_pipeline(checkpoint, device)
    entries = []
    with atomic_folder(out) as folder:
        for number, index in enumerate(chosen_windows(data, config.clips)):
            window = data.window(index)
            hook(f"clip {number + 1}")
            watch = Stopwatch()
            with watch("encode"):
                conditions = pipeline.clip_conditions([window], window.eeg.shape[1] / EEG_RATE_HZ)
            clip = make_clip(
                pipeline, conditions, window.eeg.shape[1] / EEG_RATE_HZ, config, watch=watch, sample_id=window.window_id
            )
            name = f"clips/{number:04d}"
            write_sound(folder / name, clip.mixed)
            facts = {"window": window.window_id, "subject": window.subject, "stimulus": window.stimulus_id}
            entries.append({**facts, "folder": name, **sound_report(clip.mixed, watch.seconds, config.seed)})
        report = _report(entries, config, checkpoint)
        write_json(folder / "report.json", report)
        _page(folder, report)
    return report


def chosen_windows(data: PreparedDataset, most: int) -> Iterator[int]:
    """The first window of each presentation, in order."""
    seen: set[tuple[Any, ...]] = set()
    for index, row in enumerate(data.rows):
        presentation = (row["recording"], row.get("trial"), row.get("stimulus"))
        if presentation not in seen and (not most or len(seen) < most):
            seen.add(presentation)
            yield index


def _report(entries: list[dict[str, Any]], config: GenerateConfig, checkpoint: Path | None) -> dict[str, Any]:
    total_s = sum(entry["duration_s"] for entry in entries)
    spent_s = sum(sum(entry["seconds_by_stage"].values()) for entry in entries)
    return {
        "schema": entries[0]["schema"],
        "clips": entries,
        "duration_s": total_s,
        "loudness_lufs": sum(entry["loudness_lufs"] for entry in entries) / len(entries),
        "real_time_factor": spent_s / total_s,
        "mix": f"{entries[0]['folder']}/mix.wav",
        "seed": config.seed,
        "checkpoint_sha256": checkpoint_sha256(checkpoint or default_checkpoint()),
        "notes": [],
        "warnings": [SIMULATED],
    }


def _page(folder: Path, report: dict[str, Any]) -> None:
    sounds = [
        {"label": f"{entry['window']} ({entry['stimulus'] or 'no stimulus'})", "file": f"{entry['folder']}/mix.wav"}
        for entry in report["clips"]
    ]
    write_page(
        folder / "report.html",
        title="Music from prepared recordings",
        lead=f"{len(sounds)} clips, seed {report['seed']}, checkpoint {report['checkpoint_sha256'][:12]}.",
        warnings=report["warnings"],
        players=[{"title": "Clips", "sounds": sounds}],
    )
