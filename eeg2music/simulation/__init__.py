"""Simulated music and simulated listeners.

Composes and renders four-stem music by rule and simulates brains that hear it. It never reads a real recording.
"""
