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
_EGI = {32: "GSN-HydroCel-32", 65: "GSN-HydroCel-65_1.0", 129: "GSN-HydroCel-129", 257: "GSN-HydroCel-257"}
# The 10-05 names without the fiducials, so that names can be judged without importing MNE.
_STANDARD = re.compile(
    r"^(?:(?:FP|AF|AFP|AFF|F|FFC|FFT|FTT|FCC|FC|FT|C|CCP|CP|CPP|T|TP|TPP|TTP|P|PPO|PO|POO|O|OI|I)"
    r"(?:\d{1,2}|Z)H?|NZ|[AM][12])$"
)


def bare_name(name: str) -> str:
    """Take off what recorders add: "EEG Fp1-REF", "Fc5.", "POL C3" become "Fp1", "Fc5", "C3"."""
    text = re.sub(r"^(?:EEG|SEEG|ECOG|POL)[\s:_-]+(?=\S)", "", name.strip(), flags=re.IGNORECASE)
    text = re.sub(
        r"[\s_-]+(?:REF|LE|RE|AR|AVG|AVE|CAR|G\d|GND|REF\d|A1A2|M1M2|LER|A1|A2|M1|M2|CZ)$",
        "",
        text,
        flags=re.IGNORECASE,
    )
    return text.strip(" .'\"")


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
    ends = tuple(part.strip() for part in text.split("-"))
    if len(ends) == 2 and all(is_standard_name(end) for end in ends) and ends[1] not in ("A1", "A2", "M1", "M2"):
        return ends[0], ends[1]
    return None


def guess_positions(names: Sequence[str]) -> tuple[FloatArray, str | None]:
    """Positions by matching names: 10-05 first, then the letter-number caps of BioSemi and EGI.

    Returns (channel, 3) and the montage's name, or None where most names match nothing.
    """
    letters = _letters_of_biosemi(names)
    if letters:
        return _biosemi(names, letters), f"biosemi{_BIOSEMI[letters]}"
    standard = match_montage(names, DEFAULT)
    if np.isfinite(standard).all(axis=1).sum() > 0.5 * len(names):
        return standard, DEFAULT
    numbers = [int(match.group(1)) for name in names if (match := re.match(r"^E(\d{1,3})$", bare_name(name).upper()))]
    if len(numbers) > 0.8 * len(names) and len(numbers) >= 16:
        size = next((size for size in _EGI if max(numbers) <= size), None)
        if size is not None:
            return match_montage(names, _EGI[size]), _EGI[size]
    if np.isfinite(standard).any():
        return standard, DEFAULT
    return standard, None


def _letters_of_biosemi(names: Sequence[str]) -> str | None:
    """The banks of a BioSemi cap (A1..A32, B1..B32, ...) if that is what the names are."""
    split = [re.match(r"^([A-H])(\d{1,2})$", bare_name(name).upper()) for name in names]
    hits = [(match.group(1), int(match.group(2))) for match in split if match]
    if len(hits) < 0.8 * len(names) or len(hits) < 16 or max((number for _, number in hits), default=99) > 32:
        return None
    letters = "".join(sorted({letter for letter, _ in hits}))
    # A smaller cap is not a bigger one with banks missing, except that banks are filled in order.
    return next((banks for banks in _BIOSEMI if set(letters) <= set(banks)), None)


def _biosemi(names: Sequence[str], letters: str) -> FloatArray:
    size = _BIOSEMI[letters]
    table = template(f"biosemi{size}")
    if size > 64:
        return match_montage(names, f"biosemi{size}")
    # MNE lists the 32 and 64 caps under 10-20 names, in the order of the plugs A1, A2, ...
    order = list(table.values())
    positions = np.full((len(names), 3), np.nan, dtype=np.float32)
    for row, name in enumerate(names):
        match = re.match(r"^([A-H])(\d{1,2})$", bare_name(name).upper())
        if match:
            positions[row] = order[32 * letters.index(match.group(1)) + int(match.group(2)) - 1]
    return positions
