"""Plain sentences: the few lines a command prints at its end, and the warnings of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.simulation.calibration import SINGLE_ELECTRODE_SNR_DB

SIMULATED = (
    "The brain encoder was trained on simulated brains only. On a recording of a person it has never been shown to "
    "decode what was heard: take this music as a sonification of the recording."
)
TRAINED = (
    "The brain encoder was trained on {listeners} hearing {pieces}{whose}. How well it decodes a recording of somebody "
    "else has to be measured: until then, take this music as a sonification of the recording."
)
UNKNOWN_TRAINING = (
    "Nothing is known of what the brain encoder was trained on: take this music as a sonification of the recording."
)
# Filled in with the levels of one demonstration.
DEMO = (
    "The listener is simulated, at an SNR of {snr:g} dB at an electrode. By what a learned weighting of 64 channels "
    "finds in them, recordings of people lie near {real:g} dB on that scale (by the best single electrode, near "
    f"{SINGLE_ELECTRODE_SNR_DB:g} dB): these scores are not a result on people."
)
# What an identification by "embedding" compares.
EMBEDDING = "mean cosine over the mix and the four stems"

# Without conditions every song ties in the conditioning space: that it scores 0.5 is no finding.
NO_FINDING = ("no_brain", "embedding")
NO_EMBEDDING = (
    "Without a brain there is no embedding that could be compared: every song ties, which counts as chance by rule and "
    "is no measurement."
)
GENERATED_ONLY = (
    "Generated here, {clips} clips each: {generated}. The other controls are scored by their embedding alone "
    "(above); `eeg2music evaluate configs/eval/mini.yaml` generates from all of them."
)
NOT_GENERATED = "not generated here"
DIFFICULTY = (
    "The demonstration is far easier than a recording of a person. The embedding is scored at every level; clips are "
    "generated at {snr:g} dB only, so that their score is one point."
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
NO_REGIONS = (
    "Too few good electrodes have a known position: all stems follow one decoding of the whole recording, which tells "
    "much less of what was heard."
)
NO_WEIGHTS = "This brain encoder has no spatial filters by region that could be drawn."
SPECTROGRAMS = (
    "Stems before the mixer; mixes as played, the mean of left and right. Brighter is louder, from -80 to -15 dB of "
    "full scale."
)
_CURVES = (
    "What the encoder reads off the recording for each stem, 32 times a second, without a unit: how strongly sounds "
    "begin, how loud and how bright they are. The generator follows these. "
)
CURVES_ALONE = f"{_CURVES}What was heard is not known here."
CURVES_BESIDE = f"{_CURVES}Grey: the same read off the song as it was heard, which the encoder is not given."
STEMS = "Keys and tempi as the mixer left them; its gain, fades, pan and limiter are in the mix alone."
STEMS_QUIETER = (
    "All stems were made quieter by the factor {gain:.3f} ({decibels:+.1f} dB), so that none clips: their balance is "
    "kept, and the mix is made without this."
)
NONE_LEFT_OUT = "No channel was left out, and none is bad."
ESTIMATES = (
    "Key and tempo are estimates. Fit: correlation with the key's profile; of random notes one clip in twenty fits "
    "some key by {key:.2f} or more. Regularity of the pulse: 0 to 1; random onsets reach {tempo:.2f} as often in a "
    "clip of this length. What lies below is not clear. A clear key need not be that of what was heard."
)
LIMITED = (
    "The mix was raised by {gain:+.1f} dB, and its highest peaks were turned down by up to {limiter:.1f} dB, to a true "
    "peak of {peak:.1f} dBTP."
)
NOT_LIMITED = "The mix was raised by {gain:+.1f} dB; nothing was limited (true peak {peak:.1f} dBTP)."
GIVEN_SHORTER = "The given {name} ends after {seconds:.2f} s; silence follows."


def training_line(manifest: Mapping[str, Any] | None) -> str:
    """What is to be said about an encoder's training. `manifest`: its training manifest, as far as there is one."""
    if not manifest or not (manifest.get("subjects") or manifest.get("songs") or "simulated" in manifest):
        return UNKNOWN_TRAINING
    if manifest.get("simulated"):
        return SIMULATED
    return TRAINED.format(
        listeners=_counted(manifest.get("subjects"), "listener"),
        pieces=_counted(manifest.get("songs"), "piece"),
        whose=_whose(manifest),
    )


