"""The listener's head: where the sources lie and how strongly each electrode sees them.

A three-shell sphere (MNE's Berg & Scherg approximation) under a cap of 10-05 electrodes. The four
named regions are patches of dipoles; more dipoles all over the brain carry background activity.
The cap of each listener sits a few degrees off, so that nominal electrode positions are only
approximately right. Never knows what is played and never makes noise.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import ConfigError
from eeg2music.seeding import numpy_rng
from eeg2music.types import HEAD_CENTRE_M, REGIONS

if TYPE_CHECKING:
    from mne.channels import DigMontage

Array = NDArray[np.float64]

# Extended 10-20 positions (a subset of 10-05) as worn in music experiments.
_ROWS_64 = (
    "Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8",
    "T7 C5 C3 C1 Cz C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8",
    "P9 P7 P5 P3 P1 Pz P2 P4 P6 P8 P10 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz",
)
_ROWS_32 = (
    "Fp1 Fp2 AF3 AF4 F7 F3 Fz F4 F8 FC5 FC1 FC2 FC6 T7 C3 Cz C4 T8",
    "CP5 CP1 CP2 CP6 P7 P3 Pz P4 P8 PO3 PO4 O1 Oz O2",
)
MONTAGES: dict[str, tuple[str, ...]] = {
    "eeg64": tuple(" ".join(_ROWS_64).split()),
    "eeg32": tuple(" ".join(_ROWS_32).split()),
}
TEMPLATE = "colin27_1005"

# Centre of the outermost sphere in head coordinates and radii of brain, skull and scalp
# (conductivities in S/m): fitted to the 64 electrodes of the template, fixed so that every
# montage and every rotation of the cap is seen by the same head.
SPHERE_CENTRE_M = np.array(HEAD_CENTRE_M)
SPHERE_RADIUS_M = 0.096
RELATIVE_RADII = (0.87, 0.92, 1.0)
CONDUCTIVITIES = (0.33, 0.0042, 0.33)

# Anatomical centres in head coordinates: vertex (supplementary motor and central cortex),
# both auditory cortices, medial frontal cortex.
REGION_CENTRES_M: dict[str, Array] = {
    "central": SPHERE_CENTRE_M + 0.074 * np.array([0.0, 0.0, 1.0]),
    "left_temporal": SPHERE_CENTRE_M + 0.072 * np.array([-0.998, 0.0, 0.06]),
    "right_temporal": SPHERE_CENTRE_M + 0.072 * np.array([0.998, 0.0, 0.06]),
    "frontal": SPHERE_CENTRE_M + 0.074 * np.array([0.0, 0.86, 0.51]),
}
DIPOLES_PER_REGION = 6
PATCH_RADIUS_M = 0.024
BACKGROUND_DIPOLES = 96
ALPHA_DIPOLES = 6


@dataclass(frozen=True)
class Head:
    """Lead fields of one listener under one cap, in volts per ampere-metre.

    Attributes
    ----------
    channel_names : one per electrode
    positions_m : (channel, 3) nominal positions in head coordinates: where the cap should sit
    true_positions_m : (channel, 3) where it sits
    regions : (channel, region, dipole)
    background : (channel, source)
    alpha : (channel, source)
    """

    channel_names: tuple[str, ...]
    positions_m: Array
    true_positions_m: Array
    regions: Array
    background: Array
    alpha: Array


@functools.lru_cache(maxsize=128)
def make_head(montage: str = "eeg64", rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Head:
    """Compute the lead fields of a cap that is turned about the three head axes.

    Parameters
    ----------
    montage : a key of `MONTAGES`
    rotation_deg : turns about the right-left, posterior-anterior and vertical axis

    Raises
    ------
    ConfigError
        If the montage is unknown.
    """
    names, nominal = montage_positions(montage)
    worn = SPHERE_CENTRE_M + (nominal - SPHERE_CENTRE_M) @ rotation_matrix(rotation_deg).T
    dipoles = [region_dipoles(), background_dipoles(), alpha_dipoles()]
    positions = np.concatenate([p.reshape(-1, 3) for p, _ in dipoles])
    moments = np.concatenate([m.reshape(-1, 3) for _, m in dipoles])
    lead = _lead_field(names, worn, positions, moments)
    n_region, n_background = len(REGIONS) * DIPOLES_PER_REGION, BACKGROUND_DIPOLES
    return Head(
        channel_names=names,
        positions_m=nominal,
        true_positions_m=worn,
        regions=lead[:, :n_region].reshape(len(names), len(REGIONS), DIPOLES_PER_REGION),
        background=lead[:, n_region : n_region + n_background],
        alpha=lead[:, n_region + n_background :],
    )


def montage_positions(montage: str) -> tuple[tuple[str, ...], Array]:
    """Channel names and nominal positions (channel, 3), metres, head coordinates."""
    if montage not in MONTAGES:
        raise ConfigError(
            f"No simulated montage named {montage!r}", allowed=", ".join(MONTAGES), remedy="take one of these"
        )
    names = MONTAGES[montage]
    positions = _template_positions()
    return names, np.stack([positions[name] for name in names])


def fiducials() -> dict[str, Array]:
    """Nasion and preauricular points of the template in head coordinates, metres."""
    import mne

    points = mne.channels.compute_native_head_t(_template())
    native = _template().get_positions()
    return {
        name: np.asarray(mne.transforms.apply_trans(points, native[key]))
        for name, key in (("NAS", "nasion"), ("LPA", "lpa"), ("RPA", "rpa"))
    }


def rotation_matrix(rotation_deg: tuple[float, float, float]) -> Array:
    """Rotation about x, then y, then z, in degrees. (3, 3)."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix())


