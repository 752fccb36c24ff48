"""The loop's parts in closed form, and the loop on a toy."""

from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from eeg2music.errors import ConfigError, DataError, InputError
from eeg2music.pipeline import pick_device
from eeg2music.training import checkpoint, runtime
from eeg2music.training.__main__ import main
from eeg2music.training.config import TrainConfig, resolve
from eeg2music.training.ema import Ema
from eeg2music.training.loop import Progress, TrainResult, train
from eeg2music.training.optimization import learning_rate, make_optimizer
from eeg2music.training.order import Plan, collate, micro_batches

SETTINGS = [
    "train.steps=6", "train.batch_size=4", "train.save_every=3", "train.valid_every=3", "train.log_every=2",
    "train.warmup_steps=2", "train.tensorboard=false", "train.device=cpu",
]  # fmt: skip


def toy(out: Path, *more: str, **hooks: object) -> TrainResult:
    return train("toy", None, [*SETTINGS, f"train.out={out}", *more], **hooks)  # type: ignore[arg-type]


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return load_file(checkpoint.complete(result.out / "checkpoints")[-1].folder / "model.safetensors")


# -- order -----------------------------------------------------------------------------------------


def walk(plan: Plan, steps: int) -> list[tuple[int, int]]:
    return [visit for step in range(steps) for micro in range(plan.accumulation) for visit in plan.visits(step, micro)]


def test_each_epoch_visits_each_item_once_in_another_order() -> None:
    visits = walk(Plan(n_items=7, batch_size=4, accumulation=1, seed=3), 7)  # 28 visits: four epochs
    epochs = [[item for item, draw in visits if draw == epoch] for epoch in range(4)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


@pytest.mark.parametrize(("accumulation", "processes"), [(2, 1), (1, 2), (2, 2), (4, 2)])
def test_processes_share_the_walk_of_one(accumulation: int, processes: int) -> None:
    whole = Plan(n_items=13, batch_size=8, accumulation=1, seed=0)
    parts = [Plan(13, 8, accumulation, 0, rank, processes) for rank in range(processes)]
    for step in range(5):
        gathered = [v for micro in range(accumulation) for plan in parts for v in plan.visits(step, micro)]
        assert gathered == whole.visits(step, 0)


def test_batches_that_cannot_be_divided_and_empty_sets_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 micro-batches on 2 processes"):
        Plan(n_items=5, batch_size=8, accumulation=3, seed=0, processes=2)
    with pytest.raises(DataError, match="empty"):
        Plan(n_items=0, batch_size=8, accumulation=1, seed=0)


def test_batches_are_the_same_for_any_number_of_workers() -> None:
    from eeg2music.training.registry import TASKS

    task = TASKS["toy"](TASKS["toy"].Config(), seed=0)
    plan = Plan(n_items=11, batch_size=4, accumulation=2, seed=0)
    torch.manual_seed(0)
    alone = list(micro_batches(task.train_items(), plan, 3, 6, workers=0))
    torch.manual_seed(1)  # the global generator must not matter
    helped = list(micro_batches(task.train_items(), plan, 3, 6, workers=2))
    assert len(alone) == len(helped) == 6
    assert all(torch.equal(a[key], b[key]) for a, b in zip(alone, helped, strict=True) for key in a)


def test_collate_takes_arrays_numbers_and_tensors() -> None:
    import numpy as np

    batch = collate([{"a": np.float32(1), "b": torch.ones(2), "c": 3, "d": np.zeros((2, 2))}] * 3)
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "a": (3,),
        "b": (3, 2),
        "c": (3,),
        "d": (3, 2, 2),
    }


# -- parts -----------------------------------------------------------------------------------------


def test_learning_rates() -> None:
    def rates(schedule: str, steps: range) -> list[float]:
        config = TrainConfig(
            out="x", steps=100, warmup_steps=10, cooldown_steps=20, learning_rate=1.0, schedule=schedule
        )
        return [learning_rate(config, step) for step in steps]

    for schedule in ("cosine", "constant", "cooldown"):
        assert rates(schedule, range(10)) == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates("constant", range(10, 100)) == [1.0] * 90
    assert rates("cosine", range(55, 56)) == pytest.approx([0.5 * (1 + math.cos(math.pi * 0.5))])
    assert rates("cooldown", range(10, 81)) == [1.0] * 71
    assert rates("cooldown", range(90, 91)) == pytest.approx([0.5])
    assert 0 < rates("cooldown", range(99, 100))[0] < 0.06


