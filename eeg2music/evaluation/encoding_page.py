"""Encoding scores as scores.json, scores.md and report.html with brain maps. Computes nothing but means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.errors import MissingExtraError
from eeg2music.evaluation.encoding_config import (
    EMBEDDINGS,
    MNI,
    MUSIC,
    PREPARED,
    RANDOMIZED,
    RESPONSES,
    SHUFFLED,
    SIMULATED,
)
from eeg2music.evaluation.tables import limits, number, p_text, write_tables
from eeg2music.report.brain_maps import LEAST_CHANNELS, glass_brain, topomaps
from eeg2music.report.html import Picture
from eeg2music.types import KIND_WORDS

CONDITIONS = {MUSIC: "music heard", SHUFFLED: "songs shuffled", RANDOMIZED: "phase-randomized"}
MATERIAL = {
    SIMULATED: "Simulated at {snr_db:g} dB",
    PREPARED: "Recordings of a prepared cache",
    RESPONSES: "Responses given as arrays",
}
BEST = 5
Scores = Mapping[str, Any]


def write_encoding(out: Path, scores: Scores) -> None:
    """Write what `score_encoding` returned into the folder `out`."""
    write_tables(
        out,
        scores,
        encoding_tables(scores),
        title="Encoding: which channels follow the music",
        lead=_lead(scores),
        warnings=[*scores["remarks"], *scores["surprises"]],
        figures=list(_maps(scores)),
    )


def encoding_tables(scores: Scores) -> list[dict[str, Any]]:
    """How well channels are predicted beside both controls, what is beyond the genre, and the best channels."""
    return [
        table for table in (_predicted(scores), _beyond(scores), _beyond_curves(scores), _best(scores)) if table["rows"]
    ]


def _lead(scores: Scores) -> str:
    material = MATERIAL[scores["material"]].format(snr_db=scores["snr_db"])
    config = scores["config"]
    text = (
        f"{material}: {len(scores['subjects'])} listeners, {len(scores['songs'])} songs, seed {scores['seed']}. Ridge "
        "from features of the music to each channel, whole songs held out (works, where declared). "
        "p from permutations of whole songs, the model fitted anew for each; q after "
        "Benjamini and Hochberg over the channels of a listener. Each listener is scored alone: nothing is said about "
        "other listeners. "
    )
    if scores["material"] == RESPONSES:
        return text + "Features and responses are as given, row by row."
    return text + (
        "Curves: onset, loudness and brightness of the mix at 32 Hz with lags, against the course of "
        f"a channel. Embeddings: CLAP of windows of {config['embedding_window_s']:g} s, against the logarithm of a "
        "channel's power."
    )


def _entries(scores: Scores) -> Iterator[tuple[str, str, Scores]]:
    for subject, of in scores["subjects"].items():
        for features, one in of["scores"].items():
            yield subject, features, one


def _predicted(scores: Scores) -> dict[str, Any]:
    heads = ["listener", "features", "condition", "channels with q < 0.05", "r within songs", "95 % interval"]
    heads += ["r, mean of channels", "highest r", "rows", "songs"]
    rows = []
    for subject, features, one in _entries(scores):
        for key, name in CONDITIONS.items():
            found = one[key]
            best = max(found["rows"], key=lambda row: row["r"])
            cells = [subject, features, name, f"{found['significant']} of {found['targets']}", number(found["mean_r"])]
            cells += [limits(found["ci95"]), number(_mean(found, "r")), f"{best['r']:.3f} ({best['name']})"]
            rows.append([*cells, f"{found['n']}", f"{found['groups']}"])
    note = (
        "Chance is r = 0. The interval is over songs, of the mean over channels of the correlation within each song. "
    )
    note += "Controls: features of another song, and recordings with the same spectra but no timing."
    told = {
        (features, one[MUSIC]["permutations"], one["fewest"], one[MUSIC]["targets"])
        for _, features, one in _entries(scores)
    }
    for features, count, fewest, targets in sorted(told):
        note += f" {features.capitalize()}: {count} permutations"
        if fewest > targets:
            note += ", too few for q < 0.05."
        elif fewest > 1:
            note += f"; q < 0.05 takes {fewest} of {targets} channels at the smallest p together."
        else:
            note += "."
    return {"title": "How well channels are predicted", "note": note.strip(), "heads": heads, "rows": rows}


def _beyond(scores: Scores) -> dict[str, Any]:
    heads = ["listener", "features", "R²", "R² genre", "only features", "only genre", "shared"]
    heads += ["ceiling of r", "r of ceiling", "presentations"]
    rows = []
    for subject, features, one in _entries(scores):
        found = one[MUSIC]
        cells = [subject, features, *(_share(found, key) for key in _PARTS)]
        rows.append([*cells, _share(found, "ceiling"), _share(found, "r_of_ceiling"), f"{one['presentations']}"])
    note = "Means over channels, on songs held out; a share may come out below 0, and stands without an interval. "
    why = scores["why_no_genre"]
    note += f"No genre: {why}. " if why else ""
    if not why and scores["material"] != RESPONSES:
        note += (
            "A genre is the same all through a song, and a filtered recording has no mean: it can say something about "
            "power, and nothing about the course of a channel. "
        )
    note += "The ceiling is what a perfect model would reach, from repeats of the same music."
    alone = {of["why_no_ceiling"] for of in scores["subjects"].values()} - {None}
    note += "".join(f" No ceiling: {text}." for text in sorted(alone))
    return {"title": "Beyond the genre, and below the ceiling", "note": note, "heads": heads, "rows": rows}


_PARTS = ("r2", "r2_control", "unique", "unique_control", "shared")


def _beyond_curves(scores: Scores) -> dict[str, Any]:
    rows = []
    for subject, features, one in _entries(scores):
        found = one[MUSIC].get("beyond_curves")
        if found:
            cells = [number(found[key]) for key in ("r2", "r2_curves", "unique", "unique_curves", "shared")]
            rows.append([subject, features, *cells, f"{one[MUSIC]['n']}"])
    heads = ["listener", "features", "R²", "R² curves", "only features", "only curves", "shared", "rows"]
    note = "Against means and deviations of onset, loudness and brightness in the same windows; means over channels."
    return {"title": "Embeddings beyond the curves", "note": note, "heads": heads, "rows": rows}


def _best(scores: Scores) -> dict[str, Any]:
    rows = []
    for subject, features, one in _entries(scores):
        for row in sorted(one[MUSIC]["rows"], key=lambda row: -row["r"])[:BEST]:
            cells = [subject, features, row["name"], number(row["r"]), p_text(row["p_value"]), p_text(row["q_value"])]
            rows.append([*cells, *("" if row.get(key) is None else number(row[key]) for key in ("ceiling", "unique"))])
    heads = ["listener", "features", "channel", "r", "p", "q", "ceiling of r", "only features (R²)"]
    note = f"The {BEST} highest of each listener; all channels stand in scores.json. The highest of many flatters."
    return {"title": "Best channels", "note": note, "heads": heads, "rows": rows}


def _mean(found: Scores, key: str) -> float | None:
    """Over the channels that have one."""
    values = [row[key] for row in found["rows"] if row.get(key) is not None]
    return float(np.mean(values)) if values else None


def _share(found: Scores, key: str) -> str:
    value = _mean(found, key)
    return "" if value is None else number(value)


def _maps(scores: Scores) -> Iterator[Picture]:
    """Of the mean of listeners under one cap, and of each listener: r beside its controls, and what is beyond genre."""
    subjects = scores["subjects"]
    caps = [of["channels"] for of in subjects.values()]
    if len(caps) > 1 and all(cap == caps[0] for cap in caps):
        for features in next(iter(subjects.values()))["scores"]:
            several = [of["scores"][features] for of in subjects.values()]
            yield from _map(f"{features}: mean of {len(caps)} listeners", caps[0], several)
    for subject, of in subjects.items():
        for features, one in of["scores"].items():
            yield from _map(f"{features}: {subject}", of["channels"], [one])


def _map(title: str, channels: Scores, listeners: Sequence[Scores]) -> Iterator[Picture]:
    kind = channels["kind"]
    if kind == MNI:
        yield from _brain(title, channels, listeners)
    elif kind == "eeg":
        yield from _head(title, channels, listeners)
    else:
        why = f"No map: a scalp is drawn of EEG, and this is {KIND_WORDS[kind]}."
        inside = " Contacts are drawn in a brain where they are given as arrays with MNI coordinates (`responses`)."
        yield title, why + (inside if kind == "ieeg" else ""), None


def _brain(title: str, channels: Scores, listeners: Sequence[Scores]) -> Iterator[Picture]:
    """Voxels or contacts as dots in a transparent brain: r, and what is beyond the genre."""
    if None in channels["positions_m"]:
        yield title, "No map: the responses have no coordinates_mm.", None
        return
    place_of = dict(zip(channels["names"], channels["positions_m"], strict=True))
    known = [row["name"] for row in listeners[0][MUSIC]["rows"]]
    places = [[1000.0 * value for value in place_of[name]] for name in known]
    text = "Correlation of predicted and given responses, songs held out."
    drawn = [(title, "r", text)]
    if "unique" in listeners[0][MUSIC]["rows"][0]:
        drawn.append((f"{title}, beyond the genre", "unique", "Share of the variance that only the features explain."))
    for name, key, said in drawn:
        values = _values(listeners, MUSIC, key, known)
        try:
            picture = glass_brain(values, places, known, label="r" if key == "r" else "R²")
        except MissingExtraError as error:
            yield name, f"No map: {error}", None
            return
        yield name, said, picture


def _head(title: str, channels: Scores, listeners: Sequence[Scores]) -> Iterator[Picture]:
    """Electrodes on a scalp: r beside its controls, and of embeddings what is beyond the genre."""
    place_of = {
        name: place for name, place in zip(channels["names"], channels["positions_m"], strict=True) if place is not None
    }
    known = [row["name"] for row in listeners[0][MUSIC]["rows"] if row["name"] in place_of]
    if len(known) < LEAST_CHANNELS:
        yield title, f"No map: {len(known)} channels have a position.", None
        return
    places = [place_of[name] for name in known]
    missing = len(channels["names"]) - len(known)
    note = f" {missing} channels without a position or a signal are left out." if missing else ""
    panels = {name: _values(listeners, key, "r", known) for key, name in CONDITIONS.items()}
    what = "log power" if EMBEDDINGS in title else "course"
    yield title, f"Correlation of predicted and recorded {what}, songs held out.{note}", topomaps(panels, places, known)
    if "unique" in listeners[0][MUSIC]["rows"][0] and EMBEDDINGS in title:
        beyond = {
            "only features": _values(listeners, MUSIC, "unique", known),
            "only genre": _values(listeners, MUSIC, "unique_control", known),
        }
        picture = topomaps(beyond, places, known, label="R²")
        yield f"{title}, beyond the genre", f"Share of the variance that only one of both explains.{note}", picture


def _values(listeners: Sequence[Scores], condition: str, key: str, known: Sequence[str]) -> list[float]:
    """Means over listeners, channel by channel."""
    of = [{row["name"]: row[key] for row in one[condition]["rows"]} for one in listeners]
    return [float(np.mean([one[name] for one in of])) for name in known]
