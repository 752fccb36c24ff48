"""What the mixer can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from eeg2music.config import Config
from eeg2music.errors import ConfigError, did_you_mean
from eeg2music.types import REGIONS, STEMS

# Loudness of the stems relative to each other, in LU.
LEVELS_DB = {"drums": 0.0, "bass": -1.0, "harmony": -4.0, "melody": -1.0}


class MixerConfig(Config):
    """Settings of the harmonic mixer. The defaults leave stems that already agree untouched.

    Attributes
    ----------
    transpose, stretch : whether keys and tempi that disagree are corrected at all
    max_transpose_semitones : a stem further away stays where it is
    transpose_gain : how much better a transposed stem must fit the others (sum of two correlations, at most 4,
        less 0.12 for each semitone)
    max_stretch : largest relative change of tempo; a stem further away stays as it is
    max_shift_s : no sound moves by more than this in time; a stem whose end would is left alone. 0.6 s lets a clip of
        10 s have any change of tempo within `max_stretch`
    min_drift_beats : stems that drift apart by less than this over the clip are left alone
    min_key_confidence, min_tempo_confidence : below these a stem's estimate decides nothing
    untuned : stems that are never transposed and have no say in the key
    max_sounding : most stems sounding at once; the loudest and surest stay
    crossfade_s : length of the fades where stems give way to each other
    level_db : loudness of stems relative to each other that the balance aims at, in LU; stems that are not
        named keep the default
    balance : 0 keeps the stems' own loudness, 1 moves all the way to `level_db`
    max_balance_db : no stem's gain goes beyond this, either way
    gain_db : gain added by hand, by stem
    pan_width : how far left and right regions go, 0 (mono) to 1 (hard)
    pan : position by region, -1 left to 1 right, where the region's name should not decide
    loudness_lufs : integrated loudness of the mix (ITU-R BS.1770-4)
    true_peak_dbtp : the limiter's ceiling for the 4x oversampled peak
    max_gain_db : nothing is raised by more than this to reach the target
    """

    transpose: bool = True
    stretch: bool = True
    max_transpose_semitones: int = Field(default=6, ge=0, le=6)
    transpose_gain: float = Field(default=0.65, gt=0)
    max_stretch: float = Field(default=0.06, ge=0, le=0.25)
    max_shift_s: float = Field(default=0.6, ge=0)
    min_drift_beats: float = Field(default=0.15, ge=0)
    min_key_confidence: float = Field(default=0.15, ge=0, le=1)
    min_tempo_confidence: float = Field(default=0.25, ge=0, le=1)
    untuned: tuple[str, ...] = ("drums",)
    max_sounding: int = Field(default=4, ge=1)
    crossfade_s: float = Field(default=0.1, gt=0, le=1)
    level_db: Mapping[str, float] = LEVELS_DB
    balance: float = Field(default=0.5, ge=0, le=1)
    max_balance_db: float = Field(default=6.0, ge=0)
    gain_db: Mapping[str, float] = {}
    pan_width: float = Field(default=0.6, ge=0, le=1)
    pan: Mapping[str, float] = {}
    loudness_lufs: float = Field(default=-16.0, ge=-60, le=-5)
    true_peak_dbtp: float = Field(default=-1.0, le=0)
    max_gain_db: float = Field(default=40.0, ge=0)

    @field_validator("level_db")
    @classmethod
    def _over_the_defaults(cls, given: Mapping[str, float]) -> Mapping[str, float]:
        return {**LEVELS_DB, **given}


def of_our_stems(config: MixerConfig) -> MixerConfig:
    """Refuse names of stems and regions that the pipeline does not have, which a mixer of any stems cannot know.

    Raises
    ------
    ConfigError
    """
    named = {
        "level_db": (config.level_db, STEMS),
        "gain_db": (config.gain_db, STEMS),
        "untuned": (config.untuned, STEMS),
        "pan": (config.pan, REGIONS),
    }
    for key, (names, allowed) in named.items():
        unknown = [name for name in names if name not in allowed]
        if unknown:
            raise ConfigError(
                f"mixer.{key} names {unknown[0]!r}",
                allowed=", ".join(allowed),
                remedy=did_you_mean(unknown[0], allowed) or "correct the name",
            )
    return config


# The mixer's settings where the stems are the pipeline's.
StemMixerConfig = Annotated[MixerConfig, AfterValidator(of_our_stems)]
