"""Finds the brain channels of a file and says for every other channel why it is left out.

A channel is judged by its type, its name, its unit and, only where its name says nothing, by its
own signal. No decision looks at another channel's samples, so that replacing a left-out channel
by anything changes nothing.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.recordings.channel_words import (
    BRAIN_TYPES,
    STATED_TYPES,
    TYPE_WORDS,
    is_sound,
    may_be_shaft,
    reason_by_name,
    type_in_words,
    volts_per,
)
from eeg2music.recordings.montages import bare_name, is_standard_name
from eeg2music.recordings.positions import is_cap
from eeg2music.types import FloatArray

_OTHER_UNITS = ("%", "bpm", "C", "°C", "deg", "Hz", "g", "m/s^2", "l/min", "Ohm", "kOhm", "S", "uS", "µS", "rad", "px")
_LOUD_V = 2e-3
_GENERIC_PREFIXES = {"", "E", "EEG", "CH", "CHAN", "CHANNEL", "A", "B", "C", "D", "F", "G", "H"}

Sample = Callable[[int], NDArray[np.float32]]


@dataclass(frozen=True)
class ChannelChoice:
    """Which channels of a file are the brain's.

    Attributes
    ----------
    kept : indices into the file's channels
    left_out : {channel name: why}
    kind : "eeg" | "ieeg" | "meg"
    """

    kept: tuple[int, ...]
    left_out: Mapping[str, str]
    kind: str
    notes: tuple[str, ...] = ()


def choose_channels(
    names: Sequence[str],
    types: Sequence[str],
    units: Sequence[str | None],
    *,
    sample: Sample,
    wanted: Sequence[str] | None = None,
    kind: str | None = None,
    positions_m: FloatArray | None = None,
) -> ChannelChoice:
    """Pick the brain channels, or exactly the `wanted` ones.

    Parameters
    ----------
    sample : index -> (time,) a stretch of that channel in volts; asked for channels of unknown names only
    wanted : names in any case; overrides every rule
    kind : "eeg" | "ieeg" | "meg" where the data set says it
    positions_m : (channel, 3) that the file gives, NaN where it gives none

    Raises
    ------
    InputError
        If a wanted channel does not exist, or no brain channel is left.
    """
    if wanted is not None:
        return _choose_wanted(names, types, units, wanted, kind, positions_m)
    eyes, contacts = _sleep_eyes(names), _contacts(names, kind, positions_m)
    reasons = [
        "eye movements (EOG), by its name"
        if names[i] in eyes
        else judge(names[i], types[i], units[i], functools.partial(sample, i), contact=names[i] in contacts)
        for i in range(len(names))
    ]
    kinds = [None if why else BRAIN_TYPES[type_] for why, type_ in zip(reasons, types, strict=True)]
    main = _main_kind(kinds)
    kept = [i for i, found in enumerate(kinds) if found == main and main is not None]
    left_out = {names[i]: why for i, why in enumerate(reasons) if why}
    left_out |= {
        names[i]: f"{found.upper()} beside the {str(main).upper()}"
        for i, found in enumerate(kinds)
        if found not in (None, main)
    }
    notes: tuple[str, ...] = ()
    if not kept:
        raise InputError(
            f"The file has no brain channel among its {len(names)}: {_summary(left_out)}",
            allowed="at least 4 EEG, iEEG or MEG channels",
            remedy="name the channels with --channels if they are EEG under other names",
        )
    found = _settled(str(main), kind, names, kept, positions_m)
    if kind is None and found != main:
        notes = ("channel names such as " + ", ".join(names[i] for i in kept[:3]) + " tell intracranial contacts",)
    return ChannelChoice(tuple(kept), left_out, found, notes)


def judge(
    name: str,
    type_: str,
    unit: str | None,
    sample: Callable[[], NDArray[np.float32]],
    *,
    contact: bool = False,
) -> str | None:
    """Why one channel is not a brain channel, or None if it is.

    Parameters
    ----------
    contact : whether the other names tell that this one is of a depth electrode, if it may be
    """
    if type_ not in BRAIN_TYPES:
        return TYPE_WORDS.get(type_, f"not a brain signal by its type ({type_in_words(type_)})")
    if BRAIN_TYPES[type_] == "meg":
        return None
    no_voltage = unit is not None and volts_per(unit) is None
    if is_standard_name(name):
        # "O2" with the unit % is oxygen; without any unit it is an electrode.
        return f"its unit is {unit}, no voltage" if no_voltage and unit in _OTHER_UNITS else None
    # "EEG" is what recorders and converters call everything; only a rarer type outweighs a name.
    stated = contact or (type_ in STATED_TYPES and not is_sound(name))
    by_name = None if stated else reason_by_name(name)
    if by_name is not None:
        return by_name
    if no_voltage:
        return f"its unit is {unit}, no voltage" if unit in _OTHER_UNITS else "its unit is no voltage"
    return judge_signal(sample())


def _contacts(names: Sequence[str], said: str | None, positions_m: FloatArray | None) -> set[str]:
    """Names that may be of depth electrodes, are four or more of one shaft, and stand among other shafts."""
    if said == "eeg" or (positions_m is not None and is_cap(positions_m)):
        return set()
    possible = [name for name in names if may_be_shaft(name) or reason_by_name(name) is None]
    if not looks_intracranial(possible):
        return set()
    shafts = _shafts(possible)
    return {name for name in possible if may_be_shaft(name) and _shaft_of(name) in shafts}


def _settled(
    main: str, said: str | None, names: Sequence[str], kept: Sequence[int], positions_m: FloatArray | None
) -> str:
    """The kind of the kept channels. Files call contacts EEG too: the data set says which, or places, or names."""
    if main != "eeg" or said == "eeg":
        return main
    if said is not None:
        return "ieeg" if said == "ieeg" else main
    if positions_m is not None and is_cap(positions_m[list(kept)]):
        return main
    return "ieeg" if looks_intracranial([names[i] for i in kept]) else main


def _sleep_eyes(names: Sequence[str]) -> set[str]:
    """E1 and E2 of a sleep recording sit beside the eyes; among E1..E128 they are electrodes of a net."""
    bare = {bare_name(name).upper(): name for name in names}
    if "E3" in bare or sum(is_standard_name(name) for name in names) < 3:
        return set()
    return {bare[name] for name in ("E1", "E2") if name in bare}


def judge_signal(signal: NDArray[np.float32]) -> str | None:
    """Why a channel of unknown name cannot be a brain signal, from its own (time,) samples in volts."""
    finite = signal[np.isfinite(signal)]
    if finite.size < 2 or np.ptp(finite) == 0:
        return None  # flat or empty: kept, and named as a bad channel later
    steps = np.diff(finite)
    levels = np.unique(finite[: 1 << 16]).size
    if levels <= 3 and np.count_nonzero(steps) < 0.01 * steps.size:
        return "steps between a few levels like a trigger, by its signal"
    centred = finite - np.median(finite)
    if 1.4826 * float(np.median(np.abs(centred))) > _LOUD_V:
        return f"swings by {1e3 * float(np.std(centred)):.3g} mV, far more than a brain's, by its signal"
    return None


def looks_intracranial(names: Sequence[str]) -> bool:
    """Whether names are those of grids, strips and depth electrodes (G1..G64, DAMT1..DAMT8).

    Shafts are prefixes with at least four contacts; two of them, and a minority of standard
    scalp names, are needed.
    """
    if sum(is_standard_name(name) for name in names) > 0.5 * len(names):
        return False
    return len(_shafts(names)) >= 2


def _shafts(names: Sequence[str]) -> set[str]:
    """Prefixes of four contacts or more, but for those that number any channels."""
    prefixes = Counter(_shaft_of(name) for name in names)
    return {prefix for prefix, count in prefixes.items() if prefix is not None and count >= 4} - _GENERIC_PREFIXES


def _shaft_of(name: str) -> str | None:
    """The prefix of a numbered name, such as DAMT of DAMT3, or None."""
    match = re.match(r"^([A-Za-z][A-Za-z'\s-]*?)\s*-?(\d{1,3})$", bare_name(name))
    return None if match is None else match.group(1).upper()


def _main_kind(kinds: Sequence[str | None]) -> str | None:
    """The kind to decode from: EEG where there is a cap of it, else whatever has most channels."""
    counts = Counter(kind for kind in kinds if kind is not None)
    if not counts:
        return None
    return "eeg" if counts["eeg"] >= 16 else counts.most_common(1)[0][0]


def _choose_wanted(
    names: Sequence[str],
    types: Sequence[str],
    units: Sequence[str | None],
    wanted: Sequence[str],
    kind: str | None,
    positions_m: FloatArray | None,
) -> ChannelChoice:
    by_name = {name.strip().upper(): i for i, name in enumerate(names)}
    unknown = [name for name in wanted if name.strip().upper() not in by_name]
    if unknown or not wanted:
        close = difflib.get_close_matches(unknown[0].strip().upper(), by_name, n=3, cutoff=0.4) if unknown else []
        shown = ", ".join(names[by_name[name]] for name in close)
        listed = ", ".join(repr(name) for name in unknown[:5])
        raise InputError(
            f"No channel named {listed} in the file" if unknown else "--channels names no channel",
            allowed=", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else ""),
            remedy=f"did you mean {shown}?" if shown else "take names from `eeg2music info`",
        )
    kept = tuple(dict.fromkeys(by_name[name.strip().upper()] for name in wanted))
    left_out = {name: "not among the channels asked for" for i, name in enumerate(names) if i not in set(kept)}
    kinds = [BRAIN_TYPES[types[i]] for i in kept if types[i] in BRAIN_TYPES]
    main = Counter(kinds).most_common(1)[0][0] if kinds else kind or "eeg"
    found, contacts = _settled(main, kind, names, kept, positions_m), _contacts(names, kind, positions_m)
    odd = [
        names[i]
        for i in kept
        if judge(names[i], types[i], units[i], lambda: np.zeros(0, np.float32), contact=names[i] in contacts)
    ]
    notes = (f"asked for although not a brain channel by type, name or unit: {', '.join(odd)}",) if odd else ()
    return ChannelChoice(kept, left_out, found, notes)


def _summary(left_out: Mapping[str, str]) -> str:
    counts = Counter(why.split(",")[0] for why in left_out.values())
    return ", ".join(f"{count} {why}" for why, count in counts.most_common(6)) or "it has no channels"
