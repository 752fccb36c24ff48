"""What a run leaves behind: the sounds, report.json and report.html of one clip.

Takes what was made and writes it, all or nothing; generates and measures nothing but the time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eeg2music.audio import write_audio
from eeg2music.files import atomic_folder, check_result_folder, write_json
from eeg2music.mixing.mixer import MixResult
from eeg2music.regions.electrodes import coverage_in_words, region_weights
from eeg2music.report import figures
from eeg2music.report.html import write_page
from eeg2music.types import REGIONS, SAMPLE_RATE_HZ, STEMS, Conditions, FloatArray, Recording

REPORT_SCHEMA = 1
# Whatever a result may hold: a folder with anything else in it is not replaced.
RESULT_FILES = ("mix.wav", "stems", "no_brain", "clips", "heard.wav", "report.json", "report.html")


@dataclass
class Stopwatch:
    """Seconds spent in each named stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Clip:
    """A finished clip: stems as generated, and what the mixer made of them."""

    stems: FloatArray
    mixed: MixResult
    conditions: Conditions | None


@dataclass(frozen=True)
class Result:
    """One clip with all that is told about it.

    Attributes
    ----------
    report : what report.json will hold
    silent : the clip of the same seed without the brain
    clean : the preprocessed recording
    """

    report: dict[str, Any]
    clip: Clip
    silent: Clip
    clean: Recording


def sound_report(mixed: MixResult, seconds: Mapping[str, float], seed: int) -> dict[str, Any]:
    """What every report says about its sound."""
    duration_s = mixed.stereo.shape[-1] / SAMPLE_RATE_HZ
    return {
        "schema": REPORT_SCHEMA,
        "stems": {name: f"stems/{name}.wav" for name in STEMS},
        "mix": "mix.wav",
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "duration_s": duration_s,
        "loudness_lufs": mixed.report["loudness_lufs"],
        "real_time_factor": sum(seconds.values()) / duration_s,
        "seconds_by_stage": dict(seconds),
        "seed": seed,
        "mixer": mixed.report,
    }


def recording_report(recording: Recording, clean: Recording) -> dict[str, Any]:
    """What a report says about the recording: channels and quality, nothing about the person."""
    return {
        "kind": recording.kind,
        "sfreq_hz": recording.sfreq_hz,
        "duration_s": recording.duration_s,
        "channels": list(recording.channel_names),
        "left_out": dict(recording.left_out),
        "bad_channels": dict(clean.bad_channels),
        "coverage": coverage_in_words(clean.positions_m),
    }


def write_sound(folder: Path, mixed: MixResult) -> None:
    """Write stems/<name>.wav (after the mixer's corrections) and the stereo mix.wav."""
    for name, audio in zip(STEMS, mixed.stems, strict=True):
        write_audio(folder / "stems" / f"{name}.wav", audio)
    write_audio(folder / "mix.wav", mixed.stereo)


def write_result(
    out: Path,
    result: Result,
    *,
    title: str,
    tables: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[tuple[str, str, bytes]] = (),
    sounds: Sequence[Mapping[str, Any]] = (),
    extra: Mapping[str, FloatArray] | None = None,
) -> None:
    """Write a result as the folder `out`, all or nothing. `extra`: other WAV files by relative path."""
    check_result_folder(out, RESULT_FILES)
    with atomic_folder(out) as folder:
        for name, audio in (extra or {}).items():
            write_audio(folder / name, audio)
        write_clip(folder, result, title=title, tables=tables, pictures=pictures, sounds=sounds)


def write_clip(
    folder: Path,
    result: Result,
    *,
    title: str,
    tables: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[tuple[str, str, bytes]] = (),
    sounds: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the sounds, report.json and report.html of a clip into a folder.

    Completes the report by the time that writing the stems and the mix took.
    """
    report, watch = result.report, Stopwatch()
    with watch("write"):
        write_sound(folder, result.clip.mixed)
    report["seconds_by_stage"] |= watch.seconds
    report["real_time_factor"] = sum(report["seconds_by_stage"].values()) / report["duration_s"]
    write_sound(folder / "no_brain", result.silent.mixed)
    write_json(folder / "report.json", report)
    write_page(
        folder / "report.html",
        title=title,
        lead=_lead(report),
        warnings=report["warnings"],
        players=[*_players(), *sounds],
        tables=[*tables, *_recording_tables(report)],
        figures=[*pictures, *_figures(result)],
    )


def _lead(report: Mapping[str, Any]) -> str:
    return (
        f"{report['duration_s']:.1f} s of music in {report['real_time_factor']:.2f} of its duration, seed "
        f"{report['seed']}, checkpoint {report['checkpoint_sha256'][:12]}, {report['loudness_lufs']:.1f} LUFS."
    )


def _players() -> list[dict[str, Any]]:
    pair = [
        {"label": "with the brain", "file": "mix.wav"},
        {"label": "the same seed without the brain", "file": "no_brain/mix.wav"},
    ]
    stems = [
        {"label": f"{name} ({region.replace('_', ' ')})", "file": f"stems/{name}.wav"}
        for name, region in zip(STEMS, REGIONS, strict=True)
    ]
    return [{"title": "Mix", "sounds": pair}, {"title": "Stems, one for each region", "sounds": stems}]


def _recording_tables(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    facts = report["recording"]
    rows = [[name, "left out", why] for name, why in facts["left_out"].items()]
    rows += [[name, "bad", why] for name, why in facts["bad_channels"].items()]
    stages = [[stage, f"{seconds:.2f}"] for stage, seconds in report["seconds_by_stage"].items()]
    kept = (
        f"{len(facts['channels'])} {facts['kind']} channels, {facts['duration_s']:.1f} s at {facts['sfreq_hz']:g} Hz. "
    )
    return [
        {"title": "The recording", "note": kept + facts["coverage"], "heads": ["channel", "", "why"], "rows": rows},
        {"title": "Time by stage", "heads": ["stage", "seconds"], "rows": stages},
    ]


def _figures(result: Result) -> list[tuple[str, str, bytes]]:
    clip, silent, clean = result.clip, result.silent, result.clean
    panels = {"mix": clip.stems.sum(0), "mix without the brain": silent.stems.sum(0)}
    panels |= dict(zip(STEMS, clip.stems, strict=True))
    drawn = [("Spectrograms", "Stems as generated, before the mixer.", figures.spectrograms(panels))]
    if clip.conditions is not None:
        curves = clip.conditions.curves[0].float().cpu().numpy()
        drawn.append(("Control curves decoded from the recording", "", figures.control_curves(curves, STEMS)))
    weights = region_weights(clean.positions_m)
    drawn.append(
        (
            "Regions",
            "How much each electrode counts for each region.",
            figures.head_regions(clean.positions_m, weights, REGIONS),
        )
    )
    return drawn
