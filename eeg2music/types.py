"""The things that pass between stages: their names, shapes and units.

Holds data only; nothing here reads files or computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

SAMPLE_RATE_HZ = 24_000
FRAME_RATE_HZ = 75
CURVE_RATE_HZ = 32
EEG_RATE_HZ = 64
WINDOW_S = 5.0
EMBEDDING_DIM = 128

STEMS = ("drums", "bass", "harmony", "melody")
REGIONS = ("central", "left_temporal", "right_temporal", "frontal")
REGION_OF_STEM = dict(zip(STEMS, REGIONS, strict=True))
# What people call the kinds of recordings.
KIND_WORDS = {"eeg": "scalp EEG", "ieeg": "intracranial EEG", "meg": "MEG"}
CURVES = ("onset", "loudness", "brightness")

# Centre of an average head, metres in head coordinates: of the sphere through the 10-05 electrodes.
HEAD_CENTRE_M = (0.0, 0.0146, 0.0432)
# Centre that the encoders start from. Their weights were trained with it, so that it must stay what it is.
ENCODER_CENTRE_M = (0.0, 0.0, 0.04)

FloatArray = NDArray[np.float32]

# The kind of an event that marks a stretch as bad; whatever else was written about it may be free text.
MARKED_BAD = "bad"


def is_marked_bad(text: str) -> bool:
    """Whether an annotation says that its stretch is bad, as MNE understands it: it begins with "bad" in any case."""
    return text.strip().lower().startswith(MARKED_BAD)


@dataclass(frozen=True)
class Event:
    """Something that happened during a recording.

    onset_s and duration_s are relative to the first sample. `stimulus` is the path or id
    of what was played, where the event is the onset of a stimulus.
    """

    onset_s: float
    duration_s: float
    kind: str
    stimulus: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """Continuous brain signals of one person in one run.

    Attributes
    ----------
    signal_v : (channel, time) float32, volts (tesla for MEG); robust deviations once `preprocess` has scaled them
    sfreq_hz : sampling rate
    channel_names : one per channel, brain channels only
    positions_m : (channel, 3) float32, head coordinates in metres, NaN where unknown
    kind : "eeg" | "meg" | "ieeg"
    bad_channels : {channel name: why}
    left_out : {channel name: why} for channels of the file that are not brain channels
    events : stimulus onsets and markers
    key : a name without personal information, unique within a data set
    """

    signal_v: FloatArray
    sfreq_hz: float
    channel_names: tuple[str, ...]
    positions_m: FloatArray
    kind: str
    key: str
    subject: str = "unknown"
    bad_channels: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    line_freq_hz: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        return self.signal_v.shape[-1] / self.sfreq_hz

    def replace(self, **changes: Any) -> Recording:
        return replace(self, **changes)


@dataclass(frozen=True)
class Window:
    """One preprocessed stretch of a recording, as the encoder takes it.

    Attributes
    ----------
    eeg : (channel, time) float32 at EEG_RATE_HZ, each channel scaled to unit robust deviation
    positions_m : (channel, 3) float32, NaN where unknown
    channel_mask : (channel,) bool, False for bad channels
    subject : label such as "sub-01"
    stimulus_id : song id, or None
    stimulus_file : path of the audio that was heard, or None
    stimulus_start_s : where in that audio the window starts
    """

    eeg: FloatArray
    positions_m: FloatArray
    channel_mask: NDArray[np.bool_]
    subject: str
    window_id: str
    recording: str = ""
    stimulus_id: str | None = None
    stimulus_file: str | None = None
    stimulus_start_s: float | None = None
    start_s: float = 0.0


@dataclass(frozen=True)
class SignalSpec:
    """Sizes that the data decides, stored in every checkpoint that depends on them."""

    kind: str
    sfreq_hz: float
    subjects: tuple[str, ...]
    regions: tuple[str, ...] = REGIONS
    n_channels_max: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "sfreq_hz": self.sfreq_hz,
            "subjects": list(self.subjects),
            "regions": list(self.regions),
            "n_channels_max": self.n_channels_max,
        }


@dataclass(frozen=True)
class Conditions:
    """What steers the generator, whether read off audio or decoded from a brain.

    Attributes
    ----------
    global_embedding : (batch, embedding) unit norm, of the mix
    stem_embedding : (batch, stem, embedding) unit norm, of each stem (each region)
    curves : (batch, stem, curve, curve_frame) at CURVE_RATE_HZ: onset, loudness, brightness
    keep_global : (batch,) bool, False drops the global embedding
    keep_stem : (batch, stem) bool, False drops that stem's embedding
    keep_curves : (batch, stem) bool, False drops that stem's curves
    """

    global_embedding: torch.Tensor
    stem_embedding: torch.Tensor
    curves: torch.Tensor
    keep_global: torch.Tensor | None = None
    keep_stem: torch.Tensor | None = None
    keep_curves: torch.Tensor | None = None

    def __len__(self) -> int:
        return int(self.global_embedding.shape[0])

    def replace(self, **changes: Any) -> Conditions:
        return replace(self, **changes)

    def map(self, function: Any) -> Conditions:
        """Apply `function` to every tensor that is there."""
        changed = {name: function(value) for name, value in vars(self).items() if value is not None}
        return replace(self, **changed)

    def to(self, *args: Any, **kwargs: Any) -> Conditions:
        return self.map(lambda tensor: tensor.to(*args, **kwargs))

    def __getitem__(self, index: slice) -> Conditions:
        return self.map(lambda tensor: tensor[index])
