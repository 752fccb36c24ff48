"""A recording in; stems, a mix and a report out: what `eeg2music generate` does.

Reads, preprocesses, encodes, generates and mixes, in this order; the deciding parts live in their stages and the
writing in `eeg2music.report.result`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from eeg2music.audio import audio_duration_s, read_audio
from eeg2music.config import Config
from eeg2music.config_words import Unfit, known_names
from eeg2music.diffusion.transformer import StemState
from eeg2music.encoders.base import Encoder, Reading
from eeg2music.errors import InputError
from eeg2music.files import check_result_folder
from eeg2music.memory import warn_of_length
from eeg2music.mixing.mixer import MixerConfig, mix
from eeg2music.mixing.settings import StemMixerConfig
from eeg2music.pipeline import (
    BrainToMusicPipeline,
    Hook,
    SamplingConfig,
    check_models,
    default_checkpoint,
    load_pipeline,
    no_hook,
    stem_states,
)
from eeg2music.preprocess.eeg import PreprocessConfig, preprocess
from eeg2music.preprocess.windows import spread_windows
from eeg2music.recordings.positions import note_on_positions
from eeg2music.recordings.prepared import PreparedDataset, is_prepared
from eeg2music.recordings.read import MIN_DURATION_S, check_recording, content_key, read_recording
from eeg2music.report import words
from eeg2music.report.result import (
    RESULT_FILES,
    Clip,
    Result,
    Stopwatch,
    recording_report,
    sound_report,
    write_result,
)
from eeg2music.report.settings import made_with
from eeg2music.types import EEG_RATE_HZ, KIND_WORDS, REGIONS, SAMPLE_RATE_HZ, STEMS, FloatArray, Recording
from eeg2music.weights import checkpoint_sha256

# Encoder windows of 5 s overlap by half.
WINDOW_HOP_S = 2.5
TITLE = "Music from a recording"
# What `prepare` decides.
DECIDED = ("channels", "montage", "line_freq_hz")


class GenerateConfig(Config):
    """What `generate` can be told. Times in seconds, frequencies in Hz.

    Attributes
    ----------
    recording : one recording of a prepared cache, as one clip of its whole length
    clips : of a prepared cache without `recording`: a clip for each stimulus heard, at most so many (0: all)
    channels, montage, start_s, stop_s, line_freq_hz : as in `read_recording`
    only : the stems to generate, such as [drums,bass]; all that are not given by default
    given : folder with a sound file NAME.wav for each stem that is there already; the others are made to go with them
    """

    seed: int = 0
    recording: str | None = None
    channels: tuple[str, ...] | None = None
    montage: str | None = None
    start_s: float | None = None
    stop_s: float | None = None
    line_freq_hz: float | None = None
    clips: int = Field(default=16, ge=0)
    only: tuple[str, ...] | None = None
    given: str | None = None
    preprocess: PreprocessConfig = PreprocessConfig()
    sampling: SamplingConfig = SamplingConfig()
    mixer: StemMixerConfig = MixerConfig()

    @field_validator("only")
    @classmethod
    def _are_stems(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        known_names(names or (), STEMS)
        if names == ():
            raise Unfit("nothing would be generated", allowed=", ".join(STEMS))
        return names


@dataclass(frozen=True)
class Take:
    """What one clip is made of.

    Attributes
    ----------
    noise_id : names the noise that generation starts from. It comes from the signal alone, so that a recording sounds
        the same wherever it lies and whatever it is called
    is_clean : whether the recording is preprocessed already
    start_s : where in its file the recording begins
    """

    recording: Recording
    noise_id: str
    is_clean: bool = False
    start_s: float = 0.0

    @classmethod
    def raw(cls, recording: Recording, start_s: float = 0.0) -> Take:
        """A recording as it was read, from `start_s` of its file on."""
        key = content_key(recording.signal_v, recording.sfreq_hz, recording.channel_names)
        return cls(recording, key, start_s=start_s)

    @classmethod
    def prepared(cls, data: PreparedDataset, key: str, first: int, last: int) -> Take:
        """Samples `first` to before `last` of a recording in a prepared cache."""
        recording, content = data.recording(key, first, last), data.content(key)
        whole = recording.signal_v.shape == data.signal(key).shape
        noise_id = content if whole else f"{content}/{first}-{last}"
        return cls(recording, noise_id, is_clean=True, start_s=first / EEG_RATE_HZ)


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
    check_generate(source, out, config, checkpoint=checkpoint)
    hook("reading the recording")
    take = read_source(source, config)
    warn_of_length(take.recording.duration_s, take.recording.signal_v.nbytes)
    hook("loading the models")
    pipeline = load_pipeline(checkpoint, device)
    result = make_result(take, pipeline, config, checkpoint_sha256(checkpoint or default_checkpoint()), hook=hook)
    hook("writing")
    write_result(out, result, title=TITLE)
    return result.report


def check_generate(source: Path, out: Path, config: GenerateConfig, *, checkpoint: Path | None = None) -> None:
    """Everything that can be refused before a signal is read or a model is loaded.

    Raises
    ------
    InputError, DataError, CheckpointError
    """
    check_result_folder(out, RESULT_FILES)
    check_given(config)
    check_models(checkpoint or default_checkpoint())
    if is_prepared(source):
        refuse_decided(source, config, DECIDED)
        if config.recording is not None:
            _prepared_stretch(PreparedDataset(source), source, config)
    elif config.recording is not None:
        raise _no_cache(source)
    else:
        check_recording(
            source,
            montage=config.montage,
            start_s=config.start_s,
            stop_s=config.stop_s,
            line_freq_hz=config.line_freq_hz,
        )


def make_result(
    take: Take, pipeline: BrainToMusicPipeline, config: GenerateConfig, checkpoint_hash: str, *, hook: Hook = no_hook
) -> Result:
    """Everything that is written for one recording.

    Raises
    ------
    InputError
        If the encoder cannot take such signals, or given stems do not fit.
    """
    other_kind = kind_warnings(take.recording.kind, pipeline.encoder)
    watch = Stopwatch()
    clean, clip, silent = decode(take, pipeline, config, watch=watch, hook=hook)
    given = sorted(set(clip.names) & set(given_files(config.given)))
    absent = [name for name in STEMS if name not in clip.names]
    notes = list(clean.notes)
    notes += [words.LISTENER_KNOWN] if clip.reading is not None and clip.reading.listener_known else []
    notes += [words.STEMS_GIVEN.format(names=", ".join(given))] if given else []
    notes += clip.notes
    notes += [words.STEMS_ABSENT.format(names=", ".join(absent))] if absent else []
    report = {
        **sound_report(clip, watch.seconds, config.seed),
        "stems_given": given,
        "stems_absent": absent,
        "checkpoint_sha256": checkpoint_hash,
        "settings": settings_of(take, clean, pipeline, config),
        "recording": recording_report(take.recording, clean, clip.reading),
        "notes": notes,
        "warnings": [words.training_line(pipeline.manifests.get("encoder")), *other_kind, *pipeline.warnings],
    }
    return Result(report, clip, silent, clean)


def settings_of(take: Take, clean: Recording, pipeline: BrainToMusicPipeline, config: GenerateConfig) -> dict[str, Any]:
    """All that a clip depends on besides its recording and checkpoint, and what was found where nothing was asked for.

    The recording is named by its content alone: its file's name may be a person's.
    """
    stop_s = take.start_s + take.recording.duration_s
    resolved = config.model_copy(update={"start_s": take.start_s, "stop_s": stop_s})
    return {
        **made_with("generate INPUT", resolved, **pipeline.machine()),
        "recording_id": take.noise_id,
        "prepared": take.is_clean,
        "channels": {"asked": config.channels and list(config.channels), "found": list(take.recording.channel_names)},
        "montage": {"asked": config.montage, "found": note_on_positions(clean.notes)},
        "line_freq_hz": {
            "asked": config.preprocess.line_freq_hz or config.line_freq_hz,
            "found": clean.line_freq_hz,
        },
    }


def kind_warnings(recorded: str, encoder: Encoder) -> list[str]:
    """What is to be said about a recording of another kind than the encoder was trained on.

    Intracranial contacts measure potentials as scalp electrodes do, and their positions are not used: the encoder can
    run on them, for what that is worth. MEG sensors measure fields: interpolating those as potentials cannot be right.

    Raises
    ------
    InputError
        For MEG with an encoder of potentials, and the other way round.
    """
    trained = encoder.spec.kind
    if recorded == trained:
        return []
    names = {"recorded": KIND_WORDS.get(recorded, recorded), "trained": KIND_WORDS.get(trained, trained)}
    if "meg" in (recorded, trained):
        raise InputError(
            f"The recording is {names['recorded']}, and the brain encoder was trained on {names['trained']}",
            allowed=f"{names['trained']} with this encoder",
            remedy="train an encoder on such recordings with eeg2music train encoder",
        )
    return [words.OTHER_KIND.format(**names)]


def refuse_decided(source: Path, config: GenerateConfig, names: Sequence[str]) -> None:
    """Refuse options that were decided when a cache was prepared."""
    given = [name for name in names if getattr(config, name) is not None]
    if given:
        raise InputError(
            f"{source} is prepared: its {given[0]} can no longer be chosen",
            allowed="what holds for every clip, such as the seed and the sampling",
            remedy="prepare it anew, or name the recording itself",
        )


def read_source(source: Path, config: GenerateConfig) -> Take:
    """The recording at `source`: raw from a file, already cleaned from a prepared cache.

    Raises
    ------
    InputError
        As for `read_recording`; for a cache also if the config asks for what was decided when it was prepared.
    """
    if is_prepared(source):
        return _prepared_take(PreparedDataset(source), source, config)
    if config.recording is not None:
        raise _no_cache(source)
    recording = read_recording(
        source,
        channels=config.channels,
        montage=config.montage,
        start_s=config.start_s,
        stop_s=config.stop_s,
        line_freq_hz=config.line_freq_hz,
    )
    return Take.raw(recording, config.start_s or 0.0)


def _no_cache(source: Path) -> InputError:
    return InputError(
        f"{source} is no prepared cache", allowed="recording= with a prepared cache", remedy="leave recording= out"
    )


def _prepared_take(data: PreparedDataset, source: Path, config: GenerateConfig) -> Take:
    refuse_decided(source, config, DECIDED)
    return Take.prepared(data, *_prepared_stretch(data, source, config))


def _prepared_stretch(data: PreparedDataset, source: Path, config: GenerateConfig) -> tuple[str, int, int]:
    """Which recording of a cache, and its first sample and one past the last."""
    key = config.recording or (data.recordings[0] if len(data.recordings) == 1 else None)
    if key not in data.recordings:
        some = ", ".join(data.recordings[:3])
        raise InputError(
            f"{source} holds {len(data.recordings)} recordings" + (f" and none named {key!r}" if key else ""),
            allowed=f"one of them, such as {some}",
            remedy=f"add recording={data.recordings[0]}" if data.recordings else "prepare recordings into it",
        )
    total_s = data.signal(key).shape[1] / EEG_RATE_HZ
    start_s, stop_s = config.start_s or 0.0, total_s if config.stop_s is None else config.stop_s
    if not 0 <= start_s < stop_s <= total_s or stop_s - start_s < MIN_DURATION_S:
        raise InputError(
            f"start = {start_s:g} s, stop = {stop_s:g} s of {key}",
            allowed=f"at least {MIN_DURATION_S:g} s within 0 to {total_s:.3f} s",
            remedy="change --start or --stop, or leave them out",
        )
    return key, round(start_s * EEG_RATE_HZ), round(stop_s * EEG_RATE_HZ)


def decode(
    take: Take,
    pipeline: BrainToMusicPipeline,
    config: GenerateConfig,
    *,
    watch: Stopwatch,
    hook: Hook = no_hook,
) -> tuple[Recording, Clip, Clip]:
    """Preprocess (unless it is clean), encode, generate and mix one recording.

    Returns
    -------
    The recording cleaned, its clip, and the clip of the same noise without the brain, which `watch` does not count.
    """
    from threadpoolctl import threadpool_limits

    hook("preprocessing")
    # One thread, as in `prepare`: sums in another order would differ in the last bit.
    with watch("preprocess"), threadpool_limits(1):
        clean = take.recording if take.is_clean else preprocess(take.recording, config.preprocess)
        windows = spread_windows(clean, hop_s=WINDOW_HOP_S)
    given = read_given(config.given, clean.duration_s)
    hook("decoding the brain")
    with watch("encode"):
        reading = pipeline.read_clip(windows, clean.duration_s)
    one = Making(pipeline, config, clean.duration_s, take.noise_id, given)
    clip = make_clip(one, reading, watch=watch, hook=hook)
    hook("the same seed without the brain")
    return clean, clip, make_clip(one, None, watch=Stopwatch())


@dataclass(frozen=True)
class Making:
    """What the clip with the brain and the one without it share."""

    pipeline: BrainToMusicPipeline
    config: GenerateConfig
    duration_s: float
    noise_id: str
    given: Mapping[str, FloatArray]


def make_clip(one: Making, reading: Reading | None, *, watch: Stopwatch, hook: Hook = no_hook) -> Clip:
    """Generate and mix one clip; without a brain if `reading` is None.

    Where stems are given, the mixer corrects neither keys nor tempi: the given ones stay what they are.
    """
    hook("generating the stems")
    config = one.config
    samples = round(one.duration_s * SAMPLE_RATE_HZ)
    whole = {name: _fitted(audio, samples) for name, audio in one.given.items()}
    with watch("generate"):
        output = one.pipeline(
            None if reading is None else reading.conditions,
            sample_ids=[one.noise_id],
            seed=config.seed,
            duration_s=one.duration_s,
            sampling=config.sampling,
            given=whole,
            only=config.only,
        )
    hook("mixing")
    mixer = config.mixer.model_copy(update={"transpose": False, "stretch": False}) if whole else config.mixer
    with watch("mix"):
        mixed = mix(output.stems[0], mixer, regions=REGIONS)
    states = stem_states(whole, config.only)
    names = tuple(name for name in STEMS if states[name] != StemState.ABSENT)
    notes = tuple(
        words.GIVEN_SHORTER.format(name=name, seconds=audio.size / SAMPLE_RATE_HZ)
        for name, audio in one.given.items()
        if audio.size < samples
    )
    return Clip(output.stems[0], mixed, reading, names, notes)


def check_given(config: GenerateConfig) -> None:
    """Refuse stems that cannot be given, before anything is read or loaded.

    Raises
    ------
    InputError
        If the folder holds none, one is no sound, or nothing is left to generate.
    """
    stem_states(given_files(config.given), config.only)
    read_given(config.given, 0.0)


def given_files(folder: str | None) -> dict[str, Path]:
    """The sound files of given stems by name.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    if folder is None:
        return {}
    files = {name: Path(folder) / f"{name}.wav" for name in STEMS}
    found = {name: path for name, path in files.items() if path.is_file()}
    if not found:
        raise InputError(
            f"No given stem in {folder}", allowed=" or ".join(f"{name}.wav" for name in STEMS), remedy="check given="
        )
    return found


def read_given(folder: str | None, duration_s: float) -> dict[str, FloatArray]:
    """The given stems' sound up to a duration, (samples,) each; as short as its file where that is shorter.

    Raises
    ------
    InputError
        If a file is no sound.
    """
    samples = round(duration_s * SAMPLE_RATE_HZ)
    sounds = {}
    for name, path in given_files(folder).items():
        length = min(samples, round(audio_duration_s(path) * SAMPLE_RATE_HZ))
        sounds[name] = read_audio(path, duration_s=duration_s)[:length]
    return sounds


def _fitted(audio: FloatArray, samples: int) -> FloatArray:
    """A given sound as the pipeline takes it, (1, samples), followed by silence where it is shorter."""
    return np.pad(audio, (0, samples - audio.size))[None]
