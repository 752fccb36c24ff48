"""Clips to listen to beside what was heard: the best, the median and the worst by rank, so that nobody can choose.

Where nothing is identified they are evenly spread over the table. Copies the beginning of the files, at one level;
scores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.audio import audio_duration_s, read_audio
from eeg2music.evaluation.identification import Search
from eeg2music.evaluation.outside.manifest import Clips, Row
from eeg2music.evaluation.sound_files import LISTEN, SAMPLE_BYTES, at_one_level, bytes_of, quieter_text, safe_names
from eeg2music.evaluation.sounds_page import place_text, players
from eeg2music.evaluation.units import spread
from eeg2music.metrics.retrieval import mean_rank, standing_among
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

LONGEST_S = 10.0
MOST_BYTES = 10_000_000
# Beside the one whose clips are picked.
MOST_FURTHER = 3
HEARD = "what was heard"
BEST, MEDIAN, WORST = "best", "median", "worst"


class Listened(NamedTuple):
    """What the page plays.

    facts : ready for JSON; None where there is nothing to listen to
    waves : by path relative to the result, (samples,) at 24 kHz
    """

    facts: dict[str, Any] | None
    waves: dict[str, FloatArray]


def listen_to(clips: Clips, condition: str, ranked: Search | None, embedding: str, count: int) -> Listened:
    """Pick clips of a condition and read them, beside what was heard and what further conditions made of it.

    Parameters
    ----------
    ranked : the condition's rows as they are compared, one each; None takes clips evenly from the table
    embedding : that `ranked` is in

    Returns
    -------
    Facts with "condition", "embedding" (None where nothing was ranked), "clips" (of the condition), "further"
    (conditions), "rows" of "clip", "reference", "song", "subject", "rank" and "picked", each with "files" by condition;
    "gallery_size", "seconds" (at most, of each), "sample_rate_hz", "gain" and "bytes".
    """
    rows = clips.of(condition)
    if clips.is_array or not count:
        return Listened(None, {})
    picked, ranks = (dict.fromkeys(spread(len(rows), count), ""), None) if ranked is None else by_rank(ranked, count)
    # What answers nothing stands beside nothing.
    answered = all(row.reference is not None for row in rows)
    others = [name for name in clips.conditions if name != condition][:MOST_FURTHER] if answered else []
    made = {name: {_asked(row): row.item for row in clips.of(name)} for name in others}
    files = {place: _files(rows[place], condition, made) for place in picked}
    paths, waves, facts = _read(clips, [name for of in files.values() for name in of.values()])
    listed = [
        {
            "clip": rows[place].item,
            "reference": rows[place].reference,
            "song": rows[place].song_label,
            "subject": rows[place].subject if "subject" in rows[place].model_fields_set else None,
            "rank": None if ranks is None else float(ranks[place]),
            "picked": why,
            "files": {name: paths[file] for name, file in files[place].items()},
        }
        for place, why in picked.items()
    ]
    about = {
        "condition": condition,
        "embedding": None if ranked is None else embedding,
        "clips": len(rows),
        "further": [name for name in others if any(name in of for of in files.values())],
        "gallery_size": len(clips.gallery),
    }
    return Listened({**about, **facts, "rows": listed}, waves)


def by_rank(ranked: Search, count: int) -> tuple[dict[int, str], NDArray[np.float64]]:
    """{row: why it was picked}, from the best on, and the rank of every row (ties at the mean of their places).

    Of more rows than `count`: a third of it from the front, a third from the back, the rest from the middle. Rows of
    one rank come in the order of their cosine with what was heard.
    """
    ranks = mean_rank(standing_among(ranked.query, ranked.gallery, ranked.target))
    order = np.lexsort((-own_cosine(ranked), ranks)).tolist()
    if len(order) <= count:
        return dict.fromkeys(order, ""), ranks
    ends = (count + 1) // 3
    middle = (len(order) - (count - 2 * ends)) // 2
    picked = dict.fromkeys(order[:ends], BEST)
    picked |= dict.fromkeys(order[middle : middle + count - 2 * ends], MEDIAN)
    return picked | dict.fromkeys(order[len(order) - ends :], WORST), ranks


def listening_gallery(scores: Mapping[str, Any]) -> dict[str, Any] | None:
    """The players, as `report.html.write_page` takes them; None without sounds."""
    found = scores["listening"]
    if not found:
        return None
    beside = " Beside them what was heard" if HEARD in found["rows"][0]["files"] else ""
    beside += f", and the clips of {', '.join(map(repr, found['further']))} for the same" if found["further"] else ""
    note = (
        f"{_picked_text(found)}{beside + '.' if beside else ''} The first {found['seconds']:.1f} s at most, mono, at "
        f"{found['sample_rate_hz']} Hz.{quieter_text(found['gain'])} {place_text(found['bytes'], LISTEN)}"
    )
    return players("To listen to", note, [(_label(row, found), row["files"]) for row in found["rows"]])


def own_cosine(search: Search) -> NDArray[np.float64]:
    """(n,) of each query with what was heard."""
    query, heard = (np.asarray(one, np.float64) for one in (search.query, search.gallery[search.target]))
    norms = np.linalg.norm(query, axis=1) * np.linalg.norm(heard, axis=1)
    return np.asarray(np.sum(query * heard, axis=1) / np.where(norms > 0, norms, 1.0))


def _files(row: Row, condition: str, made: Mapping[str, Mapping[Any, str]]) -> dict[str, str]:
    """{condition: file as the manifest has it} of one line of the gallery."""
    heard = {} if row.reference is None else {HEARD: row.reference}
    others = {name: of[_asked(row)] for name, of in made.items() if _asked(row) in of}
    return {**heard, condition: row.item, **others}


def _asked(row: Row) -> tuple[str | None, str, int | None]:
    """What a clip answers: conditions are put side by side by it."""
    return row.reference, row.subject, row.seed


def _read(clips: Clips, names: Sequence[str]) -> tuple[dict[str, str], dict[str, FloatArray], dict[str, Any]]:
    """{file: its copy}, the copies' sound, each once and so short that all fit, and what of it is ready for JSON."""
    different = list(dict.fromkeys(names))
    seconds = min(LONGEST_S, MOST_BYTES / (SAMPLE_BYTES * SAMPLE_RATE_HZ * len(different)))
    paths, waves = {}, {}
    for place, (name, safe) in enumerate(zip(different, safe_names(different), strict=True), 1):
        path = clips.path(name)
        paths[name] = f"{LISTEN}/{place:02d}-{safe.rsplit('.', 1)[0]}.wav"
        waves[paths[name]] = read_audio(path, duration_s=min(seconds, audio_duration_s(path)))
    level, gain = at_one_level(waves)
    longest = max(wave.size for wave in level.values()) / SAMPLE_RATE_HZ
    facts = {"seconds": longest, "sample_rate_hz": SAMPLE_RATE_HZ, "gain": gain}
    return paths, level, {**facts, "bytes": bytes_of(level)}


def _picked_text(found: Mapping[str, Any]) -> str:
    """How the clips were picked, in words."""
    shown, every, condition = len(found["rows"]), found["clips"], found["condition"]
    if found["embedding"] is None:
        return f"{shown} of the {every} clips of {condition!r}, evenly spread over the table: nothing was ranked."
    among = f"{found['gallery_size']} candidates in the embedding {found['embedding']!r}"
    by = f"by the rank of what was heard among {among}"
    picked = [row["picked"] for row in found["rows"]]
    if not any(picked):
        return f"All {every} clips of {condition!r}, {by}."
    counts = ", ".join(f"the {picked.count(why)} {why}" for why in (BEST, MEDIAN, WORST) if why in picked)
    return f"Of the {every} clips of {condition!r}: {counts}, {by} (of one rank, by the cosine), and not by ear."


def _label(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    named = [row["song"] or row["clip"], *([row["subject"]] if row["subject"] else [])]
    rank = "" if row["rank"] is None else f": rank {row['rank']:g} of {found['gallery_size']}"
    return ", ".join(named) + rank + (f" ({row['picked']})" if row["picked"] else "")
