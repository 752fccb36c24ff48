"""Does each stem come from its own region? Exchange one region's source, decode again, see which stems change.

A simulated listener hears songs. Then the source of one region follows other songs, before the lead fields, while all
else, noise included, stays as it is. Row r, column k of the matrix: how far stem k's condition moves when region r's
source is exchanged. Mass on the diagonal: 1 where every stem depends on its own region alone, 0.25 where it does not
matter which. As a check the same is decoded with the electrode positions permuted: the mass has to collapse.

    python benchmarks/region_matrix.py [--encoder DIR] [--listeners 4] [--songs 12] [--snr-db 0] [--out FILE]

A song or listener that the encoder was trained or chosen on is an error. Takes about two minutes on one core. Changes
of embeddings: `cosine` (1 - cosine, half the squared distance) and `euclidean` (the distance, which weighs small
changes more). Of curves likewise: `curves_squared` (mean square over frames) and `curves` (its root).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eeg2music.config import shipped_folder
from eeg2music.encoders.base import BrainConditions, Encoder
from eeg2music.encoders.brain import BrainEncoder
from eeg2music.errors import CheckpointError
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.files import read_json, write_json
from eeg2music.origin import made_with
from eeg2music.preprocess.eeg import channel_mask, preprocess
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.library import song_ids
from eeg2music.simulation.listening import draw_listener
from eeg2music.simulation.session import MUSIC, Stimulus, Trial, simulate_listener, stimulus_from_song
from eeg2music.types import EEG_RATE_HZ, REGIONS, STEMS, WINDOW_S, FloatArray, Recording
from eeg2music.weights import MANIFEST_NAME, load_model

Matrix = NDArray[np.float64]
MEASURES = ("cosine", "curves_squared", "euclidean", "curves")
POSITIONS = ("true", "permuted")
# A family of songs of its own: nothing else in the project uses this seed.
SONG_SEED = 9041
SONG_S = 10.0


def main() -> None:
    """Compute the matrices, print them, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", type=Path, default=shipped_folder("checkpoints") / "mini" / "encoder")
    parser.add_argument("--listeners", type=int, default=4)
    parser.add_argument("--songs", type=int, default=12)
    parser.add_argument("--snr-db", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.songs < 2:
        parser.error(f"--songs {given.songs}: to exchange songs takes two or more")
    refuse_met(given.encoder, song_ids(None, SONG_SEED, given.songs), listener_names(given.listeners))
    result = region_matrix(
        load_model(BrainEncoder, given.encoder), given.listeners, given.songs, snr_db=given.snr_db, seed=given.seed
    )
    for positions, matrices in result["matrices"].items():
        for measure, matrix in matrices.items():
            mass = result["diagonal_mass"][positions][measure]
            low, high = result["ci95"][positions][measure] or (float("nan"), float("nan"))
            print(f"\npositions {positions}, {measure}: {mass:.3f} of the mass on the diagonal")
            print(f"95 % interval over {given.listeners} listeners: {low:.3f} to {high:.3f}")
            print(f"{'exchanged':>16}  " + "  ".join(f"{stem:>8}" for stem in STEMS))
            for region, row in zip(REGIONS, matrix, strict=True):
                print(f"{region:>16}  " + "  ".join(f"{value:8.4f}" for value in row))
    if given.out:
        write_json(given.out, {"made_with": made_with(given.encoder), "snr_db": given.snr_db, **result})


def listener_names(count: int) -> list[str]:
    """Who listens; listeners are drawn from their names."""
    return [f"regions{number:02d}" for number in range(count)]


def refuse_met(folder: Path, songs: Sequence[str], listeners: Sequence[str]) -> None:
    """Raise if the encoder in `folder` was trained, or its best state chosen, on any of them.

    Raises
    ------
    LeakError
    CheckpointError
        If it does not say what it was trained on.
    """
    if not (folder / MANIFEST_NAME).is_file():
        raise CheckpointError(
            f"{folder} does not say what it was trained on", allowed=f"an encoder with {MANIFEST_NAME}"
        )
    met = read_json(folder / MANIFEST_NAME)
    heard = Manifest(songs=frozenset(songs), subjects=frozenset(f"sub-{name}" for name in listeners))
    for part in (met, {"songs": [], **(met.get("valid") or {})}):
        refuse_leaks(part, heard, kinds=("subject",))


def region_matrix(encoder: Encoder, listeners: int, songs: int, *, snr_db: float, seed: int) -> dict[str, Any]:
    """Matrices by positions ("true", "permuted") and measure, (region, stem) as lists, and their diagonal mass.

    `ci95` is of the mass over listeners (whose mean is not quite that of the mean matrix); None with one.
    """
    stimuli = [stimulus_from_song(song, SONG_S) for song in song_ids(None, SONG_SEED, songs)]
    apart = [
        listener_matrices(encoder, *record(name, stimuli, snr_db, seed), seed=seed)
        for name in listener_names(listeners)
    ]
    matrices = {
        kind: {measure: np.mean([one[kind][measure] for one in apart], axis=0) for measure in MEASURES}
        for kind in POSITIONS
    }
    return {
        "listeners": listeners,
        "songs": songs,
        "matrices": {kind: {name: m.tolist() for name, m in found.items()} for kind, found in matrices.items()},
        "diagonal_mass": {
            kind: {name: diagonal_mass(m) for name, m in found.items()} for kind, found in matrices.items()
        },
        "ci95": {kind: {name: mass_interval(apart, kind, name) for name in MEASURES} for kind in POSITIONS},
    }


def mass_interval(apart: Sequence[dict[str, dict[str, Matrix]]], kind: str, measure: str) -> list[float] | None:
    """95 % interval of the diagonal mass over listeners, given each one's matrices."""
    if len(apart) < 2:
        return None
    masses = [diagonal_mass(one[kind][measure]) for one in apart]
    interval = cluster_interval(masses, range(len(apart)), bounds=(0.0, 1.0))
    return [interval.low, interval.high]


def diagonal_mass(matrix: Matrix) -> float:
    """Share of a non-negative square matrix that lies on its diagonal."""
    return float(np.trace(matrix) / matrix.sum())


def record(name: str, stimuli: Sequence[Stimulus], snr_db: float, seed: int) -> tuple[Recording, dict[str, Recording]]:
    """A listener's recording, and the same with each region's source following other songs."""
    listener = draw_listener(name)
    trials = [Trial(stimulus, number, snr_db=snr_db) for number, stimulus in enumerate(stimuli)]
    others = [stimuli[(number + len(stimuli) // 2) % len(stimuli)] for number in range(len(stimuli))]
    heard = preprocess(simulate_listener(listener, trials, sfreq_hz=128.0, seed=seed))
    exchanged = {
        region: preprocess(simulate_listener(listener, trials, sfreq_hz=128.0, seed=seed, exchange=(region, others)))
        for region in REGIONS
    }
    return heard, exchanged


def listener_matrices(
    encoder: Encoder, heard: Recording, exchanged: dict[str, Recording], *, seed: int
) -> dict[str, dict[str, Matrix]]:
    """One listener's matrices by positions and measure: how far each stem moves, by exchanged region."""
    permuted = numpy_rng(seed, "permuted positions", heard.subject.removeprefix("sub-")).permutation(
        len(heard.positions_m)
    )
    found = {}
    for kind, order in zip(POSITIONS, (np.arange(len(permuted)), permuted), strict=True):
        before = decode(encoder, heard, order)
        rows = [distances(before, decode(encoder, exchanged[region], order)) for region in REGIONS]
        found[kind] = {measure: np.stack([row[measure] for row in rows]) for measure in MEASURES}
    return found


@torch.no_grad()
def decode(encoder: Encoder, recording: Recording, order: NDArray[np.int64]) -> BrainConditions:
    """Conditions of all whole windows of music, electrode c being told the position of electrode order[c]."""
    samples = round(WINDOW_S * EEG_RATE_HZ)
    windows: list[FloatArray] = []
    for event in recording.events:
        if event.kind != MUSIC:
            continue
        first = round(event.onset_s * EEG_RATE_HZ)
        last = first + round(event.duration_s * EEG_RATE_HZ) - samples
        windows.extend(recording.signal_v[:, start : start + samples] for start in range(first, last + 1, samples))
    eeg = torch.from_numpy(np.stack(windows))
    positions = torch.from_numpy(recording.positions_m[order]).expand(len(eeg), -1, -1)
    mask = torch.from_numpy(channel_mask(recording)).expand(len(eeg), -1)
    found: BrainConditions = encoder(eeg, positions, mask, torch.full((len(eeg),), -1))
    return found


def distances(before: BrainConditions, after: BrainConditions) -> dict[str, Matrix]:
    """Mean change of each stem's condition, (stem,), by measure."""
    embedding = after.stem_embedding - before.stem_embedding
    cosine = 1.0 - (before.stem_embedding * after.stem_embedding).sum(-1)
    curves = (after.curves - before.curves).square().mean((2, 3))
    values = {
        "cosine": cosine,
        "curves_squared": curves,
        "euclidean": embedding.norm(dim=-1),
        "curves": curves.sqrt(),
    }
    return {name: value.mean(0).double().numpy() for name, value in values.items()}


if __name__ == "__main__":
    main()
