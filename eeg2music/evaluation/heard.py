"""What was heard and what was recorded, side by side: the material of every score.

Queries are windows of recordings, the gallery holds one window of each song, or as many of each. Holds data and
computes the audio's own conditions; scores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eeg2music.errors import DataError
from eeg2music.evaluation.latency import Delay
from eeg2music.pipeline import concatenate
from eeg2music.targets.curves import control_curves
from eeg2music.types import CURVE_RATE_HZ, CURVES, SAMPLE_RATE_HZ, STEMS, Conditions, FloatArray, Window

MIXED = "mixed"


@dataclass(frozen=True)
class Heard:
    """Windows of recordings and the gallery of music windows they belong to.

    Attributes
    ----------
    windows : n windows of recordings, one length
    target : (n,) row of the gallery that was heard in each
    stems : (gallery, stem, samples) float32 at 24 kHz; (gallery, 1, samples) where the mix alone is known
    songs : song id of each gallery row
    recordings : the whole preprocessed recordings (channel, time) that windows were cut from, by `Window.recording`;
        controls that change a recording change it before windows are cut
    style : the one style that all songs share ("mixed" if they don't)
    works : {song: work} as declared, for versions of one piece; a song not named is its own work
    stimuli : hashes of the songs' audio files, where there are files: a model may know one under another name
    styles : style of each gallery row, where songs of several known styles were heard
    starts_s : where each gallery row starts in its song; not needed where every song has one row
    delays : by listener, the latency that was taken out of the recordings, where it was estimated
    """

    windows: tuple[Window, ...]
    target: NDArray[np.int64]
    stems: FloatArray
    songs: tuple[str, ...]
    style: str
    recordings: Mapping[str, FloatArray] = field(default_factory=dict)
    works: Mapping[str, str] = field(default_factory=dict)
    stimuli: frozenset[str] = frozenset()
    styles: tuple[str, ...] = ()
    starts_s: tuple[float, ...] = ()
    delays: Mapping[str, Delay] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = list(zip(self.songs, self.starts_s, strict=True)) if self.starts_s else list(self.songs)
        if len(set(rows)) != len(rows):
            raise DataError("A song stands twice in the gallery", allowed="one window of each song, or different ones")
        if self.styles and len(self.styles) != len(self.songs):
            raise DataError(f"{len(self.styles)} styles for {len(self.songs)} gallery rows", allowed="one of each")
        if len(self.windows) != len(self.target):
            raise DataError(f"{len(self.windows)} windows but {len(self.target)} targets")

    @property
    def query_songs(self) -> tuple[str, ...]:
        return tuple(self.songs[row] for row in self.target)

    @property
    def query_works(self) -> tuple[str, ...]:
        """What is independent: the work of each query's song, the song itself where none is declared."""
        return tuple(self.works.get(song, song) for song in self.query_songs)

    @property
    def mix_only(self) -> bool:
        """Whether the music is known as a mix without its stems."""
        return self.stems.shape[1] == 1

    @property
    def several_windows(self) -> bool:
        """Whether a song has several rows in the gallery."""
        return len(set(self.songs)) < len(self.songs)

    @property
    def gallery_styles(self) -> tuple[str, ...]:
        """Style of each gallery row."""
        return self.styles or (self.style,) * len(self.songs)

    @property
    def query_styles(self) -> tuple[str, ...]:
        return tuple(self.gallery_styles[row] for row in self.target)

    @property
    def query_labels(self) -> tuple[tuple[str, ...], ...]:
        """Song and listener of each query, and where in the song it starts if that has several windows."""
        if not self.several_windows:
            return tuple(zip(self.query_songs, self.query_subjects, strict=True))
        starts = (f"{self.starts_s[row]:g} s" for row in self.target)
        return tuple(zip(self.query_songs, self.query_subjects, starts, strict=True))

    @property
    def query_subjects(self) -> tuple[str, ...]:
        return tuple(window.subject for window in self.windows)

    def select(self, rows: Sequence[int]) -> Heard:
        """Keep some queries; the gallery stays whole."""
        return replace(self, windows=tuple(self.windows[row] for row in rows), target=self.target[list(rows)])


def next_listeners(heard: Heard) -> Heard | None:
    """The same songs by the next listener, query by query; None with a single listener.

    Pooled over listeners these are the same pairs of window and song in another order: give it the recordings of
    another presentation than the one it is compared with.
    """
    names = sorted(set(heard.query_subjects))
    if len(names) < 2:
        return None
    following_name = dict(zip(names, [*names[1:], names[0]], strict=True))
    place = {
        (window.subject, row): index
        for index, (window, row) in enumerate(zip(heard.windows, heard.target, strict=True))
    }
    pairs = [(following_name[window.subject], row) for window, row in zip(heard.windows, heard.target, strict=True)]
    if any(pair not in place for pair in pairs):
        return None
    return heard.select([place[pair] for pair in pairs])


def level_facts(heard: Heard) -> dict[str, Any]:
    """What is said of a level. "gallery" names its rows where their songs alone do not say what they are, "mix_only" is
    there where songs have no stems, "latency" where listeners' latencies were taken out."""
    rows: dict[str, list[str]] = {"song": list(heard.songs)}
    rows |= {"style": list(heard.styles)} if heard.styles else {}
    rows |= {"work": [heard.works.get(song, song) for song in heard.songs]} if heard.works else {}
    return {
        "style": heard.style,
        "subjects": sorted(set(heard.query_subjects)),
        "songs": sorted(set(heard.songs)),
        "works": dict(heard.works),
        "stimuli": sorted(heard.stimuli),
        **({"gallery": rows} if len(rows) > 1 or heard.several_windows else {}),
        **({"mix_only": True} if heard.mix_only else {}),
        **({"latency": {name: asdict(delay) for name, delay in heard.delays.items()}} if heard.delays else {}),
    }


@torch.no_grad()
def audio_conditions(clap: object, stems: FloatArray, *, batch_size: int = 8) -> Conditions:
    """The conditions that the audio itself has: (clip, stem, samples) -> Conditions of `clip` rows.

    A mix without its stems (clip, 1, samples) has its own embedding alone: the rest is dropped.
    """
    parts = []
    for start in range(0, len(stems), batch_size):
        audio = torch.from_numpy(np.ascontiguousarray(stems[start : start + batch_size]))
        clips, count, samples = audio.shape
        if count == 1:
            parts.append(_of_mix(clap.embed_audio(audio[:, 0]), round(samples / SAMPLE_RATE_HZ * CURVE_RATE_HZ)))  # type: ignore[attr-defined]
            continue
        of_stems = clap.embed_audio(audio.reshape(clips * count, samples))  # type: ignore[attr-defined]
        of_mix = clap.embed_audio(audio.sum(1))  # type: ignore[attr-defined]
        parts.append(Conditions(of_mix, of_stems.reshape(clips, count, -1), control_curves(audio)))
    return concatenate(parts)


def _of_mix(embedding: torch.Tensor, frames: int) -> Conditions:
    """Conditions with nothing but the embedding of the mix. embedding : (clip, dim)"""
    clips, dim = embedding.shape
    dropped = torch.zeros(clips, len(STEMS), dtype=torch.bool, device=embedding.device)
    return Conditions(
        embedding,
        embedding.new_zeros(clips, len(STEMS), dim),
        embedding.new_zeros(clips, len(STEMS), len(CURVES), frames),
        keep_stem=dropped,
        keep_curves=dropped,
    )


def have_stems(conditions: Conditions) -> bool:
    """Whether there are embeddings of the stems, for any clip."""
    return conditions.keep_stem is None or bool(conditions.keep_stem.any())


def take(conditions: Conditions, rows: Sequence[int] | NDArray[np.int64]) -> Conditions:
    """Rows of conditions, in the order asked for."""
    index = torch.as_tensor(np.asarray(rows), dtype=torch.long)
    return conditions.map(lambda tensor: tensor[index])


def condition_vectors(conditions: Conditions, like: Conditions | None = None) -> FloatArray:
    """The embeddings of the mix and of every stem as one vector per clip.

    (clip, (1 + stem) * embedding), unit norm: the cosine between two such vectors is the mean of the
    cosines of their parts. The control curves are left out, so that this measures the embeddings alone.
    Without embeddings of the stems, or where those that they are compared with (`like`) have none, the
    embedding of the mix alone, (clip, embedding).
    """
    parts = conditions.global_embedding[:, None]
    if have_stems(conditions) and (like is None or have_stems(like)):
        parts = torch.cat([parts, conditions.stem_embedding], dim=1)
    unit = torch.nn.functional.normalize(parts.float(), dim=-1).flatten(1)
    return (unit / np.sqrt(parts.shape[1])).cpu().numpy()


def curve_vectors(conditions: Conditions) -> FloatArray:
    """The control curves as one vector per clip, (clip, stem * curve * curve_frame), each curve less its mean and of
    one length: the cosine between two such vectors is the mean Pearson correlation of their curves, where all move.

    A curve that does not move is zero: it speaks for no song.
    """
    curves = conditions.curves.float()
    moved = curves - curves.mean(-1, keepdim=True)
    size = moved.norm(dim=-1, keepdim=True)
    # Below this there is only rounding.
    still = size <= 1e-5 * curves.norm(dim=-1, keepdim=True)
    unit = torch.where(still, 0.0, moved / torch.where(still, 1.0, size))
    return (unit.flatten(1) / np.sqrt(curves.shape[1] * curves.shape[2])).cpu().numpy()


@torch.no_grad()
def scorer_vectors(scorer: object, stems: FloatArray, *, batch_size: int = 16) -> FloatArray:
    """The scorer's embedding of the sum of the stems, before the mixer. (clip, stem, samples) -> (clip, dim)."""
    mixes = torch.from_numpy(np.ascontiguousarray(stems.sum(1)))
    parts = [scorer.embed(mixes[i : i + batch_size]) for i in range(0, len(mixes), batch_size)]  # type: ignore[attr-defined]
    return torch.cat(parts).float().cpu().numpy()
