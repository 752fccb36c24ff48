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
from eeg2music.files import read_json, write_json
from eeg2music.preprocess.eeg import channel_mask, preprocess
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.library import song_ids
from eeg2music.simulation.listening import draw_listener
from eeg2music.simulation.session import MUSIC, Stimulus, Trial, simulate_listener, stimulus_from_song
from eeg2music.types import EEG_RATE_HZ, REGIONS, STEMS, WINDOW_S, Recording
from eeg2music.weights import MANIFEST_NAME, load_model

Matrix = NDArray[np.float64]
MEASURES = ("cosine", "curves_squared", "euclidean", "curves")
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
            print(f"\npositions {positions}, {measure}: {mass:.3f} of the mass on the diagonal")
            print(f"{'exchanged':>16}  " + "  ".join(f"{stem:>8}" for stem in STEMS))
            for region, row in zip(REGIONS, matrix, strict=True):
                print(f"{region:>16}  " + "  ".join(f"{value:8.4f}" for value in row))
    if given.out:
        write_json(given.out, {"encoder": given.encoder.name, "snr_db": given.snr_db, **result})


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
    """Matrices by positions ("true", "permuted") and measure, (region, stem) as lists, and their diagonal mass."""
    stimuli = [stimulus_from_song(song, SONG_S) for song in song_ids(None, SONG_SEED, songs)]
    shape = (len(REGIONS), len(STEMS))
    sums = {kind: {measure: np.zeros(shape) for measure in MEASURES} for kind in ("true", "permuted")}
    for name in listener_names(listeners):
        changes = _listener_changes(encoder, name, stimuli, snr_db, seed)
        for kind, by_region in changes.items():
            for row, moved in enumerate(by_region):
                for measure in MEASURES:
                    sums[kind][measure][row] += moved[measure] / listeners
    return {
        "listeners": listeners,
        "songs": songs,
        "matrices": {kind: {name: m.tolist() for name, m in found.items()} for kind, found in sums.items()},
        "diagonal_mass": {kind: {name: diagonal_mass(m) for name, m in found.items()} for kind, found in sums.items()},
    }


def diagonal_mass(matrix: Matrix) -> float:
    """Share of a non-negative square matrix that lies on its diagonal."""
    return float(np.trace(matrix) / matrix.sum())


def _listener_changes(
    encoder: Encoder, name: str, stimuli: Sequence[Stimulus], snr_db: float, seed: int
) -> dict[str, list[dict[str, Matrix]]]:
    """How far each stem moves, by exchanged region, with true and with permuted positions."""
    listener = draw_listener(name)
    trials = [Trial(stimulus, number, snr_db=snr_db) for number, stimulus in enumerate(stimuli)]
    others = [stimuli[(number + len(stimuli) // 2) % len(stimuli)] for number in range(len(stimuli))]
    heard = preprocess(simulate_listener(listener, trials, sfreq_hz=128.0, seed=seed))
    permuted = numpy_rng(seed, "permuted positions", name).permutation(len(heard.positions_m))
    orders = {"true": np.arange(len(permuted)), "permuted": permuted}
    before = {kind: decode(encoder, heard, order) for kind, order in orders.items()}
    changes: dict[str, list[dict[str, Matrix]]] = {kind: [] for kind in orders}
    for region in REGIONS:
        exchange = (region, others)
        raw = simulate_listener(listener, trials, sfreq_hz=128.0, seed=seed, exchange=exchange)
        exchanged = preprocess(raw)
        for kind, order in orders.items():
            changes[kind].append(distances(before[kind], decode(encoder, exchanged, order)))
    return changes


@torch.no_grad()
def decode(encoder: Encoder, recording: Recording, order: NDArray[np.int64]) -> BrainConditions:
    """Conditions of all whole windows of music, electrode c being told the position of electrode order[c]."""
    samples = round(WINDOW_S * EEG_RATE_HZ)
    windows = []
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
