"""Whether stems go together, on clips whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.mix_scores import by_measure, mix_scores
from eeg2music.metrics.stems import coherence_floor, key_agreement_between, loudness_lufs, true_peak_dbtp
from eeg2music.mixing.harmony import analyse_harmony
from eeg2music.seeding import numpy_rng
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

SECONDS = 5.0
TIME_S = np.arange(round(SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
MAJOR = (0, 4, 7, 12, 2, 5, 9, 11)
SONGS = [f"song-{number}" for number in range(6)]


def clicks(period_s: float, seed: str, *, jitter_s: float = 0.0) -> FloatArray:
    """Bursts of noise at a period of their own, the later ones moved at random."""
    audio = np.zeros(TIME_S.size, np.float32)
    rng = numpy_rng(0, seed)
    for onset_s in np.arange(0.1, SECONDS - 0.2, period_s):
        first = round((onset_s + jitter_s * rng.random()) * SAMPLE_RATE_HZ)
        decay = np.exp(-np.arange(1200) / 200.0)
        audio[first : first + 1200] += (0.3 * rng.standard_normal(1200) * decay).astype(np.float32)
    return audio


def tune(tonic: int, octave: int) -> FloatArray:
    """A scale in a major key, a note each 0.6 s."""
    audio = np.zeros(TIME_S.size)
    for place, step in enumerate(MAJOR):
        hz = 440.0 * 2 ** ((tonic + step - 69 + 12 * octave) / 12)
        inside = (0.6 * place <= TIME_S) & (0.6 * (place + 1) > TIME_S)
        audio += inside * 0.1 * sum(np.sin(2 * np.pi * hz * h * TIME_S) / h for h in (1, 2, 3))
    return audio.astype(np.float32)


def test_stems_that_strike_together_are_coherent_and_keep_one_beat() -> None:
    clips = np.stack(
        [np.stack([clicks(0.35 + 0.05 * n, f"{n} {stem}") for stem in range(4)]) for n in range(len(SONGS))]
    )
    rows = by_measure(mix_scores(clips, songs=SONGS, seed=0))
    coherent, beat = rows["onset_coherence"], rows["beat_agreement"]
    assert coherent["mean"] > 0.8
    assert coherent["null"] < 0.5
    assert coherent["floor"] == pytest.approx(coherence_floor(160))
    assert (beat["mean"], beat["n"]) == (pytest.approx(1.0), 6)
    assert beat["null"] < 0.6
    # Noise has no key.
    assert rows["key_agreement"]["n"] == 0
    assert (rows["key_agreement"]["mean"], rows["key_agreement"]["left_out"]) == (None, 6)


def test_the_key_of_the_pitched_stems_is_compared_within_the_clip() -> None:
    silent = np.zeros(TIME_S.size, np.float32)
    # Two semitones up for each song: none of them related by a fifth.
    clips = np.stack([np.stack([silent, tune(48 + 2 * n, 0), tune(48 + 2 * n, 1), silent]) for n in range(6)])
    keys = [[analyse_harmony(stem).key for stem in clip[1:3]] for clip in clips]
    rows = by_measure(mix_scores(clips, songs=SONGS, seed=0))
    assert rows["key_agreement"]["mean"] == pytest.approx(np.mean([key_agreement_between(pair) for pair in keys]))
    assert rows["key_agreement"]["mean"] > 0.9
    assert rows["key_agreement"]["null"] < 0.4
    # Drums are no pitched stem, whatever they play.
    moved = by_measure(mix_scores(clips[:, [1, 0, 2, 3]], songs=SONGS, seed=0))
    assert moved["key_agreement"]["n"] == 0


def test_the_mix_is_the_plain_sum() -> None:
    clips = np.stack([np.stack([clicks(0.5, f"{n} {stem}") for stem in range(4)]) for n in range(3)])
    rows = by_measure(mix_scores(clips, songs=SONGS[:3], seed=0))
    sums = clips.sum(1)
    assert rows["loudness_lufs"]["mean"] == pytest.approx(np.mean([loudness_lufs(one) for one in sums]))
    assert rows["true_peak_dbtp"]["mean"] == pytest.approx(np.mean([true_peak_dbtp(one) for one in sums]))
    assert rows["loudness_lufs"]["null"] is None
    # A stem 40 dB below three others is hidden.
    clips[:, 0] *= 0.01
    assert by_measure(mix_scores(clips, songs=SONGS[:3], seed=0))["masked_share"]["mean"] > rows["masked_share"]["mean"]


def test_silence_is_left_out_and_counted() -> None:
    clips = np.stack([np.stack([clicks(0.5, f"{n} {stem}") for stem in range(4)]) for n in range(3)])
    clips[1] = 0.0
    for row in mix_scores(clips, songs=SONGS[:3], seed=0):
        expected = 0 if row["measure"] == "key_agreement" else 2
        assert (row["n"], row["left_out"]) == (expected, 3 - expected), row["measure"]


def test_what_cannot_be_scored_is_refused() -> None:
    clips = np.stack([np.stack([clicks(0.5, f"{n} {stem}") for stem in range(4)]) for n in range(2)])
    with pytest.raises(DataError, match="One song has 2 of 2"):
        mix_scores(clips, songs=["a", "a"], seed=0)
    with pytest.raises(InputError, match="1 songs for 2 clips"):
        mix_scores(clips, songs=["a"], seed=0)
    with pytest.raises(InputError, match="shape"):
        mix_scores(clips[:, :3], songs=["a", "b"], seed=0)
    clips[0, 0, 0] = np.nan
    with pytest.raises(InputError):
        mix_scores(clips, songs=["a", "b"], seed=0)
