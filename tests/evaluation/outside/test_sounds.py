"""Nearness to what was heard, stems and classes by a manifest's columns; and pairs, stems and labels gone wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from eeg2music.errors import DataError, Eeg2MusicError, InputError
from eeg2music.evaluation.outside.kept_classes import kept_classes
from eeg2music.evaluation.outside.manifest import Clips, read_manifest
from eeg2music.evaluation.outside.measure import Space
from eeg2music.evaluation.outside.nearness import Limits
from eeg2music.evaluation.outside.said import tables_of_sounds
from eeg2music.evaluation.outside.sounds import measure_sounds
from eeg2music.evaluation.outside.stems import look_at_stems

RATE_HZ, SECONDS, SONGS = 24_000, 3.0, 6
PARTS = ("drums", "bass")


def song(number: int) -> np.ndarray:
    """(stem, samples): clicks and a bass line, with a tempo, a key and notes of its own."""
    rng = np.random.default_rng(number)
    time = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    beat_s = 60.0 / (80.0 + 14.0 * number)
    since = time % beat_s
    note = (time // beat_s).astype(int)
    pitch_hz = 110.0 * 2.0 ** ((2 * number + rng.choice([0, 4, 7, 12], 40)) / 12.0)
    voice = np.sum([np.sin(2 * np.pi * np.cumsum(k * pitch_hz[note]) / RATE_HZ) / k for k in range(1, 5)], axis=0)
    drums = rng.standard_normal(time.size) * np.exp(-60.0 * since)
    return 0.05 * np.stack([drums, voice * np.exp(-4.0 * since)]).astype(np.float32)


@dataclass
class Table:
    """A folder of songs and of clips made of them, and a manifest that can be tampered with."""

    folder: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)

    def save(self, name: str, audio: np.ndarray, rate_hz: int = RATE_HZ) -> str:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(self.folder / name, audio, rate_hz)
        return name

    def stems(self, name: str, parts: np.ndarray) -> str:
        for part, audio in zip(PARTS, parts, strict=True):
            self.save(f"{name}/{part}.wav", audio)
        return name

    def add(self, condition: str, clips: list[np.ndarray], heard: list[int] | None = None) -> None:
        """A condition of clips (stem, samples); clip n answers what was heard in song `heard[n]`."""
        for number, parts in enumerate(clips):
            target = number if heard is None else heard[number]
            self.rows.append(
                {
                    "file": self.save(f"{condition}/{number}.wav", parts.sum(0)),
                    "reference": f"heard/{target}.wav",
                    "stems": self.stems(f"{condition}/stems/{number}", parts),
                    "reference_stems": f"heard/stems/{target}",
                    "condition": condition,
                }
            )

    def read(self) -> Clips:
        (self.folder / "clips.jsonl").write_text("\n".join(map(json.dumps, self.rows)))
        (self.folder / "clips.json").write_text(json.dumps(self.header))
        return read_manifest(self.folder / "clips.jsonl")

    def measure(self, *measures: Any, spaces: tuple[Space, ...] = (), clips: int = 50) -> dict[str, Any]:
        read = self.read()
        found = measure_sounds(
            read, look_at_stems(read, resample=False), spaces, measures=measures, limits=Limits(clips, 10.0), seed=0,
            permutations=50, hook=lambda *_: None,
        )  # fmt: skip
        assert found is not None
        json.dumps(found, allow_nan=False)
        return found


def spoilt(number: int) -> np.ndarray:
    parts = song(number)
    return parts + 0.01 * np.random.default_rng(100 + number).standard_normal(parts.shape).astype(np.float32)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    found = Table(tmp_path)
    for number in range(SONGS):
        found.save(f"heard/{number}.wav", song(number).sum(0))
        found.stems(f"heard/stems/{number}", song(number))
    return found


def by_name(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["measure"], row["stem"]): row for row in rows}


def test_a_reference_paired_with_the_wrong_song_drops_to_the_null(table: Table) -> None:
    """The same clips twice: as they were made, and each beside another song."""
    table.add("brain", [spoilt(number) for number in range(SONGS)])
    table.add("shuffled", [spoilt(number) for number in range(SONGS)], [*range(1, SONGS), 0])
    found = table.measure("reconstruction")
    right, wrong = (by_name(found["reconstruction"][name]) for name in ("brain", "shuffled"))
    assert {stem for _, stem in right} == {*PARTS, "mix"}
    for key in (
        ("mel_correlation", "mix"),
        ("onset_f", "drums"),
        ("envelope_correlation", "bass"),
        ("si_sdr_db", "mix"),
    ):
        assert right[key]["gain_ci95"][0] > 0.0, key
        assert right[key]["ci95"][0] > wrong[key]["ci95"][1], key
        low, high = wrong[key]["gain_ci95"]
        assert low <= 0.0 <= high or wrong[key]["gain"] < 0.0, key
        assert right[key]["n"] == wrong[key]["n"] == SONGS
    assert (found["clips"], found["songs"], found["listeners"], found["seconds"]) == (SONGS, SONGS, None, SECONDS)


def test_the_codec_is_the_ceiling_of_those_that_answer_the_same(table: Table) -> None:
    table.add("brain", [spoilt(number) for number in range(SONGS)])
    table.add("codec", [song(number) * 0.9 for number in range(SONGS)])
    table.add("few", [song(number) * 0.8 for number in range(3)])
    found = table.measure("reconstruction")["reconstruction"]
    brain, codec, few = (by_name(found[name])["mel_correlation", "mix"] for name in ("brain", "codec", "few"))
    assert brain["ceiling"] == codec["mean"] > brain["mean"]
    assert codec["ceiling"] is None and few["ceiling"] is None


def test_stems_are_measured_beside_those_of_what_was_heard(table: Table) -> None:
    table.add("brain", [spoilt(number) for number in range(SONGS)])
    found = table.measure("stems")
    assert set(found["stems"]) == {"heard", "brain"} and not found["reconstruction"] and not found["warnings"]
    rows = {row["measure"]: row for row in found["stems"]["brain"]}
    assert rows["loudness_lufs"]["n"] == SONGS and rows["onset_coherence"]["mean"] > rows["onset_coherence"]["null"]
    # Drums have no key, and two stems of which one has none agree on nothing.
    assert rows["key_agreement"]["n"] == 0


def test_stems_that_do_not_add_up_are_said(table: Table) -> None:
    """A gain is no matter; another song's stems are, and so is a stem with a gain of its own."""
    table.add("brain", [song(number) for number in range(SONGS)])
    table.save("brain/0.wav", 0.5 * song(0).sum(0))
    assert table.measure("stems")["warnings"] == []
    table.stems("brain/stems/1", song(2))
    table.stems("brain/stems/3", song(3) * [[0.2], [1.0]])
    (said,) = table.measure("stems")["warnings"]
    assert "The stems of 2 of 6 clips of 'brain' do not add up to the clip" in said and "dB SI-SDR" in said


