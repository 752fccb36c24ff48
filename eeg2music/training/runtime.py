"""The process that a training runs in: memory allocator, threads, matmul precision, device, the accelerator.

What later work in the same process would feel (threads, precision, the current GPU) is put back when the run ends.
Nothing here knows models or data.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from eeg2music.errors import ConfigError
from eeg2music.memory import keep_freed_memory
from eeg2music.seeding import derive_seed
from eeg2music.training.config import TrainConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def process_settings(config: TrainConfig) -> Iterator[None]:
    """Threads, current GPU and precision of fp32 matrix products for a run; as they were before when it ends.

    With train.precision=no, fp32 is fp32: no bf16 or TF32 products. Under mixed precision, what is left in fp32 may
    be computed in TF32 (GPU) or bf16 (CPU).
    """
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    convolutions_tf32 = torch.backends.cudnn.allow_tf32
    gpu = torch.cuda.current_device() if ":" in config.device and torch.cuda.is_available() else None
    exact = config.precision == "no"
    try:
        torch.set_float32_matmul_precision("highest" if exact else "high" if _on_gpu(config) else "medium")
        torch.backends.cudnn.allow_tf32 = not exact
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = convolutions_tf32
        torch.set_num_threads(threads)
        if gpu is not None:
            torch.cuda.set_device(gpu)


def start(config: TrainConfig) -> Accelerator:
    """Set the process up and give the accelerator for it. Called within `process_settings`.

    Raises
    ------
    ConfigError, InputError
        If the device is not there, or the processes that were launched do not find each other.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState

    # Tails of filters and reverbs end in denormal numbers, which are slow on CPU.
    torch.set_flush_denormal(True)
    if PartialState._shared_state.get("distributed_type") is not None and PartialState().num_processes == 1:
        # An earlier run in this process must not decide this run's precision.
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
    _choose_device(config.device)
    # Without `cpu`, accelerate takes the launcher's processes for strangers where there is no GPU.
    accelerator = Accelerator(mixed_precision=config.precision, cpu=not _on_gpu(config))
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise ConfigError(
            f"{launched} processes were launched, but {accelerator.num_processes} found each other",
            remedy="start with accelerate launch, or with one process",
        )
    if config.device != "auto" and accelerator.device.type != config.device.partition(":")[0]:
        raise ConfigError(
            f"train.device is {config.device}, but the launcher chose {accelerator.device.type}",
            remedy="launch without --cpu, or with train.device=cpu",
        )
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    if config.threads is not None:  # after accelerate, which sets its own number
        torch.set_num_threads(config.threads)
    _report(accelerator)
    return accelerator


def _on_gpu(config: TrainConfig) -> bool:
    # As in `pipeline.pick_device`, "auto" never takes mps.
    apple = config.device == "mps" and torch.backends.mps.is_available()
    return config.device != "cpu" and (torch.cuda.is_available() or apple)


def check_device(name: str) -> None:
    """Refuse a device that is not there, and one GPU for several processes.

    Raises
    ------
    ConfigError, InputError
    """
    if name in ("auto", "cpu"):
        return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if ":" in name:
            raise ConfigError(
                f"train.device={name} is one GPU, but several processes were launched",
                remedy="train.device=cuda gives each process its own; CUDA_VISIBLE_DEVICES says which there are",
            )
        return  # each process gets its own GPU from accelerate
    from eeg2music.pipeline import pick_device  # late: diffusers takes seconds

    pick_device(name)


def _choose_device(name: str) -> None:
    """Make a numbered GPU the one that accelerate takes."""
    check_device(name)
    if ":" in name:
        torch.cuda.set_device(torch.device(name))


def _report(accelerator: Accelerator) -> None:
    """Say what the run runs on, and warn where a launcher started fewer processes than it was asked for."""
    if not accelerator.is_main_process:
        return
    count = accelerator.num_processes
    logger.info(
        "%d %s on %s, precision %s",
        count, "process" if count == 1 else "processes", hardware(accelerator.device), accelerator.mixed_precision,
    )  # fmt: skip
    # What `accelerate launch` leaves behind where it was asked for several processes and started one.
    alone = count == 1 and "WORLD_SIZE" not in os.environ and "MASTER_ADDR" in os.environ
    if alone and "ACCELERATE_MIXED_PRECISION" in os.environ:
        logger.warning(
            "accelerate launch started one process only: on CPU, several are started by "
            "`accelerate launch --multi_gpu --num_processes N … train.device=cpu`"
        )


def reseed(*ids: int, seed: int) -> None:
    """Put torch's global generators into the state of (seed, ids), so that dropout needs no saved state."""
    torch.manual_seed(derive_seed(seed, *ids))


def hardware(device: torch.device) -> str:
    """What this runs on, for checkpoint cards, without names of machines."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


class Clock:
    """Seconds per step, a moving average that leaves validation and saving out."""

    def __init__(self) -> None:
        self.seconds_per_step = 0.0
        self._since = time.monotonic()

    def tick(self) -> None:
        """A step has ended."""
        last = time.monotonic() - self._since
        self.seconds_per_step = last if not self.seconds_per_step else 0.95 * self.seconds_per_step + 0.05 * last

    def resume(self) -> None:
        """The next step begins."""
        self._since = time.monotonic()