def region_dipoles() -> tuple[Array, Array]:
    """Positions and unit moments of the regions' patches, each (region, dipole, 3).

    A radial and two tangential dipoles at the centre and three more around it, turned against
    each other: six patterns on the scalp that four features can share without being confused.
    """
    positions, moments = [], []
    for region in REGIONS:
        centre = REGION_CENTRES_M[region]
        radial, first, second = _local_axes(centre - SPHERE_CENTRE_M)
        offsets = np.stack([0 * first, 0 * first, 0 * first, first, second, -(first + second) / np.sqrt(2)])
        mixed = (first + second + radial) / np.sqrt(3)
        positions.append(centre + PATCH_RADIUS_M * offsets)
        moments.append(np.stack([radial, first, second, radial, mixed, second]))
    return np.stack(positions), np.stack(moments)


def background_dipoles() -> tuple[Array, Array]:
    """Positions and unit moments (source, 3), spread over the brain, the same for every listener."""
    rng = numpy_rng(0, "background dipoles")
    directions = rng.standard_normal((4 * BACKGROUND_DIPOLES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions[directions[:, 2] > -0.5][:BACKGROUND_DIPOLES]
    # Uniform in volume between 40 and 82 % of the head's radius: cortex and what lies below it.
    radius = SPHERE_RADIUS_M * np.cbrt(rng.uniform(0.40**3, 0.82**3, BACKGROUND_DIPOLES))
    moments = rng.standard_normal((BACKGROUND_DIPOLES, 3))
    moments /= np.linalg.norm(moments, axis=1, keepdims=True)
    return SPHERE_CENTRE_M + radius[:, None] * directions, moments


def alpha_dipoles() -> tuple[Array, Array]:
    """Positions and unit moments (source, 3) of the occipital and parietal alpha rhythm."""
    rng = numpy_rng(0, "alpha dipoles")
    spread = rng.uniform(-1.0, 1.0, (ALPHA_DIPOLES, 2))
    directions = np.stack([0.55 * spread[:, 0], -np.ones(ALPHA_DIPOLES), 0.25 + 0.35 * spread[:, 1]], axis=1)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    moments = directions + 0.6 * rng.standard_normal((ALPHA_DIPOLES, 3))
    moments /= np.linalg.norm(moments, axis=1, keepdims=True)
    return SPHERE_CENTRE_M + 0.065 * directions, moments


def _local_axes(direction: Array) -> tuple[Array, Array, Array]:
    """Radial unit vector and two tangential ones."""
    radial = direction / np.linalg.norm(direction)
    helper = np.array([0.0, 1.0, 0.0]) if abs(radial[1]) < 0.7 else np.array([1.0, 0.0, 0.0])
    first = np.cross(radial, helper)
    first /= np.linalg.norm(first)
    return radial, first, np.cross(radial, first)


@functools.lru_cache(maxsize=1)
def _template() -> DigMontage:
    import mne

    return mne.channels.make_standard_montage(TEMPLATE)


@functools.lru_cache(maxsize=1)
def _template_positions() -> dict[str, Array]:
    """Every electrode of the template in head coordinates."""
    import mne

    to_head = mne.channels.compute_native_head_t(_template())
    native = _template().get_positions()["ch_pos"]
    return {name: np.asarray(mne.transforms.apply_trans(to_head, point)) for name, point in native.items()}


def _lead_field(names: tuple[str, ...], electrodes: Array, positions: Array, moments: Array) -> Array:
    """(channel, source) volts per ampere-metre, average reference."""
    import mne

    info = mne.create_info(list(names), 1000.0, "eeg", verbose="ERROR")
    info.set_montage(mne.channels.make_dig_montage(dict(zip(names, electrodes, strict=True)), coord_frame="head"))
    sphere = mne.make_sphere_model(
        SPHERE_CENTRE_M, SPHERE_RADIUS_M, info, RELATIVE_RADII, CONDUCTIVITIES, verbose="ERROR"
    )
    space = mne.setup_volume_source_space(pos={"rr": positions, "nn": moments}, sphere_units="m", verbose="ERROR")
    forward = mne.make_forward_solution(
        info, trans=None, src=space, bem=sphere, meg=False, eeg=True, mindist=0.0, verbose="ERROR"
    )
    free = np.asarray(forward["sol"]["data"]).reshape(len(names), len(positions), 3)
    lead = np.einsum("csk,sk->cs", free, moments)
    return lead - lead.mean(axis=0)
