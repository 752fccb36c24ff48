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

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from eeg2music.audio import audio_duration_s
from eeg2music.codec.encodec import Codec
from eeg2music.encoders.brain import BrainEncoder
from eeg2music.errors import DataError
from eeg2music.evaluation.brain import Evidence
from eeg2music.evaluation.heard import MIXED, Heard, audio_conditions, condition_vectors, have_stems, take
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
from eeg2music.evaluation.prepared_lesson import UNKNOWN, RecordedLesson, read_lesson
from eeg2music.evaluation.prepared_material import music_of
from eeg2music.evaluation.signal_blind import genre_guess_accuracy, genre_oracle, signal_blind, song_oracle
from eeg2music.types import SAMPLE_RATE_HZ, WINDOW_S, Conditions, FloatArray, Window

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


class Recorded(NamedTuple):
    """Prepared recordings that are scored.

    cache : of them
    genres : {song: genre}, as far as they are known
    """

    cache: Path
    genres: Mapping[str, str]


class _Plan(NamedTuple):
    """What the experiment's plan says of the presentations of a lesson.

    rows : of the lesson, one for each presentation
    listeners : who heard it
    positions : where in the session, 0 to below 1
    """

    rows: Sequence[int]
    listeners: Sequence[str]
    positions: Sequence[float]


class Baselines:
    """Makes the baselines of one evaluation; what does not depend on the recordings is made once.

    Parameters
    ----------
    clap : embeds music into the conditioning space
    source : the simulated listeners, or the recordings
    fit : what those that learn are given
    """

    def __init__(self, clap: object, source: ListeningConfig | Recorded, fit: FitConfig) -> None:
        self._clap, self._source, self._fit = clap, source, fit
        self._lesson: Lesson | None = None
        self._recorded: RecordedLesson | None = None

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
        if isinstance(self._source, Recorded):
            return self._from_recordings(name, evidence, self._source)
        if snr_db is None:
            raise DataError("simulated listeners without a signal-to-noise ratio", allowed="one in decibels")
        return self._from_simulation(name, evidence, self._source, snr_db)

    def _from_simulation(self, name: str, evidence: Evidence, listening: ListeningConfig, snr_db: float) -> Known:
        if self._lesson is None:
            self._lesson = make_lesson(self._clap, listening, self._fit)
        lesson, fit = self._lesson, self._fit
        subjects = [f"sub-{subject}" for subject in lesson_listeners(fit)]
        refuse_taught(lesson.songs, subjects, evidence.heard)
        if name == "genre_oracle":
            return _genre_oracle(evidence, lesson)
        if name == "signal_blind":
            return _signal_blind(evidence, lesson, _simulated_plan(fit))
        windows, rows = lesson_windows(lesson, listening, fit, snr_db, seed=evidence.seed)
        refuse_taught([lesson.songs[row] for row in rows], [window.subject for window in windows], evidence.heard)
        return _ridge(evidence, lesson, windows, rows, whence=" at the same signal-to-noise ratio")

    def _from_recordings(self, name: str, evidence: Evidence, source: Recorded) -> Known:
        if self._fit.prepared is None:
            raise DataError(
                "every listener and song of the recordings is scored, and fit.prepared names no others to learn from"
            )
        if name == RIDGE and evidence.heard.mix_only:
            raise DataError("it reads the control curves of the stems, and the songs have only their mix")
        if name == "genre_oracle" and not _styles_known(evidence.heard):
            raise DataError("the genres of the songs are not known: `genres` names them")
        if self._recorded is None:
            self._recorded = read_lesson(
                self._clap,
                Path(self._fit.prepared),
                source.cache,
                self._fit,
                source.genres,
                mix_only=evidence.heard.mix_only,
            )
        taught = self._recorded
        lesson, windows, rows = taught.lesson, taught.windows, taught.rows
        if name == "genre_oracle":
            return _genre_oracle(evidence, lesson)
        if name == "signal_blind":
            plan = _Plan(rows, [window.subject for window in windows], session_positions(windows))
            return _signal_blind(evidence, lesson, plan)
        return _ridge(evidence, lesson, windows, rows, works=taught.works, whence=" in another cache")

    def _song_oracle(self, evidence: Evidence) -> Known:
        heard = evidence.heard
        listening = None if isinstance(self._source, Recorded) else self._source
        rest = [_rest_of_song(heard, row, listening) for row in range(len(heard.songs))]
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
    words = f"the mean of {len(set(lesson.songs))} songs{_styles_of(lesson)}{each}, none of the gallery"
    return Known(_guessed(guesses, evidence), {"words": words, "expected": _perfect_guess(heard)})


