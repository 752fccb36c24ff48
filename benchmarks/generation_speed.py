"""How fast is generation, how much memory does it take, and what does a step cost beside AudioLDM's?

    python benchmarks/generation_speed.py [--checkpoint DIR] [--seconds 10] [--threads N] [--repeats 5] [--out FILE]

First `eeg2music demo` as a user runs it, in a process of its own: wall time and memory of all of it, imports and
loading included, from a simulated listener to the report. Then the path of `eeg2music generate`: a 64-channel recording
at 512 Hz in memory, preprocessed, encoded, generated as four stems at 24 kHz (batch 1), mixed and written as WAV.
Loading and the first, warming run are left out, and of what is timed, as in the command's own report, the clip without
a brain and the page with its figures; `elapsed` holds these too. Last one solver step for the same clip, guidance
included, beside one guided step of AudioLDM-S' U-Net (Liu et al. 2023; 185 M parameters, random weights, latents at
16 kHz of as many seconds, one track), in turns and in equal arithmetic. Speed does not depend on the weights. Steps are
compared, not clips: AudioLDM takes 200 of them by default.

Memory is the largest resident set. Medians over repeats, but for the demonstration, which runs once. The load average
and the processor time, beside `elapsed`, tell whether the machine was busy with other things: figures taken so are not
to be quoted. Takes a few minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from eeg2music.diffusion.generate import Precision, generate_latents
from eeg2music.diffusion.guidance import Dials
from eeg2music.diffusion.transformer import JointStemTransformer
from eeg2music.files import write_json
from eeg2music.generation import TITLE, GenerateConfig, Take, make_result
from eeg2music.memory import keep_freed_memory
from eeg2music.origin import made_with
from eeg2music.pipeline import BrainToMusicPipeline, SamplingConfig, default_checkpoint, load_pipeline
from eeg2music.report.result import write_clip
from eeg2music.seeding import derive_seed, torch_noise
from eeg2music.simulation.listening import draw_listener
from eeg2music.simulation.session import Trial, simulate_listener, stimulus_from_song
from eeg2music.training.runtime import hardware
from eeg2music.types import CURVE_RATE_HZ, CURVES, FRAME_RATE_HZ, Conditions, Recording
from eeg2music.weights import checkpoint_sha256

RECORDING_HZ = 512.0
# AudioLDM: 100 mel frames of 64 bands a second, both shortened by its VAE's factor of 4.
AUDIOLDM_CHANNELS, AUDIOLDM_BANDS, AUDIOLDM_FRAMES_PER_S, AUDIOLDM_EMBEDDING = 8, 16, 25, 512
AUDIOLDM_GUIDANCE = 2.5


def main() -> None:
    """Measure and print as JSON."""
    options = _arguments()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.keep_freed_memory:
        keep_freed_memory()
    pipeline = load_pipeline(options.checkpoint, "cpu")
    if options.default_size:
        fresh = JointStemTransformer(latent_dim=pipeline.codec.channels).eval()
        pipeline = BrainToMusicPipeline(pipeline.encoder, fresh, pipeline.codec)
    figures: dict[str, Any] = {
        "seconds_of_sound": options.seconds,
        "hardware": hardware(torch.device("cpu")),
        "cores": os.cpu_count(),
        "freed_memory_kept": options.keep_freed_memory,
        "load_average_before": os.getloadavg()[0],
        "parameters": {name: count(getattr(pipeline, name)) for name in ("encoder", "transformer", "codec")},
    }
    if not options.no_demo:
        figures["demo"] = measure_demo(options.checkpoint, options.threads)
    figures["generate"] = measure_path(
        pipeline, checkpoint_sha256(options.checkpoint), options.seconds, options.repeats
    )
    if not options.no_peer:
        figures["step"] = compare_steps(pipeline.transformer, options.seconds, options.repeats)
    figures["load_average_after"] = os.getloadavg()[0]
    if options.out is not None:
        write_json(options.out, {"made_with": made_with(options.checkpoint), **figures})
    print(json.dumps(figures, indent=2))


def measure_demo(checkpoint: Path, threads: int | None, *more: str) -> dict[str, float]:
    """Wall and processor seconds of the command, and its largest resident set; `more` are overrides."""
    limited = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "eeg2music.cli", "demo", "--out", str(Path(folder) / "demo")]
        since = time.perf_counter()
        child = subprocess.Popen(
            [*command, "--checkpoint", str(checkpoint), *more], env={**os.environ, **limited}, stdout=subprocess.DEVNULL
        )
        # Of this child alone; RUSAGE_CHILDREN would be the largest of all there ever were.
        _, status, usage = os.wait4(child.pid, 0)
        elapsed = time.perf_counter() - since
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"eeg2music demo ended with code {child.returncode}")
    return {
        "elapsed_seconds": elapsed,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_mib": mib(usage.ru_maxrss),
    }


def measure_path(pipeline: BrainToMusicPipeline, checkpoint_hash: str, seconds: float, repeats: int) -> dict[str, Any]:
    """Seconds by stage, real-time factor and memory of recording -> WAV."""
    take, config = Take.raw(simulated_recording(seconds)), GenerateConfig()
    loaded_mib = peak_memory_mib()
    runs = [one_run(pipeline, take, config, checkpoint_hash) for _ in range(repeats + 1)][1:]
    factors = [run["total"] / seconds for run in runs]
    return {
        "sampling": config.sampling.model_dump(),
        "repeats": repeats,
        "seconds_by_stage": {stage: statistics.median(run[stage] for run in runs) for stage in runs[0]},
        "real_time_factor": statistics.median(factors),
        "real_time_factor_range": [min(factors), max(factors)],
        "peak_memory_mib": peak_memory_mib(),
        "peak_memory_before_generating_mib": loaded_mib,
    }


def simulated_recording(seconds: float) -> Recording:
    """A simulated listener to one song, cut to length."""
    trial = Trial(stimulus_from_song("funk-21-0000", seconds), 0, snr_db=0.0)
    recording = simulate_listener(draw_listener("speed"), [trial], sfreq_hz=RECORDING_HZ, seed=0)
    return recording.replace(signal_v=recording.signal_v[:, : round(seconds * RECORDING_HZ)].copy(), events=())


def one_run(
    pipeline: BrainToMusicPipeline, take: Take, config: GenerateConfig, checkpoint_hash: str
) -> dict[str, float]:
    """Seconds of each stage and of these together; then of all that the command does, and of processor time for it."""
    since, used = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = make_result(take, pipeline, config, checkpoint_hash)
        write_clip(Path(folder), result, title=TITLE)
    elapsed, processor = time.perf_counter() - since, time.process_time() - used
    stages: dict[str, float] = result.report["seconds_by_stage"]
    return {**stages, "total": sum(stages.values()), "elapsed": elapsed, "processor": processor}


def compare_steps(model: JointStemTransformer, seconds: float, repeats: int) -> dict[str, Any]:
    """One guided step of both, by arithmetic."""
    peer = audioldm_unet()
    steps = SamplingConfig().steps
    found: dict[str, Any] = {
        "parameters": {"ours": count(model), "audioldm_s": count(peer)},
        "stems": {"ours": model.stems, "audioldm_s": 1},
        "steps_by_default": {"ours": steps, "audioldm_s": 200},
    }
    for precision in ("fp32", "bf16"):
        ours = our_step(model, seconds, steps, precision)
        theirs = audioldm_step(peer, seconds, precision)
        pairs = in_turns(ours, theirs, repeats)
        mine, other = [pair[0] / steps for pair in pairs], [pair[1] for pair in pairs]
        ratios = [b / a for a, b in zip(mine, other, strict=True)]
        found[precision] = {
            "our_seconds": statistics.median(mine),
            "audioldm_s_seconds": statistics.median(other),
            "audioldm_s_over_ours": statistics.median(ratios),
            "range": [min(ratios), max(ratios)],
        }
    return found


def our_step(model: JointStemTransformer, seconds: float, steps: int, precision: Precision) -> Callable[[], object]:
    """`steps` solver steps of one clip with the guidance and the windows that generation uses."""
    size, sampling = int(model.config["embedding_dim"]), SamplingConfig()
    conditions = Conditions(
        nn.functional.normalize(torch_noise((1, size), 0, "global"), dim=-1),
        nn.functional.normalize(torch_noise((1, model.stems, size), 0, "stems"), dim=-1),
        torch_noise((1, model.stems, len(CURVES), round(seconds * CURVE_RATE_HZ)), 0, "curves").abs(),
    )
    dials = Dials(sampling.embedding_scale, sampling.curve_scale)
    frames = round(seconds * FRAME_RATE_HZ)
    return lambda: generate_latents(
        model, conditions, frames, steps=steps, dials=dials, seed=0, sample_ids=["clip"], precision=precision
    )


def audioldm_unet() -> nn.Module:
    """AudioLDM-S' U-Net as diffusers configures it when it converts the published checkpoint, random weights."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(derive_seed(0, "audioldm"))
    across = "CrossAttn{}Block2D"
    channels = (128, 256, 384, 640)
    unet = UNet2DConditionModel(
        in_channels=AUDIOLDM_CHANNELS,
        out_channels=AUDIOLDM_CHANNELS,
        block_out_channels=channels,
        down_block_types=("DownBlock2D", *[across.format("Down")] * 3),
        up_block_types=(*[across.format("Up")] * 3, "UpBlock2D"),
        layers_per_block=2,
        cross_attention_dim=channels,
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=AUDIOLDM_EMBEDDING,
        class_embeddings_concat=True,
    )
    return cast(nn.Module, unet).eval()


