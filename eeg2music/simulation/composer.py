"""Composes a song from its id: tempo, key, form, chords, then the four players' parts.

It never renders sound. Everything is derived from the song id, so the same id gives the same song anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from eeg2music.errors import InputError
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.instruments import INSTRUMENTS
from eeg2music.simulation.parts.bass import play_bass
from eeg2music.simulation.parts.drums import play_drums
from eeg2music.simulation.parts.harmony import play_harmony
from eeg2music.simulation.parts.melody import play_melody
from eeg2music.simulation.parts.plan import Event, Plan, Slot
from eeg2music.simulation.parts.rhythm import Clock
from eeg2music.simulation.parts.weighted import pick
from eeg2music.simulation.song import ChordSpan, Note, Room, Song, Timbre, parse_song_id
from eeg2music.simulation.styles import STYLES as _STYLES
from eeg2music.simulation.styles import Style
from eeg2music.simulation.theory import Chord, Scale, build_chord, draw_progression, raise_leading_tone
from eeg2music.types import STEMS

STYLES: tuple[str, ...] = tuple(_STYLES)
SHORTEST_S = 2.0


def compose(song_id: str, *, duration_s: float = 16.0) -> Song:
    """Compose a song.

    Args:
        song_id: ``<style>-<seed>-<index>``, see ``song_ids``.
        duration_s: length in seconds, at least 2.

    Raises:
        InputError: malformed id, or a duration that is too short or not finite.
    """
    style_name, seed, index = parse_song_id(song_id, STYLES)
    if not (math.isfinite(duration_s) and duration_s >= SHORTEST_S):
        raise InputError(f"a song of {duration_s} s", allowed=f"{SHORTEST_S} s or longer", remedy="raise the duration")
    style = _STYLES[style_name]

    def generator(part: str) -> np.random.Generator:
        return numpy_rng(seed, "song", style_name, index, part)

    timbres = _draw_timbres(style, generator("timbre"))
    articulation = _draw_articulation(style, timbres, generator("articulation"))
    plan = _draw_plan(style, generator("plan"), duration_s)
    register = _draw_register(timbres["melody"].instrument, generator("register"))
    events = _play(plan, timbres, articulation, register, generator)
    notes = {stem: _perform(plan, stem, events[stem], duration_s, style, generator(f"{stem} hands")) for stem in STEMS}
    beats = _beats(plan, duration_s)
    return Song(
        song_id=song_id,
        style=style_name,
        seed=seed,
        index=index,
        duration_s=float(duration_s),
        tempo_bpm=plan.clock.tempo_bpm,
        beats_per_bar=plan.beats_per_bar,
        steps_per_beat=plan.steps_per_beat,
        key=plan.scale.tonic,
        mode=plan.scale.mode,
        density=_overall_density(plan),
        swing=plan.clock.swing if plan.steps_per_beat == 4 else 0.5,
        register=register,
        timbres=timbres,
        articulation=articulation,
        levels_db=_draw_levels(generator("levels")),
        room=_draw_room(style, generator("room")),
        chords=_spans(plan, duration_s),
        beats_s=beats,
        downbeats_s=beats[:: plan.beats_per_bar],
        notes=notes,
    )


def _draw_timbres(style: Style, rng: np.random.Generator) -> dict[str, Timbre]:
    pools = {"drums": style.kits, "bass": style.basses, "harmony": style.harmonies, "melody": style.melodies}
    timbres: dict[str, Timbre] = {}
    for stem, pool in pools.items():
        taken = {timbre.instrument for timbre in timbres.values()}
        name = pick(rng, {key: weight for key, weight in pool.items() if key not in taken})
        dials = [round(float(value), 3) for value in rng.uniform(0.0, 1.0, size=6)]
        timbres[stem] = Timbre(name, *dials)
    return timbres


def _draw_articulation(style: Style, timbres: dict[str, Timbre], rng: np.random.Generator) -> dict[str, float]:
    return {stem: round(float(rng.uniform(*style.legato)), 3) for stem in timbres}


def _draw_register(instrument: str, rng: np.random.Generator) -> int:
    """Centre of the melody, well inside the instrument's range and above the bass."""
    low, high = INSTRUMENTS[instrument].low, INSTRUMENTS[instrument].high
    return int(np.clip(rng.integers(58, 85), low + 7, high - 7))


