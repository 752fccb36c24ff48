"""Stems to a stereo mix, and a report of everything that was done to them.

Corrects keys and tempi that disagree, lets at most N stems sound at once, balances, pans by brain
region, and brings the sum to its loudness under a true-peak ceiling. Random-free. When things happen is what the brain
decided: a stem begins where it began, and only a correction of its tempo moves what follows, nowhere by more than
`max_shift_s`. Stems that stand off the beat are told, and stay there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import oaconvolve

from eeg2music.errors import InputError
from eeg2music.mixing import chance
from eeg2music.mixing.beats import BeatOffsets, beat_offsets
from eeg2music.mixing.corrections import Plan, plan_stretches, plan_transpositions
from eeg2music.mixing.harmony import Harmony, analyse_harmony, key_name
from eeg2music.mixing.loudness import SILENCE_LUFS, Mastered, integrated_loudness, master
from eeg2music.mixing.rhythm import Rhythm, analyse_rhythm
from eeg2music.mixing.settings import MixerConfig
from eeg2music.mixing.stretch import change
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, FloatArray

__all__ = ["MixResult", "MixerConfig", "mix", "pan_gains", "pan_position"]

Float64 = NDArray[np.float64]

# Long recordings are judged by their middle: a key and a tempo need no more.
ANALYSIS_S = 120.0
BLOCK_S = 0.25
SOUNDING_DBFS = -60.0
KEEP_BONUS_DB = 4.0
CONFIDENCE_BONUS_DB = 6.0


@dataclass(frozen=True)
class MixResult:
    """What the mixer made.

    Attributes
    ----------
    stereo : (2, samples) float32, left and right
    stems : (stem, samples) float32 after corrections of key and tempo, before gain, fades and pan; where there was
        none, the very array that was given
    report : JSON-ready: `key`, `tempo_bpm`, `stems` (each with its estimates, gain and pan), `corrections` and
        `left_alone` (sentences), `by_chance` (what `chance` says of such a clip), `sounding`, `loudness_lufs` (-70 for
        silence), `true_peak_dbtp`, `limiter_db`, `notes`
    """

    stereo: FloatArray
    stems: FloatArray
    report: dict[str, Any]


def mix(
    stems: FloatArray,
    config: MixerConfig | None = None,
    *,
    regions: Sequence[str],
    names: Sequence[str] | None = None,
) -> MixResult:
    """Mix stems to stereo.

    Parameters
    ----------
    stems : (stem, samples) at 24 kHz
    regions : brain region of each stem, which decides its place between left and right
    names : of the stems; None takes drums, bass, harmony, melody for four stems, else the regions' names

    Raises
    ------
    InputError
        For another shape, no samples, or values that are not finite.
    """
    config = config or MixerConfig()
    audio, labels = _checked(stems, regions, names)
    duration_s = audio.shape[1] / SAMPLE_RATE_HZ
    harmonies = [analyse_harmony(_middle(stem)) for stem in audio]
    rhythms = [analyse_rhythm(_middle(stem)) for stem in audio]
    pitch = plan_transpositions(harmonies, labels, config)
    tempo = plan_stretches(rhythms, labels, duration_s, config)
    clear = [chance.tempo_is_clear(rhythm, min(duration_s, ANALYSIS_S)) for rhythm in rhythms]
    offsets = beat_offsets(rhythms, clear, labels, tempo)
    corrected = _corrected(audio, pitch, tempo, labels, config)
    loudness = [integrated_loudness(stem) for stem in corrected]
    gains_db = _balance(loudness, labels, config)
    sound = corrected * (10.0 ** (gains_db / 20.0)).astype(np.float32)[:, None]
    surety = np.array([max(h.confidence, r.confidence) for h, r in zip(harmonies, rhythms, strict=True)])
    # Under one name, so that of long stems no earlier state is held.
    sound, sounding = _limit_sounding(sound, surety, config)
    pans = [pan_position(region, config) for region in regions]
    places = np.stack([pan_gains(pan) for pan in pans], axis=1).astype(np.float32)
    sound = places @ sound
    final = master(
        sound,
        target_lufs=config.loudness_lufs,
        ceiling_dbtp=config.true_peak_dbtp,
        max_gain_db=config.max_gain_db,
    )
    rows = {
        label: _stem_report(regions[i], harmonies[i], rhythms[i], loudness[i], pitch, tempo, i)
        | {"tempo_is_clear": clear[i], **_offset_report(offsets, i)}
        | {"gain_db": round(float(gains_db[i]), 2), "pan": pans[i]}
        for i, label in enumerate(labels)
    }
    return MixResult(final.audio, corrected, _report(rows, pitch, tempo, offsets, sounding, final, config, duration_s))


def pan_position(region: str, config: MixerConfig) -> float:
    """-1 (left) to 1 (right) of a region: as configured, else by the side its name tells, else the middle."""
    if region in config.pan:
        return float(np.clip(config.pan[region], -1.0, 1.0))
    words = region.lower().replace("-", "_").split("_")
    side = ("right" in words or "rh" in words) - ("left" in words or "lh" in words)
    return side * config.pan_width


def pan_gains(position: float) -> Float64:
    """(2,) left and right gain of constant power, 0.707 each in the middle."""
    angle = (position + 1.0) * np.pi / 4.0
    return np.array([np.cos(angle), np.sin(angle)])


def _checked(
    stems: FloatArray, regions: Sequence[str], names: Sequence[str] | None
) -> tuple[FloatArray, tuple[str, ...]]:
    audio = np.asarray(stems, dtype=np.float32)
    if audio.ndim != 2 or audio.size == 0:
        raise InputError(f"Stems of shape {audio.shape}", allowed="(stem, samples), at least one of each")
    if not np.isfinite(audio).all():
        raise InputError("The stems hold samples that are not finite", remedy="look for the stage that made them")
    labels = tuple(names) if names is not None else (STEMS if len(audio) == len(STEMS) else tuple(regions))
    if not len(audio) == len(regions) == len(labels) == len(set(labels)):
        raise InputError(
            f"{len(audio)} stems, {len(regions)} regions and the names {', '.join(labels)}",
            allowed="one region and one name of its own for each stem",
        )
    return audio, labels


def _middle(stem: FloatArray) -> FloatArray:
    spare = max(0, stem.size - round(ANALYSIS_S * SAMPLE_RATE_HZ))
    return stem[spare // 2 : stem.size - (spare - spare // 2)]


def _corrected(audio: FloatArray, pitch: Plan, tempo: Plan, labels: Sequence[str], config: MixerConfig) -> FloatArray:
    """Apply the plans; the very same array where there is no correction."""
    if not any(pitch.change) and all(factor == 1.0 for factor in tempo.change):
        return audio
    changed = [
        change(stem, semitones=semitones, tempo_factor=factor, percussive=label in config.untuned)
        for stem, semitones, factor, label in zip(audio, pitch.change, tempo.change, labels, strict=True)
    ]
    return np.stack(changed)


def _balance(loudness: Sequence[float], labels: Sequence[str], config: MixerConfig) -> Float64:
    """Gain of each stem in dB. Silent stems keep 0 and don't count."""
    wanted = np.array([config.level_db.get(label, 0.0) for label in labels])
    measured = np.array(loudness)
    audible = measured > SILENCE_LUFS
    by_hand = np.array([config.gain_db.get(label, 0.0) for label in labels])
    if not audible.any():
        return by_hand
    common = float((measured - wanted)[audible].mean())
    gains = np.clip(config.balance * (wanted + common - measured), -config.max_balance_db, config.max_balance_db)
    return np.where(audible, gains, 0.0) + by_hand


