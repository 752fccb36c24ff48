"""Scores for what others made: a folder of audio, or an array of embeddings, and a manifest. Never a trainer.

`manifest` reads what was made and says who is whose; `clips` and `vectors` refuse what cannot be scored
honestly, `alike` names copies; `circular` refuses judges that conditioned, or may have; `measure` scores, `by_clip`
each clip by itself; `permuted` names labels that were exchanged; `listening` picks what the page plays, `pictures`
draws; `run` is `eeg2music score`; `page` writes.
"""
