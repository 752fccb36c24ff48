"""Which scores feel the conditions that the generator is given, and so rise without anything being understood.

The generator follows curves of onset strength, loudness and brightness for each stem. What measures one of these is no
independent judge: it is kept out of the scorer's embedding, or named here as a followed condition. Measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeg2music.types import CURVES

# Of each score: which curves it measures as such, and which it can hear in the sound.
FOLLOWED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "embedding": {"measures": (), "hears": ()},
    "curves": {"measures": CURVES, "hears": ()},
    "generated": {"measures": (), "hears": ("onset", "brightness")},
    "following": {"measures": ("onset",), "hears": ()},
}
_GENERATED = (
    f" The generator follows curves of {', '.join(CURVES[:-1])} and {CURVES[-1]}: the scorer computes none of them and "
    "is blind to the level of a clip, but hears onsets and brightness in the spectrum, so that a clip that follows "
    "these conditions well scores better."
)
_CURVES = (
    " By the decoded onset strength, loudness and brightness of the stems: their mean correlation with the gallery's, "
    "without any delay. These are conditions that the generator follows: no clip is judged here. A random encoder need "
    "not be at chance, because any filter of a recording follows what the recording follows."
)
_FOLLOWING = (
    " Onset strength is a condition that the generator follows: this says how well it obeys, and beside the oracle how "
    "much the brain gave of that; it is no independent judge."
)
# To add to a table's note.
NOTES: Mapping[str, str] = {"embedding": "", "curves": _CURVES, "generated": _GENERATED, "following": _FOLLOWING}


def followed_conditions() -> dict[str, Any]:
    """The same for scores.json: {score: {"measures": [...], "hears": [...]}}."""
    return {name: {how: list(curves) for how, curves in of.items()} for name, of in FOLLOWED.items()}
