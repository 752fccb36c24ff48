"""The bass player: a rhythm and a figure drawn for the song, following the chords' roots."""

from __future__ import annotations

import numpy as np

from eeg2music.simulation.parts.plan import Event, Plan
from eeg2music.simulation.parts.rhythm import Cell, draw_cell, vary_cell
from eeg2music.simulation.parts.weighted import pick
from eeg2music.simulation.theory import nearest

# What each onset of a figure may play, as weights.
_TONES = {
    "roots": {"root": 8.0, "fifth": 1.0},
    "broken": {"root": 3.0, "fifth": 3.0, "third": 2.0, "octave": 1.0},
    "melodic": {"root": 2.0, "fifth": 1.5, "third": 1.5, "step": 4.0},
    "riff": {"root": 4.0, "octave": 2.0, "fifth": 2.0, "seventh": 1.5, "step": 1.5, "approach": 1.0},
    "octaves": {"root": 4.0, "octave": 4.0, "fifth": 0.6},
    "offbeat": {"root": 6.0, "octave": 1.5, "fifth": 0.6},
    "pulse": {"root": 8.0, "fifth": 0.8, "step": 0.6},
    "bossa": {"root": 4.0, "fifth": 4.0, "octave": 0.6, "approach": 0.8},
}


def play_bass(plan: Plan, rng: np.random.Generator, low: int, high: int, articulation: float) -> list[Event]:
    """All notes of the bass.

    Args:
        low, high: MIDI range of the instrument.
        articulation: share of the time to the next note for which a note is held.
    """
    figure = pick(rng, plan.style.bass_figures)
    floor = int(rng.integers(low + 1, max(low + 2, min(low + 13, high - 14))))
    cells = {section: _draw_figure(plan, rng, figure) for section in sorted(set(plan.sections))}
    onsets: list[tuple[int, str]] = []
    for bar in range(plan.bars):
        if ("bass", bar) in plan.rests:
            continue
        cell, tones = cells[plan.section(bar)]
        last = (bar + 1) % plan.phrase_bars == 0
        steps = vary_cell(rng, cell, plan.steps_per_bar, plan.variation * (0.7 if last else 0.2))
        for place, step in enumerate(steps):
            tone = tones[place % len(tones)]
            if last and place == len(steps) - 1 and rng.random() < 0.4:
                tone = "approach"
            onsets.append((bar * plan.steps_per_bar + step, tone))
    return _realise(plan, rng, onsets, floor, (low, high), articulation)


def _draw_figure(plan: Plan, rng: np.random.Generator, figure: str) -> tuple[Cell, list[str]]:
    """A rhythmic cell of one bar and the tone that each of its onsets plays."""
    beat, steps = plan.steps_per_beat, plan.steps_per_bar
    if figure == "pulse":
        cell: Cell = tuple(range(0, steps, beat // 2 if beat == 4 and plan.density["bass"] > 0.3 else beat))
    elif figure == "offbeat":
        cell = tuple(
            step
            for step in range(steps)
            if step % beat != 0 and (beat != 4 or step % 2 == 0 or plan.density["bass"] > 0.6)
        )
    elif figure == "bossa":
        cell = tuple(sorted({0, 3 * beat // 2, 2 * beat, *((2 * beat + 3 * beat // 2,) if rng.random() < 0.7 else ())}))
    else:
        quickest = 4.6 if figure in ("riff", "octaves") else 2.6
        count = plan.rate("bass", 0.7, quickest)
        syncopation = plan.syncopation["bass"] * (1.0 if figure == "riff" else 0.6)
        cell = draw_cell(rng, plan.weights, count, syncopation, first=rng.random() < 0.92)
    tones = ["root"] + [pick(rng, _TONES[figure]) for _ in cell[1:]]
    return cell, tones


def _realise(
    plan: Plan,
    rng: np.random.Generator,
    onsets: list[tuple[int, str]],
    floor: int,
    limits: tuple[int, int],
    articulation: float,
) -> list[Event]:
    events: list[Event] = []
    previous = floor + 5
    longest = plan.steps_per_bar * 1.0
    for place, (step, tone) in enumerate(onsets):
        following = onsets[place + 1][0] if place + 1 < len(onsets) else plan.steps
        pitch = _pitch(plan, rng, step, following, tone, floor, previous)
        while pitch < limits[0]:
            pitch += 12
        while pitch > limits[1]:
            pitch -= 12
        length = min(following - step, longest) * articulation
        strength = 0.62 + 0.25 * plan.accent(step) + rng.normal(0.0, 0.05)
        events.append(Event(step, max(length, 0.3), pitch, float(strength)))
        previous = pitch
    return events


def _pitch(
    plan: Plan, rng: np.random.Generator, step: int, following: int, tone: str, floor: int, previous: int
) -> int:
    chord = plan.chord_at(step).chord
    classes = chord.pitch_classes
    root = floor + (classes[0] - floor) % 12
    if tone == "octave":
        return root + 12
    if tone == "step":
        ladder = plan.scale.ladder(floor - 2, floor + 16)
        return nearest(previous + float(rng.choice([-2, -1, 1, 2, 3])), ladder)
    if tone == "approach":
        goal = plan.chord_at(following).chord.pitch_classes[0]
        target = floor + (goal - floor) % 12
        return target + int(rng.choice([-1, -2, 1, 2]))
    index = {"root": 0, "third": 1, "fifth": 2, "seventh": 3}[tone]
    if index >= len(classes):
        index = len(classes) - 1
    return root + (classes[index] - root) % 12