def audioldm_step(unet: nn.Module, seconds: float, precision: Precision) -> Callable[[], object]:
    """One step with classifier-free guidance, the way AudioLDMPipeline takes it: a batch of two."""
    shape = (1, AUDIOLDM_CHANNELS, round(seconds * AUDIOLDM_FRAMES_PER_S), AUDIOLDM_BANDS)
    latents = torch_noise(shape, 0, "audioldm latents")
    prompt = nn.functional.normalize(torch_noise((2, AUDIOLDM_EMBEDDING), 0, "audioldm prompt"), dim=-1)

    @torch.no_grad()
    def step() -> object:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            noise = unet(torch.cat([latents] * 2), 500, encoder_hidden_states=None, class_labels=prompt).sample
        free, guided = noise.chunk(2)
        return free + AUDIOLDM_GUIDANCE * (guided - free)

    return step


def in_turns(first: Callable[[], object], second: Callable[[], object], repeats: int) -> list[tuple[float, float]]:
    """Wall seconds of both, one after the other, so that other load meets them alike; the first turn isn't counted."""

    def seconds(work: Callable[[], object]) -> float:
        since = time.perf_counter()
        work()
        return time.perf_counter() - since

    return [(seconds(first), seconds(second)) for _ in range(repeats + 1)][1:]


def count(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def peak_memory_mib() -> float:
    """Largest resident set of this process so far."""
    return mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def mib(maxrss: float) -> float:
    """What getrusage calls maxrss, which is bytes on macOS and KiB elsewhere."""
    return maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint(), help="folder of a pipeline")
    parser.add_argument("--default-size", action="store_true", help="time a generator of the default size instead")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, help="all cores by default")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--keep-freed-memory", action=argparse.BooleanOptionalAction, default=True,
        help="raise glibc's thresholds, as the commands do",
    )  # fmt: skip
    parser.add_argument("--no-demo", action="store_true", help="leave the whole command out")
    parser.add_argument("--no-peer", action="store_true", help="leave AudioLDM's U-Net out")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
