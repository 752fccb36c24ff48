"""How fast is generation? Real-time factor from conditions to sound: latents of four stems, then the codec's decoder.

Usage: python benchmarks/generation_speed.py [--checkpoint DIR] [--seconds 10] [--threads 2] [--repeats 5] [--out FILE]
Batch 1; overlapping windows are counted, loading and the first, warming run are not. Without a checkpoint models of the
default sizes with random weights are timed: speed does not depend on the weights. The figure is the median over the
repeats; the processor time beside it shows whether the machine was busy with other things.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from eeg2music.codec.encodec import Codec
from eeg2music.diffusion.generate import generate_latents
from eeg2music.diffusion.guidance import Dials
from eeg2music.diffusion.transformer import JointStemTransformer
from eeg2music.diffusion.windows import plan_windows
from eeg2music.files import write_json
from eeg2music.seeding import torch_noise
from eeg2music.training.codec import ModelConfig as CodecSizes
from eeg2music.training.runtime import hardware, keep_freed_memory
from eeg2music.types import CURVE_RATE_HZ, CURVES, FRAME_RATE_HZ, SAMPLE_RATE_HZ, Conditions
from eeg2music.weights import load_model

# (solver steps, dial of the embeddings, dial of the curves): no guidance, one dial for both, two dials.
SETTINGS = ((8, 1.0, 1.0), (8, 1.5, 1.5), (12, 1.5, 1.5), (12, 2.0, 1.5))


def load(checkpoint: Path | None) -> tuple[JointStemTransformer, Codec]:
    """The models of a checkpoint, or random ones of the default sizes."""
    if checkpoint is not None:
        return load_model(JointStemTransformer, checkpoint / "diffusion"), Codec.from_pretrained(checkpoint / "codec")
    torch.manual_seed(0)
    codec = Codec.from_config(sampling_rate=SAMPLE_RATE_HZ, **CodecSizes().model_dump())
    codec.set_statistics(torch.zeros(codec.channels), torch.ones(codec.channels))
    return JointStemTransformer(latent_dim=codec.channels).eval(), codec.eval()


def made_up_conditions(model: JointStemTransformer, seconds: float) -> Conditions:
    """Conditions of one clip; their values don't matter for time."""
    size = model.global_in.in_features
    return Conditions(
        torch.nn.functional.normalize(torch_noise((1, size), 0, "global"), dim=-1),
        torch.nn.functional.normalize(torch_noise((1, model.stems, size), 0, "stems"), dim=-1),
        torch_noise((1, model.stems, len(CURVES), round(seconds * CURVE_RATE_HZ)), 0, "curves").abs(),
    )


def timed(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Median wall and processor seconds of `work`, after one run that isn't counted."""
    work()
    wall, processor = [], []
    for _ in range(repeats):
        since, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - since)
        processor.append(time.process_time() - used)
    return {"seconds": statistics.median(wall), "processor_seconds": statistics.median(processor)}


@torch.no_grad()
def measure(model: JointStemTransformer, codec: Codec, seconds: float, repeats: int) -> dict[str, Any]:
    """Seconds of each part and the real-time factor of each setting."""
    frames = round(seconds * FRAME_RATE_HZ)
    conditions, plan = made_up_conditions(model, seconds), plan_windows(frames, model.patch)
    latents = torch_noise((model.stems, codec.channels, frames), 0, "latents")
    decode = timed(lambda: codec.decode(codec.denormalize(latents)), repeats)
    rows = []
    for steps, embedding, curves in SETTINGS:

        def generate(steps: int = steps, dials: Dials = Dials(embedding, curves)) -> None:  # noqa: B008
            generate_latents(model, conditions, frames, steps=steps, dials=dials, seed=0, sample_ids=["clip"])

        found = timed(generate, repeats)
        rows.append({
            "steps": steps, "embedding_scale": embedding, "curve_scale": curves, **found,
            "real_time_factor": (found["seconds"] + decode["seconds"]) / seconds,
        })  # fmt: skip
    return {
        "seconds_of_sound": seconds,
        "stems": model.stems,
        "windows": len(plan.starts),
        "seconds_computed": len(plan.starts) * plan.length / FRAME_RATE_HZ,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "hardware": hardware(torch.device("cpu")),
        "decode": decode,
        "generate": rows,
    }


def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="folder with diffusion/ and codec/")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    torch.set_float32_matmul_precision("medium")
    torch.set_flush_denormal(True)
    figures = measure(*load(options.checkpoint), options.seconds, options.repeats)
    if options.out is not None:
        write_json(options.out, figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
