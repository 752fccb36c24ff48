"""Every instrument: in tune, not a bare sine, distinct, finite, and moved by its dials."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.seeding import numpy_rng
from eeg2music.simulation.instruments import INSTRUMENTS, NAMES
from eeg2music.simulation.instruments.engine import Array, NoteRequest
from eeg2music.simulation.instruments.percussion import KITS, SOUNDS, strike
from eeg2music.simulation.song import Timbre
from eeg2music.simulation.styles import STYLES
from eeg2music.types import SAMPLE_RATE_HZ

NOISE = numpy_rng(0, "noise").standard_normal(5 * SAMPLE_RATE_HZ).astype(np.float32)


def _play(name: str, pitch: int) -> Array:
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    return INSTRUMENTS[name].voice(NoteRequest(frequency, 0.6, 0.7, Timbre(name), NOISE))


def _spectrum(audio: Array) -> tuple[Array, Array]:
    piece = audio[480 : 480 + int(0.5 * SAMPLE_RATE_HZ)]
    return np.fft.rfftfreq(1 << 16, 1 / SAMPLE_RATE_HZ), np.abs(np.fft.rfft(piece * np.hanning(piece.size), 1 << 16))


def test_there_are_many_instruments() -> None:
    assert len(NAMES) >= 20
    families = {instrument.family for instrument in INSTRUMENTS.values()}
    assert {"plucked", "bowed", "blown", "fm", "organ", "synth", "struck", "voice"} <= families


def test_styles_use_only_known_instruments_and_every_one_is_used() -> None:
    used: set[str] = set()
    for style in STYLES.values():
        assert set(style.kits) <= set(KITS)
        for pool in (style.basses, style.harmonies, style.melodies):
            assert set(pool) <= set(INSTRUMENTS)
            used |= set(pool)
        used |= set(style.kits)
        for table in (style.keepers, style.backbeats, style.percussion):
            assert set(table) <= set(SOUNDS)
    assert used == set(NAMES)


@pytest.mark.parametrize("name", list(INSTRUMENTS))
def test_in_tune_and_not_a_bare_sine(name: str) -> None:
    """The fundamental is within 40 cents, and something besides it is above -45 dB, at three pitches."""
    instrument = INSTRUMENTS[name]
    for pitch in (instrument.low + 3, (instrument.low + instrument.high) // 2, instrument.high - 6):
        audio = _play(name, pitch)
        assert np.isfinite(audio).all()
        frequencies, spectrum = _spectrum(audio)
        fundamental = 440.0 * 2 ** ((pitch - 69) / 12)
        near = np.abs(frequencies / fundamental - 1) < 0.045
        peak = frequencies[near][np.argmax(spectrum[near])]
        assert abs(1200 * np.log2(peak / fundamental)) < 40, pitch
        elsewhere = (frequencies > 1.3 * fundamental) | (frequencies < 0.7 * fundamental)
        assert spectrum[elsewhere].max() > 10 ** (-45 / 20) * spectrum.max(), pitch


@pytest.mark.parametrize("name", list(INSTRUMENTS))
def test_notes_begin_at_once_and_end_in_silence(name: str) -> None:
    instrument = INSTRUMENTS[name]
    audio = _play(name, (instrument.low + instrument.high) // 2)
    loud = np.abs(audio).max()
    assert np.abs(audio[: int(0.12 * SAMPLE_RATE_HZ)]).max() > 0.1 * loud
    assert abs(audio[-1]) < 0.01 * loud
    assert audio.size < 4 * SAMPLE_RATE_HZ


def test_instruments_differ_from_one_another() -> None:
    """No two instruments share their spectrum and envelope at one pitch."""
    prints = []
    for name, instrument in INSTRUMENTS.items():
        pitch = int(np.clip(60, instrument.low, instrument.high))
        audio = _play(name, pitch)
        frequencies, spectrum = _spectrum(audio)
        fundamental = 440.0 * 2 ** ((pitch - 69) / 12)
        partials = [spectrum[np.abs(frequencies / (k * fundamental) - 1) < 0.04 / k].max() for k in range(1, 9)]
        frames = np.abs(np.resize(audio, 14400)).reshape(12, -1).max(axis=1)
        shape = np.concatenate([np.log(np.array(partials) / max(partials) + 1e-3), 3 * frames / frames.max()])
        prints.append(shape)
    distance = np.linalg.norm(np.array(prints)[:, None] - np.array(prints)[None], axis=-1)
    assert distance[np.triu_indices(len(prints), 1)].min() > 0.4


@pytest.mark.parametrize("name", list(INSTRUMENTS))
def test_brightness_moves_the_spectral_centre(name: str) -> None:
    instrument = INSTRUMENTS[name]
    frequency = 440.0 * 2 ** (((instrument.low + instrument.high) // 2 - 69) / 12)
    centres = []
    for brightness in (0.05, 0.95):
        note = NoteRequest(frequency, 0.6, 0.7, Timbre(name, brightness=brightness), NOISE)
        frequencies, spectrum = _spectrum(instrument.voice(note))
        centres.append((frequencies * spectrum**2).sum() / (spectrum**2).sum())
    assert centres[1] > 1.03 * centres[0]


@pytest.mark.parametrize("name", list(INSTRUMENTS))
def test_most_dials_are_heard(name: str) -> None:
    """At least three of the six dials change the samples of every instrument."""
    instrument = INSTRUMENTS[name]
    frequency = 440.0 * 2 ** (((instrument.low + instrument.high) // 2 - 69) / 12)
    plain = instrument.voice(NoteRequest(frequency, 0.6, 0.7, Timbre(name), NOISE))
    heard = 0
    for field in ("brightness", "attack", "detune", "vibrato", "release", "character"):
        other = instrument.voice(NoteRequest(frequency, 0.6, 0.7, Timbre(name, **{field: 0.95}), NOISE))
        size = min(plain.size, other.size)
        heard += plain.size != other.size or not np.allclose(plain[:size], other[:size], atol=1e-3)
    assert heard >= 3


@pytest.mark.parametrize("kit", list(KITS))
def test_drum_kits(kit: str) -> None:
    """Each sound starts within 20 ms, ends in silence, and is not a bare sine."""
    timbre = Timbre(kit)
    for key in sorted(SOUNDS):
        audio = strike(kit, timbre, key, 0.8, NOISE)
        assert np.isfinite(audio).all()
        assert np.argmax(np.abs(audio)) < 0.06 * SAMPLE_RATE_HZ, key
        assert abs(audio[-1]) < 1e-6
        spectrum = np.abs(np.fft.rfft(audio, 1 << 16)) ** 2
        order = np.sort(spectrum)[::-1]
        assert order[:20].sum() < 0.9 * order.sum(), key


def test_harder_strokes_are_louder() -> None:
    soft, hard = (np.abs(strike("rock_kit", Timbre("rock_kit"), 38, v, NOISE)).max() for v in (0.3, 0.9))
    assert hard > 2 * soft
