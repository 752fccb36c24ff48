"""Music that is scored and sounds like other music under another name: collected while it passes, told in words.

Listens by landmarks (`lookalikes`). Warns and refuses nothing. What a model was trained on is known by name alone, so
that it cannot be listened to here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eeg2music.errors import InputError
from eeg2music.evaluation.lookalikes import Fingerprint, LookAlike, fingerprint, fingerprint_files, look_alikes
from eeg2music.evaluation.material import ListeningConfig, gallery_songs, gallery_stems
from eeg2music.evaluation.prepared_material import scored_rows
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.types import FloatArray


class Listened:
    """Fingerprints of music, and which of it sounds alike.

    Attributes
    ----------
    prints : {song: fingerprint}
    unheard : {song: why it could not be told from others}
    """

    def __init__(self) -> None:
        self.prints: dict[str, Fingerprint] = {}
        self.unheard: dict[str, str] = {}

    def hear(self, song: str, audio: FloatArray) -> None:
        """A song's audio, (samples,) at 24 kHz; a song that is known already is not heard again."""
        if song in self.prints or song in self.unheard:
            return
        try:
            self.prints[song] = fingerprint(audio)
        except InputError as error:
            self.unheard[song] = error.what

    def hear_stems(self, songs: Iterable[str], stems: Iterable[FloatArray]) -> None:
        """Songs from their stems, (stem, samples) each."""
        for song, of_song in zip(songs, stems, strict=True):
            self.hear(song, of_song.sum(axis=0))

    def hear_file(self, song: str, path: str) -> None:
        """A song from its sound file, whole."""
        if song in self.prints or song in self.unheard:
            return
        try:
            self.prints |= fingerprint_files({song: path})
        except InputError as error:
            # Of the file, no path: it may be a person's.
            self.unheard[song] = error.what.partition(": ")[2].replace(path, "its file")

    def among(self, songs: Iterable[str] | None = None) -> dict[str, Any]:
        """Which of the songs (all that were heard, by default) sound like one another. Ready for JSON."""
        chosen = self._chosen(songs)
        pairs: dict[frozenset[str], LookAlike] = {}
        for match in look_alikes(chosen, chosen):
            pairs.setdefault(frozenset((match.train, match.test)), match)
        return self._told(pairs.values(), chosen)

    def between(self, train: Iterable[str], test: Iterable[str]) -> dict[str, Any]:
        """Which test songs sound like a training song. Ready for JSON."""
        ours, theirs = self._chosen(train), self._chosen(test)
        return self._told(look_alikes(ours, theirs), {**ours, **theirs})

    def _chosen(self, songs: Iterable[str] | None) -> dict[str, Fingerprint]:
        return {song: self.prints[song] for song in (self.prints if songs is None else songs) if song in self.prints}

    def _told(self, matches: Iterable[LookAlike], chosen: Mapping[str, Fingerprint]) -> dict[str, Any]:
        found = list(matches)
        return {
            "listened_to": len(chosen),
            "not_listened_to": dict(self.unheard),
            "pairs": [match._asdict() for match in found],
            "warnings": [
                f"{match.test} sounds like {match.train}: {match.share:.0%} of the landmarks of "
                f"{match.overlap_s:.1f} s agree. If they are one work, declare it with work_id."
                for match in found
            ],
        }


def hear_heard(listened: Listened, listening: ListeningConfig, prepared: str | None, split: str | None = None) -> None:
    """Hear what the listeners of an evaluation heard: the windows of the gallery, or a prepared cache's stimuli.

    split : manifest whose test side alone was scored
    """
    if prepared is None:
        listened.hear_stems(gallery_songs(listening), gallery_stems(listening))
        return
    data = PreparedDataset(prepared)
    for row in (data.rows[number] for number in scored_rows(data, split)):
        if row["stimulus_file"] is not None:
            listened.hear_file(row["stimulus"], row["stimulus_file"])
