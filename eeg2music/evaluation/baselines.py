"""What is known without the trained decoder: ridge, the codec, and guesses from song, genre and metadata.

==============  =========================================================================================
codec           the heard stems through the codec and back: the ceiling of whatever this codec can say
ridge           a linear encoder in place of the trained one, fitted on other listeners and other songs
song_oracle     knows which song was heard and not which moment: what the rest of the song sounds like
genre_oracle    knows the style: the mean of other songs of that style
signal_blind    a ridge model from what is known before anybody listens: style, listener, position in the session
==============  =========================================================================================

All but the codec become conditions, so that they are scored and generated from as the brain is; the guesses have no
curves. Oracles know the truth of the query: they are no models. Nothing here is trained by gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from eeg2music.audio import audio_duration_s, read_audio
from eeg2music.codec.encodec import Codec
from eeg2music.encoders.brain import BrainEncoder
from eeg2music.errors import DataError
from eeg2music.evaluation.brain import Evidence
from eeg2music.evaluation.heard import Heard, audio_conditions, condition_vectors, take
from eeg2music.evaluation.lesson import (
    FitConfig,
    Lesson,
    heard_by,
    lesson_listeners,
    lesson_windows,
    make_lesson,
    refuse_taught,
)
from eeg2music.evaluation.linear_decoder import at_the_edge, fit_linear_decoder
from eeg2music.evaluation.material import ListeningConfig, composed
from eeg2music.evaluation.signal_blind import genre_guess_accuracy, genre_oracle, signal_blind, song_oracle
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, WINDOW_S, Conditions, FloatArray, Window

CODEC = "codec"
RIDGE = "ridge"
BASELINES = (CODEC, RIDGE, "song_oracle", "genre_oracle", "signal_blind")
# Those that take songs or listeners from outside what is scored, and therefore depend on how many there are.
TAUGHT = (RIDGE, "genre_oracle", "signal_blind")
# A shorter stretch of a song tells little of it.
SHORTEST_STRETCH_S = 1.0


class Known(NamedTuple):
    """What a baseline says of each query.

    conditions : one row a query
    given : what it was made from, ready for JSON: "words" for people, figures for machines
    """

    conditions: Conditions
    given: dict[str, Any]


class Baselines:
    """Makes the baselines of one evaluation; what does not depend on the recordings is made once.

    Parameters
    ----------
    clap : embeds music into the conditioning space
    listening : the simulated listeners; None for prepared recordings
    fit : what those that learn are given
    """

    def __init__(self, clap: object, listening: ListeningConfig | None, fit: FitConfig) -> None:
        self._clap, self._listening, self._fit = clap, listening, fit
        self._lesson: Lesson | None = None

    def conditions(self, name: str, evidence: Evidence, snr_db: float | None) -> Known:
        """Conditions of a baseline, one row a query.

        Raises
        ------
        DataError
            If the material does not allow it; says what is missing.
        LeakError
            If what it is fitted on is among what is scored.
        """
        if name == "song_oracle":
            return self._song_oracle(evidence)
        if name not in TAUGHT:
            raise DataError(f"No baseline named {name!r}", allowed=", ".join(BASELINES))
        if self._listening is None or snr_db is None:
            # Each listener and song of a cache is scored; the styles of its songs are not known.
            raise DataError("every listener and song of the recordings is scored: none is left to learn from")
        lesson = self._learnt(self._listening)
        subjects = [f"sub-{subject}" for subject in lesson_listeners(self._fit)]
        refuse_taught(lesson.songs, subjects, evidence.heard)
        if name == "genre_oracle":
            return _genre_oracle(evidence, lesson)
        if name == "signal_blind":
            return _signal_blind(evidence, lesson, self._fit)
        return _ridge(evidence, lesson, self._listening, self._fit, snr_db)

    def _learnt(self, listening: ListeningConfig) -> Lesson:
        if self._lesson is None:
            self._lesson = make_lesson(self._clap, listening, self._fit)
        return self._lesson

    def _song_oracle(self, evidence: Evidence) -> Known:
        heard = evidence.heard
        rest = [_rest_of_song(heard, row, self._listening) for row in range(len(heard.songs))]
        # By window, not by song: another window's neighbourhood may be this window.
        values, rows = [condition_vectors(evidence.oracle)], list(range(len(heard.songs)))
        for row, stretches in enumerate(rest):
            values += [condition_vectors(audio_conditions(self._clap, stretch[None])) for stretch in stretches]
            rows += [row] * len(stretches)
        guesses = song_oracle(np.concatenate(values), rows)[: len(heard.songs)]
        seconds = [sum(stretch.shape[-1] for stretch in stretches) / SAMPLE_RATE_HZ for stretches in rest]
        least, most = min(seconds), max(seconds)
        length = f"{most:.1f} s" if most - least < 0.05 else f"{least:.1f} to {most:.1f} s"
        return Known(
            _guessed(guesses, evidence),
            {"words": f"{length} of the song before or after the heard window; none of it was in the window"},
        )


@torch.no_grad()
def through_codec(codec: Codec, clips: FloatArray) -> FloatArray:
    """Through the codec's continuous latents and back, (clip, stem, samples): what no generator in them can exceed."""
    device = next(codec.parameters()).device
    made = [codec(torch.from_numpy(np.ascontiguousarray(clip)).to(device)).audio for clip in clips]
    return torch.stack(made).cpu().numpy()


