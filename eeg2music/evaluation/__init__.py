"""Splits, controls and statistics: what makes a score believable."""
