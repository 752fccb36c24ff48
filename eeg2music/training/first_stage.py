"""What a second stage of training may begin with, and what was spent on it before.

Weights that never met what is held out now. Trains nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from eeg2music.errors import CheckpointError, LeakError
from eeg2music.files import read_json
from eeg2music.weights import FITTED, MANIFEST_NAME

# Lists of a training manifest that grow from stage to stage.
LISTED = ("songs", "subjects", "stimuli")


def refuse_known(
    folder: Path,
    songs: Collection[str],
    subjects: Collection[str] = (),
    works: Mapping[str, str] | None = None,
    stimuli: Collection[str] = (),
) -> None:
    """Refuse weights that were trained on songs or people that are held out now.

    Parameters
    ----------
    works : {song: work} as declared; the manifest's own go with it, so that another version of a work is known too
    stimuli : hashes of the songs' audio, so that a copy under another name is known too, where the manifest has hashes

    Raises
    ------
    CheckpointError
        If the folder does not say what they were trained on.
    LeakError
    """
    if not (folder / MANIFEST_NAME).is_file():
        raise CheckpointError(f"The model in {folder} does not say what it was trained on")
    met = read_json(folder / MANIFEST_NAME)
    work_of = {**(met.get("works") or {}), **(works or {})}
    of_songs, of_known = ({work_of.get(song, song) for song in side} for side in (songs, met.get("songs") or ()))
    for what, held_out, known in (
        ("songs", songs, met.get("songs")),
        ("works", of_songs, of_known),
        ("stimuli", stimuli, met.get("stimuli")),
        ("subjects", subjects, met.get("subjects")),
    ):
        both = sorted(set(held_out) & set(known or ()))
        if both:
            raise LeakError(
                f"The model in {folder} was trained on {len(both)} {what} held out here: {', '.join(both[:5])}",
                remedy=f"hold out the same {what} as there",
            )


def fitted_before(folder: str | Path | None) -> dict[str, Any]:
    """What the manifest in `folder` says of the songs that statistics were measured on, for one that keeps them.

    Empty where it says nothing.
    """
    file = None if folder is None else Path(folder) / MANIFEST_NAME
    told = read_json(file).get(FITTED) if file is not None and file.is_file() else None
    return {FITTED: told} if told else {}


def with_earlier(manifest: Mapping[str, Any], folder: str | Path | None) -> dict[str, Any]:
    """The manifest of a stage, with the songs, works, audio and people that the weights in `folder` had met before it.

    Weights do not forget: a test on songs of the first stage alone would be no test. What was held out before counts
    as held out, unless it is trained on now: states were chosen by it. "simulated_before" says that recordings of
    people came after simulated ones.
    """
    file = None if folder is None else Path(folder) / MANIFEST_NAME
    if file is None or not file.is_file():
        return dict(manifest)
    before = read_json(file)
    joined = {**manifest, **_joined(manifest, before)}
    if manifest.get("simulated") is False and (before.get("simulated") or before.get("simulated_before")):
        joined["simulated_before"] = True
    held_out, then = manifest.get("valid") or {}, before.get("valid") or {}
    valid = {**held_out, **_joined(held_out, then)}
    for what in LISTED:
        if what in valid:
            valid[what] = sorted(set(valid[what]) - set(joined.get(what) or ()))
    return {**joined, "valid": valid} if valid else joined


def _joined(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    lists = {
        what: sorted({*(now.get(what) or ()), *(before.get(what) or ())})
        for what in LISTED
        if what in now or what in before
    }
    works = {**(before.get("works") or {}), **(now.get("works") or {})}
    return {**lists, "works": works} if works else lists


def stages_until(folder: str | Path | None) -> list[dict[str, Any]]:
    """The finished stages of training that led to the weights in `folder`, first to last; none where it is None.

    A folder that says nothing of its training (the weights of somebody else) is a stage of which nothing is known.
    """
    if folder is None:
        return []
    file = Path(folder) / MANIFEST_NAME
    if not file.is_file():
        return [{}]
    manifest = read_json(file)
    return [*earlier_stages(manifest), stage_of(manifest)] if "config" in manifest else [{}]


def earlier_stages(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The stages before the last, first to last. A manifest that does not list them may tell that there were some."""
    begun_with_weights = manifest["config"]["task"].get("start_from") is not None
    return list(manifest.get("stages", [{}] if begun_with_weights else []))


def stage_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a card says about one stage, from the manifest of its run."""
    train = manifest["config"]["train"]
    return {
        "steps": manifest["step"],
        "batch_size": train["batch_size"],
        "seconds": manifest["seconds"],
        "processes": manifest.get("processes", 1),
        "hardware": manifest["hardware"],
    }
