"""A paragraph of scores for a model card: what was tested, on what, against which controls, and what it cannot say.

Takes the scores of `eeg2music evaluate` (identification) or of `eeg2music score`. Computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eeg2music.errors import InputError
from eeg2music.evaluation.config import BRAIN
from eeg2music.evaluation.tables import DISAGREE, POOLED, is_circular, limits, marked_p, number, styles_text
from eeg2music.report.words import NO_FINDING

CARD_FILE = "card.md"
HEADS = ("condition", "pairwise (chance 0.5)", "95 % interval", "p", "top-1 (chance)", "n", "gallery", "seeds")
KINDS = {"embedding": "decoded embedding", "generated": "generated music"}
Scores = Mapping[str, Any]


def card_snippet(scores: Scores) -> str:
    """Markdown for a model card.

    Parameters
    ----------
    scores : what scores.json of `evaluate` (identification) or of `score` holds

    Raises
    ------
    InputError
        For scores of another kind.
    """
    if "levels" in scores:
        parts = _of_levels(scores)
    elif scores.get("kind") == "outside":
        parts = _of_outside(scores)
    else:
        raise InputError(
            f"Scores of the kind {scores.get('kind')!r}", allowed="those of an identification, or of `eeg2music score`"
        )
    return "\n\n".join(["## Evaluation", *parts]) + "\n"


def _of_levels(scores: Scores) -> Iterator[str]:
    recorded = scores.get("material") == "prepared"
    source = "the recordings of a prepared cache" if recorded else "simulated EEG"
    yield (
        f"Checkpoint `{scores['checkpoint_sha256'][:12]}`: which song was heard, decoded from {source}. A query is "
        "looked for among the gallery; pairwise is the share of wrong candidates that the right one beats."
    )
    for level in scores["levels"]:
        yield _level(level)
        yield from _tables(level)
    circular = "also conditions: circular, too, and no independent measure. It"
    judge = circular if is_circular(scores) else "conditions nothing and"
    yield (
        "**Independence.** The decoded embedding is scored in the space that conditions the generator: circular by "
        "nature, and no measure of the music. The generated music is scored by an encoder "
        f"(`{scores['scorer_sha256'][:12]}`) that {judge} shares no song with the other models. No model was trained "
        "on a scored song or listener, by the names in their training manifests."
    )
    limits_known = [
        f"{POOLED} p-values are uncorrected. Below ten, listeners are fixed: nothing is said about other listeners."
    ]
    if not recorded:
        limits_known.append("Simulated recordings follow the simulator's assumptions; nothing is said about people.")
    if any(level["style"] not in (None, "mixed") for level in scores["levels"]):
        limits_known.append("All songs of a level share one style: nothing is said about other styles.")
    limits_known += [*_power(scores), DISAGREE]
    yield "**Limits.** " + " ".join(limits_known)
    yield from _stamps((*scores["surprises"], *scores.get("warnings", ())), "Not as expected")
    yield from _stamps((*scores["stamps"], *scores["remarks"]), "Stamps and remarks")


def _level(level: Scores) -> str:
    ratio = "" if level["snr_db"] is None else f" ({level['snr_db']:g} dB)"
    people = f"{len(level['subjects'])} {'recorded' if level['snr_db'] is None else 'simulated'} listeners"
    return f"### {level['name']}{ratio}\n\n{people}, {len(level['gallery'])} songs, {styles_text(level)}."


def _tables(level: Scores) -> Iterator[str]:
    for kind, title in KINDS.items():
        rows, absent = [], []
        for name, of in level["scores"].items():
            seeds = [entry["seed"] for entry in of["seeds"] if entry.get(kind)]
            pooled = of["pooled"][kind] if seeds else None
            if pooled is not None and (name, kind) != NO_FINDING:
                rows.append(_row(name.replace("_", " "), pooled, seeds))
            elif not of["seeds"]:
                absent.append(f"{name.replace('_', ' ')}: not measured, {of['why']}.")
        if rows:
            yield "\n\n".join([f"**{title.capitalize()}**", _markdown(rows), *absent])


def _row(name: str, score: Scores, seeds: Sequence[int]) -> list[str]:
    return [
        name,
        number(score["accuracy"]),
        limits(score["ci95"]),
        marked_p(score["p_value"], score["ci95"], score["chance"]),
        f"{number(score['top1'])} ({1.0 / score['gallery_size']:.3f})",
        f"{score['n']}",
        f"{score['gallery_size']}",
        ", ".join(map(str, seeds)),
    ]


def _of_outside(scores: Scores) -> Iterator[str]:
    manifest, loudness = scores["manifest"], scores["loudness"]
    declared = f"; declared: {loudness['declared']}" if loudness["declared"] else ""
    yield (
        f"{manifest['rows']} generated clips of `{manifest['name']}` (SHA-256 `{manifest['sha256'][:12]}`), scored by "
        f"{', '.join(scores['embeddings'])}. Loudness {loudness['handling']}{declared}."
    )
    rows, apart = [], []
    for condition, spaces in scores["scores"].items():
        for name, of in spaces.items():
            if of["identification"]:
                rows.append(_row(f"{condition}, {name}", of["identification"], [scores["seed"]]))
            if of["distances"]:
                apart.append(f"- {condition}, {name}: {_distance(of['distances'])}")
    if rows:
        yield "**Which song was heard**\n\n" + _markdown(rows)
    if apart:
        yield f"**Distance from the music of {scores['reference']!r}**\n\n" + "\n".join(apart)
    answers = {
        True: "conditioned these clips: circular",
        False: "conditioned none of these clips",
        None: "not declared",
    }
    told = "; ".join(f"{name}: {answers[of['circular']]}" for name, of in scores["embeddings"].items())
    yield f"**Independence.** {told[:1].upper()}{told[1:]}. What nobody declared cannot be seen."
    yield (
        "**Limits.** Intervals are over works (songs, where no work is declared), and over listeners from ten on. What "
        f"the generator was trained on is not known here, so that a leak cannot be excluded.{' ' if rows else ''}"
        f"{DISAGREE if rows else ''}"
    )
    yield from _stamps(scores["surprises"], "Controls not as expected")
    yield from _stamps((*scores["stamps"], *scores["warnings"]), "Stamps and warnings")


def _distance(found: Scores) -> str:
    values = [f"{label} {found[key]:.4g}" for label, key in {"FAD": "frechet", "KAD": "kernel"}.items() if key in found]
    if found.get("kernel_ci95"):
        values[-1] += f" ({limits(found['kernel_ci95'])})"
    few = "" if found["enough"] else ", too few songs for FAD"
    return f"{', '.join(values)} ({found['songs']} songs, {found['n']} clips, references {found['n_reference']}{few})"


def _power(scores: Scores) -> list[str]:
    """What the scored songs can and cannot show, of the last kind that was scored of the brain."""
    for level in scores["levels"]:
        for kind in reversed(KINDS):
            score = level["scores"].get(BRAIN, {}).get("pooled", {}).get(kind)
            if score:
                return [f"At {level['name']}, {KINDS[kind]}: {score['power']}"]
    return []


def _stamps(texts: Sequence[str], title: str) -> Iterator[str]:
    if texts:
        yield f"**{title}.**\n\n" + "\n".join(f"- {text}" for text in texts)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
