"""A protocol from its YAML to scores.json, scores.md and report.html, on simulated recordings or on a prepared cache.

The publication's own recordings wait for the reader that the YAML names; nothing is pretended of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.evaluation.protocols.config import PREPARED, ProtocolConfig
from eeg2music.evaluation.protocols.pictures import protocol_pictures
from eeg2music.evaluation.protocols.scoring import GENERATED, Compared, compared, run_protocol
from eeg2music.evaluation.protocols.simulated import simulate_protocol
from eeg2music.evaluation.tables import DISAGREE, limits, marked_p, number, p_text, write_tables
from eeg2music.origin import made_with
from eeg2music.pipeline import Hook, no_hook

SCHEMA = 1
HEADS = ["condition", "value", "95 % interval", "p", "p, corrected", "chance", "n", "gallery", "published (other data)"]
WORDS = {
    "decoder": "the embedding, decoded",
    "no music in the recording": "control: the same presentations without any music, trained and tested alike",
    "signal-blind": "control: metadata alone",
    "perfect guess of the genre": "knows each clip's genre and nothing more; ties count one half",
    "genre oracle": "mean embedding of other songs of the true genre",
    "song oracle": "mean embedding of the song's other windows",
    "shuffled": "control: what was decoded from another song; at chance or below, since it is never of the right one",
    "phase-randomized recording": "control: the fitted decoder on presentations whose phases are random. Spectra stay, "
    "and with them levels and rhythm, which this decoder reads: between chance and the decoder; what is lost is timing",
    "untrained decoder": "control: the same decoder with weights drawn at random; at chance",
    "generated once": "one clip from the decoded curves and embeddings",
    "best of many, chosen by the decoded onsets": "of several clips the one whose onsets follow the decoded ones: what "
    "a user can do",
    "best of many, nearest what was decoded": "of several clips the one nearest to the decoded embedding",
    "best of many, chosen by the answer": "of several clips the one nearest to what was heard, which nobody knows: an "
    "upper bound, above chance without any brain",
    "generated, anchored": "one clip from the decoded curves and the embeddings of the training song that is nearest "
    "to the decoded embedding",
    "retrieved song itself": "that training song, nothing generated",
    "generated without a brain": "control: the generator alone; at chance",
    "generated from shuffled predictions": "control: generated from another song's prediction; at chance or below",
    "anchored in shuffled predictions": "control: the same, anchored; at chance or below",
    "best of many from shuffled predictions, chosen by the answer": "control: what the choice by the answer is worth "
    "alone, without the right prediction; above chance",
    "generated from what was heard": "the heard music's own curves and embeddings: the ceiling of the generator",
}
WITHOUT_MUSIC = {
    True: "what is scored here is which presentation a window is from, not what was heard",
    False: "nothing leaks here, and one such control in twenty comes so high by chance",
}
# Who scores, and why a control above chance may lie there; None: as `WITHOUT_MUSIC` says.
ABOVE_CHANCE: dict[str, tuple[str, str | None]] = {
    "no music in the recording": ("Recordings without any music score", None),
    "phase-randomized recording": (
        "Recordings of random phase score",
        "so much is read from levels and rhythm, which spectra keep, and needs no timing",
    ),
    "untrained decoder": ("A decoder that has learned nothing scores", None),
    "generated without a brain": ("Music generated without a brain scores", None),
    "generated from shuffled predictions": ("Music generated from other songs' predictions scores", None),
    "anchored in shuffled predictions": ("Music anchored in other songs' predictions scores", None),
    "shuffled": ("What was decoded from other songs scores", None),
}


def evaluate_protocol(
    config: ProtocolConfig, out: Path, *, device: str = "auto", hook: Hook = no_hook
) -> dict[str, Any]:
    """Run a protocol and write its scores into the folder `out`."""
    scores, parts = _scored(config, device=device, hook=hook)
    write_tables(
        out,
        scores,
        protocol_tables(config, scores["rows"]),
        title=config.title,
        lead=_lead(config, scores["generated"], scores["prepared"]),
        warnings=_warnings(scores),
        figures=protocol_pictures(config, parts),
    )
    return scores


def score_protocol(config: ProtocolConfig, *, device: str = "auto", hook: Hook = no_hook) -> dict[str, Any]:
    """The same without writing."""
    return _scored(config, device=device, hook=hook)[0]


def _scored(config: ProtocolConfig, *, device: str, hook: Hook) -> tuple[dict[str, Any], list[Compared]]:
    """The scores, ready for JSON, and the vectors that they are of."""
    music = recorded = None
    if config.prepared is None:
        hook("simulating and decoding")
        made = simulate_protocol(config)
    else:
        from eeg2music.evaluation.protocols.prepared import prepared_protocol

        hook("reading and decoding")
        made, recorded = prepared_protocol(config)
    if config.generated is not None:
        from eeg2music.evaluation.protocols.generate import generate_tested

        music = generate_tested(config, made, config.generated, device=device, hook=hook)
    hook("scoring")
    arrays = made.predicted, made.target, made.rows
    generated = None if music is None else music.generated
    rows = run_protocol(
        config,
        *arrays,
        leak=made.leak,
        folds=made.folds,
        generated=generated,
        controls=made.controls,
        reference=made.reference,
    )
    scores = {
        "schema": SCHEMA,
        **made_with(),
        "kind": config.kind,
        # Where files lie on this machine is no part of the result.
        "config": config.model_dump(mode="json", exclude={"prepared"}),
        "material": "simulated" if recorded is None else "prepared",
        "prepared": recorded,
        "leak": made.leak,
        "generated": None if music is None else music.facts,
        "rows": rows,
    }
    return scores, compared(config, *arrays, folds=made.folds, generated=generated, controls=made.controls)


def protocol_tables(config: ProtocolConfig, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One table for each metric, and one for each of generated music."""
    tables = []
    for metric, space in dict.fromkeys((row["metric"], row["space"]) for row in rows):
        own = [row for row in rows if (row["metric"], row["space"]) == (metric, space)]
        styles = own[0]["gallery_styles"]
        genres = "undeclared genres" if styles is None else f"{styles} genres"
        note = f"Gallery of {own[0]['gallery_size']} {config.gallery.of} of {genres}. "
        note += "Published figures were measured on other data: not comparable as they stand. "
        note += "Corrected p-values are Holm's, over what was decoded or generated, by all metrics. "
        note += f"{DISAGREE} {own[0]['power']}"
        cells = [_cells(row) for row in own]
        what = ", generated music" if space == GENERATED else ""
        if what:
            note += " What was heard and what was generated are embedded by the scorer, which conditioned nothing."
        tables.append({"title": f"{config.name}: {metric}{what}", "note": note, "heads": HEADS, "rows": cells})
    said = {row["condition"]: words_of(row["condition"]) for row in rows}
    order = {text: place for place, text in enumerate(WORDS.values())}
    rows_of = [[name, text] for name, text in sorted(said.items(), key=lambda one: order.get(one[1], 0)) if text]
    tables.append({"title": "What the rows are", "note": "", "heads": ["condition", "what"], "rows": rows_of})
    return tables


