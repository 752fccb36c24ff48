"""Scores as files: scores.json, scores.md, split.json and report.html. Computes nothing but means over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.tables import markdown
from eeg2music.files import atomic_folder, write_json, write_text
from eeg2music.report import figures
from eeg2music.report.html import SCORE_HEADS, score_row, write_page
from eeg2music.report.words import EMBEDDING

KINDS = ("embedding", "generated")
FOLLOW_HEADS = [
    "condition",
    "one lag",
    "of oracle",
    "one lag per listener",
    "of oracle",
    "null (other song)",
    "clips",
]
DISTANCE_HEADS = ["condition", "kernel distance", "Fréchet distance", "clips", "reference songs"]
# Without conditions every song ties in the conditioning space: that it scores 0.5 is no finding.
NO_FINDING = ("no_brain", "embedding")


def write_scores(out: Path, scores: Mapping[str, Any], split: Mapping[str, Any]) -> None:
    """All files of a result, together or not at all. `split`: what was scored, as `check_split` says it."""
    tables = score_tables(scores)
    with atomic_folder(out) as folder:
        write_json(folder / "scores.json", dict(scores))
        write_json(folder / "split.json", dict(split))
        write_text(folder / "scores.md", markdown(tables))
        write_page(
            folder / "report.html",
            title="Evaluation",
            lead=_lead(scores),
            warnings=scores["surprises"],
            tables=tables,
            figures=list(_pictures(scores)),
        )


def _lead(scores: Mapping[str, Any]) -> str:
    return (
        f"Checkpoint {scores['checkpoint_sha256'][:12]}. Chance is 0.5 pairwise. The embedding is scored in the "
        f"conditioning space ({EMBEDDING}), the generated music by an encoder that conditions nothing. Intervals are "
        "over songs (and "
        "over listeners from ten on; fewer are fixed effects: nothing is said about other listeners). Other subject is "
        "expected near the brain: that the next listener's recording of a second presentation of the same song gives "
        f"nearly the same shows that what is decoded is not personal. {_seeds_note(scores)}"
    )


def score_tables(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each level: means over seeds, every seed, and how well the stems follow."""
    tables = []
    for level in scores["levels"]:
        for kind in KINDS:
            entries = {name: [entry for entry in of["seeds"] if entry[kind]] for name, of in level["scores"].items()}
            entries = {name: of for name, of in entries.items() if of}
            if entries:
                tables += [_summary(level, kind, entries), _by_seed(level, kind, entries)]
                tables[-2]["note"] += f" {_seeds_note(scores)}"
        tables += [table for table in (_follow(level), _distances(level)) if table["rows"]]
    return tables


def _title(level: Mapping[str, Any], what: str) -> str:
    # Nobody knows the ratio of recordings.
    ratio = "" if level["snr_db"] is None else f" ({level['snr_db']:g} dB)"
    return f"{level['name']}{ratio}: {what}"


def _note(level: Mapping[str, Any]) -> str:
    count = len(level["subjects"])
    if level["snr_db"] is None:
        return f"Style {level['style']}, {count} recorded listeners; no model was trained on their songs or on them."
    return f"Style {level['style']}, {count} simulated listeners, unseen in training as their songs."


def _seeds_note(scores: Mapping[str, Any]) -> str:
    if scores.get("material") == "prepared":
        return "Seeds are of sampling and controls only: the recordings are the same."
    return "Each seed draws its own recordings (noise and pauses), sampling and controls; listeners and songs stay."


def _absent(level: Mapping[str, Any], width: int) -> list[list[str]]:
    """A row for each control that could not be made."""
    return [
        [name.replace("_", " "), f"not measured: {of['why']}", *[""] * (width - 2)]
        for name, of in level["scores"].items()
        if not of["seeds"]
    ]


