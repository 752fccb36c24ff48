"""What makes a style: ranges and weights that the composer draws from. One table, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Weights = Mapping[str, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Ranges and weights of one style.

    Attributes:
        tempo_bpm: drawn geometrically.
        meters: beats in a bar.
        triplets: probability that the beat is divided in three.
        swing: share of the first of two subdivisions, 0.5 = straight.
        syncopation, density: of the rhythms drawn, in [0, 1].
        harmonic_rhythm: bars that a chord holds.
        kicks: how the low drum is laid out; ``keepers``: the percussion key that keeps time; ``backbeats``: the key
            that answers the low drum; ``colours``: further percussion.
        looseness_ms: standard deviation of human timing.
    """

    tempo_bpm: Range
    meters: Mapping[int, float]
    triplets: float
    swing: Range
    syncopation: Range
    density: Range
    modes: Weights
    colours: Weights
    harmonic_rhythm: Mapping[float, float]
    adventure: float
    kicks: Weights
    keepers: Mapping[int, float]
    backbeats: Mapping[int, float]
    percussion: Mapping[int, float]
    bass_figures: Weights
    harmony_figures: Weights
    kits: Weights
    basses: Weights
    harmonies: Weights
    melodies: Weights
    looseness_ms: Range
    reverb_s: Range
    legato: Range
    moods: tuple[str, ...]