def _whose(manifest: Mapping[str, Any]) -> str:
    if "simulated" not in manifest:
        return " (whether simulated or people, its manifest does not say)"
    return ", some or most of them simulated" if manifest.get("simulated_before") else ""


def _counted(names: Sequence[str] | None, noun: str) -> str:
    if not names:
        return f"{noun}s it does not name"
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


def score_line(name: str, score: Mapping[str, Any] | None) -> str:
    """One score with its interval, chance, n and gallery."""
    if not score or score.get("accuracy") is None:
        return f"  {name:<18} not measured"
    low, high = score["ci95"]
    return (
        f"  {name:<18} pairwise {score['accuracy']:.2f} [{low:.2f}, {high:.2f}]  top-1 {score['top1']:.2f}  "
        f"p {score['p_value']:.3g}  (n {score['n']}, gallery {score['gallery_size']}, chance {score['chance']:.2f})"
    )


def made_in(report: Mapping[str, Any]) -> str:
    """How long the music took, from the recording to the files; loading the models does not count."""
    factor = report["real_time_factor"]
    return f"made in {factor * report['duration_s']:.1f} s, {factor:.2f} times its duration (real-time factor)"


def embedding_lines(entries: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """A line for each condition's embedding score."""
    return [
        f"  {name:<18} no embedding: without a brain every song ties"
        if (name, "embedding") == NO_FINDING
        else score_line(name, score)
        for name, score in entries.items()
    ]


def sound_lines(report: Mapping[str, Any], folder: Path) -> list[str]:
    """Where the sound lies, and how long it took to make."""
    clips = report.get("clips")
    where = f"{folder / 'clips'}: {len(clips)} clips, " if clips else f"{folder / str(report['mix'])}: "
    return [
        f"{where}{report['duration_s']:.1f} s, {report['loudness_lufs']:.1f} LUFS, {made_in(report)}",
        f"{folder / 'report.html'}: open it to listen and compare with the same seed without the brain",
    ]


def generate_summary(report: Mapping[str, Any], folder: Path) -> str:
    """What `generate` prints at its end, for one clip or for those of a prepared cache."""
    return "\n".join([*report.get("notes", []), *report["warnings"], *sound_lines(report, folder)])


def demo_summary(report: Mapping[str, Any], folder: Path) -> str:
    """What `demo` prints at its end."""
    lines = [f"Which of the songs was heard? (embedding: the conditions as decoded, {EMBEDDING})"]
    lines.append(score_line("brain", report["identification"]["embedding"]))
    lines += embedding_lines({name: control["embedding"] for name, control in report["controls"].items()})
    absent = [name.replace("_", " ") for name, control in report["controls"].items() if control["generated"] is None]
    lines.append("The same after generation, judged by the separate scorer")
    lines.append(score_line("brain", report["identification"]["generated"]))
    lines += [
        score_line(name, control["generated"])
        for name, control in report["controls"].items()
        if control["generated"] is not None
    ]
    lines += [f"  {NOT_GENERATED}: {', '.join(absent)}"] if absent else []
    return "\n".join([*lines, *report["warnings"], *sound_lines(report, folder)])


def evaluation_summary(scores: Mapping[str, Any], folder: Path) -> str:
    """What `evaluate` prints at its end."""
    lines = []
    for level in scores["levels"]:
        # Nobody knows the ratio of recordings.
        name = level["name"] if level["snr_db"] is None else f"{level['name']} ({level['snr_db']:g} dB)"
        lines.append(f"{name}, embedding ({EMBEDDING})")
        # The codec has clips and no embedding.
        embedded = {of: entry for of, entry in level["scores"].items() if entry["embedding"] or "why" in entry}
        lines += embedding_lines({condition: entry["embedding"] for condition, entry in embedded.items()})
        generated = {of: entry["generated"] for of, entry in level["scores"].items() if entry.get("generated")}
        if generated:
            lines.append(f"{name}, generated")
            lines += [score_line(condition, entry) for condition, entry in generated.items()]
    said = [text for key in ("stamps", "remarks", "surprises") for text in scores.get(key, [])]
    lines += [f"  ! {text}" for text in said]
    return "\n".join([*lines, f"{folder / 'report.html'}", f"{folder / 'scores.json'}"])
