"""The sounds of an evaluation for a reader: tables, and a gallery to listen to. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.mix_scores import by_measure
from eeg2music.evaluation.reconstruction import MIX
from eeg2music.evaluation.sound_files import FOLDER, quieter_text
from eeg2music.evaluation.sounds import CODEC, HEARD
from eeg2music.evaluation.tables import p_text, with_limits

MEASURES = {
    "mel_correlation": "mel correlation",
    "envelope_correlation": "envelope correlation",
    "si_sdr_db": "SI-SDR (dB)",
    "onset_f": "onset F",
    "beat_f": "beat F",
    "tempo_agreement": "tempo",
    "key_score": "key",
    "chroma_similarity": "chroma",
    "melody_correlation": "pitch contour",
    "melody_direction": "pitch direction",
}
MIX_HEADS = {
    "onset_coherence": "onset coherence",
    "key_agreement": "same key",
    "beat_agreement": "same beat",
    "loudness_lufs": "loudness (LUFS)",
    "true_peak_dbtp": "true peak (dBTP)",
    "masked_share": "masked",
}
ABSENT = "–"


def gallery(scores: Mapping[str, Any]) -> dict[str, Any] | None:
    """One row of players for each written window; None where no sound was written."""
    sounds = scores.get("sounds") or {}
    files = [row for row in sounds.get("files", ()) if row["files"]]
    if not files:
        return None
    note = (
        f"{len(files)} of the {sounds['clips']} windows that are measured below: what was heard, what the "
        "codec makes of it, and what was generated, each the plain sum of the stems, as the scorer got it, without the "
        f"mixer.{quieter_text(sounds['gain'])} The noise is the same along a row: what differs comes from the "
        f"conditions. {place_text(sounds['bytes'], FOLDER)}"
    )
    rows = [(f"{row['song']}, {row['listener']}", row["files"]) for row in files]
    return players(f"To listen to: {_where(sounds)}", note, rows)


def players(title: str, note: str, rows: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, Any]:
    """A gallery as `report.html.write_page` takes it, of (label, {name: file}) for each row."""
    names = list(dict.fromkeys(name for _, files in rows for name in files))
    return {
        "title": title,
        "note": note,
        "heads": [_plain(name) for name in names],
        "rows": [{"label": label, "files": [files.get(name) for name in names]} for label, files in rows],
    }


def place_text(size: int, folder: str) -> str:
    """Where the sounds of a gallery lie, and how many bytes they take, in words."""
    return f"{size / 1e6:.1f} MB in the folder {folder}, which belongs beside this page."


def sound_tables(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How near the music comes to what was heard, how its stems go together, and whether it keeps the class."""
    sounds = scores.get("sounds")
    if not sounds or not sounds["clips"]:
        return []
    tables = [_by_stem(sounds), _by_condition(sounds), _mix(sounds), _classes(sounds)]
    return [table for table in tables if table is not None]


def _by_stem(sounds: Mapping[str, Any]) -> dict[str, Any] | None:
    """Every stem and measure of the brain, or of the first condition there is."""
    name = next((name for name in (BRAIN, *sounds["reconstruction"]) if name in sounds["reconstruction"]), None)
    if name is None:
        return None
    order = list(MEASURES)
    found = sorted(sounds["reconstruction"][name], key=lambda row: order.index(row["measure"]))
    return {
        "title": f"{_where(sounds)}: how near the {_plain(name)}'s music comes to what was heard",
        "note": f"Means over {_clips(sounds)}, 95 % intervals over songs. Null: the same clips against another song's. "
        "Ceiling: what the codec makes of what was heard. n: clips; in those left out the heard stem is silent, or has "
        "no onset, pulse, key or pitch to agree with. Tempo counts half, double, third and triple as agreement, key "
        "has partial credit for related keys (MIREX); both are estimated on either side. SI-SDR compares waveforms, "
        "which nobody gives the generator: it is far below 0 for any music that is made anew.",
        "heads": ["measure", "stem", "mean", "95 % interval", "null", "ceiling", "n"],
        "rows": [
            [
                MEASURES[row["measure"]],
                row["stem"],
                _number(row["mean"]),
                _limits(row["ci95"]),
                _number(row["null"]),
                _number(row["ceiling"]),
                f"{row['n']}",
            ]
            for row in found
        ],
    }


