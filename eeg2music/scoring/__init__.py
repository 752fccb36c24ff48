"""The judge of what was generated: an audio encoder that no other model was trained with."""
