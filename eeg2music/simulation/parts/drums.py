"""The drummer: a groove drawn for the song, bar by bar varied, with ghost notes, fills and cymbals."""

from __future__ import annotations

import numpy as np

from eeg2music.simulation.parts.plan import Event, Plan
from eeg2music.simulation.parts.rhythm import Cell, draw_cell, euclid, vary_cell
from eeg2music.simulation.parts.weighted import pick

KICK, SNARE, CRASH = 36, 38, 49
Groove = dict[int, dict[int, float]]  # percussion key -> {step in bar: strength}


def play_drums(plan: Plan, rng: np.random.Generator) -> list[Event]:
    """All strokes of the song, in time order."""
    grooves = {section: _draw_groove(plan, rng) for section in sorted(set(plan.sections))}
    if 1 in grooves and rng.random() < 0.6:  # the second section keeps the first one's time keeper
        grooves[1] = {**grooves[1], **{key: cell for key, cell in grooves[0].items() if key != KICK}}
    fill_rate = rng.uniform(0.2, 0.9)
    crash = rng.random() < 0.6
    events: list[Event] = []
    for bar in range(plan.bars):
        last = (bar + 1) % plan.phrase_bars == 0
        if ("drums", bar) in plan.rests:
            continue
        strokes = _vary(plan, rng, grooves[plan.section(bar)])
        if last and rng.random() < fill_rate:
            strokes = _fill(plan, rng, strokes)
        if crash and bar % plan.phrase_bars == 0:
            strokes.setdefault(CRASH, {})[0] = 0.75
        start = bar * plan.steps_per_bar
        for key, cell in strokes.items():
            events += [Event(start + step, 1.0, key, strength) for step, strength in cell.items()]
    return sorted(events, key=lambda event: (event.step, event.pitch))


