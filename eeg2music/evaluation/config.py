"""What `evaluate` is asked to do. Holds settings, computes nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from eeg2music.config import Config
from eeg2music.config_words import Unfit, known_names
from eeg2music.evaluation.baselines import BASELINES
from eeg2music.evaluation.brain import CONTROLS
from eeg2music.evaluation.lesson import FitConfig
from eeg2music.evaluation.material import ListeningConfig
from eeg2music.pipeline import SamplingConfig
from eeg2music.simulation.experiment import NAMED_SNR_DB, Snr

BRAIN = "brain"
CONDITIONS = (BRAIN, *CONTROLS, *BASELINES)


def _known_conditions(names: tuple[str, ...]) -> tuple[str, ...]:
    known_names(names, CONDITIONS)
    return names


class LevelConfig(Config):
    """One SNR level: "clean", "real" or decibels.

    Attributes
    ----------
    snr : None for recordings, whose ratio nobody knows
    conditions : the brain, controls and baselines that are scored in the conditioning space
    generate : for which of them clips are generated, for `generated_windows` windows and each seed. The codec is scored
        by its clips alone
    """

    name: str
    snr: Snr | None = None
    conditions: tuple[str, ...] = CONDITIONS
    generate: tuple[str, ...] = CONDITIONS
    generated_windows: int = Field(default=200, ge=0)

    @field_validator("conditions", "generate")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _known_conditions(names)

    @property
    def snr_db(self) -> float | None:
        """The ratio in decibels, where it is known."""
        return NAMED_SNR_DB[self.snr] if isinstance(self.snr, str) else self.snr


class SoundsConfig(Config):
    """What of the music can be listened to, and is compared with what was heard.

    Attributes
    ----------
    clips : how many of the windows that the level scores; 0 switches all of it off
    written : for how many of them sound is written, beside the scores
    stems : whether the stems are written too, or their sum alone
    level : by name; the first by default
    seed : one of `seeds`; the first by default
    conditions : the brain and controls whose clips are taken, as far as the level scores them. What was heard, and the
        codec's reconstruction of it, stand beside them
    """

    clips: int = Field(default=24, ge=0)
    written: int = Field(default=6, ge=0)
    stems: bool = False
    level: str | None = None
    seed: int | None = None
    conditions: tuple[str, ...] = (BRAIN, "oracle", "no_brain", "shuffled")

    @field_validator("conditions")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _known_conditions(names)


class EvaluateConfig(Config):
    """What is evaluated, on what, and against which controls.

    Attributes
    ----------
    checkpoint : folder of models; the shipped ones by default
    prepared : a prepared cache to score instead of simulated listeners (one level is then scored, named "recorded")
    split : manifest of `eeg2music split` of that cache; its test side alone is then scored
    genres : {song: genre} of the songs of that cache, and of the one in `fit`; simulated songs say theirs
    listening : the simulated listeners; other_subject pairs each with the next
    seed : the seeds below count from it
    seeds : repetitions of the measurement, shown apart. Each draws its own recordings (noise and pauses; how a listener
        responds comes with the name), sampling and controls. Prepared recordings are what they are: there, a seed
        draws sampling and controls alone
    fit : the songs and listeners, none of them scored, that ridge, genre oracle and the signal-blind model learn from
    reference_songs : how many songs of the family there are, those that are heard among them. With the others generated
        music is compared as a whole (Fréchet and kernel distance): 206 of the 256, where 50 are heard
    allow_small : a Fréchet distance also of fewer songs than twice the scorer's dimension, stamped
    allow_circular : score also with a scorer that conditioned the generation; the report is stamped
    sounds : what can be listened to, and is compared with what was heard
    workers : processes that share the work, each with its share of the threads; with 0 or 1 all is done in this one.
        Scores do not depend on it, beyond the last digit that the number of threads decides
    """

    kind: Literal["identification"] = "identification"
    checkpoint: str | None = None
    prepared: str | None = None
    split: str | None = None
    genres: dict[str, str] = Field(default_factory=dict)
    seed: int = 0
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    listening: ListeningConfig = ListeningConfig()
    levels: tuple[LevelConfig, ...] = Field(default=(LevelConfig(name="clean", snr="clean"),), min_length=1)
    fit: FitConfig = FitConfig()
    reference_songs: int = Field(default=256, ge=0)
    allow_small: bool = False
    sampling: SamplingConfig = SamplingConfig()
    allow_circular: bool = False
    sounds: SoundsConfig = SoundsConfig()
    workers: int = Field(default=1, ge=0)

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise Unfit("a seed stands twice", allowed="each seed once", remedy="remove one of the two")
        return seeds

    @field_validator("levels")
    @classmethod
    def _different_levels(cls, levels: tuple[LevelConfig, ...]) -> tuple[LevelConfig, ...]:
        if len({level.name for level in levels}) < len(levels):
            raise Unfit("two levels have one name", allowed="each name once", remedy="rename one of them")
        return levels
