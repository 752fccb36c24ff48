"""Recording -> conditions -> latents -> stems, on one screen.

The brain encoder takes the place of the CLAP text tower: its embeddings and control curves
condition the joint stem diffusion. Inference only; training lives in `eeg2music.training`,
mixing in `eeg2music.mixing`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from pydantic import Field, field_validator

from eeg2music.compat import mend_torchaudio, quiet_libraries
from eeg2music.compatibility import check_together
from eeg2music.config import Config, shipped_folder
from eeg2music.errors import CheckpointError, InputError, did_you_mean
from eeg2music.files import write_json
from eeg2music.types import (
    CURVE_RATE_HZ,
    CURVES,
    FRAME_RATE_HZ,
    SAMPLE_RATE_HZ,
    STEMS,
    WINDOW_S,
    Conditions,
    FloatArray,
    Window,
)
from eeg2music.weights import MANIFEST_NAME, load_model, read_manifest, refuse_pickle, save_model

mend_torchaudio()

from diffusers import DiffusionPipeline  # noqa: E402

from eeg2music.codec.encodec import Codec  # noqa: E402
from eeg2music.diffusion.generate import (  # noqa: E402
    DEFAULT_SHIFT,
    DEFAULT_STEPS,
    Given,
    generate_latents,
    resolved_precision,
)
from eeg2music.diffusion.guidance import Dials  # noqa: E402
from eeg2music.diffusion.transformer import JointStemTransformer, StemState  # noqa: E402
from eeg2music.encoders.base import BrainConditions, Encoder, Reading  # noqa: E402
from eeg2music.encoders.registry import load_encoder  # noqa: E402

# The models that make music, and those that score it.
MAKING = ("encoder", "diffusion", "codec")
SCORING = ("clap", "scorer")


class Hook(Protocol):
    """Called with the name of each step, before it or with what it made."""

    def __call__(self, step: str, artefact: object = None) -> None: ...


def no_hook(step: str, artefact: object = None) -> None:
    """Ignore a pipeline step."""


class SamplingConfig(Config):
    """How the generator samples.

    Attributes
    ----------
    steps : number of solver steps
    embedding_scale, curve_scale : guidance dials for each kind of condition; 1 is off. Global and stem embeddings share
        theirs, because they tell of one piece of music and a third dial would cost one more pass at every step
    interval : times from 0 (noise) to 1 (music) between which guidance acts
    rescale : 0 to 1, how much of the spread that guidance adds is taken back
    sampler : euler and multistep take one pass of the model a step, heun two
    shift : above 1 takes smaller steps where the noise is strong
    """

    steps: int = Field(default=DEFAULT_STEPS, ge=1)
    embedding_scale: float = Field(default=2.0, ge=0)
    curve_scale: float = Field(default=2.0, ge=0)
    interval: tuple[float, float] = (0.0, 1.0)
    rescale: float = Field(default=0.0, ge=0, le=1)
    sampler: Literal["euler", "heun", "multistep"] = "multistep"
    shift: float = Field(default=DEFAULT_SHIFT, gt=0)

    @field_validator("interval")
    @classmethod
    def _in_order(cls, interval: tuple[float, float]) -> tuple[float, float]:
        Dials(interval=interval)
        return interval

    def dials(self) -> Dials:
        """The guidance."""
        return Dials(self.embedding_scale, self.curve_scale, self.interval, self.rescale)


@dataclass(frozen=True)
class PipelineOutput:
    """stems : (batch, stem, samples) float32 at 24 kHz; conditions : what they were made from."""

    stems: FloatArray
    conditions: Conditions


class BrainToMusicPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Stems from the conditions that a brain encoder decodes.

    Loaded and saved by its own `from_pretrained` and `save_pretrained`; `DiffusionPipeline.from_pretrained` does not
    know its layout.

    Components
    ----------
    encoder : any registered encoder, (batch, channel, time) -> Conditions
    transformer : JointStemTransformer, denoises all stems jointly
    codec : Codec, latents -> sound

    Attributes
    ----------
    manifests : by the name of a model in MAKING, what it was trained on, as far as that is known
    warnings : sentences about the models that belong into every report
    """

    encoder: Encoder
    transformer: JointStemTransformer
    codec: Codec

    def __init__(
        self,
        encoder: Encoder,
        transformer: JointStemTransformer,
        codec: Codec,
        *,
        manifests: Mapping[str, Mapping[str, Any]] | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.register_modules(encoder=encoder, transformer=transformer, codec=codec)  # type: ignore[attr-defined]
        self.manifests = dict(manifests or {})
        self.warnings = tuple(warnings)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> BrainToMusicPipeline:
        """Load `folder/{encoder,diffusion,codec}` strictly from safetensors.

        Raises
        ------
        CheckpointError
            If a part is missing, pickled, damaged or of another shape, or the parts do not belong together.
        """
        root = Path(folder)
        check_models(root)
        with quiet_libraries():
            encoder = load_encoder(root / "encoder")
            transformer = load_model(JointStemTransformer, root / "diffusion")
            codec = Codec.from_pretrained(root / "codec")
        manifests = {name: read_manifest(root / name) for name in MAKING if (root / name / MANIFEST_NAME).is_file()}
        warnings = check_together(root, codec, encoder.config, transformer.config, manifests)
        return cls(encoder, transformer, codec, manifests=manifests, warnings=warnings)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write each model and what it was trained on into a folder of its own, as `from_pretrained` reads them.

        `evaluate` takes such a folder when those of the models that score, clap/ and scorer/, are copied beside them.
        """
        root = Path(folder)
        save_model(self.encoder, root / "encoder")
        save_model(self.transformer, root / "diffusion")
        self.codec.save_pretrained(root / "codec")
        for name in MAKING:
            if name in self.manifests:
                write_json(root / name / MANIFEST_NAME, self.manifests[name])
            else:
                # Of an earlier model that lay there.
                (root / name / MANIFEST_NAME).unlink(missing_ok=True)

    def machine(self) -> dict[str, str]:
        """The device that music is generated on, and what it computes in."""
        device = self.transformer.device
        return {"device": str(device), "precision": resolved_precision(device)}

    def with_encoder(self, encoder: Encoder) -> BrainToMusicPipeline:
        """The same generator behind another encoder."""
        known = {name: manifest for name, manifest in self.manifests.items() if name != "encoder"}
        return BrainToMusicPipeline(encoder, self.transformer, self.codec, manifests=known, warnings=self.warnings)

    def encode(self, windows: Sequence[Window], *, batch_size: int = 32) -> Conditions:
        """Decode conditions from windows, which must share one length.

        Computed in batches; where channels differ, missing ones are masked. A person whom the encoder was trained on is
        known by the label of their windows, and gets what it learned of them.
        """
        return self._encode(windows, batch_size)[0]

    @torch.no_grad()
    def _encode(self, windows: Sequence[Window], batch_size: int = 32) -> tuple[Conditions, torch.Tensor]:
        """Conditions, and for each window whether the regions were told apart."""
        parts = []
        for start in range(0, len(windows), batch_size):
            parts.append(self.encoder(*self.inputs(windows[start : start + batch_size])))
        decoded = BrainConditions(*(torch.cat(values) for values in zip(*parts, strict=True)))
        return Conditions(decoded.global_embedding, decoded.stem_embedding, decoded.curves), decoded.regions_known

    def inputs(self, windows: Sequence[Window]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What `Encoder.forward` takes."""
        widest = max(window.eeg.shape[0] for window in windows)
        eeg = np.zeros((len(windows), widest, windows[0].eeg.shape[1]), dtype=np.float32)
        positions = np.full((len(windows), widest, 3), np.nan, dtype=np.float32)
        mask = np.zeros((len(windows), widest), dtype=bool)
        for row, window in enumerate(windows):
            count = window.eeg.shape[0]
            eeg[row, :count], positions[row, :count], mask[row, :count] = (
                window.eeg,
                window.positions_m,
                window.channel_mask,
            )
        device = self.encoder.device
        subject = self.encoder.subject_index([window.subject for window in windows])
        return (
            torch.from_numpy(eeg).to(device),
            torch.from_numpy(positions).to(device),
            torch.from_numpy(mask).to(device),
            subject.to(device),
        )

    @torch.no_grad()
    def __call__(
        self,
        conditions: Conditions | None,
        *,
        sample_ids: Sequence[str],
        seed: int = 0,
        duration_s: float = WINDOW_S,
        sampling: SamplingConfig | None = None,
        given: Mapping[str, FloatArray | torch.Tensor] | None = None,
        only: Sequence[str] | None = None,
        hook: Hook = no_hook,
    ) -> PipelineOutput:
        """Generate one clip per row of `conditions`; None generates without a brain.

        Parameters
        ----------
        conditions : one row per clip; embeddings for the whole clip or for equal sections of it
            (batch, section, …), as `read_clip` gives them
        sample_ids : names the clips; a clip depends on (seed, its id) and not on its batch
        given : stems that are there already, by name: sound (batch, samples) or normalised latents
            (batch, channel, frame). The others are made to go with them, and they come back as they are
        only : names of the stems that are generated, None for all that are not given. What is neither generated nor
            given is silent, and the others are made without it

        Raises
        ------
        InputError
            If a name is no stem, a given stem has not the clip's length, or nothing is left to generate.
        """
        sampling = sampling or SamplingConfig()
        if conditions is None:
            conditions = no_conditions(len(sample_ids), duration_s, self.transformer)
        # Up, so that the sound reaches to the clip's end; the small step down is for rounding errors.
        frames, samples = math.ceil(duration_s * FRAME_RATE_HZ - 1e-6), round(duration_s * SAMPLE_RATE_HZ)
        states = stem_states(given or (), only)
        latents = generate_latents(
            self.transformer,
            conditions.to(self.transformer.device),
            frames,
            steps=sampling.steps,
            dials=sampling.dials(),
            sampler=sampling.sampler,
            shift=sampling.shift,
            seed=seed,
            sample_ids=list(sample_ids),
            given=self._given(given or {}, states, (len(sample_ids), frames, samples)),
        )
        hook("latents generated", latents)
        stems = self.decode(latents, samples)
        for row, name in enumerate(STEMS):
            if states[name] == StemState.ABSENT:
                stems[:, row] = 0.0
            elif given and name in given and given[name].ndim == 2:
                stems[:, row] = torch.as_tensor(given[name]).detach().cpu().numpy()
        hook("stems decoded", stems)
        return PipelineOutput(stems, conditions)

    def _given(
        self,
        given: Mapping[str, FloatArray | torch.Tensor],
        states: Mapping[str, StemState],
        sizes: tuple[int, int, int],
    ) -> Given | None:
        """The given stems as latents beside all stems' states; None where every stem is generated."""
        if all(state == StemState.GENERATE for state in states.values()):
            return None
        count, frames, samples = sizes
        device = self.transformer.device
        latents = torch.zeros(count, len(STEMS), self.codec.channels, frames, device=device)
        for name, values in given.items():
            part = torch.as_tensor(values, dtype=torch.float32, device=device)
            sound = part.ndim == 2
            expected = (count, samples) if sound else (count, self.codec.channels, frames)
            if tuple(part.shape) != expected or not bool(torch.isfinite(part).all()):
                raise InputError(
                    f"The given {name} has shape {tuple(part.shape)} or values that are not finite",
                    allowed=f"finite sound {(count, samples)} or latents {(count, self.codec.channels, frames)}",
                )
            if sound:
                padded = torch.nn.functional.pad(part, (0, frames * self.codec.hop - samples))
                part = self.codec.normalize(self.codec.encode(padded))
            latents[:, STEMS.index(name)] = part
        state = torch.tensor([int(states[name]) for name in STEMS], device=device)
        return Given(latents, state.expand(count, -1))

    @torch.no_grad()
    def decode(self, latents: torch.Tensor, samples: int) -> FloatArray:
        """(batch, stem, channel, frame) normalised latents -> (batch, stem, samples).

        Clip by clip, so that a clip's bytes do not depend on its neighbours.
        """
        clips = []
        for clip in latents:
            audio = self.codec.decode(self.codec.denormalize(clip.to(self.transformer.device)))
            clips.append(audio[:, :samples].float().cpu().numpy())
        return np.stack(clips)

    def read_clip(self, windows: Sequence[Window], duration_s: float) -> Reading:
        """What the encoder reads off one clip of `duration_s`, from evenly spread windows of one recording over it.

        Returns
        -------
        Its conditions are one row: embeddings by section (1, section, …), one section per window; curves
        (1, stem, curve, frame) cross-faded where windows overlap.
        """
        decoded, regions_known = self._encode(windows)
        # The windows of a recording share its channels.
        _, positions_m, mask, subject = self.inputs(windows[:1])
        weights = self.encoder.channel_weights(positions_m, mask, subject)
        frames = max(1, round(duration_s * CURVE_RATE_HZ))
        offsets = [round((window.start_s - windows[0].start_s) * CURVE_RATE_HZ) for window in windows]
        conditions = Conditions(
            decoded.global_embedding[None],
            decoded.stem_embedding[None],
            crossfade(decoded.curves, offsets, frames)[None],
        )
        return Reading(
            conditions,
            regions_known.cpu().numpy(),
            listener_known=bool((subject >= 0).all()),
            channel_weights=None if weights is None else weights[0].float().cpu().numpy(),
        )


def stem_states(given: Collection[str], only: Sequence[str] | None) -> dict[str, StemState]:
    """What happens to each stem: given, generated or absent.

    Raises
    ------
    InputError
        If a name is no stem, or nothing is left to generate.
    """
    unknown = [name for name in (*given, *(only or ())) if name not in STEMS]
    if unknown:
        raise InputError(
            f"No stem is named {unknown[0]!r}",
            allowed=", ".join(STEMS),
            remedy=did_you_mean(unknown[0], STEMS) or "name one of these",
        )
    wanted = STEMS if only is None else only
    states = {
        name: StemState.GIVEN if name in given else StemState.GENERATE if name in wanted else StemState.ABSENT
        for name in STEMS
    }
    if StemState.GENERATE not in states.values():
        raise InputError(
            "Nothing is left to generate", allowed="at least one stem that is not given", remedy="name another in only="
        )
    return states


def crossfade(curves: torch.Tensor, offsets: Sequence[int], frames: int) -> torch.Tensor:
    """Put windows of curves (window, stem, curve, frame) at their offsets, blending overlaps linearly.

    Returns
    -------
    (stem, curve, frames). Frames after the last window (rounding leaves at most one) repeat the last value.
    """
    length = curves.shape[-1]
    ramp = torch.minimum(torch.arange(1, length + 1), torch.arange(length, 0, -1)).to(curves)
    total = curves.new_zeros(*curves.shape[1:-1], frames)
    weight = curves.new_zeros(frames)
    for window, offset in zip(curves, offsets, strict=True):
        stop = min(frames, offset + length)
        total[..., offset:stop] += (window * ramp)[..., : stop - offset]
        weight[offset:stop] += ramp[: stop - offset]
    covered = int(weight.nonzero().max()) + 1
    blended = total[..., :covered] / weight[:covered].clamp_min(1e-6)
    return torch.cat([blended, blended[..., -1:].expand(*blended.shape[:-1], frames - covered)], dim=-1)


def no_conditions(count: int, duration_s: float, transformer: JointStemTransformer) -> Conditions:
    """Conditions that are all dropped: the generator's own prior."""
    stems, dim = len(transformer.config["stems"]), int(transformer.config["embedding_dim"])
    frames = max(1, round(duration_s * CURVE_RATE_HZ))
    device = transformer.device
    none = torch.zeros(count, dtype=torch.bool, device=device)
    return Conditions(
        torch.zeros(count, dim, device=device),
        torch.zeros(count, stems, dim, device=device),
        torch.zeros(count, stems, len(CURVES), frames, device=device),
        keep_global=none,
        keep_stem=none[:, None].expand(count, stems),
        keep_curves=none[:, None].expand(count, stems),
    )


def concatenate(parts: Sequence[Conditions]) -> Conditions:
    """Stack conditions along the batch."""
    names = [name for name, value in vars(parts[0]).items() if value is not None]
    return Conditions(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def default_checkpoint() -> Path:
    """The small models that ship."""
    return shipped_folder("checkpoints") / "mini"


def check_models(folder: Path, models: Sequence[str] = MAKING) -> None:
    """Refuse a checkpoint that lacks one of the models, before any is loaded or time is spent.

    Raises
    ------
    CheckpointError
        If the folder or a model is missing, or it is pickled.
    """
    refuse_pickle(folder)
    allowed = "a folder with " + ", ".join(f"{name}/" for name in models)
    if not folder.is_dir():
        raise CheckpointError(
            f"No checkpoint at {folder}",
            allowed=allowed,
            remedy="check the path, or leave --checkpoint out to use the shipped one",
        )
    missing = [name for name in models if not (folder / name / "config.json").is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} is not a complete checkpoint: {', '.join(missing)} missing",
            allowed=allowed,
            remedy="train the missing models, or leave --checkpoint out to use the shipped ones",
        )


def load_pipeline(checkpoint: Path | None = None, device: str = "auto") -> BrainToMusicPipeline:
    """Load a pipeline onto a device.

    Raises
    ------
    CheckpointError, InputError
        For a checkpoint that does not fit, or a device that is not there.
    """
    pipeline = BrainToMusicPipeline.from_pretrained(checkpoint or default_checkpoint())
    chosen = pick_device(device)
    parts: tuple[torch.nn.Module, ...] = (pipeline.encoder, pipeline.transformer, pipeline.codec)
    for part in parts:
        part.to(chosen)
    return pipeline


def pick_device(name: str) -> torch.device:
    """The named device; "auto" is a CUDA GPU where there is one, else the CPU. mps is taken only by name."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    allowed = "cpu, cuda, cuda:N, mps or auto"
    if not re.fullmatch(r"cpu|cuda(:\d+)?|mps(:0)?", name):
        raise InputError(f"No device {name!r}", allowed=allowed, remedy="take one of these, or leave it out")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"No device {name!r} ({reason})",
            allowed=allowed,
            remedy="take cpu or leave it out; for a GPU, install the torch build for its CUDA",
        ) from None
    return device