def _draw_groove(plan: Plan, rng: np.random.Generator) -> Groove:
    style = plan.style
    groove: Groove = {KICK: _accented(plan, rng, _draw_kick(plan, rng), 0.8, 0.2)}
    backbeat = int(pick(rng, style.backbeats))
    groove[backbeat] = _accented(plan, rng, _draw_backbeat(plan, rng), 0.8, 0.1)
    if rng.random() < 0.2 + 0.6 * plan.density["drums"]:
        ghosts = draw_cell(rng, plan.weights, int(rng.integers(1, 4)), 0.9)
        for step in ghosts:
            groove[backbeat].setdefault(step, float(rng.uniform(0.2, 0.42)))
    keeper = int(pick(rng, style.keepers))
    groove.setdefault(keeper, {}).update(_draw_keeper(plan, rng))
    for _ in range(int(rng.binomial(2, 0.15 + 0.65 * plan.density["drums"]))):
        key = int(pick(rng, style.percussion))
        count = int(rng.integers(1, max(3, plan.steps_per_bar // 2)))
        steps = euclid(count, plan.steps_per_bar, int(rng.integers(plan.steps_per_bar)))
        level = rng.uniform(0.35, 0.75)
        for step in steps:
            groove.setdefault(key, {}).setdefault(step, float(level * rng.uniform(0.7, 1.1)))
    return groove


def _draw_kick(plan: Plan, rng: np.random.Generator) -> Cell:
    beat, steps = plan.steps_per_beat, plan.steps_per_bar
    layout = pick(rng, plan.style.kicks)
    extra = draw_cell(rng, plan.weights, int(rng.integers(1, 4)), plan.syncopation["drums"])
    if layout == "four":
        return tuple(sorted({*range(0, steps, beat), *(extra if rng.random() < 0.35 else ())}))
    if layout == "backbeat":
        return tuple(sorted({0, (steps // 2 // beat) * beat, *extra}))
    if layout == "half":
        return tuple(sorted({0, *(extra[:1] if rng.random() < 0.6 else ())}))
    if layout == "downbeat":
        return tuple(sorted({0, *(extra[:1] if rng.random() < 0.35 else ())}))
    if layout == "bossa":
        long, short = 3 * beat // 2, beat // 2
        base = {0, long, 2 * beat, 2 * beat + long} if rng.random() < 0.6 else {0, long, 2 * beat}
        return tuple(sorted({*base, *((steps - short,) if rng.random() < 0.3 else ())}))
    count = plan.rate("drums", 0.9, 3.2)
    return draw_cell(rng, plan.weights, count, plan.syncopation["drums"], first=rng.random() < 0.85)


def _draw_backbeat(plan: Plan, rng: np.random.Generator) -> Cell:
    beat, steps = plan.steps_per_beat, plan.steps_per_bar
    chance = rng.random()
    if plan.style.triplets == 0.0 and 75 in plan.style.backbeats:  # clave-like line instead of a backbeat
        return draw_cell(rng, plan.weights, int(rng.integers(2, 6)), plan.syncopation["drums"])
    if plan.beats_per_bar == 3:
        options = (
            (beat, 2 * beat),
            (2 * beat,),
            (beat,),
            (beat, 2 * beat, 3 * beat - 1),
            (2 * beat, 2 * beat + beat // 2),
        )
        return options[int(rng.integers(len(options)))]
    if chance < 0.55:
        cell = {beat, 3 * beat}
    elif chance < 0.75:
        cell = {2 * beat}
    else:
        cell = {beat, int(rng.integers(2 * beat, steps))}
    if rng.random() < plan.syncopation["drums"] * 0.6:
        cell.add(int(rng.integers(1, steps)))
    return tuple(sorted(cell))


def _draw_keeper(plan: Plan, rng: np.random.Generator) -> dict[int, float]:
    """The time-keeping line: a steady rate, off-beats, or an even spread, with its own accents."""
    beat, steps = plan.steps_per_beat, plan.steps_per_bar
    half = beat // 2 if beat == 4 else 1
    quickest = plan.seconds_per_step >= 0.085
    chance = rng.random() * 0.6 + 0.4 * plan.density["drums"]
    if chance < 0.2:
        cell: Cell = tuple(range(0, steps, beat))
    elif chance < 0.35:
        cell = tuple(range(half, steps, beat))
    elif chance < 0.6:
        cell = tuple(range(0, steps, half))
    elif chance < 0.8 or not quickest:
        cell = euclid(
            int(rng.integers(steps // 3 + 1, max(steps // 3 + 2, 3 * steps // 4))), steps, int(rng.integers(steps))
        )
    else:
        cell = tuple(range(steps))
    period = int(rng.choice([beat, half, 3, beat, 2 * beat]))
    shift = int(rng.integers(period))
    depth = rng.uniform(0.1, 0.5)
    return {step: float(0.75 - depth * ((step + shift) % period != 0)) for step in cell}


def _accented(plan: Plan, rng: np.random.Generator, cell: Cell, level: float, depth: float) -> dict[int, float]:
    return {step: float(level + depth * (plan.accent(step) - 0.5) + rng.uniform(-0.06, 0.06)) for step in cell}


def _vary(plan: Plan, rng: np.random.Generator, groove: Groove) -> Groove:
    """A bar of the groove with a few strokes moved, in the low drum above all."""
    varied: Groove = {}
    for key, cell in groove.items():
        rate = plan.variation * (0.5 if key == KICK else 0.15)
        steps = vary_cell(rng, tuple(sorted(cell)), plan.steps_per_bar, rate) if cell else ()
        mean = float(np.mean(list(cell.values()))) if cell else 0.6
        varied[key] = {step: cell.get(step, 0.8 * mean) for step in steps}
    return varied


def _fill(plan: Plan, rng: np.random.Generator, strokes: Groove) -> Groove:
    """The end of the bar played around the kit."""
    length = int(rng.integers(1, plan.beats_per_bar // 2 + 2)) * plan.steps_per_beat
    start = max(0, plan.steps_per_bar - length)
    filled = {
        key: {step: v for step, v in cell.items() if step < start or key == KICK} for key, cell in strokes.items()
    }
    keys = [int(pick(rng, plan.style.backbeats)), 50, 48, 45, 41]
    steps = [step for step in range(start, plan.steps_per_bar) if rng.random() < 0.35 + 0.5 * plan.density["drums"]]
    for place, step in enumerate(steps):
        key = keys[min(len(keys) - 1, place * len(keys) // max(len(steps), 1))]
        filled.setdefault(key, {})[step] = float(rng.uniform(0.5, 0.9))
    return filled