def _by_condition(sounds: Mapping[str, Any]) -> dict[str, Any] | None:
    """The mix, and the melody's contour: one line for each condition, also for those that are absent."""
    if not sounds["reconstruction"] and not sounds["why"]:
        return None
    wanted = [(name, "melody" if name.startswith("melody") else MIX) for name in MEASURES]
    rows = []
    for condition, found in _codec_last(sounds["reconstruction"]).items():
        of = {(row["measure"], row["stem"]): row for row in found}
        rows.append([_title_of(condition), *(_beside(of.get(key)) for key in wanted)])
    best = " The codec is the ceiling of all that are generated." if CODEC in sounds["reconstruction"] else ""
    return {
        "title": f"{_where(sounds)}: the mix, beside its controls",
        "note": f"{_clips(sounds)}: mean [95 % over songs] (null). Contour and direction are the melody's. The stems "
        f"are in scores.json.{best}",
        "heads": ["condition", *(MEASURES[name] for name, _ in wanted)],
        "rows": [*rows, *_absent_rows(sounds, len(wanted))],
    }


def _mix(sounds: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the stems go together."""
    if not sounds["stems"]:
        return None
    rows = []
    for condition, found in sounds["stems"].items():
        of = by_measure(found)
        rows.append([_title_of(condition), *(_beside(of[name]) for name in MIX_HEADS)])
    floor = by_measure(next(iter(sounds["stems"].values())))["onset_coherence"]["floor"]
    return {
        "title": f"{_where(sounds)}: do the stems go together?",
        "note": f"{_clips(sounds)}: mean [95 % over songs] (null: each stem with the other stems of another song's "
        f"clip). Coherence of onsets from 0.5 to 8 Hz; unrelated noise has {floor:.2f}. Keys of the pitched stems, "
        "beats of those with a pulse. Loudness, true peak and masking (share of a stem more than 10 dB below the "
        "others) are of the plain sum, before the mixer.",
        "heads": ["condition", *MIX_HEADS.values()],
        "rows": rows,
    }


def _classes(sounds: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the class of what was heard is kept, and for what this cannot be said."""
    found = sounds["classes"]
    heads = ["class", "condition", "balanced accuracy [95 %]", "chance", "p", "oracle", "accuracy [95 %]", "n"]
    rows = [
        [
            row["kind"] + (f" ({row['by']})" if "by" in row else ""),
            _title_of(condition),
            with_limits(row["balanced_accuracy"], row["balanced_ci95"], 2),
            _number(row["balanced_chance"]),
            p_text(row["p_value"]),
            _number(row["oracle"]),
            with_limits(row["accuracy"], row["ci95"], 2),
            f"{row['n']} ({row['classes']} classes)",
        ]
        for condition, of in found.get("rows", {}).items()
        for row in of
    ]
    rows.sort(key=lambda row: row[0])
    rows += [[_plain(name), f"not measured: {why}", *[""] * (len(heads) - 2)] for name, why in found["why"].items()]
    title = f"{_where(sounds)}: is the class of the music kept?"
    return {"title": title, "note": _class_note(found, sounds["seed"]), "heads": heads, "rows": rows}


def _class_note(found: Mapping[str, Any], seed: int) -> str:
    if "note" in found:
        return str(found["note"])
    if not found.get("rows"):
        return "Classes are known of composed songs, and told by songs beside the heard ones."
    meaning = "; ".join(f"{kind}: {text}" for kind, text in found["meaning"].items())
    return (
        f"The truth is the composer's ({meaning}). The class of a sound is that of the {found['bank']} reference songs "
        "whose mean is nearest in the scorer's embedding. The line of what was heard, one window of each song, shows "
        "how good that is: where it is not above chance, the scorer hears no such class and the other lines say "
        f"nothing. All clips that were scored with seed {seed}; p by exchanging whole songs, not corrected for the "
        "number of lines."
    )


def _where(sounds: Mapping[str, Any]) -> str:
    ratio = "" if sounds["snr_db"] is None else f" ({sounds['snr_db']:g} dB)"
    return f"{sounds['level']}{ratio}"


def _clips(sounds: Mapping[str, Any]) -> str:
    count = sounds["listeners"]
    listeners = "" if count is None else f" by {count} listener" + ("" if count == 1 else "s")
    return f"{sounds['clips']} clips of {sounds['songs']} songs{listeners}, seed {sounds['seed']}"


def _codec_last(rows: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rows[name] for name in sorted(rows, key=lambda name: name == CODEC)}


def _absent_rows(sounds: Mapping[str, Any], width: int) -> list[list[str]]:
    return [[_title_of(name), f"not measured: {why}", *[""] * (width - 1)] for name, why in sounds["why"].items()]


def _title_of(condition: str) -> str:
    return "what was heard" if condition == HEARD else _plain(condition)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _beside(row: Mapping[str, Any] | None) -> str:
    """Mean with its interval, and its null where there is one."""
    if row is None or row["mean"] is None:
        return ABSENT
    return with_limits(row["mean"], row["ci95"], 2) + ("" if row["null"] is None else f" ({_number(row['null'])})")


def _number(value: float | None) -> str:
    # Adding 0 takes the sign from a zero.
    return ABSENT if value is None else f"{round(value, 2) + 0.0:.2f}"


def _limits(interval: Sequence[float] | None) -> str:
    return ABSENT if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"
