"""Published ways of scoring, so that our figures can stand beside theirs: `run_protocol` scores any model's outputs."""

from eeg2music.evaluation.protocols.config import ProtocolConfig
from eeg2music.evaluation.protocols.scoring import run_protocol
from eeg2music.evaluation.protocols.windows import Row, protocol_folds, window_starts

__all__ = ["ProtocolConfig", "Row", "protocol_folds", "run_protocol", "window_starts"]
