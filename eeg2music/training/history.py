"""The figures of a run over time: log.jsonl and TensorBoard.

log.jsonl holds nothing that depends on the clock, so that the log of a resumed run equals that of an
uninterrupted one. A figure that is not finite is left out: JSON has no word for it. Only the main process writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eeg2music.files import write_text

if TYPE_CHECKING:
    from accelerate import Accelerator

FILE = "log.jsonl"


class History:
    """Sums of the losses since the last report, and the rows written so far."""

    def __init__(self, out: Path, *, active: bool, tensorboard: bool) -> None:
        self.out, self.active = out, active
        self.latest: dict[str, float] = {}
        self._tensorboard = tensorboard and active
        self._writer: Any = None
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def restart(self, step: int, state: dict[str, Any]) -> None:
        """Begin at `step`: drop later rows, take up the sums of a checkpoint."""
        self._count = int(state.get("count", 0))
        sums = {key: float(value) for key, value in state.get("sums", {}).items()}
        self._sums = {key: torch.tensor(value, dtype=torch.float64) for key, value in sums.items()}
        if not self.active:
            return
        file = self.out / FILE
        rows = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else []
        # A last line without its end was cut by a kill.
        kept = [row for row in rows if row.endswith("\n") and json.loads(row)["step"] <= step]
        write_text(file, "".join(kept))
        if self._tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.out / "tensorboard"), purge_step=step + 1)

    def add(self, losses: dict[str, Tensor]) -> None:
        """Count one step's losses in."""
        for key, value in losses.items():
            before = self._sums.get(key)
            self._sums[key] = value if before is None else before.to(value.device) + value
        self._count += 1

    def totals(self, accelerator: Accelerator) -> dict[str, float]:
        """Sums since the last report, averaged over processes."""
        return _reduced(self._sums, accelerator)

    def state(self, accelerator: Accelerator) -> dict[str, Any]:
        """State for a checkpoint: `totals`, with "nan" and "inf" as words."""
        sums = self.totals(accelerator)
        words = {key: value if math.isfinite(value) else str(value) for key, value in sums.items()}
        return {"count": self._count, "sums": words}

    def write(self, step: int, accelerator: Accelerator, learning_rate: float) -> dict[str, float]:
        """Write the mean losses since the last report; start new sums."""
        count = max(1, self._count)
        self.latest = {key: value / count for key, value in _reduced(self._sums, accelerator).items()}
        self._sums, self._count = {}, 0
        self._append({"step": step, **finite(self.latest), "learning_rate": learning_rate}, "train")
        return self.latest

    def validated(self, step: int, figures: dict[str, float]) -> None:
        """Write the figures of a validation, all of them finite."""
        self._append({"step": step, "valid": figures}, "valid")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _append(self, row: dict[str, Any], tag: str) -> None:
        if not self.active:
            return
        with (self.out / FILE).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row, allow_nan=False) + "\n")
        if self._writer is not None:
            for key, value in {**row, **row.get("valid", {})}.items():
                if isinstance(value, float):
                    self._writer.add_scalar(f"{tag}/{key}", value, row["step"])
            self._writer.flush()


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures that are numbers."""
    return {key: value for key, value in figures.items() if math.isfinite(value)}


def _reduced(sums: dict[str, Tensor], accelerator: Accelerator) -> dict[str, float]:
    if not sums:
        return {}
    stacked = torch.stack([value.to(accelerator.device).double() for value in sums.values()])
    if accelerator.num_processes > 1:
        stacked = accelerator.reduce(stacked, "mean")
    return dict(zip(sums, stacked.tolist(), strict=True))
