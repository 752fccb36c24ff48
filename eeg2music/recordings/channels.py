"""Finds the brain channels of a file and says for every other channel why it is left out.

A channel is judged by its type, its name, its unit and, only where its name says nothing, by its
own signal. No decision looks at another channel's samples, so that replacing a left-out channel
by anything changes nothing.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.recordings.montages import bare_name, is_standard_name

_BRAIN_TYPES = {
    "eeg": "eeg",
    "csd": "eeg",
    "ieeg": "ieeg",
    "ecog": "ieeg",
    "seeg": "ieeg",
    "dbs": "ieeg",
    "mag": "meg",
    "grad": "meg",
    "meg": "meg",
    "meggradaxial": "meg",
    "megmag": "meg",
    "meggradplanar": "meg",
}
_TYPE_WORDS = {
    "eog": "eye movements (EOG)",
    "veog": "eye movements (EOG)",
    "heog": "eye movements (EOG)",
    "emg": "muscle (EMG)",
    "ecg": "heart (ECG)",
    "stim": "trigger channel",
    "trig": "trigger channel",
    "resp": "respiration",
    "bio": "other body signal",
    "gsr": "skin conductance",
    "temperature": "temperature",
    "temp": "temperature",
    "misc": "not a brain signal by its type (misc)",
    "aux": "auxiliary input",
    "audio": "sound",
    "ref_meg": "MEG reference sensor",
    "ref": "reference electrode",
    "syst": "system channel",
    "eyegaze": "eye tracker",
    "pupil": "eye tracker",
}
_NAME_RULES: tuple[tuple[str, str], ...] = (
    (r"[VH]?EO[GUL](?:[VHLRUD]|\d|UP|DOWN|LEFT|RIGHT)*|[LR]EOG|[LR]OC|HE[LR]?O?G?|VE[LRU]?O?G?|EYE\w*", "eye movements (EOG)"),
    (r"(?:L|R|LEFT|RIGHT)?(?:EMG|CHIN|MASSETER|TIBIAL?|LAT|RAT|LLEG|RLEG)\w*", "muscle (EMG)"),
    (r"(?:ECG|EKG)\w*", "heart (ECG)"),
    (r"(?:AUX|BIP|EXG|EX|ISO|ANA|DC|ADC|AI)\d*|AUXILIARY\w*", "auxiliary input"),
    (r"STATUS|STI\d*|STIM\w*|TRIG\w*|TRG\d*|MARK\w*|EVENT\w*|DIG\w*|DIN\d*|BUTTON\w*|RESPONSE\w*|CODE|ANNOTATIONS?"
     r"|EDFANNOTATIONS?|BDFANNOTATIONS?|KEYPAD\w*|SYNC\w*", "trigger, button or digital channel"),
    (r"PLETH?\w*|PPG\w*|BVP|OSAT|SPO?2|SAO2|PR|HR|PULSE\w*|OX\w*STATUS", "pulse or blood oxygen"),
    (r"RESP\w*|THOR\w*|ABD\w*|CHEST|AIRFLOW|FLOW|NASAL\w*|SNORE?\w*|BREATH\w*|CANNULA|CO2|ETCO2", "respiration"),
    (r"TEMP\w*|SKT", "temperature"),
    (r"GSR\d*|EDA|SCR|SCL", "skin conductance"),
    (r"ACC?(?:EL\w*)?[XYZ]?\d*|GYRO?\w*|MAG[XYZ]|[XYZ]ACC\w*|BODY\w*|POSITION|MOTION\w*|QUAT\w*", "movement sensor"),
    (r"AUDIO\w*|SOUND\w*|MIC\w*|WAV\w*|ENVELOPE\w*|SPEECH\w*|MUSIC\w*|STEREO\w*|SPEAKER\w*", "sound as played or recorded"),
    (r"PHOTO\w*|DIODE\w*|LIGHT\w*|LUX", "light sensor"),
    (r"GAZE\w*|PUPIL\w*|DIAMETER\w*", "eye tracker"),
    (r"ERG\d*", "eye (ERG)"),
    (r"COUNTER\w*|TIME\w*|SAMPLE\w*|PACKET\w*|BATT\w*|CQ\w*|INTERPOLATED|ERROR\w*|IMP\w*|CMS\w*|DRL\w*|CHECKSUM",
     "recorder's own channel"),
    (r"GND|GROUND|REF\d*|REFERENCE", "ground or reference electrode"),
    (r"NC\d*|UNUSED\d*|EMPTY\d*|NONE\d*|OFF\d*|DUMMY\d*|BLANK\d*|OPEN\d*|N/?A|-*", "unconnected input"),
)
_NAME_PATTERNS = tuple((re.compile(rf"^(?:{pattern})$"), why) for pattern, why in _NAME_RULES)
_VOLTAGE_UNITS = ("v", "mv", "µv", "uv", "nv", "volt", "volts", "microvolts", "microv", "t", "t/m", "t/cm", "ft", "ft/cm")
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
) -> ChannelChoice:
    """Pick the brain channels, or exactly the `wanted` ones.

    Parameters
    ----------
    sample : index -> (time,) a stretch of that channel in volts; asked for channels of unknown names only
    wanted : names in any case; overrides every rule
    kind : "eeg" | "ieeg" | "meg" where the data set says it

    Raises
    ------
    InputError
        If a wanted channel does not exist, or no brain channel is left.
    """
    if wanted is not None:
        return _choose_wanted(names, types, units, wanted, kind)
    reasons = [
        judge(name, type_, unit, lambda i=i: sample(i)) for i, (name, type_, unit) in enumerate(zip(names, types, units, strict=True))
    ]
    kinds = [None if why else _BRAIN_TYPES[type_] for why, type_ in zip(reasons, types, strict=True)]
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
    if kind is None and main == "eeg" and looks_intracranial([names[i] for i in kept]):
        main = "ieeg"
        notes = ("channel names such as " + ", ".join(names[i] for i in kept[:3]) + " tell intracranial contacts",)
    return ChannelChoice(tuple(kept), left_out, kind or str(main), notes)


def judge(name: str, type_: str, unit: str | None, sample: Callable[[], NDArray[np.float32]]) -> str | None:
    """Why one channel is not a brain channel, or None if it is."""
    if type_ not in _BRAIN_TYPES:
        return _TYPE_WORDS.get(type_, f"not a brain signal by its type ({type_})")
    if _BRAIN_TYPES[type_] == "meg":
        return None
    if is_standard_name(name):
        return None
    plain = re.sub(r"[\s_.+]", "", bare_name(name).upper())
    for pattern, why in _NAME_PATTERNS:
        if pattern.match(plain):
            return f"{why}, by its name"
    if unit is not None and unit.lower() not in _VOLTAGE_UNITS:
        return f"its unit is {unit if len(unit) <= 8 else 'no voltage'}, no voltage"
    return judge_signal(sample())


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
    split = [re.match(r"^([A-Za-z][A-Za-z'\s-]*?)\s*-?(\d{1,3})$", bare_name(name)) for name in names]
    prefixes = Counter(match.group(1).upper() for match in split if match)
    shafts = {prefix for prefix, count in prefixes.items() if count >= 4}
    return len(shafts - _GENERIC_PREFIXES) >= 2


def _main_kind(kinds: Sequence[str | None]) -> str | None:
    """The kind to decode from: EEG where there is a cap of it, else whatever has most channels."""
    counts = Counter(kind for kind in kinds if kind is not None)
    if not counts:
        return None
    return "eeg" if counts["eeg"] >= 16 else counts.most_common(1)[0][0]


def _choose_wanted(
    names: Sequence[str], types: Sequence[str], units: Sequence[str | None], wanted: Sequence[str], kind: str | None
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
    kinds = [_BRAIN_TYPES[types[i]] for i in kept if types[i] in _BRAIN_TYPES]
    found = kind or (Counter(kinds).most_common(1)[0][0] if kinds else "eeg")
    if kind is None and found == "eeg" and looks_intracranial([names[i] for i in kept]):
        found = "ieeg"
    odd = [names[i] for i in kept if judge(names[i], types[i], units[i], lambda: np.zeros(0, np.float32))]
    notes = (f"asked for although not a brain channel by type, name or unit: {', '.join(odd)}",) if odd else ()
    return ChannelChoice(kept, left_out, found, notes)


def _summary(left_out: Mapping[str, str]) -> str:
    counts = Counter(why.split(",")[0] for why in left_out.values())
    return ", ".join(f"{count} {why}" for why, count in counts.most_common(6)) or "it has no channels"
