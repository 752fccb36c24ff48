"""The table of things that can be trained, filled by scanning this folder."""

from __future__ import annotations

from eeg2music.registry import Registry
from eeg2music.training.task import Task

TASKS: Registry[type[Task]] = Registry("thing to train", "eeg2music.training")
