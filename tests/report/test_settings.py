"""What a report says it was made with is what it takes to make it again."""

from __future__ import annotations

import shlex

import pytest

from eeg2music import __version__
from eeg2music.config import Config, load_config
from eeg2music.demo import DemoConfig
from eeg2music.generation import GenerateConfig
from eeg2music.report.settings import PACKAGES, made_with, overrides, versions

GENERATE = [
    "seed=7", 'channels=["1", "Cz \'x\'"]', "start_s=0.1", "stop_s=3.30000000000001", "given=a folder/b",
    "sampling.interval=[0.1,0.9]", "sampling.sampler=heun", "mixer.gain_db.bass=-2.5", "mixer.level_db={drums: 1}",
    "preprocess.line_freq_hz=60", "only=[drums,bass]",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given"),
    [(GenerateConfig, []), (GenerateConfig, GENERATE), (DemoConfig, ["levels=[-12]", "generate.sampling.steps=1"])],
)
def test_overrides_lead_back_to_the_configuration(kind: type[Config], given: list[str]) -> None:
    config = load_config(kind, None, given)
    again = load_config(kind, None, overrides(config))
    assert again == config
    made = made_with("generate INPUT", config, device="cpu", precision="fp32")
    assert shlex.split(made["command"]) == ["eeg2music", "generate", "INPUT", "--out", "OUT", *overrides(config)]
    assert kind.model_validate(made["config"]) == config


def test_only_what_differs_is_named() -> None:
    assert overrides(GenerateConfig()) == []
    assert overrides(GenerateConfig(seed=3)) == ["seed=3"]


def test_versions_are_those_that_are_installed() -> None:
    found = versions()
    assert found["eeg2music"] == __version__ and found["torch"] and found["mne"]
    assert list(found) == ["eeg2music", "python", *PACKAGES]


def test_a_package_that_is_not_there_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eeg2music.report.settings.PACKAGES", ("no-such-package-anywhere",))
    assert versions()["no-such-package-anywhere"] is None
