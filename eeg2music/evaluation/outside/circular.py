"""The encoder that scores is not the encoder that conditioned: refused otherwise, and where nobody says.

Known by name, by hub name and by the hash of the weights, from the manifest's `conditioned_on` and from the
`report.json` that this project writes beside or above its clips. A declaration is believed: it cannot be checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from eeg2music.errors import LeakError
from eeg2music.evaluation.outside.manifest import Clips
from eeg2music.files import read_json

REPORT = "report.json"
ALLOW = "--allow-circular scores all the same and stamps the report"


class Conditioning(NamedTuple):
    """What conditioned the clips.

    names : of encoders, and hashes of their weights
    whole : that of every clip somebody says what conditioned it
    """

    names: frozenset[str]
    whole: bool


def conditioned_on(clips: Clips) -> Conditioning:
    """By the manifest's header, and by the reports of this project beside the clips."""
    declared = clips.header.conditioned_on
    reported: dict[Path, str] = {}
    if not clips.is_array:
        # Also above: the clip without a brain lies in a folder of its own beside the report.
        reported = dict(_reported({above for name in clips.items() for above in Path(name).parents}, clips.root))
    whole = declared is not None or (
        not clips.is_array and all(any(above in reported for above in Path(name).parents) for name in clips.items())
    )
    return Conditioning(frozenset((*(declared or ()), *reported.values())), whole)


def _reported(folders: Iterable[Path], root: Path) -> Iterator[tuple[Path, str]]:
    """Folders with a report of this project, and the checkpoint that it names."""
    for folder in sorted(folders):
        file = root / folder / REPORT
        if not file.is_file():
            continue
        try:
            values = read_json(file)
        except ValueError:
            continue  # a report of another kind: not ours to judge
        checkpoint = values.get("checkpoint_sha256") if isinstance(values, dict) else None
        if isinstance(checkpoint, str):
            yield folder, checkpoint


def refuse_undeclared(clips: Clips, learned: Sequence[str]) -> None:
    """Refuse learned embeddings as judges where nobody says what conditioned the clips.

    Reads no audio and loads no model.

    Parameters
    ----------
    learned : embeddings that score and were trained; of an array, its own

    Raises
    ------
    LeakError
        Also where the clips of an array were conditioned on something and its embedding has no name to hold against it.
    """
    conditioning, side = conditioned_on(clips), clips.side_file
    if learned and not conditioning.whole:
        other = "" if clips.is_array else "; --embedding classical is not learned and needs none"
        raise LeakError(
            "Circular encoder not excluded: nothing says what conditioned the clips that the embedding "
            f"{', '.join(map(repr, learned))} would score",
            allowed=f"`conditioned_on` in {side}, beside the table: the embeddings that steered the generation",
            remedy=f'put {{"conditioned_on": ["clap-music"]}} there, by its name, or {{"conditioned_on": []}} if none '
            f"did{other}; {ALLOW}",
        )
    if clips.is_array and conditioning.names and not _names_of_array(clips):
        raise LeakError(
            "Circular encoder not excluded: nothing says which embedding the array holds",
            allowed=f"`embedding` or `embedding_sha256` in {side}, where `conditioned_on` names "
            + ", ".join(sorted(conditioning.names)),
            remedy=f"name it; {ALLOW}",
        )


def judge_array(clips: Clips, *, allow: bool) -> bool | None:
    """`judge` for the embedding that an array holds."""
    name = clips.header.embedding_name
    return judge({name: _names_of_array(clips)}, conditioned_on(clips), allow=allow)[name]


def _names_of_array(clips: Clips) -> frozenset[str]:
    return frozenset(filter(None, (clips.header.embedding, clips.header.embedding_sha256)))


def judge(known_as: Mapping[str, frozenset[str]], conditioning: Conditioning, *, allow: bool) -> dict[str, bool | None]:
    """{embedding: whether it conditioned what it scores}, None where nobody says.

    Parameters
    ----------
    known_as : {embedding: all its names and hashes}
    conditioning : from `conditioned_on`
    allow : give the answer also where it is True

    Raises
    ------
    LeakError
        If an embedding would score what it conditioned, unless `allow`.
    """
    conditioned = {one.lower() for one in conditioning.names}
    answers: dict[str, bool | None] = {}
    for name, names in known_as.items():
        if conditioned & {one.lower() for one in names}:
            answers[name] = True
        else:
            # Without a name, a declaration cannot be held against it, unless it is that nothing conditioned.
            answers[name] = False if conditioning.whole and (names or not conditioned) else None
        if answers[name] and not allow:
            raise LeakError(
                f"Circular encoder: the embedding {name!r} conditioned these clips and would score them",
                allowed="an embedding that did not condition the generation",
                remedy=f"choose another --embedding; {ALLOW}",
            )
    return answers
