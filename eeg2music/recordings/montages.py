"""Where electrodes of standard names sit: the 10-05 system and the caps of common makers.

Positions are metres in head coordinates (x to the right ear, y to the nose, z up; origin between
the ears). Template positions are an average head's, not the person's.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.types import FloatArray

DEFAULT = "colin27_1005"
_ALIASES = {
    "10-05": DEFAULT,
    "1005": DEFAULT,
    "10-10": "colin27_1005",
    "1010": "colin27_1005",
    "10-20": "colin27_1020",
    "1020": "colin27_1020",
    "standard_1005": "colin27_1005",
    "standard_1020": "colin27_1020",
    "standard_alphabetic": "colin27_alphabetic",
    "standard_postfixed": "colin27_postfixed",
    "standard_prefixed": "colin27_prefixed",
    "standard_primed": "colin27_primed",
}
_BIOSEMI = {"A": 32, "AB": 64, "ABCD": 128, "ABCDE": 160, "ABCDEFGH": 256}
_BANK = 32
# By the number of electrodes with the reference.
_EGI = {33: "GSN-HydroCel-32", 65: "GSN-HydroCel-65_1.0", 129: "GSN-HydroCel-129", 257: "GSN-HydroCel-257"}
# The 10-05 names without the fiducials, so that names can be judged without importing MNE.
_STANDARD = re.compile(
    r"^(?:(?:FP|AF|AFP|AFF|F|FFC|FFT|FTT|FCC|FC|FT|C|CCP|CP|CPP|T|TP|TPP|TTP|P|PPO|PO|POO|O|OI|I)"
    r"(?:\d{1,2}|Z)H?|NZ|[AM][12])$"
)


def bare_name(name: str) -> str:
    """Take off what recorders add: "EEG Fp1-REF", "Fc5.", "POL C3", "EEGO2" become "Fp1", "Fc5", "C3", "O2"."""
    text = re.sub(r"^(?:EEG|SEEG|ECOG|POL)[\s:_-]+(?=\S)", "", name.strip(), flags=re.IGNORECASE)
    text = re.sub(
        r"[\s_-]+(?:REF|LE|RE|AR|AVG|AVE|CAR|G\d|GND|REF\d|A1A2|M1M2|LER|A1|A2|M1|M2|CZ)$",
        "",
        text,
        flags=re.IGNORECASE,
    )
    text = text.strip(" .'\"")
    # Without a separator the rest has to be a place: EEG1 is a number.
    return text[3:] if text.upper().startswith("EEG") and _STANDARD.match(text[3:].upper()) else text


def is_standard_name(name: str) -> bool:
    """Whether a name is one of the 10-20, 10-10 or 10-05 system.

    >>> is_standard_name("EEG Fp1-REF"), is_standard_name("T3"), is_standard_name("AUX69")
    (True, True, False)
    """
    return bool(_STANDARD.match(bare_name(name).upper()))


def template(montage: str = DEFAULT) -> Mapping[str, NDArray[np.float64]]:
    """{NAME IN CAPITALS: (3,) metres in head coordinates} of a montage that MNE knows.

    Raises
    ------
    InputError
        If there is no such montage; names the nearest.
    """
    return _template(resolve_montage(montage))


@functools.lru_cache(maxsize=8)
def _template(montage: str) -> Mapping[str, NDArray[np.float64]]:
    from mne.channels import make_standard_montage
    from mne.channels.montage import transform_to_head

    from eeg2music.recordings.through_mne import quiet

    with quiet():
        placed = transform_to_head(make_standard_montage(montage)).get_positions()["ch_pos"]
    return {name.upper(): np.asarray(where, dtype=float) for name, where in placed.items()}


def resolve_montage(montage: str) -> str:
    """MNE's name of a montage."""
    from mne.channels import get_builtin_montages

    known = {name.lower(): name for name in get_builtin_montages()}
    known |= _ALIASES
    found = known.get(montage.strip().lower())
    if found is None:
        close = difflib.get_close_matches(montage.lower(), known, n=3, cutoff=0.3)
        raise InputError(
            f"No montage named {montage!r}",
            allowed="10-05, 10-20, " + ", ".join(sorted(get_builtin_montages())),
            remedy=f"did you mean {' or '.join(close)}?" if close else "name one of these, or leave --montage out",
        )
    return found


def match_montage(names: Sequence[str], montage: str) -> FloatArray:
    """(channel, 3) positions of `names` in one montage, NaN for names it lacks.

    Bipolar derivations ("Fp1-F7") sit half-way between their electrodes.
    """
    table = template(montage)
    positions = np.full((len(names), 3), np.nan, dtype=np.float32)
    for row, name in enumerate(names):
        for key in (name.strip().upper(), bare_name(name).upper()):
            if key in table:
                positions[row] = table[key]
                break
        else:
            ends = bipolar(name)
            if ends and all(end in table for end in ends):
                positions[row] = (table[ends[0]] + table[ends[1]]) / 2
    return positions


