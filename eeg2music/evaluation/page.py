"""Scores as files: scores.json, scores.md, card.md, split.json, report.html. Computes nothing but means over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.audio import write_audio
from eeg2music.evaluation.card import CARD_FILE, card_snippet
from eeg2music.evaluation.comparable import KINDS
from eeg2music.evaluation.comparisons import comparison_tables
from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.details import breakdown_tables, centred_tables, distance_tables, summary_table
from eeg2music.evaluation.expectations import missed_line, table
from eeg2music.evaluation.followed import NOTES
from eeg2music.evaluation.sounds_page import gallery, sound_tables
from eeg2music.evaluation.tables import (
    MARK,
    NO_EMBEDDING,
    POOLED,
    is_circular,
    known_mean,
    level_title,
    limits,
    markdown,
    marked_p,
    number,
    seeds_text,
    styles_text,
    together,
    with_limits,
)
from eeg2music.files import atomic_folder, write_json, write_text
from eeg2music.report import figures
from eeg2music.report.html import Picture, write_page
from eeg2music.report.words import EMBEDDING, NO_FINDING
from eeg2music.types import FloatArray

SEED_HEADS = ["condition", "pairwise", "95 % interval", "p", "top-1", "95 % interval", "p", "n", "gallery"]
FOLLOW_HEADS = [
    "condition",
    "one lag",
    "95 %",
    "by seed",
    "of oracle",
    "one lag per listener",
    "of oracle",
    "another song, best lag",
    "another song, by beat",
    "clips",
]


def write_scores(
    out: Path,
    scores: Mapping[str, Any],
    split: Mapping[str, Any],
    pictures: Sequence[Picture] = (),
    waves: Mapping[str, FloatArray] | None = None,
) -> None:
    """All files of a result, together or not at all.

    Parameters
    ----------
    split : what was scored, as `check_split` says it
    pictures : further ones, of what the scores do not hold
    waves : sounds by relative path, as `gather_sounds` gives them
    """
    tables = [summary_table(scores), *score_tables(scores), *sound_tables(scores)]
    tables += [*comparison_tables(scores["comparisons"]), table(scores["levels"][0]["scores"])]
    said = [*scores["stamps"], *scores["remarks"]]
    with atomic_folder(out) as folder:
        for name, audio in (waves or {}).items():
            write_audio(folder / name, audio)
        write_json(folder / "scores.json", dict(scores))
        write_json(folder / "split.json", dict(split))
        write_text(folder / "scores.md", "\n\n".join([*(f"**{text}**" for text in said), markdown(tables)]))
        write_text(folder / CARD_FILE, card_snippet(scores))
        write_page(
            folder / "report.html",
            title="Evaluation",
            lead=_lead(scores),
            warnings=[*said, *scores["surprises"], *scores["warnings"]],
            gallery=gallery(scores),
            tables=tables,
            figures=[*_pictures(scores), *pictures],
        )


def _lead(scores: Mapping[str, Any]) -> str:
    return (
        f"Checkpoint {scores['checkpoint_sha256'][:12]}. Chance is 0.5 pairwise. The embedding is scored in the "
        f"conditioning space ({EMBEDDING}), the generated music by {_judge(scores)}. Intervals are over songs (and "
        "over listeners from ten on; fewer are fixed effects: nothing is said about other listeners). Other subject is "
        "expected near the brain: that the next listener's recording of a second presentation of the same song gives "
        f"nearly the same shows that what is decoded is not personal. {_seeds_note(scores)} {missed_line(scores)}"
    )


def _judge(scores: Mapping[str, Any]) -> str:
    return f"an encoder that {'also conditions' if is_circular(scores) else 'conditions nothing'}"


def score_tables(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each level: means over seeds, every seed, how well the stems follow, distances, and scores in parts."""
    tables = []
    for level in scores["levels"]:
        for kind in KINDS:
            entries = {
                name: [entry for entry in of["seeds"] if entry.get(kind)] for name, of in level["scores"].items()
            }
            entries = {name: of for name, of in entries.items() if of}
            if entries:
                tables += [_summary(level, kind, entries), _by_seed(level, kind, entries)]
                tables[-2]["note"] += f" {_seeds_note(scores)}{NOTES[kind]}"
        tables += [table for table in (_follow(level), _latency(level)) if table["rows"]]
        tables += [*centred_tables(level), *distance_tables(level), *breakdown_tables(level)]
    return tables


