"""Rendering: levels, exact sums, determinism, and that what is heard is what is annotated."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from scipy.signal import stft

from eeg2music.simulation.composer import STYLES, compose
from eeg2music.simulation.rendering import FULL_SCALE, PEAK, render
from eeg2music.simulation.song import Note, Song, format_song_id
from eeg2music.simulation.theory import MODES
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, FloatArray

Rendered = list[tuple[Song, FloatArray]]


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    songs = [compose(format_song_id(style, 23, index), duration_s=10.0) for style in STYLES for index in range(2)]
    return [(song, render(song)) for song in songs]


def test_shape_type_and_finiteness(rendered: Rendered) -> None:
    for song, stems in rendered:
        assert stems.shape == (len(STEMS), round(song.duration_s * SAMPLE_RATE_HZ))
        assert stems.dtype == np.float32
        assert np.isfinite(stems).all()


def test_nothing_clips(rendered: Rendered) -> None:
    for song, stems in rendered:
        assert np.abs(stems).max() <= PEAK, song.song_id
        assert 0.3 < np.abs(stems.sum(axis=0)).max() <= PEAK, song.song_id


def test_the_sum_is_exact_after_quantization(rendered: Rendered) -> None:
    for _, stems in rendered:
        integers = stems.astype(np.float64) * FULL_SCALE
        assert np.array_equal(integers, np.round(integers))
        in_float32 = stems.sum(axis=0).astype(np.float64) * FULL_SCALE
        assert np.array_equal(in_float32, integers.sum(axis=0))


def test_stems_have_comparable_loudness(rendered: Rendered) -> None:
    for song, stems in rendered:
        level_db = 20 * np.log10(np.sqrt(np.mean(stems**2, axis=1)))
        assert np.ptp(level_db) < 16.0, (song.song_id, level_db)


def test_every_window_of_five_seconds_hears_every_stem() -> None:
    for style in STYLES:
        stems = render(compose(format_song_id(style, 24, 0)))
        windows = stems[:, : 3 * 5 * SAMPLE_RATE_HZ].reshape(len(STEMS), 3, -1)
        assert (np.abs(windows).max(axis=2) > 1e-3).all(), style


def test_rendering_twice_gives_the_same_bytes() -> None:
    song = compose("bossa-3-0007", duration_s=3.0)
    assert render(song).tobytes() == render(song).tobytes()


def test_another_process_gives_the_same_bytes() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        song = pool.submit(compose, "rock-3-0001", duration_s=3.0).result()
        theirs = pool.submit(render, song).result()
    assert theirs.tobytes() == render(compose("rock-3-0001", duration_s=3.0)).tobytes()


def test_two_songs_differ(rendered: Rendered) -> None:
    for (first, a), (second, b) in zip(rendered[::2], rendered[1::2], strict=True):
        assert first.style == second.style
        for stem in range(len(STEMS)):
            likeness = abs(float(np.corrcoef(a[stem], b[stem])[0, 1]))
            assert likeness < 0.2, (first.song_id, STEMS[stem])


# -- what is heard is what is written ---------------------------------------------------------------------------------


def _novelty(audio: FloatArray, hop: int = 120) -> np.ndarray:
    """(frame,) rise of log energy from one 5 ms frame to the next, over all frequencies."""
    _, _, spectrum = stft(audio, SAMPLE_RATE_HZ, nperseg=480, noverlap=480 - hop, boundary=None, padded=False)
    log = np.log1p(3000.0 * np.abs(spectrum))
    rise = np.maximum(log[:, 2:] - log[:, :-2], 0.0).mean(axis=0)
    return np.concatenate([[0.0, 0.0], rise])


def _strong_and_apart(notes: tuple[Note, ...], gap_s: float, velocity: int) -> list[float]:
    """Onsets of strong strokes with nothing else within ``gap_s``."""
    onsets = np.array([note.onset_s for note in notes])
    return [
        note.onset_s
        for note in notes
        if note.velocity >= velocity and np.all((onsets < note.onset_s - gap_s) | (onsets >= note.onset_s))
        and note.onset_s > 0.05
    ]  # fmt: skip


def test_drums_sound_when_annotated(rendered: Rendered) -> None:
    """Around each strong, isolated stroke the novelty peaks within 20 ms; that is far above its usual level."""
    hits, total = 0, 0
    for song, stems in rendered:
        novelty = _novelty(stems[0])
        usual = np.median(novelty)
        for onset in _strong_and_apart(song.notes["drums"], 0.09, 70):
            centre = round((onset * SAMPLE_RATE_HZ - 240) / 120)
            near = novelty[max(0, centre - 4) : centre + 6]
            total += 1
            hits += bool(near.size and near.max() > 4 * usual + 0.02)
    assert total > 150
    assert hits / total > 0.95


def test_drums_are_silent_when_nothing_is_annotated(rendered: Rendered) -> None:
    """Peaks of novelty lie within 40 ms of an annotated stroke."""
    explained, total = 0, 0
    for song, stems in rendered:
        novelty = _novelty(stems[0])
        onsets = np.array([note.onset_s for note in song.notes["drums"]])
        floor = 0.35 * np.percentile(novelty, 99)
        for frame in range(2, novelty.size - 2):
            if novelty[frame] >= floor and novelty[frame] == novelty[frame - 2 : frame + 3].max():
                total += 1
                explained += bool(np.abs(onsets - (frame * 120 + 240) / SAMPLE_RATE_HZ).min() < 0.04)
    assert total > 150
    assert explained / total > 0.95


def _salience(spectrum: np.ndarray, pitch: float) -> float:
    """Sum of the first harmonics' log amplitudes, the fundamental's band a third of a semitone wide."""
    total = 0.0
    bins = spectrum.size * 2 / SAMPLE_RATE_HZ
    for harmonic in range(1, 5):
        centre = 440.0 * 2 ** ((pitch - 69) / 12) * harmonic
        low, high = int(centre * 0.985 * bins), int(np.ceil(centre * 1.015 * bins))
        total += float(np.log(spectrum[low : high + 1].max() + 1e-4)) / harmonic
    return total


@pytest.mark.parametrize("stem", ["bass", "melody"])
def test_pitches_sound_as_annotated(rendered: Rendered, stem: str) -> None:
    """Of the twelve neighbouring semitones, the annotated one has the strongest harmonics."""
    right, total = 0, 0
    for song, stems in rendered:
        audio = stems[STEMS.index(stem)]
        for note in song.notes[stem]:
            if note.duration_s < 0.3 or note.velocity < 60:
                continue
            start = int((note.onset_s + 0.06) * SAMPLE_RATE_HZ)
            piece = audio[start : start + int(0.22 * SAMPLE_RATE_HZ)]
            if piece.size < 4000:
                continue
            spectrum = np.abs(np.fft.rfft(piece * np.hanning(piece.size), 1 << 16))
            spectrum /= spectrum.max() + 1e-9
            found = max(range(-6, 7), key=lambda shift: _salience(spectrum, note.pitch + shift))
            total += 1
            right += found == 0
    assert total > 100
    assert right / total > 0.85


def _chroma(audio: FloatArray) -> np.ndarray:
    """(12,) energy by pitch class between 100 Hz and 1 kHz, fundamentals favoured."""
    frequencies, _, spectrum = stft(audio, SAMPLE_RATE_HZ, nperseg=8192)
    energy = np.log1p(1e4 * np.abs(spectrum)).mean(axis=1)
    chroma = np.zeros(12)
    for frequency, value in zip(frequencies, energy, strict=True):
        if 130.0 < frequency < 1000.0:
            pitch = 69 + 12 * np.log2(frequency / 440.0)
            if abs(pitch - round(pitch)) < 0.25:
                chroma[round(pitch) % 12] += value
    return chroma / chroma.sum()


def test_chroma_of_the_harmony_fits_the_key(rendered: Rendered) -> None:
    """Correlation of chroma with the pitch classes of the played notes; the scale's share of the energy."""
    correlations, shares = [], []
    for song, stems in rendered:
        chroma = _chroma(stems[STEMS.index("harmony")])
        played = np.zeros(12)
        for note in song.notes["harmony"]:
            played[note.pitch % 12] += min(note.duration_s, 1.0)
        correlations.append(np.corrcoef(chroma, played)[0, 1])
        shares.append(sum(chroma[(song.key + step) % 12] for step in MODES[song.mode]))
    assert np.mean(correlations) > 0.6
    assert np.mean(shares) > 0.65 > 7 / 12
