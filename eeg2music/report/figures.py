"""The pictures of a report, each returned as PNG bytes.

Draws what it is given and computes nothing but spectrograms.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.types import CURVE_RATE_HZ, CURVES, SAMPLE_RATE_HZ, FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1d2433"
ACCENT = "#c2410c"
CALM = "#3b6ea5"
LEAF = "#4d7c0f"
GREY = "#9aa3b2"
# More than a picture has pixels for; 30 s have 2,813.
MOST_COLUMNS = 3000


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure of so many inches, and its axes (rows, columns)."""
    # The object interface, not pyplot: no global state, no display needed.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def png_bytes(figure: Figure) -> bytes:
    """The drawn figure."""
    buffer = io.BytesIO()
    # No software or date metadata: the same picture is the same bytes.
    figure.savefig(buffer, format="png", dpi=96, metadata={"Software": None})
    return buffer.getvalue()


def spectrogram_db(audio: FloatArray, *, fft: int = 1024, hop: int = 256) -> FloatArray:
    """Magnitude spectrogram in dB re full scale, floored at -90. (samples,) -> (bin, frame).

    Where there would be more than MOST_COLUMNS frames, as many as needed share a column as their mean power.
    """
    signal = np.pad(np.asarray(audio, dtype=np.float32), (fft // 2, fft // 2))
    frames = np.lib.stride_tricks.sliding_window_view(signal, fft)[::hop]
    together = -(-len(frames) // MOST_COLUMNS)
    if together == 1:
        return _decibels(_magnitude(frames, fft))
    columns = [
        np.sqrt(np.square(_magnitude(frames[start : start + together], fft)).mean(axis=0))
        for start in range(0, len(frames), together)
    ]
    return _decibels(np.stack(columns))


def _magnitude(frames: FloatArray, fft: int) -> NDArray[np.floating[Any]]:
    window = np.hanning(fft).astype(np.float32)
    magnitude: NDArray[np.floating[Any]] = np.abs(np.fft.rfft(frames * window, axis=-1)) * 2.0 / window.sum()
    return magnitude


def _decibels(magnitude: NDArray[np.floating[Any]]) -> FloatArray:
    return np.asarray(20.0 * np.log10(np.maximum(magnitude, 10 ** (-90 / 20))).T, dtype=np.float32)


def spectrograms(panels: Mapping[str, FloatArray], *, columns: int = 2) -> bytes:
    """One spectrogram per named clip, up to 8 kHz."""
    names = list(panels)
    rows = -(-len(names) // columns)
    figure, axes = new_figure(5.2 * columns, 1.9 * rows, rows, columns)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, names, strict=False):
        audio = panels[name]
        axis.imshow(
            spectrogram_db(audio),
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=-80,
            vmax=-15,
            extent=(0, audio.size / SAMPLE_RATE_HZ, 0, SAMPLE_RATE_HZ / 2000),
        )
        axis.set(title=name, ylim=(0, 8), xlabel="s", ylabel="kHz")
        axis.title.set_fontsize(9)
    return png_bytes(figure)


def control_curves(decoded: FloatArray, names: Sequence[str], heard: FloatArray | None = None) -> bytes:
    """Decoded curves per stem (stem, curve, frame), over the heard ones where these are known."""
    figure, axes = new_figure(10.4, 1.35 * len(names), len(names), len(CURVES))
    time = np.arange(decoded.shape[-1]) / CURVE_RATE_HZ
    for row, name in enumerate(names):
        for column, curve in enumerate(CURVES):
            axis = axes[row, column]
            if heard is not None:
                known = heard[row, column, : time.size]
                axis.plot(time[: known.size], known, color=GREY, lw=1.4, label="heard")
            axis.plot(time, decoded[row, column], color=ACCENT, lw=0.9, label="decoded")
            axis.set_title(f"{name}: {curve}", fontsize=8)
            axis.tick_params(labelsize=7)
            if row == len(names) - 1:
                axis.set_xlabel("s", fontsize=7)
    if heard is not None:
        axes[0, 0].legend(fontsize=6, loc="upper right")
    return png_bytes(figure)


def head_regions(
    positions_m: FloatArray, weights: FloatArray, regions: Sequence[str], good: NDArray[np.bool_] | None = None
) -> bytes:
    """Electrodes seen from above, one head per region, coloured by how much the region draws on them.

    positions_m (channel, 3), weights (region, channel). Channels without a position are left out; those that are not
    `good` (channel,) are crosses without a colour.
    """
    figure, axes = new_figure(2.6 * len(regions), 2.7, 1, len(regions))
    known = np.isfinite(positions_m).all(axis=1)
    bad = known & ~good if good is not None else np.zeros_like(known)
    known &= ~bad
    flat, crosses = _azimuthal(positions_m[known]), _azimuthal(positions_m[bad])
    for axis, name, weight in zip(axes[0], regions, weights, strict=True):
        angle = np.linspace(0, 2 * np.pi, 100)
        axis.plot(np.cos(angle), np.sin(angle), color=INK, lw=1)
        axis.plot([-0.1, 0, 0.1], [0.99, 1.12, 0.99], color=INK, lw=1)
        if known.any():
            strength = np.abs(weight[known])
            axis.scatter(flat[:, 0], flat[:, 1], c=strength / max(strength.max(), 1e-9), cmap="OrRd", s=26,
                         edgecolors=INK, linewidths=0.3)  # fmt: skip
        axis.scatter(crosses[:, 0], crosses[:, 1], c=GREY, marker="x", s=18, linewidths=1)
        axis.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal", title=name.replace("_", " "))
        axis.title.set_fontsize(9)
        axis.axis("off")
    return png_bytes(figure)


def _azimuthal(positions_m: FloatArray) -> FloatArray:
    """Azimuthal equidistant projection: the vertex at 0, the equator of the head at radius 1."""
    if not len(positions_m):
        return np.zeros((0, 2), dtype=np.float32)
    unit = positions_m / np.maximum(np.linalg.norm(positions_m, axis=1, keepdims=True), 1e-9)
    polar = np.arccos(np.clip(unit[:, 2], -1, 1)) / (np.pi / 2)
    azimuth = np.arctan2(unit[:, 1], unit[:, 0])
    return np.stack([polar * np.cos(azimuth), polar * np.sin(azimuth)], axis=1)


def identification_bars(scores: Mapping[str, Mapping[str, Any]], *, title: str) -> bytes:
    """Pairwise accuracy with 95 % interval of the brain and of each control; chance dashed."""
    names = [name for name, score in scores.items() if score and score.get("accuracy") is not None]
    figure, axes = new_figure(7.2, 0.42 * len(names) + 1.2)
    axis = axes[0, 0]
    for row, name in enumerate(names):
        score = scores[name]
        low, high = score["ci95"]
        colour = ACCENT if name == "brain" else CALM if name == "oracle" else GREY
        axis.barh(row, score["accuracy"], color=colour, height=0.6)
        axis.plot([low, high], [row, row], color=INK, lw=1.5)
        axis.text(1.02, row, f"n = {score['n']}, {score['gallery_size']} songs", va="center", fontsize=7)
    axis.axvline(0.5, color=INK, ls="--", lw=0.8)
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
    axis.set_xticks(np.linspace(0, 1, 6))
    axis.set(xlim=(0, 1.2), xlabel="identification accuracy (pairwise; chance 0.5)", title=title)
    axis.invert_yaxis()
    return png_bytes(figure)


def identification_by_snr(points: Sequence[Mapping[str, Any]], *, real_snr_db: float) -> bytes:
    """Accuracy against SNR, with the level of real recordings marked.

    points: {"snr_db", "embedding": score, optionally "curves" and "generated": scores}.
    """
    figure, axes = new_figure(7.2, 3.2)
    axis = axes[0, 0]
    for kind, colour in (("embedding", ACCENT), ("curves", LEAF), ("generated", CALM)):
        some = sorted((p for p in points if p.get(kind)), key=lambda p: p["snr_db"])
        if not some:
            continue
        snr = [p["snr_db"] for p in some]
        accuracy = np.array([p[kind]["accuracy"] for p in some])
        interval = np.array([p[kind]["ci95"] for p in some]).T
        label = kind if len(some) > 1 else f"{kind} (at {snr[0]:g} dB only)"
        # The later kinds are drawn larger and hollow: they may lie on each other.
        hollow = {} if kind == "embedding" else {"ms": 6 if kind == "curves" else 9, "mfc": "none", "mew": 1.6}
        axis.errorbar(snr, accuracy, yerr=np.maximum(np.abs(interval - accuracy), 0), color=colour, marker="o",
                      capsize=3, label=label, **{"ms": 4, **hollow})  # fmt: skip
    axis.axhline(0.5, color=INK, ls="--", lw=0.8)
    axis.axvline(real_snr_db, color=GREY, lw=1.2)
    levels = [real_snr_db, *(point["snr_db"] for point in points)]
    # Inside the axes, and away from the nearer edge.
    left = real_snr_db <= (min(levels) + max(levels)) / 2
    axis.annotate("real recordings", (real_snr_db, 1.04), (4 if left else -4, 0), textcoords="offset points",
                  fontsize=7, ha="left" if left else "right", color=INK)  # fmt: skip
    axis.set(xlabel="SNR of the simulated recording (dB, 1-12 Hz)", ylabel="pairwise accuracy", ylim=(0.35, 1.1))
    axis.legend(fontsize=8, loc="lower right")
    return png_bytes(figure)
