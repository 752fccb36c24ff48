"""What `eeg2music evaluate CONFIG` runs: the `kind` of the config decides. Scores nothing itself.

identification   simulated listeners or a prepared cache, decoded by our models (the default)
recorded         features of people's recordings, decoded by ridge
protocol         a published way of scoring
encoding         which channels follow the music
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eeg2music.config import Config, load_config, read_yaml
from eeg2music.errors import ConfigError, InputError, did_you_mean
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.encoding_config import EncodingConfig
from eeg2music.evaluation.protocols.config import ProtocolConfig
from eeg2music.evaluation.recorded import RecordedConfig
from eeg2music.evaluation.tables import SCORE_FILES
from eeg2music.files import check_result_folder
from eeg2music.pipeline import Hook, no_hook
from eeg2music.recordings.prepared import PreparedDataset

KINDS: dict[str, type[Config]] = {
    "identification": EvaluateConfig,
    "recorded": RecordedConfig,
    "protocol": ProtocolConfig,
    "encoding": EncodingConfig,
}


def load_evaluation(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Config:
    """The config of an evaluation, of whichever kind.

    Raises
    ------
    ConfigError
        For a kind that does not exist, or as `load_config` does.
    """
    kind = read_yaml(path).get("kind", "identification")
    if kind not in KINDS:
        remedy = did_you_mean(str(kind), KINDS) or "leave kind: out for an identification"
        raise ConfigError(f"kind: {kind!r} in {path}", allowed=", ".join(KINDS), remedy=remedy)
    return load_config(KINDS[kind], path, overrides)


def check(config: Config, out: Path) -> None:
    """Everything that can be refused before anything is read or computed.

    Raises
    ------
    InputError, DataError, ConfigError, CheckpointError
    """
    if isinstance(config, EvaluateConfig):
        from eeg2music.evaluation.runner import check_evaluation

        check_evaluation(config, out)
        return
    check_result_folder(out, SCORE_FILES)
    if isinstance(config, RecordedConfig) and not Path(config.data).is_dir():
        raise InputError(
            f"No folder at {config.data}", allowed="a folder of features", remedy="add data=FOLDER to the command"
        )
    if isinstance(config, ProtocolConfig) and config.generated is not None:
        from eeg2music.evaluation.protocols.generate import check_generated

        check_generated(config.generated)
    if isinstance(config, ProtocolConfig) and config.prepared is not None:
        from eeg2music.evaluation.protocols.prepared import check_prepared

        check_prepared(config)
    if isinstance(config, EncodingConfig):
        if config.prepared:
            PreparedDataset(config.prepared)
        missing = [file for file in config.responses.values() if not Path(file).is_file()]
        if missing:
            raise InputError(f"No file at {missing[0]}", allowed="a .npz of responses for each listener")


def run(config: Config, out: Path, *, device: str = "auto", hook: Hook = no_hook) -> dict[str, Any]:
    """Run it, write scores.json, scores.md and report.html into `out`, and return the scores."""
    check(config, out)
    if isinstance(config, RecordedConfig):
        from eeg2music.evaluation.recorded import evaluate_recorded

        return evaluate_recorded(config, out)
    if isinstance(config, ProtocolConfig):
        from eeg2music.evaluation.protocols.run import evaluate_protocol

        return evaluate_protocol(config, out, device=device, hook=hook)
    if isinstance(config, EncodingConfig):
        from eeg2music.evaluation.encoding_run import evaluate_encoding

        return evaluate_encoding(config, out, device=device, hook=hook)
    if not isinstance(config, EvaluateConfig):
        raise ConfigError(f"A config of the type {type(config).__name__}", allowed=", ".join(KINDS))
    from eeg2music.evaluation.runner import run_evaluation

    return run_evaluation(config, out, device=device, hook=hook)
