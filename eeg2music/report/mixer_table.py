"""What the mixer found and did, as a table of a page: every estimate beside how sure it is. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eeg2music.report import words

HEADS = [
    "stem", "key as made", "fit", "beats per minute", "regularity", "semitones moved", "times the tempo",
    "made at (LUFS)", "gain (dB)",
]  # fmt: skip


def mixer_table(mixer: Mapping[str, Any]) -> dict[str, Any]:
    """What was done to each stem, and why."""
    done = mixer["corrections"] or ["No key or tempo was changed"]
    rows = [
        [
            name,
            *_estimate(row["key"], row["key_fit"], row["key_is_clear"], "key"),
            *_estimate(_beats(row["tempo_bpm"]), row["tempo_confidence"], row["tempo_is_clear"], "beat"),
            f"{row['transposed_semitones']:+g}",
            f"{row['tempo_factor']:g}",
            f"{row['loudness_lufs']:.1f}",
            f"{row['gain_db']:+.1f}",
        ]
        for name, row in mixer["stems"].items()
    ]
    said = "".join(f"{text}. " for text in (*done, *mixer["left_alone"], *mixer["notes"]))
    return {
        "title": "The mixer",
        "note": f"{said}{_limiting(mixer)} {_by_chance(mixer)}",
        "heads": HEADS,
        "rows": rows,
    }


def _beats(tempo_bpm: float | None) -> str | None:
    return None if tempo_bpm is None else f"{tempo_bpm:.1f}"


def _estimate(found: str | None, surety: float, clear: bool, what: str) -> tuple[str, str]:
    """What was found and how sure it is, as two cells."""
    if found is None:
        return "–", "–"
    return found if clear else f"no clear {what} (nearest: {found})", f"{surety:.2f}"


def _limiting(mixer: Mapping[str, Any]) -> str:
    text = words.LIMITED if mixer["limiter_db"] > 0 else words.NOT_LIMITED
    return text.format(gain=mixer["gain_db"], limiter=mixer["limiter_db"], peak=mixer["true_peak_dbtp"])


def _by_chance(mixer: Mapping[str, Any]) -> str:
    chance = mixer["by_chance"]
    return words.ESTIMATES.format(key=chance["key_fit"], tempo=chance["tempo_confidence"])
