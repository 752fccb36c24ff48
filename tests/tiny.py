"""A tiny random checkpoint of every model: the real path, seconds instead of minutes."""

from __future__ import annotations

from pathlib import Path

import torch

from eeg2music.codec.encodec import Codec
from eeg2music.diffusion.transformer import JointStemTransformer
from eeg2music.encoders.brain import BrainEncoder
from eeg2music.files import write_json
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.targets.cache import conditioning_space
from eeg2music.targets.clap import ClapMini
from eeg2music.types import EEG_RATE_HZ, SignalSpec
from eeg2music.weights import CONDITIONING_SPACE, LATENT_SPACE, MANIFEST_NAME, save_model

LATENT_DIM = 8
VOCABULARY = ("<pad>", "<unk>", "<start>", "slow", "fast", "piano")


def write_tiny_checkpoint(folder: Path, *, seed: int = 0) -> Path:
    """Write encoder/, diffusion/, codec/, clap/ and scorer/ with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        spec = SignalSpec(kind="eeg", sfreq_hz=EEG_RATE_HZ, subjects=("sub-train01",), n_channels_max=64)
        encoder = BrainEncoder(spec.to_dict(), width=8, global_width=8, agnostic_width=8, head_width=8)
        diffusion = JointStemTransformer(
            latent_dim=LATENT_DIM, width=32, depth=2, heads=2, hidden=32, modulation_rank=4
        )
        # A fresh model's output layer is zero; give it weights, or conditions could not matter.
        for parameter in diffusion.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
        codec = Codec.from_config(
            hidden_size=LATENT_DIM, num_filters=4, num_residual_layers=1, upsampling_ratios=[5, 4, 4, 4],
            num_lstm_layers=1, codebook_size=16, use_causal_conv=False,
        )  # fmt: skip
        codec.set_statistics(torch.zeros(LATENT_DIM), torch.ones(LATENT_DIM))
        clap = ClapMini(VOCABULARY, audio_width=16, text_width=16, text_layers=1)
        scorer = ScorerNet(width=16)
    save_model(encoder, folder / "encoder")
    save_model(diffusion, folder / "diffusion")
    codec.save_pretrained(folder / "codec")
    save_model(clap, folder / "clap")
    save_model(scorer, folder / "scorer")
    for name in ("encoder", "diffusion", "codec", "clap", "scorer"):
        # The scorer judges the others and therefore shares no song with them.
        songs = ["tiny-judge"] if name == "scorer" else ["tiny-train"]
        told: dict[str, object] = {LATENT_SPACE: codec.latent_space()} if name == "diffusion" else {}
        told |= {CONDITIONING_SPACE: conditioning_space(clap)} if name in ("encoder", "diffusion") else {}
        told |= {"simulated": True} if name == "encoder" else {}
        write_json(folder / name / MANIFEST_NAME, {"songs": songs, **told})
    return folder
