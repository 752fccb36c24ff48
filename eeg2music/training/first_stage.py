"""What a second stage of training may begin with: weights that never met what is held out now."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from eeg2music.errors import CheckpointError, LeakError
from eeg2music.files import read_json
from eeg2music.training.task import MANIFEST_FILE


def refuse_known(folder: Path, held_out: Collection[str]) -> None:
    """Refuse weights that were trained on songs which are held out now.

    Raises
    ------
    CheckpointError
        If the folder does not say what they were trained on.
    LeakError
    """
    if not (folder / MANIFEST_FILE).is_file():
        raise CheckpointError(f"The model in {folder} does not say what it was trained on")
    both = sorted(set(held_out) & set(read_json(folder / MANIFEST_FILE)["songs"]))
    if both:
        raise LeakError(
            f"The model in {folder} was trained on {len(both)} songs held out here: {', '.join(both[:5])}",
            remedy="hold out the same songs as there",
        )
