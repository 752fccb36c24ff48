"""The words that recorders use for channels that are not the brain's.

Tables and one look-up; never sees a signal.
"""

from __future__ import annotations

import re

from eeg2music.recordings.montages import bare_name

BRAIN_TYPES = {
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
TYPE_WORDS = {
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
# Further types that formats and recorders use. Any other text may be somebody's own, and is not repeated.
# fmt: off
_OTHER_TYPES = (
    "markers", "marker", "stimulus", "trigger", "events", "accelerometer", "accel", "acc", "gyro", "mocap", "gaze",
    "gamepad", "mouse", "keyboard", "position", "video", "signal", "quality", "battery", "impedance", "ppg", "eda",
    "ekg", "nirs", "fnirs", "hbo", "hbr", "chpi", "dipole", "gof", "exci", "ias", "other",
)
# fmt: on
_SPOKEN_TYPES = frozenset((*BRAIN_TYPES, *TYPE_WORDS, *_OTHER_TYPES))
_NAME_RULES: tuple[tuple[str, str], ...] = (
    (
        r"[VH]?EO[GUL](?:[VHLRUD]|\d|UP|DOWN|LEFT|RIGHT)*|EOG(?:HORI|VERT)\w*|[LR]EOG|[LR]OC|HE[LR]?O?G?|VE[LRU]?O?G?|EYE\w*",
        "eye movements (EOG)",
    ),
    (r"(?:L|R|LEFT|RIGHT)?(?:EMG|CHIN|MASSETER|TIBIAL?|LAT|RAT|LLEG|RLEG)\w*", "muscle (EMG)"),
    (r"(?:ECG|EKG)\w*", "heart (ECG)"),
    (r"(?:AUX|BIP|EXG|EX|ISO|ANA|DC|ADC|AI)\d*|AUXILIARY\w*", "auxiliary input"),
    (
        r"STATUS|STI\d*|STIM\w*|TRIG\w*|TRG\d*|MARK\w*|EVENT\w*|DIG\w*|DIN\d*|BUTTON\w*|RESPONSE\w*|CODE|ANNOTATIONS?"
        r"|EDFANNOTATIONS?|BDFANNOTATIONS?|KEYPAD\w*|SYNC\w*",
        "trigger, button or digital channel",
    ),
    (r"PLETH?\w*|PPG\w*|BVP|OSAT|SPO?2|SAO2|PR|HR|PULSE\w*|OX\w*STATUS", "pulse or blood oxygen"),
    (r"RESP[\w-]*|THOR\w*|ABD\w*|CHEST|AIRFLOW|FLOW|NASAL\w*|SNORE?\w*|BREATH\w*|CANNULA|CO2|ETCO2", "respiration"),
    (r"TEMP\w*|SKT", "temperature"),
    (r"GSR\d*|EDA|SCR|SCL", "skin conductance"),
    (r"ACC?(?:EL\w*)?[XYZ]?\d*|GYRO?\w*|MAG[XYZ]|[XYZ]ACC\w*|BODY\w*|POSITION|MOTION\w*|QUAT\w*", "movement sensor"),
    (
        r"AUDIO\w*|SOUND\w*|MIC\w*|WAV\w*|ENVELOPE\w*|SPEECH\w*|MUSIC\w*|STEREO\w*|SPEAKER\w*",
        "sound as played or recorded",
    ),
    (r"PHOTO\w*|DIODE\w*|LIGHT\w*|LUX", "light sensor"),
    (r"GAZE\w*|PUPIL\w*|DIAMETER\w*", "eye tracker"),
    (r"ERG\d*", "eye (ERG)"),
    (
        r"COUNTER\w*|TIME\w*|SAMPLE\w*|PACKET\w*|BATT\w*|CQ\w*|INTERPOLATED|ERROR\w*|IMP\w*|CMS\w*|DRL\w*|CHECKSUM",
        "recorder's own channel",
    ),
    (r"GND|GROUND|REF\d*|REFERENCE", "ground or reference electrode"),
    (r"NC\d*|UNUSED\d*|EMPTY\d*|NONE\d*|OFF\d*|DUMMY\d*|BLANK\d*|OPEN\d*|N/?A|-*", "unconnected input"),
)
_NAME_PATTERNS = tuple((re.compile(rf"^(?:{pattern})$"), why) for pattern, why in _NAME_RULES)
# Names above that are also written on depth electrodes: L/R (anterior) temporal, cingulate, insula, temporal pole.
_ALSO_SHAFTS = re.compile(r"^(?:LAT|RAT|ACC|AI|TEMP)\d{1,2}$")
# Sound that was played must not reach the brain channels, whatever a file says of its type.
_SOUND = "sound as played or recorded, by its name"
# Types that nobody is given by default: who writes them means them.
STATED_TYPES = frozenset({"seeg", "ecog", "dbs"})
_VOLTS = {
    **dict.fromkeys(("v", "volt", "volts"), 1.0),
    **dict.fromkeys(("mv", "millivolt", "millivolts"), 1e-3),
    **dict.fromkeys(("uv", "microv", "microvolt", "microvolts"), 1e-6),
    **dict.fromkeys(("nv", "nanovolt", "nanovolts"), 1e-9),
}
_MICRO = str.maketrans({"\u00b5": "u", "\u03bc": "u"})  # the micro sign and the Greek letter


def volts_per(unit: str) -> float | None:
    """Factor from a unit to volts, or None for what is no voltage.

    >>> volts_per("mV"), volts_per("\u03bcV"), volts_per("\u00b5V"), volts_per("Microvolt"), volts_per("bpm")
    (0.001, 1e-06, 1e-06, 1e-06, None)
    """
    return _VOLTS.get(unit.strip().translate(_MICRO).lower())


def type_in_words(type_: str) -> str:
    """A type as the file gives it where it is a known word; types can be free text, which may name a person.

    >>> type_in_words("Audio"), type_in_words("Ada's left hand"), type_in_words("")
    ('Audio', 'another type', 'no type')
    """
    if not type_:
        return "no type"
    return type_ if type_.lower() in _SPOKEN_TYPES else "another type"


def reason_by_name(name: str) -> str | None:
    """Why a channel of this name is no brain channel, or None where the name says nothing.

    >>> reason_by_name("AUX69"), reason_by_name("EKGL"), reason_by_name("G12")
    ('auxiliary input, by its name', 'heart (ECG), by its name', None)
    """
    plain = _plain(name)
    found = next((why for pattern, why in _NAME_PATTERNS if pattern.match(plain)), None)
    return None if found is None else f"{found}, by its name"


def is_sound(name: str) -> bool:
    """Whether a name is that of sound as played or recorded."""
    return reason_by_name(name) == _SOUND


def may_be_shaft(name: str) -> bool:
    """Whether a name that recorders use for something else is also one of contacts of a depth electrode.

    >>> may_be_shaft("LAT4"), may_be_shaft("ACC_X"), may_be_shaft("AUX69")
    (True, False, False)
    """
    return bool(_ALSO_SHAFTS.match(_plain(name)))


def _plain(name: str) -> str:
    return re.sub(r"[\s_.+]", "", bare_name(name).upper())