def bipolar(name: str) -> tuple[str, str] | None:
    """The two electrodes of a bipolar derivation of standard names, in capitals."""
    text = re.sub(r"^EEG[\s:_-]+", "", name.strip(), flags=re.IGNORECASE).upper()
    ends = tuple(bare_name(part) for part in text.split("-"))
    if len(ends) == 2 and all(is_standard_name(end) for end in ends) and ends[1] not in ("A1", "A2", "M1", "M2"):
        return ends[0], ends[1]
    return None


def guess_positions(names: Sequence[str]) -> tuple[FloatArray, str | None]:
    """Positions by matching names: the nets of EGI and the caps of BioSemi by letter and number, then 10-05.

    Returns (channel, 3) and the montage's name, or None where the names match nothing or only number the channels.
    """
    net = _size_of_net(names)
    if net is not None:
        return match_montage(names, _EGI[net]), _EGI[net]
    banks = _banks_of_biosemi(names)
    if banks is not None:
        return _biosemi(names, banks), f"biosemi{_BIOSEMI[banks]}"
    standard = match_montage(names, DEFAULT)
    known = np.isfinite(standard).all(axis=1)
    if counting(names):
        return np.full_like(standard, np.nan), None
    return standard, DEFAULT if known.any() else None


def counting(names: Sequence[str]) -> tuple[str, ...]:
    """The names that number the channels instead of placing them, if nearly all do: C1, C2, C3, ... C64.

    A prefix only counts where its numbers run from 1 and some of its names are no places, whatever the others are.
    """
    numbered: dict[str, dict[int, str]] = {}
    for name in names:
        match = re.match(r"^(\D*?)0*([1-9]\d{0,2})$", bare_name(name).upper())
        if match:
            numbered.setdefault(match.group(1), {})[int(match.group(2))] = name
    places = template()
    found: list[str] = []
    for prefix, of_number in numbered.items():
        runs = len(of_number) >= 0.8 * max(of_number)
        if runs and any(f"{prefix}{number}" not in places for number in of_number):
            found += of_number.values()
    return tuple(found) if len(found) > 0.8 * len(names) else ()


def _lettered(names: Sequence[str], letters: str) -> dict[str, set[int]]:
    """{letter: numbers} of names such as A1, where nearly all names and at least 16 are of this kind."""
    split = [re.match(rf"^([{letters}])(\d{{1,3}})$", bare_name(name).upper()) for name in names]
    found: dict[str, set[int]] = {}
    for match in split:
        if match:
            found.setdefault(match.group(1), set()).add(int(match.group(2)))
    count = sum(len(numbers) for numbers in found.values())
    return found if count >= max(16, 0.8 * len(names)) else {}


def _fills(numbers: set[int], size: int) -> bool:
    """Whether numbers are those of `size` electrodes, the last of which may be a reference of another name.

    Some may be missing, less than half, but not just all from some number on: then there are fewer electrodes.
    """
    largest = max(numbers)
    return largest <= size and 2 * len(numbers) > size and (largest >= size - 1 or len(numbers) < largest)


def _size_of_net(names: Sequence[str]) -> int | None:
    """The key of an EGI net in `_EGI` if E1, E2, ... are its electrodes."""
    numbers = _lettered(names, "E").get("E")
    return None if numbers is None else next((size for size in _EGI if _fills(numbers, size)), None)


def _banks_of_biosemi(names: Sequence[str]) -> str | None:
    """The banks of the smallest BioSemi cap (A1..A32, B1..B32, ...) that has the electrodes named.

    Banks are plugged in order: a cap without its bank A is none.
    """
    found = _lettered(names, "A-H")
    letters = "".join(sorted(found))
    if not letters or letters != "ABCDEFGH"[: len(letters)]:
        return None
    if not all(_fills(numbers, _BANK) for numbers in found.values()):
        return None
    return next(banks for banks in _BIOSEMI if banks.startswith(letters))


def _biosemi(names: Sequence[str], banks: str) -> FloatArray:
    size = _BIOSEMI[banks]
    table = template(f"biosemi{size}")
    if size > 64:
        return match_montage(names, f"biosemi{size}")
    # MNE lists the 32 and 64 caps under 10-20 names, in the order of the plugs A1, A2, ...
    order = list(table.values())
    positions = np.full((len(names), 3), np.nan, dtype=np.float32)
    for row, name in enumerate(names):
        match = re.match(r"^([A-H])(\d{1,2})$", bare_name(name).upper())
        if match:
            positions[row] = order[_BANK * banks.index(match.group(1)) + int(match.group(2)) - 1]
    return positions
