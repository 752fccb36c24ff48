"""Scores drawn on the head: topographies of channels (MNE), voxels and contacts in a glass brain (nilearn), as PNG.

Draws what it is given. Values that are not finite are refused by name, never drawn as zero: a hole in a map would be
filled by its neighbours without a word.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError, MissingExtraError, first_few
from eeg2music.report.figures import png_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_CHANNELS = 4
# Of all markers in a glass brain together, in square points.
DOT_AREA = 5000.0


def topomaps(
    panels: Mapping[str, ArrayLike],
    positions_m: ArrayLike,
    names: Sequence[str],
    *,
    label: str = "r",
    limits: tuple[float, float] | None = None,
) -> bytes:
    """One head seen from above for each named set of values, all with one colour scale.

    Parameters
    ----------
    panels : {title: (channel,) values}
    positions_m : (channel, 3) head coordinates in metres
    names : (channel,), to name those that are refused
    label : of the colour bar
    limits : of the colours; None takes the largest absolute value on either side of 0

    Returns
    -------
    PNG bytes, the same for the same values.

    Raises
    ------
    InputError
        For values or positions that are not finite (by channel), fewer than 4 channels, or two at one place.
    """
    places = np.asarray(positions_m, dtype=np.float64)
    values = {title: np.asarray(panel, dtype=np.float64) for title, panel in panels.items()}
    _check_channels(values, places, names)
    low, high = _limits(list(values.values()), limits)
    import mne

    info = mne.create_info([str(name) for name in names], 100.0, "eeg")
    montage = mne.channels.make_dig_montage(dict(zip(info["ch_names"], places, strict=True)), coord_frame="head")
    info.set_montage(montage)
    figure, axes = _figure(2.6 * len(values), 2.9, len(values))
    for axis, (title, panel) in zip(axes, values.items(), strict=True):
        image, _ = mne.viz.plot_topomap(
            panel, info, axes=axis, show=False, vlim=(low, high), cmap="RdBu_r", contours=4, sphere="auto"
        )
        axis.set_title(title, fontsize=9)
    figure.colorbar(image, ax=list(axes), shrink=0.7, label=label)
    return png_bytes(figure)


def glass_brain(values: ArrayLike, coordinates_mm: ArrayLike, names: Sequence[str], *, label: str = "r") -> bytes:
    """Voxels, contacts or regions as dots in a transparent brain, coloured by their value (nilearn).

    Parameters
    ----------
    values : (unit,)
    coordinates_mm : (unit, 3) MNI coordinates
    names : (unit,), to name those that are refused
    label : of the picture

    Raises
    ------
    MissingExtraError
        If nilearn is not installed.
    """
    numbers, places = np.asarray(values, dtype=np.float64), np.asarray(coordinates_mm, dtype=np.float64)
    _check_values("values", numbers, names)
    _check_places(places, names, "MNI coordinates")
    if importlib.util.find_spec("nilearn") is None:
        raise MissingExtraError("nilearn", "maps")
    from nilearn import plotting

    low, high = _limits([numbers], None)
    figure, _ = _figure(7.6, 2.9, 0)
    # Thousands of voxels as points, a few contacts as dots.
    size = float(np.clip(DOT_AREA / len(numbers), 2.0, 50.0))
    plotting.plot_markers(
        numbers, places, node_size=size, node_cmap="RdBu_r", node_vmin=low, node_vmax=high, figure=figure,
        display_mode="lyrz", title=label,
    )  # fmt: skip
    return png_bytes(figure)


def _check_channels(
    values: Mapping[str, NDArray[np.float64]], places: NDArray[np.float64], names: Sequence[str]
) -> None:
    if not values:
        raise InputError("No values to draw", allowed="one set or more")
    if len(names) < LEAST_CHANNELS or len(set(names)) != len(names):
        raise InputError(f"{len(names)} channels, {len(set(names))} names", allowed=f"{LEAST_CHANNELS} or more, unlike")
    for title, panel in values.items():
        _check_values(title, panel, names)
    _check_places(places, names, "positions in metres")
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(len(places))
    if gaps.min() < 1e-6:
        first, second = divmod(int(gaps.argmin()), len(gaps))
        raise InputError(f"{names[first]} and {names[second]} lie at one place", allowed="a place for each channel")


def _check_values(title: str, values: NDArray[np.float64], names: Sequence[str]) -> None:
    if values.shape != (len(names),):
        raise InputError(f"{title!r} has shape {values.shape}", allowed=f"({len(names)},), one value for each name")
    _refuse_unknown(f"{title!r} has no finite value", ~np.isfinite(values), names)


def _check_places(places: NDArray[np.float64], names: Sequence[str], what: str) -> None:
    if places.shape != (len(names), 3):
        raise InputError(f"{what} of shape {places.shape}", allowed=f"({len(names)}, 3)")
    _refuse_unknown(f"There are no {what}", np.any(~np.isfinite(places), axis=1), names)


def _refuse_unknown(what: str, bad: NDArray[np.bool_], names: Sequence[str]) -> None:
    if bad.any():
        shown = [str(name) for name, out in zip(names, bad, strict=True) if out]
        raise InputError(
            f"{what} for {first_few(shown)}",
            allowed="finite numbers",
            remedy="leave these out of values, positions and names alike",
        )


def _limits(panels: Sequence[NDArray[np.float64]], limits: tuple[float, float] | None) -> tuple[float, float]:
    if limits is not None:
        if not limits[0] < limits[1]:
            raise InputError(f"Colours from {limits[0]} to {limits[1]}", allowed="rising")
        return limits
    most = max(float(np.abs(panel).max()) for panel in panels) or 1.0
    return -most, most


def _figure(width: float, height: float, columns: int) -> tuple[Figure, Any]:
    # Not pyplot: no global state, no display needed.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained" if columns else None)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, squeeze=False)[0] if columns else None
