"""A recording in; stems, a mix and a report out: what `eeg2music generate` does.

Reads, preprocesses, encodes, generates, mixes and writes; the deciding parts live in their stages.
Everything is written to a temporary folder first and moved into place at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eeg2music.audio import write_audio
from eeg2music.config import Config
from eeg2music.errors import InputError
from eeg2music.files import atomic_folder, write_json
from eeg2music.mixing.mixer import MixerConfig, MixResult, mix
from eeg2music.pipeline import (
    BrainToMusicPipeline,
    Hook,
    SamplingConfig,
    default_checkpoint,
    load_pipeline,
    no_hook,
)
from eeg2music.preprocess.eeg import PreprocessConfig, preprocess
from eeg2music.preprocess.windows import covering_windows
from eeg2music.recordings.read import read_recording
from eeg2music.regions.electrodes import coverage_in_words, region_weights
from eeg2music.report import figures
from eeg2music.report.html import write_page
from eeg2music.report.words import SIMULATED
from eeg2music.types import REGIONS, SAMPLE_RATE_HZ, STEMS, Conditions, FloatArray, Recording
from eeg2music.weights import checkpoint_sha256

REPORT_SCHEMA = 1
# Encoder windows of 5 s overlap by half.
WINDOW_HOP_S = 2.5


class GenerateConfig(Config):
    """What `generate` can be told. Times in seconds, frequencies in Hz."""

    seed: int = 0
    channels: tuple[str, ...] | None = None
    montage: str | None = None
    start_s: float | None = None
    stop_s: float | None = None
    line_freq_hz: float | None = None
    preprocess: PreprocessConfig = PreprocessConfig()
    sampling: SamplingConfig = SamplingConfig()
    mixer: MixerConfig = MixerConfig()


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


def run_generate(
    source: Path,
    out: Path,
    config: GenerateConfig,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    hook: Hook = no_hook,
) -> dict[str, Any]:
    """Turn a recording into `out/{mix.wav, stems/*.wav, no_brain/…, report.json, report.html}`.

    Returns
    -------
    The report, as written to report.json.

    Raises
    ------
    InputError, ConfigError, CheckpointError
        Before anything is written.
    """
    hook("reading the recording")
    recording = read_recording(
        source,
        channels=config.channels,
        montage=config.montage,
        start_s=config.start_s,
        stop_s=config.stop_s,
        line_freq_hz=config.line_freq_hz,
    )
    hook("loading the models")
    pipeline = load_pipeline(checkpoint, device)
    watch = Stopwatch()
    clean, clip = decode_recording(recording, pipeline, config, watch=watch, hook=hook)
    seconds = dict(watch.seconds)
    hook("the same seed without the brain")
    silent = make_clip(pipeline, None, recording.duration_s, config, watch=Stopwatch(), sample_id=recording.key)
    report = {
        **sound_report(clip.mixed, seconds, config.seed),
        "checkpoint_sha256": checkpoint_sha256(checkpoint or default_checkpoint()),
        "recording": recording_report(recording, clean),
        "notes": list(clean.notes),
        "warnings": [SIMULATED],
    }
    hook("writing")
    write_result(out, report, clip, silent, clean, title="Music from a recording")
    return report


def decode_recording(
    recording: Recording, pipeline: BrainToMusicPipeline, config: GenerateConfig, *, watch: Stopwatch, hook: Hook
) -> tuple[Recording, Clip]:
    """Preprocess, encode, generate and mix one recording; gives the cleaned recording and the clip."""
    hook("preprocessing")
    with watch("preprocess"):
        clean = preprocess(recording, config.preprocess)
        windows = covering_windows(clean, hop_s=WINDOW_HOP_S)
    hook("decoding the brain")
    with watch("encode"):
        conditions = pipeline.clip_conditions(windows, clean.duration_s)
    clip = make_clip(pipeline, conditions, clean.duration_s, config, watch=watch, sample_id=recording.key, hook=hook)
    return clean, clip


def make_clip(
    pipeline: BrainToMusicPipeline,
    conditions: Conditions | None,
    duration_s: float,
    config: GenerateConfig,
    *,
    watch: Stopwatch,
    sample_id: str,
    hook: Hook = no_hook,
) -> Clip:
    """Generate and mix one clip."""
    hook("generating the stems")
    with watch("generate"):
        output = pipeline(
            conditions, sample_ids=[sample_id], seed=config.seed, duration_s=duration_s, sampling=config.sampling
        )
    hook("mixing")
    with watch("mix"):
        mixed = mix(output.stems[0], config.mixer, regions=REGIONS)
    return Clip(output.stems[0], mixed, conditions)


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
        "seconds_by_stage": {stage: round(value, 4) for stage, value in seconds.items()},
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


def write_sound(folder: Path, stems: FloatArray, mixed: MixResult) -> None:
    """Write stems/<name>.wav (after the mixer's corrections) and the stereo mix.wav."""
    for name, audio in zip(STEMS, mixed.stems, strict=True):
        write_audio(folder / "stems" / f"{name}.wav", audio)
    write_audio(folder / "mix.wav", mixed.stereo)


def write_result(
    out: Path,
    report: dict[str, Any],
    clip: Clip,
    silent: Clip,
    clean: Recording,
    *,
    title: str,
    tables: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[tuple[str, str, bytes]] = (),
    sounds: Sequence[Mapping[str, Any]] = (),
    extra: Mapping[str, FloatArray] | None = None,
) -> None:
    """Write the sounds, report.json and report.html, all or nothing. `extra`: other WAV files by relative path."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "report.json").is_file())):
        raise InputError(f"{out} exists and is not an earlier result", remedy="choose a new folder with --out")
    with atomic_folder(out) as folder:
        write_sound(folder, clip.stems, clip.mixed)
        write_sound(folder / "no_brain", silent.stems, silent.mixed)
        for name, audio in (extra or {}).items():
            write_audio(folder / name, audio)
        write_json(folder / "report.json", report)
        write_page(
            folder / "report.html",
            title=title,
            lead=_lead(report),
            warnings=report["warnings"],
            players=[*_players(), *sounds],
            tables=[*tables, *_recording_tables(report)],
            figures=[*pictures, *_figures(clip, silent, clean)],
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


def _figures(clip: Clip, silent: Clip, clean: Recording) -> list[tuple[str, str, bytes]]:
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
