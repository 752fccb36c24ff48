"""Maps of the head: what is drawn follows the values, and holes are refused by name."""

from __future__ import annotations

import io

import numpy as np
import pytest

from eeg2music.errors import InputError, MissingExtraError
from eeg2music.report import brain_maps

NAMES = ("Fz", "Cz", "Pz", "C3", "C4", "T7", "T8", "Oz", "F3", "F4", "P3", "P4")


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    """(channel, 3) metres: x right, y front, z up."""
    flat = np.array([(0, 0.5), (0, 0), (0, -0.5), (-0.5, 0), (0.5, 0), (-1, 0), (1, 0), (0, -1),
                     (-0.4, 0.5), (0.4, 0.5), (-0.4, -0.5), (0.4, -0.5)])  # fmt: skip
    radius = np.linalg.norm(flat, axis=1)
    polar = radius * np.pi / 2
    azimuth = np.arctan2(flat[:, 1], flat[:, 0])
    return 0.09 * np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1)


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    assert png.startswith(b"\x89PNG")
    return np.asarray(imread(io.BytesIO(png)), dtype=float)


def redness(png: bytes) -> tuple[float, float]:
    """Red less blue in the left and the right half of the head (the colour bar is cut off)."""
    picture = pixels(png)[:, : pixels(png).shape[0]]
    difference = picture[..., 0] - picture[..., 2]
    middle = difference.shape[1] // 2
    return float(difference[:, :middle].sum()), float(difference[:, middle:].sum())


def test_the_map_follows_the_values(places: np.ndarray) -> None:
    left = -places[:, 0] / 0.09
    first, mirrored = (brain_maps.topomaps({"r": v}, places, NAMES) for v in (left, -left))
    assert first != mirrored
    assert brain_maps.topomaps({"r": left}, places, NAMES) == first
    a, b = redness(first)
    assert a > 0 > b
    a, b = redness(mirrored)
    assert a < 0 < b


def test_panels_share_one_scale(places: np.ndarray) -> None:
    """A weak map beside a strong one is pale; alone it would be drawn as strongly."""
    weak = np.full(12, 0.05)
    alone = brain_maps.topomaps({"weak": weak}, places, NAMES)
    pale = brain_maps.topomaps({"weak": weak}, places, NAMES, limits=(-1.0, 1.0))
    assert sum(redness(pale)) < 0.5 * sum(redness(alone))
    both = brain_maps.topomaps({"weak": weak, "strong": 20 * weak}, places, NAMES)
    assert pixels(both).shape[1] > pixels(alone).shape[1]


def test_channels_without_a_value_or_a_place_are_refused_by_name(places: np.ndarray) -> None:
    values = np.arange(12.0)
    hole = np.where(np.isin(NAMES, ["C3", "Oz"]), np.nan, values)
    with pytest.raises(InputError, match="'r' has no finite value for C3, Oz"):
        brain_maps.topomaps({"r": hole}, places, NAMES)
    nowhere = places.copy()
    nowhere[4] = np.nan
    with pytest.raises(InputError, match="no positions in metres for C4"):
        brain_maps.topomaps({"r": values}, nowhere, NAMES)
    twice = places.copy()
    twice[1] = twice[0]
    with pytest.raises(InputError, match="Fz and Cz lie at one place"):
        brain_maps.topomaps({"r": values}, twice, NAMES)


def test_bad_input_is_named(places: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"has shape \(11,\)"):
        brain_maps.topomaps({"r": np.ones(11)}, places, NAMES)
    with pytest.raises(InputError, match="4 or more"):
        brain_maps.topomaps({"r": np.ones(3)}, places[:3], NAMES[:3])
    with pytest.raises(InputError, match="No values"):
        brain_maps.topomaps({}, places, NAMES)
    with pytest.raises(InputError, match="rising"):
        brain_maps.topomaps({"r": np.ones(12)}, places, NAMES, limits=(1.0, 0.0))
    with pytest.raises(InputError, match="'values' has no finite value for LPTL"):
        brain_maps.glass_brain([np.nan], [[-50.0, -40.0, 0.0]], ["LPTL"])


def test_without_nilearn_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="nilearn") as error:
        brain_maps.glass_brain([0.2], [[-50.0, -40.0, 0.0]], ["LPTL"])
    assert "pip install" in str(error.value)


@pytest.mark.slow
def test_glass_brains_follow_the_values() -> None:
    pytest.importorskip("nilearn", reason="nilearn is not installed (extra: maps)")
    where, names = [[-52.0, -40.0, 4.0], [54.0, 10.0, -20.0]], ["LPTL", "RATL"]
    first, second = (brain_maps.glass_brain(v, where, names) for v in ([0.2, 0.1], [0.1, 0.2]))
    assert pixels(first).shape == pixels(second).shape
    assert first != second
