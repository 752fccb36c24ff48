"""The accompanist: voice-led chords, held, broken, strummed, pulsed or stabbed in a rhythm drawn for the song."""

from __future__ import annotations

import numpy as np

from eeg2music.simulation.parts.plan import Event, Plan
from eeg2music.simulation.parts.rhythm import Cell, draw_cell, vary_cell
from eeg2music.simulation.parts.weighted import pick
from eeg2music.simulation.theory import voice_chord


def play_harmony(
    plan: Plan, rng: np.random.Generator, low: int, high: int, articulation: float, *, sustained: bool
) -> list[Event]:
    """All notes of the accompaniment.

    Args:
        low, high: MIDI range of the instrument.
        sustained: whether the instrument can hold a note; one that cannot seldom plays pads.
    """
    figures = dict(plan.style.harmony_figures)
    if not sustained and "pad" in figures:
        figures["pad"] *= 0.25
    figure = pick(rng, figures)
    center = float(np.clip(rng.uniform(50, 70), low + 9, high - 9))
    voicings = _voicings(plan, center, spread=9)
    cells = {section: _draw_cell(plan, rng, figure) for section in sorted(set(plan.sections))}
    order = [int(n) for n in rng.integers(0, 4, size=int(rng.integers(3, 9)))]
    climb = rng.choice(["up", "down", "updown", "drawn"])
    roll = float(rng.choice([0.0, 0.0, rng.uniform(0.05, 0.3)]))
    events: list[Event] = []
    for bar in range(plan.bars):
        if ("harmony", bar) in plan.rests:
            continue
        steps = _bar_onsets(plan, rng, figure, cells[plan.section(bar)], bar)
        for place, step in enumerate(steps):
            following = steps[place + 1] if place + 1 < len(steps) else (bar + 1) * plan.steps_per_bar
            chord = voicings[plan.slots.index(plan.chord_at(step))]
            pitches = _select(figure, chord, place, climb, order)
            if figure == "oompah" and step % plan.steps_per_bar == 0:
                continue
            held = (following - step) * (articulation if figure != "pad" else max(articulation, 0.92))
            strength = 0.55 + 0.3 * plan.accent(step) + rng.normal(0.0, 0.04)
            for rank, pitch in enumerate(pitches):
                events.append(Event(step + roll * rank, max(held, 0.3), pitch, float(strength)))
    return events


def _voicings(plan: Plan, center: float, spread: int) -> list[list[int]]:
    voicings: list[list[int]] = []
    for slot in plan.slots:
        classes = slot.chord.pitch_classes
        if len(classes) == 2:  # root and fifth: double the root
            classes = (*classes, classes[0])
        voicings.append(voice_chord(classes, center, spread, voicings[-1] if voicings else None))
    return voicings


def _draw_cell(plan: Plan, rng: np.random.Generator, figure: str) -> Cell:
    beat, steps = plan.steps_per_beat, plan.steps_per_bar
    if figure == "oompah":
        return (0, *range(beat, steps, beat))
    if figure in ("arpeggio", "broken"):
        fits = [gap for gap in (1, 2, 3, 4) if plan.seconds_per_step * gap >= 0.11 and gap <= beat]
        gap = int(rng.choice(fits or [beat]))
        cell = set(range(0, steps, gap))
        for step in list(cell - {0}):
            if rng.random() < 0.3 * (1.0 - plan.density["harmony"]):
                cell.discard(step)
        return tuple(sorted(cell))
    if figure == "pulse":
        gap = beat // 2 if beat == 4 and plan.seconds_per_step * 2 > 0.13 else beat
        return tuple(range(0, steps, gap if plan.density["harmony"] > 0.4 else beat))
    if figure == "pad":
        return (0,)
    count = plan.rate("harmony", 0.8, 3.6 if figure == "comp" else 2.6)
    return draw_cell(rng, plan.weights, count, plan.syncopation["harmony"], first=rng.random() < 0.6)


def _bar_onsets(plan: Plan, rng: np.random.Generator, figure: str, cell: Cell, bar: int) -> list[int]:
    """Grid steps of a bar; pads and sparse figures also move with each new chord."""
    start = bar * plan.steps_per_bar
    rate = 0.0 if figure in ("pad", "oompah", "pulse") else plan.variation * 0.25
    steps = {start + step for step in vary_cell(rng, cell, plan.steps_per_bar, rate)}
    changes = {slot.start for slot in plan.slots if start <= slot.start < start + plan.steps_per_bar}
    if figure == "pad":
        return sorted(steps | changes)
    if figure == "comp":
        steps |= {change for change in changes if rng.random() < 0.5}
    return sorted(steps)


def _select(figure: str, chord: list[int], place: int, climb: str, order: list[int]) -> list[int]:
    """Which notes of the voicing sound at the n-th onset of a bar."""
    size = len(chord)
    if figure == "arpeggio":
        turn = list(range(size)) + list(range(size - 2, 0, -1))
        index = {"up": place % size, "down": size - 1 - place % size, "updown": turn[place % len(turn)]}.get(
            climb, order[place % len(order)] % size
        )
        return [chord[index]]
    if figure == "broken":
        return [chord[0]] if place % 2 == 0 else chord[1:]
    return chord