def test_average_is_the_closed_form_and_leaves_the_model_alone() -> None:
    model = nn.BatchNorm1d(1)
    ema = Ema(model, decay=0.5)
    expected = 1.0
    for step, value in enumerate((3.0, -1.0, 2.0)):
        nn.init.constant_(model.weight, value)
        model.running_mean.fill_(value)  # type: ignore[union-attr]
        ema.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert ema.model.weight.item() == pytest.approx(expected) and model.weight.item() == 2.0
    assert ema.model.running_mean.item() == 2.0  # buffers are copied
    assert not ema.model.weight.requires_grad


def test_vectors_are_not_shrunk_and_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[2].weight.requires_grad_(False)
    optimizer = make_optimizer(model, TrainConfig(out="x", weight_decay=0.1))
    shapes = {group["weight_decay"]: [tuple(p.shape) for p in group["params"]] for group in optimizer.param_groups}
    assert shapes == {0.1: [(4, 3)], 0.0: [(4,), (4,), (4,), (2,)]}


@pytest.mark.parametrize(("precision", "during"), [("no", "highest"), ("bf16", "medium")])
@pytest.mark.parametrize("fails", [False, True])
def test_fp32_is_fp32_and_what_later_work_feels_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, during: str, fails: bool
) -> None:
    from eeg2music.training.registry import TASKS

    seen, threads, kind = set(), torch.get_num_threads(), TASKS["toy"]
    loss = kind.loss

    def watched(self: object, *args: object, **kwargs: object) -> dict[str, torch.Tensor]:
        seen.add(torch.get_float32_matmul_precision())
        if fails:
            raise RuntimeError("planted")
        return loss(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "loss", watched)
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(RuntimeError, match="planted") if fails else contextlib.nullcontext():
            toy(tmp_path / "run", f"train.precision={precision}", "train.steps=1", f"train.threads={threads + 1}")
        assert seen == {during}
        assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == ("high", threads)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_what_is_trained_on_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="eeg2music"):
        toy(tmp_path / "run", "train.steps=1")
    assert any(re.match(r"1 process on CPU, \d+ threads, precision no", line) for line in caplog.messages)


