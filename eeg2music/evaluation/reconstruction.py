"""How near the generated music comes to what was heard: one row for each stem and measure.

Each row has its interval over songs, its null (the same generated stem against another song's, which shows what any
two pieces have in common) and, where given, its ceiling (what the codec makes of the heard stem itself). Estimates
key, tempo, beats, onsets and pitch of both sides with the same functions; makes no audio and aligns none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.controls import derangement
from eeg2music.evaluation.statistics import Interval, cluster_interval
from eeg2music.metrics.audio import envelope_correlation, mel_correlation, si_sdr
from eeg2music.metrics.checks import finite, same_shape
from eeg2music.metrics.harmony import chroma_similarity, key_score, tempo_agreement
from eeg2music.metrics.melody import Contour, f0_track, melody_contour
from eeg2music.metrics.rhythm import beat_f_measure, onset_f_measure, pick_onsets
from eeg2music.mixing.harmony import Harmony, analyse_harmony
from eeg2music.mixing.rhythm import RATE_HZ, Rhythm, analyse_rhythm
from eeg2music.seeding import numpy_rng
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, FloatArray

MIX = "mix"
# f0 is that of a single voice: of these stems only.
MONOPHONIC = ("bass", "melody")
# A heard stem quieter than -80 dB is taken as silent.
SILENT_RMS = 1e-4
# Below this the spectral peaks agree on no tuning: drums, noise.
LEAST_TONALITY = 0.3
LEAST_BEATS = 3
LEAST_PITCHED_FRAMES = 20
# A silent estimate would be minus infinity, and no mean could be taken.
SI_SDR_LIMIT_DB = 60.0
LEAST_S = 1.0


class Reading:
    """One stem of one clip, and what is estimated from it when it is first asked for."""

    def __init__(self, audio: FloatArray) -> None:
        self.audio = audio

    @functools.cached_property
    def sounds(self) -> bool:
        return float(np.sqrt(np.mean(np.square(self.audio, dtype=np.float64)))) > SILENT_RMS

    @functools.cached_property
    def rhythm(self) -> Rhythm:
        return analyse_rhythm(self.audio)

    @functools.cached_property
    def onsets_s(self) -> NDArray[np.float64]:
        return pick_onsets(self.rhythm.onset, RATE_HZ)

    @property
    def has_pulse(self) -> bool:
        return self.rhythm.tempo_bpm > 0.0 and len(self.rhythm.beats_s) >= LEAST_BEATS

    @functools.cached_property
    def harmony(self) -> Harmony:
        return analyse_harmony(self.audio)

    @property
    def tonal(self) -> bool:
        return self.harmony.tonality >= LEAST_TONALITY and bool(self.harmony.chroma.any())

    @functools.cached_property
    def f0_hz(self) -> NDArray[np.float64]:
        return f0_track(self.audio)


class Measure(NamedTuple):
    """score : (generated, heard) -> value, larger is better; None where the heard stem has nothing to agree with.

    bounds : smallest and largest value, for the interval; `monophonic` measures are taken of single voices only
    """

    score: Callable[[Reading, Reading], float | None]
    bounds: tuple[float, float] | None
    monophonic: bool = False


def _onset_f(made: Reading, heard: Reading) -> float | None:
    return onset_f_measure(made.onsets_s, heard.onsets_s).f_measure if heard.onsets_s.size else None


def _beat_f(made: Reading, heard: Reading) -> float | None:
    return beat_f_measure(made.rhythm.beats_s, heard.rhythm.beats_s) if heard.has_pulse else None


def _tempo(made: Reading, heard: Reading) -> float | None:
    if not heard.has_pulse:
        return None
    # A stem without a pulse agrees with no tempo.
    tempo = made.rhythm.tempo_bpm
    return float(tempo_agreement(tempo, heard.rhythm.tempo_bpm)) if tempo > 0.0 else 0.0


def _key(made: Reading, heard: Reading) -> float | None:
    if not heard.tonal:
        return None
    return key_score(made.harmony.key, heard.harmony.key) if made.tonal else 0.0


def _chroma(made: Reading, heard: Reading) -> float | None:
    return float(chroma_similarity(made.harmony.chroma, heard.harmony.chroma)) if heard.tonal else None


def _contour(made: Reading, heard: Reading) -> Contour | None:
    if np.sum(heard.f0_hz > 0.0) < LEAST_PITCHED_FRAMES:
        return None
    return melody_contour(made.f0_hz, heard.f0_hz)


def _melody(made: Reading, heard: Reading) -> float | None:
    found = _contour(made, heard)
    return None if found is None else found.correlation


def _direction(made: Reading, heard: Reading) -> float | None:
    found = _contour(made, heard)
    return None if found is None else found.direction


def _si_sdr(made: Reading, heard: Reading) -> float:
    return float(np.clip(si_sdr(made.audio, heard.audio), -SI_SDR_LIMIT_DB, SI_SDR_LIMIT_DB))


MEASURES: dict[str, Measure] = {
    "mel_correlation": Measure(lambda a, b: float(mel_correlation(a.audio, b.audio)), (-1.0, 1.0)),
    "envelope_correlation": Measure(lambda a, b: float(envelope_correlation(a.audio, b.audio)), (-1.0, 1.0)),
    "si_sdr_db": Measure(_si_sdr, None),
    "onset_f": Measure(_onset_f, (0.0, 1.0)),
    "beat_f": Measure(_beat_f, (0.0, 1.0)),
    "tempo_agreement": Measure(_tempo, (0.0, 1.0)),
    "key_score": Measure(_key, (0.0, 1.0)),
    "chroma_similarity": Measure(_chroma, (-1.0, 1.0)),
    "melody_correlation": Measure(_melody, (-1.0, 1.0), monophonic=True),
    "melody_direction": Measure(_direction, (0.0, 1.0), monophonic=True),
}


@dataclass(frozen=True)
class _Clips:
    """Readings (clip, stem) of both sides; `others` says whose heard clip is the null of each."""

    made: list[list[Reading]]
    heard: list[list[Reading]]
    codec: list[list[Reading]] | None
    others: NDArray[np.int64]
    songs: Sequence[Hashable]


def reconstruction_scores(
    generated: ArrayLike,
    heard: ArrayLike,
    *,
    songs: Sequence[Hashable],
    seed: int,
    codec: ArrayLike | None = None,
    stems: Sequence[str] = STEMS,
    measures: Sequence[str] = tuple(MEASURES),
    monophonic: Sequence[str] = MONOPHONIC,
    summed: bool = True,
) -> list[dict[str, Any]]:
    """Score generated stems, and their sum ("mix"), against the heard ones.

    Parameters
    ----------
    generated, heard : (clip, stem, samples) at 24 kHz, clip by clip the same window
    songs : (clip,) song (work) of each clip: the clusters, and never the null of its own
    seed : of the null's pairing
    codec : (clip, stem, samples) the codec's reconstruction of `heard`: the ceiling of the generator
    measures : names from `MEASURES`
    monophonic : stems whose pitch contour is compared
    summed : score the sum as well; False for stems that are no whole, and for music that is not in stems

    Returns
    -------
    Rows ready for JSON with "measure", "stem", "n" (clips), "mean", "ci95" (over songs), "null", "gain" (mean less
    null over the clips that have both) with "gain_ci95", "ceiling", "left_out" (clips whose heard stem is silent or
    has no onset, pulse, key or pitch to agree with) and "interval". Means are None where n is 0, intervals where
    fewer than two songs are left. SI-SDR is limited to 60 dB either way, because silence is minus infinity.

    Raises
    ------
    InputError
        For unequal shapes, values that are not finite, or an unknown measure.
    DataError
        If one song makes up more than half of the clips: the null cannot be paired.

    >>> rng = np.random.default_rng(0)
    >>> heard = 0.1 * rng.normal(size=(4, 1, 24000))
    >>> rows = reconstruction_scores(heard, heard, songs="abcd", seed=0, stems=["drums"], measures=["si_sdr_db"])
    >>> [(row["stem"], row["n"], row["mean"], row["null"] < -20) for row in rows]
    [('drums', 4, 60.0, True), ('mix', 4, 60.0, True)]
    """
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise InputError(f"Unknown measure {unknown[0]!r}", allowed=", ".join(MEASURES))
    made, ref = (_audio(name, side, stems) for name, side in (("generated", generated), ("heard", heard)))
    same_shape("generated", made, "heard", ref)
    if len(songs) != len(ref):
        raise InputError(f"{len(songs)} songs for {len(ref)} clips", allowed="one each")
    coded = None
    if codec is not None:
        coded = _audio("codec", codec, stems)
        same_shape("codec", coded, "heard", ref)
    clips = _Clips(
        made=_readings(made, summed),
        heard=_readings(ref, summed),
        codec=None if coded is None else _readings(coded, summed),
        others=derangement(list(songs), numpy_rng(seed, "reconstruction", "null")),
        songs=songs,
    )
    rows = []
    for column, stem in enumerate((*stems, MIX) if summed else stems):
        for name in measures:
            if not MEASURES[name].monophonic or stem in monophonic:
                rows.append({"measure": name, "stem": stem, **_row(MEASURES[name], clips, column)})
    return rows


def _audio(name: str, audio: ArrayLike, stems: Sequence[str]) -> NDArray[np.float64]:
    values = finite(name, audio)
    if values.ndim != 3 or values.shape[1] != len(stems) or values.shape[2] < LEAST_S * SAMPLE_RATE_HZ:
        raise InputError(
            f"{name} has shape {values.shape}", allowed=f"(clip, {len(stems)} stems, samples), {LEAST_S:g} s or more"
        )
    return values


def _readings(audio: NDArray[np.float64], summed: bool) -> list[list[Reading]]:
    """(clip, stem + 1): the stems of each clip, and their sum if it is wanted."""
    parts = [(*clip, clip.sum(axis=0)) if summed else tuple(clip) for clip in audio]
    return [[Reading(np.asarray(stem, dtype=np.float32)) for stem in clip] for clip in parts]


def _row(measure: Measure, clips: _Clips, column: int) -> dict[str, Any]:
    numbers = range(len(clips.heard))
    values = [_value(measure, clips.made[i][column], clips.heard[i][column]) for i in numbers]
    null = [_value(measure, clips.made[i][column], clips.heard[clips.others[i]][column]) for i in numbers]
    gain = [None if a is None or b is None else a - b for a, b in zip(values, null, strict=True)]
    ceiling = None
    if clips.codec is not None:
        ceiling = mean_of([_value(measure, clips.codec[i][column], clips.heard[i][column]) for i in numbers])
    interval = interval_of(values, clips.songs, measure.bounds)
    above = interval_of(gain, clips.songs, None)
    return {
        "n": sum(value is not None for value in values),
        "mean": mean_of(values),
        "ci95": None if interval is None else [interval.low, interval.high],
        "null": mean_of(null),
        "gain": mean_of(gain),
        "gain_ci95": None if above is None else [above.low, above.high],
        "ceiling": ceiling,
        "left_out": sum(value is None for value in values),
        "interval": None if interval is None else interval.method,
    }


def _value(measure: Measure, made: Reading, heard: Reading) -> float | None:
    return measure.score(made, heard) if heard.sounds else None


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of the clips that have a value; None where none has."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def interval_of(
    values: Sequence[float | None], songs: Sequence[Hashable], bounds: tuple[float, float] | None
) -> Interval | None:
    """Interval over songs of the clips that have a value; None where fewer than two songs are left."""
    pairs = [(value, song) for value, song in zip(values, songs, strict=True) if value is not None]
    if len({song for _, song in pairs}) < 2:
        return None
    return cluster_interval([value for value, _ in pairs], [song for _, song in pairs], bounds=bounds)