def _genre_oracle(evidence: Evidence, lesson: Lesson) -> Known:
    heard = evidence.heard
    reference = (condition_vectors(lesson.conditions), lesson.styles, lesson.songs)
    guesses = genre_oracle(condition_vectors(evidence.oracle), heard.gallery_styles, heard.songs, reference=reference)
    each = ", each query's of its own" if heard.styles else ""
    words = f"the mean of {len(lesson.songs)} songs of {_styles_of(lesson)}{each}, none of the gallery"
    return Known(_guessed(guesses, evidence), {"words": words, "expected": _perfect_guess(heard)})


def _styles_of(lesson: Lesson) -> str:
    count = len(set(lesson.styles))
    return "the style" if count == 1 else f"{count} styles"


def _perfect_guess(heard: Heard) -> float:
    """What a perfect guess of the style gives. Songs count, because no other window of a song is a candidate."""
    style_of = dict(zip(heard.songs, heard.gallery_styles, strict=True))
    return genre_guess_accuracy(list(style_of.values()))


def _signal_blind(evidence: Evidence, lesson: Lesson, fit: FitConfig) -> Known:
    """One query a window, guessed from what the plan of the experiment says of it."""
    heard, windows = evidence.heard, evidence.heard.windows
    who, place, rows = [], [], []
    for number, subject in enumerate(lesson_listeners(fit)):
        chosen = heard_by(number, fit)
        who += [f"sub-{subject}"] * len(chosen)
        place += [position / len(chosen) for position in range(len(chosen))]
        rows += chosen
    styles = [lesson.styles[row] for row in rows]
    train: dict[str, Sequence[Any]] = {"style": styles, "listener": who, "position": place}
    test: dict[str, Sequence[Any]] = {
        "style": heard.query_styles,
        "listener": [window.subject for window in windows],
        "position": session_positions(windows),
    }
    target = condition_vectors(take(lesson.conditions, rows))
    found = signal_blind(train, target, test)
    words = (
        f"style, listener and position in the session; fitted on {len(rows)} presentations of {len(lesson.songs)} "
        f"other songs to {fit.listeners} other listeners"
    )
    # Of one style metadata tell nothing: that it is then at chance is judged like the other controls.
    expected = {"expected": _perfect_guess(heard)} if heard.styles else {}
    return Known(_as_conditions(found, evidence.oracle, list(heard.target)), {"words": words, **expected})