def _draw_plan(style: Style, rng: np.random.Generator, duration_s: float) -> Plan:
    low, high = style.tempo_bpm
    tempo = round(float(low * (high / low) ** rng.random()), 2)
    beats_per_bar = int(pick(rng, style.meters))
    steps_per_beat = 3 if rng.random() < style.triplets else 4
    swing = round(float(rng.uniform(*style.swing)), 3) if rng.random() < 0.7 else 0.5
    clock = Clock(tempo, steps_per_beat, swing, int(rng.choice([2, 4])), round(float(rng.uniform(0.01, 0.12)), 4))
    bar_s = beats_per_bar * 60.0 / tempo
    bars = max(1, math.ceil(duration_s / bar_s))
    phrase_bars = 2 if bar_s > 2.6 or (bar_s > 1.8 and rng.random() < 0.5) else 4
    phrases = math.ceil(bars / phrase_bars)
    sections = _draw_form(rng, phrases)
    scale = Scale(int(rng.integers(12)), pick(rng, style.modes))
    slots = _draw_harmony(style, rng, scale, bars, beats_per_bar * steps_per_beat, phrase_bars, sections)
    centre = rng.uniform(*style.density)
    density = {stem: float(np.clip(centre + rng.normal(0, 0.22), 0.0, 1.0)) for stem in STEMS}
    pull = rng.uniform(*style.syncopation)
    syncopation = {stem: float(np.clip(pull + rng.normal(0, 0.15), 0.0, 1.0)) for stem in STEMS}
    return Plan(
        style=style, clock=clock, beats_per_bar=beats_per_bar, bars=bars, phrase_bars=phrase_bars, sections=sections,
        scale=scale, slots=slots, rests=_draw_rests(rng, bars, bar_s), syncopation=syncopation, density=density,
        variation=float(rng.uniform(0.1, 0.9)),
    )  # fmt: skip


def _draw_form(rng: np.random.Generator, phrases: int) -> tuple[int, ...]:
    forms = ((0, 0, 1, 0), (0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 1, 0), (0, 0, 1, 1))
    form = forms[int(rng.integers(len(forms)))]
    return tuple(form[phrase % 4] for phrase in range(phrases))


def _draw_harmony(
    style: Style,
    rng: np.random.Generator,
    scale: Scale,
    bars: int,
    steps_per_bar: int,
    phrase_bars: int,
    sections: tuple[int, ...],
) -> tuple[Slot, ...]:
    """One loop of chords for each section, laid out phrase by phrase."""
    hold_bars = pick(rng, style.harmonic_rhythm)
    hold = max(1, round(hold_bars * steps_per_bar))
    # a loop may be longer than a phrase: each section takes it up where it left it
    length = int(rng.choice([2, 3, 4, 4, 4, 6, 8]))
    loops = {section: _draw_loop(style, rng, scale, length) for section in sorted(set(sections))}
    played = dict.fromkeys(loops, 0)
    slots: list[Slot] = []
    for phrase, section in enumerate(sections):
        start, end = phrase * phrase_bars * steps_per_bar, min(bars, (phrase + 1) * phrase_bars) * steps_per_bar
        for step in range(start, end, hold):
            slots.append(Slot(step, min(step + hold, end), loops[section][played[section] % length]))
            played[section] += 1
    return tuple(slots)


def _draw_loop(style: Style, rng: np.random.Generator, scale: Scale, length: int) -> list[Chord]:
    main = pick(rng, style.colours)
    chords = []
    for degree in draw_progression(rng, scale, length, style.adventure):
        colour = main if rng.random() < 0.75 else pick(rng, style.colours)
        chord = build_chord(scale, degree, colour)
        chords.append(raise_leading_tone(chord, scale) if rng.random() < 0.6 and colour != "sus" else chord)
    return chords


