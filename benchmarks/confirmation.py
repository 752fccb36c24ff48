"""The table of docs/results.md on songs and listeners that models were not chosen by, from finished evaluations.

    python benchmarks/confirmation.py [--of RESULT ...]

RESULT is what `eeg2music evaluate configs/eval/confirm.yaml --out RESULT` wrote (or latency.yaml), or a file kept of it
by `python benchmarks/identification.py RESULT --out FILE`; by default those that lie beside this script. Printed as
Markdown: every condition that clips were generated for, one evaluation after the other; the onset correlation at one
lag for all, and at one for each listener.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.evaluation.comparable import read_scores
from eeg2music.evaluation.tables import known_mean, markdown_table, with_limits

HEADS = ["listeners", "dB", "condition", "embedding: pairwise [95 %]", "top-1", "generated: pairwise [95 %]", "top-1"]
HEADS += ["onset correlation [95 %]", "with a lag for each listener"]
KEPT = [Path(__file__).with_name(f"{name}.json") for name in ("confirmation", "confirmation_2", "latency")]
Scores = Mapping[str, Any]


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--of", type=Path, nargs="+", default=KEPT, help="finished evaluations, or what was kept of them"
    )
    given = parser.parse_args()
    print(table([read_scores(path) for path in given.of]))


def table(results: Sequence[Scores]) -> str:
    """As it stands on the page."""
    return markdown_table(HEADS, [cells for scores in results for cells in rows(scores)])


def rows(scores: Scores) -> list[list[str]]:
    """One line for each condition of each level that clips were generated for."""
    return [
        [listeners(scores), f"{level['snr_db']:g}".replace("-", "−"), name.replace("_", " "), *_cells(of)]
        for level in scores["levels"]
        for name, of in level["scores"].items()
        if of["pooled"].get("generated")
    ]


def listeners(scores: Scores) -> str:
    """Who listened, in a few words."""
    names = scores["config"]["listening"]["subjects"]
    text = f"{names[0]} to {re.sub(r'^[^0-9]*', '', names[-1])}"
    return text + (", latency taken out" if scores["config"]["listening"].get("latency") == "markers" else "")


def onsets(scores: Scores, level: str, condition: str) -> float:
    """Mean onset correlation of a condition over its seeds, with one lag for all."""
    of = next(one["scores"][condition] for one in scores["levels"] if one["name"] == level)
    return sum(entry["following"]["mean"] for entry in of["seeds"]) / len(of["seeds"])


def _cells(of: Scores) -> list[str]:
    cells = []
    for kind in ("embedding", "generated"):
        pooled = of["pooled"][kind]
        cells += [with_limits(pooled["accuracy"], pooled["ci95"]), f"{pooled['top1']:.2f}"]
    found = [entry["following"] for entry in of["seeds"]]
    mean, limits = known_mean([one["mean"] for one in found]), (of["pooled"].get("following") or {}).get("ci95")
    own = known_mean([one["mean_by_listener"] for one in found])
    # The first was stored before there was an interval.
    return [*cells, "–" if mean is None else with_limits(mean, limits, 2), "–" if own is None else f"{own:.2f}"]


if __name__ == "__main__":
    main()
