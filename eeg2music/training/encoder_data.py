"""Windows of recordings as training data of the brain encoder: presentations, split, crops, augmentation.

A presentation is one piece heard once by one person. Training and validation share neither
pieces (nor other versions of them, where their work is declared) nor people; a split that would is refused.
Never computes targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial.transform import Rotation

from eeg2music.config import Config
from eeg2music.errors import DataError, LeakError
from eeg2music.files import sha256_file, sha256_json
from eeg2music.recordings.prepared import MIXED, PreparedDataset
from eeg2music.seeding import derive_seed, numpy_rng
from eeg2music.training.encoder_targets import TargetStore, curve_shift
from eeg2music.types import EEG_RATE_HZ, ENCODER_CENTRE_M, FloatArray, SignalSpec

UNSEEN = -1
# What training and validation may not share, and how messages call several.
_APART = {"subject": "subjects", "song": "songs", "work": "works", "stimulus_sha256": "stimuli"}
# Centre that position jitter turns around.
_CENTRE_M = np.array(ENCODER_CENTRE_M, dtype=np.float32)


class AugmentConfig(Config):
    """What a training window goes through. Probabilities are per window unless said otherwise.

    unseen : the person is presented as unknown
    share : all that follows is done at all; other windows stay as they are recorded
    without_positions : positions are withheld
    channel_dropout : greatest share of channels left out; the share is drawn evenly from 0 on
    background : greatest gain of another stretch of the same recording that is added
    channel_gain_db, position_m, rotation_deg : standard deviations; time_mask_s : longest gap
    """

    unseen: float = Field(0.5, ge=0, le=1)
    share: float = Field(1.0, ge=0, le=1)
    without_positions: float = Field(0.05, ge=0, le=1)
    channel_dropout: float = Field(0.3, ge=0, lt=1)
    background: float = Field(0.4, ge=0)
    background_share: float = Field(0.5, ge=0, le=1)
    channel_gain_db: float = Field(1.0, ge=0)
    position_m: float = Field(0.002, ge=0)
    rotation_deg: float = Field(3.0, ge=0)
    time_mask_s: float = Field(0.4, ge=0)
    time_mask_share: float = Field(0.2, ge=0, le=1)


@dataclass(frozen=True)
class Presentation:
    """One piece heard once: where its samples lie and what was heard.

    first, last : first sample of the first and of the last window that lies inside the prepared stretch
    onset_s : of the piece in the recording
    simulated : whether the cache gives it a signal-to-noise ratio, which nobody knows of a person's recording
    work : what `song` is a version of, as the cache declares it; the song itself where it declares nothing
    stimulus_sha256 : of the audio that was heard, where it was read
    """

    dataset: PreparedDataset
    recording: str
    subject: str
    song: str
    stimulus_file: str
    onset_s: float
    first: int
    last: int
    simulated: bool = False
    work_id: str | None = None
    stimulus_sha256: str | None = None

    @property
    def work(self) -> str:
        return self.song if self.work_id is None else self.work_id


def find_presentations(
    dataset: PreparedDataset, samples: int, numbers: Sequence[int] | None = None
) -> list[Presentation]:
    """Group the rows of a cache into presentations that hold at least one window of `samples`.

    Parameters
    ----------
    numbers : of the rows to take; all of them where None

    Raises
    ------
    DataError
        If no row says what was heard.
    """
    groups: dict[tuple[str, str, float], list[Mapping[str, Any]]] = {}
    for row in dataset.rows if numbers is None else (dataset.rows[number] for number in numbers):
        if row["stimulus"] is None or row["stimulus_file"] is None or row["stimulus_onset_s"] is None:
            continue
        groups.setdefault((row["recording"], row["stimulus"], float(row["stimulus_onset_s"])), []).append(row)
    found = []
    for (recording, song, onset_s), rows in sorted(groups.items()):
        first = min(int(row["start_sample"]) for row in rows)
        stop = max(int(row["start_sample"]) + int(row["n_samples"]) for row in rows)
        if stop - first >= samples:
            file = str(rows[0]["stimulus_file"])
            found.append(
                Presentation(
                    dataset,
                    recording,
                    rows[0]["subject"],
                    song,
                    file,
                    onset_s,
                    first,
                    stop - samples,
                    simulated=rows[0].get("snr_db") is not None,
                    work_id=rows[0].get("work_id"),
                )
            )
    if not found:
        raise DataError(
            f"{dataset.cache} holds no window of {samples / EEG_RATE_HZ:g} s with the audio that was heard",
            allowed="recordings whose events name an audio file (stim_file)",
            remedy="name it in events.tsv, put it below stimuli/ of the data set, and run `eeg2music prepare` again",
        )
    return found


def refuse_shared_labels(found: Sequence[Sequence[Presentation]], caches: Sequence[str]) -> None:
    """Refuse a person's label that stands in several caches: two people would be learned as one.

    Raises
    ------
    DataError
    """
    owner: dict[str, str] = {}
    for cache, parts in zip(caches, found, strict=True):
        for subject in sorted({part.subject for part in parts}):
            first = owner.setdefault(subject, cache)
            if first != cache:
                raise DataError(
                    f"The label {subject} stands in {first} and in {cache}",
                    allowed="a label of its own for each person",
                    remedy="rename participants in one data set, or set task.same_people=true if they are the same",
                )


@dataclass(frozen=True)
class Split:
    """Presentations for training and for validation."""

    train: tuple[Presentation, ...]
    valid: tuple[Presentation, ...]

    def with_hashes(self) -> Split:
        """The same with the hash of what was heard, by which one file under two names is known; each file is read once.

        Raises
        ------
        LeakError
        """
        files = {item.stimulus_file for item in (*self.train, *self.valid)}
        known = {file: sha256_file(file) for file in files}
        train, valid = (
            tuple(replace(item, stimulus_sha256=known[item.stimulus_file]) for item in side)
            for side in (self.train, self.valid)
        )
        return Split(train, valid).check()

    def check(self) -> Split:
        """Refuse a person, a piece, a work or one file on both sides.

        Raises
        ------
        LeakError
        """
        for what, several in _APART.items():
            both = {getattr(item, what) for item in self.train} & {getattr(item, what) for item in self.valid}
            both -= {None}
            if both:
                raise LeakError(
                    f"{len(both)} {several} are in training and in validation: {', '.join(sorted(both)[:5])}",
                    remedy="hold out whole subjects and whole songs, all versions of a work together",
                )
        if not self.train or not self.valid:
            raise DataError(
                f"The split has {len(self.train)} presentations for training and {len(self.valid)} for validation",
                remedy="give more subjects or songs, or other shares",
            )
        return self


def split_presentations(found: Sequence[Presentation], valid_subjects: float, valid_songs: float, seed: int) -> Split:
    """Hold out a share of the people and a share of the pieces, all versions of a work together.

    Validation is held-out people hearing held-out pieces; held-out people's other presentations and other
    people's held-out pieces are used for neither. Where every piece is heard by one person only, holding out
    people holds out their pieces too, and `valid_songs` has no effect.
    """
    subjects = _draw({item.subject for item in found}, valid_subjects, seed, "subject")
    heard_by: dict[str, set[str]] = {}
    for item in found:
        heard_by.setdefault(item.work, set()).add(item.subject)
    if any(people & subjects and people - subjects for people in heard_by.values()):
        works = _draw(set(heard_by), valid_songs, seed, "song")
    else:
        works = {work for work, people in heard_by.items() if people & subjects}
    train = tuple(item for item in found if item.subject not in subjects and item.work not in works)
    valid = tuple(item for item in found if item.subject in subjects and item.work in works)
    return Split(train, valid).check()


def _draw(names: set[str], share: float, seed: int, what: str) -> set[str]:
    """At least one name, and about `share` of them; which ones depends on the names alone."""
    ranked = sorted(names, key=lambda name: derive_seed(seed, "hold out", what, name))
    return set(ranked[: max(1, round(share * len(ranked)))])


def joint_spec(split: Split) -> SignalSpec:
    """Sizes that the training data decides.

    Raises
    ------
    DataError
        If recordings of different kinds are put together, also for validation.
    """
    specs = {id(item.dataset): item.dataset.spec for item in (*split.train, *split.valid)}
    kinds = {(spec.kind, spec.sfreq_hz) for spec in specs.values()}
    if len(kinds) > 1 or any(kind == MIXED for kind, _ in kinds):
        told = ", ".join(f"{kind} at {sfreq_hz:g} Hz" for kind, sfreq_hz in sorted(kinds))
        raise DataError(
            f"The caches hold different signals: {told}",
            allowed="one kind at one rate",
            remedy="prepare each kind of recordings into a cache of its own, and train on one kind",
        )
    kind, sfreq_hz = kinds.pop()
    return SignalSpec(
        kind=kind,
        sfreq_hz=sfreq_hz,
        subjects=tuple(sorted({item.subject for item in split.train})),
        n_channels_max=max(specs[id(item.dataset)].n_channels_max for item in split.train),
    )


def split_manifest(split: Split) -> dict[str, Any]:
    """Who and what was trained on and held out, to be stored beside the weights."""
    hashes = sorted({item.dataset.content_hash for item in (*split.train, *split.valid)})
    names = {name: _names(part) for name, part in (("train", split.train), ("valid", split.valid))}
    return {
        **side_of(split.train),
        "valid": side_of(split.valid),
        "data_hash": sha256_json([hashes, names]),
        "simulated": all(item.simulated for item in split.train),
    }


def side_of(part: Sequence[Presentation]) -> dict[str, Any]:
    """Songs, subjects and the number of presentations of one side.

    "works", {song: work}, where any is declared; "stimuli", hashes of what was heard, where it was read.
    """
    stimuli = sorted({item.stimulus_sha256 for item in part if item.stimulus_sha256 is not None})
    return {**_names(part), **({"stimuli": stimuli} if stimuli else {})}


def _names(part: Sequence[Presentation]) -> dict[str, Any]:
    works = {item.song: item.work_id for item in part if item.work_id is not None}
    return {
        "songs": sorted({item.song for item in part}),
        "subjects": sorted({item.subject for item in part}),
        "presentations": len(part),
        **({"works": works} if works else {}),
    }


class Windows:
    """An `ItemSource` over presentations: one random window per visit.

    An item holds eeg (channel, time), positions_m (channel, 3), channel_mask (channel,), subject (UNSEEN where the
    encoder is not told), listener (who it is, for the loss alone), window_id, song_id, embedding (1 + stem,
    embedding), curves (stem, curve, frame) and curve_shift (frames from the window's start to the curves').
    """

    def __init__(
        self, presentations: Sequence[Presentation], targets: TargetStore, spec: SignalSpec, samples: int, seed: int,
        augment: AugmentConfig | None,
    ) -> None:  # fmt: skip
        self.presentations, self.targets, self.spec = presentations, targets, spec
        self.samples, self.seed, self.augment = samples, seed, augment
        self._subjects = {label: index for index, label in enumerate(spec.subjects)}

    def __len__(self) -> int:
        return len(self.presentations)

    def item(self, index: int, draw: int) -> Mapping[str, Any]:
        """See `training.task.ItemSource`."""
        rng = numpy_rng(self.seed, "encoder", index, draw)
        part = self.presentations[index]
        return self.window(part, int(rng.integers(part.first, part.last + 1)), rng)

    def window(self, part: Presentation, start: int, rng: np.random.Generator) -> dict[str, Any]:
        """The window of a presentation that starts at sample `start` of the recording."""
        eeg = np.array(part.dataset.signal(part.recording)[:, start : start + self.samples], dtype=np.float32)
        positions, mask = part.dataset.channels(part.recording)
        subject = listener = self._subjects.get(part.subject, UNSEEN)
        if self.augment is not None:
            if self.augment.share == 1.0 or rng.random() < self.augment.share:
                eeg = self._with_background(eeg, part, rng)
                eeg, positions, mask = augment(eeg, positions, mask, self.augment, rng)
            subject = UNSEEN if rng.random() < self.augment.unseen else subject
        eeg, positions, mask = pad_channels(eeg, positions, mask, max(self.spec.n_channels_max, len(mask)))
        offset_s = start / EEG_RATE_HZ - part.onset_s
        embedding, curves = self.targets[part.stimulus_file].at(offset_s)
        return {
            "eeg": eeg,
            "positions_m": positions,
            "channel_mask": mask,
            "subject": subject,
            "listener": listener,
            # To 1/64 s: presentations of a piece that start on the same sample are the same window.
            "window_id": derive_seed(0, part.song, round(offset_s * EEG_RATE_HZ)),
            "song_id": derive_seed(0, part.song),
            "embedding": embedding,
            "curves": curves,
            "curve_shift": np.float32(curve_shift(offset_s)),
        }

    def _with_background(self, eeg: FloatArray, part: Presentation, rng: np.random.Generator) -> FloatArray:
        """Add a fainter stretch of the same recording: more noise of the right kind.

        The sum is scaled back so that its deviation stays about one.
        """
        settings = self.augment
        if settings is None or settings.background == 0 or rng.random() >= settings.background_share:
            return eeg
        signal = part.dataset.signal(part.recording)
        start = int(rng.integers(0, max(1, signal.shape[1] - self.samples)))
        other = signal[:, start : start + self.samples]
        if other.shape[1] < self.samples:
            return eeg
        gain = rng.uniform(0.0, settings.background)
        return np.asarray((eeg + gain * other) / np.sqrt(1.0 + gain**2), dtype=np.float32)


def augment(
    eeg: FloatArray, positions: FloatArray, mask: NDArray[np.bool_], settings: AugmentConfig, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Vary gains, cap position and which channels there are: (channel, time), (channel, 3), (channel,)."""
    channels, samples = eeg.shape
    gain_db = settings.channel_gain_db * rng.standard_normal((channels, 1), dtype=np.float32)
    eeg = eeg * np.float32(10.0) ** (gain_db / np.float32(20.0))
    share = rng.uniform(0.0, settings.channel_dropout)
    kept = mask & (rng.random(channels) >= share)
    # Never fewer than four: the encoder would take such a window for one without positions.
    mask = kept if kept.sum() >= 4 else mask
    if rng.random() < settings.time_mask_share:
        length = round(rng.uniform(0.0, settings.time_mask_s) * EEG_RATE_HZ)
        start = int(rng.integers(0, max(1, samples - length)))
        eeg[:, start : start + length] = 0.0
    jitter = settings.position_m * rng.standard_normal(positions.shape, dtype=np.float32)
    turned = (positions - _CENTRE_M) @ small_rotation(settings.rotation_deg, rng) + _CENTRE_M
    positions = (turned + jitter).astype(np.float32)
    if rng.random() < settings.without_positions:
        positions = np.full_like(positions, np.nan)
    return eeg, positions, mask


def small_rotation(deviation_deg: float, rng: np.random.Generator) -> FloatArray:
    """(3, 3) rotation by a normal angle about each axis."""
    turned = Rotation.from_rotvec(deviation_deg * rng.standard_normal(3), degrees=True)
    return np.asarray(turned.as_matrix(), dtype=np.float32)


def pad_channels(
    eeg: FloatArray, positions: FloatArray, mask: NDArray[np.bool_], channels: int
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Add masked channels without a position, so that montages of different size fit in one batch."""
    missing = channels - len(mask)
    if missing <= 0:
        return eeg, positions, mask
    return (
        np.pad(eeg, ((0, missing), (0, 0))),
        np.pad(positions, ((0, missing), (0, 0)), constant_values=np.nan),
        np.pad(mask, (0, missing)),
    )
