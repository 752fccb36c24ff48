"""What the pipeline is conditioned on under a protocol: rendered songs' own conditions, and the same decoded.

The decoder is the protocol's, fitted on the same training windows towards what can be read off their audio: control
curves in the pipeline's units, and embeddings of mix and stems. Tested windows' audio is embedded by the scorer and, as
a ceiling, gives its own conditions; nothing else of it is used. Generates nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eeg2music.evaluation.heard import audio_conditions, condition_vectors, scorer_vectors, take
from eeg2music.evaluation.protocols.config import GeneratedRule, SimulatedRule
from eeg2music.evaluation.protocols.decoded import Decoded
from eeg2music.evaluation.protocols.decoder import fit_curves, read_curves, sums_of
from eeg2music.evaluation.protocols.gallery import repeats_of
from eeg2music.evaluation.protocols.sketch import make_songs
from eeg2music.evaluation.protocols.windows import Row
from eeg2music.pipeline import concatenate
from eeg2music.simulation.rendering import render
from eeg2music.types import CURVE_RATE_HZ, CURVES, SAMPLE_RATE_HZ, STEMS, Conditions, FloatArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Rendered:
    """Windows of rendered songs.

    Attributes
    ----------
    place : {name of a window: its row}
    conditions : of the audio
    vectors : (window, dim) by the scorer
    """

    place: dict[str, int]
    conditions: Conditions
    vectors: FloatArray

    def rows(self, rows: Sequence[Row]) -> list[int]:
        """The rows of windows by their labels."""
        return [self.place[row.window] for row in rows]


def render_windows(
    rows: Sequence[Row], rule: SimulatedRule, generated: GeneratedRule, clap: object, scorer: object
) -> Rendered:
    """Render every song that has rows, and read the first seconds of each of its windows. No audio is kept."""
    starts: dict[str, dict[str, float]] = {}
    for row in rows:
        starts.setdefault(row.song, {})[row.window] = row.start_s
    length = round(generated.seconds * SAMPLE_RATE_HZ)
    place: dict[str, int] = {}
    conditions, vectors = [], []
    for song in make_songs(rule):
        if song.name not in starts:
            continue
        stems = render(song.song)
        firsts = [round(start * SAMPLE_RATE_HZ) for start in starts[song.name].values()]
        clips = np.stack([stems[:, first : first + length] for first in firsts])
        place |= {name: len(place) + number for number, name in enumerate(starts[song.name])}
        conditions.append(audio_conditions(clap, clips))
        vectors.append(scorer_vectors(scorer, clips))
    return Rendered(place, concatenate(conditions), np.concatenate(vectors))


def decoded_conditions(made: Decoded, music: Rendered, generated: GeneratedRule) -> Conditions:
    """Conditions of every tested window, decoded and then averaged over repeats, in order of first appearance."""
    frames = round(generated.seconds * CURVE_RATE_HZ)
    curves = music.conditions.curves.flatten(1, 2).cpu().numpy().astype(np.float32)
    vectors = condition_vectors(music.conditions).astype(np.float64)
    of_row = music.rows(made.heard.rows)
    found_curves, found_vectors = [], []
    for fold, decoder in zip(made.splits, made.decoders, strict=True):
        short = [made.heard.eeg[number][:, :frames] for number in fold.test]
        weights, centre = fit_curves(
            [sums_of(made.heard.eeg[number][:, :frames], curves[of_row[number]]) for number in fold.train]
        )
        found_curves.append(read_curves(short, weights, centre))
        target = vectors[[of_row[number] for number in fold.train]]
        found_vectors.append(decoder.read_as(target, [made.heard.eeg[number] for number in fold.test]))
    repeats = list(repeats_of(made.rows).values())

    def averaged(parts: Sequence[Float64]) -> torch.Tensor:
        values = np.concatenate(parts)
        return torch.from_numpy(np.stack([values[own].mean(axis=0) for own in repeats]).astype(np.float32))

    unit = torch.nn.functional.normalize(averaged(found_vectors).unflatten(1, (1 + len(STEMS), -1)), dim=-1)
    # The generator was trained on curves that never lie below zero.
    shape = (len(STEMS), len(CURVES))
    return Conditions(unit[:, 0], unit[:, 1:], averaged(found_curves).unflatten(1, shape).clamp_min(0.0))


def anchored(decoded: Conditions, music: Rendered, retrieved: Sequence[int]) -> Conditions:
    """The retrieved windows' embeddings (rows of `music`) with the decoded curves: what it sounds like, and when."""
    of_song = take(music.conditions, retrieved)
    return decoded.replace(global_embedding=of_song.global_embedding, stem_embedding=of_song.stem_embedding)
