"""Plain sentences: the few lines a command prints at its end, and the warnings of a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

SIMULATED = (
    "The small models that ship were trained on simulated brains only. On a recording of a person they have never "
    "been shown to decode what was heard: take this music as a sonification of the recording."
)
DEMO = (
    "The listener is simulated, at an SNR of {snr:g} dB at an electrode. By what a learned weighting of 64 channels "
    "finds in them, recordings of people lie near {real:g} dB on that scale (by the best single electrode, near "
    "-27.3 dB): these scores are not a result on people."
)


OTHER_KIND = (
    "The recording is {recorded}, and the brain encoder was trained on {trained}: it has never met such signals, and "
    "what it decodes from them has not been tested."
)
LISTENER_KNOWN = (
    "The recording's subject label is one that the brain encoder was trained on, and what it learned of that person "
    "was used. A person of another study with the same label would be taken for them."
)
STEMS_GIVEN = "Given, not generated: {names}. Keys and tempi were left as they are."
STEMS_ABSENT = "Left out by choice: {names}."
REGION_WEIGHTS = (
    "How strongly the brain encoder's trained spatial filters of each region weigh each electrode (root mean square "
    "over the region's filters, relative to its strongest electrode). What later layers make of it is not shown. "
    "Crosses are bad channels, which take no part."
)
NO_REGIONS = "Too few good electrodes have a known position: all stems follow one decoding of the whole recording."
NO_WEIGHTS = "This brain encoder has no spatial filters by region that could be drawn."
KINDS = {"eeg": "scalp EEG", "ieeg": "intracranial EEG", "meg": "MEG"}


def score_line(name: str, score: Mapping[str, Any] | None) -> str:
    """One score with its interval, chance, n and gallery."""
    if not score or score.get("accuracy") is None:
        return f"  {name:<18} not measured"
    low, high = score["ci95"]
    return (
        f"  {name:<18} pairwise {score['accuracy']:.2f} [{low:.2f}, {high:.2f}]  top-1 {score['top1']:.2f}  "
        f"p {score['p_value']:.3g}  (n {score['n']}, gallery {score['gallery_size']}, chance {score['chance']:.2f})"
    )


def sound_lines(report: Mapping[str, Any], folder: Path) -> list[str]:
    """Where the sound lies, and how long it took to make."""
    clips = report.get("clips")
    where = f"{folder / 'clips'}: {len(clips)} clips, " if clips else f"{folder / str(report['mix'])}: "
    return [
        f"{where}{report['duration_s']:.1f} s, {report['loudness_lufs']:.1f} LUFS, "
        f"made in {report['real_time_factor']:.2f} of its duration",
        f"{folder / 'report.html'}: open it to listen and compare with the same seed without the brain",
    ]


def generate_summary(report: Mapping[str, Any], folder: Path) -> str:
    """What `generate` prints at its end, for one clip or for those of a prepared cache."""
    return "\n".join([*report.get("notes", []), *report["warnings"], *sound_lines(report, folder)])


def demo_summary(report: Mapping[str, Any], folder: Path) -> str:
    """What `demo` prints at its end."""
    lines = ["Which of the songs was heard? (embedding space: the conditions as decoded)"]
    lines.append(score_line("brain", report["identification"]["embedding"]))
    lines += [score_line(name, control["embedding"]) for name, control in report["controls"].items()]
    lines.append("The same after generation, judged by the separate scorer")
    lines.append(score_line("brain", report["identification"]["generated"]))
    lines += [
        score_line(name, control["generated"])
        for name, control in report["controls"].items()
        if control["generated"] is not None
    ]
    return "\n".join([*lines, *report["warnings"], *sound_lines(report, folder)])


def evaluation_summary(scores: Mapping[str, Any], folder: Path) -> str:
    """What `evaluate` prints at its end."""
    lines = []
    for level in scores["levels"]:
        # Nobody knows the ratio of recordings.
        name = level["name"] if level["snr_db"] is None else f"{level['name']} ({level['snr_db']:g} dB)"
        lines.append(f"{name}, embedding")
        # The codec has clips and no embedding.
        embedded = {of: entry for of, entry in level["scores"].items() if entry["embedding"] or "why" in entry}
        lines += [score_line(condition, entry["embedding"]) for condition, entry in embedded.items()]
        generated = {of: entry["generated"] for of, entry in level["scores"].items() if entry.get("generated")}
        if generated:
            lines.append(f"{name}, generated")
            lines += [score_line(condition, entry) for condition, entry in generated.items()]
    said = [text for key in ("stamps", "remarks", "surprises") for text in scores.get(key, [])]
    lines += [f"  ! {text}" for text in said]
    return "\n".join([*lines, f"{folder / 'report.html'}", f"{folder / 'scores.json'}"])
