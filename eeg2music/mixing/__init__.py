"""Stems to a stereo mix: key and tempo estimates, corrections, balance, panning, loudness."""
