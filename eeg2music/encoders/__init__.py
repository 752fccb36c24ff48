"""Brain encoders: from windows of brain signals to the conditions that steer the generator.

Every encoder is entered in `eeg2music.encoders.registry.ENCODERS`, takes the same four
tensors and returns `BrainConditions`. Nothing here reads files, audio or configs.
"""