def words_of(condition: str) -> str:
    """What a row is; choices among several draws are named by how they were made. Empty for what names itself."""
    return WORDS.get(re.sub(r"^best of \d+", "best of many", condition), "")


def _cells(row: Mapping[str, Any]) -> list[str]:
    value = f"not measured: {row['why']}" if row["value"] is None else number(row["value"])
    p = "" if row["p_value"] is None else marked_p(row["p_value"], row["ci95"], row["chance"])
    p_corrected = "" if row["p_corrected"] is None else p_text(row["p_corrected"])
    figures = "; ".join(f"{one['value']:g} ({one['what']})" for one in row["published"])
    stamp = " [leaks]" if row["leak"] else ""
    cells = [row["condition"] + stamp, value, limits(row["ci95"]), p, p_corrected, number(row["chance"])]
    return [*cells, f"{row['n']}", f"{row['gallery_size']}", figures]


def _material(config: ProtocolConfig, recorded: Mapping[str, Any] | None) -> str:
    if recorded is not None:
        return (
            f"Scored here on {recorded['windows']} windows of EEG of a prepared cache, with a linear decoder towards "
            "the control curves of what was heard: neither the publication's recordings nor its model. Recordings "
            "without any music, a control of simulations, do not exist here. "
        )
    other = ", or takes a prepared cache of others (prepared=CACHE)" if config.modality in PREPARED else ""
    return (
        "Scored here on simulated EEG with a linear decoder, at a signal-to-noise ratio of our choice "
        f"({config.simulated.snr_db:g} dB): how high the decoder comes says nothing about people. On real recordings "
        f"it waits for {config.waits_for}{other}. "
    )


def _lead(config: ProtocolConfig, generated: Mapping[str, Any] | None, recorded: Mapping[str, Any] | None) -> str:
    text = (
        f"Source: {config.source}. {_material(config, recorded)}"
        f"Windows of {config.window.seconds:g} s every {config.window.step:g} s"
        + (f", recordings taken {config.window.delay_s:g} s later" if config.window.delay_s else "")
        + f"; {config.repeats} presentation{'s' if config.repeats > 1 else ''} averaged. "
    )
    if generated is not None:
        text += (
            f"Music was generated from the first {generated['seconds']:g} s of {generated['clips']} tested windows, "
            "listeners in turn, by the pipeline, from curves and embeddings that the same linear decoder read after it "
            "was fitted towards the training songs' rendered audio. "
        )
    if config.assumed:
        text += f"Ours, to be checked with the source: {'; '.join(config.assumed)}. "
    return (text + config.note).strip()


def _warnings(scores: Mapping[str, Any]) -> list[str]:
    found = list(scores["generated"]["warnings"]) if scores["generated"] else []
    if scores["prepared"] and scores["prepared"]["left_out"]:
        found.append(
            f"{scores['prepared']['left_out']} windows were left out: the cache does not hold all of them, because "
            "they lie at the end of a piece or in stretches marked bad."
        )
    if scores["leak"]:
        found.append(f"This protocol leaks, as published: {scores['leak']}.")
    for row in scores["rows"]:
        if row["condition"] in ABOVE_CHANCE and row["p_value"] is not None and row["p_value"] < 0.05:
            who, why = ABOVE_CHANCE[row["condition"]]
            found.append(
                f"{who} {row['value']:.3f} {row['metric']} (chance "
                f"{row['chance']:.3f}, p {p_text(row['p_value'])}): {why or WITHOUT_MUSIC[bool(scores['leak'])]}."
            )
    return found