def _note(level: Mapping[str, Any]) -> str:
    count, styles = len(level["subjects"]), styles_text(level)
    styles = styles[:1].upper() + styles[1:]
    if level["snr_db"] is None:
        return f"{styles}, {count} recorded listeners; no model was trained on their songs or on them."
    return f"{styles}, {count} simulated listeners, unseen in training as their songs."


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
    rows = []
    for name, of in entries.items():
        pooled = level["scores"][name]["pooled"].get(kind)
        shown = name.replace("_", " ")
        hidden = pooled is None or (name, kind) == NO_FINDING
        rows.append(_no_finding_row(shown, of[0][kind], len(SEED_HEADS)) if hidden else _seed_row(shown, pooled))
    rows += [_chance_row(first[0][kind]["gallery_size"]), *_absent(level, len(SEED_HEADS))]
    note = f"{_note(level)} {POOLED} p: uncorrected."
    note += f" {NO_EMBEDDING}" if _hides(level, kind) else ""
    if BRAIN in entries:
        note += f" {(level['scores'][BRAIN]['pooled'].get(kind) or entries[BRAIN][0][kind])['power']}"
    return {
        "title": level_title(level, f"{kind}, {together(len(first))}"),
        "note": note,
        "heads": SEED_HEADS,
        "rows": rows,
    }


def _chance_row(size: int) -> list[str]:
    return ["chance", "0.500", "", "", number(1.0 / size), "", "", "", f"{size}"]


def _no_finding_row(name: str, score: Mapping[str, Any], width: int) -> list[str]:
    return [name, *["–"] * (width - 3), f"{score['n']}", f"{score['gallery_size']}"]


def _hides(level: Mapping[str, Any], kind: str) -> bool:
    """Whether a score of this kind is no finding and not shown."""
    return kind == NO_FINDING[1] and NO_FINDING[0] in level["scores"]


def _by_seed(level: Mapping[str, Any], kind: str, entries: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    rows = [
        _seed_row(f"{name.replace('_', ' ')}, seed {entry['seed']}", entry[kind])
        for name, of in entries.items()
        if (name, kind) != NO_FINDING
        for entry in of
    ]
    rows.append(_chance_row(next(iter(entries.values()))[0][kind]["gallery_size"]))
    rows += _absent(level, len(SEED_HEADS))
    note = f"{_note(level)} Intervals over songs; p: permutation of songs, uncorrected; {MARK}: as in the summary."
    return {"title": level_title(level, f"{kind}, by seed"), "note": note, "heads": SEED_HEADS, "rows": rows}


def _seed_row(name: str, score: Mapping[str, Any]) -> list[str]:
    return [
        name,
        number(score["accuracy"]),
        limits(score["ci95"]),
        marked_p(score["p_value"], score["ci95"], score["chance"]),
        number(score["top1"]),
        limits(score["top1_ci95"]),
        marked_p(score["top1_p_value"], score["top1_ci95"], score["top1_chance"]),
        f"{score['n']}",
        f"{score['gallery_size']}",
    ]


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
        "title": level_title(level, f"following, mean of {seeds_text(count)}"),
        "note": "Correlation of the onsets of generated and heard stems, at one lag for all or one for each listener "
        "(at most 62.5 ms); intervals are over songs, in brackets those of the first seed. The nulls are another song, "
        "at the lag of up to 0.5 s that suits each pair best, and by beat: stretched to the tempo of the song that was "
        "heard, at the best lag of up to one beat. That freedom puts them above the controls, which share one lag."
        + NOTES["following"],
        "heads": FOLLOW_HEADS,
        "rows": [_follow_row(name, of, ceiling, level["scores"][name].get("pooled", {})) for name, of in found.items()],
    }


