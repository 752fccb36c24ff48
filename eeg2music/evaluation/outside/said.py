"""What is said of scores beside the figures of each embedding: in short, of the sound, of controls, of what is absent.

Makes sentences and tables; computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eeg2music.evaluation.config import BRAIN, CONDITIONS
from eeg2music.evaluation.expectations import chance_line, table
from eeg2music.evaluation.outside.by_clip import USUAL
from eeg2music.evaluation.reconstruction import MIX
from eeg2music.evaluation.sounds_page import sound_tables
from eeg2music.evaluation.tables import number

Scores = Mapping[str, Any]
Table = dict[str, Any]
SHORT = "mel_correlation"


def in_short(scores: Scores) -> Table:
    """What was asked, and the answer in a sentence each."""
    rows = [["Which song was heard?", text] for text in _found(scores)]
    rows += [["How far is it from music as a whole?", text] for text in _far(scores)]
    rows += [["How near does it come to what was heard?", text] for text in near_lines(scores)]
    rows += [["Do the controls sit where they should?", judged_line(scores)]]
    rows += [["What was it measured on?", _measured_on(scores)]]
    names = list(scores["embeddings"])
    further = f" Of {', '.join(names)} the first; the others stand below." if len(names) > 1 else ""
    note = f"Each figure stands below with its interval, its chance and how many clips it is of.{further}"
    return {"title": "In short", "note": note, "heads": ["question", "answer"], "rows": rows}


def near_lines(scores: Scores) -> list[str]:
    """For each condition, how near the whole comes to what was heard."""
    lines = []
    for condition, rows in ((scores.get("sounds") or {}).get("reconstruction") or {}).items():
        row = next((row for row in rows if (row["measure"], row["stem"]) == (SHORT, MIX)), None)
        if row is not None and row["mean"] is not None:
            lines.append(
                f"{condition}: the spectrogram correlates with what was heard at {row['mean']:.2f}, with another "
                f"song at {row['null']:.2f} (n {row['n']})"
            )
    return lines


def judged_line(scores: Scores) -> str:
    """How many expectations of controls were judged, and of which conditions nothing is expected."""
    tests = scores["at_chance"]
    known = [name for name in scores["scores"] if name in CONDITIONS and name != BRAIN]
    text = (
        f"Of {scores['expectations']} expectations of controls ({', '.join(known)}) {len(scores['surprises'])} were "
        f"not met. {chance_line(scores['expectations'], tests['judged'], tests['missed'])}"
        if scores["expectations"]
        else "No control was judged: without one, such as shuffled recordings, nothing says what a model scores that "
        "knows nothing of the brain."
    )
    unknown = ", ".join(map(repr, scores["unknown"]))
    return text + (f" Nothing is expected of {unknown}: no control is known by that name." if unknown else "")


def tables_of_sounds(scores: Scores) -> list[Table]:
    """Nearness, stems and classes as `evaluate` shows them, then what is absent and why."""
    sounds = scores.get("sounds")
    if not sounds:
        return []
    absent = {**sounds["why"], **sounds["classes"]["why"]}
    there = {**sounds, "why": {}, "classes": {**sounds["classes"], "why": {}}}
    left = {
        "title": "What was not measured",
        "note": "What the table does not allow. The columns are in `eeg2music score --help`.",
        "heads": ["measure", "why"],
        "rows": [[name.replace("_", " "), why] for name, why in absent.items()],
    }
    return [*sound_tables({"sounds": there}), left]


def farthest(scores: Scores) -> Table:
    """The clips that lie farthest from music, by name; no rows where that was not asked for."""
    rows, counted = [], []
    for condition, spaces in scores["scores"].items():
        for name, of in spaces.items():
            found = (of["distances"] or {}).get("frechet_per_clip")
            if found is None:
                continue
            mark = "" if found["enough"] else " (too few)"
            beyond = f"{found['beyond']} of {found['n']} ({100 * (1 - USUAL):.0f} %)"
            own = [number(found[key]) for key in ("median", "reference_median", "reference_95")]
            rows += [
                [condition, name, one["clip"], number(one["value"]) + mark, *own, beyond] for one in found["worst"]
            ]
            counted.append(f"{name}: {found['pieces']} pieces of {found['piece_s']:g} s, {found['dim']} dimensions")
    note = (
        "The Fréchet distance of each clip's own pieces from those of the reference (per-song FAD, Gui et al. 2024). "
        "Few pieces make a nearly flat Gaussian: read it beside the reference's own files, each measured from the rest "
        "(without the tenth that it is in). Beyond: clips farther than 95 % of these; in brackets, what is expected of "
        "music of the same kind. One clip has no interval. (too few): the reference has fewer pieces than twice the "
        f"dimension. {'; '.join(dict.fromkeys(counted))}."
    )
    heads = ["condition", "embedding", "clip", "FAD of the clip", "median of all"]
    heads += ["median of the reference's own", "95 % of these below", "clips beyond (expected)"]
    return {"title": "Clips farthest from music", "note": note, "heads": heads, "rows": rows}


def controls(scores: Scores) -> Table:
    """What each condition is taken for, and where it is expected; no rows where there is none beside the brain."""
    found = table({name: {} for name in scores["scores"] if name in CONDITIONS})
    note = f"By their names in the table; what they were made from nobody checked. {found['note']}"
    unknown = [[name, "", "", "nothing: no control is known by that name"] for name in scores["unknown"]]
    rows = [*found["rows"], *unknown]
    return {**found, "note": note, "rows": rows if set(scores["scores"]) != {BRAIN} else []}


def _found(scores: Scores) -> Iterator[str]:
    for condition, name, of in _first(scores):
        one = of["identification"]
        if one:
            low, high = (f"{100 * end:.0f}" for end in one["ci95"])
            yield (
                f"{condition}: in the embedding {name!r} nearer to what was heard than to another of "
                f"{one['gallery_size']} candidates in {100 * one['accuracy']:.0f} % of comparisons (95 % interval "
                f"{low} to {high}, chance 50), nearest of all in {100 * one['top1']:.0f} % of {one['n']} (chance "
                f"{100 * one['top1_chance']:.3g})"
            )


def _far(scores: Scores) -> Iterator[str]:
    for condition, name, of in _first(scores):
        found = of["distances"]
        if found and "kernel" in found:
            yield (
                f"{condition}: kernel distance {found['kernel']:.3g} in the embedding {name!r}, of {found['n']} clips "
                f"from {found['n_reference']} of {scores['reference']!r}; near 0 for music of the same kind"
            )


def _first(scores: Scores) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every condition in the first embedding."""
    for condition, spaces in scores["scores"].items():
        yield condition, *next(iter(spaces.items()))


def _measured_on(scores: Scores) -> str:
    parts = []
    for group, of in scores["material"].items():
        if "files" not in of:
            parts.append(f"{group}: {of['rows']} rows of an array")
            continue
        seconds, rates = of["seconds"], ", ".join(f"{rate} Hz" for rate in of["sample_rates_hz"])
        shortest, longest = seconds["shortest"], seconds["longest"]
        each = f"{shortest:.2f} s" if longest - shortest < 0.005 else f"{shortest:.2f} to {longest:.2f} s"
        parts.append(f"{group}: {of['files']} files of {each}, {rates}, {of['median_level_dbfs']:.0f} dBFS")
    return f"{'; '.join(parts)}. Loudness {scores['loudness']['handling']}."
