"""What each stretch of music asks of the brain encoder: CLAP embeddings and control curves.

Computed once per piece (embeddings on a grid of starts, curves over its whole length) and kept
on disk under the hash of the piece's audio and of CLAP's weights, so that a second run, another
listener or a repeat of the piece costs nothing. Never looks at brain signals.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eeg2music.audio import read_audio
from eeg2music.errors import DataError
from eeg2music.files import atomic_path, sha256_file, sha256_json
from eeg2music.targets.cache import AudioEmbedder, curve_scales, model_hash
from eeg2music.targets.curves import control_curves
from eeg2music.training.processes import own_part, wait_for_all
from eeg2music.types import CURVE_RATE_HZ, SAMPLE_RATE_HZ, STEMS, FloatArray

logger = logging.getLogger(__name__)

FORMAT = 1
_REPORT_EVERY = 50


@dataclass(frozen=True)
class PieceTargets:
    """Targets of one piece.

    Attributes
    ----------
    embedding : (place, 1 + stem, embedding) unit norm, of the mix and of the stems, for windows that
        start at place * hop_s
    curves : (stem, curve, frame) at 32 Hz, of the whole piece
    hop_s, window_s : grid and length of the windows
    """

    embedding: FloatArray
    curves: FloatArray
    hop_s: float
    window_s: float

    def at(self, start_s: float) -> tuple[FloatArray, FloatArray]:
        """Embeddings (1 + stem, embedding) and curves (stem, curve, frame) of the window at `start_s`.

        Between two places of the grid the embedding is the normalised mean of both, weighted by nearness.
        The curves begin at the frame nearest to `start_s`, which `curve_shift` tells.
        """
        place = min(max(start_s / self.hop_s, 0.0), len(self.embedding) - 1.0)
        low = min(int(place), max(0, len(self.embedding) - 2))
        share = place - low
        mean = self.embedding[low].copy()
        if share > 0:
            mean = (1 - share) * mean + share * self.embedding[low + 1]
        mean /= np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9)
        frames, first = round(self.window_s * CURVE_RATE_HZ), first_frame(start_s)
        curves = self.curves[..., first : first + frames]
        missing = frames - curves.shape[-1]
        if missing:
            curves = np.pad(curves, ((0, 0), (0, 0), (0, missing)))
        return mean.astype(np.float32), curves.astype(np.float32)


def first_frame(start_s: float) -> int:
    """The curve frame nearest to `start_s`."""
    return max(0, round(start_s * CURVE_RATE_HZ))


def curve_shift(start_s: float) -> float:
    """Frames by which the curves of the window at `start_s` begin after it; within half a frame inside the piece."""
    return first_frame(start_s) - start_s * CURVE_RATE_HZ


class TargetStore:
    """Targets of all pieces that are asked for.

    Parameters
    ----------
    clap : embeds audio
    clap_hash : of its weights, part of every cache key
    window_s, hop_s : length of the windows and the grid of their starts
    cache : folder for computed targets; None keeps them in memory only
    """

    def __init__(
        self, clap: AudioEmbedder, clap_hash: str, *, window_s: float, hop_s: float,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:  # fmt: skip
        self.clap, self.window_s, self.hop_s = clap, window_s, hop_s
        self._identity = [FORMAT, clap_hash, window_s, hop_s]
        self._cache = None if cache is None else Path(cache)
        self._kept: dict[str, PieceTargets] = {}

    def prepare(self, stimulus_files: Sequence[str]) -> None:
        """Compute what is not there yet, with a report in the log now and then.

        With a cache, each process of a run computes its part, and reads the others'.
        """
        wanted = list(dict.fromkeys(stimulus_files))
        if self._cache is not None:
            self._take(own_part(wanted))
            wait_for_all()
        self._take(wanted)

    def _take(self, stimulus_files: Sequence[str]) -> None:
        wanted = [file for file in stimulus_files if file not in self._kept]
        for count, file in enumerate(wanted, start=1):
            self[file]
            if count % _REPORT_EVERY == 0 or count == len(wanted):
                logger.info("targets of %d of %d pieces", count, len(wanted))

    def __getitem__(self, stimulus_file: str) -> PieceTargets:
        """Targets of the piece whose mix lies at `stimulus_file`, with its stems beside it."""
        found = self._kept.get(stimulus_file)
        if found is None:
            found = self._load(Path(stimulus_file))
            self._kept[stimulus_file] = found
        return found

    def _load(self, mix: Path) -> PieceTargets:
        files = track_files(mix)
        file = None
        if self._cache is not None:
            key = sha256_json([*self._identity, [sha256_file(track) for track in files]])
            file = self._cache / f"{key}.npz"
            if file.is_file():
                with np.load(file, allow_pickle=False) as stored:
                    return PieceTargets(stored["embedding"], stored["curves"], self.hop_s, self.window_s)
        computed = self._compute(files)
        if file is not None:
            with atomic_path(file) as temporary:
                np.savez(temporary, embedding=computed.embedding, curves=computed.curves)
        return computed

    @torch.no_grad()
    def _compute(self, files: Sequence[Path]) -> PieceTargets:
        tracks = [read_audio(file) for file in files]
        length = max(track.size for track in tracks)
        audio = torch.from_numpy(np.stack([np.pad(track, (0, length - track.size)) for track in tracks]))
        window, hop = round(self.window_s * SAMPLE_RATE_HZ), round(self.hop_s * SAMPLE_RATE_HZ)
        places = max(0, length - window) // hop + 1
        padded = torch.nn.functional.pad(audio, (0, max(0, window - length)))
        windows = padded.unfold(-1, window, hop)[:, :places]
        # One batch per place: all tracks of a window, small enough for memory caches.
        rows = [self.clap.embed_audio(windows[:, place].contiguous()).float().cpu() for place in range(places)]
        embedding = torch.stack(rows).numpy()
        return PieceTargets(embedding, control_curves(audio[1:]).numpy(), self.hop_s, self.window_s)


def track_files(mix: Path) -> list[Path]:
    """The mix and its stems.

    Raises
    ------
    DataError
        Naming what is missing.
    """
    files = [mix, *(mix.parent / f"{stem}.wav" for stem in STEMS)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise DataError(
            f"{', '.join(missing)} missing in {mix.parent}",
            allowed="the mix that was heard with its stems beside it: " + ", ".join(f"{stem}.wav" for stem in STEMS),
        )
    return files


def load_target_encoder(path: str) -> tuple[Any, str]:
    """CLAP from a folder or by name, in eval mode, and a hash of its weights and of the curves' scales."""
    from eeg2music.targets.pretrained import load_clap

    clap = load_clap(path)
    return clap, sha256_json([model_hash(clap), curve_scales()])
