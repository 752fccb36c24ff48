"""Pictures show what they are given, and the same data is the same bytes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from eeg2music.report import figures
from eeg2music.seeding import numpy_rng
from eeg2music.types import REGIONS, SAMPLE_RATE_HZ, STEMS, FloatArray

SCORE = {"accuracy": 0.8, "ci95": [0.7, 0.9], "n": 16, "gallery_size": 50}


def tone(hz: float, level: float, seconds: float = 1.0) -> FloatArray:
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def pixels(png: bytes) -> FloatArray:
    from matplotlib.image import imread

    assert png.startswith(b"\x89PNG")
    return np.asarray(imread(io.BytesIO(png)), dtype=np.float32)


@pytest.mark.parametrize(("level", "decibels"), [(1.0, 0.0), (0.1, -20.0)])
def test_a_tone_stands_at_its_level_and_frequency(level: float, decibels: float) -> None:
    # 1500 Hz falls on bin 64 of 1024 points.
    spectrogram = figures.spectrogram_db(tone(1500, level))
    middle = spectrogram[:, 10:-10]
    assert middle[64] == pytest.approx(decibels, abs=0.1)
    assert (middle.argmax(axis=0) == 64).all()
    assert middle[:40].max() < decibels - 60


def test_silence_is_the_floor() -> None:
    assert (figures.spectrogram_db(np.zeros(4800, dtype=np.float32)) == -90).all()


def test_the_same_picture_is_the_same_bytes_and_another_is_not() -> None:
    def draw(hz: float) -> bytes:
        return figures.spectrograms({"one": tone(hz, 0.5), "two": tone(200, 0.1), "three": tone(50, 0.1)})

    first = draw(440)
    assert draw(440) == first
    assert draw(880) != first
    assert pixels(first).shape[2] == 4


def test_curves_with_and_without_what_was_heard() -> None:
    decoded = numpy_rng(0, "curves").uniform(size=(1, 3, 64)).astype(np.float32)
    alone = figures.control_curves(decoded, STEMS[:1])
    beside = figures.control_curves(decoded, STEMS[:1], heard=np.flip(decoded, -1).copy())
    assert pixels(alone).shape == pixels(beside).shape
    assert alone != beside


def test_heads_show_the_weights() -> None:
    rng = numpy_rng(0, "head")
    places = rng.normal(size=(12, 3))
    places = (0.09 * places / np.linalg.norm(places, axis=1, keepdims=True)).astype(np.float32)
    weights = rng.uniform(size=(4, 12)).astype(np.float32)
    first = figures.head_regions(places, weights, REGIONS)
    assert figures.head_regions(places, weights[::-1], REGIONS) != first
    unknown = figures.head_regions(np.full((12, 3), np.nan, dtype=np.float32), weights, REGIONS)
    assert pixels(unknown).shape == pixels(first).shape
    good = np.arange(12) != 3
    marked = figures.head_regions(places, weights, REGIONS, good)
    assert marked != first
    other = np.where(good, weights, 0.0).astype(np.float32)
    assert figures.head_regions(places, other, REGIONS, good) == marked


def test_the_vertex_is_in_the_middle_and_the_nose_up() -> None:
    flat = figures._azimuthal(np.array([[0, 0, 0.1], [0, 0.1, 0], [0.1, 0, 0]], dtype=np.float32))
    assert flat == pytest.approx(np.array([[0, 0], [0, 1], [1, 0]]), abs=1e-6)


def test_scores_as_bars_and_over_difficulty() -> None:
    bars = figures.identification_bars({"brain": SCORE, "shuffled": None, "oracle": SCORE}, title="t")  # type: ignore[dict-item]
    assert (
        pixels(bars).shape[0] < pixels(figures.identification_bars(dict.fromkeys("abcdef", SCORE), title="t")).shape[0]
    )
    points = [{"snr_db": 0.0, "embedding": SCORE, "generated": SCORE}, {"snr_db": -12.0, "embedding": SCORE}]
    curve = figures.identification_by_snr(points, real_snr_db=-37.0)
    assert figures.identification_by_snr(points, real_snr_db=-20.0) != curve
    assert figures.identification_by_snr(points[::-1], real_snr_db=-37.0) == curve
    with_curves = [{**point, "curves": SCORE} for point in points]
    assert figures.identification_by_snr(with_curves, real_snr_db=-37.0) != curve


@pytest.mark.parametrize("real", [-37.2, -20.0, -8.0, 0.0, 5.0])
def test_the_level_of_real_recordings_is_named_inside_the_picture(real: float, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "png_bytes", lambda figure: drawn.append(figure) or b"")
    points = [
        {"snr_db": snr, "embedding": SCORE, "generated": SCORE if snr == 0 else None} for snr in (0.0, -10.0, -37.2)
    ]
    figures.identification_by_snr(points, real_snr_db=real)
    figure = drawn[0]
    figure.canvas.draw()
    axis = figure.axes[0]
    named = next(text for text in axis.texts if text.get_text() == "real recordings").get_window_extent()
    frame = axis.get_window_extent()
    assert frame.x0 <= named.x0 and named.x1 <= frame.x1 and frame.y0 <= named.y0 and named.y1 <= frame.y1
    # One point is no curve, and the legend says so.
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["embedding", "generated (at 0 dB only)"]


def test_a_long_spectrogram_has_as_many_columns_as_a_picture_can_show() -> None:
    short, long = tone(1500, 0.5)[:24_000], np.tile(tone(1500, 0.5)[:24_000], 90)
    assert figures.spectrogram_db(np.tile(short, 30)).shape[1] == 2813  # 30 s: each frame a column of its own
    drawn = figures.spectrogram_db(long)
    assert 1500 <= drawn.shape[1] <= figures.MOST_COLUMNS
    assert drawn[:, 100:-100].max() == pytest.approx(figures.spectrogram_db(short)[:, 10:-10].max(), abs=0.5)
    # Quiet and loud halves of a column add as powers: nothing between two columns is left out.
    click = np.zeros(90 * 24_000, dtype=np.float32)
    click[54_321] = 1.0
    assert (figures.spectrogram_db(click).max(axis=0) > -90).any()


def test_heard_curves_of_another_length_are_drawn() -> None:
    decoded = np.zeros((4, 3, 64), dtype=np.float32)
    for frames in (63, 64, 65):
        assert figures.control_curves(decoded, STEMS, decoded[..., :1].repeat(frames, -1)).startswith(b"\x89PNG")
