"""What a run leaves behind: the sounds, report.json and report.html of one clip.

Takes what was made and writes it, all or nothing; generates and measures nothing but the time.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from eeg2music.audio import fade_edges, write_audio
from eeg2music.files import atomic_folder, check_result_folder, write_json
from eeg2music.mixing.mixer import MixResult
from eeg2music.preprocess.eeg import channel_mask
from eeg2music.preprocess.gaps import bad_stretches
from eeg2music.regions.electrodes import coverage
from eeg2music.report import figures, words
from eeg2music.report.html import Picture, write_page
from eeg2music.report.mixer_table import mixer_table
from eeg2music.types import KIND_WORDS, REGION_OF_STEM, REGIONS, SAMPLE_RATE_HZ, STEMS, FloatArray, Recording

if TYPE_CHECKING:
    from eeg2music.encoders.base import Reading

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
    """A finished clip.

    Attributes
    ----------
    stems : as generated
    mixed : what the mixer made of them
    reading : what was read off the brain for it, if anything
    names : of the stems that are there; the others were left out and are silent
    notes : sentences about how it was made
    """

    stems: FloatArray
    mixed: MixResult
    reading: Reading | None
    names: tuple[str, ...] = STEMS
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """One clip with all that is told about it.

    Attributes
    ----------
    report : what report.json will hold
    silent : the clip of the same seed without the brain
    clean : the preprocessed recording
    heard_curves : (stem, curve, frame) of what was heard, where that is known
    """

    report: dict[str, Any]
    clip: Clip
    silent: Clip
    clean: Recording
    heard_curves: FloatArray | None = None


def sound_report(clip: Clip, seconds: Mapping[str, float], seed: int) -> dict[str, Any]:
    """What every report says about its sound."""
    mixed = clip.mixed
    duration_s = mixed.stereo.shape[-1] / SAMPLE_RATE_HZ
    return {
        "schema": REPORT_SCHEMA,
        "stems": {name: f"stems/{name}.wav" for name in clip.names},
        "mix": "mix.wav",
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "duration_s": duration_s,
        "loudness_lufs": mixed.report["loudness_lufs"],
        "real_time_factor": sum(seconds.values()) / duration_s,
        "seconds_by_stage": dict(seconds),
        "seed": seed,
        "mixer": mixed.report,
    }


def recording_report(recording: Recording, clean: Recording, reading: Reading | None) -> dict[str, Any]:
    """What a report says about the recording: channels, quality and how it was read, nothing about the person."""
    regions_known = reading is not None and bool(reading.regions_known.all())
    covered = coverage(clean.positions_m[channel_mask(clean)])
    return {
        "kind": recording.kind,
        "sfreq_hz": recording.sfreq_hz,
        "duration_s": recording.duration_s,
        "channels": list(recording.channel_names),
        "left_out": dict(recording.left_out),
        "bad_channels": dict(clean.bad_channels),
        "marked_bad_s": [list(stretch) for stretch in bad_stretches(recording)],
        "coverage": covered.in_words(regions_known=regions_known),
        "regions_known": regions_known,
        "listener_known": reading is not None and reading.listener_known,
    }


def common_gain(*mixes: MixResult) -> float:
    """The factor that keeps every stem of all mixes within full scale: 1 where none would clip."""
    peak = max(float(np.abs(mixed.stems).max(initial=0.0)) for mixed in mixes)
    return 1.0 if peak <= 1.0 else 1.0 / peak


def write_sound(folder: Path, mixed: MixResult, *, gain: float | None = None, names: Sequence[str] = STEMS) -> None:
    """Write stems/<name>.wav (after the mixer's corrections, times `gain`) and the stereo mix.wav, their ends faded.

    Parameters
    ----------
    gain : of all stems alike; None takes what keeps them from clipping
    names : of the stems that are written
    """
    gain = common_gain(mixed) if gain is None else gain
    for name, audio in zip(STEMS, mixed.stems, strict=True):
        if name in names:
            write_audio(folder / "stems" / f"{name}.wav", fade_edges(audio * np.float32(gain)))
    write_audio(folder / "mix.wav", fade_edges(mixed.stereo))


def write_result(
    out: Path,
    result: Result,
    *,
    title: str,
    tables: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[Picture] = (),
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
    pictures: Sequence[Picture] = (),
    sounds: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the sounds, report.json and report.html of a clip into a folder.

    Completes the report by the time that writing the stems and the mix took.
    """
    report, watch = result.report, Stopwatch()
    clip, silent = result.clip, result.silent
    report["stems_gain"] = common_gain(clip.mixed, silent.mixed)
    with watch("write"):
        write_sound(folder, clip.mixed, gain=report["stems_gain"], names=clip.names)
    report["seconds_by_stage"] |= watch.seconds
    report["real_time_factor"] = sum(report["seconds_by_stage"].values()) / report["duration_s"]
    write_sound(folder / "no_brain", silent.mixed, gain=report["stems_gain"], names=silent.names)
    write_json(folder / "report.json", report)
    write_page(
        folder / "report.html",
        title=title,
        lead=_lead(report),
        warnings=report["warnings"],
        notes=report.get("notes", ()),
        players=[*_players(report), *sounds],
        tables=[*tables, mixer_table(report["mixer"]), *_recording_tables(report)],
        figures=[*pictures, *_figures(result)],
        folded=_settings(report),
    )


def _lead(report: Mapping[str, Any]) -> str:
    return (
        f"{report['duration_s']:.1f} s of music, {words.made_in(report)}. Seed {report['seed']}, checkpoint "
        f"{report['checkpoint_sha256'][:12]}, {report['loudness_lufs']:.1f} LUFS."
    )


def _settings(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """What it takes to make the clip again, as far as it was told."""
    if "settings" not in report:
        return []
    text = yaml.safe_dump(report["settings"], sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    return [{"title": "Settings: what it takes to make this again", "text": text}]


def _players(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    pair = [
        {"label": "with the brain", "file": "mix.wav"},
        {"label": "the same seed without the brain", "file": "no_brain/mix.wav"},
    ]
    by_region = report["recording"]["regions_known"]
    given = report.get("stems_given", ())
    stems = [
        {"label": f"{name} ({_origin(name, given, by_region)})", "file": file} for name, file in report["stems"].items()
    ]
    title = "Stems, one for each region" if by_region else "Stems, all from one decoding of the whole recording"
    gain = report["stems_gain"]
    quieter = words.STEMS_QUIETER.format(decibels=20.0 * np.log10(gain), gain=gain)
    note = f"{words.STEMS} {quieter}" if gain < 1.0 else words.STEMS
    return [{"title": "Mix", "sounds": pair}, {"title": title, "note": note, "sounds": stems}]


def _origin(name: str, given: Collection[str], by_region: bool) -> str:
    """Where a stem comes from."""
    if name in given:
        return "given"
    return REGION_OF_STEM[name].replace("_", " ") if by_region else "whole recording"


def _recording_tables(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    facts = report["recording"]
    rows = [[name, "left out", why] for name, why in facts["left_out"].items()]
    kind = KIND_WORDS.get(facts["kind"], facts["kind"])
    rows += [[name, "bad", why] for name, why in facts["bad_channels"].items()]
    stages = [[stage, f"{seconds:.2f}"] for stage, seconds in report["seconds_by_stage"].items()]
    kept = f"{len(facts['channels'])} channels of {kind}, {facts['duration_s']:.1f} s at {facts['sfreq_hz']:g} Hz. "
    note = kept + facts["coverage"].replace("_", " ") + ("." if rows else f". {words.NONE_LEFT_OUT}")
    return [
        {"title": "The recording", "note": note, "heads": ["channel", "", "why"], "rows": rows},
        {"title": "Time by stage", "heads": ["stage", "seconds"], "rows": stages},
    ]


def _figures(result: Result) -> list[Picture]:
    clip, silent = result.clip, result.silent
    panels = {"mix": clip.mixed.stereo.mean(0), "mix without the brain": silent.mixed.stereo.mean(0)}
    panels |= {name: audio for name, audio in zip(STEMS, clip.stems, strict=True) if name in clip.names}
    drawn: list[Picture] = [("Spectrograms", words.SPECTROGRAMS, figures.spectrograms(panels))]
    if clip.reading is not None:
        curves = clip.reading.conditions.curves[0].float().cpu().numpy()
        picture = figures.control_curves(curves, STEMS, result.heard_curves)
        note = words.CURVES_BESIDE if result.heard_curves is not None else words.CURVES_ALONE
        drawn.append(("Control curves decoded from the recording", note, picture))
        drawn.append(_regions(clip.reading, result.clean))
    return drawn


def _regions(reading: Reading, clean: Recording) -> Picture:
    """The encoder's weights on a head, or why there are none."""
    if not reading.regions_known.all():
        return "Regions", words.NO_REGIONS, None
    if reading.channel_weights is None:
        return "Regions", words.NO_WEIGHTS, None
    head = figures.head_regions(clean.positions_m, reading.channel_weights, REGIONS, channel_mask(clean))
    return "Regions", words.REGION_WEIGHTS, head
