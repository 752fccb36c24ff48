"""Refuses to score models on what they were trained on, or with a judge that is not independent.

Goes by the names in the models' training manifests, and by the hashes of the audio where both sides have them: a copy
of a song under another name is then known too. A model without a manifest is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eeg2music.errors import CheckpointError, LeakError
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.splits import SCHEMA, Manifest, refuse_fitted_across, refuse_leaks
from eeg2music.files import sha256_file, sha256_json
from eeg2music.weights import FITTED, MANIFEST_NAME, read_manifest

MODELS = ("encoder", "diffusion", "clap", "codec", "scorer")
JUDGE = "scorer"
KINDS = ("song", "work", "subject")


def refuse_known(folder: Path, heard: Heard, further: Iterable[str] = ()) -> None:
    """Raise unless no model knows what is scored, and the scorer knows nothing of what the others were trained on.

    Parameters
    ----------
    folder : of the models
    further : songs that are used beside those of `heard`

    Raises
    ------
    LeakError
        If a model was trained, or its best state chosen, on a song (by its name or its audio), a work or a listener
        that is scored, or the scorer on a song of another model.
    CheckpointError
        If a model does not say what it was trained on.
    """
    check_split(folder, scored_side(heard, further))


def scored_side(heard: Heard, further: Iterable[str] = ()) -> Manifest:
    """What is scored: songs with their works and audio, and listeners. `further`: songs that are used beside those."""
    return Manifest(
        frozenset((*heard.songs, *further)),
        heard.works,
        subjects=frozenset(heard.query_subjects),
        stimuli=heard.stimuli,
    )


def check_split(folder: Path, test: Manifest, *, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """As `refuse_known`, from manifests; returns the split that passed, for JSON.

    What scalers and statistics of the models were fitted on is held against the test side too.

    Parameters
    ----------
    more : further entries of the split

    Returns
    -------
    {"test": what is scored, "models": {name: hash of its training manifest, how many songs and listeners it knows,
    trained on and chosen by, and what it says was fitted by itself}, "checked": kinds of overlap that were excluded,
    "by_name_alone": models whose songs could not be compared by the hashes of their audio, …}
    """
    missing = [name for name in MODELS if not (folder / name / MANIFEST_NAME).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} does not say what was trained on: {MANIFEST_NAME} is missing in {', '.join(missing)}",
            allowed=f"a {MANIFEST_NAME} beside the weights of {', '.join(MODELS)}",
            remedy="copy the whole exported folder of each training",
        )
    told = {name: read_manifest(folder / name) for name in MODELS}
    seen = {name: _seen(values) for name, values in told.items()}
    for name in MODELS:
        refuse_leaks(seen[name], test, kinds=KINDS)
        for what, fitted_on in _fitted(told[name]).items():
            refuse_fitted_across(fitted_on, test, what=f"{what} of the {name}", kinds=KINDS)
    for name in MODELS:
        shared = sorted(seen[name].songs & seen[JUDGE].songs or seen[name].stimuli & seen[JUDGE].stimuli)
        if name != JUDGE and shared:
            raise LeakError(
                f"The {JUDGE} and the {name} were trained on {len(shared)} songs together, such as {shared[0]}",
                allowed=f"disjoint songs, so that the {JUDGE} is independent",
                remedy=f"train the {JUDGE} on songs of another song_seed",
            )
    unhashed = _by_name_alone(seen, test)
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "by": "song and subject",
        "checked": sorted(KINDS if unhashed else (*KINDS, "stimulus")),
        "by_name_alone": unhashed,
        "passed": True,
        "independent_judge": JUDGE,
        "models": {
            name: {**_side(folder / name / MANIFEST_NAME, seen[name]), "fitted": sorted(_fitted(told[name]))}
            for name in MODELS
        },
        "test": test.to_dict(),
        **(more or {}),
    }
    return {**body, "sha256": sha256_json(body)}


def trained_on(model: Path) -> Manifest:
    """What one model was trained on, and its best state chosen on. model : its folder.

    Raises
    ------
    CheckpointError
        If it does not say.
    """
    if not (model / MANIFEST_NAME).is_file():
        raise CheckpointError(
            f"{model} does not say what it was trained on",
            allowed=f"a {MANIFEST_NAME} beside the weights",
            remedy="copy the whole exported folder of the training",
        )
    return _seen(read_manifest(model))


def _side(file: Path, seen: Manifest) -> dict[str, Any]:
    return {"manifest_sha256": sha256_file(file), "songs": len(seen.songs), "subjects": len(seen.subjects)}


def _fitted(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """{what: what it was fitted on}, as the manifest says; manifests of earlier versions say nothing."""
    return dict(values.get(FITTED) or {})


def _by_name_alone(seen: Mapping[str, Manifest], test: Manifest) -> list[str]:
    """Models of which not every song has a hash; all of them where what is scored has none.

    Copies in one training have one hash, so that such a model may be named although all of its songs were hashed.
    """
    if len(test.stimuli) < len(test.songs):
        return list(seen)
    return [name for name, met in seen.items() if len(met.stimuli) < len(met.songs)]


def _seen(values: Mapping[str, Any]) -> Manifest:
    """Songs, their audio, and listeners of the training, and those that its best state was chosen on."""
    trained = Manifest.from_dict(values)
    valid = values.get("valid")
    chosen = Manifest.from_dict({"songs": [], **(valid if isinstance(valid, Mapping) else {})})
    works = {**chosen.works, **trained.works}
    return Manifest(
        trained.songs | chosen.songs,
        works,
        subjects=trained.subjects | chosen.subjects,
        stimuli=trained.stimuli | chosen.stimuli,
    )
