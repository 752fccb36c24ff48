"""The tables of the README and of docs/results.md, from a finished evaluation.

    python benchmarks/identification.py RESULT [--out FILE]

RESULT is what `eeg2music evaluate configs/eval/mini.yaml --out RESULT` wrote. Its scores.json lists every window and
song; what is kept in FILE leaves those lists out. Printed as Markdown: every condition of each level, all seeds
together; the embeddings less their mean; distances from music; and every control that is not where it should be.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.tables import known_mean
from eeg2music.files import read_json, write_json
from eeg2music.report.words import NO_FINDING

# One entry a window, a song or a file; and words that stand beside every figure alike.
LISTS = ("cells", "gallery", "sounds", "breakdown", "power", "interval", "space", "style", "audio", "refused")
HEADS = ["level", "condition", "embedding: pairwise [95 %]", "top-1", "p", "generated: pairwise [95 %]", "top-1", "p"]
HEADS += ["onset correlation"]
APART = ["level", "condition", "kernel distance [95 %]", "songs", "other songs"]
Scores = Mapping[str, Any]


def main() -> None:
    """Print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path, help="folder of a finished evaluation")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    scores = read_json(given.result / "scores.json")
    print("\n\n".join(tables(scores)))
    if given.out:
        write_json(given.out, without_lists(scores))


def tables(scores: Scores) -> Iterator[str]:
    """All of them as Markdown."""
    yield _markdown(HEADS, [row(level, name, of) for level, name, of in scored(scores)])
    centred = [
        [
            level,
            _words(name),
            _figure(of["pooled"]["embedding_centred"]),
            f"{of['pooled']['embedding_centred']['top1']:.2f}",
        ]
        for level, name, of in scored(scores)
        if of["pooled"].get("embedding_centred") and (name, "embedding") != NO_FINDING
    ]
    if centred:
        yield _markdown(["level", "condition", "embedding less its mean: pairwise [95 %]", "top-1"], centred)
    apart = [
        [level["name"], _words(name), _apart(one["seeds"][0]), f"{one['songs']}", f"{one['n_reference']}"]
        for level in scores["levels"]
        for name, one in level.get("distances", {}).items()
    ]
    if apart:
        yield _markdown(APART, apart)
    yield "\n".join(f"- {text}" for text in scores["surprises"]) or "Every control is where it should be."


def without_lists(found: Any) -> Any:
    """The same without what is listed by window, song or file, and without the first seed beside all of them."""
    if isinstance(found, Mapping):
        left_out = (*LISTS, *found["seeds"][0]) if "pooled" in found and found["seeds"] else LISTS
        return {key: without_lists(value) for key, value in found.items() if key not in left_out}
    return [without_lists(value) for value in found] if isinstance(found, list) else found


def scored(scores: Scores) -> Iterator[tuple[str, str, Scores]]:
    """(level, condition, its entry), the brain first."""
    for level in scores["levels"]:
        for name, of in sorted(level["scores"].items(), key=lambda item: item[0] != BRAIN):
            if of["seeds"]:
                yield level["name"], name, of


def row(level: str, name: str, of: Scores) -> list[str]:
    cells = [level, _words(name)]
    for kind in ("embedding", "generated"):
        pooled = of["pooled"][kind]
        if pooled is None or (name, kind) == NO_FINDING:
            cells += ["–"] * 3
            continue
        by_seed = ", ".join(f"{entry[kind]['p_value']:.2g}" for entry in of["seeds"])
        cells += [_figure(pooled), f"{pooled['top1']:.2f}", by_seed]
    following = known_mean([entry["following"]["mean"] for entry in of["seeds"] if entry.get("following")])
    return [*cells, "–" if following is None else f"{following:.2f}"]


def _figure(pooled: Scores) -> str:
    low, high = pooled["ci95"]
    return f"{pooled['accuracy']:.3f} [{low:.2f}, {high:.2f}]"


def _apart(seeded: Scores) -> str:
    if not seeded.get("kernel_ci95"):
        return f"{seeded['kernel']:.2f}"
    low, high = seeded["kernel_ci95"]
    return f"{seeded['kernel']:.2f} [{low:.2f}, {high:.2f}]"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [heads, ["---"] * len(heads), *rows])


if __name__ == "__main__":
    main()
