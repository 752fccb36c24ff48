"""The tables of the README and of docs/results.md, from a finished evaluation.

    python benchmarks/identification.py RESULT [--out FILE]

RESULT is what `eeg2music evaluate configs/eval/mini.yaml --out RESULT` wrote, or a FILE kept of it: its scores.json
lists every window and song, and FILE leaves those lists out. Printed as Markdown: the tables of both pages; every
condition of each level, all seeds together; the embeddings less their mean; distances from music; and every control
that is not where it should be, with how many chance alone would miss.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.evaluation.comparable import read_scores
from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.expectations import missed_line
from eeg2music.evaluation.tables import known_mean, markdown_table, with_limits
from eeg2music.files import write_json
from eeg2music.report.words import NO_FINDING

# One entry a window, a song or a file; and words that stand beside every figure alike.
LISTS = ("cells", "gallery", "sounds", "breakdown", "power", "interval", "space", "style", "audio", "refused")
HEADS = ["level", "condition", "embedding: pairwise [95 %]", "top-1", "p", "curves: pairwise [95 %]"]
HEADS += ["generated: pairwise [95 %]", "top-1", "p", "onset correlation"]
ABSENT = "–"
# How the pages call levels and conditions, in their order.
LEVELS = {"clean": "0 dB", "minus 20 dB": "−20 dB", "real": "−37.2 dB"}
WHAT = {
    "brain": "the recording",
    "oracle": "the conditions of the audio itself",
    "codec": "the heard stems through it",
    "shuffled": "the recording of another song",
    "phase randomized": "the recording with the phases of its spectrum at random",
    "time shifted": "the recording shifted: windows meet other music",
    "random encoder": "the same encoder with random weights",
    "no brain": "the same generator and noise without conditions",
    "other subject": "another listener who hears the same song",
    "ridge": "a linear model, fitted at this ratio on other listeners and songs of the style",
    "song oracle": "the embedding of the rest of the song",
    "genre oracle": "a perfect guess of the style",
    "signal blind": "a model that sees metadata alone",
}
SHORT = {
    "oracle": "oracle (the audio's own conditions)",
    "other subject": "other subject (another listener, same song)",
    "ridge": "ridge (linear, fitted at this ratio)",
}
IN_README = ("brain", "oracle", "other subject", "ridge", "shuffled", "phase randomized", "time shifted",
             "random encoder", "no brain")  # fmt: skip
APART = ["level", "condition", "kernel distance [95 %]", "songs", "other songs"]
Scores = Mapping[str, Any]


def main() -> None:
    """Print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path, help="folder of a finished evaluation, or what was kept of one")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    scores = read_scores(given.result)
    print("\n\n".join([*pages(scores), *tables(scores)]))
    if given.out:
        write_json(given.out, without_lists(scores))


def pages(scores: Scores) -> Iterator[str]:
    """The tables of the README, then those of docs/results.md, as they stand there."""
    rows = {(level, _words(name)): row(level, name, of)[2:] for level, name, of in scored(scores)}
    known = [level for level in LEVELS if (level, BRAIN) in rows]
    for level in known[:1]:
        names = [name for name in IN_README if (level, name) in rows]
        cells = [[f"**{name}**" if name == BRAIN else SHORT.get(name, name), *without_p(rows[level, name])]
                 for name in names]  # fmt: skip
        yield _markdown([f"condition at {LEVELS[level]}", *without_p(HEADS[2:])], cells)
    by_level = [
        [f"**{LEVELS[level]}**" if level == "real" else LEVELS[level], name, *rows[level, name]]
        for level in known
        for name in (BRAIN, "ridge")
        if (level, name) in rows
    ]
    yield _markdown(["", "model", *HEADS[2:]], by_level)
    for level in known:
        cells = [
            [f"**{name}**" if name == BRAIN else name.replace("signal blind", "signal-blind"), what,
             *without_p(rows[level, name])]
            for name, what in WHAT.items() if (level, name) in rows
        ]  # fmt: skip
        yield _markdown([f"condition at {LEVELS[level]}", "what it is", *without_p(HEADS[2:])], cells)


def without_p(cells: Sequence[str]) -> list[str]:
    """The cells of `row` after the first two, p-values left out."""
    embedding, top1, _, curves, generated, made_top1, _, onsets = cells
    return [embedding, top1, curves, generated, made_top1, onsets]


def tables(scores: Scores) -> Iterator[str]:
    """Everything, level by level."""
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
    # What was kept of earlier results does not count them apart.
    if all("at_chance" in level for level in scores["levels"]):
        yield missed_line(scores)


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
    """Cells under `HEADS`: figures of all seeds together, one p-value for each seed; a dash where there is no score."""
    cells = [level, _words(name)]
    for kind in ("embedding", "curves", "generated"):
        pooled = of["pooled"].get(kind)
        if pooled is None or (name, kind) == NO_FINDING:
            cells += [ABSENT] * (1 if kind == "curves" else 3)
            continue
        by_seed = ", ".join(f"{entry[kind]['p_value']:.2g}" for entry in of["seeds"])
        cells += [_figure(pooled)] if kind == "curves" else [_figure(pooled), f"{pooled['top1']:.2f}", by_seed]
    following = of["pooled"].get("following")
    if following is not None:
        return [*cells, with_limits(following["mean"], following["ci95"], 2)]
    # Of one song, or stored before there was an interval.
    mean = known_mean([entry["following"]["mean"] for entry in of["seeds"] if entry.get("following")])
    return [*cells, ABSENT if mean is None else f"{mean:.2f}"]


def _figure(pooled: Scores) -> str:
    return with_limits(pooled["accuracy"], pooled["ci95"])


def _apart(seeded: Scores) -> str:
    return with_limits(seeded["kernel"], seeded.get("kernel_ci95"), 2)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, without columns that nothing stands in."""
    told = [place for place in range(len(heads)) if any(cells[place] != ABSENT for cells in rows)]
    return markdown_table([heads[place] for place in told], [[cells[place] for place in told] for cells in rows])


if __name__ == "__main__":
    main()
