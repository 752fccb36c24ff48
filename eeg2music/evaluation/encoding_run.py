"""`eeg2music evaluate` with `kind: encoding`: which channels follow the music, listener by listener.

Two questions. Do the music's control curves (onset, loudness, brightness at 32 Hz, with lags) predict the course of a
channel? Do the music's embeddings predict a channel's power, and beyond the genre and beyond those curves? Beside
both: the same with features of other songs, and with phase-randomized recordings. Decodes nothing and generates
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.evaluation.controls import derangement, phase_randomize
from eeg2music.evaluation.encoding import LEVEL, encoding_scores
from eeg2music.evaluation.encoding_config import (
    EMBEDDINGS,
    MUSIC,
    PREPARED,
    RANDOMIZED,
    RESPONSES,
    SHUFFLED,
    SIMULATED,
    EncodingConfig,
)
from eeg2music.evaluation.encoding_features import FeatureSet, feature_sets, summary_of_curves
from eeg2music.evaluation.encoding_material import Listened, Study, prepared_study, simulated_study
from eeg2music.evaluation.encoding_page import write_encoding
from eeg2music.evaluation.encoding_responses import given_features, responses_study
from eeg2music.evaluation.tables import SCORE_FILES
from eeg2music.files import check_result_folder
from eeg2music.metrics.encoding import variance_partition
from eeg2music.origin import made_with
from eeg2music.pipeline import Hook, default_checkpoint, no_hook
from eeg2music.seeding import numpy_rng
from eeg2music.weights import checkpoint_sha256

SCHEMA = 1
Rows = NDArray[np.float64]


def evaluate_encoding(
    config: EncodingConfig, out: Path, *, device: str = "auto", hook: Hook = no_hook
) -> dict[str, Any]:
    """Score every listener and write scores.json, scores.md and report.html with brain maps into `out`.

    Raises
    ------
    LeakError
        If the CLAP that embeds was trained on a song.
    DataError
        If no audio is there, or there are too few songs.
    """
    check_result_folder(out, SCORE_FILES)
    scores = score_encoding(config, device=device, hook=hook)
    hook("writing")
    write_encoding(out, scores)
    return scores


def score_encoding(config: EncodingConfig, *, device: str = "auto", hook: Hook = no_hook) -> dict[str, Any]:
    """The same, as a mapping ready for JSON; writes nothing.

    Returns
    -------
    "subjects": for each listener "channels" (names and positions), "presentations", and under "scores", by features,
    the `encoding_scores` of "music", "shuffled_songs" and "phase_randomized"; "surprises" in words; "fewest": with
    fewer channels than this at the smallest p none can come out significant, for lack of permutations; "remarks" say
    where that is more channels than there are.
    """
    study = _study(config)
    folder = Path(config.checkpoint) if config.checkpoint else default_checkpoint()
    if config.responses:
        sets = [given_features(config)]
    else:
        sets = feature_sets(config, study.scored, folder, device)
    subjects = {}
    for subject in study.subjects:
        hook(f"{subject}: listening")
        listener = study.listener(subject)
        subjects[listener.subject] = _Bench(config, study, listener, sets, hook).scores()
    return {
        "schema": SCHEMA,
        **made_with(),
        "kind": config.kind,
        # Where files lie on this machine is no part of the result.
        "config": config.model_dump(mode="json", exclude={"prepared", "responses", "checkpoint"}),
        "material": _material(config),
        "snr_db": config.listening.snr_db if _material(config) == SIMULATED else None,
        "clap_sha256": checkpoint_sha256(folder / "clap") if EMBEDDINGS in [one.name for one in sets] else None,
        "songs": list(study.songs),
        "genres": {song: study.genre_of[song] for song in study.songs if song in study.genre_of},
        "works": dict(study.work_of),
        "why_no_genre": _why_no_genre(study),
        "seed": config.seed,
        "subjects": subjects,
        "surprises": [text for name, of in subjects.items() for text in surprises(name, of)],
        "remarks": [text for name, of in subjects.items() for text in remarks(name, of)],
    }


def _material(config: EncodingConfig) -> str:
    return RESPONSES if config.responses else PREPARED if config.prepared else SIMULATED


def _study(config: EncodingConfig) -> Study:
    if config.responses:
        return responses_study(config.responses, config.genres)
    if config.prepared:
        return prepared_study(config.prepared, config.genres)
    return simulated_study(config.listening, config.seed)


class _Bench:
    """Scores one listener with every set of features."""

    def __init__(
        self, config: EncodingConfig, study: Study, listener: Listened, sets: Sequence[FeatureSet], hook: Hook
    ) -> None:
        self._config, self._study, self._listener, self._sets, self._hook = config, study, listener, sets, hook
        self._surrogates = {
            name: phase_randomize(signal, numpy_rng(config.seed, "encoding", RANDOMIZED, name))
            for name, signal in listener.signals.items()
        }

    def scores(self) -> dict[str, Any]:
        """Of every set of features, and what is needed to draw them."""
        listener = self._listener
        places = [[float(value) for value in place] for place in listener.positions_m]
        return {
            "channels": {
                "names": list(listener.names),
                "positions_m": [place if np.isfinite(place).all() else None for place in places],
                "kind": listener.kind,
            },
            "why_no_ceiling": listener.why_no_ceiling,
            "scores": {one.name: self._of(one) for one in self._sets},
        }

    def _of(self, features: FeatureSet) -> dict[str, Any]:
        listener, config = self._listener, self._config
        self._hook(f"{listener.subject}: {features.name}")
        played = listener.rows(features, listener.signals)
        x, songs = played[0].features, played[0].groups
        trials = np.stack([one.responses for one in played])
        count = features.permutations
        music = self._scores(x, trials, songs, count, beside=True)
        if features.power:
            music["beyond_curves"] = self._beyond_curves(features, x, trials.mean(axis=0), songs)
        self._hook(f"{listener.subject}: {features.name}, controls")
        other = x[_other_song_rows(songs, config.seed)]
        surrogates = np.stack([one.responses for one in listener.rows(features, self._surrogates)])
        return {
            "response": "log power" if features.power else "time course",
            "rate_hz": features.rate_hz or None,
            "lags": features.lags,
            "dim": int(x.shape[1]),
            "presentations": len(played),
            "fewest": fewest_channels(music["targets"], count),
            MUSIC: music,
            SHUFFLED: self._scores(other, trials, songs, count),
            RANDOMIZED: self._scores(x, surrogates, songs, count),
        }

    def _scores(
        self, x: Rows, trials: Rows, songs: Sequence[str], permutations: int, *, beside: bool = False
    ) -> dict[str, Any]:
        """beside : with the genre and the noise ceiling, which a control does without."""
        genre = None
        if beside and _why_no_genre(self._study) is None:
            genre = [self._study.genre_of[song] for song in songs]
        return encoding_scores(
            x,
            trials.mean(axis=0),
            self._works(songs),
            names=self._listener.names,
            seed=self._config.seed,
            control=genre,
            repeats=trials if beside and len(trials) > 1 else None,
            permutations=permutations,
            penalties=self._config.penalties,
            folds=self._config.folds,
            leave_out_constant=True,
        )

    def _beyond_curves(self, features: FeatureSet, x: Rows, y: Rows, songs: Sequence[str]) -> dict[str, Any]:
        """Mean R² over channels: what embeddings explain beyond the curves' means and deviations, and the reverse."""
        plain = FeatureSet("summary", summary_of_curves(features.rate_hz), features.rate_hz, power=True)
        summary = self._listener.rows(plain, self._listener.signals)[0].features
        changing = np.ptp(y, axis=0) > 0.0
        part = variance_partition(
            x, summary, y[:, changing], self._works(songs), penalties=self._config.penalties, folds=self._config.folds
        )
        named = {"r2": part.first, "r2_curves": part.second, "unique": part.unique_first}
        named |= {"unique_curves": part.unique_second, "shared": part.shared}
        return {key: float(values.mean()) for key, values in named.items()}

    def _works(self, songs: Sequence[str]) -> list[str]:
        return [self._study.work_of.get(song, song) for song in songs]


