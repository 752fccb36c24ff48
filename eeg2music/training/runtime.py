"""The process that a training runs in: memory allocator, threads, matmul precision, the accelerator.

Nothing here knows models or data.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import time
from typing import TYPE_CHECKING

import torch

from eeg2music.errors import ConfigError
from eeg2music.seeding import derive_seed
from eeg2music.training.config import TrainConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Let glibc keep the large buffers it would give back and take again at every step.

    Halves the time of a step of the audio models on CPU. Returns False where it does not apply.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # no glibc
        return False
    gibibyte = 1 << 30
    return bool(mallopt(_M_MMAP_THRESHOLD, gibibyte)) and bool(mallopt(_M_TRIM_THRESHOLD, gibibyte))


def start(config: TrainConfig) -> Accelerator:
    """Set the process up and give the accelerator for it."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    # Tails of filters and reverbs end in denormal numbers, which are slow on CPU.
    torch.set_flush_denormal(True)
    if PartialState._shared_state.get("distributed_type") is not None and PartialState().num_processes == 1:
        # An earlier run in this process must not decide this run's precision.
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
    # Without `cpu`, accelerate takes the launcher's processes for strangers where there is no GPU.
    cpu = config.device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
    accelerator = Accelerator(mixed_precision=config.precision, cpu=cpu)
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise ConfigError(
            f"{launched} processes were launched, but {accelerator.num_processes} found each other",
            remedy="start with accelerate launch, or with one process",
        )
    if accelerator.device.type == "cpu":
        keep_freed_memory()
        torch.set_float32_matmul_precision("medium")
    else:
        torch.set_float32_matmul_precision("high")
    return accelerator


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