def test_a_launcher_that_starts_one_process_of_several_is_told_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # What `accelerate launch --cpu --num_processes 2` sets.
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    toy(tmp_path / "run", "train.steps=1")
    assert any("started one process only" in line for line in caplog.messages)


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_devices_are_those_that_every_command_takes(
    name: str, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from eeg2music import cli

    monkeypatch.setattr("eeg2music.pipeline.pick_device", torch.device)  # whether they are there or not
    assert resolve("toy", None, ["train.out=x", f"train.device={name}"]).train.device == name
    here = (f"task.data={music}", f"train.out={tmp_path / 'run'}")
    shown = CliRunner().invoke(cli.app, ["train", "codec", "codec/smoke", *here, "--device", name, "--dry-run"])
    assert shown.exit_code == 0 and f"device: {name}" in shown.output


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU"])
def test_unknown_devices_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.device = .*Allowed: cpu, cuda, cuda:N, mps or auto") as caught:
        resolve("toy", None, ["train.out=x", f"train.device='{name}'"])
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No device 'cuda:99'") as caught:
        toy(tmp_path / "run", "train.device=cuda:99")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_a_numbered_gpu_is_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr("eeg2music.pipeline.pick_device", torch.device)
    runtime._choose_device("cuda:1")
    assert chosen == [torch.device("cuda:1")]
    monkeypatch.setenv("WORLD_SIZE", "2")
    runtime._choose_device("cuda")  # each gets its own
    with pytest.raises(ConfigError, match="one GPU, but several processes"):
        runtime._choose_device("cuda:1")


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "gpu"),
    [
        (False, True, "auto", False), (False, True, "mps", True), (False, False, "mps", False),
        (True, False, "auto", True), (True, True, "cpu", False),
    ],
)  # fmt: skip
def test_auto_is_the_device_that_generation_takes(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, name: str, gpu: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert runtime._on_gpu(TrainConfig(out="x", device=name)) is gpu
    if name == "auto":
        assert (pick_device("auto").type != "cpu") is gpu


# -- the loop --------------------------------------------------------------------------------------


def test_what_a_run_leaves_and_reports(tmp_path: Path) -> None:
    reports: list[Progress] = []
    result = toy(tmp_path / "run", progress=reports.append)
    assert [report.step for report in reports] == [2, 4, 6]
    assert reports[-1].seconds_left == 0 and reports[0].seconds_per_step > 0
    assert result.finished and result.step == 6 and "norm" in result.figures and "loss" in result.losses
    rows = [json.loads(line) for line in (result.out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [2, 4, 6]
    assert [row["step"] for row in rows if "valid" in row] == [3, 6]
    manifest = json.loads((result.export / "training_manifest.json").read_text())
    assert manifest["songs"] == ["a"] and manifest["step"] == 6 and manifest["seconds"] >= 0.0
    assert manifest["config"]["train"]["batch_size"] == 4


def test_accumulation_is_one_large_batch(tmp_path: Path) -> None:
    # Without dropout, and with batch norm out of the way, the mean over micro-batches is the mean over the batch.
    # (Adam turns rounding into ±learning rate where a gradient is all but zero: two steps, a small rate.)
    settings = ["train.steps=2", "train.learning_rate=1e-4", "train.batch_size=8"]
    runs = []
    for count in (1, 4):
        own = [f"train.out={tmp_path / str(count)}", f"train.accumulation={count}"]
        runs.append(train("toy_contrastive_free", None, [*SETTINGS, *settings, *own]))
    one, four = (weights(run) for run in runs)
    assert runs[0].losses["loss"] == pytest.approx(runs[1].losses["loss"], abs=1e-6)
    for name in one:
        torch.testing.assert_close(one[name], four[name], atol=2e-5, rtol=1e-4)


def test_a_stop_request_ends_with_a_checkpoint_and_an_export_and_goes_on(tmp_path: Path) -> None:
    whole = toy(tmp_path / "whole", "train.log_every=1")
    asked = iter([False, True])
    stopped = toy(tmp_path / "run", "train.log_every=1", should_stop=lambda: next(asked))
    assert not stopped.finished and stopped.step == 2
    assert json.loads((stopped.export / "training_manifest.json").read_text())["step"] == 2
    finished = toy(tmp_path / "run", "train.log_every=1")
    assert finished.finished
    assert all(torch.equal(a, b) for a, b in zip(weights(finished).values(), weights(whole).values(), strict=True))


def test_the_time_limit_ends_a_run(tmp_path: Path) -> None:
    result = toy(tmp_path / "run", "train.steps=100000", "train.time_limit_minutes=1e-6")
    assert not result.finished and result.step == 1
    assert checkpoint.complete(result.out / "checkpoints")[-1].step == 1


def rows_of(run: Path) -> list[dict]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in (run / "log.jsonl").read_text().splitlines()]


def planted(monkeypatch: pytest.MonkeyPatch, step_of_it: int, factor: float) -> None:
    """The loss, or only its gradient (factor 0: inf * 0), goes out of bounds at a step."""
    from eeg2music.training.registry import TASKS

    kind = TASKS["toy"]
    before = kind.loss

    def loss(self: object, model: nn.Module, batch: object, *, step: int, gather: object) -> dict[str, torch.Tensor]:
        parts = before(self, model, batch, step=step, gather=gather)  # type: ignore[arg-type]
        if step == step_of_it:
            # The root's slope at zero is infinite: times zero, the loss is finite and its gradient is not.
            small = (next(model.parameters()).sum() * 0.0).abs().sqrt()
            parts["loss"] = parts["loss"] * factor if factor else parts["loss"] + 0.0 * small
        return parts

    monkeypatch.setattr(kind, "loss", loss)


@pytest.mark.parametrize(("factor", "what"), [(math.nan, "loss of toy is nan"), (0.0, "Weights of toy are not finite")])
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_what_is_not_finite_ends_a_run_before_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float, what: str, precision: str
) -> None:
    planted(monkeypatch, 2, factor)
    with pytest.raises(ConfigError, match=f"{what} at step") as caught:
        toy(tmp_path / "run", "train.save_every=1", "train.log_every=6", f"train.precision={precision}")
    assert [state.step for state in checkpoint.complete(tmp_path / "run" / "checkpoints")] == [1, 2]
    # What is advised is not refused: another folder, and no precision where there is none to lower.
    assert caught.value.remedy and "another train.out" in caught.value.remedy
    assert ("precision" in caught.value.remedy) == (precision != "no")
    monkeypatch.undo()
    toy(tmp_path / "another", "train.learning_rate=1e-4")


def test_a_loss_that_is_not_finite_is_found_when_it_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, 1, math.nan)
    with pytest.raises(ConfigError, match="nan at step 2"):
        toy(tmp_path / "run")
    assert "twice" in rows_of(tmp_path / "run")[0] and "loss" not in rows_of(tmp_path / "run")[0]


