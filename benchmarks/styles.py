"""The table of docs/results.md on songs of all styles, from a finished evaluation.

    python benchmarks/styles.py RESULT [--out FILE]

RESULT is what `eeg2music evaluate configs/eval/styles.yaml --out RESULT` wrote, or a FILE kept of it. Printed as
Markdown: identification among songs of all styles beside that among songs of one style, where a guess of the style is
at chance; and every control that is not where it should be.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eeg2music.evaluation.comparable import read_scores
from eeg2music.evaluation.tables import markdown_table, with_limits
from eeg2music.files import write_json

NAMES = ("brain", "ridge", "genre_oracle", "signal_blind")
# These hear no recording: the same at every level.
ONCE = ("genre_oracle", "signal_blind")
HEADS = [
    "dB",
    "what is scored",
    "all styles: pairwise of {all} [95 %]",
    "top-1",
    "within style: pairwise of {own} [95 %]",
]
HEADS += ["top-1"]
GROUPS = ("overall", "within style")
LEFT_OUT = ("scores", "comparisons", "summary_comparisons", "map", "gallery", "sounds")
Scores = Mapping[str, Any]


def main() -> None:
    """Print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path, help="folder of a finished evaluation, or what was kept of one")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    scores = read_scores(given.result)
    print("\n\n".join([table(scores), "\n".join(f"- {text}" for text in scores["surprises"])]))
    if given.out:
        write_json(given.out, kept(scores))


def kept(scores: Scores) -> dict[str, Any]:
    """What the table shows of the scores in parts, and what they were made with."""
    levels = [
        {**{key: value for key, value in level.items() if key not in LEFT_OUT}, "breakdown": _shown(level["breakdown"])}
        for level in scores["levels"]
    ]
    return {**{key: value for key, value in scores.items() if key not in LEFT_OUT}, "levels": levels}


def _shown(breakdown: Scores) -> dict[str, Any]:
    """Rows that the table shows."""
    return {
        name: {kind: [row for row in rows if row["group"] in GROUPS] for kind, rows in breakdown[name].items()}
        for name in NAMES
    }


def table(scores: Scores) -> str:
    """As it stands on the page."""
    rows = [
        [
            "any" if name in ONCE else f"{level['snr_db']:g}".replace("-", "−"),
            f"{name.replace('_', ' ')}, {kind}",
            *_cells(found),
        ]
        for place, level in enumerate(scores["levels"])
        for name in NAMES
        if place == 0 or name not in ONCE
        for kind, found in level["breakdown"].get(name, {}).items()
    ]
    groups = {row["group"]: row["gallery_max"] for row in scores["levels"][0]["breakdown"]["brain"]["embedding"]}
    heads = [head.format(all=groups["overall"], own=groups["within style"]) for head in HEADS]
    return markdown_table(heads, rows)


def _cells(found: list[Scores]) -> Iterator[str]:
    rows = {row["group"]: row for row in found}
    for group in GROUPS:
        for figure in ("identification", "top1"):
            yield with_limits(rows[group][figure], rows[group][f"{figure}_ci95"])


if __name__ == "__main__":
    main()