# fmt: off
STYLES: dict[str, Style] = {
    "ballad": Style(
        tempo_bpm=(54, 98), meters={4: 0.8, 3: 0.2}, triplets=0.35, swing=(0.5, 0.58), syncopation=(0.05, 0.5),
            density=(0.15, 0.75),
        modes={"major": 5, "minor": 4, "dorian": 1, "mixolydian": 1}, colours={"triad": 5, "seventh": 4, "ninth": 2,
            "sus": 1},
        harmonic_rhythm={0.5: 0.3, 1.0: 0.6, 2.0: 0.1}, adventure=0.25,
        kicks={"backbeat": 5, "half": 4, "drawn": 2}, keepers={42: 4, 51: 3, 82: 2, 44: 1, 70: 1, 54: 1},
            backbeats={38: 4, 37: 4, 39: 0.5, 54: 0.5},
        percussion={54: 2, 69: 1, 81: 1, 41: 1, 45: 1, 63: 1},
        bass_figures={"roots": 4, "broken": 3, "melodic": 2}, harmony_figures={"arpeggio": 4, "broken": 3, "pad": 2,
            "comp": 3, "pulse": 1},
        kits={"brush_kit": 4, "acoustic_kit": 4, "lofi_kit": 2, "analog_kit": 1},
        basses={"upright_bass": 4, "fingered_bass": 4, "triangle_bass": 1, "cello": 1, "bowed_bass": 1},
        harmonies={"piano": 5, "felt_piano": 3, "electric_piano": 4, "nylon_guitar": 3, "steel_guitar": 3, "harp": 1,
            "string_ensemble": 2},
        melodies={"violin": 3, "cello": 2, "flute": 2, "saxophone": 3, "oboe": 1, "clarinet": 2, "solo_voice": 2,
            "electric_guitar": 2, "harmonica": 1, "piano": 1},
        looseness_ms=(5, 16), reverb_s=(0.7, 1.8), legato=(0.7, 1.02), moods=("tender", "slow", "sentimental"),
    ),
    "funk": Style(
        tempo_bpm=(80, 132), meters={4: 1.0}, triplets=0.0, swing=(0.5, 0.62), syncopation=(0.45, 0.95),
            density=(0.4, 1.0),
        modes={"dorian": 5, "mixolydian": 5, "minor": 3, "major": 1}, colours={"seventh": 5, "ninth": 5, "triad": 1},
        harmonic_rhythm={0.5: 0.2, 1.0: 0.4, 2.0: 0.4}, adventure=0.5,
        kicks={"drawn": 8, "backbeat": 2, "four": 1}, keepers={42: 7, 51: 1, 82: 2, 69: 1, 54: 1},
            backbeats={38: 7, 39: 2, 37: 1},
        percussion={56: 2, 62: 2, 63: 2, 64: 2, 60: 1, 54: 2, 39: 1, 46: 3, 75: 1},
        bass_figures={"riff": 7, "octaves": 3, "melodic": 1}, harmony_figures={"comp": 6, "stabs": 5, "pulse": 1,
            "arpeggio": 1},
        kits={"acoustic_kit": 5, "rock_kit": 2, "lofi_kit": 2, "electronic_kit": 2, "latin_kit": 1},
        basses={"slap_bass": 5, "fingered_bass": 4, "synth_bass": 3, "picked_bass": 2, "fm_bass": 2, "square_bass": 1},
        harmonies={"clavinet": 5, "electric_piano": 4, "drawbar_organ": 4, "electric_guitar": 3, "muted_guitar": 3,
            "fm_brass": 3, "piano": 1, "pulse_pad": 1},
        melodies={"saxophone": 5, "trumpet": 4, "muted_trumpet": 2, "saw_lead": 2, "square_lead": 2,
            "electric_guitar": 2, "fm_brass": 2, "flute": 1, "clavinet": 1, "solo_voice": 1},
        looseness_ms=(2, 9), reverb_s=(0.25, 0.8), legato=(0.3, 0.85), moods=("groovy", "tight", "danceable"),
    ),
    "techno": Style(
        tempo_bpm=(108, 158), meters={4: 1.0}, triplets=0.05, swing=(0.5, 0.57), syncopation=(0.2, 0.85),
            density=(0.35, 1.0),
        modes={"minor": 6, "dorian": 2, "phrygian": 2, "mixolydian": 1},
            colours={"triad": 4, "sus": 3, "seventh": 2, "power": 1},
        harmonic_rhythm={1.0: 0.4, 2.0: 0.6}, adventure=0.6,
        kicks={"four": 8, "drawn": 3, "half": 1}, keepers={42: 5, 46: 4, 82: 2, 51: 2, 70: 1},
            backbeats={39: 5, 38: 3, 37: 2, 76: 1},
        percussion={46: 3, 75: 2, 56: 2, 76: 2, 77: 2, 45: 2, 41: 2, 67: 1, 54: 2, 63: 1},
        bass_figures={"riff": 5, "octaves": 3, "offbeat": 4, "roots": 1},
            harmony_figures={"stabs": 5, "arpeggio": 5, "pad": 2, "pulse": 3},
        kits={"electronic_kit": 6, "analog_kit": 4, "lofi_kit": 1},
        basses={"acid_bass": 5, "synth_bass": 5, "square_bass": 3, "fm_bass": 3, "triangle_bass": 3},
        harmonies={"synth_pad": 4, "pulse_pad": 4, "synth_pluck": 4, "fm_brass": 1, "electric_piano": 1,
            "string_ensemble": 1, "drawbar_organ": 2, "choir": 1},
        melodies={"saw_lead": 4, "square_lead": 4, "synth_pluck": 4, "fm_bell": 3, "fm_reed": 3, "marimba": 1,
            "glockenspiel": 1, "kalimba": 1},
        looseness_ms=(0, 3), reverb_s=(0.3, 1.3), legato=(0.25, 0.95), moods=("driving", "hypnotic", "mechanical"),
    ),
    "waltz": Style(
        tempo_bpm=(84, 208), meters={3: 1.0}, triplets=0.1, swing=(0.5, 0.6), syncopation=(0.0, 0.45),
            density=(0.2, 0.85),
        modes={"major": 6, "minor": 4, "mixolydian": 1, "lydian": 1}, colours={"triad": 6, "seventh": 4},
        harmonic_rhythm={1.0: 0.75, 2.0: 0.25}, adventure=0.2,
        kicks={"downbeat": 7, "drawn": 2}, keepers={42: 2, 51: 3, 44: 3, 54: 2, 70: 1, 81: 1},
            backbeats={38: 4, 37: 3, 54: 2, 76: 1, 44: 1},
        percussion={81: 2, 54: 2, 49: 1, 41: 1, 76: 1, 69: 1},
        bass_figures={"roots": 5, "broken": 3, "melodic": 2}, harmony_figures={"oompah": 6, "broken": 3, "pad": 1,
            "comp": 2, "arpeggio": 2},
        kits={"brush_kit": 4, "acoustic_kit": 3, "orchestral_kit": 4, "latin_kit": 1},
        basses={"upright_bass": 5, "tuba": 3, "bowed_bass": 2, "cello": 2, "fingered_bass": 1},
        harmonies={"accordion": 4, "piano": 4, "string_ensemble": 3, "harpsichord": 2, "nylon_guitar": 2, "harp": 2,
            "honky_tonk_piano": 2, "pizzicato_strings": 2, "french_horn": 1},
        melodies={"violin": 5, "clarinet": 3, "flute": 3, "accordion": 3, "oboe": 2, "trumpet": 1, "music_box": 2,
            "glockenspiel": 1, "harmonica": 1, "cello": 1},
        looseness_ms=(4, 13), reverb_s=(0.5, 1.5), legato=(0.6, 1.0), moods=("graceful", "swaying", "dancing"),
    ),
    "chorale": Style(
        tempo_bpm=(52, 116), meters={4: 0.75, 3: 0.25}, triplets=0.05, swing=(0.5, 0.5), syncopation=(0.0, 0.3),
            density=(0.1, 0.7),
        modes={"major": 5, "minor": 5, "dorian": 2, "mixolydian": 1, "phrygian": 0.5},
            colours={"triad": 8, "seventh": 2, "sus": 1.5},
        harmonic_rhythm={0.25: 0.3, 0.5: 0.5, 1.0: 0.2}, adventure=0.15,
        kicks={"half": 4, "downbeat": 4, "drawn": 2}, keepers={54: 2, 81: 3, 70: 2, 82: 2, 76: 1, 51: 1},
            backbeats={41: 3, 45: 3, 48: 2, 38: 1.5, 77: 1},
        percussion={49: 1, 81: 2, 41: 2, 45: 2, 48: 2, 53: 1},
        bass_figures={"melodic": 5, "roots": 3, "broken": 1}, harmony_figures={"pad": 6, "pulse": 2, "broken": 2,
            "comp": 1},
        kits={"orchestral_kit": 7, "brush_kit": 1, "latin_kit": 1},
        basses={"bowed_bass": 4, "cello": 4, "tuba": 3, "upright_bass": 1, "pipe_organ": 2},
        harmonies={"choir": 5, "pipe_organ": 5, "string_ensemble": 4, "french_horn": 3, "piano": 1, "harp": 1,
            "accordion": 1},
        melodies={"solo_voice": 3, "trumpet": 3, "oboe": 3, "violin": 3, "clarinet": 1, "flute": 2, "french_horn": 2,
            "cello": 1, "tubular_bells": 1, "choir": 2},
        looseness_ms=(4, 14), reverb_s=(1.2, 2.4), legato=(0.85, 1.02), moods=("solemn", "sacred", "stately"),
    ),
    "bossa": Style(
        tempo_bpm=(96, 176), meters={4: 1.0}, triplets=0.0, swing=(0.5, 0.56), syncopation=(0.4, 0.85),
            density=(0.3, 0.85),
        modes={"major": 5, "minor": 4, "dorian": 3, "lydian": 1}, colours={"seventh": 6, "ninth": 5},
        harmonic_rhythm={0.5: 0.15, 1.0: 0.55, 2.0: 0.3}, adventure=0.35,
        kicks={"bossa": 6, "drawn": 4, "half": 1}, keepers={42: 4, 82: 4, 70: 4, 69: 3, 51: 1},
            backbeats={37: 7, 75: 3, 76: 2},
        percussion={62: 2, 63: 2, 64: 2, 60: 2, 61: 2, 75: 2, 67: 2, 68: 2, 56: 1, 65: 1, 66: 1},
        bass_figures={"bossa": 5, "broken": 3, "melodic": 2}, harmony_figures={"comp": 7, "arpeggio": 2, "stabs": 2,
            "broken": 1},
        kits={"latin_kit": 7, "brush_kit": 2, "acoustic_kit": 2, "lofi_kit": 1},
        basses={"upright_bass": 6, "fingered_bass": 4, "triangle_bass": 1},
        harmonies={"nylon_guitar": 6, "electric_piano": 3, "piano": 3, "vibraphone": 2, "steel_guitar": 1,
            "drawbar_organ": 1, "marimba": 1},
        melodies={"flute": 4, "saxophone": 4, "muted_trumpet": 3, "vibraphone": 3, "solo_voice": 3, "nylon_guitar": 2,
            "clarinet": 1, "pan_flute": 1, "marimba": 1, "kalimba": 1},
        looseness_ms=(3, 11), reverb_s=(0.35, 1.0), legato=(0.45, 0.95), moods=("breezy", "relaxed", "swaying"),
    ),
    "rock": Style(
        tempo_bpm=(88, 190), meters={4: 0.92, 3: 0.08}, triplets=0.12, swing=(0.5, 0.6), syncopation=(0.1, 0.7),
            density=(0.35, 1.0),
        modes={"minor": 4, "mixolydian": 4, "major": 4, "dorian": 2, "phrygian": 0.7},
            colours={"power": 6, "triad": 5, "sus": 1, "seventh": 1},
        harmonic_rhythm={0.5: 0.35, 1.0: 0.5, 2.0: 0.15}, adventure=0.4,
        kicks={"backbeat": 6, "drawn": 4, "four": 1, "half": 1}, keepers={42: 4, 46: 3, 51: 3, 49: 0.6, 41: 1, 54: 1},
            backbeats={38: 9, 39: 0.7, 45: 0.7},
        percussion={54: 2, 56: 2, 41: 2, 45: 2, 48: 1, 46: 1, 39: 1},
        bass_figures={"pulse": 5, "roots": 2, "riff": 4, "octaves": 1, "melodic": 1},
            harmony_figures={"pulse": 5, "comp": 4, "stabs": 2, "arpeggio": 2, "pad": 1},
        kits={"rock_kit": 7, "acoustic_kit": 3, "lofi_kit": 1},
        basses={"picked_bass": 6, "fingered_bass": 4, "square_bass": 1, "slap_bass": 1},
        harmonies={"distorted_guitar": 6, "electric_guitar": 4, "steel_guitar": 3, "drawbar_organ": 3, "piano": 1,
            "muted_guitar": 2, "honky_tonk_piano": 1, "banjo": 0.7},
        melodies={"distorted_guitar": 5, "electric_guitar": 4, "saw_lead": 2, "harmonica": 2, "saxophone": 2,
            "square_lead": 2, "solo_voice": 1, "violin": 1, "trumpet": 0.7},
        looseness_ms=(2, 10), reverb_s=(0.3, 1.0), legato=(0.45, 0.98), moods=("energetic", "powerful", "raw"),
    ),
    "ambient": Style(
        tempo_bpm=(58, 124), meters={4: 0.7, 3: 0.2, 5: 0.1}, triplets=0.25, swing=(0.5, 0.56), syncopation=(0.1, 0.8),
            density=(0.1, 0.75),
        modes={"lydian": 3, "dorian": 3, "major": 3, "minor": 3, "mixolydian": 2, "phrygian": 1},
            colours={"ninth": 4, "sus": 4, "seventh": 4, "triad": 2},
        harmonic_rhythm={1.0: 0.4, 2.0: 0.6}, adventure=0.7,
        kicks={"half": 4, "drawn": 4, "downbeat": 3}, keepers={82: 4, 70: 3, 69: 2, 81: 2, 51: 2, 76: 2, 42: 1},
            backbeats={76: 2, 77: 2, 37: 3, 45: 2, 64: 2, 39: 1},
        percussion={81: 2, 67: 2, 68: 2, 75: 1, 63: 2, 64: 2, 45: 2, 41: 1, 53: 2},
        bass_figures={"roots": 4, "broken": 3, "melodic": 2, "octaves": 1},
            harmony_figures={"pad": 5, "arpeggio": 6, "pulse": 1, "broken": 2},
        kits={"analog_kit": 4, "lofi_kit": 3, "latin_kit": 3, "orchestral_kit": 3, "electronic_kit": 1},
        basses={"triangle_bass": 5, "synth_bass": 2, "bowed_bass": 2, "fm_bass": 1, "upright_bass": 1, "cello": 2},
        harmonies={"synth_pad": 5, "pulse_pad": 3, "choir": 3, "string_ensemble": 3, "electric_piano": 2, "harp": 2,
            "felt_piano": 2, "vibraphone": 2, "kalimba": 1, "koto": 1},
        melodies={"fm_bell": 4, "kalimba": 3, "music_box": 2, "pan_flute": 3, "fm_reed": 3, "vibraphone": 2,
            "cello": 2, "koto": 2, "glockenspiel": 2, "tubular_bells": 1, "flute": 2, "solo_voice": 1},
        looseness_ms=(3, 16), reverb_s=(1.4, 2.8), legato=(0.7, 1.02), moods=("atmospheric", "floating", "spacious"),
    ),
}
# fmt: on
