"""What an evaluation of `kind: encoding` is asked to do. Holds settings, computes nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from eeg2music.config import Config
from eeg2music.config_words import Unfit, known_names
from eeg2music.metrics.ridge import FOLDS
from eeg2music.simulation.composer import STYLES
from eeg2music.simulation.experiment import NAMED_SNR_DB, Snr
from eeg2music.simulation.head import MONTAGES
from eeg2music.simulation.library import song_ids
from eeg2music.simulation.listening import Crosstalk
from eeg2music.simulation.responses import FAMILIES

MUSIC, SHUFFLED, RANDOMIZED = "music", "shuffled_songs", "phase_randomized"
CURVES, EMBEDDINGS, GIVEN = "curves", "embeddings", "features"
# What is scored.
SIMULATED, PREPARED, RESPONSES = "simulated", "prepared", "responses"
# The kind of channels that come as arrays; their places are in MNI space.
MNI = "mni"


class EncodingListening(Config):
    """Simulated listeners to songs of several styles.

    Attributes
    ----------
    styles, songs_per_style, song_seed : which songs; one style leaves no genre to compare with
    presentations : how often each listener hears each song; two or more give a noise ceiling
    snr : "clean", "real" or decibels
    subjects, montage, response_family, crosstalk : as in the simulator
    """

    styles: tuple[str, ...] = Field(default=("funk", "waltz", "techno", "ambient"), min_length=1)
    songs_per_style: int = Field(default=8, ge=1)
    song_seed: int = Field(default=21, ge=0)
    song_seconds: float = Field(default=8.0, ge=2.0)
    presentations: int = Field(default=2, ge=1)
    snr: Snr = "clean"
    subjects: tuple[str, ...] = Field(default=("unseen01", "unseen02"), min_length=1)
    montage: str = "eeg64"
    response_family: str = "default"
    crosstalk: Crosstalk = 0.1

    @field_validator("montage", "response_family")
    @classmethod
    def _simulated(cls, name: str, info: ValidationInfo) -> str:
        known_names([name], MONTAGES if info.field_name == "montage" else FAMILIES)
        return name

    @field_validator("styles")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known_names(names, STYLES)
        if len(set(names)) < len(names):
            raise Unfit("a style stands twice", allowed="each style once", remedy="remove one of the two")
        return names

    @property
    def songs(self) -> dict[str, str]:
        """{song: style}, styles in turn."""
        families = [song_ids(style, self.song_seed, self.songs_per_style) for style in self.styles]
        return {
            song: style for turn in zip(*families, strict=True) for song, style in zip(turn, self.styles, strict=True)
        }

    @property
    def snr_db(self) -> float:
        """In decibels."""
        return NAMED_SNR_DB[self.snr] if isinstance(self.snr, str) else self.snr


class EncodingConfig(Config):
    """What is encoded, from what, and how it is tested.

    Attributes
    ----------
    checkpoint : folder of models whose CLAP embeds the music; the shipped ones by default
    prepared : a prepared cache to score instead of simulated listeners
    responses : {listener: .npz} in the place of both: voxels or contacts as arrays, beside features of the music
        (`encoding_responses.read_responses` says which). Those features are asked about, whatever `features` says
    genres : {song: genre} for recorded music; simulated songs say theirs
    features : which questions are asked
    lag_s : how long after a sound the curves look at the recording
    embedding_window_s : length of the windows that are embedded, one after the other
    permutations, embedding_permutations : of whole songs, the model fitted anew for each; p is at least
        1 / (permutations + 1). Embeddings have fewer rows, so that more take no longer
    penalties : of the ridge, each channel choosing its own among the training songs
    """

    kind: Literal["encoding"] = "encoding"
    checkpoint: str | None = None
    prepared: str | None = None
    responses: dict[str, str] = Field(default_factory=dict)
    listening: EncodingListening = EncodingListening()
    genres: dict[str, str] = Field(default_factory=dict)
    features: tuple[Literal["curves", "embeddings"], ...] = Field(default=("curves", "embeddings"), min_length=1)
    lag_s: float = Field(default=0.4, ge=0.0, le=2.0)
    embedding_window_s: float = Field(default=1.0, ge=0.5, le=10.0)
    permutations: int = Field(default=100, ge=19)
    embedding_permutations: int = Field(default=400, ge=19)
    penalties: tuple[float, ...] = Field(default=(10.0, 100.0, 1e3, 1e4, 1e5), min_length=1)
    folds: int = Field(default=FOLDS, ge=2)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _one_material(self) -> EncodingConfig:
        if self.prepared and self.responses:
            raise Unfit("prepared and responses stand together", allowed="one of them")
        return self
