"""Every instrument by name: its voice, its range, its General MIDI program and the words that describe it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eeg2music.simulation.instruments.electronic import FrequencyModulation, Subtractive
from eeg2music.simulation.instruments.engine import Array, NoteRequest
from eeg2music.simulation.instruments.modal import Piano, Struck
from eeg2music.simulation.instruments.percussion import KITS
from eeg2music.simulation.instruments.plucked import Plucked
from eeg2music.simulation.instruments.sustained import Organ, Sustained

Voice = Callable[[NoteRequest], Array]


@dataclass(frozen=True)
class Instrument:
    """A playable instrument.

    Attributes:
        low, high: range in MIDI pitches.
        program: General MIDI program, 0-based.
        words: how a caption may call it.
        drive: saturation applied to the whole stem (an amplifier hears the sum of the strings).
        sustained: whether notes are held (True) or decay by themselves.
    """

    name: str
    family: str
    voice: Voice
    low: int
    high: int
    program: int
    words: tuple[str, ...]
    drive: float = 0.0
    sustained: bool = False


_GUITAR = ((105.0, 40.0, 1.2), (215.0, 70.0, 1.0), (430.0, 150.0, 0.6), (2400.0, 1200.0, 0.5))
_HARP = ((180.0, 120.0, 0.8), (520.0, 300.0, 0.6))
_BASS_BODY = ((70.0, 40.0, 1.0), (180.0, 90.0, 0.9), (700.0, 400.0, 0.4))
_VIOLIN = ((290.0, 80.0, 1.5), (480.0, 120.0, 1.2), (1100.0, 500.0, 0.8), (2800.0, 1300.0, 1.1))
_CELLO = ((110.0, 50.0, 1.2), (210.0, 80.0, 1.2), (420.0, 180.0, 0.8), (1600.0, 900.0, 0.6))
_OBOE = ((1050.0, 350.0, 2.2), (2900.0, 700.0, 1.0))
_SAX = ((650.0, 400.0, 1.2), (1450.0, 600.0, 1.1), (3000.0, 1200.0, 0.6))
_TRUMPET = ((1250.0, 700.0, 1.6), (2700.0, 1200.0, 0.8))
_HORN = ((380.0, 260.0, 1.4), (800.0, 500.0, 0.7))
_AH = ((730.0, 160.0, 2.6), (1150.0, 200.0, 1.8), (2650.0, 400.0, 0.9))
_OH = ((470.0, 130.0, 2.6), (850.0, 180.0, 1.6), (2550.0, 400.0, 0.5))
_MUTE = ((1500.0, 500.0, 2.0), (4200.0, 2000.0, 0.8))

_BAR = (1.0, 3.93, 9.2, 14.6)
# fmt: off
_CATALOGUE = (
    # plucked
    Instrument("nylon_guitar", "plucked", Plucked(2.6, 3.0, 1.5, 0.2, 0.3, _GUITAR), 40, 84, 24,
        ("nylon guitar", "classical guitar")),
    Instrument("steel_guitar", "plucked", Plucked(4.0, 1.4, 1.05, 0.13, 0.4, _GUITAR, 2), 40, 84, 25,
        ("steel-string guitar", "acoustic guitar")),
    Instrument("electric_guitar", "plucked", Plucked(4.5, 1.8, 1.15, 0.24, 0.25), 40, 86, 27,
        ("clean electric guitar", "electric guitar")),
    Instrument("muted_guitar", "plucked", Plucked(0.35, 3.0, 1.1, 0.1, 0.6), 40, 84, 28,
        ("muted guitar", "palm-muted guitar")),
    Instrument("distorted_guitar", "plucked", Plucked(6.0, 0.9, 0.9, 0.16, 0.3, (), 2, 0.1), 40, 84, 30,
        ("distorted guitar", "overdriven guitar"), drive=7.0),
    Instrument("harp", "plucked", Plucked(3.6, 2.0, 1.7, 0.42, 0.2, _HARP, 1, 0.5), 36, 96, 46, ("harp",)),
    Instrument("harpsichord", "plucked", Plucked(2.8, 0.9, 0.7, 0.09, 0.4, _HARP, 2), 36, 88, 6, ("harpsichord",)),
    Instrument("koto", "plucked", Plucked(2.0, 1.0, 0.85, 0.06, 0.6, ((320.0, 120.0, 1.4),)), 45, 88, 107,
        ("koto", "zither")),
    Instrument("banjo", "plucked", Plucked(0.9, 0.9, 0.75, 0.1, 0.5, ((420.0, 200.0, 1.6), (1900.0, 900.0, 1.0))), 48,
        86, 105, ("banjo",)),
    Instrument("pizzicato_strings", "plucked", Plucked(0.6, 2.2, 1.35, 0.27, 0.4, _CELLO, 2), 36, 88, 45,
        ("pizzicato strings",)),
    Instrument("clavinet", "plucked", Plucked(1.5, 1.0, 0.8, 0.07, 0.3, ((1300.0, 900.0, 1.0),)), 36, 88, 7,
        ("clavinet",), drive=1.0),
    Instrument("upright_bass", "plucked", Plucked(1.5, 4.0, 1.7, 0.3, 0.35, _BASS_BODY), 26, 62, 32,
        ("upright bass", "double bass")),
    Instrument("fingered_bass", "plucked", Plucked(3.2, 2.6, 1.45, 0.22, 0.25), 26, 64, 33,
        ("electric bass", "fingered bass")),
    Instrument("picked_bass", "plucked", Plucked(3.6, 1.3, 0.95, 0.12, 0.35), 26, 64, 34, ("picked bass",), drive=1.2),
    Instrument("slap_bass", "plucked", Plucked(2.4, 1.0, 0.8, 0.06, 0.8), 26, 64, 36, ("slap bass",), drive=0.6),
    # bowed
    Instrument("violin", "bowed", Sustained(0.95, 1.0, _VIOLIN, 0.5, 0.07, 0.1, 0.03), 55, 98, 40,
        ("violin", "solo violin"), sustained=True),
    Instrument("cello", "bowed", Sustained(1.05, 1.0, _CELLO, 0.5, 0.08, 0.14, 0.03), 36, 76, 42, ("cello",),
        sustained=True),
    Instrument("bowed_bass", "bowed", Sustained(1.1, 1.0, _BASS_BODY, 0.5, 0.09, 0.15, 0.04, 700.0, 1, 9.0, 9.0), 26,
        60, 43, ("bowed double bass",), sustained=True),
    Instrument("string_ensemble", "bowed", Sustained(1.05, 1.0, _VIOLIN, 0.6, 0.16, 0.3, 0.03, 0.0, 4, 16.0, 14.0), 36,
        91, 48, ("string section", "strings"), sustained=True),
    # blown
    Instrument("flute", "blown", Sustained(2.0, 0.75, ((700.0, 600.0, 0.8),), 0.7, 0.06, 0.09, 0.12, 0.0, 1, 9.0, 12.0,
        5.2, 0.25), 60, 98, 73, ("flute",), sustained=True),
    Instrument("clarinet", "blown", Sustained(1.15, 0.1, ((1500.0, 700.0, 0.8),), 0.6, 0.04, 0.07, 0.03, 0.0, 1, 9.0,
        5.0), 50, 91, 71, ("clarinet",), sustained=True),
    Instrument("oboe", "blown", Sustained(0.95, 0.9, _OBOE, 0.35, 0.04, 0.07, 0.02), 58, 91, 68, ("oboe",),
        sustained=True),
    Instrument("saxophone", "blown", Sustained(0.9, 0.9, _SAX, 0.45, 0.035, 0.07, 0.08, 2500.0, 1, 9.0, 18.0, 5.0,
        0.15), 46, 86, 65, ("saxophone", "alto sax"), sustained=True),
    Instrument("trumpet", "blown", Sustained(0.85, 1.0, _TRUMPET, 0.4, 0.03, 0.06, 0.02, 0.0, 1, 9.0, 9.0, 5.6, 0.1,
        0.4, 0.08), 55, 86, 56, ("trumpet",), sustained=True),
    Instrument("muted_trumpet", "blown", Sustained(0.7, 1.0, _MUTE, 0.15, 0.03, 0.06, 0.03), 55, 86, 59,
        ("muted trumpet",), sustained=True),
    Instrument("french_horn", "blown", Sustained(1.3, 1.0, _HORN, 0.4, 0.06, 0.12, 0.02, 0.0, 2, 5.0, 5.0), 41, 79, 60,
        ("french horn", "horns"), sustained=True),
    Instrument("tuba", "blown", Sustained(1.35, 1.0, ((180.0, 150.0, 1.2), (420.0, 300.0, 0.6)), 0.5, 0.04, 0.08, 0.03,
        300.0, 1, 9.0, 4.0), 26, 60, 58, ("tuba",), sustained=True),
    Instrument("pan_flute", "blown", Sustained(1.6, 0.2, (), 1.0, 0.03, 0.12, 0.22, 0.0, 1, 9.0, 10.0, 4.8, 0.2), 58,
        96, 75, ("pan flute",), sustained=True),
    Instrument("harmonica", "blown", Sustained(0.7, 0.8, ((1000.0, 900.0, 1.0), (2600.0, 900.0, 1.2)), 0.4, 0.03, 0.06,
        0.05, 0.0, 2, 7.0, 10.0, 5.5, 0.35), 58, 91, 22, ("harmonica",), sustained=True),
    Instrument("accordion", "blown", Sustained(0.75, 0.9, ((900.0, 800.0, 0.8), (2300.0, 1200.0, 0.8)), 0.6, 0.04,
        0.07, 0.02, 0.0, 3, 14.0, 2.0), 41, 91, 21, ("accordion",), sustained=True),
    # voices
    Instrument("choir", "voice", Sustained(0.9, 1.0, _AH, 0.12, 0.18, 0.35, 0.05, 2500.0, 4, 20.0, 18.0), 41, 86, 52,
        ("choir", "choir aahs"), sustained=True),
    Instrument("solo_voice", "voice", Sustained(0.9, 1.0, _OH, 0.12, 0.07, 0.12, 0.04, 2500.0, 1, 9.0, 32.0, 5.6), 50,
        84, 53, ("solo voice", "wordless voice"), sustained=True),
    # organs
    Instrument("drawbar_organ", "organ", Organ(((0.5, 0.8), (1.0, 1.0), (1.5, 0.8), (2.0, 0.6), (3.0, 0.4), (4.0, 0.4),
        (8.0, 0.3))), 36, 91, 16, ("drawbar organ", "electric organ"), drive=0.8, sustained=True),
    Instrument("pipe_organ", "organ", Organ(((0.5, 0.5), (1.0, 1.0), (2.0, 0.8), (3.0, 0.4), (4.0, 0.6), (6.0, 0.2),
        (8.0, 0.4)), 0.1, 3.5, 0.03, 0.2, 1.8), 33, 91, 19, ("pipe organ", "church organ"), sustained=True),
    # subtractive synthesizers
    Instrument("saw_lead", "synth", Subtractive("saw", 900.0, 2.5, 0.35, 0.35, 2, 12.0, 0.006, 1.0, 0.8, 0.09, 0.0,
        12.0), 48, 91, 81, ("saw lead", "sawtooth lead"), sustained=True),
    Instrument("square_lead", "synth", Subtractive("square", 1400.0, 1.6, 0.3, 0.2, 1, 0.0, 0.006, 1.0, 0.8, 0.08, 0.0,
        14.0), 48, 93, 80, ("square lead", "chip lead"), sustained=True),
    Instrument("synth_pad", "synth", Subtractive("saw", 500.0, 2.2, -0.8, 0.25, 3, 20.0, 0.22, 2.0, 0.9, 0.45), 36, 86,
        89, ("synth pad", "warm pad"), sustained=True),
    Instrument("pulse_pad", "synth", Subtractive("pulse", 650.0, 1.8, 0.9, 0.3, 2, 14.0, 0.12, 2.0, 0.85, 0.35), 36,
        88, 90, ("pulse pad", "polysynth"), sustained=True),
    Instrument("synth_pluck", "synth", Subtractive("saw", 380.0, 4.0, 0.12, 0.45, 2, 14.0, 0.002, 0.25, 0.1, 0.15), 40,
        93, 84, ("synth pluck", "plucked synth")),
    Instrument("synth_bass", "synth", Subtractive("saw", 300.0, 2.4, 0.18, 0.3, 1, 0.0, 0.003, 0.5, 0.6, 0.05, 0.4),
        26, 62, 38, ("synth bass",)),
    Instrument("acid_bass", "synth", Subtractive("saw", 260.0, 3.6, 0.16, 0.85, 1, 0.0, 0.002, 0.5, 0.5, 0.04), 26, 62,
        87, ("acid bass", "resonant synth bass"), drive=1.0),
    Instrument("square_bass", "synth", Subtractive("square", 420.0, 1.8, 0.12, 0.3, 1, 0.0, 0.003, 0.6, 0.7, 0.05), 26,
        62, 39, ("square bass", "hollow synth bass")),
    Instrument("triangle_bass", "synth", Subtractive("triangle", 700.0, 2.0, 0.2, 0.2, 1, 0.0, 0.004, 1.2, 0.8, 0.07),
        26, 62, 39, ("soft synth bass", "deep bass"), drive=0.8),
    # frequency modulation
    Instrument("electric_piano", "fm", FrequencyModulation(1.0, 1.3, 0.7, 2.2, 0.0, 14.0, 0.5, tremolo_hz=5.0), 36, 91,
        4, ("electric piano", "e-piano")),
    Instrument("fm_bell", "fm", FrequencyModulation(3.5, 2.4, 0.6, 1.2, 0.0, 7.1, 0.6, release_s=0.5), 55, 100, 14,
        ("FM bell", "bell")),
    Instrument("fm_brass", "fm", FrequencyModulation(1.0, 4.0, -0.07, 3.0, 0.8, attack_s=0.04, release_s=0.1,
        vibrato_cents=6.0), 43, 86, 62, ("synth brass",), sustained=True),
    Instrument("fm_bass", "fm", FrequencyModulation(1.0, 3.6, 0.14, 1.2, 0.25, 3.0, 0.8, release_s=0.05, feedback=0.2),
        26, 62, 38, ("FM bass",)),
    Instrument("fm_reed", "fm", FrequencyModulation(2.0, 1.8, 0.5, 3.0, 0.8, attack_s=0.03, release_s=0.08,
        vibrato_cents=9.0), 50, 91, 85, ("FM reed", "glassy lead"), sustained=True),
    # struck
    Instrument("piano", "struck", Piano(), 28, 96, 0, ("piano", "grand piano")),
    Instrument("felt_piano", "struck", Piano(3.0, 2e-4, 0.62, 12, 0.2), 28, 91, 0, ("felt piano", "soft piano")),
    Instrument("honky_tonk_piano", "struck", Piano(3.6, 8e-4, 1.3, 16, 0.1), 33, 91, 3,
        ("honky-tonk piano", "upright piano")),
    Instrument("marimba", "struck", Struck(_BAR, (1.0, 0.8, 0.4, 0.15), 1.0, 0.65, 3600.0, knock=0.5, let_ring=True),
        41, 93, 12, ("marimba",)),
    Instrument("vibraphone", "struck", Struck((1.0, 2.0, 4.0, 10.2), (1.0, 0.1, 0.55, 0.3), 3.4, 0.6, 5200.0, 5.0,
        0.3), 50, 91, 11, ("vibraphone", "vibes")),
    Instrument("glockenspiel", "struck", Struck((0.5, 1.0, 2.76, 5.4), (0.06, 1.0, 0.8, 0.5), 1.6, 0.4, 12000.0,
        knock=0.5, let_ring=True), 67, 103, 9, ("glockenspiel",)),
    Instrument("kalimba", "struck", Struck((1.0, 2.01, 3.02, 5.42, 6.9), (1.0, 0.4, 0.3, 0.6, 0.3), 1.1, 0.7, 5200.0,
        knock=1.0, let_ring=True), 52, 93, 108, ("kalimba", "thumb piano")),
    Instrument("music_box", "struck", Struck((1.0, 2.0, 3.0, 6.27), (1.0, 0.6, 0.45, 0.6), 1.5, 0.6, 9000.0, knock=0.4,
        let_ring=True), 60, 100, 10, ("music box",)),
    Instrument("tubular_bells", "struck", Struck((0.5, 1.0, 1.5, 2.0, 2.74, 3.76), (0.15, 1.0, 0.45, 0.6, 0.35, 0.2),
        3.0, 0.6, 4200.0, let_ring=True), 50, 86, 14, ("tubular bells", "chimes")),
)
# fmt: on

INSTRUMENTS: dict[str, Instrument] = {instrument.name: instrument for instrument in _CATALOGUE}
KIT_WORDS: dict[str, tuple[str, ...]] = {
    "acoustic_kit": ("acoustic drum kit", "live drums"),
    "rock_kit": ("rock drum kit", "heavy drums"),
    "electronic_kit": ("electronic drums", "drum machine"),
    "analog_kit": ("analog drum machine", "vintage drum machine"),
    "lofi_kit": ("lo-fi drums", "dusty drum samples"),
    "brush_kit": ("brushed drums", "brushes"),
    "latin_kit": ("latin percussion", "hand percussion"),
    "orchestral_kit": ("orchestral percussion", "soft percussion"),
}
NAMES: tuple[str, ...] = (*INSTRUMENTS, *KITS)


def words_for(name: str) -> tuple[str, ...]:
    """How captions may call an instrument or a drum kit."""
    return KIT_WORDS[name] if name in KIT_WORDS else INSTRUMENTS[name].words
