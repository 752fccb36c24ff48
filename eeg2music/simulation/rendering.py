"""Renders a composed song to four stems of audio.

It never composes and never writes a file. Everything random comes from the song's own seed. The samples lie on the
16-bit grid, so that the sum of the stems is exact in float32 and after quantization.
"""

from __future__ import annotations

import numpy as np

from eeg2music.seeding import numpy_rng
from eeg2music.simulation.effects import active_rms, impulse_response, reverberate, saturate, tame_peaks
from eeg2music.simulation.instruments import INSTRUMENTS
from eeg2music.simulation.instruments.engine import Array, NoteRequest, samples
from eeg2music.simulation.instruments.percussion import strike
from eeg2music.simulation.song import Song
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, FloatArray

PEAK = 0.9
MIX_RMS = 0.11
FULL_SCALE = 32768.0
# Loudness of each stem beside the others, in dB, before the song's own balance.
BALANCE_DB = {"drums": 0.0, "bass": 0.0, "harmony": -2.0, "melody": 0.5}
_CREST = {"drums": 7.0, "bass": 5.0, "harmony": 5.5, "melody": 5.5}
_VARIATIONS = 3
_NOISE_S = 5.0


def render(song: Song) -> FloatArray:
    """Render the four stems.

    Returns: (stem, samples) float32 at 24 kHz in the order of ``STEMS``. Every value is a multiple of 1/32768; the sum
    over stems and every stem stay below 0.9 in absolute value.
    """
    count = round(song.duration_s * SAMPLE_RATE_HZ)
    noise = numpy_rng(song.seed, "song", song.style, song.index, "noise").standard_normal(samples(_NOISE_S))
    noise = noise.astype(np.float32)
    dry = np.stack([_render_stem(song, stem, noise, count) for stem in STEMS])
    wet = np.array([song.room.wet[stem] for stem in STEMS], dtype=np.float32)
    return _to_grid(reverberate(dry, impulse_response(song.room, noise), wet))


def _render_stem(song: Song, stem: str, noise: Array, count: int) -> Array:
    """(count,) one stem at its place in the balance, dry."""
    audio = _drums(song, noise, count) if stem == "drums" else _pitched(song, stem, noise, count)
    audio = tame_peaks(audio, _CREST[stem])
    gain = 10 ** ((BALANCE_DB[stem] + song.levels_db[stem]) / 20)
    return audio * np.float32(0.1 * gain / max(active_rms(audio), 1e-6))


def _pitched(song: Song, stem: str, noise: Array, count: int) -> Array:
    instrument = INSTRUMENTS[song.timbres[stem].instrument]
    audio = np.zeros(count, dtype=np.float32)
    cache: dict[tuple[int, int, int], Array] = {}
    for note in song.notes[stem]:
        # notes of one pitch, loudness and length to within 25 ms share their samples
        sound_key = (note.pitch, max(2, round(note.duration_s * 40)), note.velocity // 12)
        if sound_key not in cache:
            request = NoteRequest(
                frequency_hz=440.0 * 2 ** ((note.pitch - 69) / 12),
                duration_s=sound_key[1] / 40,
                velocity=(sound_key[2] * 12 + 6) / 127,
                timbre=song.timbres[stem],
                noise=noise,
            )
            cache[sound_key] = instrument.voice(request).astype(np.float32)
        _add(audio, cache[sound_key], note.onset_s)
    return saturate(audio, instrument.drive) if instrument.drive else audio


def _drums(song: Song, noise: Array, count: int) -> Array:
    timbre = song.timbres["drums"]
    audio = np.zeros(count, dtype=np.float32)
    cache: dict[tuple[int, int, int], Array] = {}
    for place, note in enumerate(song.notes["drums"]):
        hit = (note.pitch, note.velocity // 10, place % _VARIATIONS)
        if hit not in cache:
            shift = (hit[0] * 7919 + hit[2] * 15013) % noise.size
            cache[hit] = strike(timbre.instrument, timbre, hit[0], (hit[1] * 10 + 5) / 127, np.roll(noise, -shift))
        _add(audio, cache[hit], note.onset_s)
    return audio


def _add(target: Array, sound: Array, onset_s: float) -> None:
    start = round(onset_s * SAMPLE_RATE_HZ)
    end = min(target.size, start + sound.size)
    if end > start:
        target[start:end] += sound[: end - start]


def _to_grid(stems: Array) -> FloatArray:
    """Scale the whole song to its level and round to 16 bits."""
    fade = min(stems.shape[1], samples(0.01))
    stems[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    mix = stems.sum(axis=0)
    peak = max(float(np.abs(mix).max()), float(np.abs(stems).max()), 1e-6)
    gain = min(MIX_RMS / max(active_rms(mix), 1e-6), (PEAK - 0.001) / peak)
    return (np.round(stems * np.float32(gain * FULL_SCALE)) / np.float32(FULL_SCALE)).astype(np.float32)
