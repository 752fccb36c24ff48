"""How hard a real recording is, expressed as the simulator's signal-to-noise ratio."""

from __future__ import annotations

CLEAN_SNR_DB = 0.0
REAL_SNR_DB = -25.0