def spoil_missing(table: Table) -> None:
    (table.folder / "brain" / "stems" / "2" / "bass.wav").unlink()
    table.stems("brain/stems/3", song(3))
    table.save("brain/stems/2/melody.wav", song(2)[0])


@pytest.mark.parametrize(
    ("spoil", "error", "match"),
    [
        (lambda t: (t.folder / "brain/stems/2/bass.wav").unlink(), DataError, "brain/stems/2 holds 1 sound files"),
        (spoil_missing, DataError, "brain/stems/[02] lacks the stem '(bass|melody)', which others have"),
        (lambda t: t.rows[2].pop("stems"), DataError, "1 of 6 lines of 'brain' name no stems"),
        (lambda t: t.save("brain/stems/1/mix.wav", song(1)[0]), DataError, "brain/stems/1 holds mix.wav"),
        (lambda t: t.save("brain/stems/1/bass.wav", song(1)[1], 48_000), InputError, "Mixed sample rates: 24000, 480"),
        (lambda t: t.header.update(sample_rate_hz=32_000), InputError, "Wrong sample rate: brain/stems/0/bass.wav"),
        (lambda t: t.save("brain/stems/1/bass.wav", song(1)[1][:60_000]), InputError, "2.50 s long, brain/1.wav is 3"),
        (lambda t: t.rows[1].update(stems="../x"), InputError, "leads out of the manifest's folder"),
        (lambda t: t.rows.append({**t.rows[0], "condition": "codec", "stems": "x"}), DataError, "has two stem folders"),
        (lambda t: t.rows[1].update(song="a", genre="folk") or t.rows[0].update(song="a", genre="funk"), DataError,
         "the song 'a' has two genres"),
    ],
)  # fmt: skip
def test_stems_and_labels_gone_wrong_are_refused(
    table: Table, spoil: Any, error: type[Eeg2MusicError], match: str
) -> None:
    table.add("brain", [song(number) for number in range(SONGS)])
    spoil(table)
    with pytest.raises(error, match=match) as caught:
        table.measure("reconstruction", "stems")
    assert "\n" not in str(caught.value) and caught.value.allowed


def test_what_the_table_does_not_allow_is_left_out_with_its_reason(table: Table) -> None:
    table.add("brain", [spoilt(number) for number in range(SONGS)])
    table.add("alone", [spoilt(0)], [0])
    for row in table.rows:
        del row["stems"], row["reference_stems"]
    found = table.measure("reconstruction", "stems", "classes")
    assert set(found["reconstruction"]) == {"brain"} and not found["stems"]
    assert {stem for _, stem in by_name(found["reconstruction"]["brain"])} == {"mix"}
    assert set(found["why"]) == {"reconstruction of alone", "stems"}
    assert found["why"]["reconstruction of alone"].startswith("One song has 1 of 1 windows. Allowed: at most half.")
    assert found["why"]["stems"] == "The table names no stems for it."
    assert "none of the columns genre, mood, instrument" in found["classes"]["why"]["classes"]
    left = tables_of_sounds({"sounds": found})[-1]
    assert left["title"] == "What was not measured" and len(left["rows"]) == 3
    table.save("brain/0.wav", song(0).sum(0)[: 2 * RATE_HZ])
    assert "2.00 to 3.00 s long" in table.measure("reconstruction")["why"]["reconstruction of brain"]


