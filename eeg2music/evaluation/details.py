"""Tables of an evaluation beside the scores by condition: the summary, the distances from music, the scores in parts.

From what scores.json says; computes nothing but means over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eeg2music.evaluation.comparable import KINDS
from eeg2music.evaluation.comparisons import in_summary, smallest_line
from eeg2music.evaluation.outside.page import COUNTED, IN_PARTS, INTERVALS, PARTS_NOTE, part_cells
from eeg2music.evaluation.tables import (
    DISAGREE,
    NO_EMBEDDING,
    POOLED,
    known_mean,
    level_title,
    limits,
    marked_p,
    number,
    p_text,
    seeds_text,
    together,
    with_limits,
)
from eeg2music.report.words import NO_FINDING

ABSENT = "–"
# What gives the number of queries, and that of clips.
COUNTED_BY = ("embedding", "generated")
APART = ["condition", "KAD", "KAD: 95 % interval", "KAD reversed", "FAD-∞", "FAD-∞: 95 % interval", "FAD", "density"]
APART += ["coverage (expected)", "songs", "clips (draws)", "reference songs"]


def summary_table(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The brain at every level, and at the first level every control: what a paper shows."""
    heads = ["level", "condition"]
    for kind in KINDS:
        heads += [f"{kind}: pairwise [95 %]", "p (corrected)", "top-1"]
    heads += ["onset correlation [95 %]", "KAD", "queries", "clips", "gallery"]
    compared = scores["summary_comparisons"]
    p_corrected = {(row["level"], row["condition"], row["kind"]): row["p_corrected"] for row in compared["rows"]}
    rows = [
        [level_title(level), _name(name), *_summary_cells(level, name, of, p_corrected)]
        for level, name, of in in_summary(scores["levels"])
    ]
    count = max((len(of["seeds"]) for level in scores["levels"] for of in level["scores"].values()), default=0)
    note = (
        f"{together(count).capitalize()}. {POOLED} Chance is 0.5 pairwise, and for top-1 one in the "
        f"gallery: {_top1_chance(scores)}. p: pairwise, uncorrected; corrected: by Holm's method over all "
        f"{compared['count']} of this table. {smallest_line(compared)} {DISAGREE} Onset "
        "correlation: generated and heard stems, one lag for all; KAD: kernel distance of all clips from music. Its "
        "interval stands below. So do each seed's figures, and the controls at further levels."
    )
    if any(NO_FINDING[0] in level["scores"] for level in scores["levels"]):
        note += f" {NO_EMBEDDING}"
    return {"title": "Summary", "note": note, "heads": heads, "rows": rows}


