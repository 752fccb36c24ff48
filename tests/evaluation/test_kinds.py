"""One command evaluates every kind of config."""

from __future__ import annotations

from pathlib import Path

import pytest

from eeg2music.errors import ConfigError
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.encoding_config import EncodingConfig
from eeg2music.evaluation.kinds import load_evaluation
from eeg2music.evaluation.protocols.config import ProtocolConfig
from eeg2music.evaluation.recorded import RecordedConfig

CONFIGS = Path(__file__).parents[2] / "configs" / "eval"


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        *((CONFIGS / f"{name}.yaml", EvaluateConfig) for name in ("mini", "quick", "smoke")),
        (CONFIGS / "encoding.yaml", EncodingConfig),
        (CONFIGS / "openmiir.yaml", RecordedConfig),
        *((file, ProtocolConfig) for file in sorted((CONFIGS / "protocols").glob("*.yaml"))),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
def test_each_config_that_ships_is_of_its_kind(file: Path, kind: type) -> None:
    assert type(load_evaluation(file, ["seed=3"])) is kind
    assert load_evaluation(file, ["seed=3"]).seed == 3  # type: ignore[attr-defined]


def test_a_kind_that_does_not_exist_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("kind: recorrded\n")
    with pytest.raises(ConfigError, match=r"'recorrded'.*identification, recorded, protocol, encoding"):
        load_evaluation(file)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("window_s: 6.5\n")
    with pytest.raises(ConfigError, match="window_s"):
        load_evaluation(file)
