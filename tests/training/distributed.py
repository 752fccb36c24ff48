"""Optimizer steps of a task, the last one reported with its gradients. Launched by test_distributed.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import toys  # noqa: F401 - enters the toy tasks; beside this script
from fakes import FakeClap, FakeCodec

from eeg2music.training import diffusion
from eeg2music.training.config import resolve
from eeg2music.training.loop import _Loop, check_run
from eeg2music.training.order import micro_batches

if __name__ == "__main__":
    what, out, target, steps, *overrides = sys.argv[1:]
    name, _, small = what.partition("/")  # a task, or a config that is shipped
    torch.set_num_threads(1)
    diffusion.load_codec = lambda path: FakeCodec()
    diffusion.space_of = lambda clap: FakeClap.space
    encoded = []
    encode = FakeCodec.encode

    def counted(self: FakeCodec, audio: torch.Tensor) -> torch.Tensor:
        encoded.append(len(audio))
        return encode(self, audio)

    FakeCodec.encode = counted
    diffusion.load_sources = lambda codec, clap: (FakeCodec(), FakeClap())
    config = resolve(name, what if small else None, [f"train.out={out}", *overrides])
    loop = _Loop(name, config, check_run(name, config))
    with torch.no_grad():  # outputs that start at zero would hide the gradients below them
        generator = torch.Generator().manual_seed(0)
        for parameter in loop.model.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape, generator=generator))
    loop.resume()
    batches = micro_batches(loop.items, loop.plan, 0, int(steps))
    for loop.step in range(int(steps)):
        losses = loop._one_step(batches)
    means = loop.accelerator.reduce(losses["loss"], "mean")
    if loop.main:
        gradients = {name: p.grad.tolist() for name, p in loop.model.named_parameters() if p.grad is not None}
        report = {"processes": loop.accelerator.num_processes, "loss": means.item(), "gradients": gradients}
        report["buffers"] = {name: buffer.tolist() for name, buffer in loop.model.named_buffers()}
        Path(target).write_text(json.dumps(report))
    Path(f"{target}.{loop.accelerator.process_index}").write_text(str(len(encoded)))
    result = loop.go(lambda _: None, lambda: False)  # and the rest of the run: checkpoints and export by two
    assert result.finished
