"""A recording in; stems, a mix and a report out: what `eeg2music generate` does.

Reads, preprocesses, encodes, generates and mixes, in this order; the deciding parts live in their stages and the
writing in `eeg2music.report.result`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from eeg2music.config import Config
from eeg2music.errors import InputError
from eeg2music.files import check_result_folder
from eeg2music.mixing.mixer import MixerConfig, mix
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
from eeg2music.recordings.prepared import PreparedDataset, is_prepared
from eeg2music.recordings.read import MIN_DURATION_S, read_recording
from eeg2music.report.result import RESULT_FILES, Clip, Stopwatch, recording_report, sound_report, write_result
from eeg2music.report.words import SIMULATED
from eeg2music.types import EEG_RATE_HZ, REGIONS, Conditions, Recording
from eeg2music.weights import checkpoint_sha256

# Encoder windows of 5 s overlap by half.
WINDOW_HOP_S = 2.5


class GenerateConfig(Config):
    """What `generate` can be told. Times in seconds, frequencies in Hz.

    Attributes
    ----------
    recording : one recording of a prepared cache, as one clip of its whole length
    clips : of a prepared cache without `recording`: a clip for each stimulus heard, at most so many (0: all)
    channels, montage, start_s, stop_s, line_freq_hz : as in `read_recording`
    """

    seed: int = 0
    recording: str | None = None
    channels: tuple[str, ...] | None = None
    montage: str | None = None
    start_s: float | None = None
    stop_s: float | None = None
    line_freq_hz: float | None = None
    clips: int = Field(default=16, ge=0)
    preprocess: PreprocessConfig = PreprocessConfig()
    sampling: SamplingConfig = SamplingConfig()
    mixer: MixerConfig = MixerConfig()


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
    check_result_folder(out, RESULT_FILES)
    hook("reading the recording")
    recording = read_source(source, config)
    hook("loading the models")
    pipeline = load_pipeline(checkpoint, device)
    watch = Stopwatch()
    prepared = is_prepared(source)
    clean, clip = decode_recording(recording, pipeline, config, watch=watch, hook=hook, is_clean=prepared)
    hook("the same seed without the brain")
    silent = make_clip(pipeline, None, clean.duration_s, config, watch=Stopwatch(), sample_id=recording.key)
    report = {
        **sound_report(clip.mixed, watch.seconds, config.seed),
        "checkpoint_sha256": checkpoint_sha256(checkpoint or default_checkpoint()),
        "recording": recording_report(recording, clean),
        "notes": list(clean.notes),
        "warnings": [SIMULATED],
    }
    hook("writing")
    write_result(out, report, clip, silent, clean, title="Music from a recording")
    return report


def read_source(source: Path, config: GenerateConfig) -> Recording:
    """The recording at `source`: raw from a file, already cleaned from a prepared cache.

    Raises
    ------
    InputError
        As for `read_recording`; for a cache also if the config asks for what was decided when it was prepared.
    """
    if is_prepared(source):
        return _prepared_recording(PreparedDataset(source), source, config)
    if config.recording is not None:
        raise InputError(f"{source} is no prepared cache", remedy="leave recording= out")
    return read_recording(
        source,
        channels=config.channels,
        montage=config.montage,
        start_s=config.start_s,
        stop_s=config.stop_s,
        line_freq_hz=config.line_freq_hz,
    )


def _prepared_recording(data: PreparedDataset, source: Path, config: GenerateConfig) -> Recording:
    given = [name for name in ("channels", "montage", "line_freq_hz") if getattr(config, name) is not None]
    if given:
        raise InputError(f"{source} is prepared: its {given[0]} can no longer be chosen", remedy="prepare it anew")
    key = config.recording or (data.recordings[0] if len(data.recordings) == 1 else None)
    if key not in data.recordings:
        some = ", ".join(data.recordings[:3])
        raise InputError(
            f"{source} holds {len(data.recordings)} recordings" + (f" and none named {key!r}" if key else ""),
            allowed=f"one of them, such as {some}",
            remedy=f"add recording={data.recordings[0]}" if data.recordings else "prepare recordings into it",
        )
    signal, (positions, good), names = data.signal(key), data.channels(key), data.channel_names(key)
    total_s = signal.shape[1] / EEG_RATE_HZ
    start_s, stop_s = config.start_s or 0.0, total_s if config.stop_s is None else config.stop_s
    if not 0 <= start_s < stop_s <= total_s or stop_s - start_s < MIN_DURATION_S:
        raise InputError(
            f"start = {start_s:g} s, stop = {stop_s:g} s of {key}",
            allowed=f"at least {MIN_DURATION_S:g} s within 0 to {total_s:.3f} s",
        )
    first, last = round(start_s * EEG_RATE_HZ), round(stop_s * EEG_RATE_HZ)
    return Recording(
        signal_v=np.array(signal[:, first:last], dtype=np.float32),
        sfreq_hz=EEG_RATE_HZ,
        channel_names=names,
        positions_m=positions,
        kind=data.spec.kind,
        key=key,
        bad_channels={name: "bad when it was prepared" for name, fine in zip(names, good, strict=True) if not fine},
    )


def decode_recording(
    recording: Recording,
    pipeline: BrainToMusicPipeline,
    config: GenerateConfig,
    *,
    watch: Stopwatch,
    hook: Hook = no_hook,
    is_clean: bool = False,
) -> tuple[Recording, Clip]:
    """Preprocess (unless it is clean), encode, generate and mix one recording; gives it cleaned, and the clip."""
    hook("preprocessing")
    with watch("preprocess"):
        clean = recording if is_clean else preprocess(recording, config.preprocess)
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
