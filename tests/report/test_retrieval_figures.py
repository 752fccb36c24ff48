"""Pictures of retrieval show what they are given: a diagonal is one, and a shifted song moves its point."""

from __future__ import annotations

import io

import numpy as np

from eeg2music.report.retrieval_figures import Cloud, Curve, embedding_map, rank_panels, similarity_panels
from eeg2music.seeding import numpy_rng


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(io.BytesIO(png)))[..., :3]


def yellow(png: bytes) -> np.ndarray:
    """Where the brightest colour of the scale is, without the bar beside the matrix."""
    picture = pixels(png)
    bright = (picture[..., 0] > 0.9) & (picture[..., 1] > 0.85) & (picture[..., 2] < 0.4)
    return bright[:, : int(0.75 * picture.shape[1])]


def test_what_is_found_lies_on_the_diagonal() -> None:
    rows, columns = np.nonzero(yellow(similarity_panels({"one": np.eye(20)})))
    assert len(rows) > 100
    assert np.corrcoef(rows, columns)[0, 1] > 0.98  # rows count downwards
    rows, columns = np.nonzero(yellow(similarity_panels({"one": np.eye(20)[::-1]})))
    assert np.corrcoef(rows, columns)[0, 1] < -0.98


def test_a_curve_of_another_height_is_another_picture() -> None:
    def draw(height: float) -> bytes:
        k, share = np.arange(1, 4), np.array([height, 0.9, 1.0])
        return rank_panels(
            {"embedding": {"brain": Curve(k, share, share - 0.05, share), "oracle": Curve(k, *[np.ones(3)] * 3)}}
        )

    assert draw(0.2) == draw(0.2)
    assert draw(0.2) != draw(0.5)


def test_conditions_of_unknown_names_are_told_apart() -> None:
    k, high, low = np.arange(1, 4), np.array([0.9, 0.95, 1.0]), np.array([0.1, 0.5, 1.0])

    def draw(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        drawn = {"ours": Curve(k, first, first, first), "theirs": Curve(k, second, second, second)}
        return pixels(rank_panels({"scorer": drawn}))

    assert not np.array_equal(draw(high, low), draw(low, high))


def test_the_map_draws_every_clip_and_song_in_every_panel() -> None:
    rng = numpy_rng(0, "map")
    heard, clips = rng.normal(size=(5, 2)), rng.normal(size=(10, 2))
    cloud = Cloud(clips, np.tile(np.arange(5), 2))

    def draw(other: Cloud) -> bytes:
        return embedding_map({"brain": ("brain", cloud), "no_brain": ("none", other)}, heard, np.array([0.6, 0.2]))

    assert draw(cloud) == draw(cloud)
    # The same points, other lines.
    assert draw(Cloud(clips, cloud.target[::-1])) != draw(cloud)
    one = embedding_map({"brain": ("brain", cloud)}, heard, np.array([0.6, 0.2]))
    assert pixels(one).shape[1] < pixels(draw(cloud)).shape[1]
