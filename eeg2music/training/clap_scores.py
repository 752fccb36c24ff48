"""How good a CLAP is as a conditioning space, on songs it was not trained on.

Works with anything that has `embed_audio` and `embed_text`. Reads songs; trains nothing.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eeg2music.metrics.retrieval import topk_accuracy
from eeg2music.training.data import MIX, StimuliFolder
from eeg2music.training.features import StyleGroups
from eeg2music.types import STEMS

GALLERY = 50
QUIET_RMS = 1e-3


class Embedder(Protocol):
    """What ClapMini and the wrapper of published CLAPs have in common."""

    def embed_audio(self, audio: Tensor) -> Tensor: ...

    def embed_text(self, texts: list[str]) -> Tensor: ...


@torch.no_grad()
def clap_scores(clap: Embedder, folder: StimuliFolder, window_s: float) -> dict[str, float]:
    """Retrieval figures; a gallery holds at most 50 songs of one style, and its mean size is a figure too.

    Returns
    -------
    mix_top1: another window of the same song found among windows of songs of its style, mean over styles;
    stem_top1: the same for stems, against the same stem of other songs; gallery: songs per style;
    text_top10: the mix of a caption found among those of all songs (certain where there are ten or fewer);
    text_gallery: their number; style: zero-shot accuracy of "<style> music"; styles: their number.
    A figure that these songs cannot tell (stems that never sound twice, songs without captions) is left out.
    """
    groups = StyleGroups(folder)
    chosen = {style: songs[:GALLERY] for style, songs in groups.by_style.items() if len(songs) > 1}
    songs = [song for group in chosen.values() for song in group]
    if not songs:
        return {}
    early, late = (_embed(clap, folder, songs, MIX, window_s, late=late) for late in (False, True))
    places = {song: place for place, song in enumerate(songs)}
    rows = [[places[song] for song in group] for group in chosen.values()]
    figures = {
        "mix_top1": float(np.mean([topk_accuracy(early[row], late[row], 1) for row in rows])),
        "gallery": float(np.mean([len(row) for row in rows])),
    }
    stems = _stem_hits(clap, folder, list(chosen.values()), window_s)
    if stems:
        figures["stem_top1"] = float(np.mean(stems))
    return figures | _text_figures(clap, folder, songs, groups, early)


def _stem_hits(clap: Embedder, folder: StimuliFolder, groups: list[list[str]], window_s: float) -> list[float]:
    """Top-1 of each stem in each style where it sounds in two songs or more."""
    hits = []
    for stem in STEMS:
        for songs in groups:
            early, late = (_embed(clap, folder, songs, stem, window_s, late=late) for late in (False, True))
            sounding = np.isfinite(early).all(1) & np.isfinite(late).all(1)
            if sounding.sum() > 1:
                hits.append(topk_accuracy(early[sounding], late[sounding], 1))
    return hits


def _text_figures(
    clap: Embedder, folder: StimuliFolder, songs: list[str], groups: StyleGroups, audio: NDArray[np.float32]
) -> dict[str, float]:
    captions = [folder.annotations(song).get("captions", []) for song in songs]
    styles = sorted({groups.style_of[song] for song in songs} - {""})
    if not all(captions) or not styles:
        return {}
    text = _array(clap.embed_text([texts[0] for texts in captions]))
    names = _array(clap.embed_text([f"{style} music" for style in styles]))
    guessed = np.argmax(audio @ names.T, 1)
    truth = [styles.index(groups.style_of[song]) for song in songs]
    return {
        "text_top10": topk_accuracy(text, audio, min(10, len(songs))),
        "text_gallery": float(len(songs)),
        "style": float(np.mean(guessed == truth)),
        "styles": float(len(styles)),
    }


def _embed(
    clap: Embedder, folder: StimuliFolder, songs: list[str], track: str, window_s: float, *, late: bool
) -> NDArray[np.float32]:
    """(song, embedding) of the first or the last window of each song; NaN where it is silent."""
    out = []
    for first in range(0, len(songs), 16):
        audio = []
        for song in songs[first : first + 16]:
            start_s = max(0.0, folder.duration_s(song) - window_s) if late else 0.0
            audio.append(folder.crop(song, [track], start_s, window_s)[0])
        batch = np.stack(audio)
        with torch.no_grad():
            embedded = _array(clap.embed_audio(torch.from_numpy(batch))).copy()
        if track != MIX:
            embedded[np.sqrt(np.square(batch).mean(1)) < QUIET_RMS] = np.nan
        out.append(embedded)
    return np.concatenate(out)


def _array(embedded: Tensor) -> NDArray[np.float32]:
    """Embeddings on whatever device, as an array."""
    values: NDArray[np.float32] = embedded.float().cpu().numpy()
    return values
