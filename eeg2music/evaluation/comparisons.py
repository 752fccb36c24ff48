"""What several p-values side by side are worth, and what a run is too small to show: the report's small print.

Corrects the p-values that a report prints together (Holm, as `corrections.holm`), and says where seeds are too few.
Computes no p-values and reads no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eeg2music.evaluation.comparable import KINDS
from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.corrections import holm
from eeg2music.evaluation.permutations import independent, smallest_p_value
from eeg2music.evaluation.tables import number, p_text
from eeg2music.report.words import NO_FINDING

FEWEST_SEEDS = 3
COMPARED = ["level", "scored", "seed", "pairwise", "p", "p, corrected"]


def corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment over the p-values that are there; None stays None.

    >>> corrected([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    known = {place: value for place, value in enumerate(p_values) if value is not None}
    found: list[float | None] = [None] * len(p_values)
    if known:
        for place, adjusted in zip(known, holm(list(known.values())).tolist(), strict=True):
            found[place] = adjusted
    return found


def brain_comparisons(levels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All p-values of the brain, over levels, kinds of score and seeds, beside their corrected ones.

    Parameters
    ----------
    levels : as scores.json has them

    Returns
    -------
    {"correction": "Holm", "count": how many p-values, "smallest_possible": what the smallest that the permutations can
    give comes to when corrected, "rows": [{level, kind, seed, accuracy, p_value, p_corrected}]}
    """
    rows = [
        {"level": level["name"], "kind": kind, "seed": entry["seed"], **_figures(entry[kind])}
        for level in levels
        for kind in KINDS
        for entry in level["scores"].get(BRAIN, {}).get("seeds", ())
        if entry.get(kind)
    ]
    return _together(rows)


def in_summary(levels: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str, Mapping[str, Any]]]:
    """(level, condition, its scores) of what the summary shows: the brain at every level, controls at the first."""
    for place, level in enumerate(levels):
        for name, of in level["scores"].items():
            if of["seeds"] and (name == BRAIN or place == 0):
                yield level, name, of


def summary_comparisons(levels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The p-values of the summary, all seeds together, beside their corrected ones.

    Returns
    -------
    As `brain_comparisons`, with rows of {level, condition, kind, accuracy, p_value, p_corrected}
    """
    return _together(
        [
            {"level": level["name"], "condition": name, "kind": kind, **_figures(of["pooled"][kind])}
            for level, name, of in in_summary(levels)
            for kind in KINDS
            if of["pooled"].get(kind) and (name, kind) != NO_FINDING
        ]
    )


def _together(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows that are printed together, corrected over all of them."""
    for row, value in zip(rows, corrected([row["p_value"] for row in rows]), strict=True):
        row["p_corrected"] = value
    least = min((row.pop("smallest_p") for row in rows), default=1.0)
    return {
        "correction": "Holm",
        "count": len(rows),
        "smallest_possible": min(1.0, len(rows) * least) if rows else None,
        "rows": rows,
    }


def _figures(score: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": score["accuracy"],
        "p_value": score["p_value"],
        "smallest_p": smallest_p_value(independent(score), score["permutations"]),
    }


def comparison_tables(comparisons: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One table of `brain_comparisons`; none where there are no two p-values."""
    rows, count = comparisons["rows"], comparisons["count"]
    if count < 2:
        return []
    note = (
        f"Each p is of one comparison with chance (song permutation), corrected by Holm's method over all {count}: "
        "where that is below 0.05, the chance of any false claim among them is at most 5 %. "
        f"{smallest_line(comparisons)}"
    )
    cells = [
        [
            row["level"],
            row["kind"],
            f"{row['seed']}",
            number(row["accuracy"]),
            p_text(row["p_value"]),
            p_text(row["p_corrected"]),
        ]
        for row in rows
    ]
    return [{"title": "The brain against chance, corrected", "note": note, "heads": COMPARED, "rows": cells}]


def smallest_line(comparisons: Mapping[str, Any]) -> str:
    """What the smallest p that could have been found comes to. `comparisons`: one or more of them."""
    least = comparisons["smallest_possible"]
    if least is None:
        return "Nothing was compared."
    text = f"The smallest p that the permutations can give comes to {p_text(least)}"
    few = ": with so many comparisons and so few songs or permutations, nothing can pass."
    return text + (few if least >= 0.05 else ".")


def seed_remarks(count: int, what: str) -> list[str]:
    """A sentence where there are fewer seeds than would show how scores vary; empty otherwise.

    what : who has them, to begin the sentence: "The evaluation has"
    """
    if count >= FEWEST_SEEDS:
        return []
    seeds = "one seed" if count == 1 else f"{count} seeds"
    return [
        f"{what} {seeds}: how far a score moves from one draw to the next cannot be seen. "
        f"Take {FEWEST_SEEDS} or more; each is shown apart."
    ]