def fewest_channels(targets: int, permutations: int) -> int:
    """How many channels have to reach the smallest p-value there is before Benjamini-Hochberg finds any of them.

    More than there are: none can be found. The smallest p is 1 / (permutations + 1), and q < 0.05 leaves out 0.05.

    >>> fewest_channels(64, 100), fewest_channels(64, 2000), fewest_channels(64, 19)
    (13, 1, 65)
    """
    return targets * round(1.0 / LEVEL) // (permutations + 1) + 1


def permutations_for_one(targets: int) -> int:
    """How many permutations let a single channel of so many come out significant.

    >>> fewest_channels(64, permutations_for_one(64)), fewest_channels(64, permutations_for_one(64) - 1)
    (1, 2)
    """
    return targets * round(1.0 / LEVEL)


def remarks(subject: str, of: Mapping[str, Any]) -> list[str]:
    """Sentences for features whose permutations are too few for any channel to come out significant."""
    found = []
    for features, scores in of["scores"].items():
        targets, drawn = scores[MUSIC]["targets"], scores[MUSIC]["permutations"]
        if scores["fewest"] > targets:
            found.append(
                f"{subject}, {features}: with {drawn} permutations the smallest p is {1 / (drawn + 1):.3g}, so that no "
                f"channel can have q < {LEVEL:g}, whatever it follows. {round(1 / LEVEL)} let all {targets} channels "
                f"together pass, {permutations_for_one(targets)} one alone."
            )
    return found


def surprises(subject: str, of: Mapping[str, Any]) -> list[str]:
    """Sentences for controls in which more channels are significant than a false discovery or two."""
    found = []
    for features, scores in of["scores"].items():
        for control in (SHUFFLED, RANDOMIZED):
            one = scores[control]
            if one["significant"] > max(1, LEVEL * one["targets"]):
                found.append(
                    f"{subject}, {features}: {control.replace('_', ' ')} should follow nothing, but "
                    f"{one['significant']} of {one['targets']} channels do."
                )
    return found


def _other_song_rows(songs: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Rows of another song in the place of each song's, cut or started over to its length."""
    names = list(dict.fromkeys(songs))
    rows = {name: np.flatnonzero([song == name for song in songs]) for name in names}
    other = derangement(names, numpy_rng(seed, "encoding", SHUFFLED))
    index = np.empty(len(songs), dtype=np.int64)
    for name, place in zip(names, other, strict=True):
        index[rows[name]] = np.resize(rows[names[place]], len(rows[name]))
    return index


def _why_no_genre(study: Study) -> str | None:
    """Why the genre cannot be a control, if it cannot."""
    if any(song not in study.genre_of for song in study.songs):
        return "the genre of some songs is not known"
    if len({study.genre_of[song] for song in study.songs}) < 2:
        return "all songs are of one genre, which says nothing"
    return None