def _latency(level: Mapping[str, Any]) -> dict[str, Any]:
    """What was taken out of each listener's recordings; no rows where nothing was."""
    rows = [
        [name, f"{1000 * of['seconds']:.1f}", f"{1000 * of['error_s']:.1f}", f"{of['beginnings']}"]
        for name, of in level.get("latency", {}).items()
    ]
    return {
        "title": level_title(level, "response latencies that were taken out"),
        "note": "How much later than the average each listener responds, from the beginnings of songs alone, whose "
        "times the event markers give; of the first seed. The estimate is drawn towards 0 as far as it is uncertain, "
        "and is 0 where it is more than listeners can differ by; the error is that before. Recordings were moved by it "
        "before anything else, for the brain and its controls.",
        "heads": ["listener", "latency (ms)", "standard error (ms)", "beginnings"],
        "rows": rows,
    }


def _follow_row(
    name: str, of: Sequence[Mapping[str, Any]], ceiling: Sequence[Mapping[str, Any]], pooled: Mapping[str, Any]
) -> list[str]:
    cells = [name.replace("_", " ")]
    together = pooled.get("following")
    for key in ("mean", "mean_by_listener"):
        value = known_mean([one[key] for one in of])
        each = ["" if together is None else limits(together["ci95"])] if key == "mean" else []
        each += [", ".join(number(one[key]) for one in of)] if key == "mean" else []
        first = number(value) if key == "mean" else _with_first(value, of, key)
        cells += [first, *each, _share(value, known_mean([one[key] for one in ceiling]))]
    # Evaluations that were stored earlier have no null by beat.
    cells += [_with_first(known_mean([one.get(key) for one in of]), of, key) for key in ("null", "null_by_beat")]
    return [*cells, f"{of[0]['n']}"]


def _with_first(value: float | None, of: Sequence[Mapping[str, Any]], key: str) -> str:
    """A mean over seeds, and the first seed's interval."""
    # Evaluations that were stored earlier have no such interval.
    return number(value) if value is None else with_limits(value, of[0].get("ci95_of", {}).get(key))


def _share(value: float | None, ceiling: float | None) -> str:
    # A share of nothing, or of less, says nothing.
    return "" if value is None or ceiling is None or ceiling <= 0 else f"{value / ceiling:.2f}"


def _pictures(scores: Mapping[str, Any]) -> Sequence[tuple[str, str, bytes]]:
    drawn = []
    points = []
    for level in scores["levels"]:
        brain = level["scores"].get(BRAIN, {})
        if level["snr_db"] is not None and brain.get("seeds"):
            points.append({"snr_db": level["snr_db"], **{kind: brain.get(kind) for kind in KINDS}})
        for kind in KINDS:
            bars = {
                name: entry[kind]
                for name, entry in level["scores"].items()
                if entry.get(kind) and (name, kind) != NO_FINDING
            }
            if bars:
                title = f"{level['name']}: {kind}"
                drawn.append((title, _bars_note(level, kind, bars), figures.identification_bars(bars, title=title)))
    if not points:
        return drawn
    curve = figures.identification_by_snr(points, real_snr_db=scores["real_snr_db"])
    counted = [point[kind] for point in points for kind in KINDS if point.get(kind)]
    note = f"The brain at each level. {_counts_note(counted)}" if counted else ""
    return [("Identification against difficulty", note, curve), *drawn]


def _bars_note(level: Mapping[str, Any], kind: str, bars: Mapping[str, Mapping[str, Any]]) -> str:
    hidden = f" {NO_EMBEDDING}" if _hides(level, kind) else ""
    return f"{_note(level)} {_counts_note(list(bars.values()))}{hidden}"


def _counts_note(scores: Sequence[Mapping[str, Any]]) -> str:
    """What pictures of scores have in common: one seed, and each query looked for among a gallery."""
    counts = {f"{score['n']} queries, gallery of {score['gallery_size']}": None for score in scores}
    return (
        f"Seed {scores[0]['seed']} alone; lines are 95 % intervals over songs, the dashed line is chance. "
        f"{'; '.join(counts)}."
    )
