"""The table of docs/results.md on recordings of people, from a finished evaluation.

    python benchmarks/openmiir.py RESULT [--out FILE]

RESULT is what `eeg2music evaluate configs/eval/openmiir.yaml --out RESULT data=FOLDER` wrote, or a FILE kept of it,
which leaves the folds out. Printed as Markdown: the decoder and its controls, from the mean of the trials and from
single ones; and every control that is not where it should be.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eeg2music.evaluation.recorded_page import MODE_WORDS
from eeg2music.evaluation.tables import markdown_table, p_text
from eeg2music.files import read_json, write_json
from eeg2music.origin import made_with

# How the page calls the decoder and what it stands beside, in this order.
WHAT = {
    "decoder": "ridge, fitted on the other works",
    "shuffled": "the recording of another work",
    "phase randomisation": "the recording with the phases of its spectrum at random",
    "circular shift": "the recording turned round by a quarter of its length or more, its end before its start",
    "random filter": "random weights in place of those learned",
    "other subject": "another listener's recording of the piece",
    "genre oracle": "the mean of the other works with lyrics, or without, or of those played by instruments alone",
    "signal-blind": "a model that sees metadata alone",
    "music itself": "the true onsets",
}
ABSENT = "–"
Scores = Mapping[str, Any]


def main() -> None:
    """Print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path, help="folder of a finished evaluation, or what was kept of one")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    scores = read_json(given.result / "scores.json" if given.result.is_dir() else given.result)
    print("\n\n".join([table(scores), *(f"- {text}" for text in scores["surprises"])]))
    if given.out:
        write_json(given.out, {"made_with": made_with(), **kept(scores)})


def kept(scores: Scores) -> dict[str, Any]:
    """Without the folds, which list their windows."""
    return {key: value for key, value in scores.items() if key not in ("folds", "made_with")}


def table(scores: Scores) -> str:
    """As it stands on the page."""
    modes = scores["scores"]
    heads = ["condition", "what it is"]
    for mode, of in modes.items():
        main_row = of["identification"]
        heads += [f"{MODE_WORDS[mode]}, n {main_row['n']}: pairwise of {main_row['gallery_size']} [95 %]", "top-1", "p"]
        heads.append("onset correlation [95 %]")
    rows = []
    for name, what in WHAT.items():
        cells = [f"**{name}**" if name == "decoder" else name, what]
        for of in modes.values():
            cells += _cells(of if name == "decoder" else of["controls"][name])
        rows.append(cells)
    return markdown_table(heads, rows)


def _cells(of: Scores) -> Iterator[str]:
    """Pairwise identification with its interval, top-1, p, and the correlation of onsets."""
    one, onsets = of["identification"], of.get("onsets")
    yield _figure(one["accuracy"], one["ci95"])
    yield f"{one['top1']:.2f}"
    yield p_text(one["p_value"])
    yield _figure(onsets["correlation"], onsets["ci95"]) if onsets else ABSENT


def _figure(value: float, interval: tuple[float, float]) -> str:
    # What rounds to zero from below has no sign.
    mean, low, high = (f"{round(number, 2) + 0.0:.2f}".replace("-", "−") for number in (value, *interval))
    return f"{mean} [{low}, {high}]"


if __name__ == "__main__":
    main()
