"""Scores of what others made as files: scores.json, scores.md, card.md, report.html, sounds. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.evaluation.card import card_snippet
from eeg2music.evaluation.outside.listening import listening_gallery
from eeg2music.evaluation.outside.measure import FEWEST_FOR_INFINITY
from eeg2music.evaluation.outside.said import (
    controls,
    farthest,
    in_short,
    judged_line,
    near_lines,
    tables_of_sounds,
)
from eeg2music.evaluation.tables import DISAGREE, limits, marked_p, number, p_text, with_limits, write_tables
from eeg2music.report.html import Picture
from eeg2music.report.words import score_line
from eeg2music.types import FloatArray

IDENTIFIED = [
    "condition",
    "embedding",
    "pairwise (chance 0.5)",
    "95 % interval",
    "p",
    "p, corrected",
    "top-1",
    "95 % interval",
    "chance",
    "MRR [95 %] (chance)",
    "median rank [95 %] (chance)",
    "n",
    "gallery",
]
APART = ["condition", "embedding", "FAD", "KAD", "KAD: 95 % interval", "KAD reversed", "FAD-∞", "FAD-∞: 95 % interval"]
APART += ["density", "coverage", "songs", "clips (draws)", "references", "dim"]
# Of the distances, here and in `evaluate`.
COUNTED = (
    "Clips of one song count once: KAD leaves out pairs within a song, the others are means over draws of one clip of "
    "each."
)
PARTS_NOTE = "Each figure with its 95 % interval in square brackets and its chance in round ones."
INTERVALS = (
    "Intervals are over songs: of KAD over those judged and those of the reference, of FAD-∞ over those judged; with "
    "(few) the curve that FAD-∞ extrapolates bends, and it has none."
)
# Each [95 %] (chance).
IN_PARTS = ["of", "pairwise", "top-1", "top-5", "top-10", "10-way", "MRR", "median rank", "n", "gallery"]


def write_page_of(
    out: Path, scores: Mapping[str, Any], figures: Sequence[Picture] = (), waves: Mapping[str, FloatArray] | None = None
) -> None:
    """Write all files.

    Parameters
    ----------
    figures : as `score_pictures` gives them
    waves : sounds by relative path, as `listen_to` gives them
    """
    write_tables(
        out,
        scores,
        tables_of(scores),
        title="Scores of generated music",
        lead=_lead(scores),
        warnings=[*scores["stamps"], *scores["surprises"], *scores["warnings"]],
        figures=figures,
        gallery=listening_gallery(scores),
        waves=waves,
        card=card_snippet(scores),
    )


def summary(scores: Mapping[str, Any], folder: Path) -> str:
    """What `score` prints at its end."""
    lines = []
    for condition, spaces in scores["scores"].items():
        for name, of in spaces.items():
            if of["identification"]:
                lines.append(score_line(f"{condition}, {name}", of["identification"]))
            found = of["distances"]
            if found:
                named = {"FAD": "frechet", "KAD": "kernel"}
                values = [f"{label} {found[key]:.4g}" for label, key in named.items() if key in found]
                values.append(f"({found['songs']} songs, {found['n']} clips, references {found['n_reference']})")
                lines.append(f"  {condition + ', ' + name:<18} " + "  ".join(values))
    lines += [f"  {text}" for text in (*near_lines(scores), judged_line(scores))]
    lines += [f"  ! {text}" for text in (*scores["stamps"], *scores["surprises"], *scores["warnings"])]
    return "\n".join([*lines, f"{folder / 'report.html'}", f"{folder / 'scores.json'}"])


def tables_of(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """In short, identification whole and in parts, distances, farthest clips, sounds, controls, material and
    embeddings; as far as they have rows."""
    tables = [
        in_short(scores),
        _identified(scores),
        _seen(scores),
        _breakdown(scores),
        _distances(scores),
        farthest(scores),
        *tables_of_sounds(scores),
        controls(scores),
        _material(scores),
        _embeddings(scores),
    ]
    return [table for table in tables if table["rows"]]


def _lead(scores: Mapping[str, Any]) -> str:
    loudness = scores["loudness"]
    declared = f"; declared: {loudness['declared']}" if loudness["declared"] else ""
    return (
        f"{scores['manifest']['name']} ({scores['manifest']['rows']} lines, SHA-256 "
        f"{scores['manifest']['sha256'][:12]}), seed {scores['seed']}. Loudness {loudness['handling']}{declared}. "
        "Intervals are over works (songs, where no work is declared), and over listeners from ten on."
    )


def _entries(scores: Mapping[str, Any], kind: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [
        (condition, name, of[kind])
        for condition, spaces in scores["scores"].items()
        for name, of in spaces.items()
        if of[kind]
    ]


def _identified(scores: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        [
            condition,
            name,
            number(of["accuracy"]),
            limits(of["ci95"]),
            marked_p(of["p_value"], of["ci95"], of["chance"]),
            p_text(of["p_corrected"]),
            number(of["top1"]),
            limits(of["top1_ci95"]),
            number(of["top1_chance"]),
            _beside_chance(of["breakdown"][0], "mrr"),
            _beside_chance(of["breakdown"][0], "median_rank", 1),
            f"{of['n']}",
            f"{of['gallery_size']}",
        ]
        for condition, name, of in _entries(scores, "identification")
    ]
    note = (
        "Whether a generated clip finds what was heard among the gallery. Pairwise alone is weak: 0.95 of 50 is about "
        "top-1 0.55. Corrected p-values are Holm's, over all rows. "
        f"{DISAGREE}"
    )
    return {"title": "Identification", "note": note, "heads": IDENTIFIED, "rows": rows}


def _seen(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The power of each identification, in words."""
    rows = [[condition, name, of["power"]] for condition, name, of in _entries(scores, "identification")]
    note = "Of pairwise identification against chance."
    return {"title": "What could be seen", "note": note, "heads": ["condition", "embedding", "power"], "rows": rows}


