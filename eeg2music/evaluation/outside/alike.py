"""One sound under two names: a clip that is what was heard, or another clip, re-encoded, trimmed or under noise.

Listens by landmarks (`evaluation.lookalikes`), where samples and embeddings are no longer equal. Warns and refuses
nothing, because it goes by likeness. Clips of little more than two seconds hold too little to be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eeg2music.errors import InputError
from eeg2music.evaluation.lookalikes import Fingerprint, LookAlike, fingerprint_files, look_alikes
from eeg2music.evaluation.outside.clips import Clip
from eeg2music.evaluation.outside.manifest import Clips

COPIED = (
    "A copy that was re-encoded is not refused, and finds what was heard by itself. Declare the condition under "
    "`copied` if it is meant as a ceiling."
)
REPEATED = (
    "One clip under several names counts as several. Declare the condition under `repeated` if it answers for several "
    "on purpose."
)
HEARD_AGAIN = "Distances from it come out too low. Compare with music that nobody heard."


def sounds_alike(
    clips: Clips, generated: Mapping[str, Clip], heard: Mapping[str, Clip], reference: Mapping[str, Clip]
) -> list[str]:
    """What sounds like something else, in words: how many, and the likest pair."""
    made, known = _prints(generated), _prints(heard)
    folder = {f"{name} of the reference folder": one for name, one in _prints(reference).items()}
    found = []
    for condition in clips.conditions:
        own = {name: made[name] for name in clips.items(condition) if name in made}
        if condition in clips.header.copied:
            continue
        what = f"Clips of {condition!r} that sound like what they are compared with"
        found += _told(look_alikes({**known, **folder}, own), what, COPIED)
        if condition not in clips.header.repeated:
            song = dict(zip(clips.items(condition), clips.songs_of(condition), strict=True))
            # What was made of one song for several listeners may well be alike.
            pairs = [
                match
                for match in look_alikes(own, own)
                if song[match.train] is None or song[match.train] != song[match.test]
            ]
            found += _told(pairs, f"Clips of {condition!r} that sound like another of them", REPEATED)
    return [*found, *_told(look_alikes(known, folder), "Files that sound like what was heard", HEARD_AGAIN)]


def _prints(files: Mapping[str, Clip]) -> dict[str, Fingerprint]:
    found: dict[str, Fingerprint] = {}
    for name, clip in files.items():
        try:
            found |= fingerprint_files({name: clip.path})
        except InputError:
            continue  # too little sound to be told from another's
    return found


def _told(matches: Iterable[LookAlike], what: str, advice: str) -> list[str]:
    alike = list(matches)
    if not alike:
        return []
    first, count = alike[0], len({match.test for match in alike})
    return [
        f"{what}: {count}, such as {first.test} like {first.train} ({first.share:.0%} of the landmarks of "
        f"{first.overlap_s:.1f} s agree). {advice}"
    ]
