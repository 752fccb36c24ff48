"""Windows of songs and which of them train: the protocols' splits, each through the leak refusal.

Works with labels and times alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eeg2music.errors import DataError, LeakError
from eeg2music.evaluation.protocols.config import ProtocolConfig
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.seeding import numpy_rng

# A song in both halves is the leak that a protocol may be stamped with; the rest follows from it.
PASSAGES_MEET_S = 1e-9


@dataclass(frozen=True)
class Row:
    """One window of one presentation.

    Attributes
    ----------
    start_s : from the start of the song
    repeat : which presentation of the song to this listener, from 1
    style : empty where nobody says it
    work_id : the work that the song is a version of, where that is declared
    stimulus_sha256 : of the file that was played, where there is one
    """

    song: str
    style: str
    subject: str
    start_s: float
    repeat: int = 1
    work_id: str | None = None
    stimulus_sha256: str | None = None

    @property
    def work(self) -> str:
        """What is independent: the declared work, else the song."""
        return self.song if self.work_id is None else self.work_id

    @property
    def window(self) -> str:
        """Name of the stretch of music, the same for all who heard it."""
        return f"{self.song}@{self.start_s:.3f}"

    @property
    def trial(self) -> str:
        return f"{self.song}/{self.repeat}"

    def labels(self) -> dict[str, Any]:
        """As a manifest takes them."""
        return {
            "stimulus": self.song,
            "work_id": self.work_id,
            "recording": self.subject,
            "trial": self.trial,
            "subject": self.subject,
            "stimulus_sha256": self.stimulus_sha256,
        }


@dataclass(frozen=True)
class ProtocolFold:
    """Numbers of the rows of each side, and in words what leaks between them; empty where nothing does.

    number : of the fold, the same for all listeners
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    leak: str = ""
    number: int = 0


def window_starts(config: ProtocolConfig, song_seconds: float) -> list[float]:
    """Where the windows of a song begin; what is left at its end is dropped.

    Raises
    ------
    DataError
        If the song is shorter than a window.
    """
    count = int(np.floor((song_seconds - config.window.seconds) / config.window.step + 1e-9)) + 1
    if count < 1:
        raise DataError(
            f"A song of {song_seconds:g} s for windows of {config.window.seconds:g} s",
            remedy="use longer songs",
        )
    return [round(place * config.window.step, 6) for place in range(count)]


def protocol_folds(config: ProtocolConfig, rows: Sequence[Row]) -> list[ProtocolFold]:
    """Split the rows as the protocol says, for each listener apart.

    Every fold is checked by the splitter's leak refusal. A protocol that is not leaky never gets past a leak; one that
    is carries the refusal's words.

    Raises
    ------
    LeakError
        If the sides of a fold share a song or a presentation, and the protocol does not say that it is leaky.
    DataError
        If there are too few songs, or a fold has nothing to train on or to test.
    """
    group = _groups(config, rows)
    subjects = sorted({row.subject for row in rows})
    folds = []
    for number in range(config.split.folds):
        for subject in subjects:
            test = tuple(n for n, row in enumerate(rows) if group[n] == number and row.subject == subject)
            kept = [n for n, row in enumerate(rows) if group[n] != number and _trains(config, row, subject)]
            train = tuple(_apart(config, rows, kept, test))
            if not train or not test:
                raise DataError(
                    f"Fold {number + 1} of {subject} has {len(train)} windows to train and {len(test)} to test",
                    allowed="one or more each",
                    remedy="use more songs, or fewer folds",
                )
            folds.append(ProtocolFold(train, test, _leak(config, rows, train, test), number))
    return folds


def clusters_of(config: ProtocolConfig, rows: Sequence[Row]) -> list[str]:
    """What counts as independent in the statistics: the song (its work), or its passage where there are passages."""
    if config.split.by != "passages":
        return [row.work for row in rows]
    group = _groups(config, rows)
    return [f"{row.song}, passage {number + 1}" for row, number in zip(rows, group, strict=True)]


def _trains(config: ProtocolConfig, row: Row, tested: str) -> bool:
    return (row.subject != tested) == (config.split.listeners == "others")


def _groups(config: ProtocolConfig, rows: Sequence[Row]) -> list[int]:
    """The fold in which each row is tested; -1 for those that only train."""
    rule = config.split
    # Versions of one work are held out together.
    style_of = {row.work: row.style for row in rows}
    rng = numpy_rng(config.seed, "protocol", config.name, "split")
    if rule.by == "songs":
        order = list(style_of) if rule.tested == "first" else _by_style(style_of, rng)
        if rule.test_songs is not None:
            if rule.test_songs >= len(order):
                raise DataError(f"{rule.test_songs} of {len(order)} songs to test", remedy="use more songs")
            place = {song: 0 if number < rule.test_songs else -1 for number, song in enumerate(order)}
        else:
            if rule.folds > len(order):
                raise DataError(f"{rule.folds} folds of {len(order)} songs", remedy="use more songs, or fewer folds")
            # Styles come in turn: neighbours, which are held out together, are of different ones.
            place = {song: number * rule.folds // len(order) for number, song in enumerate(order)}
        return [place[row.work] for row in rows]
    if rule.by == "windows":
        names = sorted({row.window for row in rows})
        drawn = dict(zip(names, rng.permutation(len(names)) % rule.folds, strict=True))
        return [int(drawn[row.window]) for row in rows]
    last = {song: max(row.start_s for row in rows if row.song == song) for song in {row.song for row in rows}}
    whole = config.window.seconds
    return [min(int(rule.folds * row.start_s / (last[row.song] + whole)), rule.folds - 1) for row in rows]


def _by_style(style_of: dict[str, str], rng: np.random.Generator) -> list[str]:
    """Songs in random order, styles in turn, so that any first part of them is spread evenly."""
    songs = sorted(style_of)
    shuffled = [songs[place] for place in rng.permutation(len(songs))]
    styles = sorted(set(style_of.values()))
    queues = {style: [song for song in shuffled if style_of[song] == style] for style in styles}
    order: list[str] = []
    while any(queues.values()):
        order += [queues[style].pop(0) for style in styles if queues[style]]
    return order


def _apart(config: ProtocolConfig, rows: Sequence[Row], kept: Sequence[int], test: Sequence[int]) -> list[int]:
    """Without windows that overlap a tested one, where songs are cut into passages."""
    if config.split.by != "passages":
        return list(kept)
    starts: dict[str, list[float]] = {}
    for number in test:
        starts.setdefault(rows[number].song, []).append(rows[number].start_s)
    length = config.window.seconds - PASSAGES_MEET_S
    return [
        number
        for number in kept
        if all(abs(rows[number].start_s - start) >= length for start in starts.get(rows[number].song, ()))
    ]


def _leak(config: ProtocolConfig, rows: Sequence[Row], train: Sequence[int], test: Sequence[int]) -> str:
    ours, theirs = (Manifest.from_rows(rows[number].labels() for number in side) for side in (train, test))
    try:
        refuse_leaks(ours, theirs, kinds=("song", "work", "trial"))
    except LeakError as error:
        if not config.split.leaky:
            raise
        return error.what
    return ""
