"""What every brain encoder takes, returns and refuses.

The contract of the folder. Holds no architecture and never reads a file itself
(saving and loading come from diffusers' mixins).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eeg2music.compat import mend_torchaudio
from eeg2music.errors import InputError
from eeg2music.types import EEG_RATE_HZ, REGIONS, Conditions, FloatArray, SignalSpec

mend_torchaudio()
from diffusers.configuration_utils import ConfigMixin, register_to_config  # noqa: E402
from diffusers.models.modeling_utils import ModelMixin  # noqa: E402

__all__ = [
    "BrainConditions", "Encoder", "Reading", "check_subjects", "clean_inputs", "register_to_config", "spec_from_dict",
]  # fmt: skip

UNSEEN = -1
# The subject of a recording that does not say whose it is.
NOBODY = "unknown"
# Below this many positioned channels, four regions cannot be told apart.
MIN_POSITIONED_CHANNELS = 4
# Robust deviations; beyond lies an artefact (Défossez et al. 2023, section "Preprocessing").
CLAMP = 20.0
# The curves run at half the rate of the signals.
FRAME_STRIDE = 2
# A curve that hardly moves is not made to.
MOST_GAIN = 4.0


class BrainConditions(NamedTuple):
    """What an encoder reads off a brain.

    global_embedding : (batch, embedding) unit norm, to be compared with the mix's
    stem_embedding : (batch, stem, embedding) unit norm, region k's for stem k
    curves : (batch, stem, curve, curve_frame) at 32 Hz, in the scale of `targets.curves`
    regions_known : (batch,) bool; False where electrode positions are missing, so that
        every stem carries the global embedding and the same curves
    """

    global_embedding: Tensor
    stem_embedding: Tensor
    curves: Tensor
    regions_known: Tensor


@dataclass(frozen=True)
class Reading:
    """What was read off the brain for one clip.

    Attributes
    ----------
    conditions : one row
    regions_known : (window,) bool, as in `BrainConditions`
    listener_known : whether the encoder was trained on this person, and used what it learned of them
    channel_weights : (region, channel) as in `Encoder.channel_weights`, None where the encoder has none
    """

    conditions: Conditions
    regions_known: NDArray[np.bool_]
    listener_known: bool = False
    channel_weights: FloatArray | None = None


class Encoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Base of all brain encoders.

    Subclasses take `signal_spec`, the mapping of `SignalSpec.to_dict()`, as their first
    argument, and store it in their config. `fitted_in_closed_form` says that the weights
    come from `fit`, not from gradients; `needs_positions`, that windows without electrode
    positions are refused. `learned_buffers` names buffers that are weights: the control with
    random weights replaces them. `personal_weights` names parameters whose first axis holds a row
    for each of `spec.subjects`, and perhaps one more, for everybody else. `exact_weights` names those that are not
    stored in half precision. `curves_layer` names the linear layer whose outputs (stem * curve) are the control curves.
    """

    config_name = "config.json"  # type: ignore[assignment]
    fitted_in_closed_form = False
    needs_positions = False
    learned_buffers: tuple[str, ...] = ()
    personal_weights: tuple[str, ...] = ()
    exact_weights: tuple[str, ...] = ()
    curves_layer: str | None = None

    @abstractmethod
    def forward(self, eeg: Tensor, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> BrainConditions:
        """Decode a batch of windows.

        Parameters
        ----------
        eeg : (batch, channel, time) at 64 Hz, each channel in robust deviations
        positions_m : (batch, channel, 3) head coordinates in metres, NaN where unknown
        channel_mask : (batch, channel) bool, False for channels that are bad or padding
        subject : (batch,) int64, index into `spec.subjects`, -1 for a person not trained on
        """

    @classmethod
    def build(cls, spec: SignalSpec, training_manifest: Mapping[str, Any] | None = None, **options: Any) -> Self:
        """A fresh encoder for signals of that kind; what it will be trained on is stored in its config."""
        make: Callable[..., Self] = cls
        return make(signal_spec=spec.to_dict(), training_manifest=training_manifest, **options)

    def fit(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Fit an encoder whose weights have a closed form.

        Parameters
        ----------
        batches : eeg, positions_m, channel_mask, subject as in `forward`, embedding (batch, 1 + stem, embedding)
            and curves (batch, stem, curve, frame); walked through once or more
        """
        raise InputError(f"{type(self).__name__} is trained by gradients", remedy="use `eeg2music train encoder`")

    def for_people(self, state: Mapping[str, Tensor], known: Sequence[str]) -> dict[str, Tensor]:
        """Another encoder's weights made to fit this one's people, to begin a training with.

        Parameters
        ----------
        state : of an encoder of the same class and sizes
        known : its people, in the order of their rows

        Returns
        -------
        The state, its personal weights rearranged: people of `spec.subjects` whom it does not know begin like anybody
        it was not trained on.
        """
        row = {label: index for index, label in enumerate(known)}
        chosen = [row.get(label, len(known)) for label in self.spec.subjects]
        fitting = dict(state)
        for name in self.personal_weights:
            if name in state and len(state[name]) in (len(known), len(known) + 1):
                rest = state[name][len(known) :]
                # Without a row for everybody else, a person's weights are changes of what all share.
                anybody = rest if len(rest) else state[name].new_zeros(1, *state[name].shape[1:])
                fitting[name] = torch.cat([torch.cat([state[name][: len(known)], anybody])[chosen], rest])
        return fitting

    def precondition(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Prepare for a training by gradients, by what its windows are like; `settle` undoes it.

        What the encoder computes stays the same. Most encoders need none.

        Parameters
        ----------
        batches : eeg, positions_m, channel_mask, subject as in `forward`
        """

    def settle(self) -> None:
        """Leave the state that `precondition` set up: weights are kept as everybody loads them."""

    @torch.no_grad()
    def match_curves(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Give decoded curves the means and spreads of heard ones, each stem's and each curve's by itself.

        A training at low signal-to-noise ratios draws curves towards their means, and the generator has met none so
        flat. Their correlation with what was heard stays as it is. Encoders without a `curves_layer` are left alone.

        Parameters
        ----------
        batches : eeg, positions_m, channel_mask, subject as in `forward`, and curves (batch, stem, curve, frame)
        """
        if self.curves_layer is None:
            return
        parts = []
        for batch in batches:
            names = ("eeg", "positions_m", "channel_mask", "subject")
            out = self(*(batch[name].to(self.device) for name in names))
            # Of windows without positions they come from elsewhere.
            parts.append(torch.stack([out.curves, batch["curves"].to(self.device)])[:, out.regions_known])
        made, heard = torch.cat(parts, 1).double().cpu()
        if len(made) == 0:
            return
        spread, wanted = (curves.var(-1).mean(0).sqrt() for curves in (made, heard))
        gain = (wanted / spread.clamp_min(1e-9)).clamp(1.0 / MOST_GAIN, MOST_GAIN)
        offset = heard.mean((0, -1)) - gain * made.mean((0, -1))
        layer: torch.nn.Conv2d = self.get_submodule(self.curves_layer)  # type: ignore[assignment]
        layer.weight.mul_(gain.to(layer.weight).flatten()[:, None, None, None])
        if layer.bias is not None:
            layer.bias.mul_(gain.to(layer.bias).flatten()).add_(offset.to(layer.bias).flatten())

    def channel_weights(self, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> Tensor | None:
        """How strongly each region's stream weighs each channel; None for encoders without such weights.

        (batch, channel, 3), (batch, channel), (batch,) -> (batch, region, channel), non-negative, sums to one over
        channels; zeros for channels that take no part, and all zeros where the regions are not told apart.
        """
        return None

    @property
    def spec(self) -> SignalSpec:
        """The sizes that the training data decided."""
        return spec_from_dict(self.config["signal_spec"])

    def subject_index(self, labels: Sequence[str]) -> Tensor:
        """(batch,) int64: each label's index, -1 for people not trained on and for recordings that name nobody."""
        known = {label: index for index, label in enumerate(self.spec.subjects) if label != NOBODY}
        return torch.tensor([known.get(label, UNSEEN) for label in labels], dtype=torch.int64)


def spec_from_dict(values: Mapping[str, Any]) -> SignalSpec:
    """The inverse of `SignalSpec.to_dict`."""
    return SignalSpec(
        kind=str(values["kind"]),
        sfreq_hz=float(values["sfreq_hz"]),
        subjects=tuple(values["subjects"]),
        regions=tuple(values.get("regions", REGIONS)),
        n_channels_max=int(values.get("n_channels_max", 0)),
    )


def clean_inputs(eeg: Tensor, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> tuple[Tensor, Tensor]:
    """Check shapes, zero the masked channels and clamp artefacts.

    Returns
    -------
    (eeg, positioned): the signals with masked channels zero, whatever they held, and
    (batch, channel) bool for channels that are in use and have a position.

    Raises
    ------
    InputError
        On shapes that do not fit together, on windows without a usable channel, or on
        values that are not finite in channels that are in use.
    """
    _check_shapes(eeg, positions_m, channel_mask, subject)
    mask = channel_mask.bool()
    if not bool(mask.any(1).all()):
        raise InputError("A window has no usable channel", remedy="leave such windows out")
    eeg = torch.where(mask[..., None], eeg, torch.zeros((), dtype=eeg.dtype, device=eeg.device))
    if not bool(torch.isfinite(eeg).all()):
        raise InputError(
            "A channel in use holds values that are not finite",
            allowed="numbers in robust deviations",
            remedy="mark the channel as bad in channel_mask",
        )
    positioned = mask & torch.isfinite(positions_m).all(-1)
    return eeg.clamp(-CLAMP, CLAMP), positioned


def _check_shapes(eeg: Tensor, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> None:
    batch, channels = eeg.shape[0], eeg.shape[1] if eeg.ndim == 3 else -1
    expected = {
        "positions_m": (positions_m, (batch, channels, 3)),
        "channel_mask": (channel_mask, (batch, channels)),
        "subject": (subject, (batch,)),
    }
    if eeg.ndim != 3 or eeg.shape[-1] < FRAME_STRIDE:
        raise InputError(f"eeg has shape {tuple(eeg.shape)}", allowed=f"(batch, channel, time) at {EEG_RATE_HZ} Hz")
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise InputError(f"{name} has shape {tuple(tensor.shape)}", allowed=f"{shape} for this eeg")


def check_subjects(subject: Tensor, known: int) -> None:
    """Refuse subject indices outside -1 ... known - 1."""
    if bool(((subject < UNSEEN) | (subject >= known)).any()):
        raise InputError(
            f"A subject index is outside of the {known} people trained on",
            allowed=f"0 to {known - 1}, or {UNSEEN} for anybody else",
        )
