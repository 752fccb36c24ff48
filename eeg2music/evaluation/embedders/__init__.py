"""Audio embeddings that score what was generated: one file each, found by name.

Every one is entered in `eeg2music.evaluation.embedders.registry.EMBEDDERS`, takes (samples,) of mono audio and gives
one vector for the clip. None conditions anything here, none is trained here, and no code from the hub is ever run.
"""