def test_no_more_clips_than_wanted_and_the_same_of_every_condition(table: Table) -> None:
    table.add("brain", [spoilt(number) for number in range(SONGS)])
    table.add("codec", [song(number) * 0.9 for number in reversed(range(SONGS))], list(reversed(range(SONGS))))
    found = table.measure("reconstruction", clips=3)
    rows = by_name(found["reconstruction"]["brain"])
    assert found["clips"] == 3 and rows["mel_correlation", "mix"]["n"] == 3
    # In another order the same songs are chosen, or the ceiling would not be theirs.
    assert rows["mel_correlation", "mix"]["ceiling"] is not None


# -- classes ----------------------------------------------------------------------------------------


def labelled(tmp_path: Path, classes: list[str], made: list[str] | None = None, **more: Any) -> Clips:
    """An array of embeddings: one row for each song, then what was made of it."""
    count = len(classes)
    rows = [
        {"row": number, "reference": number, "genre": of, **({"made_genre": made[number]} if made else {}), **more}
        for number, of in enumerate(classes)
    ]
    (tmp_path / "clips.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "clips.json").write_text(json.dumps({"array": "made.npy", "reference_array": "heard.npy"}))
    for name in ("made.npy", "heard.npy"):
        np.save(tmp_path / name, np.zeros((count, 2)))
    return read_manifest(tmp_path / "clips.jsonl")


def space(clips: Clips, made: np.ndarray, heard: np.ndarray) -> Space:
    generated = {str(number): row for number, row in enumerate(made)}
    return Space("test", made.shape[1], generated, heard, None, True, False)


CLASSES = ["waltz"] * 8 + ["funk"] * 8


def test_the_nearest_heard_music_tells_the_class_and_never_its_own_work(tmp_path: Path) -> None:
    clips = labelled(tmp_path, CLASSES)
    rng = np.random.default_rng(0)
    sides = np.repeat([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]], 8, axis=0)
    heard = sides + rng.standard_normal((16, 3))
    good = kept_classes(clips, [space(clips, sides + rng.standard_normal((16, 3)), heard)], seed=0, permutations=200)
    (row,) = good["rows"]["brain"]
    assert (row["kind"], row["by"], row["n"], row["classes"]) == ("genre", "test", 16, 2)
    assert row["balanced_accuracy"] > 0.9 and row["p_value"] < 0.01
    assert good["rows"]["heard"][0]["balanced_accuracy"] > 0.9
    # Music without classes: that a clip is its own song tells nothing.
    heard = rng.standard_normal((16, 3))
    none = kept_classes(clips, [space(clips, heard, heard)], seed=0, permutations=200)
    assert none["rows"]["brain"][0]["balanced_accuracy"] < 0.7 and none["rows"]["brain"][0]["p_value"] > 0.05


def test_labels_of_the_table_need_no_embedding_and_shuffled_ones_fall_to_chance(tmp_path: Path) -> None:
    right = kept_classes(labelled(tmp_path, CLASSES, CLASSES), [], seed=0, permutations=200)
    assert right["rows"]["brain"][0]["balanced_accuracy"] == 1.0 and "heard" not in right["rows"]
    assert right["rows"]["brain"][0]["by"] == "the table" and right["why"] == {}
    wrong = kept_classes(labelled(tmp_path, CLASSES, ["waltz", "funk"] * 8), [], seed=0, permutations=200)
    assert wrong["rows"]["brain"][0]["balanced_accuracy"] == 0.5 and wrong["rows"]["brain"][0]["p_value"] > 0.2


@pytest.mark.parametrize(
    ("classes", "made", "why"),
    [
        (["waltz"] * 6, None, "all songs of 'brain' are of one class (waltz)"),
        (["waltz"] * 5 + ["funk"], None, "one work alone is of the class 'funk'"),
        (["waltz"] * 3 + ["funk"] * 2 + [None], None, "1 of 6 lines name no genre"),
        (CLASSES, ["waltz"] * 15 + [None], "1 of 16 lines name no made_genre"),
    ],
)
def test_classes_that_tell_nothing_are_left_out(
    tmp_path: Path, classes: list[Any], made: list[Any] | None, why: str
) -> None:
    clips = labelled(tmp_path, classes, made)
    rng = np.random.default_rng(0)
    heard = rng.standard_normal((len(classes), 3))
    found = kept_classes(clips, [space(clips, heard, heard)], seed=0, permutations=10)
    assert not found["rows"] and why in found["why"]["genre"]
