"""The manifest of results made elsewhere: one line for each clip, and beside it what is true of all.

`clips.csv` or `clips.jsonl` holds the lines (`Row`), `clips.json` beside it, where it is there, the rest (`Header`).
Everything named lies below the manifest's folder. Columns that nobody knows are refused, not ignored, and so are
labels that contradict each other. Opens no audio and no arrays.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from eeg2music.config import Config, build_config
from eeg2music.errors import DataError, InputError, first_few
from eeg2music.evaluation.outside.labels import CLASSES, check_labels
from eeg2music.files import sha256_file

Measure = Literal["reconstruction", "stems", "classes"]


class Row(Config):
    """One clip.

    Attributes
    ----------
    file : audio, relative to the manifest
    row : in place of `file`, row of the header's `array`, from 0
    reference : what was heard: audio, relative to the manifest (row of the header's `reference_array`, with `row`)
    song, work : what was heard; songs that are versions of one piece share a work. Intervals count works, else songs
    subject : label of the listener; it is printed as it stands
    style : of the song
    seed : of the generation
    condition : "brain", or the name of a control ("shuffled", "phase_randomized", "random_encoder", "oracle", …): those
        that `evaluate` knows too are judged by where they should sit
    stems : folder of the clip's stems, relative to the manifest: one sound file each, named by stem ("drums.wav")
    reference_stems : the same of what was heard
    genre, mood, instrument : class of the song that was heard
    made_genre, made_mood, made_instrument : class that the clip was given by a classifier of your own; without it the
        class is told by the music that was heard in the other works
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    file: str | None = None
    row: int | None = Field(default=None, ge=0)
    reference: str | None = None
    song: str | None = None
    work: str | None = None
    subject: str = "unknown"
    style: str | None = None
    seed: int | None = None
    condition: str = "brain"
    stems: str | None = None
    reference_stems: str | None = None
    genre: str | None = None
    mood: str | None = None
    instrument: str | None = None
    made_genre: str | None = None
    made_mood: str | None = None
    made_instrument: str | None = None

    @property
    def item(self) -> str:
        """The clip: its file, or its row."""
        return self.file if self.file is not None else str(self.row)

    @property
    def song_label(self) -> str | None:
        """The song, by default the reference itself."""
        return self.song if self.song is not None else self.reference

    @property
    def cluster(self) -> str:
        """Whom an interval counts: the work, else the song."""
        return f"work {self.work}" if self.work is not None else f"song {self.song_label}"


class Header(Config):
    """What is true of all clips; the side file.

    Attributes
    ----------
    conditioned_on : embeddings that steered the generation: names ("clap-music"), hub names, or SHA-256 of weights.
        An empty list says that none did. Without it no learned embedding scores
    sample_rate_hz : of every generated file
    loudness : what was done to it, in words
    array, reference_array : .npy or .npz of embeddings, for manifests with `row`
    embedding, embedding_sha256 : name and hash of the weights behind those arrays
    gallery : all candidates, where there are more than the references of the rows
    gallery_size : how many they are
    repeated : conditions in which one clip answers for several recordings, such as a generator without a brain
    copied : conditions that are made of the reference itself, such as a codec's reconstruction
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    conditioned_on: tuple[str, ...] | None = None
    sample_rate_hz: int | None = Field(default=None, gt=0)
    loudness: str | None = None
    array: str | None = None
    reference_array: str | None = None
    embedding: str | None = None
    embedding_sha256: str | None = None
    gallery: tuple[str, ...] | None = None
    gallery_size: int | None = Field(default=None, ge=2)
    repeated: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()

    @property
    def embedding_name(self) -> str:
        """What the embedding of the arrays is called."""
        return self.embedding or "undeclared"


@dataclass(frozen=True)
class Clips:
    """A manifest that was read and whose labels agree.

    Attributes
    ----------
    root : folder that everything lies below
    name, sha256 : of the manifest
    gallery : what the references of all conditions are looked for among; the same for every condition
    """

    root: Path
    name: str
    sha256: str
    header: Header
    rows: tuple[Row, ...]
    gallery: tuple[str, ...]

    @property
    def side_file(self) -> str:
        """The name of the file that holds the header."""
        return Path(self.name).with_suffix(".json").name

    @property
    def is_array(self) -> bool:
        """Embeddings, not audio."""
        return self.rows[0].row is not None

    @property
    def conditions(self) -> tuple[str, ...]:
        """In the order of their first row."""
        return tuple(dict.fromkeys(row.condition for row in self.rows))

    def of(self, condition: str) -> tuple[Row, ...]:
        """The rows of one condition."""
        return tuple(row for row in self.rows if row.condition == condition)

    def items(self, condition: str | None = None) -> tuple[str, ...]:
        """Different clips, of one condition or of all, in the order of their first row."""
        return tuple(dict.fromkeys(row.item for row in self.rows if condition in (None, row.condition)))

    def asked(self, condition: str) -> tuple[Row, ...]:
        """The rows of one condition by what they answer: conditions that answer the same come in the same order."""
        return tuple(sorted(self.of(condition), key=lambda row: (row.reference or "", row.subject, row.seed or 0)))

    def allows(self, measure: Measure) -> bool:
        """Whether the columns are there that a measure of the sound takes."""
        if measure == "classes":
            return bool(self.gallery) and any(getattr(row, kind) is not None for row in self.rows for kind in CLASSES)
        if measure == "reconstruction":
            return bool(self.gallery) and not self.is_array
        return any(row.stems is not None for row in self.rows) and not self.is_array

    def songs_of(self, condition: str) -> list[str | None]:
        """Work or song of each clip of a condition, in the order of `items`; None where a line names none.

        A clip that answers for several songs is of none but its own.
        """
        named: dict[str, set[str | None]] = {}
        for row in self.of(condition):
            label = None if row.work is None and row.song_label is None else row.cluster
            named.setdefault(row.item, set()).add(label)
        return [next(iter(of)) if len(of) == 1 else f"clip {item}" for item, of in named.items()]

    def path(self, name: str) -> Path:
        """Where a named file lies, which is below `root`."""
        return inside(self.root, name)


def read_manifest(path: str | os.PathLike[str]) -> Clips:
    """Read a manifest and its side file.

    Raises
    ------
    InputError, ConfigError
        If it is no CSV or JSON-lines file, or a line does not fit.
    DataError
        If files are missing, lie elsewhere, or labels contradict each other.
    """
    file = Path(path)
    if not file.is_file() or file.suffix.lower() not in (".csv", ".jsonl"):
        raise InputError(
            f"No manifest at {file}",
            allowed="a .csv or .jsonl file with one clip on each line",
            remedy="check the path",
        )
    header = _header(file.with_suffix(".json"))
    rows = tuple(build_config(Row, values, source=place) for place, values in _lines(file))
    if not rows:
        raise InputError(
            f"{file.name} names no clip",
            allowed="a header such as file,reference,song (or JSON lines), and a line for each clip",
            remedy="fill it; configs/eval/score.yaml shows the columns",
        )
    _check_kind(rows, header)
    gallery = check_labels(rows, header)
    clips = Clips(file.parent, file.name, sha256_file(file), header, rows, gallery)
    _check_files(clips)
    return clips


def inside(root: Path, name: str) -> Path:
    """The path of `name`, if it stays below `root`, also after links are followed.

    Raises
    ------
    InputError
        If it leads out of the folder.
    """
    path = root / name
    if Path(name).is_absolute() or not path.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"{name} leads out of the manifest's folder",
            allowed="paths below the folder of the manifest",
            remedy="copy the file there, or move the manifest",
        )
    return path


def _header(file: Path) -> Header:
    if not file.is_file():
        return Header()
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{file.name} is not valid JSON ({error})", allowed="a mapping of keys to values", remedy="correct it"
        ) from None
    if not isinstance(values, dict):
        raise InputError(
            f"{file.name} holds a {type(values).__name__}",
            allowed="a mapping of keys to values",
            remedy="write {...} around it",
        )
    return build_config(Header, values, source=file.name)


def _lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, values) of each line; empty cells are left out."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file.name} is not UTF-8 ({error.reason})", allowed="text in UTF-8", remedy="save it as UTF-8"
        ) from None
    if file.suffix.lower() == ".jsonl":
        yield from _json_lines(file.name, text)
        return
    _refuse_other_separators(file.name, text)
    reader = csv.DictReader(text.splitlines())
    columns = [name.strip() for name in reader.fieldnames or ()]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"The column {twice!r} stands twice in {file.name}", allowed="each column once", remedy="remove one of them"
        )
    for values in reader:
        place = f"line {reader.line_num} of {file.name}"
        if None in values or None in values.values():
            raise InputError(
                f"{place} has another number of cells than there are columns",
                allowed="one cell for each column",
                remedy="correct that line; a cell that holds a comma stands in quotes",
            )
        yield place, {key.strip(): cell.strip() for key, cell in values.items() if cell.strip()}


def _refuse_other_separators(name: str, text: str) -> None:
    """Spreadsheets write a .csv with semicolons or tabs in some countries."""
    head = next(iter(text.splitlines()), "")
    for sign, called in ((";", "semicolons"), ("\t", "tabs")):
        if sign in head and "," not in head:
            raise InputError(
                f"The columns of {name} are separated by {called}",
                allowed="commas",
                remedy="save it with commas between the columns",
            )


def _json_lines(name: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        place = f"line {number} of {name}"
        try:
            values = json.loads(line)
        except ValueError as error:
            raise InputError(
                f"{place} is not valid JSON ({error})", allowed="one mapping on each line", remedy="correct that line"
            ) from None
        if not isinstance(values, dict):
            raise InputError(
                f"{place} holds a {type(values).__name__}",
                allowed="a mapping of keys to values",
                remedy="correct that line",
            )
        yield place, {key: value for key, value in values.items() if value is not None}


def _check_kind(rows: tuple[Row, ...], header: Header) -> None:
    """All of files, or all of rows of an array."""
    unclear = sum((row.file is None) == (row.row is None) for row in rows)
    with_row = sum(row.row is not None for row in rows)
    if unclear or with_row not in (0, len(rows)):
        raise InputError(
            f"{unclear or with_row} of {len(rows)} lines do not name their clip as the others do",
            allowed="either `file` on every line, or `row` on every line",
            remedy="name the clip of every line in one of these ways",
        )
    if with_row and header.array is None:
        raise InputError(
            "The lines name rows, but no array", allowed="`array` in the .json beside the manifest", remedy="name it"
        )
    for key in ("array", "reference_array", "embedding", "embedding_sha256"):
        if not with_row and getattr(header, key) is not None:
            raise InputError(
                f"The header names {key!r}, but the lines name files",
                allowed="`row` on every line",
                remedy=f"remove {key!r} from the .json, or name rows",
            )


def _check_files(clips: Clips) -> None:
    if clips.is_array:
        names = [name for name in (clips.header.array, clips.header.reference_array) if name is not None]
    else:
        names = [*clips.items(), *clips.gallery]
    missing = [name for name in dict.fromkeys(names) if not inside(clips.root, name).is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(set(names))} files are missing: {first_few(missing)}",
            allowed="every file that the manifest names",
            remedy="make them again; a clip that failed is never left out of the scores",
        )
