"""What a second stage of training may begin with: weights that never met what is held out now."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from eeg2music.errors import CheckpointError, LeakError
from eeg2music.files import read_json
from eeg2music.training.task import MANIFEST_FILE


def refuse_known(folder: Path, songs: Collection[str], subjects: Collection[str] = ()) -> None:
    """Refuse weights that were trained on songs or people that are held out now.

    Raises
    ------
    CheckpointError
        If the folder does not say what they were trained on.
    LeakError
    """
    if not (folder / MANIFEST_FILE).is_file():
        raise CheckpointError(f"The model in {folder} does not say what it was trained on")
    met = read_json(folder / MANIFEST_FILE)
    for what, held_out in (("songs", songs), ("subjects", subjects)):
        both = sorted(set(held_out) & set(met.get(what) or ()))
        if both:
            raise LeakError(
                f"The model in {folder} was trained on {len(both)} {what} held out here: {', '.join(both[:5])}",
                remedy=f"hold out the same {what} as there",
            )
