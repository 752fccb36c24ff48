"""Words for a song: several paraphrased captions of the mix and of each stem, from the composition alone.

It never looks at audio. Wording is drawn from the song's own seed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from eeg2music.seeding import numpy_rng
from eeg2music.simulation.instruments import words_for
from eeg2music.simulation.song import Song
from eeg2music.simulation.styles import STYLES
from eeg2music.simulation.theory import MINOR_THIRD_MODES
from eeg2music.types import STEMS

_TEMPI = ((66, ("very slow", "largo")), (86, ("slow", "unhurried")), (108, ("moderate", "mid-tempo")),
          (132, ("lively", "upbeat")), (160, ("fast", "brisk")), (1e9, ("very fast", "racing")))  # fmt: skip
_DENSITIES = ((0.34, ("sparse", "minimal")), (0.64, ("moderately busy", "balanced")), (2.0, ("dense", "busy")))
_TIMBRES = ((0.36, ("dark", "mellow")), (0.64, ("warm", "natural")), (2.0, ("bright", "crisp")))
_REGISTERS = (
    (48, ("very low", "deep")),
    (60, ("low", "lower")),
    (72, ("middle", "medium")),
    (84, ("high", "upper")),
    (200, ("very high", "piercing")),
)
_TOUCHES = ((0.45, ("staccato", "short")), (0.8, ("detached", "articulated")), (9.0, ("legato", "sustained")))
_RATES = (
    (1.2, ("sparse", "slow-moving")),
    (3.0, ("steady", "flowing")),
    (6.0, ("busy", "lively")),
    (1e9, ("very busy", "rapid")),
)
_MODE_MOODS = {
    "major": ("happy", "sunny"), "lydian": ("dreamy", "wondering"), "mixolydian": ("easygoing", "bluesy"),
    "dorian": ("cool", "soulful"), "minor": ("sad", "melancholic"), "phrygian": ("dark", "mysterious"),
}  # fmt: skip
_ROLES = {
    "drums": ("drum track", "beat", "percussion part"), "bass": ("low line", "low part", "groove"),
    "harmony": ("accompaniment", "chord part", "backing"), "melody": ("melody", "tune", "solo"),
}  # fmt: skip


def _level(table: Sequence[tuple[float, tuple[str, ...]]], value: float) -> tuple[str, ...]:
    return next(words for limit, words in table if value < limit)


class _Words:
    """Draws one synonym after another."""

    def __init__(self, song: Song, stem: str = "mix") -> None:
        self.stem = stem
        self._song = song
        self._rng = numpy_rng(song.seed, "song", song.style, song.index, f"{stem} captions")

    def of(self, options: Sequence[str]) -> str:
        return options[int(self._rng.integers(len(options)))]

    def instrument(self, stem: str) -> str:
        return self.of(words_for(self._song.timbres[stem].instrument))

    def role(self, stem: str) -> str:
        return self.of(_ROLES[stem])

    def tempo(self) -> str:
        return self.of(_level(_TEMPI, self._song.tempo_bpm))

    def density(self) -> str:
        return self.of(_level(_DENSITIES, self._song.density))

    def timbre(self) -> str:
        mean = float(np.mean([timbre.brightness for timbre in self._song.timbres.values()]))
        return self.of(_level(_TIMBRES, mean))

    def mood(self) -> str:
        return self.of((*_MODE_MOODS[self._song.mode], *STYLES[self._song.style].moods, pace_mood(self._song)))

    def key(self) -> str:
        return f"{self._song.key_name} {self._song.mode}"

    def feel(self) -> str:
        meter = {3: "three-four time", 4: "four-four time", 5: "five-four time"}[self._song.beats_per_bar]
        swung = "with a swung feel" if self._song.swing > 0.54 else "with a straight feel"
        if self._song.steps_per_beat == 3:
            swung = "with a triplet feel"
        return self.of((f"in {meter}", swung))


def pace_mood(song: Song) -> str:
    """The one mood word that pace and third decide: "tense" (110 beats a minute or more, minor third), "joyful" (quick,
    major), "gloomy" (slower, minor) or "peaceful" (slower, major)."""
    quick, minor = song.tempo_bpm >= 110, song.mode in MINOR_THIRD_MODES
    pace = {(True, True): "tense", (True, False): "joyful", (False, True): "gloomy", (False, False): "peaceful"}
    return pace[quick, minor]


def describe_mix(song: Song) -> list[str]:
    """Five paraphrases about the whole song."""
    words = _Words(song)
    bpm = round(song.tempo_bpm)
    style = song.style
    drums, bass, harmony, melody = (words.instrument(stem) for stem in STEMS)
    captions = [
        f"A {words.mood()} {style} piece at {bpm} bpm in {words.key()}, with {melody}, {harmony}, {bass} and {drums}.",
        f"{words.tempo()} {words.density()} {style} {words.feel()}: {words.instrument('melody')} over "
        f"{words.instrument('harmony')}, {words.timbre()} sound, key of {words.key()}.",
        f"{style} music, {words.tempo()} tempo ({bpm} bpm), {words.mood()} and {words.timbre()}; "
        f"{words.instrument('bass')} and {words.instrument('drums')} under {words.instrument('melody')}.",
        f"A {words.density()}, {words.timbre()} {style} track in {words.key()} {words.feel()}, "
        f"{words.instrument('harmony')} chords, {bpm} beats per minute.",
        f"{words.mood()} {words.tempo()} {style} with {words.instrument('harmony')} and {words.instrument('melody')}.",
    ]
    return [_sentence(caption) for caption in captions]


def describe_stem(song: Song, stem: str) -> list[str]:
    """Four paraphrases about one stem."""
    words = _Words(song, stem)
    per_second = len({note.onset_s for note in song.notes[stem]}) / song.duration_s
    timbre = words.of(_level(_TIMBRES, song.timbres[stem].brightness))
    rate = words.of(_level(_RATES, per_second))
    captions = _about_drums(song, words, timbre, rate) if stem == "drums" else _about_pitched(song, words, timbre, rate)
    return [_sentence(caption) for caption in captions]


def _about_drums(song: Song, words: _Words, timbre: str, rate: str) -> list[str]:
    bpm = round(song.tempo_bpm)
    return [
        f"{rate} {words.instrument('drums')} at {bpm} bpm.",
        f"a {timbre} {song.style} {words.role('drums')} on {words.instrument('drums')}, {words.tempo()} tempo, "
        f"{words.feel()}.",
        f"{words.instrument('drums')} playing a {rate} {song.style} beat.",
        f"{timbre} {words.instrument('drums')}, {bpm} beats per minute, {words.tempo()}.",
    ]


def _about_pitched(song: Song, words: _Words, timbre: str, rate: str) -> list[str]:
    stem = words.stem
    pitches = [note.pitch for note in song.notes[stem]]
    register = words.of(_level(_REGISTERS, float(np.mean(pitches)) if pitches else 60.0))
    touch = words.of(_level(_TOUCHES, song.articulation[stem]))
    bpm = round(song.tempo_bpm)
    return [
        f"a {timbre} {words.instrument(stem)} {words.role(stem)} in {words.key()}, {register} register, {touch} notes.",
        f"{touch} {words.instrument(stem)} playing a {rate} {song.style} {words.role(stem)} at {bpm} bpm.",
        f"{words.instrument(stem)}, {register} register, {words.tempo()} tempo, key of {words.key()}.",
        f"{rate} {timbre} {song.style} {words.role(stem)} played by {words.instrument(stem)}.",
    ]


def _sentence(text: str) -> str:
    """Capital first letter, and "an" before a vowel."""
    text = re.sub(r"\b([Aa]) (?=[aeiou]|FM)", r"\1n ", text)
    return text[0].upper() + text[1:]
