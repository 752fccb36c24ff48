"""What class a composed song is of, and of what class music sounds: genre, mood, instrument.

The truth is the composer's own: nobody listened. The class of a sound is that of the reference songs whose mean is
nearest to it in the scorer's embedding (`metrics.agreement.nearest_class`): the smallest classifier there is. How good
it is shows where the heard music itself is classified. Makes no audio and embeds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from eeg2music.evaluation.classes import class_scores
from eeg2music.evaluation.units import Matched
from eeg2music.metrics.agreement import nearest_class
from eeg2music.simulation.captions import pace_mood
from eeg2music.simulation.composer import compose
from eeg2music.simulation.song import Song
from eeg2music.types import FloatArray

CLASSES: dict[str, Callable[[Song], str]] = {
    "genre": lambda song: song.style,
    "mood": pace_mood,
    "instrument": lambda song: song.timbres["melody"].instrument,
}
MEANING = {
    "genre": "the style that the composer drew from",
    "mood": "pace and third: tense (110 beats a minute or more, minor third), joyful (quick, major), gloomy (slower, "
    "minor), peaceful (slower, major)",
    "instrument": "the instrument of the melody",
}
Labels = dict[str, list[Hashable]]


def song_classes(songs: Sequence[str], seconds: float) -> Labels:
    """The composer's classes of songs of that length, {"genre": (song,) labels, ...}."""
    found = [_classes(song, seconds) for song in songs]
    return {kind: [one[place] for one in found] for place, kind in enumerate(CLASSES)}


@lru_cache(maxsize=1024)
def _classes(song_id: str, seconds: float) -> tuple[str, ...]:
    song = compose(song_id, duration_s=seconds)
    return tuple(of(song) for of in CLASSES.values())


def agreement_of_classes(
    made: Mapping[str, Matched],
    *,
    songs: Sequence[str],
    classes: Labels,
    bank: FloatArray,
    bank_classes: Labels,
    seed: int,
) -> dict[str, Any]:
    """How often generated music sounds of the class of the song that was heard.

    Parameters
    ----------
    made : by condition the clips in the scorer's embedding, with the gallery and what each heard. One gallery for all
    songs : (song,) of the gallery, and their true classes
    bank : (reference song, dim) other songs in the same embedding, and their true classes

    Returns
    -------
    Ready for JSON: "rows" by condition as `class_scores` gives them ("heard": the music itself, one window of each
    song, which shows how good the classifier is), "meaning" of each kind, "bank" (reference songs) and "why" for kinds
    that cannot be told apart.
    """
    first = next(iter(made.values()))
    everything = {"heard": Matched(first.gallery, first.gallery, np.arange(len(songs))), **made}
    kinds, why = _told_apart(everything, classes, bank_classes)
    rows: dict[str, Any] = {}
    if kinds:
        named = {name: _nearest(of.query, bank, bank_classes, kinds) for name, of in everything.items()}
        best = made.get("oracle")
        for name, of in everything.items():
            # Its value stands beside clips of the same windows only.
            beside = best is not None and np.array_equal(best.target, of.target)
            rows[name] = class_scores(
                named[name],
                {kind: [classes[kind][row] for row in of.target] for kind in kinds},
                songs=[songs[row] for row in of.target],
                seed=seed,
                oracle=named["oracle"] if beside else None,
            )
    return {"rows": rows, "meaning": dict(MEANING), "bank": len(bank), "why": why}


def _nearest(query: FloatArray, bank: FloatArray, bank_classes: Labels, kinds: Sequence[str]) -> Labels:
    return {kind: nearest_class(query, bank, bank_classes[kind]) for kind in kinds}


def _told_apart(made: Mapping[str, Matched], classes: Labels, bank_classes: Labels) -> tuple[list[str], dict[str, str]]:
    """Kinds with two classes or more among what every condition heard, and why the others are left out."""
    kinds, why = [], {}
    for kind in CLASSES:
        heard = min((sorted({str(classes[kind][row]) for row in of.target}) for of in made.values()), key=len)
        if len(heard) < 2:
            why[kind] = f"all songs are of one class ({heard[0]}), so that any music would agree"
        elif len(set(bank_classes[kind])) < 2:
            why[kind] = f"all reference songs are of one class ({bank_classes[kind][0]})"
        else:
            kinds.append(kind)
    return kinds, why
