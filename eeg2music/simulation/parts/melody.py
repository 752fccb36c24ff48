"""The soloist: motives that are repeated, moved, turned over and varied in phrases that breathe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eeg2music.simulation.parts.plan import Event, Plan
from eeg2music.simulation.parts.rhythm import Cell, draw_cell, vary_cell
from eeg2music.simulation.theory import nearest


@dataclass(frozen=True)
class Motive:
    """A rhythm of one bar and the scale steps from note to note."""

    cell: Cell
    moves: tuple[int, ...]


def play_melody(
    plan: Plan, rng: np.random.Generator, center: int, span: int, articulation: float, limits: tuple[int, int]
) -> list[Event]:
    """All notes of the melody.

    Args:
        center: MIDI pitch around which it lies, ``span`` semitones to either side.
        articulation: share of the time to the next note for which a note is held.
        limits: range of the instrument.
    """
    low, high = max(limits[0], center - span), min(limits[1], center + span)
    ladder = plan.scale.ladder(low, max(high, low + 12))
    motives = {section: [_draw_motive(plan, rng) for _ in range(2)] for section in sorted(set(plan.sections))}
    layouts = ((0, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1), (0, 1, 1, 0))
    layout = layouts[int(rng.integers(len(layouts)))]
    breath = rng.uniform(0.0, 0.35)
    events: list[Event] = []
    position = len(ladder) // 2
    for bar in range(plan.bars):
        if ("melody", bar) in plan.rests:
            continue
        place = bar % plan.phrase_bars
        motive = motives[plan.section(bar)][layout[place % 4]]
        ending = place == plan.phrase_bars - 1
        motive = _transform(plan, rng, motive, ending, breath)
        notes, position = _realise(plan, rng, motive, bar, position, ladder, ending)
        events += notes
    return _articulate(plan, events, articulation)


def _draw_motive(plan: Plan, rng: np.random.Generator) -> Motive:
    count = plan.rate("melody", 1.1, 5.4)
    cell = draw_cell(rng, plan.weights, count, plan.syncopation["melody"], first=rng.random() < 0.6)
    leap = rng.uniform(0.1, 0.45)
    moves = tuple(
        int(rng.choice([-4, -3, 3, 4, 5]) if rng.random() < leap else rng.choice([-2, -1, -1, 0, 1, 1, 2]))
        for _ in cell
    )
    return Motive(cell, moves)


def _transform(plan: Plan, rng: np.random.Generator, motive: Motive, ending: bool, breath: float) -> Motive:
    """Repeat exactly, turn the contour over, or vary the rhythm; at a phrase's end, stop early and hold."""
    moves, cell = motive.moves, motive.cell
    chance = rng.random()
    if chance < 0.2 * plan.variation:
        moves = tuple(-move for move in moves)
    elif chance < 0.8 * plan.variation:
        cell = vary_cell(rng, cell, plan.steps_per_bar, 0.3)
    if ending and len(cell) > 1:
        last = int(plan.steps_per_bar * (0.75 - breath))
        cell = tuple(step for step in cell if step <= last) or cell[:1]
    return Motive(cell, moves)


def _realise(
    plan: Plan, rng: np.random.Generator, motive: Motive, bar: int, position: int, ladder: list[int], ending: bool
) -> tuple[list[Event], int]:
    events: list[Event] = []
    start = bar * plan.steps_per_bar
    middle = len(ladder) / 2
    for place, step in enumerate(motive.cell):
        move = motive.moves[place % len(motive.moves)]
        position += move
        if not 0 <= position < len(ladder):  # turn back at the edge of the register
            position -= 2 * move
        if rng.random() < 0.15:
            position += int(np.sign(middle - position))
        position = int(np.clip(position, 0, len(ladder) - 1))
        strong = plan.accent(step) >= 0.6 or (ending and place == len(motive.cell) - 1)
        if strong:
            classes = plan.chord_at(start + step).chord.pitch_classes
            tones = [pitch for pitch in ladder if pitch % 12 in classes] or ladder
            position = ladder.index(nearest(ladder[position] + 0.1 * move, tones))
        arch = 0.08 * np.sin(np.pi * (bar % plan.phrase_bars + step / plan.steps_per_bar) / plan.phrase_bars)
        strength = 0.6 + arch + 0.22 * plan.accent(step) + rng.normal(0.0, 0.05)
        events.append(Event(start + step, 1.0, ladder[position], float(strength)))
    return events, position


def _articulate(plan: Plan, events: list[Event], articulation: float) -> list[Event]:
    """Give each note its length: a share of the way to the next one, at most a bar."""
    notes: list[Event] = []
    for place, event in enumerate(events):
        following = events[place + 1].step if place + 1 < len(events) else plan.steps
        gap = min(following - event.step, float(plan.steps_per_bar))
        notes.append(Event(event.step, max(gap * articulation, 0.35), event.pitch, event.strength))
    return notes