def _styles_of(lesson: Lesson) -> str:
    """Whose songs they are, to follow "songs"; empty where the styles are not known."""
    if UNKNOWN in lesson.styles:
        return ""
    count = len(set(lesson.styles))
    return " of the style" if count == 1 else f" of {count} styles"


def _styles_known(heard: Heard) -> bool:
    return bool(heard.styles) or heard.style != MIXED


def _perfect_guess(heard: Heard) -> float:
    """What a perfect guess of the style gives. Songs count, because no other window of a song is a candidate."""
    style_of = dict(zip(heard.songs, heard.gallery_styles, strict=True))
    return genre_guess_accuracy(list(style_of.values()))


def _simulated_plan(fit: FitConfig) -> _Plan:
    who, place, rows = [], [], []
    for number, subject in enumerate(lesson_listeners(fit)):
        chosen = heard_by(number, fit)
        who += [f"sub-{subject}"] * len(chosen)
        place += [position / len(chosen) for position in range(len(chosen))]
        rows += chosen
    return _Plan(rows, who, place)


def _signal_blind(evidence: Evidence, lesson: Lesson, plan: _Plan) -> Known:
    """One query a window, guessed from what the plan of the experiment says of it."""
    heard = evidence.heard
    train: dict[str, Sequence[Any]] = {"listener": plan.listeners, "position": plan.positions}
    test: dict[str, Sequence[Any]] = {
        "listener": heard.query_subjects,
        "position": session_positions(heard.windows),
    }
    if _styles_known(heard):
        train["style"], test["style"] = [lesson.styles[row] for row in plan.rows], heard.query_styles
    target = condition_vectors(take(lesson.conditions, plan.rows))
    found = signal_blind(train, target, test)
    words = (
        f"{'style, ' if 'style' in train else ''}listener and position in the session; fitted on {len(plan.rows)} "
        f"presentations of {len(set(lesson.songs))} other songs to {len(set(plan.listeners))} other listeners"
    )
    # Of one style metadata tell nothing: that it is then at chance is judged like the other controls.
    expected = {"expected": _perfect_guess(heard)} if heard.styles else {}
    return Known(_as_conditions(found, evidence.oracle, list(heard.target)), {"words": words, **expected})


def _ridge(
    evidence: Evidence,
    lesson: Lesson,
    windows: Sequence[Window],
    rows: Sequence[int],
    *,
    works: Sequence[str] | None = None,
    whence: str,
) -> Known:
    """whence : of the windows, for people"""
    encoder, penalties = fit_linear_decoder(evidence.pipeline, windows, rows, lesson.conditions, works)
    cast(torch.nn.Module, encoder).to(evidence.pipeline.encoder.device)
    decoded = evidence.pipeline.with_encoder(cast(BrainEncoder, encoder)).encode(evidence.heard.windows)
    subjects = sorted({window.subject for window in windows})
    songs = len({lesson.songs[row] for row in rows})
    edge = at_the_edge(penalties)
    words = (
        f"{len(windows)} windows of {songs} other songs{_styles_of(lesson)} by {len(subjects)} other listeners"
        f"{whence}; penalties chosen on them alone, over whole songs"
    )
    figures = {"windows": len(windows), "songs": songs, "listeners": subjects, **penalties, "edge": edge}
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
    file = str(window.stimulus_file)
    places = stretches_beside(float(window.stimulus_start_s or 0.0), audio_duration_s(Path(file)))
    return [music_of(file, a, b - a, heard.mix_only) for a, b in places]


def _guessed(by_song: NDArray[Any], evidence: Evidence) -> Conditions:
    """Guesses of each gallery song as conditions of each query."""
    rows = list(evidence.heard.target)
    return _as_conditions(by_song[rows], evidence.oracle, rows)


def _as_conditions(vectors: NDArray[Any], oracle: Conditions, rows: Sequence[int]) -> Conditions:
    """Embeddings of mix and stems, as `condition_vectors` lays them out, without curves. vectors (n, dim)."""
    count, stems, dim = len(vectors), oracle.stem_embedding.shape[1], oracle.stem_embedding.shape[2]
    parts = torch.from_numpy(np.asarray(vectors, np.float32)).reshape(count, -1, dim)
    unit = torch.nn.functional.normalize(parts, dim=-1).to(oracle.stem_embedding)
    silent = torch.zeros_like(take(oracle, rows).curves)
    dropped = torch.zeros(count, stems, dtype=torch.bool, device=silent.device)
    if not have_stems(oracle):
        return Conditions(unit[:, 0], unit.new_zeros(count, stems, dim), silent, keep_stem=dropped, keep_curves=dropped)
    return Conditions(unit[:, 0], unit[:, 1:], silent, keep_curves=dropped)
