"""Trains a brain encoder into the space that the generator is conditioned on.

Windows of prepared recordings against what was heard: CLAP embeddings of the mix and of each
stem (frozen CLAP) by symmetric contrast and by direction, control curves by correlation and by
value. Validation is people and pieces that training never met. Every registered encoder trains
through here; one that is fitted in closed form is fitted when it is built, and the loop only
writes it.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from eeg2music.config import Config
from eeg2music.encoders.base import BrainConditions, Encoder, spec_from_dict
from eeg2music.encoders.losses import (
    START_LOG_SCALE,
    curve_correlation_loss,
    curve_value_loss,
    delayed,
    direction_loss,
    info_nce,
)
from eeg2music.encoders.registry import ENCODERS
from eeg2music.errors import CheckpointError, ConfigError
from eeg2music.files import read_json, sha256_json
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.recordings.split_file import SplitFile, read_split
from eeg2music.targets.cache import conditioning_space
from eeg2music.training.encoder_data import (
    AugmentConfig,
    Presentation,
    Split,
    Windows,
    find_presentations,
    joint_spec,
    refuse_shared_labels,
    side_of,
    split_manifest,
    split_presentations,
)
from eeg2music.training.encoder_scores import encoder_scores, validation_windows
from eeg2music.training.encoder_targets import TargetStore, load_target_encoder, track_files
from eeg2music.training.first_stage import refuse_known, with_earlier
from eeg2music.training.registry import TASKS
from eeg2music.training.task import Batch, Gather, ItemSource, Task
from eeg2music.types import EEG_RATE_HZ, STEMS, WINDOW_S
from eeg2music.weights import (
    CONDITIONING_SPACE,
    CONFIG_NAME,
    FITTED,
    WEIGHTS_NAME,
    load_strictly,
    local_folder,
    read_state,
    save_model,
)

logger = logging.getLogger(__name__)


class WeightsConfig(Config):
    """Weights of the parts of the loss.

    Contrast alone tells songs apart, but leaves out what all songs share: the generator would be given embeddings
    unlike any that it met. A heavy `direction` draws them towards the audio's (`cosine_joint` of the validation).
    """

    contrast_global: float = Field(1.0, ge=0)
    contrast_stem: float = Field(1.0, ge=0)
    direction: float = Field(6.0, ge=0)
    curve_correlation: float = Field(2.0, ge=0)
    curve_value: float = Field(0.5, ge=0)


class EncoderConfig(Config):
    """The `task:` section.

    caches : prepared recordings to train on; valid_caches : recordings of other people hearing other
    pieces. Without the latter, a share of the subjects and of the songs is held out.
    split : manifest of `eeg2music split`, of the one cache that is trained on: nothing but its training side is met.
        Its other side is validated on where the manifest says that it is held out for that, and otherwise never read
    same_people : whether one label in several caches is one person; refused unless it is said, because most data sets
    have a sub-01.
    clap : folder or name of the CLAP whose space is aimed at; targets : folder for computed targets.
    encoder : a registered encoder; options : its arguments besides the signal's.
    delays : learn how late each training listener responds, so that the curves need not blur over it.
    whiten : how many windows tell how channels vary together, so that spatial filters are learned on white ones; 0: off
    match_curves : how many windows tell how far curves have to be spread, when weights are kept, to vary as heard ones
        do; 0: off
    start_from : folder of weights to begin with, such as those of the shipped encoder, whose sizes are taken over;
        people whom it does not know begin like anybody it was not trained on.
    """

    caches: tuple[str, ...] = Field(min_length=1)
    valid_caches: tuple[str, ...] = ()
    split: str | None = None
    same_people: bool = False
    valid_subjects: float = Field(0.15, gt=0, lt=1)
    valid_songs: float = Field(0.15, gt=0, lt=1)
    valid_windows: int = Field(300, ge=2)
    clap: str
    targets: str | None = None
    target_hop_s: float = Field(1.0, gt=0)
    window_s: float = Field(WINDOW_S, ge=2.0)
    encoder: str = "brain"
    options: dict[str, Any] = Field(default_factory=dict)
    augment: AugmentConfig = AugmentConfig.model_validate({})
    weights: WeightsConfig = WeightsConfig.model_validate({})
    fit_windows: int = Field(4000, ge=8)
    delays: bool = True
    whiten: int = Field(1024, ge=0)
    match_curves: int = Field(512, ge=0)
    start_from: str | None = None


# Frames left out at either end of the curves, so that a listener's delay finds its frames.
CURVE_MARGIN = 4
MAX_DELAY_FRAMES = CURVE_MARGIN - 2.0


class EncoderTrainee(nn.Module):
    """An encoder with what only training needs: the temperatures of global and stem contrast, and listeners' delays.

    Nobody's response latency can be read off the response alone. An encoder that is held to the music's own time
    therefore answers with a blur as wide as latencies differ. The delay of each training listener is learned instead,
    and their mean is kept at zero: the encoder's curves are sharp, and late by what the listener is late.
    """

    def __init__(self, encoder: Encoder, listeners: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.log_scale = nn.Parameter(torch.full((2,), START_LOG_SCALE))
        self.delay = nn.Parameter(torch.zeros(listeners)) if listeners else None

    def delays(self) -> Tensor | None:
        """(listener,) in frames of the curves."""
        return None if self.delay is None else MAX_DELAY_FRAMES * torch.tanh(self.delay - self.delay.mean())

    def forward(
        self, eeg: Tensor, positions_m: Tensor, channel_mask: Tensor, subject: Tensor
    ) -> tuple[BrainConditions, Tensor, Tensor | None]:
        """The encoder's output, the (2,) logarithms of the inverse temperatures, and the listeners' delays."""
        return self.encoder(eeg, positions_m, channel_mask, subject), self.log_scale * 1.0, self.delays()


@TASKS.add("encoder")
class EncoderTask(Task):
    """Brain windows to the conditions of what was heard."""

    Config = EncoderConfig
    config: EncoderConfig

    def __init__(self, config: EncoderConfig, *, seed: int) -> None:
        super().__init__(config, seed=seed)
        for source in (config.clap, config.start_from):
            if source is not None:
                local_folder(source)
        kind = ENCODERS[config.encoder]
        if kind.needs_positions and config.augment.without_positions:
            raise ConfigError(
                f"The encoder {config.encoder!r} cannot be trained on windows without positions",
                allowed="task.augment.without_positions=0",
            )
        sizes = {} if config.start_from is None else sizes_of(Path(config.start_from), kind)
        self.options = {**sizes, **check_options(kind, config.options, config.encoder)}
        self.samples = round(config.window_s * EEG_RATE_HZ)
        self.split = self._split()
        self.spec = joint_spec(self.split)
        for file in self._stimulus_files():
            track_files(Path(file))
        self.split = self.split.with_hashes()

    def train_items(self) -> ItemSource:
        clap, identity = load_target_encoder(self.config.clap)
        self.clap_hash, self.conditioning_space = identity, conditioning_space(clap)
        self.embedding_dim = int(clap.embedding_dim)
        self.targets = TargetStore(
            clap, identity, window_s=self.config.window_s, hop_s=self.config.target_hop_s, cache=self.config.targets
        )
        self.targets.prepare(self._stimulus_files())
        self.valid = validation_windows(self.split.valid, self.samples, self.config.valid_windows)
        return self._windows(self.split.train, self.config.augment)

    def _stimulus_files(self) -> list[str]:
        return list(dict.fromkeys(part.stimulus_file for part in (*self.split.train, *self.split.valid)))

    def _split(self) -> Split:
        self.split_file: SplitFile | None = None
        if self.config.split is not None:
            dataset = PreparedDataset(self._only_cache())
            self.split_file = told = read_split(self.config.split, dataset)
            found = find_presentations(dataset, self.samples, told.train)
            if told.held_out == "validation":
                self._refuse_second_validation()
                return Split(tuple(found), tuple(find_presentations(dataset, self.samples, told.test))).check()
        else:
            found = self._presentations(self.config.caches)
        if self.config.valid_caches:
            return Split(tuple(found), tuple(self._presentations(self.config.valid_caches))).check()
        return split_presentations(found, self.config.valid_subjects, self.config.valid_songs, self.seed)

    def _only_cache(self) -> str:
        if len(self.config.caches) > 1:
            raise ConfigError(
                f"task.split with {len(self.config.caches)} caches",
                allowed="the one cache that the manifest was made of",
                remedy="prepare all recordings into one cache, and split that",
            )
        return self.config.caches[0]

    def _refuse_second_validation(self) -> None:
        if self.config.valid_caches:
            raise ConfigError(
                "task.valid_caches beside a manifest that is held out for validation",
                allowed="one validation",
                remedy="leave task.valid_caches out",
            )

    def _presentations(self, caches: tuple[str, ...]) -> list[Presentation]:
        found = [find_presentations(PreparedDataset(cache), self.samples) for cache in caches]
        if not self.config.same_people:
            refuse_shared_labels(found, caches)
        return [part for parts in found for part in parts]

    def _windows(self, presentations: tuple[Presentation, ...], augment: AugmentConfig | None) -> Windows:
        return Windows(presentations, self.targets, self.spec, self.samples, self.seed, augment)

    def build_model(self) -> nn.Module:
        encoder = self._build(ENCODERS[self.config.encoder])
        if self.config.start_from is not None:
            self._start_from(encoder, Path(self.config.start_from))
        if encoder.fitted_in_closed_form:
            self._fit(encoder)
        elif self.config.whiten:
            encoder.precondition(fit_batches(self._windows(self.split.train, None), self.config.whiten))
        return EncoderTrainee(encoder, len(self.spec.subjects) if self.config.delays else 0)

    def _build(self, kind: type[Encoder]) -> Encoder:
        try:
            return kind.build(self.spec, self.manifest(), embedding_dim=self.embedding_dim, **self.options)
        except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            if not self.options:  # no fault of the config
                raise
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"The encoder {self.config.encoder!r} cannot be built with task.options = {self.options} ({reason})",
                remedy="check the options' types and ranges",
            ) from error

    def _start_from(self, encoder: Encoder, folder: Path) -> None:
        """Take over the weights of an encoder that never met what is held out now.

        Raises
        ------
        CheckpointError
            If its sizes differ, or it doesn't say what it was trained on.
        LeakError
            If it was trained on people or songs that are validated on.
        """
        known = spec_from_dict(read_json(folder / CONFIG_NAME)["signal_spec"]).subjects
        load_strictly(encoder, encoder.for_people(read_state(folder / WEIGHTS_NAME), known), source=str(folder))
        valid = split_manifest(self.split)["valid"]
        refuse_known(folder, valid["songs"], valid["subjects"], valid.get("works"), valid["stimuli"])

    def _fit(self, encoder: Encoder) -> None:
        """Show a closed-form encoder its windows, batch by batch."""
        source = self._windows(self.split.train, None)
        batches = fit_batches(source, self.config.fit_windows)
        encoder.fit(batches)

    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        out, log_scale, delays = model(batch["eeg"], batch["positions_m"], batch["channel_mask"], batch["subject"])
        weights, target = self.config.weights, batch["embedding"]
        window_id, song_id = gather(batch["window_id"]), gather(batch["song_id"])
        predicted = gather(torch.cat([out.global_embedding[:, None], out.stem_embedding], 1).float())
        heard = gather(target)
        # Stems of windows without positions are the global embedding: nothing to compare with a stem.
        known = gather(out.regions_known.to(predicted.dtype)) > 0.5
        parts = {"contrast_global": info_nce(predicted[:, 0], heard[:, 0], log_scale[0], window_id, song_id)}
        parts["contrast_stem"] = torch.stack(
            [
                info_nce(predicted[known, 1 + stem], heard[known, 1 + stem], log_scale[1],
                         window_id[known], song_id[known])
                for stem in range(len(STEMS))
            ]
        ).mean() if bool(known.any()) else predicted.sum() * 0.0  # fmt: skip
        compared = torch.cat([torch.ones_like(known)[:, None], known[:, None].expand(-1, len(STEMS))], 1)
        parts["direction"] = direction_loss(predicted, heard, compared)
        delay = batch["curve_shift"] if delays is None else batch["curve_shift"] + delays[batch["listener"]]
        made, aimed = delayed(out.curves, delay, CURVE_MARGIN), batch["curves"][..., CURVE_MARGIN:-CURVE_MARGIN]
        parts["curve_correlation"] = curve_correlation_loss(made, aimed)
        parts["curve_value"] = curve_value_loss(made, aimed)
        total = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
        return {"loss": total, **parts, "temperature": log_scale[0].detach().neg().exp()}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        source = self._windows(self.split.valid, None)
        encoder: Encoder = model.encoder  # type: ignore[assignment]
        figures = encoder_scores(encoder, source, self.valid)
        if not encoder.needs_positions:
            blind = encoder_scores(encoder, source, self.valid, with_positions=False)
            # One piece alone makes no gallery.
            kept = [key for key in ("pairwise_global", "top1_global") if key in blind]
            figures.update({f"{key}_without_positions": blind[key] for key in kept})
        return figures

    def export(self, model: nn.Module, folder: Path) -> None:
        encoder: Encoder = copy.deepcopy(model.encoder)  # type: ignore[assignment]
        encoder.settle()
        if self.config.match_curves:
            source = self._windows(self.split.train, None)
            encoder.eval().match_curves(fit_batches(source, min(self.config.match_curves, len(source))))
        save_model(encoder, folder, dtype=torch.bfloat16, exact=encoder.exact_weights)

    def _fitted(self) -> dict[str, Any]:
        """What a closed form was fitted on, with its means and scales."""
        if not ENCODERS[self.config.encoder].fitted_in_closed_form:
            return {}
        return {FITTED: {"closed form": side_of(self.split.train[: self.config.fit_windows])}}

    def manifest(self) -> dict[str, Any]:
        manifest = split_manifest(self.split)
        # What is learned from the recordings are CLAP's embeddings: of other weights, they are other data.
        data_hash = sha256_json([manifest["data_hash"], self.clap_hash])
        told = {
            **manifest,
            **self._fitted(),
            "data_hash": data_hash,
            "clap_hash": self.clap_hash,
            **({} if self.split_file is None else {"split": self.split_file.told}),
            CONDITIONING_SPACE: self.conditioning_space,
        }
        return with_earlier(told, self.config.start_from)


def sizes_of(folder: Path, kind: type[Encoder]) -> dict[str, Any]:
    """The options that the encoder in `folder` was built with.

    Raises
    ------
    CheckpointError
        If there is none, or one of another kind.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise CheckpointError(f"No checkpoint at {folder}: {CONFIG_NAME} is missing", remedy="check task.start_from")
    stored = read_json(folder / CONFIG_NAME)
    if stored.get("_class_name", kind.__name__) != kind.__name__:
        raise CheckpointError(
            f"{folder} holds a {stored['_class_name']}", allowed=kind.__name__, remedy="check task.encoder"
        )
    return {key: stored[key] for key in _options(kind) if key in stored}


def fit_batches(source: Windows, limit: int, size: int = 32) -> list[Batch]:
    """About `limit` windows of a source, as batches: each presentation equally often or, of more, some of all."""
    from eeg2music.training.order import collate

    count = len(source)
    chosen = range(count) if limit >= count else [place * count // limit for place in range(limit)]
    visits = [(index, draw) for draw in range(max(1, limit // max(1, count))) for index in chosen]
    return [
        collate([source.item(*visit) for visit in visits[first : first + size]])
        for first in range(0, len(visits), size)
    ]


def check_options(kind: type[Encoder], options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Refuse options that the encoder does not take.

    Raises
    ------
    ConfigError
    """
    allowed = _options(kind)
    unknown = [key for key in options if key not in allowed]
    if unknown:
        raise ConfigError(f"The encoder {name!r} has no option {unknown[0]!r}", allowed=", ".join(allowed))
    return dict(options)


def _options(kind: type[Encoder]) -> list[str]:
    reserved = {"self", "signal_spec", "training_manifest", "embedding_dim"}
    return [key for key in inspect.signature(kind.__init__).parameters if key not in reserved]
