"""`eeg2music compare A B`: paired differences of two results of `evaluate`, or of `score`, with intervals.

Both runs have to be of the same queries: songs, listeners, levels, galleries and seeds. Then each song is paired with
itself, so that what makes a song easy or hard falls out. Runs that differ in any of these are refused, by name of
what differs. Computes no score: reads what was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from eeg2music.config import Config
from eeg2music.config_words import known_names
from eeg2music.errors import InputError
from eeg2music.evaluation.clusters import cluster_sums
from eeg2music.evaluation.comparable import ALL, KINDS, OUTSIDE, cell_names, compared, read_scores, refuse_different
from eeg2music.evaluation.power import smallest_effect
from eeg2music.evaluation.statistics import (
    Interval,
    benjamini_hochberg,
    cluster_interval,
    holm,
    permutation_p_value,
    sign_flips,
)
from eeg2music.files import check_result_file, write_json, write_text
from eeg2music.report.words import NO_FINDING
from eeg2music.seeding import numpy_rng

SCHEMA = 1
FIGURES = ("accuracy", "top1")
HEADS = ["figure", "A", "B", "B - A", "95 % interval", "p", "p (Holm)", "p (BH)", "can't be seen below"]
HEADS += ["n", "songs", "gallery"]


class CompareConfig(Config):
    """How two runs are compared.

    Attributes
    ----------
    conditions : which are compared. Each one more makes the correction over comparisons harder, so that controls are
        left out where nothing is claimed of them. ["all"] takes those that both results hold
    figures : of "accuracy" (pairwise) and "top1"
    permutations : of the test; with so few songs that there are no more ways to exchange the runs, each is taken once
    seed : of the permutations
    """

    conditions: tuple[str, ...] = Field(default=("brain",), min_length=1)
    figures: tuple[str, ...] = Field(default=FIGURES, min_length=1)
    permutations: int = Field(default=10_000, ge=100)
    seed: int = 0

    @field_validator("figures")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known_names(names, FIGURES)
        return names


class _Figure(NamedTuple):
    """One compared figure: the entries of all seeds on both sides."""

    level: Mapping[str, Any]
    condition: str
    kind: str
    name: str
    ours: Sequence[Mapping[str, Any]]
    theirs: Sequence[Mapping[str, Any]]
    seeds: Sequence[int]


def compare_runs(first: Path, second: Path, config: CompareConfig | None = None) -> dict[str, Any]:
    """Compare two results of `evaluate`, or two of `score`, B less A.

    Parameters
    ----------
    first, second : folders of results, or their scores.json

    Returns
    -------
    A mapping ready for JSON: `rows`, one for each figure, with `a`, `b`, `difference`, `ci95`, `p_value` (sign flips
    over songs, two-sided), `p_holm` and `p_bh` (over all rows), `by_seed`, `smallest_effect` (that is seen
    with a power of 0.8) and what they are of; `notes` says what the comparison does not hold.

    Raises
    ------
    InputError
        If there is no result, or a condition or figure is in neither.
    DataError
        If the runs are not of the same queries, or hold no scores by song.
    """
    settings = config or CompareConfig()
    ours, theirs = check_compare(first, second, settings)
    rows = [_row(figure, settings) for figure in _figures(ours, theirs, settings)]
    if not rows:
        raise InputError("Nothing to compare", allowed=", ".join(FIGURES), remedy="choose conditions that were scored")
    p_values = [row["p_value"] for row in rows]
    for row, strict, shared in zip(rows, holm(p_values), benjamini_hochberg(p_values), strict=True):
        row["p_holm"], row["p_bh"] = float(strict), float(shared)
    return {
        "schema": SCHEMA,
        "a": {"result": str(first), "checkpoint_sha256": ours.get("checkpoint_sha256")},
        "b": {"result": str(second), "checkpoint_sha256": theirs.get("checkpoint_sha256")},
        "config": settings.model_dump(mode="json"),
        "rows": rows,
        "notes": _notes(ours, theirs, rows),
    }


def check_compare(
    first: Path, second: Path, config: CompareConfig, *, out: Path | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything that can be refused before anything is drawn. Returns both results.

    Raises
    ------
    InputError, DataError
        As for `compare_runs`, or if nothing can be written to `out`.
    """
    if out is not None:
        check_result_file(out, "comparison.json")
    ours, theirs = read_scores(first), read_scores(second)
    refuse_different(ours, theirs, config.conditions)
    return ours, theirs


def comparison_markdown(result: Mapping[str, Any]) -> str:
    """The comparison as a table for a paper."""
    lines = [f"# {result['b']['result']} (B) less {result['a']['result']} (A)", "", "| " + " | ".join(HEADS) + " |"]
    lines.append("|" + "---|" * len(HEADS))
    lines += ["| " + " | ".join(_cells_of(row)) + " |" for row in result["rows"]]
    return "\n".join([*lines, "", *(f"- {note}" for note in result["notes"])]) + "\n"


