"""The folders of stems that a manifest names: which stems there are, and what of them cannot be measured honestly.

Every clip has the same stems, of its own rate and length. A stem may be silent. Measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.outside import clips as audio
from eeg2music.evaluation.outside.clips import AUDIO_SUFFIXES, LENGTH_TOLERANCE, Clip
from eeg2music.evaluation.outside.manifest import Clips, Row, inside
from eeg2music.evaluation.reconstruction import MIX

FEWEST = 2
Folder = Mapping[str, Clip]


@dataclass(frozen=True)
class Stems:
    """Facts about stems, {what they are of: {stem: file}}.

    Attributes
    ----------
    generated : by clip
    heard : by reference
    """

    generated: Mapping[str, Folder] = field(default_factory=dict)
    heard: Mapping[str, Folder] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Stems that the clips have."""
        return _names(self.generated)

    def facts(self) -> dict[str, Any]:
        """For the report, as `clips.facts` has them."""
        groups = {"stems": self.generated, "stems of references": self.heard}
        return {
            name: audio.facts([clip for folder in of.values() for clip in folder.values()])
            for name, of in groups.items()
            if of
        }

    def in_both(self) -> tuple[str, ...]:
        """Stems that the clips and what was heard have in common."""
        return tuple(name for name in self.names() if name in _names(self.heard))


def look_at_stems(clips: Clips, *, resample: bool) -> Stems:
    """Read every stem that the manifest names, and refuse what cannot be measured.

    Raises
    ------
    DataError
        If some clips of a condition have stems and others not, a folder lacks one that others have, or there is one
        stem only.
    InputError
        If a stem is of another rate or length than what it is of.
    """
    if clips.is_array:
        return Stems()
    for condition in clips.conditions:
        _all_or_none(clips.of(condition), condition)
    made = _folders(clips, {row.item: row.stems for row in clips.rows if row.stems})
    heard = _folders(
        clips, {row.reference: row.reference_stems for row in clips.rows if row.reference and row.reference_stems}
    )
    for of in (made, heard):
        for name, folder in of.items():
            whole = audio.inspect(name, clips.path(name))
            declared = clips.header.sample_rate_hz if of is made else None
            audio.refuse_rates(folder.values(), declared, [whole], resample=resample)
            _refuse_length(folder.values(), whole)
    return Stems(made, heard)


def _all_or_none(rows: Sequence[Row], condition: str) -> None:
    for column, answers in (
        ("stems", [row.stems is not None for row in rows]),
        ("reference_stems", [row.reference_stems is not None for row in rows]),
    ):
        if any(answers) and not all(answers):
            raise DataError(
                f"{answers.count(False)} of {len(answers)} lines of {condition!r} name no {column}",
                allowed="all or none of a condition",
                remedy=f"fill the column {column}, or leave it out",
            )


def _folders(clips: Clips, named: Mapping[str, str]) -> dict[str, dict[str, Clip]]:
    """{what they are of: {stem: file}}, the same stems in every folder."""
    found = {name: _stems_in(clips.root, folder) for name, folder in named.items()}
    for name, folder in found.items():
        missing = sorted({stem for other in found.values() for stem in other} - set(folder))
        if missing:
            raise DataError(
                f"The folder {named[name]} lacks the stem {missing[0]!r}, which others have",
                allowed="the same stems for every clip",
                remedy="make it again; a stem that is silent is a file too",
            )
    return {name: {stem: audio.inspect(str(file), clips.path(str(file))) for stem, file in folder.items()}
            for name, folder in found.items()}  # fmt: skip


def _stems_in(root: Path, folder: str) -> dict[str, Path]:
    """{stem: file relative to the manifest}"""
    path = inside(root, folder)
    files = sorted(file for file in path.glob("*") if file.suffix.lower() in AUDIO_SUFFIXES)
    found = {file.stem: Path(folder) / file.name for file in files}
    if MIX in found:
        raise DataError(f"{folder} holds {found[MIX].name}", allowed="stems alone", remedy="move the mix out of it")
    if len(found) < FEWEST or len(found) < len(files):
        raise DataError(
            f"The folder of stems {folder} holds {len(files)} sound files ({', '.join(found) or 'no stem'})",
            allowed=f"{FEWEST} stems or more, one file each",
            remedy="check the path; stems that failed are never left out",
        )
    return found


def _refuse_length(stems: Iterable[Clip], whole: Clip) -> None:
    for stem in stems:
        if abs(stem.seconds - whole.seconds) > LENGTH_TOLERANCE * whole.seconds:
            raise InputError(
                f"The stem {stem.name} is {stem.seconds:.2f} s long, {whole.name} is {whole.seconds:.2f} s",
                allowed=f"the length of what it is a stem of, within {LENGTH_TOLERANCE:.0%}",
                remedy="write the stems again",
            )


def _names(folders: Mapping[str, Folder]) -> tuple[str, ...]:
    return tuple(next(iter(folders.values()), ()))
