"""Audio files as they are: rate, length, level, content; and what of it cannot be scored honestly.

Nothing is normalised, trimmed or repaired. Files are read one at a time; only the facts about them are kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.audio import read_audio
from eeg2music.errors import DataError, InputError, LeakError
from eeg2music.types import FloatArray

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
# Root mean square around the mean, re full scale: what 16-bit dither alone has is below it.
SILENT_DBFS = -80.0
FULL_SCALE = 0.999
# Share of the samples that lie at full scale beside another such sample.
CLIPPED_REFUSED, CLIPPED_NAMED = 0.01, 1e-4
LENGTH_TOLERANCE = 0.02
LEVEL_NAMED_DB = 3.0


@dataclass(frozen=True)
class Clip:
    """Facts about one file.

    Attributes
    ----------
    name : as the manifest has it
    level_dbfs : root mean square around the mean, of the mean over channels
    clipped : share of samples at full scale beside another one
    sha256 : of the rate and the samples in 16 bits, so that copies in another lossless format are known
    """

    name: str
    path: Path
    sample_rate_hz: int
    seconds: float
    level_dbfs: float
    clipped: float
    sha256: str


def inspect(name: str, path: Path) -> Clip:
    """Read a file and say what it is.

    Raises
    ------
    InputError
        If it is not audio, is empty, or holds samples that are not finite.
    """
    rate = _rate_hz(path)
    audio = read_audio(path, sample_rate_hz=rate)
    if not audio.size:
        raise InputError(f"{name} holds no samples", allowed="audio", remedy="make it again")
    level = float(np.sqrt(np.mean((audio - audio.mean()) ** 2, dtype=np.float64)))
    full = np.abs(audio) >= FULL_SCALE
    runs = full[1:] & full[:-1]
    content = hashlib.sha256(f"{rate}".encode())
    content.update(np.clip(np.round(audio * 32767.0), -32768, 32767).astype("<i2").tobytes())
    return Clip(
        name=name,
        path=path,
        sample_rate_hz=rate,
        seconds=audio.size / rate,
        level_dbfs=20.0 * float(np.log10(max(level, 1e-8))),
        clipped=float(runs.sum()) / audio.size,
        sha256=content.hexdigest(),
    )


def audio_of(clip: Clip, sample_rate_hz: int) -> FloatArray:
    """(samples,) float32 mono, resampled where the file has another rate."""
    return read_audio(clip.path, sample_rate_hz=sample_rate_hz)


def audio_files(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """{name: path} of all audio below a folder, sorted.

    Raises
    ------
    InputError
        If there are fewer than two.
    """
    root = Path(folder)
    files = [file for file in sorted(root.rglob("*")) if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file()]
    if len(files) < 2:
        raise InputError(
            f"The reference folder {root.name} holds {len(files)} sound files",
            allowed=f"two or more ({', '.join(AUDIO_SUFFIXES)})",
            remedy="check --reference",
        )
    return {file.relative_to(root).as_posix(): file for file in files}


def refuse_rates(clips: Iterable[Clip], declared_hz: int | None, others: Iterable[Clip], *, resample: bool) -> None:
    """Refuse files of another rate than declared, and several rates at once unless that is said.

    Parameters
    ----------
    clips : generated, which `declared_hz` is said of
    others : references
    """
    own = list(clips)
    for clip in own:
        if declared_hz is not None and clip.sample_rate_hz != declared_hz:
            raise InputError(
                f"Wrong sample rate: {clip.name} has {clip.sample_rate_hz} Hz, {declared_hz} Hz are declared",
                allowed=f"{declared_hz} Hz",
                remedy="correct the declaration, or write the file again at its true rate",
            )
    rates = sorted({clip.sample_rate_hz for clip in (*own, *others)})
    if len(rates) > 1 and not resample:
        raise InputError(
            f"Mixed sample rates: {', '.join(map(str, rates))} Hz",
            allowed="one rate for generated audio and references",
            remedy="--resample says that they are resampled, and stamps the scores",
        )


def refuse_unusable(clips: Iterable[Clip]) -> None:
    """Refuse silence and clipping."""
    for clip in clips:
        if clip.level_dbfs < SILENT_DBFS:
            raise InputError(
                f"{clip.name} is silent ({clip.level_dbfs:.0f} dBFS)",
                allowed=f"{SILENT_DBFS:.0f} dBFS or more",
                remedy="find out why it was made so; silent clips are not left out",
            )
        if clip.clipped > CLIPPED_REFUSED:
            raise InputError(
                f"{clip.name} is clipped: {clip.clipped:.1%} of its samples are at full scale",
                allowed=f"{CLIPPED_REFUSED:.0%} or less",
                remedy="write it again at a lower level",
            )


def refuse_short(clips: Iterable[Clip], shortest_s: Mapping[str, float]) -> None:
    """Refuse clips that are too short for an embedding.

    Parameters
    ----------
    shortest_s : {embedding: seconds}
    """
    for clip in clips:
        for name, seconds in shortest_s.items():
            if clip.seconds < seconds - 0.5 / clip.sample_rate_hz:
                raise InputError(
                    f"{clip.name} is too short for the embedding {name!r}: {clip.seconds:.2f} s",
                    allowed=f"{seconds:g} s or more",
                    remedy="generate longer clips, or choose another embedding",
                )


def refuse_lengths(clips: Iterable[Clip], embedding: str) -> None:
    """Refuse clips of different lengths, for an embedding that keeps time."""
    ordered = sorted(clips, key=lambda clip: clip.seconds)
    if ordered[-1].seconds > (1.0 + LENGTH_TOLERANCE) * ordered[0].seconds:
        raise InputError(
            f"{ordered[0].name} is {ordered[0].seconds:.2f} s long and {ordered[-1].name} {ordered[-1].seconds:.2f} s, "
            f"but the embedding {embedding!r} keeps time",
            allowed=f"one length, within {LENGTH_TOLERANCE:.0%}",
            remedy="cut generated audio and references to one length, or choose another embedding",
        )


def refuse_same_content(clips: Sequence[Clip], where: str, remedy: str) -> None:
    """Refuse two files with the same audio: their number is what a score counts."""
    known: dict[str, str] = {}
    for clip in clips:
        first = known.setdefault(clip.sha256, clip.name)
        if first != clip.name:
            raise DataError(
                f"Duplicated clips in {where}: {clip.name} has the same audio as {first}",
                allowed="each clip once",
                remedy=remedy,
            )


def refuse_copies(clips: Iterable[Clip], references: Iterable[Clip]) -> None:
    """Refuse generated files that are a reference."""
    known = {clip.sha256: clip.name for clip in references}
    for clip in clips:
        if clip.sha256 in known:
            raise LeakError(
                f"The generated file {clip.name} is a copy of the reference {known[clip.sha256]}",
                allowed="audio that was generated",
                remedy="name its condition under `copied` if it is meant as a ceiling",
            )


def facts(clips: Sequence[Clip]) -> dict[str, Any]:
    """For the report: number, seconds, rates, levels."""
    seconds = [clip.seconds for clip in clips]
    rates = [clip.sample_rate_hz for clip in clips]
    return {
        "files": len(clips),
        "seconds": {"total": sum(seconds), "shortest": min(seconds), "longest": max(seconds)},
        "sample_rates_hz": {str(rate): rates.count(rate) for rate in sorted(set(rates))},
        "median_level_dbfs": float(np.median([clip.level_dbfs for clip in clips])),
        "most_clipped": max(clip.clipped for clip in clips),
    }


def remarks(groups: Mapping[str, Sequence[Clip]], rates_needed_hz: Mapping[str, int]) -> list[str]:
    """What a reader has to know, in words: levels that differ, some clipping, an empty upper band.

    Parameters
    ----------
    groups : {name of the group: its clips}, the first is what is judged
    rates_needed_hz : {embedding: rate}
    """
    found = []
    levels = {name: float(np.median([clip.level_dbfs for clip in clips])) for name, clips in groups.items()}
    judged = next(iter(levels))
    for name, level in levels.items():
        if abs(levels[judged] - level) > LEVEL_NAMED_DB:
            found.append(
                f"Loudness mismatch: {judged} lies at {levels[judged]:.1f} dBFS, {name} at {level:.1f} dBFS (medians). "
                "Nothing is normalised, and some embeddings hear level."
            )
    for name, clips in groups.items():
        clipped = sum(clip.clipped > CLIPPED_NAMED for clip in clips)
        if clipped:
            found.append(f"{clipped} of {len(clips)} files of {name} are clipped in places.")
    lowest = {name: min(clip.sample_rate_hz for clip in clips) for name, clips in groups.items()}
    for embedding, rate in rates_needed_hz.items():
        low = [name for name in groups if lowest[name] < rate]
        if low:
            found.append(
                f"The embedding {embedding!r} hears up to {rate / 2000:g} kHz; files of {', '.join(low)} end at "
                f"{min(lowest[name] for name in low) / 2000:g} kHz or above, short of that."
            )
    return found


def _rate_hz(path: Path) -> int:
    import soundfile

    try:
        return int(soundfile.info(str(path)).samplerate)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InputError(
            f"{path.name} is not an audio file that can be read ({error})",
            allowed="WAV, FLAC, OGG or MP3",
            remedy="make it again; a clip that failed is never left out of the scores",
        ) from None
