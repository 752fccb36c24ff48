"""Trains the joint stem diffusion on music alone: no brain data is needed, or used.

The conditions are read off the audio (CLAP embeddings, control curves), dropped now and then and made imperfect, so
that those decoded from a brain lie within what the model knows. Everything random in a sample comes with the sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from eeg2music.config import Config
from eeg2music.diffusion.flow import flow_loss, interpolate, logit_normal
from eeg2music.diffusion.transformer import JointStemTransformer, StemState, align_curves
from eeg2music.errors import DataError
from eeg2music.files import sha256_json
from eeg2music.seeding import numpy_rng
from eeg2music.training.condition_noise import (
    DropoutConfig,
    NoiseConfig,
    draw_kept,
    draw_stem_state,
    noisy_curves,
    noisy_embeddings,
)
from eeg2music.training.data import StimuliFolder
from eeg2music.training.first_stage import refuse_known, with_earlier
from eeg2music.training.latents import LatentCache, refuse_short
from eeg2music.training.processes import own_part, wait_for_all
from eeg2music.training.registry import TASKS
from eeg2music.training.task import Batch, Gather, ItemSource, Task
from eeg2music.types import FRAME_RATE_HZ, STEMS, WINDOW_S, Conditions
from eeg2music.weights import (
    CONDITIONING_SPACE,
    LATENT_SPACE,
    WEIGHTS_NAME,
    checkpoint_sha256,
    load_strictly,
    local_folder,
    read_state,
    save_model,
)

if TYPE_CHECKING:
    from eeg2music.codec.encodec import Codec

# Times at which the validation loss is measured.
NOISY_TIMES, CLEAR_TIMES = (0.1, 0.3, 0.5), (0.7, 0.9)


class ModelConfig(Config):
    """Sizes of the transformer; see `JointStemTransformer`. The latents' channels are read off the codec."""

    patch: int = Field(default=5, ge=1)
    width: int = Field(default=256, ge=8)
    depth: int = Field(default=8, ge=1)
    heads: int = Field(default=4, ge=1)
    hidden: int = Field(default=528, ge=8)
    modulation_rank: int = Field(default=32, ge=1)
    stem_attention_every: int = Field(default=2, ge=1)
    prediction: Literal["clean", "velocity"] = "clean"


class TimeConfig(Config):
    """How often which time (0 = noise, 1 = clean) is trained: logit-normal, and a share of uniform ones."""

    mean: float = -0.4
    std: float = Field(default=1.0, gt=0)
    uniform_share: float = Field(default=0.1, ge=0, le=1)


class DiffusionTaskConfig(Config):
    """What the diffusion model is trained on.

    Attributes
    ----------
    data : folder of music, `eeg2music simulate` layout
    codec, clap : checkpoint folders (or names of models on the hub)
    cache : where latents and conditions are kept
    channel_weight : a latent channel's error counts with this power of the channel's deviation before normalisation:
        0 counts hiss like melody, 2 counts energy
    start_from : folder of a diffusion model of the same sizes to begin with
    short_share : share of steps that train on shorter windows, down to `shortest_s`
    """

    data: str
    codec: str
    clap: str
    cache: str = "data/latents"
    valid_share: float = Field(default=0.08, gt=0, lt=1)
    valid_songs: int = Field(default=24, ge=1)
    model: ModelConfig = ModelConfig()
    time: TimeConfig = TimeConfig()
    dropout: DropoutConfig = DropoutConfig()
    noise: NoiseConfig = NoiseConfig()
    channel_weight: float = Field(default=0.5, ge=0, le=2)
    start_from: str | None = None
    short_share: float = Field(default=0.15, ge=0, le=1)
    shortest_s: float = Field(default=2.0, ge=1, lt=WINDOW_S)


class LatentWindows:
    """One random window per song and draw, with its noise, its time and what is dropped of its conditions."""

    def __init__(self, cache: LatentCache, config: DiffusionTaskConfig, seed: int) -> None:
        self.cache, self.config, self.seed = cache, config, seed
        self.songs = cache.music.songs

    def __len__(self) -> int:
        return len(self.songs)

    def item(self, index: int, draw: int) -> Mapping[str, Any]:
        """latents, noise (stem, channel, frame); time (); conditions and masks as in `Conditions`; stem_state."""
        name = self.songs[index]
        rng = numpy_rng(self.seed, "diffusion", name, draw)
        song = self.cache.song(name)
        item: dict[str, Any] = dict(song.window(int(rng.integers(song.starts))))
        if rng.random() < self.config.noise.share:
            for kind in ("global_embedding", "stem_embedding"):
                item[kind] = noisy_embeddings(item[kind], self.config.noise, rng)
            item["curves"] = noisy_curves(item["curves"], self.config.noise, rng)
        uniform = rng.random() < self.config.time.uniform_share
        normal = torch.tensor(rng.standard_normal())
        time = rng.random() if uniform else logit_normal(normal, self.config.time.mean, self.config.time.std)
        item["time"] = np.float32(time)
        item["stem_state"] = draw_stem_state(self.config.dropout, rng)
        item |= draw_kept(self.config.dropout, rng)
        item["noise"] = rng.standard_normal(item["latents"].shape, dtype=np.float32)
        return item


