"""Where the electrodes of one recording sit, and who says so.

In order: a montage the user names, the data set's electrodes.tsv, the file's own positions,
standard names. Nothing is invented: an unknown position stays NaN and is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.recordings.contents import no_positions
from eeg2music.recordings.montages import counting, guess_positions, match_montage
from eeg2music.types import HEAD_CENTRE_M, FloatArray

# How every note on positions begins.
_SUBJECT = "positions"
_CENTRE_M = np.array(HEAD_CENTRE_M)
_RADIUS_M = (0.05, 0.16)
# Fewest electrodes that a sphere can be fitted to, how far they may lie off it, and how far their mean direction may
# be from zero: 0.4 for a cap that ends at the ears, 0.9 and more for a grid of a few centimetres.
_CAP_CHANNELS = 8
_CAP_TOLERANCE = 0.2
_CAP_LEAN = 0.7


def locate(
    names: Sequence[str],
    own: FloatArray,
    *,
    origin: str,
    fiducials: bool,
    kind: str,
    montage: str | None = None,
) -> tuple[FloatArray, tuple[str, ...]]:
    """Positions of the kept channels and a note on where they come from.

    Parameters
    ----------
    own : (channel, 3) what file or sidecar says, NaN where it says nothing
    origin : "the file" or "electrodes.tsv", for the note
    fiducials : whether `own` was placed by nasion and ears

    Raises
    ------
    InputError
        If the montage is unknown or names none of the channels.
    """
    if montage is not None:
        positions = match_montage(names, montage)
        return positions, _named_by_user(names, positions, montage)
    if kind == "ieeg":
        # Contacts lie inside the head, often in a template's coordinates: scalp regions say nothing about them.
        return no_positions(len(names)), ("positions of intracranial contacts are not used; global decoding only",)
    known = int(np.isfinite(own).all(axis=1).sum())
    if kind == "meg":
        text = "positions from " + origin if known else "positions unknown: the file has none; global decoding only"
        return own, (_said(text, known or len(names), len(names)),)
    if known >= max(1, 0.5 * len(names)):
        placed, how = onto_head(own, fiducials)
        if placed is not None:
            return placed, (_said(f"positions from {origin}{how}", known, len(names)),)
    positions, matched = guess_positions(names)
    if matched is None:
        numbers = ", ".join(counting(names)[:3])
        why = f"names such as {numbers} only number the channels" if numbers else "the names match no standard montage"
        remedy = "name the channels by their electrodes in the file" if numbers else "name a montage with --montage"
        return positions, (f"positions unknown: the file has none and {why}; global decoding only ({remedy})",)
    found = int(np.isfinite(positions).all(axis=1).sum())
    return positions, (_said(f"positions by matching names with {matched}", found, len(names)),)


def note_on_positions(notes: Sequence[str]) -> str | None:
    """What `locate` said, among all notes of a recording."""
    return next((note for note in notes if note.startswith(_SUBJECT)), None)


def _said(text: str, known: int, count: int) -> str:
    return text if known == count else f"{text}; {count - known} of {count} channels without one"


def _named_by_user(names: Sequence[str], positions: FloatArray, montage: str) -> tuple[str, ...]:
    found = int(np.isfinite(positions).all(axis=1).sum())
    if not found:
        raise InputError(
            f"The montage {montage!r} has none of the recording's channels ({', '.join(names[:6])}, …)",
            allowed="a montage that names them",
            remedy="leave --montage out, or rename the channels in the file",
        )
    return (_said(f"positions from the montage {montage}, as asked", found, len(names)),)


def onto_head(positions: NDArray[np.floating], fiducials: bool) -> tuple[FloatArray | None, str]:
    """Repair unit and origin of (channel, 3) scalp positions, or None if they are no head at all.

    Files that lack fiducials centre their sphere on zero, and some claim millimetres but hold
    centimetres. A sphere is fitted; its radius decides the unit, its centre the shift.
    """
    known = positions[np.isfinite(positions).all(axis=1)].astype(float)
    centre, radius = fit_sphere(known)
    if not np.isfinite(radius) or radius <= 0:
        return None, ""
    scale = 1.0
    if not _RADIUS_M[0] <= radius <= _RADIUS_M[1]:
        scale = 10.0 ** round(float(np.log10(0.095 / radius)))
        if not _RADIUS_M[0] <= scale * radius <= _RADIUS_M[1]:
            return None, ""
    how = "" if scale == 1.0 else f" (numbers multiplied by {scale:g} to be metres)"
    shift = np.zeros(3)
    if not fiducials and np.linalg.norm(scale * centre - _CENTRE_M) > 0.015:
        shift = _CENTRE_M - scale * centre
        how += " (moved onto the average head, for want of fiducials)"
    return (scale * positions + shift).astype(np.float32), how


def is_cap(positions_m: NDArray[np.floating]) -> bool:
    """Whether (channel, 3) positions, NaN where unknown, are those of a cap around the head.

    A cap lies on one sphere and reaches around it. Depth electrodes lie at every distance from their middle; a grid
    on the cortex lies on one side.
    """
    known = positions_m[np.isfinite(positions_m).all(axis=1)].astype(float)
    if len(known) < max(_CAP_CHANNELS, 0.5 * len(positions_m)):
        return False
    centre, radius = fit_sphere(known)
    if not np.isfinite(radius) or radius <= 0:
        return False
    away = np.linalg.norm(known - centre, axis=1)
    on_it = np.abs(away / radius - 1) < _CAP_TOLERANCE
    directions = (known - centre) / np.maximum(away, 1e-12)[:, None]
    return bool(on_it.mean() >= 0.9 and np.linalg.norm(directions.mean(axis=0)) < _CAP_LEAN)


def fit_sphere(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Centre (3,) and radius of the sphere nearest to (n, 3) points (linear least squares).

    Too few or coplanar points: the origin, and their median distance from it.
    """
    if len(points) >= 8:
        design = np.c_[2 * points, np.ones(len(points))]
        solution, _, rank, _ = np.linalg.lstsq(design, (points**2).sum(axis=1), rcond=1e-6)
        if rank == 4:
            centre = solution[:3]
            return centre, float(np.sqrt(max(0.0, solution[3] + (centre**2).sum())))
    centre = np.zeros(3)
    return centre, float(np.median(np.linalg.norm(points, axis=1))) if len(points) else float("nan")