def write_comparison(path: Path, result: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write the comparison as JSON and, beside it, as a Markdown table; returns both paths."""
    check_result_file(path, "comparison.json")
    as_json, as_table = path.with_suffix(".json"), path.with_suffix(".md")
    write_json(as_json, dict(result))
    write_text(as_table, comparison_markdown(result))
    return as_json, as_table


def _figures(ours: Mapping[str, Any], theirs: Mapping[str, Any], config: CompareConfig) -> Iterator[_Figure]:
    by_name = {level["name"]: level for level in theirs["levels"]}
    for level in ours["levels"]:
        for condition in compared(level, by_name[level["name"]], config.conditions):
            sides = [side["scores"][condition]["seeds"] for side in (level, by_name[level["name"]])]
            for kind in KINDS:
                if config.conditions == (ALL,) and (condition, kind) == NO_FINDING:
                    continue
                first, second = ([entry[kind] for entry in side if entry.get(kind)] for side in sides)
                seeds = [entry["seed"] for entry in sides[0] if entry.get(kind)]
                for name in config.figures if first and second else ():
                    yield _Figure(level, condition, kind, name, first, second, seeds)


def _row(figure: _Figure, config: CompareConfig) -> dict[str, Any]:
    pairs = [
        paired_differences(left, right, figure.name) for left, right in zip(figure.ours, figure.theirs, strict=True)
    ]
    values = np.concatenate([difference for difference, _, _ in pairs])
    # Works, where they are declared.
    songs = [song for _, names, _ in pairs for song in names]
    subjects = [subject for _, _, names in pairs for subject in names]
    interval = cluster_interval(values, songs, subjects)
    totals = cluster_sums(values, songs).total
    rng = numpy_rng(config.seed, "compare", figure.level["name"], figure.condition, figure.kind, figure.name)
    null = sign_flips(totals, rng=rng, permutations=config.permutations)
    means = [float(np.mean([entry[figure.name] for entry in side])) for side in (figure.ours, figure.theirs)]
    return {
        "level": figure.level["name"],
        "snr_db": figure.level.get("snr_db"),
        "condition": figure.condition,
        "kind": figure.kind,
        "figure": figure.name,
        "a": means[0],
        "b": means[1],
        "difference": interval.estimate,
        "ci95": [interval.low, interval.high],
        "p_value": permutation_p_value(abs(float(totals.mean())), np.abs(null)),
        # Of all sets one and its complement are as far from 0; of sets that were drawn none need be.
        "smallest_p": max(2.0 ** (1 - min(len(totals), 60)), 1.0 / (len(null) + 1.0)),
        "smallest_effect": _smallest(interval),
        "by_seed": [
            {"seed": seed, "difference": float(difference.mean())}
            for seed, (difference, _, _) in zip(figure.seeds, pairs, strict=True)
        ],
        "n": len(pairs[0][0]),
        "songs": len(totals),
        "subjects": len(set(subjects)),
        "gallery_size": figure.ours[0]["gallery_size"],
        "interval": interval.method,
    }


def paired_differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], name: str
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """B less A for each window, its song and its listener; the windows of one cell have its mean.

    A song is named by its work where either run declares one: versions of one work are not independent.
    """
    cells, others = ours["cells"], theirs["cells"]
    place = {key: row for row, key in enumerate(cell_names(others))}
    order = [place[key] for key in cell_names(cells)]
    difference = np.asarray(others[name], dtype=np.float64)[order] - np.asarray(cells[name], dtype=np.float64)
    rows = np.repeat(np.arange(len(order)), cells["n"])
    work_of = {song: work for of in (others, cells) for song, work in zip(of["song"], of.get("work", ()), strict=False)}
    songs = [work_of.get(song, song) for song in cells["song"]]
    return difference[rows], [songs[row] for row in rows], [cells["subject"][row] for row in rows]


def _smallest(interval: Interval) -> float | None:
    """None where no song differs from another: nothing can be told of the spread."""
    if interval.standard_error <= 1e-12:
        return None
    return smallest_effect(interval.standard_error, interval.df)


def _notes(ours: Mapping[str, Any], theirs: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    outside = ours.get("material") == OUTSIDE
    notes = [
        "Differences are paired by song, listener and seed. Intervals are over songs (over works, where they are "
        "declared; and over listeners from ten on); "
        "p-values exchange the two runs in random sets of songs, two-sided. Holm's correction (no false claim) and "
        "Benjamini and Hochberg's (a share of false claims) are over "
        f"{len(rows)} {'figure' if len(rows) == 1 else 'figures'}.",
    ]
    if not outside:
        notes.append("Each run's embedding is scored in its own conditioning space.")
    hopeless = [row for row in rows if row["smallest_p"] * len(rows) > 0.05]
    if hopeless:
        notes.append(
            f"With {hopeless[0]['songs']} songs no p-value can be below {hopeless[0]['smallest_p']:.2g}: too few for "
            f"{len(rows)} corrected figures to fall below 0.05. Compare fewer figures or more songs."
        )
    if None in (ours.get("scorer_sha256"), theirs.get("scorer_sha256")) and (
        outside or any(row["kind"] == "generated" for row in rows)
    ):
        notes.append("The results do not say which scorer judged the generated music: make sure that it was one.")
    if ours.get("checkpoint_sha256") == theirs.get("checkpoint_sha256"):
        notes.append(f"Both runs are of the same {'manifest' if outside else 'checkpoint'}.")
    if outside and ours["gallery_sha256"] is None:
        notes.append("The results do not say what the gallery held: make sure that it was one.")
    # Results of earlier versions have none.
    stamps = [f"{side}: {text}" for side, of in (("A", ours), ("B", theirs)) for text in of.get("stamps", ())]
    return [*notes, *stamps]


def _cells_of(row: Mapping[str, Any]) -> list[str]:
    low, high = row["ci95"]
    smallest = row["smallest_effect"]
    return [
        f"{row['level']}: {row['condition'].replace('_', ' ')}, {row['kind']}, {row['figure']}",
        f"{row['a']:.3f}",
        f"{row['b']:.3f}",
        f"{row['difference']:+.3f}",
        f"{low:+.3f} to {high:+.3f}",
        f"{row['p_value']:.3g}",
        f"{row['p_holm']:.3g}",
        f"{row['p_bh']:.3g}",
        "not known" if smallest is None else f"{smallest:.3f}",
        f"{row['n']}",
        f"{row['songs']}",
        f"{row['gallery_size']}",
    ]
