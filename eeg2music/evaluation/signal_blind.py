"""What can be guessed without a brain: predictions from metadata, from the genre, from the song.

A decoder is worth what it adds to these. All are pure functions on arrays and labels, and their output is scored as a
decoder's is. The oracles know the truth of the query (its style, its song) and are ceilings of what that knowledge is
worth, not models. Nothing here sees a recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.encoders.linear import ridge_predict
from eeg2music.errors import DataError, InputError

Float64 = NDArray[np.float64]
Labels = Sequence[Hashable]
Ties = Literal["half", "win", "lose"]
Metadata = Mapping[str, Sequence[Any] | NDArray[Any]]


def genre_guess_accuracy(styles: Labels, *, ties: Ties = "half") -> float:
    """Pairwise identification accuracy of one who knows each clip's genre perfectly and nothing more.

    A clip beats every clip of another genre and is level with those of its own. With 60 clips, 6 of each of 10 genres,
    54 of 59 are beaten and 5 are level. With ties counting one half that is 56.5 / 59 = 0.958; counting them lost gives
    54 / 59 = 0.915, won 59 / 59 = 1. `metrics.retrieval` counts one half, so that a constant prediction scores 0.5.

    Parameters
    ----------
    styles : (n,) genre of each clip of the gallery, n >= 2

    >>> ten_genres = [clip % 10 for clip in range(60)]
    >>> [round(genre_guess_accuracy(ten_genres, ties=rule), 3) for rule in ("half", "lose", "win")]
    [0.958, 0.915, 1.0]
    """
    count = len(styles)
    if count < 2:
        raise InputError(f"A gallery of {count}", allowed="two or more")
    level = np.array([Counter(styles)[style] - 1 for style in styles], dtype=np.float64)
    worth = {"half": 0.5, "win": 1.0, "lose": 0.0}[ties]
    return float(np.mean((count - 1 - level + worth * level) / (count - 1)))


def genre_oracle(
    embeddings: ArrayLike,
    styles: Labels,
    songs: Labels,
    *,
    reference: tuple[ArrayLike, Labels, Labels] | None = None,
) -> Float64:
    """The mean embedding of the other songs of the query's true style: all that the genre tells.

    Songs count alike, however many windows they have. Where the other songs are themselves in the gallery, the mean
    lies nearer to them than to the query's own, which is then ranked last of its genre; `reference` songs from
    outside (training songs) avoid that.

    Parameters
    ----------
    embeddings : (n, dim) of what was heard
    styles, songs : (n,) labels
    reference : (m, dim) embeddings, (m,) styles and (m,) songs to take the means from instead; a query's own song is
        left out there too

    Returns
    -------
    (n, dim)

    Raises
    ------
    DataError
        If a style has no other song.

    >>> genre_oracle([[1.0], [3.0], [9.0], [7.0]], ["a", "a", "b", "b"], [0, 1, 2, 3]).ravel()
    array([3., 1., 7., 9.])
    """
    values = _rows(embeddings, styles, songs)
    source, source_styles, source_songs = (embeddings, styles, songs) if reference is None else reference
    means = _song_means(_rows(source, source_styles, source_songs), source_styles, source_songs)
    found: dict[tuple[Hashable, Hashable], Float64] = {}
    for style, song in dict.fromkeys(zip(styles, songs, strict=True)):
        others = [mean for (of, name), mean in means.items() if of == style and name != song]
        if not others:
            raise DataError(
                f"The style {style!r} has no song beside {song!r}",
                allowed="two or more songs a style",
                remedy="leave that style out, or give reference songs",
            )
        found[style, song] = np.mean(others, axis=0)
    return np.stack([found[pair] for pair in zip(styles, songs, strict=True)]).reshape(values.shape[0], -1)


def song_oracle(embeddings: ArrayLike, songs: Labels, windows: Labels | None = None) -> Float64:
    """The mean embedding of the other windows of the query's own song: all that knowing the song tells.

    Parameters
    ----------
    embeddings : (n, dim) of what was heard
    songs : (n,)
    windows : (n,) which stretch of music it is, where several rows (listeners, repeats) heard the same; each row its
        own by default

    Returns
    -------
    (n, dim)

    Raises
    ------
    DataError
        If a song has one window only.

    >>> song_oracle([[1.0], [2.0], [6.0]], ["a", "a", "a"]).ravel()
    array([4. , 3.5, 1.5])
    """
    names = list(range(len(songs))) if windows is None else list(windows)
    values = _rows(embeddings, songs, names)
    means = _song_means(values, songs, names)
    found: dict[tuple[Hashable, Hashable], Float64] = {}
    for song, window in means:
        others = [mean for (of, name), mean in means.items() if of == song and name != window]
        if not others:
            raise DataError(f"The song {song!r} has one window only", allowed="two or more windows a song")
        found[song, window] = np.mean(others, axis=0)
    return np.stack([found[pair] for pair in zip(songs, names, strict=True)])


def signal_blind(train: Metadata, target: ArrayLike, test: Metadata, *, penalty: float = 0.1) -> Float64:
    """A ridge model from metadata alone, fitted on training rows: what the experiment's design gives away.

    Parameters
    ----------
    train, test : the same columns, (n,) and (m,): style, tempo, order, subject, trial position… Columns of floats are
        taken as numbers, all others one-hot; a label that training did not have is all zeros.
    target : (n, dim) embeddings of the training rows

    Returns
    -------
    (m, dim)

    >>> signal_blind({"style": ["a", "b"]}, [[0.0], [1.0]], {"style": ["b", "a"]}, penalty=1e-9).round(6).ravel()
    array([1., 0.])
    """
    if set(train) != set(test) or not train:
        raise InputError(
            f"Metadata {', '.join(train) or 'of nothing'} for training and {', '.join(test) or 'none'} for testing",
            allowed="the same columns, one or more",
        )
    designs = [_design(train[name], test[name]) for name in sorted(train)]
    ours, theirs = (np.concatenate([pair[side] for pair in designs], axis=1) for side in (0, 1))
    return ridge_predict(ours, target, theirs, penalty=penalty)


def _rows(embeddings: ArrayLike, *labels: Labels) -> Float64:
    values = np.asarray(embeddings, dtype=np.float64)
    if values.ndim != 2 or any(len(column) != len(values) for column in labels):
        raise InputError(
            f"Embeddings of shape {values.shape} with {', '.join(str(len(column)) for column in labels)} labels",
            allowed="(n, dim) and n labels each",
        )
    if not np.isfinite(values).all():
        raise InputError("Embeddings hold values that are not finite")
    return values


def _song_means(values: Float64, groups: Labels, names: Labels) -> dict[tuple[Hashable, Hashable], Float64]:
    """Mean of each (group, name)."""
    members: dict[tuple[Hashable, Hashable], list[int]] = {}
    for place, pair in enumerate(zip(groups, names, strict=True)):
        members.setdefault(pair, []).append(place)
    return {pair: values[places].mean(axis=0) for pair, places in members.items()}


def _design(train: Sequence[Any] | NDArray[Any], test: Sequence[Any] | NDArray[Any]) -> tuple[Float64, Float64]:
    """One column of metadata as predictors of both sides."""
    ours, theirs = list(train), list(test)
    if all(isinstance(value, float | np.floating) for value in ours):
        return np.asarray(ours, dtype=np.float64)[:, None], np.asarray(theirs, dtype=np.float64)[:, None]
    levels = list(dict.fromkeys(ours))
    place = {level: column for column, level in enumerate(levels)}
    both = []
    for values in (ours, theirs):
        hot = np.zeros((len(values), len(levels)))
        for row, value in enumerate(values):
            if value in place:
                hot[row, place[value]] = 1.0
        both.append(hot)
    return both[0], both[1]