def distance_tables(level: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How far each condition's clips as a whole are from music: means over seeds, and with several, each seed."""
    apart: Mapping[str, Mapping[str, Any]] = level.get("distances", {})
    if not apart:
        return []
    count = max(len(one["seeds"]) for one in apart.values())
    first = next(iter(apart.values()))["seeds"][0]["seed"]
    heads = [f"{head} of seed {first}" if "interval" in head else head for head in APART]
    rows = [[_name(name), *_distance_cells(one, one["seeds"][0])] for name, one in apart.items()]
    title = level_title(level, f"distance from music, mean of {seeds_text(count)}")
    tables = [{"title": title, "note": _distance_note(apart), "heads": heads, "rows": rows}]
    if count > 1:
        each = [
            [f"{_name(name)}, seed {one['seed']}", *_distance_cells(one, one)]
            for name, of in apart.items()
            for one in of["seeds"]
        ]
        title = level_title(level, "distance from music, by seed")
        tables.append({"title": title, "note": "As above.", "heads": APART, "rows": each})
    return tables


def centred_tables(level: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Identification by the embedding less its mean, each seed beside all together; no table where nothing was."""
    rows = []
    for name, of in level["scores"].items():
        found = of.get("pooled", {}).get("embedding_centred")
        if found is not None and (name, "embedding") != NO_FINDING:
            each = ", ".join(map(number, found["accuracy_by_seed"]))
            cells = [number(found["accuracy"]), each, limits(found["ci95"])]
            cells += [marked_p(found["p_value"], found["ci95"], found["chance"]), number(found["top1"])]
            rows.append([_name(name), *cells, f"{found['n']}", f"{found['gallery_size']}"])
    note = (
        "Queries less their mean and the gallery less its own. A model whose outputs hardly vary is at chance in the "
        "table above for that alone; here only if what varies tells nothing of what was heard. p: uncorrected. "
        f"{DISAGREE}"
    )
    heads = ["condition", "pairwise", "by seed", "95 % interval", "p", "top-1", "queries", "gallery"]
    title = level_title(level, "embedding less its mean")
    return [{"title": title, "note": note, "heads": heads, "rows": rows}] if rows else []


def breakdown_tables(level: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Identification of brain and oracle overall, by seed and by listener, and of guesses too where songs have several
    styles; a table for each kind."""
    tables = []
    for kind in KINDS:
        rows = [
            [_name(name), *part_cells(row)]
            for name, of in level.get("breakdown", {}).items()
            if of.get(kind)
            for row in of[kind]
        ]
        if rows:
            title = level_title(level, f"{kind} in parts")
            tables.append({"title": title, "note": _parts_note(level), "heads": ["condition", *IN_PARTS], "rows": rows})
    return tables


def _top1_chance(scores: Mapping[str, Any]) -> str:
    sizes = {
        entry[kind]["gallery_size"]
        for level in scores["levels"]
        for of in level["scores"].values()
        for entry in of["seeds"]
        for kind in KINDS
        if entry.get(kind)
    }
    return ", ".join(f"{1.0 / size:.3f} of {size}" for size in sorted(sizes))


def _summary_cells(
    level: Mapping[str, Any], name: str, of: Mapping[str, Any], p_corrected: Mapping[tuple[str, str, str], float]
) -> list[str]:
    cells, seeds = [], of["seeds"]
    for kind in KINDS:
        pooled = of["pooled"].get(kind)
        if pooled is None or (name, kind) == NO_FINDING:
            cells += [ABSENT] * 3
            continue
        p = marked_p(pooled["p_value"], pooled["ci95"], pooled["chance"])
        cells += [with_limits(pooled["accuracy"], pooled["ci95"])]
        cells += [f"{p} ({p_text(p_corrected[level['name'], name, kind])})", number(pooled["top1"])]
    counts = [next((f"{entry[kind]['n']}" for entry in seeds if entry.get(kind)), ABSENT) for kind in COUNTED_BY]
    following = known_mean([entry["following"]["mean"] for entry in seeds if entry.get("following")])
    kernel = level.get("distances", {}).get(name, {}).get("kernel")
    limits95 = (of["pooled"].get("following") or {}).get("ci95")
    cells += [ABSENT if following is None else with_limits(following, limits95)]
    cells += [ABSENT if kernel is None else number(kernel)]
    # The codec has clips and no embedding.
    scored = next(seeds[0][kind] for kind in KINDS if seeds[0].get(kind))
    return [*cells, *counts, f"{scored['gallery_size']}"]


def _distance_cells(one: Mapping[str, Any], seeded: Mapping[str, Any]) -> list[str]:
    """Cells below `APART`. `seeded`: whose intervals are shown."""
    counts = [f"{one['songs']}", f"{one['n']} ({one['draws']})", f"{one['n_reference']}"]
    if "why" in one:
        return [f"not measured: {one['why']}", *[""] * (len(APART) - 2 - len(counts)), *counts]
    endless, covered = one["frechet_infinity"], one["coverage"]
    plain = "refused" if one["frechet"] is None else number(one["frechet"])
    return [
        number(one["kernel"]),
        limits(seeded["kernel_ci95"]) or ABSENT,
        number(one["kernel_reversed"]),
        ABSENT if endless is None else number(endless["value"]) + ("" if endless["enough"] else " (few)"),
        ABSENT if endless is None else limits(seeded["frechet_infinity"]["ci95"]) or ABSENT,
        plain + (" (too few)" if one["too_few_for_frechet"] and one["frechet"] is not None else ""),
        ABSENT if covered is None else number(covered["density"]),
        ABSENT if covered is None else f"{covered['coverage']:.3f} ({covered['coverage_expected']:.3f})",
        *counts,
    ]


def _distance_note(apart: Mapping[str, Mapping[str, Any]]) -> str:
    one = next(iter(apart.values()))
    audio = one["audio"]
    notes = [
        f"Clips of a condition against {one['n_reference']} other songs of the family, none of which was heard, "
        f"{audio['seconds']:g} s each at {audio['sample_rate_hz']} Hz ({audio['loudness']}), in the scorer's embedding "
        f"of {one['dim']} dimensions.",
        COUNTED,
        INTERVALS,
        "KAD: kernel distance, unbiased, near 0 or slightly below where the two agree; its kernel is as wide as the "
        "reference songs' median distance, reversed: as the clips'.",
        "FAD-∞: Fréchet distance at endless songs.",
    ]
    if any(of["frechet_infinity"] and not of["frechet_infinity"]["enough"] for of in apart.values()):
        notes.append("(few): sub-samples below twice the dimension, where FAD-∞ comes out a little low.")
    refused = dict.fromkeys(of["refused"] for of in apart.values() if of["refused"])
    notes += [f"FAD refused: {text}." for text in refused]
    if any(of["too_few_for_frechet"] and of["frechet"] is not None for of in apart.values()):
        notes.append("(too few): below twice the dimension a Fréchet distance is biased upward; read the KAD.")
    notes.append("Density (1 for equal distributions) and coverage: Naeem et al. 2020, without intervals.")
    return " ".join(notes)


def _parts_note(level: Mapping[str, Any]) -> str:
    groups = {row["group"] for of in level["breakdown"].values() for rows in of.values() for row in rows}
    notes = [
        f"Queries of all seeds together. {PARTS_NOTE} 2-way is the pairwise score, and N-way of a gallery of N is "
        "top-1. p-values of the whole stand above; the parts have none of their own."
    ]
    if "within style" in groups:
        notes.append("Within style all candidates are of one style: who knows the style alone is at chance there.")
    elif level["style"] in (None, "mixed"):
        notes.append("The styles of the songs are not known, so that nothing is said by style or within style.")
    else:
        notes.append(f"Every song is {level['style']}: overall is the figure of that style, and within style.")
    if "within song" in groups:
        notes.append("Other windows of the song that was heard are candidates within song alone, nowhere else.")
    else:
        notes.append("The gallery holds one window of each song, so that nothing is to be told apart within a song.")
    return " ".join(notes)


def _name(condition: str) -> str:
    return condition.replace("_", " ")
