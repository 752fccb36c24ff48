"""Pictures of how queries find what was heard: similarities, ranks, and a map. Each returned as PNG bytes.

Draws what it is given; computes nothing but the limits of colours and axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.report.figures import ACCENT, CALM, GREY, INK, new_figure, png_bytes

Float64 = NDArray[np.float64]
COLOURS = {"brain": ACCENT, "oracle": CALM}
# Told apart without colour too.
LINES = {"brain": "-", "oracle": "--"}
# Of names that are none of these, in turn; where one comes first, the picture is about it.
OTHERS = ((GREY, "-."), ("#2f7d4f", "--"), ("#7a5195", "-"), ("#a8781e", ":"))
MAP_COLOUR = "#5d6675"
TICKS = (1, 2, 5, 10, 20, 100, 1000)


class Curve(NamedTuple):
    """Share of queries with what was heard among the first k, for some k up to g, and its interval; each (k,)."""

    k: NDArray[np.int64]
    share: Float64
    low: Float64
    high: Float64


class Cloud(NamedTuple):
    """Clips on the map (n, 2), and which item of the gallery (item, 2) each heard (n,)."""

    clips: Float64
    target: NDArray[np.int64]


def similarity_panels(panels: Mapping[str, Float64], *, of: str = "songs", kind: str = "cosine") -> bytes:
    """One matrix (query, item) for each title, queries in the order of what was heard.

    of: what the gallery holds, in the plural. kind: of similarity.
    """
    figure, axes = new_figure(5.4 * len(panels) + 0.2, 4.9, 1, len(panels))
    for axis, (title, values) in zip(axes[0], panels.items(), strict=True):
        low, high = np.quantile(values, [0.01, 0.99])
        image = axis.imshow(values, aspect="auto", cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.set(xlabel=f"{of} of the gallery", ylabel="query, by what was heard")
        axis.tick_params(labelsize=7)
        bar = figure.colorbar(image, ax=axis, shrink=0.85, extend="both")
        bar.set_label(kind, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return png_bytes(figure)


def rank_panels(panels: Mapping[str, Mapping[str, Curve]], *, of: str = "songs") -> bytes:
    """For each title the curves by condition, over the line of chance. of: what the gallery holds, in the plural."""
    figure, axes = new_figure(5.2 * len(panels), 3.9, 1, len(panels))
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        size = max(int(curve.k[-1]) for curve in curves.values())
        for (name, curve), (colour, line) in zip(curves.items(), _styles(list(curves)), strict=True):
            axis.fill_between(curve.k, curve.low, curve.high, color=colour, alpha=0.16, lw=0)
            axis.plot(curve.k, curve.share, color=colour, lw=1.8, ls=line, label=_words(name))
        places = np.arange(1, size + 1)
        axis.plot(places, places / size, color=INK, lw=0.9, ls=":", label="chance")
        axis.set_title(title, fontsize=9)
        axis.set(xlabel=f"k of {size} {of}", ylabel="what was heard among the first k", xlim=(1, size), ylim=(0, 1.02))
        axis.set_xscale("log")
        ticks = [tick for tick in TICKS if tick < size] + [size]
        axis.set_xticks(ticks, [f"{tick}" for tick in ticks], minor=False)
        axis.set_xticks([], minor=True)
        axis.tick_params(labelsize=8)
        axis.legend(fontsize=8, loc="best", framealpha=0.9)
    return png_bytes(figure)


def _styles(names: Sequence[str]) -> list[tuple[str, str]]:
    """Colour and line of each curve."""
    others = itertools.cycle(OTHERS)
    own = {name: (COLOURS[name], LINES[name]) for name in COLOURS}
    return [own[name] if name in own else next(others) if place else own["brain"] for place, name in enumerate(names)]


def embedding_map(
    panels: Mapping[str, tuple[str, Cloud]], heard: Float64, share: Float64, *, of: str = "songs"
) -> bytes:
    """One plane, a panel for each condition: its clips, a line from each to what was heard.

    panels: {condition: (title, cloud)}. heard (item, 2): the gallery. share (2,) of the variance, by axis. of: what the
    gallery holds, in the plural.
    """
    count = len(panels)
    figure, axes = new_figure(4.1 * count + 0.4, 4.4, 1, count)
    everything = np.concatenate([heard, *(cloud.clips for _, cloud in panels.values())])
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = 0.06 * np.maximum(high - low, 1e-9)
    for axis, (name, (title, cloud)) in zip(axes[0], panels.items(), strict=True):
        _draw_cloud(axis, name, cloud, heard, of)
        axis.set_title(title, fontsize=9)
        axis.set(
            xlim=(low[0] - margin[0], high[0] + margin[0]),
            ylim=(low[1] - margin[1], high[1] + margin[1]),
            xlabel=f"first axis ({100 * share[0]:.0f} % of the variance)",
            ylabel=f"second axis ({100 * share[1]:.0f} %)",
        )
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=7, loc="best", framealpha=0.9)
    return png_bytes(figure)


def _draw_cloud(axis: Any, name: str, cloud: Cloud, heard: Float64, of: str) -> None:
    from matplotlib.collections import LineCollection

    colour = COLOURS.get(name, MAP_COLOUR)
    lines = np.stack([cloud.clips, heard[cloud.target]], axis=1)
    axis.add_collection(LineCollection(list(lines), colors=colour, linewidths=0.5, alpha=0.35, zorder=1))
    label = f"{of} of the gallery"
    axis.scatter(*heard.T, s=20, facecolors="white", edgecolors=INK, linewidths=0.9, label=label, zorder=2)
    axis.scatter(*cloud.clips.T, s=9, color=colour, lw=0, alpha=0.8, label=f"clip, {_words(name)}", zorder=3)


def _words(name: str) -> str:
    return name.replace("_", " ")