def _draw_rests(rng: np.random.Generator, bars: int, bar_s: float) -> frozenset[tuple[str, int]]:
    """Bars in which a stem drops out: never more than a quarter of a stem, never two stems at once, nor for long."""
    rests: set[tuple[str, int]] = set()
    quiet: set[int] = set()
    for stem in STEMS:
        allowed = bars // 4 if bar_s < 3.0 else 0
        while allowed > 0 and rng.random() < 0.55:
            length = min(allowed, int(rng.integers(1, 3)) if bar_s < 2.2 else 1)
            first = int(rng.integers(0, bars - length + 1))
            span = set(range(first, first + length))
            allowed -= length
            if not span & quiet:
                quiet |= span
                rests |= {(stem, bar) for bar in span}
    return frozenset(rests)


def _play(
    plan: Plan,
    timbres: dict[str, Timbre],
    articulation: dict[str, float],
    register: int,
    generator: Callable[[str], np.random.Generator],
) -> dict[str, list[Event]]:
    """What the four players play; each hears only the plan."""
    bass, harmony, melody = (INSTRUMENTS[timbres[stem].instrument] for stem in STEMS[1:])
    span = int(generator("span").integers(6, 13))
    return {
        "drums": play_drums(plan, generator("drums")),
        "bass": play_bass(plan, generator("bass"), bass.low, bass.high, articulation["bass"]),
        "harmony": play_harmony(
            plan, generator("harmony"), harmony.low, harmony.high, articulation["harmony"], sustained=harmony.sustained
        ),
        "melody": play_melody(
            plan, generator("melody"), register, span, articulation["melody"], (melody.low, melody.high)
        ),
    }


def _perform(
    plan: Plan, stem: str, events: list[Event], duration_s: float, style: Style, rng: np.random.Generator
) -> tuple[Note, ...]:
    """Grid events to notes in seconds, with the hands of a player: looseness, a lean, uneven strength."""
    looseness = rng.uniform(*style.looseness_ms) / 1000.0
    lean = rng.normal(0.0, 0.5) * looseness
    notes = []
    for event in events:
        onset = plan.clock.seconds(event.step) + lean + rng.normal(0.0, looseness) * 0.7
        onset = max(0.0, onset)
        held = event.length * plan.seconds_per_step
        strength = np.clip(event.strength + rng.normal(0.0, 0.03), 0.08, 1.0)
        if onset < duration_s - 0.03:
            velocity = int(np.clip(round(strength * 127), 1, 127))
            notes.append(Note(round(onset, 4), round(max(held, 0.06), 3), event.pitch, velocity))
    return tuple(sorted(notes))


def _overall_density(plan: Plan) -> float:
    return round(float(np.mean(list(plan.density.values()))), 3)


def _draw_levels(rng: np.random.Generator) -> dict[str, float]:
    return {stem: round(float(rng.uniform(-2.5, 2.5)), 2) for stem in STEMS}


def _draw_room(style: Style, rng: np.random.Generator) -> Room:
    decay_s = round(float(rng.uniform(*style.reverb_s)), 3)
    share = min(2.2, rng.uniform(0.6, 1.6) * (0.7 + 0.6 * decay_s))  # long rooms are also louder ones
    base = {"drums": 0.1, "bass": 0.04, "harmony": 0.2, "melody": 0.22}
    return Room(
        decay_s=decay_s,
        damping=round(float(rng.random()), 3),
        predelay_s=round(float(rng.uniform(0.0, 0.03)), 4),
        wet={stem: round(float(base[stem] * share * rng.uniform(0.7, 1.3)), 3) for stem in STEMS},
    )


def _beats(plan: Plan, duration_s: float) -> tuple[float, ...]:
    beat_s = 60.0 / plan.clock.tempo_bpm
    count = math.ceil((duration_s - plan.clock.offset_s) / beat_s)
    return tuple(round(plan.clock.offset_s + beat * beat_s, 4) for beat in range(count))


def _spans(plan: Plan, duration_s: float) -> tuple[ChordSpan, ...]:
    spans = []
    for slot in plan.slots:
        start, end = plan.clock.seconds(slot.start), min(duration_s, plan.clock.seconds(slot.end))
        if start < duration_s:
            chord = slot.chord
            spans.append(ChordSpan(round(start, 4), round(end, 4), chord.degree, chord.pitch_classes, chord.symbol))
    return tuple(spans)
