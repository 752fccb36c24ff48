"""The four players of a song: drums, bass, harmony and melody, each composing from the shared plan."""
