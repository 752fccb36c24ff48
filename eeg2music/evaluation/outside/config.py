"""What `score` is asked to do, and what of it can be refused at once, for it imports no model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from eeg2music.config import Config
from eeg2music.config_words import Unfit, known_names
from eeg2music.errors import InputError
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.evaluation.outside.circular import refuse_undeclared
from eeg2music.evaluation.outside.manifest import Clips, Measure, read_manifest
from eeg2music.evaluation.tables import SCORE_FILES
from eeg2music.files import check_result_folder

Distance = Literal["frechet", "kernel", "frechet_infinity", "coverage", "frechet_per_clip"]
ARRAY_SUFFIXES = (".npy", ".npz")


class ScoreConfig(Config):
    """How results made elsewhere are scored.

    Attributes
    ----------
    reference : folder of music that generated music is compared with as a whole (.npy or .npz, for a manifest of rows)
    embedding : which embeddings score, by name
    sources : {embedding: folder or hub name} in place of the embedding's own
    checkpoint : folder of models that "scorer" and "ours" are taken from; the shipped ones by default
    identification : look for what was heard, where the manifest names references
    distances : from the reference, of "frechet" (FAD), "kernel" (KAD), "frechet_infinity", "coverage", and
        "frechet_per_clip", which names the farthest clips: files are cut into pieces for it, and embedded once more
    measures : of the sound itself, as far as the manifest allows them: "reconstruction" (of what was heard), "stems"
        (how they go together) and "classes" (whether genre, mood and instrument are kept)
    measured_clips, measured_seconds : of a condition at most, and of each clip at most, for reconstruction and stems
    listened : how many clips the page plays beside what was heard: the best, the median and the worst by rank; 0 writes
        no sound
    resample : several sample rates are meant; files are resampled to the embedding's rate in any case
    allow_small : a Fréchet distance also of fewer clips than twice the dimension, stamped
    allow_circular : an embedding may score what it conditioned, and what nobody says it did not; stamped
    permutations : of songs, for the p-values
    """

    reference: str | None = None
    embedding: tuple[str, ...] = Field(default=("scorer",), min_length=1)
    sources: dict[str, str] = Field(default_factory=dict)
    checkpoint: str | None = None
    identification: bool = True
    distances: tuple[Distance, ...] = ("frechet", "kernel")
    measures: tuple[Measure, ...] = ("reconstruction", "stems", "classes")
    measured_clips: int = Field(default=50, ge=2)
    measured_seconds: float = Field(default=10.0, ge=1.0)
    listened: int = Field(default=8, ge=0)
    resample: bool = False
    allow_small: bool = False
    allow_circular: bool = False
    permutations: int = Field(default=2000, ge=1)
    seed: int = 0

    @field_validator("embedding")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known_names(names, EMBEDDERS.names())
        if len(set(names)) < len(names):
            raise Unfit("an embedding stands twice", allowed="each embedding once", remedy="remove one of the two")
        return names


def check_score(manifest: str | os.PathLike[str], out: Path, config: ScoreConfig) -> Clips:
    """Everything that can be refused before audio, arrays or models are read. Returns the manifest.

    Raises
    ------
    InputError, ConfigError, DataError, LeakError
    """
    check_result_folder(out, SCORE_FILES)
    clips = read_manifest(manifest)
    _check_asked(clips, config)
    return clips


def _check_asked(clips: Clips, config: ScoreConfig) -> None:
    """Something is to be measured, the reference is of the kind of the manifest, and the judges may judge."""
    identifies = config.identification and bool(clips.gallery)
    measures = bool(config.distances) and config.reference is not None
    listens = any(clips.allows(measure) for measure in config.measures)
    if not identifies and not measures and not listens:
        raise InputError(
            f"{clips.name} names no reference, and there is no --reference",
            allowed="a `reference` on every line of a condition, a --reference folder, or both",
            remedy="say what was heard, or what music to compare with",
        )
    if clips.is_array and "frechet_per_clip" in config.distances:
        raise InputError(
            "A row of an array is one vector of its clip, and a Fréchet distance of one clip takes several",
            allowed="frechet_per_clip for a manifest of files",
            remedy="leave it out of `distances`",
        )
    if config.reference is not None:
        _check_reference(clips, Path(config.reference))
    judges = identifies or measures or ("classes" in config.measures and clips.allows("classes"))
    if judges and not config.allow_circular:
        learned = [name for name in config.embedding if EMBEDDERS[name].learned]
        refuse_undeclared(clips, [clips.header.embedding_name] if clips.is_array else learned)


def _check_reference(clips: Clips, path: Path) -> None:
    fits = path.suffix in ARRAY_SUFFIXES and path.is_file() if clips.is_array else path.is_dir()
    if not fits:
        allowed = "a .npy or .npz file, for a manifest of rows" if clips.is_array else "a folder of audio"
        raise InputError(f"No reference at {path}", allowed=allowed, remedy="check --reference")