def _breakdown(scores: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        [condition, name, *part_cells(one)]
        for condition, name, of in _entries(scores, "identification")
        for one in of["breakdown"]
    ]
    note = (
        f"{PARTS_NOTE} By seed, listener (subject) and style against the whole gallery; within style and within song "
        "against the candidates of the same. Clips whose target is alone there are not counted."
    )
    heads = ["condition", "embedding", *IN_PARTS]
    return {"title": "Identification in parts", "note": note, "heads": heads, "rows": rows}


def part_cells(row: Mapping[str, Any]) -> list[str]:
    """Cells below `IN_PARTS` of one row of `metrics.breakdown`: each figure with its interval and its chance."""
    figures = ("identification", "top1", "top5", "top10", "way10", "mrr")
    return [
        row["group"] + ("" if row["value"] is None else f" {row['value']}"),
        *(_beside_chance(row, figure) for figure in figures),
        _beside_chance(row, "median_rank", 1),
        f"{row['n']}" + (f" ({row['left_out']} alone)" if row["left_out"] else ""),
        _size(row),
    ]


def _beside_chance(row: Mapping[str, Any], figure: str, digits: int = 3) -> str:
    value, chance, limits95 = (row.get(f"{figure}{what}") for what in ("", "_chance", "_ci95"))
    if value is None or chance is None:
        return ""
    # No interval over one song, or of scores that were stored earlier.
    return f"{with_limits(value, limits95, digits)} ({number(chance, digits)})"


def _size(row: Mapping[str, Any]) -> str:
    low, high = row["gallery_min"], row["gallery_max"]
    return "" if low is None else f"{low}" if low == high else f"{low} to {high}"


def _why_endless(of: Mapping[str, Any]) -> str:
    """Why there is no FAD-∞ where one was asked for."""
    asked = "frechet_infinity" in of
    return f"not measured: {of['songs']} songs, {FEWEST_FOR_INFINITY} are needed" if asked else ""


def _distances(scores: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for condition, name, of in _entries(scores, "distances"):
        endless, covered = of.get("frechet_infinity"), of.get("coverage")
        mark = "" if of["enough"] else " (too few)"
        bends = "" if endless is None or endless["enough"] else " (few)"
        rows.append(
            [
                condition,
                name,
                number(of["frechet"]) + mark if "frechet" in of else "",
                number(of["kernel"]) if "kernel" in of else of.get("why", ""),
                limits(of.get("kernel_ci95")),
                number(of["kernel_reversed"]) if "kernel_reversed" in of else "",
                number(endless["value"]) + bends if endless else _why_endless(of),
                limits(endless["ci95"]) if endless else "",
                number(covered["density"]) if covered else "",
                f"{covered['coverage']:.3f} ({covered['coverage_expected']:.3f})" if covered else "",
                f"{of['songs']}",
                f"{of['n']} ({of['draws']})",
                f"{of['n_reference']}",
                f"{of['dim']}",
            ]
        )
    note = (
        f"From the music of {scores['reference']!r} as a whole, one vector for each clip. {COUNTED} {INTERVALS} KAD is "
        "unbiased, its kernel as wide as the reference's median distance; reversed: as that of what is judged. FAD "
        "falls with the number of songs. Density (1 is expected of equal distributions) and coverage (expected in "
        "brackets): Naeem et al. 2020; they have no interval. Every file of the reference is taken for a song of its "
        "own."
    )
    unnamed = dict.fromkeys(condition for condition, _, of in _entries(scores, "distances") if not of["songs_named"])
    if unnamed:
        note += f" Where no song is named (in {', '.join(unnamed)}) every clip was taken for a song of its own."
    return {"title": "Distance from music", "note": note, "heads": APART, "rows": rows}


def _material(scores: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        [
            group,
            f"{of['files']}",
            f"{of['seconds']['total']:.1f} ({of['seconds']['shortest']:.2f} to {of['seconds']['longest']:.2f})",
            ", ".join(f"{rate} Hz: {count}" for rate, count in of["sample_rates_hz"].items()),
            f"{of['median_level_dbfs']:.1f} dBFS",
        ]
        for group, of in scores["material"].items()
        if "files" in of
    ]
    heads = ["audio", "files", "seconds (each)", "sample rates", "median level"]
    sounds = scores.get("sounds") or {}
    part = (
        f" Nearness and stems are measured on the first {sounds['seconds']:.2f} s of {sounds['clips']} clips of a "
        f"condition, at {sounds['sample_rate_hz']} Hz."
        if sounds.get("seconds")
        else ""
    )
    note = f"As the files are; embeddings hear them at the rates below.{part}"
    return {"title": "Material", "note": note, "heads": heads, "rows": rows}


def _embeddings(scores: Mapping[str, Any]) -> dict[str, Any]:
    answers = {True: "yes", False: "no", None: "not declared"}
    rows = [
        [
            name,
            f"{of['dim']}" if "dim" in of else "",
            f"{of['sample_rate_hz']} Hz" if "sample_rate_hz" in of else "",
            (of["identity"] or "")[:12],
            answers[of["circular"]],
            ", ".join(of.get("followed_conditions", ())),
        ]
        for name, of in scores["embeddings"].items()
    ]
    notes = " ".join(f"{name}: {of['note']}" for name, of in scores["embeddings"].items() if of.get("note"))
    heads = ["embedding", "dim", "hears", "identity", "conditioned these clips", "followed conditions"]
    return {"title": "Embeddings that score", "note": notes, "heads": heads, "rows": rows}
