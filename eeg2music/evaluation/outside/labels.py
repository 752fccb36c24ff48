"""Labels of a manifest that contradict each other, clips that stand twice, and galleries that lack a target.

Works with names only. Nothing is repaired: whoever wrote the labels has to say which one is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from eeg2music.errors import DataError, LeakError, did_you_mean
from eeg2music.recordings.manifests import refuse_spellings

if TYPE_CHECKING:
    from eeg2music.evaluation.outside.manifest import Header, Row

# Columns that say of which class the heard song is, and the same of the generated clip.
CLASSES = ("genre", "mood", "instrument")
MADE = "made_"


def check_labels(rows: Sequence[Row], header: Header) -> tuple[str, ...]:
    """Refuse contradictions; return the gallery.

    Raises
    ------
    DataError
        For labels that differ in letter case or spaces alone, one song with two works, styles or classes, one reference
        under two songs, a clip or a reference with two folders of stems, a clip of two classes, a clip that stands
        twice in a condition, conditions of which some lines have a reference and others not, or a gallery that lacks
        targets or has an item twice.
    """
    for name in ("song", "work", "subject", "style", "condition", *CLASSES):
        labels = [getattr(row, column) for row in rows for column in (name, MADE + name) if hasattr(row, column)]
        refuse_spellings(name, [label for label in labels if label is not None])
    _one_each(rows, "song", lambda row: row.song_label, "work", lambda row: row.work or row.song_label)
    _one_each(rows, "song", lambda row: row.song_label, "style", lambda row: row.style)
    _one_each(rows, "reference", lambda row: row.reference, "song", lambda row: row.song_label)
    for kind in CLASSES:
        _one_each(rows, "song", lambda row: row.song_label, kind, attrgetter(kind))
        _one_each(rows, "clip", lambda row: row.item, kind, attrgetter(MADE + kind))
    _one_each(rows, "clip", lambda row: row.item, "stem folder", lambda row: row.stems)
    _one_each(rows, "reference", lambda row: row.reference, "stem folder", lambda row: row.reference_stems)
    conditions = dict.fromkeys(row.condition for row in rows)
    for name in (*header.repeated, *header.copied):
        if name not in conditions:
            raise DataError(
                f"The header names the condition {name!r}, which no line has",
                allowed=", ".join(conditions),
                remedy=did_you_mean(name, conditions) or "correct the header",
            )
    for condition in conditions:
        own = [row for row in rows if row.condition == condition]
        if condition not in header.repeated:
            _refuse_repeats(own, condition)
        without = sum(row.reference is None for row in own)
        if 0 < without < len(own):
            raise DataError(
                f"{without} of {len(own)} clips of {condition!r} have no reference",
                allowed="all or none of a condition",
                remedy="name what was heard; a clip that is hard to identify is not left out",
            )
    return _gallery(rows, header)


def _one_each(
    rows: Iterable[Row],
    key_name: str,
    key: Callable[[Row], str | None],
    value_name: str,
    value: Callable[[Row], str | None],
) -> None:
    known: dict[str, str] = {}
    for row in rows:
        one, other = key(row), value(row)
        if one is None or other is None:
            continue
        if known.setdefault(one, other) != other:
            raise DataError(
                f"Labels contradict each other, as permuted ones do: the {key_name} {one!r} has two {value_name}s, "
                f"{known[one]!r} and {other!r}",
                allowed=f"one {value_name} for each {key_name}",
                remedy="the labels are permuted or duplicated: correct them",
            )


def _refuse_repeats(rows: Sequence[Row], condition: str) -> None:
    known: dict[str, Row] = {}
    for row in rows:
        first = known.setdefault(row.item, row)
        if first is row:
            continue
        if first.song_label != row.song_label:
            what = f"The clip {row.item} stands under two songs, {first.song_label!r} and {row.song_label!r}, in"
        else:
            what = f"The clip {row.item} stands twice in"
        raise DataError(
            f"{what} the condition {condition!r}",
            allowed="each clip once: the number of clips is what intervals are made of",
            remedy=f"correct the labels, or name {condition!r} under `repeated` if that is on purpose",
        )


def _gallery(rows: Sequence[Row], header: Header) -> tuple[str, ...]:
    referred = tuple(dict.fromkeys(row.reference for row in rows if row.reference is not None))
    gallery = header.gallery if header.gallery is not None else referred
    if len(set(gallery)) < len(gallery):
        twice = next(item for item in gallery if gallery.count(item) > 1)
        raise DataError(
            f"{twice} stands twice in the gallery", allowed="each candidate once", remedy="remove one of the two"
        )
    lacking = [item for item in referred if item not in set(gallery)]
    if lacking:
        raise LeakError(
            f"The gallery is truncated: it lacks {len(lacking)} of {len(referred)} references, such as {lacking[0]}",
            allowed="a gallery that holds the target of every clip",
            remedy="add them; leaving out what is hard to identify flatters",
        )
    if header.gallery_size is not None and header.gallery_size != len(gallery):
        raise LeakError(
            f"The gallery is truncated: {header.gallery_size} candidates are declared, {len(gallery)} are there"
            if header.gallery_size > len(gallery)
            else f"{header.gallery_size} candidates are declared, {len(gallery)} are there",
            allowed="as many as `gallery_size` says",
            remedy="list all of them under `gallery`",
        )
    return gallery
