"""Scores on recordings as scores.json, scores.md and report.html. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eeg2music.evaluation.identification import Search
from eeg2music.evaluation.recorded_controls import EXPECTED
from eeg2music.evaluation.retrieval_pictures import matrix_picture, ranks_picture
from eeg2music.evaluation.tables import DISAGREE, limits, marked_p, number, p_text, with_limits, write_tables
from eeg2music.report.html import Picture

IDENTIFIED = ["condition", "pairwise", "95 % interval", "p", "p, corrected", "top-1 [95 %]", "median rank [95 %]", "n"]
IDENTIFIED += ["gallery"]
ONSETS = ["condition", "correlation", "95 % interval", "null mean", "null 95 %", "p", "p, corrected", "n"]
CORRECTED = "Corrected p-values are Holm's, over the decoder's rows of all these tables."
MODE_WORDS = {"mean_of_trials": "mean of the trials", "single_trial": "single trials"}


# Whose ranks are drawn: more curves could not be told apart.
RANKED = ("decoder", "other subject", "phase randomisation", "shuffled")
Searches = Mapping[str, Mapping[str, Search]]


def write_recorded(out: Path, scores: Mapping[str, Any], searches: Searches) -> None:
    """Write what `score_pieces` returned into the folder `out`."""
    write_tables(
        out,
        scores,
        recorded_tables(scores),
        title="Recordings of people: onsets and identification",
        lead=_lead(scores),
        warnings=scores["surprises"],
        figures=recorded_pictures(searches),
    )


def recorded_pictures(searches: Searches) -> list[Picture]:
    """(title, caption, PNG) of the decoder's retrieval matrix and of the ranks, for both ways of taking the trials."""
    decoded = {MODE_WORDS[mode]: of["decoder"] for mode, of in searches.items()}
    ranked = {MODE_WORDS[mode]: {name: of[name] for name in RANKED if name in of} for mode, of in searches.items()}
    drawn = (
        matrix_picture("Retrieval matrix", "The decoder", decoded, of="pieces"),
        ranks_picture(
            "Ranks of what was heard",
            "The decoder and three of its controls (random ones with all their draws)",
            ranked,
            of="pieces",
            over="works",
        ),
    )
    return [picture for picture in drawn if picture is not None]


def recorded_tables(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Identification and onset decoding for both ways of taking the trials, and what each control is."""
    tables = []
    for mode, of in scores["scores"].items():
        tables += [_identified(MODE_WORDS[mode], of), _onsets(MODE_WORDS[mode], of)]
    shown = next(iter(scores["scores"].values()))["controls"]
    rows = [[name, EXPECTED[name].what, EXPECTED[name].words] for name in shown]
    note = (
        "Song permutation is the null of the p-values: whole works exchange their music, in every order there is. A "
        "control is said to be above or below chance where that test (two-sided, 5 %) and the interval over works "
        "agree on it; each is judged by itself. All but other subject and the music itself should lie below the "
        "decoder."
    )
    tables.append(
        {"title": "What the controls are", "note": note, "heads": ["control", "what", "expected"], "rows": rows}
    )
    return tables


def _lead(scores: Mapping[str, Any]) -> str:
    count = scores["independent_works"]
    return (
        f"{scores['pieces']} pieces of {count} independent works (versions with and without lyrics are one work). Each "
        f"work was held out whole; scaling and ridge penalty were learned inside the other {count - 1}. Intervals are "
        "over works, listeners are fixed: nothing is said about other people. The recordings' one channel was weighted "
        "by its publishers on trials of these same pieces, which may flatter identification; onset tracking is safer."
    )


def _identified(mode: str, of: Mapping[str, Any]) -> dict[str, Any]:
    main = of["identification"]
    rows = [_identified_row("decoder", main)]
    rows += [_identified_row(f"decoder, {name}", one) for name, one in of["identification_by_subject"].items()]
    if of["within_work"]:
        one = of["within_work"]
        cells = ["decoder, which version of the work", number(one["accuracy"]), limits(one["ci95"]), "", "", "", ""]
        rows.append([*cells, f"{one['n']}", f"{one['gallery_size']}"])
    rows.append(
        ["song permutation (null)", number(main["null_mean"]), "95 % below " + number(main["null_95"]), *[""] * 6]
    )
    rows += [_identified_row(name, one["identification"]) for name, one in of["controls"].items()]
    note = f"Which of {main['gallery_size']} pieces was heard; chance 0.5 pairwise, {main['top1_chance']:.3f} top-1. "
    note += f"p over {main['permutations']}. {CORRECTED} {DISAGREE} {main['power']}"
    return {"title": f"Identification, {mode}", "note": note, "heads": IDENTIFIED, "rows": rows}


def _identified_row(name: str, one: Mapping[str, Any]) -> list[str]:
    low, high = one["range_of_draws"]
    name += f", single draws {low:.2f} to {high:.2f}" if high > low else ""
    cells = [
        name,
        number(one["accuracy"]),
        limits(one["ci95"]),
        marked_p(one["p_value"], one["ci95"], one["chance"]),
        _corrected(one),
        with_limits(one["top1"], one["top1_ci95"]),
    ]
    ranks = f"{one['median_rank']:g} [{', '.join(f'{end:g}' for end in one['median_rank_ci95'])}]"
    return [*cells, ranks, f"{one['n']}", f"{one['gallery_size']}"]


def _onsets(mode: str, of: Mapping[str, Any]) -> dict[str, Any]:
    rows = [_onset_row("decoder", of["onsets"])]
    rows += [_onset_row(f"decoder, {name}", one) for name, one in of["onsets_by_subject"].items()]
    rows += [_onset_row(name, one["onsets"]) for name, one in of["controls"].items() if "onsets" in one]
    note = "Correlation of decoded with true onset flux over whole pieces. The null gives whole works another's flux. "
    note += f"{CORRECTED} "
    return {"title": f"Onsets, {mode}", "note": note + of["onsets"]["power"], "heads": ONSETS, "rows": rows}


def _onset_row(name: str, one: Mapping[str, Any]) -> list[str]:
    cells = [name, number(one["correlation"]), limits(one["ci95"]), number(one["null_mean"]), number(one["null_95"])]
    return [*cells, p_text(one["p_value"]), _corrected(one), f"{one['n']}"]


def _corrected(one: Mapping[str, Any]) -> str:
    """Controls are there to fail: their p-values are not corrected."""
    return p_text(one["p_corrected"]) if "p_corrected" in one else ""
