"""What a published way of scoring is made of: windows, split, gallery, repeats, metrics, and the figures it gave.

Holds settings and words, computes nothing. `assumed` names what the publication was not asked for: settings of ours,
which have to be checked against it before figures are put side by side.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from eeg2music.config import Config
from eeg2music.errors import ConfigError
from eeg2music.types import WINDOW_S

# Modalities of publications whose recordings a prepared cache can hold.
PREPARED = ("EEG",)
Stage = Literal["embedding", "generated", "anchored", "retrieved", "best of many"]


class WindowRule(Config):
    """How recordings are cut.

    Attributes
    ----------
    seconds : length of a window
    step_s : from one window to the next of the same piece; the length by default
    delay_s : how much later than the sound the recording is taken
    """

    seconds: float = Field(gt=0.0)
    step_s: float | None = Field(default=None, gt=0.0)
    delay_s: float = Field(default=0.0, ge=0.0)

    @property
    def step(self) -> float:
        return self.seconds if self.step_s is None else self.step_s


class SplitRule(Config):
    """What is held out.

    Attributes
    ----------
    by : "songs" holds out whole songs; "passages" stretches of each song, "windows" single windows at random: both
        train and test on the same songs, which is refused unless `leaky` says that the publication did so
    folds : every song (passage, window) is tested once in one of so many folds; 1 is a fixed test set
    test_songs : with one fold, how many songs are tested
    tested : "spread" draws them evenly from the styles; "first" takes those that come first, as where one data set is
        tested and others train
    listeners : "own" trains a model for each listener, "others" on all but the one who is tested
    leaky : the score is then stamped with what leaks
    """

    by: Literal["songs", "passages", "windows"]
    folds: int = Field(default=1, ge=1)
    test_songs: int | None = Field(default=None, ge=2)
    tested: Literal["spread", "first"] = "spread"
    listeners: Literal["own", "others"] = "own"
    leaky: bool = False

    @model_validator(mode="after")
    def _fits(self) -> SplitRule:
        if (self.folds == 1) != (self.test_songs is not None):
            raise ValueError("either one fold with test_songs, or two or more folds without")
        if self.by != "songs" and self.folds == 1:
            raise ValueError("passages and windows need two or more folds")
        if self.tested == "first" and self.test_songs is None:
            raise ValueError("tested: first belongs to test_songs")
        if self.by != "songs" and not self.leaky:
            raise ValueError("a split within songs leaks: say leaky: true, and the score is stamped")
        return self


class GalleryRule(Config):
    """What a query is compared with.

    Attributes
    ----------
    of : "windows" has every distinct tested window; "songs" every tested song, its windows' mean
    size : how many there must be; any number where it is not given
    styles : how many genres they must come from
    same_fold : a query meets only what its own fold held out. Songs that train attract every prediction: beside them a
        held-out song lies below chance, whatever was decoded
    """

    of: Literal["windows", "songs"]
    size: int | None = Field(default=None, ge=2)
    styles: int | None = Field(default=None, ge=1)
    same_fold: bool = False


class MetricRule(Config):
    """One figure. `k` for top-k, `n_way` for N-way.

    similarity : "correlation" is Pearson's across the embedding
    """

    name: Literal["identification", "top-k", "n-way"]
    k: int | None = Field(default=None, ge=1)
    n_way: int | None = Field(default=None, ge=2)
    similarity: Literal["cosine", "correlation"] = "cosine"

    @model_validator(mode="after")
    def _complete(self) -> MetricRule:
        if (self.k is not None) != (self.name == "top-k") or (self.n_way is not None) != (self.name == "n-way"):
            raise ValueError("k belongs to top-k and n_way to n-way, and to nothing else")
        return self

    @property
    def label(self) -> str:
        return {"identification": "pairwise identification", "top-k": f"top-{self.k}", "n-way": f"{self.n_way}-way"}[
            self.name
        ]


class Published(Config):
    """One published figure.

    stage : of the decoded embedding, of what was generated from it once, of what was generated from it and from a song
        of the training that is nearest to it, of that song itself, or of the best of many generations
    metric : its place among the protocol's metrics
    """

    value: float
    what: str
    stage: Stage = "embedding"
    metric: int = Field(default=0, ge=0)


class SimulatedRule(Config):
    """The simulated stand-in for the recordings: composed songs, heard by simulated listeners.

    Attributes
    ----------
    songs, song_seconds : how many, and how long
    styles : genres; above eight, styles of the composer are halved by tempo
    channel_drift : standard deviation of each channel's log gain from one presentation to the next, as when a cap sits
        otherwise: it belongs to the presentation, not to the music
    """

    songs: int = Field(ge=1)
    song_seconds: float = Field(gt=1.0)
    styles: int = Field(default=8, ge=1, le=16)
    listeners: int = Field(default=2, ge=1)
    snr_db: float = -10.0
    channel_drift: float = Field(default=0.1, ge=0.0)
    seed: int = Field(default=0, ge=0)


class GeneratedRule(Config):
    """Music generated from tested windows by trained models, judged by the scorer that ships with them.

    Attributes
    ----------
    checkpoint : folder of models; the shipped ones by default
    clips : how many windows music is generated from, at most all that are tested
    seconds : from the start of each window
    best_of : how often it is generated from each
    anchored : also with the embeddings of the training song that is nearest to what was decoded
    """

    checkpoint: str | None = None
    clips: int = Field(default=60, ge=2)
    seconds: float = Field(default=WINDOW_S, ge=2.0)
    best_of: int = Field(default=1, ge=1)
    anchored: bool = False
    seed: int = Field(default=0, ge=0)


class ProtocolConfig(Config):
    """A published way of scoring.

    Attributes
    ----------
    source : where the figures are from
    modality : of the publication's recordings. Those of another are not taken for them
    waits_for : the reader that the publication's own recordings need
    prepared : a prepared cache to score instead of simulated recordings, of the protocol's modality
    genres : {song: genre} of what was heard in it, for the genre oracle; simulated songs say theirs
    repeats : presentations of a tested window that are averaged before it is scored
    assumed : settings that the source was not asked for
    target : "music" decodes an embedding of what was heard; "song" classifies: one output for each song, which needs
        every song in training and so a leaky split
    generated : what is generated on simulated recordings; without it nothing is
    """

    kind: Literal["protocol"] = "protocol"
    name: str
    title: str
    source: str
    modality: Literal["fMRI", "EEG", "not said"]
    waits_for: str
    prepared: str | None = None
    genres: dict[str, str] = Field(default_factory=dict)
    window: WindowRule
    split: SplitRule
    gallery: GalleryRule
    repeats: int = Field(default=1, ge=1)
    target: Literal["music", "song"] = "music"
    metrics: tuple[MetricRule, ...] = Field(min_length=1)
    published: tuple[Published, ...] = ()
    assumed: tuple[str, ...] = ()
    note: str = ""
    simulated: SimulatedRule
    generated: GeneratedRule | None = None
    seed: int = Field(default=0, ge=0)
    permutations: int = Field(default=2000, ge=1)

    @model_validator(mode="after")
    def _can_be_prepared(self) -> ProtocolConfig:
        if self.prepared is None:
            return self
        if self.modality not in PREPARED:
            raise ConfigError(
                f"The protocol {self.name} on a prepared cache: its recordings are {self.modality}",
                allowed=f"protocols of {', '.join(PREPARED)}, which `eeg2music prepare` reads",
                remedy=f"leave prepared out; this one waits for {self.waits_for}",
            )
        if self.generated is not None:
            raise ConfigError(
                f"The protocol {self.name} generates from simulated recordings alone",
                allowed="prepared without generated",
                remedy="set generated=null",
            )
        return self

    @model_validator(mode="after")
    def _figures_have_metrics(self) -> ProtocolConfig:
        if any(figure.metric >= len(self.metrics) for figure in self.published):
            raise ValueError("a published figure names a metric that is not there")
        if self.target == "song" and (self.split.by == "songs" or self.gallery.of != "songs"):
            raise ValueError("songs can be classified where they are in training, against a gallery of songs")
        if self.generated is not None:
            if self.split.by != "songs" or self.split.folds != 1 or self.gallery.of != "windows":
                raise ValueError("generated needs songs held out in one fold, and a gallery of windows")
            if self.generated.seconds > self.window.seconds:
                raise ValueError(f"generated.seconds goes up to the window's {self.window.seconds:g}")
        return self