def _ridge(evidence: Evidence, lesson: Lesson, listening: ListeningConfig, fit: FitConfig, snr_db: float) -> Known:
    windows, rows = lesson_windows(lesson, listening, fit, snr_db, seed=evidence.seed)
    encoder, penalties = fit_linear_decoder(evidence.pipeline, windows, rows, lesson.conditions)
    cast(torch.nn.Module, encoder).to(evidence.pipeline.encoder.device)
    decoded = evidence.pipeline.with_encoder(cast(BrainEncoder, encoder)).encode(evidence.heard.windows)
    subjects = sorted({window.subject for window in windows})
    refuse_taught([lesson.songs[row] for row in rows], subjects, evidence.heard)
    edge = at_the_edge(penalties)
    words = (
        f"{len(windows)} windows of {len(set(rows))} other songs of {_styles_of(lesson)} by {len(subjects)} other "
        "listeners at the same signal-to-noise ratio; penalties chosen on them alone, over whole songs"
    )
    figures = {"windows": len(windows), "songs": len(set(rows)), "listeners": subjects, **penalties, "edge": edge}
    return Known(decoded, {"words": f"{words}; {edge}" if edge else words, **figures})


def session_positions(windows: Sequence[Window]) -> list[float]:
    """Where in its recording each window lies, by order: 0 for the first, below 1 for the last."""
    found = [0.0] * len(windows)
    for recording in {window.recording for window in windows}:
        members = [row for row, window in enumerate(windows) if window.recording == recording]
        for place, row in enumerate(sorted(members, key=lambda row: windows[row].start_s)):
            found[row] = place / len(members)
    return found


def stretches_beside(start_s: float, total_s: float) -> list[tuple[float, float]]:
    """What lies before and after a window, up to a window's length each; short scraps are left out. (start, stop), s.

    >>> stretches_beside(1.5, 8.0), stretches_beside(0.0, 60.0)
    ([(0.0, 1.5), (6.5, 8.0)], [(5.0, 10.0)])
    """
    stop_s = start_s + WINDOW_S
    both = [(max(0.0, start_s - WINDOW_S), start_s), (stop_s, min(total_s, stop_s + WINDOW_S))]
    return [(first, last) for first, last in both if last - first >= SHORTEST_STRETCH_S - 1e-6]


def _rest_of_song(heard: Heard, row: int, listening: ListeningConfig | None) -> list[FloatArray]:
    """Stretches (stem, samples) of a gallery song beside the heard one."""
    if listening is not None:
        stems = composed(heard.songs[row], listening.song_seconds)[1]
        places = stretches_beside(listening.window_start_s, stems.shape[-1] / SAMPLE_RATE_HZ)
        return [stems[:, round(a * SAMPLE_RATE_HZ) : round(b * SAMPLE_RATE_HZ)] for a, b in places]
    window = next(window for window, target in zip(heard.windows, heard.target, strict=True) if target == row)
    mix = Path(str(window.stimulus_file))
    places = stretches_beside(float(window.stimulus_start_s or 0.0), audio_duration_s(mix))
    return [
        np.stack([read_audio(mix.parent / f"{stem}.wav", start_s=a, duration_s=b - a) for stem in STEMS])
        for a, b in places
    ]


def _guessed(by_song: NDArray[Any], evidence: Evidence) -> Conditions:
    """Guesses of each gallery song as conditions of each query."""
    rows = list(evidence.heard.target)
    return _as_conditions(by_song[rows], evidence.oracle, rows)


def _as_conditions(vectors: NDArray[Any], oracle: Conditions, rows: Sequence[int]) -> Conditions:
    """Embeddings of mix and stems, as `condition_vectors` lays them out, without curves. vectors (n, dim)."""
    count, stems = len(vectors), oracle.stem_embedding.shape[1]
    parts = torch.from_numpy(np.asarray(vectors, np.float32)).reshape(count, 1 + stems, -1)
    unit = torch.nn.functional.normalize(parts, dim=-1).to(oracle.stem_embedding)
    silent = torch.zeros_like(take(oracle, rows).curves)
    dropped = torch.zeros(count, stems, dtype=torch.bool, device=silent.device)
    return Conditions(unit[:, 0], unit[:, 1:], silent, keep_curves=dropped)
