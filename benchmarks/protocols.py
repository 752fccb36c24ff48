"""The tables of docs/results.md on published ways of scoring, from finished protocols.

    python benchmarks/protocols.py RESULTS [--out FILE]

RESULTS is a folder with what `eeg2music evaluate configs/eval/protocols/NAME.yaml --out RESULTS/NAME` wrote for each
protocol, or a FILE kept of them. Printed as Markdown: what the decoder of each identifies beside what needs no timing
and no decoder; and what was identified of generated clips.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eeg2music.evaluation.tables import markdown_table
from eeg2music.files import read_json, write_json
from eeg2music.origin import made_with

# Protocol: the metric that its source publishes, and what it is called.
MEASURES = {
    "brain2music": ("pairwise identification", "pairwise of {}"),
    "brain2music_2025": ("pairwise identification", "pairwise of {}"),
    "retrieval_anchored_2026": ("10-way", "10-way"),
    "brennan2019": ("top-10", "top-10 of {}"),
    "nmedt_leaky": ("top-1", "top-1 of {}"),
    "nmedt_song_held_out": ("top-1", "top-1 of {}"),
}
BESIDE = {
    "phases at random": "phase-randomized recording",
    "no music": "no music in the recording",
    "genre alone": "perfect guess of the genre",
}
CLIPS = {
    "generated once": "generated once",
    "best of 3, chosen by the decoded onsets": "best of 3, chosen by the decoded onsets",
    "best of 3, chosen by the answer": "best of 3, chosen by the answer",
    "best of 3 from shuffled predictions, chosen by the answer": (
        "best of 3 from another song's decoding, chosen by the answer"
    ),
    "generated, anchored": "anchored in the nearest training song",
    "retrieved song itself": "the nearest training song itself",
    "anchored in shuffled predictions": "anchored in the song nearest to another song's decoding",
    "generated without a brain": "without a brain",
    "generated from shuffled predictions": "from another song's decoding",
    "generated from what was heard": "from what was heard",
    "genre oracle": "the mean of other songs of the genre",
    "chance": "chance",
}
# Beside these clips stands what was published of such.
COMPARED = ("generated once", "best of 3, chosen by the answer", "generated, anchored")
SCORED_BY = "scorer"
# What follows from the rest, and words.
LEFT_OUT = ("power", "why", "interval", "leak")
ABSENT = "–"
Scores = Mapping[str, Any]


def main() -> None:
    """Print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of finished protocols, or what was kept of them")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = stored(given.results)
    print(f"{decoded(found)}\n\n{generated(found)}")
    if given.out:
        write_json(given.out, {"made_with": made_with(), "protocols": found})


def stored(results: Path) -> dict[str, Any]:
    """{protocol: what is kept of its scores}."""
    if results.is_file():
        return dict(read_json(results)["protocols"])
    return {name: kept(read_json(results / name / "scores.json")) for name in MEASURES}


def kept(scores: Scores) -> dict[str, Any]:
    """Rows without words; of the config, what differs between runs."""
    rows = [{key: value for key, value in row.items() if key not in LEFT_OUT} for row in scores["rows"]]
    config = {key: scores["config"][key] for key in ("simulated", "generated", "seed", "permutations")}
    return {"schema": scores["schema"], "config": config, "rows": rows}


def decoded(found: Scores) -> str:
    """One row a protocol."""
    heads = ["protocol", "measure", "dB", "ridge, simulated [95 %]", *BESIDE, "published"]
    rows = []
    for name, (metric, words) in MEASURES.items():
        rows_of = {row["condition"]: row for row in found[name]["rows"] if row["space"] != SCORED_BY
                   and row["metric"] == metric}  # fmt: skip
        main_row = rows_of["decoder"]
        snr = f"{found[name]['config']['simulated']['snr_db']:.0f}".replace("-", "−")
        beside = [_figure(rows_of.get(condition), interval=False) for condition in BESIDE.values()]
        rows.append(
            [f"`{name}`", words.format(main_row["gallery_size"]), snr, _figure(main_row), *beside, _published(main_row)]
        )
    return markdown_table(heads, rows)


def generated(found: Scores) -> str:
    """One column a protocol that generates."""
    names = [name for name in MEASURES if found[name]["config"]["generated"]]
    rows_of = {
        name: {row["condition"]: row for row in found[name]["rows"] if row["space"] == SCORED_BY
               and row["metric"] == MEASURES[name][0]}
        for name in names
    }  # fmt: skip
    heads = ["clips"]
    for name in names:
        size = rows_of[name]["chance"]["gallery_size"]
        heads.append(f"`{name}`, {rows_of[name]['generated once']['n']} clips, {MEASURES[name][1].format(size)} [95 %]")
    rows = []
    for condition, words in CLIPS.items():
        cells = [_told(rows_of[name].get(condition)) for name in names]
        if any(cell != ABSENT for cell in cells):
            rows.append([words, *cells])
    return markdown_table(heads, rows)


def _told(row: Scores | None) -> str:
    said = _figure(row)
    if row is None or row["condition"] not in COMPARED:
        return said
    (one,) = row["published"]
    many = re.search(r"best of \d+", one["what"])
    return f"{said} (published {f'{many[0]}: ' if many else ''}{one['value']:g})"


def _figure(row: Scores | None, *, interval: bool = True) -> str:
    if row is None or row["value"] is None:
        return ABSENT
    value = f"{row['value']:.3f}"
    if not interval or row["ci95"] is None:
        return value
    low, high = row["ci95"]
    return f"{value} [{low:.2f}, {high:.2f}]"


def _published(row: Scores) -> str:
    unknown = any("source not identified" in one["what"] for one in row["published"])
    values = ", ".join(f"{one['value']:g}" for one in row["published"])
    return (f"{values} (source not identified)" if unknown else values) or "none"


if __name__ == "__main__":
    main()
