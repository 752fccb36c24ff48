"""The encoder that scores is not the encoder that conditioned: refused otherwise.

Known by name, by hub name and by the hash of the weights, from the manifest's `conditioned_on` and from the
`report.json` that this project writes beside or above its clips. It cannot see what nobody declared, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from eeg2music.errors import LeakError
from eeg2music.evaluation.outside.manifest import Clips
from eeg2music.files import read_json

REPORT = "report.json"


def conditioned_on(clips: Clips) -> frozenset[str] | None:
    """Names and hashes of what conditioned the clips; None where nobody says."""
    declared = clips.header.conditioned_on
    found = set() if declared is None else set(declared)
    if not clips.is_array:
        # Also above: the clip without a brain lies in a folder of its own beside the report.
        found |= set(_reported({clips.root / above for name in clips.items() for above in Path(name).parents}))
    return frozenset(found) if found or declared is not None else None


def _reported(folders: Iterable[Path]) -> Iterable[str]:
    for folder in sorted(folders):
        file = folder / REPORT
        if not file.is_file():
            continue
        try:
            values = read_json(file)
        except ValueError:
            continue  # a report of another kind: not ours to judge
        checkpoint = values.get("checkpoint_sha256") if isinstance(values, dict) else None
        if isinstance(checkpoint, str):
            yield checkpoint


def judge(
    known_as: Mapping[str, frozenset[str]],
    conditioning: frozenset[str] | None,
    *,
    always: Iterable[str] = (),
    allow: bool,
) -> dict[str, bool | None]:
    """{embedding: whether it conditioned what it scores}, None where nobody says.

    Parameters
    ----------
    known_as : {embedding: all its names and hashes}
    conditioning : from `conditioned_on`
    always : embeddings that are known to condition some generator, and are refused where nobody says
    allow : give the answer also where it is True

    Raises
    ------
    LeakError
        If an embedding would score what it conditioned, unless `allow`.
    """
    answers: dict[str, bool | None] = {}
    for name, names in known_as.items():
        if conditioning is not None:
            answers[name] = bool({one.lower() for one in names} & {one.lower() for one in conditioning})
        else:
            answers[name] = True if name in set(always) else None
        if answers[name] and not allow:
            why = "conditioned these clips" if conditioning is not None else "conditions this project's generator"
            raise LeakError(
                f"Circular encoder: the embedding {name!r} {why} and would score them",
                allowed="an embedding that did not condition the generation"
                + ("" if conditioning is not None else ", or `conditioned_on` in the manifest's header"),
                remedy="choose another --embedding; --allow-circular scores all the same and stamps the report",
            )
    return answers
