"""Everything that is said of the sound itself, under the keys that `evaluate` uses: nearness, stems, classes.

Puts together what the manifest allows, and why the rest is not there. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeg2music.evaluation.baselines import CODEC
from eeg2music.evaluation.outside.kept_classes import kept_classes
from eeg2music.evaluation.outside.manifest import Clips, Measure
from eeg2music.evaluation.outside.measure import Space
from eeg2music.evaluation.outside.nearness import Limits, Near, measure_heard, measure_near
from eeg2music.evaluation.outside.stems import Stems
from eeg2music.evaluation.sounds import HEARD
from eeg2music.pipeline import Hook
from eeg2music.types import SAMPLE_RATE_HZ


def measure_sounds(
    clips: Clips,
    stems: Stems,
    spaces: Sequence[Space],
    *,
    measures: Sequence[Measure],
    limits: Limits,
    seed: int,
    permutations: int,
    hook: Hook,
) -> dict[str, Any] | None:
    """None if nothing is wanted; else ready for JSON.

    Returns
    -------
    "reconstruction" and "stems" (rows by condition), "classes", "clips" (measured of a condition) with "songs",
    "listeners" (None where they have no names), "seconds" and "sample_rate_hz", "warnings" in words, and "why" for what
    is absent.
    """
    if not measures:
        return None
    found: dict[str, Near] = {}
    if {"reconstruction", "stems"} & set(measures) and not clips.is_array:
        for condition in clips.conditions:
            hook(f"comparing {condition} with what was heard")
            found[condition] = measure_near(clips, condition, stems, measures=measures, limits=limits, seed=seed)
    together = {name: of.stems for name, of in found.items() if of.stems}
    heard = measure_heard(clips, stems, limits=limits, seed=seed) if together else None
    classes: dict[str, Any] = {"why": {}}
    if "classes" in measures:
        hook("comparing classes")
        classes = kept_classes(clips, spaces, seed=seed, permutations=permutations)
    first = next((of for of in found.values() if of.reconstruction or of.stems), None)
    rows = clips.of(clips.conditions[0]) if first is None else first.rows
    named = all("subject" in row.model_fields_set for row in rows)
    return {
        "level": clips.name,
        "snr_db": None,
        "seed": seed,
        "clips": len(rows),
        "songs": len({row.cluster for row in rows}),
        # Without names they may be any number.
        "listeners": len({row.subject for row in rows}) if named else None,
        "seconds": None if first is None else first.seconds,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "reconstruction": _with_ceiling(clips, found),
        "stems": {**({HEARD: heard} if heard else {}), **together},
        "classes": classes,
        "warnings": [text for of in found.values() for text in of.remarks],
        "why": _why(clips, measures, found),
    }


def _with_ceiling(clips: Clips, found: Mapping[str, Near]) -> dict[str, Any]:
    """Rows of every condition, the codec's mean as the ceiling of those that answer the same."""
    codec = found.get(CODEC)
    ceiling = {(row["measure"], row["stem"]): row["mean"] for row in (codec.reconstruction if codec else None) or ()}
    scored = {}
    for name, of in found.items():
        same = codec is not None and name != CODEC and _asks(of) == _asks(codec)
        if of.reconstruction:
            scored[name] = [
                {**row, "ceiling": ceiling.get((row["measure"], row["stem"])) if same else None}
                for row in of.reconstruction
            ]
    return scored


def _asks(near: Near) -> list[tuple[str | None, str]]:
    return [(row.reference, row.subject) for row in near.rows]


def _why(clips: Clips, measures: Sequence[Measure], found: Mapping[str, Near]) -> dict[str, str]:
    """What is absent of nearness and stems, and why; said once where it holds of every condition."""
    near = [name for name in ("reconstruction", "stems") if name in measures]
    if clips.is_array:
        return dict.fromkeys(near, "the table names rows of an array, and no audio")
    why = {}
    for measure in near:
        told = {name: of.why[measure] for name, of in found.items() if measure in of.why}
        if len(told) == len(found) and len(set(told.values())) == 1:
            why[measure] = next(iter(told.values()))
        else:
            why |= {f"{measure} of {name}": text for name, text in told.items()}
    return why
