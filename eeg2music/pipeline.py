"""Recording -> conditions -> latents -> stems, on one screen.

The brain encoder takes the place of the CLAP text tower: its embeddings and control curves
condition the joint stem diffusion. Inference only; training lives in `eeg2music.training`,
mixing in `eeg2music.mixing`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from eeg2music.compat import mend_torchaudio
from eeg2music.config import Config, shipped_folder
from eeg2music.errors import CheckpointError, InputError
from eeg2music.files import write_json
from eeg2music.types import (
    CURVE_RATE_HZ,
    CURVES,
    FRAME_RATE_HZ,
    SAMPLE_RATE_HZ,
    WINDOW_S,
    Conditions,
    FloatArray,
    Window,
)
from eeg2music.weights import load_model, refuse_pickle

mend_torchaudio()

from diffusers import DiffusionPipeline  # noqa: E402

from eeg2music.codec.encodec import Codec  # noqa: E402
from eeg2music.diffusion.generate import generate_latents  # noqa: E402
from eeg2music.diffusion.guidance import Dials  # noqa: E402
from eeg2music.diffusion.transformer import JointStemTransformer  # noqa: E402
from eeg2music.encoders.brain import BrainEncoder  # noqa: E402

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
    embedding_scale, curve_scale : guidance dials for each kind of condition; 1 is off
    """

    steps: int = 8
    embedding_scale: float = 2.0
    curve_scale: float = 2.0


@dataclass(frozen=True)
class PipelineOutput:
    """stems : (batch, stem, samples) float32 at 24 kHz; conditions : what they were made from."""

    stems: FloatArray
    conditions: Conditions


class BrainToMusicPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Stems from the conditions that a brain encoder decodes.

    Components
    ----------
    encoder : BrainEncoder, (batch, channel, time) -> Conditions
    transformer : JointStemTransformer, denoises all stems jointly
    codec : Codec, latents -> sound
    """

    encoder: BrainEncoder
    transformer: JointStemTransformer
    codec: Codec

    def __init__(self, encoder: BrainEncoder, transformer: JointStemTransformer, codec: Codec) -> None:
        super().__init__()
        self.register_modules(encoder=encoder, transformer=transformer, codec=codec)  # type: ignore[attr-defined]

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str], **_: Any) -> BrainToMusicPipeline:
        """Load `folder/{encoder,diffusion,codec}` strictly from safetensors.

        Raises
        ------
        CheckpointError
            If a part is missing, pickled, damaged or of another shape.
        """
        root = Path(folder)
        quiet_libraries()
        check_models(root)
        encoder = load_model(BrainEncoder, root / "encoder")
        transformer = load_model(JointStemTransformer, root / "diffusion")
        codec = Codec.from_pretrained(root / "codec")
        if codec.channels != transformer.config["latent_dim"]:
            raise CheckpointError(
                f"The parts of {root} do not fit: the codec has {codec.channels} latent channels, "
                f"the diffusion model {transformer.config['latent_dim']}",
                remedy="use a codec and a diffusion model that were trained together",
            )
        return cls(encoder, transformer, codec)

    def save_pretrained(self, folder: str | os.PathLike[str], **_: Any) -> None:
        """Write every component in its own folder, and a model_index.json."""
        from eeg2music.weights import save_model

        root = Path(folder)
        save_model(self.encoder, root / "encoder")
        save_model(self.transformer, root / "diffusion")
        self.codec.save_pretrained(root / "codec")
        write_model_index(root)

    def with_encoder(self, encoder: BrainEncoder) -> BrainToMusicPipeline:
        """The same generator behind another encoder."""
        return BrainToMusicPipeline(encoder, self.transformer, self.codec)

    @torch.no_grad()
    def encode(self, windows: Sequence[Window], *, batch_size: int = 32) -> Conditions:
        """Decode conditions from windows, which must share one length (channels may differ).

        Each window is computed by itself when channels differ, otherwise in batches.
        """
        parts = []
        for start in range(0, len(windows), batch_size):
            parts.append(self._encode_batch(windows[start : start + batch_size]))
        return concatenate(parts)

    def _encode_batch(self, windows: Sequence[Window]) -> Conditions:
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
        subject = torch.full((len(windows),), -1, dtype=torch.long, device=device)
        decoded = self.encoder(
            torch.from_numpy(eeg).to(device),
            torch.from_numpy(positions).to(device),
            torch.from_numpy(mask).to(device),
            subject,
        )
        return Conditions(decoded.global_embedding, decoded.stem_embedding, decoded.curves)

    @torch.no_grad()
    def __call__(
        self,
        conditions: Conditions | None,
        *,
        sample_ids: Sequence[str],
        seed: int = 0,
        duration_s: float = WINDOW_S,
        sampling: SamplingConfig | None = None,
        hook: Hook = no_hook,
    ) -> PipelineOutput:
        """Generate one clip per row of `conditions`; None generates without a brain.

        Parameters
        ----------
        conditions : one row per clip; embeddings for the whole clip or for equal sections of it
            (batch, section, …), as `clip_conditions` gives them
        sample_ids : names the clips; a clip depends on (seed, its id) and not on its batch
        """
        sampling = sampling or SamplingConfig()
        given = no_conditions(len(sample_ids), duration_s, self.transformer) if conditions is None else conditions
        latents = generate_latents(
            self.transformer,
            given.to(self.transformer.device),
            # Up, so that the sound reaches to the clip's end; the small step down is for rounding errors.
            math.ceil(duration_s * FRAME_RATE_HZ - 1e-6),
            steps=sampling.steps,
            dials=Dials(embedding_scale=sampling.embedding_scale, curve_scale=sampling.curve_scale),
            seed=seed,
            sample_ids=list(sample_ids),
        )
        hook("latents generated", latents)
        stems = self.decode(latents, round(duration_s * SAMPLE_RATE_HZ))
        hook("stems decoded", stems)
        return PipelineOutput(stems, given)

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

    def clip_conditions(self, windows: Sequence[Window], duration_s: float) -> Conditions:
        """Conditions of one clip of `duration_s` from evenly spread windows over it.

        Returns
        -------
        One row: embeddings by section (1, section, …), one section per window; curves (1, stem, curve, frame)
        cross-faded where windows overlap.
        """
        decoded = self.encode(windows)
        frames = max(1, round(duration_s * CURVE_RATE_HZ))
        offsets = [round((window.start_s - windows[0].start_s) * CURVE_RATE_HZ) for window in windows]
        return Conditions(
            decoded.global_embedding[None],
            decoded.stem_embedding[None],
            crossfade(decoded.curves, offsets, frames)[None],
        )


def quiet_libraries() -> None:
    """Keep the libraries' own progress bars and hints out of our output; their errors stay."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    diffusers_logging.set_verbosity_error()


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


def write_model_index(folder: Path) -> None:
    """The diffusers index that says which class lies in which folder."""
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "BrainToMusicPipeline",
            "encoder": ["eeg2music", "BrainEncoder"],
            "diffusion": ["eeg2music", "JointStemTransformer"],
            "codec": ["transformers", "EncodecModel"],
        },
    )


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
    """The named device, or the best one there is for "auto"."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"No device {name!r} ({reason})", allowed="cpu, cuda, cuda:N, mps or auto") from None
    return device