def test_a_figure_that_is_not_finite_is_left_out_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from eeg2music.training.registry import TASKS

    monkeypatch.setattr(TASKS["toy"], "evaluate", lambda self, model: {"heard": 0.5, "r_bass": math.nan})
    result = toy(tmp_path / "run")
    assert result.finished and result.figures == {"heard": 0.5}
    assert [row["valid"] for row in rows_of(tmp_path / "run") if "valid" in row] == [{"heard": 0.5}] * 2
    assert any("not finite, left out: r_bass" in line for line in caplog.messages)
    assert json.loads((result.export / "training_manifest.json").read_text())["figures"] == {"heard": 0.5}


def test_a_part_of_the_loss_that_is_not_finite_survives_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the gradient's norm where fp16 overflows: the logs of the resumed and of the whole run are equal."""
    from eeg2music.training.registry import TASKS

    kind = TASKS["toy"]
    before = kind.loss

    def loss(self: object, *args: object, step: int, gather: object) -> dict[str, torch.Tensor]:
        parts = before(self, *args, step=step, gather=gather)  # type: ignore[arg-type]
        return {**parts, "twice": torch.tensor(math.inf if step == 2 else 1.0)}

    monkeypatch.setattr(kind, "loss", loss)
    settings = ["train.log_every=3", "train.save_every=1"]
    toy(tmp_path / "whole", *settings)
    for steps in (3, 4, 6):
        asked = iter([False] * (steps - 1) + [True])
        toy(tmp_path / "run", *settings, should_stop=lambda: next(asked, True))  # noqa: B023
    whole, resumed = ([row for row in rows_of(tmp_path / name) if "valid" not in row] for name in ("whole", "run"))
    assert whole == resumed
    assert ["twice" in row for row in whole] == [False, True]


def test_tensorboard_is_written(tmp_path: Path) -> None:
    result = toy(tmp_path / "run", "train.tensorboard=true")
    assert list((result.out / "tensorboard").glob("events.*"))


# -- config ----------------------------------------------------------------------------------------


def test_unknown_names_and_keys_are_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'toy'"):
        resolve("toyy", None, ["train.out=x"])
    with pytest.raises(ConfigError, match=r"train\.stepps.*did you mean 'steps'"):
        resolve("toy", None, ["train.out=x", "train.stepps=3"])
    with pytest.raises(ConfigError, match=r"task\.widht.*did you mean 'width'"):
        resolve("toy", None, ["train.out=x", "task.widht=3"])
    with pytest.raises(ConfigError, match=r"train\.out"):
        resolve("toy", None, [])
    with pytest.raises(ConfigError, match="not a multiple"):
        resolve("toy", None, ["train.out=x", "train.batch_size=5", "train.accumulation=2"])


def test_a_bare_no_in_yaml_is_a_precision(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("train: {out: x, precision: no}\n")
    assert resolve("toy", str(file)).train.precision == "no"


def test_dry_run_shows_the_config_and_errors_are_one_line(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, music: Path, tmp_path: Path
) -> None:
    assert main(["codec", "codec/smoke", "--dry-run", "train.steps=7", f"task.data={music}"]) == 0
    shown = capsys.readouterr().out
    assert "steps: 7" in shown and "hidden_size: 16" in shown
    for more in ([], ["--dry-run"]):
        assert main(["codec", "codec/smoke", f"task.data={tmp_path / 'none'}", f"train.out={tmp_path}", *more]) == 2
        assert "No music at" in caplog.messages[-1] and "\n" not in caplog.messages[-1]
    assert capsys.readouterr().out == "" and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("config", sorted((Path(__file__).parents[2] / "configs" / "codec").glob("*.yaml")))
def test_shipped_configs_are_valid(config: Path) -> None:
    assert resolve("codec", str(config)).train.out.startswith("runs/")
