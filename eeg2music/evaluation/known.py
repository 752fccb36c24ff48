"""Refuses to score models on what they were trained on, or with a judge that is not independent.

Goes by the names in the models' training manifests, so that a model without one is refused too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eeg2music.errors import CheckpointError, LeakError
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.files import read_json

MODELS = ("encoder", "diffusion", "clap", "codec", "scorer")
JUDGE = "scorer"
MANIFEST = "training_manifest.json"


def refuse_known(folder: Path, heard: Heard, further: Iterable[str] = ()) -> None:
    """Raise unless no model knows what is scored, and the scorer knows nothing of what the others were trained on.

    Parameters
    ----------
    folder : of the models
    further : songs that are used beside those of `heard`

    Raises
    ------
    LeakError
        If a model was trained, or its best state chosen, on a song or a listener that is scored, or the scorer on a
        song of another model.
    CheckpointError
        If a model does not say what it was trained on.
    """
    missing = [name for name in MODELS if not (folder / name / MANIFEST).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} does not say what was trained on: {MANIFEST} is missing in {', '.join(missing)}",
            allowed=f"a {MANIFEST} beside the weights of {', '.join(MODELS)}",
            remedy="copy the whole exported folder of each training",
        )
    test = Manifest(songs=frozenset((*heard.songs, *further)), subjects=frozenset(heard.query_subjects))
    seen = {name: _seen(read_json(folder / name / MANIFEST)) for name in MODELS}
    for manifest in seen.values():
        refuse_leaks(manifest, test, kinds=("song", "work", "subject"))
    for name in MODELS:
        shared = sorted(seen[name].songs & seen[JUDGE].songs)
        if name != JUDGE and shared:
            raise LeakError(
                f"The {JUDGE} and the {name} were trained on {len(shared)} songs together, such as {shared[0]}",
                allowed=f"disjoint songs, so that the {JUDGE} is independent",
                remedy=f"train the {JUDGE} on songs of another song_seed",
            )


def _seen(values: Mapping[str, Any]) -> Manifest:
    """Songs and listeners of the training, and those that its best state was chosen on."""
    trained = Manifest.from_dict(values)
    valid = values.get("valid")
    if not isinstance(valid, Mapping):
        return trained
    chosen = Manifest.from_dict({"songs": [], **valid})
    return Manifest(trained.songs | chosen.songs, trained.works, subjects=trained.subjects | chosen.subjects)