def _summary(level: Mapping[str, Any], kind: str, entries: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    first = next(iter(entries.values()))
    heads = ["condition", "pairwise", f"95 % interval of seed {first[0]['seed']}", "top-1", "n", "gallery"]
    rows = [
        _no_finding_row(name, of[0][kind], len(heads))
        if (name, kind) == NO_FINDING
        else _summary_row(name, [entry[kind] for entry in of])
        for name, of in entries.items()
    ]
    rows += _absent(level, len(heads))
    note = f"{_note(level)} The interval is one seed's, over songs: seeds share songs and listeners."
    if BRAIN in entries:
        note += f" {entries[BRAIN][0][kind]['power']}"
    return {"title": _title(level, f"{kind}, mean of {_seeds(len(first))}"), "note": note, "heads": heads, "rows": rows}


def _no_finding_row(name: str, score: Mapping[str, Any], width: int) -> list[str]:
    return [name.replace("_", " "), *["–"] * (width - 3), f"{score['n']}", f"{score['gallery_size']}"]


def _summary_row(name: str, scores: Sequence[Mapping[str, Any]]) -> list[str]:
    low, high = scores[0]["ci95"]
    return [
        name.replace("_", " "),
        _number(_mean([score["accuracy"] for score in scores])),
        f"{low:.3f} to {high:.3f}",
        _number(_mean([score["top1"] for score in scores])),
        f"{scores[0]['n']}",
        f"{scores[0]['gallery_size']}",
    ]


def _by_seed(level: Mapping[str, Any], kind: str, entries: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    rows = [
        score_row(f"{name.replace('_', ' ')}, seed {entry['seed']}", entry[kind])
        for name, of in entries.items()
        if (name, kind) != NO_FINDING
        for entry in of
    ]
    rows += _absent(level, len(SCORE_HEADS))
    return {"title": _title(level, kind), "note": _note(level), "heads": SCORE_HEADS, "rows": rows}


def _follow(level: Mapping[str, Any]) -> dict[str, Any]:
    """Table of the correlation of onsets; the oracle says what the generator could do with perfect conditions."""
    found = {
        name: [entry["following"] for entry in of["seeds"] if entry.get("following")]
        for name, of in level["scores"].items()
    }
    found = {name: of for name, of in found.items() if of}
    count = max(map(len, found.values()), default=0)
    ceiling = found.get("oracle", [])
    return {
        "title": _title(level, f"following, mean of {_seeds(count)}"),
        "note": "Correlation of the onsets of generated and heard stems, at one lag for all or one for each listener "
        "(at most 62.5 ms). The null is another song, at the lag of up to 0.5 s that suits each pair best.",
        "heads": FOLLOW_HEADS,
        "rows": [_follow_row(name, of, ceiling) for name, of in found.items()],
    }


def _follow_row(name: str, of: Sequence[Mapping[str, Any]], ceiling: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [name.replace("_", " ")]
    for key in ("mean", "mean_by_listener"):
        value = _mean([one[key] for one in of])
        cells += [_number(value), _share(value, _mean([one[key] for one in ceiling]))]
    return [*cells, _number(_mean([one["null"] for one in of])), f"{of[0]['n']}"]


def _distances(level: Mapping[str, Any]) -> dict[str, Any]:
    """Table of how far the generated music as a whole is from music of the kind that was heard."""
    found = level.get("distances", {})
    count = max((len(one["seeds"]) for one in found.values()), default=0)
    few = any(one["too_few_for_frechet"] for one in found.values())
    note = "Of all clips of a condition from the heard songs and others of their family, in the scorer's embedding. "
    if few:
        note += "Too few: with fewer clips or songs than twice the embedding's dimension a Fréchet distance is biased. "
        note += "There, read the kernel distance (unbiased; near 0, or slightly below, where the two agree)."
    return {
        "title": _title(level, f"distance from music, mean of {_seeds(count)}"),
        "note": note.strip(),
        "heads": DISTANCE_HEADS,
        "rows": [
            [
                name.replace("_", " "),
                _number(one["kernel"]),
                _number(one["frechet"]) + (" (too few)" if one["too_few_for_frechet"] else ""),
                f"{one['n']}",
                f"{one['n_reference']}",
            ]
            for name, one in found.items()
        ],
    }


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _share(value: float | None, ceiling: float | None) -> str:
    # A share of nothing, or of less, says nothing.
    return "" if value is None or ceiling is None or ceiling <= 0 else f"{value / ceiling:.2f}"


def _pictures(scores: Mapping[str, Any]) -> Sequence[tuple[str, str, bytes]]:
    drawn = []
    points = []
    for level in scores["levels"]:
        brain = level["scores"].get(BRAIN, {})
        if level["snr_db"] is not None:
            points.append({"snr_db": level["snr_db"], **{kind: brain.get(kind) for kind in KINDS}})
        for kind in KINDS:
            bars = {
                name: entry[kind]
                for name, entry in level["scores"].items()
                if entry.get(kind) and (name, kind) != NO_FINDING
            }
            if bars:
                title = f"{level['name']}: {kind}"
                drawn.append((title, _note(level), figures.identification_bars(bars, title=title)))
    if not points:
        return drawn
    curve = figures.identification_by_snr(points, real_snr_db=scores["real_snr_db"])
    return [("Identification against difficulty", "", curve), *drawn]
