"""Instruments: pitched voices and drum kits, synthesized with numpy and scipy alone."""

from eeg2music.simulation.instruments.catalogue import INSTRUMENTS, NAMES, Instrument, words_for

__all__ = ["INSTRUMENTS", "NAMES", "Instrument", "words_for"]