@TASKS.add("diffusion")
class DiffusionTask(Task):
    """See the module's docstring."""

    Config: ClassVar[type[Config]] = DiffusionTaskConfig
    config: DiffusionTaskConfig

    def __init__(self, config: DiffusionTaskConfig, *, seed: int) -> None:
        super().__init__(config, seed=seed)
        for source in (config.codec, config.clap):
            source_folder(source)
        music = StimuliFolder(config.data)
        held_out = music.split("valid", config.valid_share).songs[: config.valid_songs]
        self.songs, self.valid_songs = music.split("train", config.valid_share), StimuliFolder(music.folder, held_out)
        for songs in (self.songs, self.valid_songs):
            refuse_short(songs)
        if config.start_from is not None:
            refuse_known(Path(config.start_from), self.valid_songs.songs, stimuli=self.valid_songs.stimuli.values())

    def train_items(self) -> ItemSource:
        """The training windows; computes what is not in the cache, each process its part."""
        self.sources = {name: source_hash(getattr(self.config, name)) for name in ("codec", "clap")}
        identity = sha256_json(self.sources)
        latents = load_codec(self.config.codec)
        self.latent_space, self.conditioning_space = latents.latent_space(), space_of(self.config.clap)
        self.channel_weight = channel_weights(latents.latent_std, self.config.channel_weight)
        self.cache = LatentCache(self.config.cache, self.songs, identity)
        self.held_out = LatentCache(self.config.cache, self.valid_songs, identity)
        if self.cache.missing() or self.held_out.missing():
            codec, clap = load_sources(self.config.codec, self.config.clap)
            for cache in (self.cache, self.held_out):
                cache.fill(codec, clap, own_part(cache.music.songs))
        wait_for_all()  # also where nothing is missing: another process may have filled the cache by now
        return LatentWindows(self.cache, self.config, self.seed)

    def build_model(self) -> JointStemTransformer:
        song = self.cache.song(self.cache.music.songs[0])
        model = JointStemTransformer(
            latent_dim=song.latents.shape[1],
            embedding_dim=song.embeddings.shape[-1],
            **self.config.model.model_dump(),
        )
        if self.config.start_from is not None:
            folder = Path(self.config.start_from)
            load_strictly(model, read_state(folder / WEIGHTS_NAME), source=str(folder))
        return model

    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        conditions, state = batch_conditions(batch), batch["stem_state"]
        clean, noise = batch["latents"], batch["noise"]
        conditions = conditions.replace(curves=align_curves(conditions.curves, clean.shape[-1]))
        start, stop = self._stretch(step, clean.shape[-1])
        clean, noise = clean[..., start:stop], noise[..., start:stop]
        conditions = conditions.replace(curves=conditions.curves[..., start:stop])
        time = batch["time"]
        noisy = interpolate(clean, noise, time)
        noisy = torch.where((state == StemState.GIVEN)[..., None, None], clean, noisy)
        prediction = model(noisy, time, conditions, state)
        counted = state == StemState.GENERATE
        # Processes count different numbers of stems: all divide by the same, or two would not be one.
        pairs = gather(counted.sum(dtype=torch.float32).reshape(1)).mean()
        by_stem = flow_loss(
            prediction, clean, noise, time, kind=self.config.model.prediction, counted=counted, pairs=pairs,
            channel_weight=self.channel_weight.to(clean.device),
        )  # fmt: skip
        return {"loss": by_stem.sum(), **dict(zip(STEMS, by_stem.detach(), strict=True))}

    def _stretch(self, step: int, frames: int) -> tuple[int, int]:
        """The frames of the windows that this step trains on: all of them, or (now and then) fewer, from a patch on."""
        rng = numpy_rng(self.seed, "stretch", step)
        patch = self.config.model.patch
        longest = frames // patch
        if rng.random() >= self.config.short_share or longest == 1:
            return 0, longest * patch
        # A large patch may leave no length between the shortest and the whole.
        shortest = min(max(1, round(self.config.shortest_s * FRAME_RATE_HZ) // patch), longest - 1)
        tokens = int(rng.integers(shortest, longest))
        start = int(rng.integers(longest - tokens + 1))
        return start * patch, (start + tokens) * patch

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """The flow loss on held-out songs at fixed times and noise, with their own and with other songs' conditions.

        `noisy_loss` is that at the noisy times, where conditions count; the larger `noisy_loss_other_embeddings`,
        `noisy_loss_other_curves` and `noisy_loss_no_conditions` against it, the more the model follows its conditions.
        """
        windows, noise = self._held_out_windows()
        other = windows.map(lambda tensor: tensor.roll(1, 0))
        nothing = torch.zeros(len(windows), len(STEMS), dtype=torch.bool)
        kinds = {
            "other_embeddings": windows.replace(
                global_embedding=other.global_embedding, stem_embedding=other.stem_embedding
            ),
            "other_curves": windows.replace(curves=other.curves),
            "no_conditions": windows.replace(keep_global=nothing[:, 0], keep_stem=nothing, keep_curves=nothing),
        }
        by_time = {time: self._flow_loss(model, windows, noise, time) for time in (*NOISY_TIMES, *CLEAR_TIMES)}
        figures = {"loss": _mean(by_time.values())}
        figures |= {f"loss_at_{time:g}": value for time, value in by_time.items()}
        figures["noisy_loss"] = _mean(by_time[time] for time in NOISY_TIMES)
        for name, conditions in kinds.items():
            losses = [self._flow_loss(model, conditions, noise, time) for time in NOISY_TIMES]
            figures[f"noisy_loss_{name}"] = _mean(losses)
        return figures

    def _held_out_windows(self) -> tuple[Conditions, Tensor]:
        """Conditions of one window per held-out song; the latents and the noise side by side, (2, song, …)."""
        rows = []
        for index, name in enumerate(self.held_out.music.songs):
            song = self.held_out.song(name)
            row = song.window(index % song.starts)
            rng = numpy_rng(self.seed, "validation", name)
            rows.append({**row, "noise": rng.standard_normal(row["latents"].shape, dtype=np.float32)})
        batch = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
        return batch_conditions(batch), torch.stack([batch["latents"], batch["noise"]])

    @torch.no_grad()
    def _flow_loss(self, model: nn.Module, conditions: Conditions, pair: Tensor, time: float) -> float:
        device = next(model.parameters()).device
        frames = pair.shape[-1] // self.config.model.patch * self.config.model.patch
        curves = align_curves(conditions.curves, pair.shape[-1])[..., :frames]
        conditions, pair = conditions.replace(curves=curves).to(device), pair[..., :frames].to(device)
        total = 0.0
        for start in range(0, len(conditions), 8):
            part, (clean, noise) = conditions[start : start + 8], pair[:, start : start + 8]
            times = torch.full((len(part),), time, device=device)
            prediction = model(interpolate(clean, noise, times), times, part)
            counted = torch.ones(clean.shape[:2], dtype=torch.bool, device=device)
            loss = flow_loss(
                prediction, clean, noise, times, kind=self.config.model.prediction, counted=counted,
                channel_weight=self.channel_weight.to(device),
            )  # fmt: skip
            total += loss.sum().item() * len(part)
        return total / len(conditions)

    def export(self, model: nn.Module, folder: Path) -> None:
        save_model(model, folder, dtype=torch.bfloat16)

    def manifest(self) -> dict[str, Any]:
        told = {
            **self.cache.music.manifest(self.held_out.music),
            "data_hash": sha256_json([self.cache.content_hash, self.held_out.content_hash]),
            **{f"{name}_sha256": value for name, value in self.sources.items()},
            LATENT_SPACE: self.latent_space,
            CONDITIONING_SPACE: self.conditioning_space,
        }
        return with_earlier(told, self.config.start_from)


def channel_weights(deviation: Tensor, power: float) -> Tensor:
    """deviation**power, with a mean of one; (channel,)."""
    weight = deviation.detach().cpu().float() ** power
    return weight / weight.mean()


def batch_conditions(batch: Batch) -> Conditions:
    """The conditions in a batch of items; masks where it has some."""
    names = ("global_embedding", "stem_embedding", "curves", "keep_global", "keep_stem", "keep_curves")
    return Conditions(**{name: batch[name] for name in names if name in batch})


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def source_folder(name_or_path: str) -> Path | None:
    """The folder that holds a model's weights, or None for the name of a model on the hub.

    Raises
    ------
    CheckpointError, DataError
        If the folder is missing, or has no weights.
    """
    folder = local_folder(name_or_path)
    if folder is not None and not any(folder.rglob("*.safetensors")):
        raise DataError(f"No weights in {folder}", remedy="train the codec and CLAP first")
    return folder


def source_hash(name_or_path: str) -> str:
    """Hash of the weights in a checkpoint folder, or of the name of a model on the hub; raises as `source_folder`."""
    folder = source_folder(name_or_path)
    return sha256_json(name_or_path) if folder is None else checkpoint_sha256(folder)


def load_sources(codec: str, clap: str) -> tuple[Any, Any]:
    """The codec and the CLAP that latents and embeddings are computed with."""
    from eeg2music.targets.pretrained import load_clap

    return load_codec(codec), load_clap(clap)


def space_of(clap: str) -> str:
    """Which embeddings and curves the model is conditioned on."""
    from eeg2music.targets.cache import conditioning_space
    from eeg2music.targets.pretrained import load_clap

    return conditioning_space(load_clap(clap))


def load_codec(name_or_path: str) -> Codec:
    """The codec, imported late: transformers takes seconds."""
    from eeg2music.codec.encodec import Codec

    return Codec.from_pretrained(name_or_path)