def _limit_sounding(audio: FloatArray, surety: Float64, config: MixerConfig) -> tuple[FloatArray, dict[str, Any]]:
    """Silence all but the loudest and surest `max_sounding` stems, quarter second by quarter second.

    A stem that sounds has a bonus, so that stems don't flicker; fades are raised cosines.
    """
    hop = round(BLOCK_S * SAMPLE_RATE_HZ)
    blocks = -(-audio.shape[1] // hop)
    # Stem by stem, here and below: of long stems everything at once would take many times their own memory.
    power = np.stack([_power(stem, blocks, hop) for stem in audio])
    # Three blocks together: a rest between two notes is no reason to give way.
    power = uniform_filter1d(power, 3, axis=1, mode="constant")
    level = 10.0 * np.log10(np.maximum(power, 1e-12))
    audible = level > SOUNDING_DBFS
    report = {"at_most": config.max_sounding, "most_at_once": int(audible.sum(axis=0).max()), "switches": 0}
    if report["most_at_once"] <= config.max_sounding:
        return audio, report
    keep = np.zeros((len(audio), blocks), dtype=bool)
    for block in range(blocks):
        bonus = KEEP_BONUS_DB * keep[:, block - 1] if block else 0.0
        rank = np.where(audible[:, block], level[:, block] + CONFIDENCE_BONUS_DB * surety + bonus, -np.inf)
        order = np.argsort(-rank, kind="stable")[: config.max_sounding]
        keep[order[np.isfinite(rank[order])], block] = True
    report["switches"] = int(np.abs(np.diff(keep.astype(int), axis=1)).sum())
    fade = max(3, round(config.crossfade_s * SAMPLE_RATE_HZ)) | 1
    shape = np.hanning(fade + 2)[1:-1]
    faded = np.empty_like(audio)
    for stem, kept, out in zip(audio, keep, faded, strict=True):
        gate = np.repeat(kept, hop)[: stem.size].astype(np.float64)
        edged = np.pad(gate, (fade // 2, fade // 2), mode="edge")
        gain = np.clip(oaconvolve(edged, shape / shape.sum(), mode="valid"), 0.0, 1.0)
        # The convolution leaves rounding where there should be silence.
        gain[gain < 1e-9] = 0.0
        out[:] = stem * gain
    return faded, report


def _power(stem: FloatArray, blocks: int, hop: int) -> Float64:
    """(block,) mean power."""
    padded = np.pad(stem, (0, blocks * hop - stem.size)).reshape(blocks, hop)
    return np.asarray(np.mean(np.square(padded), axis=-1, dtype=np.float64))


def _stem_report(
    region: str, harmony: Harmony, rhythm: Rhythm, loudness: float, pitch: Plan, tempo: Plan, i: int
) -> dict[str, Any]:
    tonal = harmony.confidence > 0.0
    return {
        "region": region,
        "silent": loudness <= SILENCE_LUFS,
        "key": key_name(harmony.key) if tonal else None,
        "key_confidence": round(harmony.confidence, 3),
        "key_fit": round(harmony.fit, 3),
        "key_is_clear": chance.key_is_clear(harmony),
        "chroma": [round(float(value), 4) for value in harmony.chroma],
        "tuning_cents": round(100.0 * harmony.tuning, 1),
        "tempo_bpm": round(rhythm.tempo_bpm, 2) if rhythm.tempo_bpm > 0 else None,
        "tempo_confidence": round(rhythm.confidence, 3),
        "transposed_semitones": round(pitch.change[i], 3),
        "tempo_factor": round(tempo.change[i], 5),
        "loudness_lufs": round(loudness, 2),
    }


def _offset_report(offsets: BeatOffsets, i: int) -> dict[str, Any]:
    seconds, beats = offsets.seconds[i], offsets.beats[i]
    return {
        "beat_offset_ms": None if seconds is None else round(1000.0 * seconds, 1),
        "beat_offset_beats": None if beats is None else round(beats, 3),
    }


def _report(
    rows: dict[str, Any],
    pitch: Plan,
    tempo: Plan,
    offsets: BeatOffsets,
    sounding: dict[str, Any],
    final: Mastered,
    config: MixerConfig,
    duration_s: float,
) -> dict[str, Any]:
    notes = []
    silent = [label for label, row in rows.items() if row["silent"]]
    if silent:
        notes.append(f"Silent: {', '.join(silent)}")
    if sounding["switches"]:
        notes.append(
            f"{sounding['most_at_once']} stems sounded at once; at most {config.max_sounding} were let through, "
            f"with {sounding['switches']} fades of {config.crossfade_s:g} s"
        )
    if len(silent) < len(rows) and abs(final.loudness_lufs - config.loudness_lufs) > 0.1:
        notes.append(
            f"The mix lies at {final.loudness_lufs:.1f} LUFS, not at {config.loudness_lufs:g}: "
            f"reaching it would take more than {config.max_gain_db:g} dB of gain or flatten every peak"
        )
    if duration_s > ANALYSIS_S:
        notes.append(f"Key and tempo were judged by the middle {ANALYSIS_S:g} s")
    return {
        "key": pitch.shared,
        "tempo_bpm": round(float(tempo.shared), 2) if tempo.shared is not None else None,
        "stems": rows,
        "corrections": [*pitch.done, *tempo.done],
        "left_alone": [*pitch.left_alone, *tempo.left_alone, *offsets.left_alone],
        "by_chance": {
            "key_fit": chance.KEY_FIT,
            "tempo_confidence": round(chance.tempo_confidence(min(duration_s, ANALYSIS_S)), 3),
        },
        "sounding": sounding,
        "gain_db": round(final.gain_db, 2),
        "limiter_db": round(final.reduction_db, 2),
        "loudness_lufs": round(final.loudness_lufs, 3),
        "true_peak_dbtp": round(final.true_peak_dbtp, 3),
        "notes": notes,
    }
