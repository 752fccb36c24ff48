"""Planted frauds in what others made: each is refused, or said, by name. And an honest study, which goes through.

Frauds need no good judge: they are judged by random weights. The honest study is judged by the shipped scorer.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from eeg2music.errors import ConfigError, DataError, Eeg2MusicError, InputError, LeakError
from eeg2music.evaluation.embedders.base import Options
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.evaluation.embedding_cache import cache_folder
from eeg2music.evaluation.outside.run import ScoreConfig, run_score
from eeg2music.files import sha256_file
from eeg2music.weights import checkpoint_sha256

RATE_HZ = 24_000
SECONDS = 2.0
SONGS = 6


@dataclass
class Study:
    """A folder of results that can be tampered with."""

    folder: Path
    checkpoint: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)

    def write(self) -> Path:
        path = self.folder / "clips.csv"
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        (self.folder / "clips.json").write_text(json.dumps(self.header))
        return path

    def score(self, **more: Any) -> dict[str, Any]:
        values = {"checkpoint": str(self.checkpoint), "permutations": 50, "distances": ["kernel"], **more}
        return run_score(self.write(), self.folder.parent / "out", ScoreConfig(**values), device="cpu")

    def read(self, name: str) -> np.ndarray:
        return soundfile.read(self.folder / name, dtype="float32")[0]

    def save(self, name: str, audio: np.ndarray, rate_hz: int = RATE_HZ) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(self.folder / name, audio, rate_hz)

    def music(self, count: int = 5) -> str:
        """A folder of other music beside the study."""
        folder = self.folder.parent / "music"
        for number in range(count):
            self.save(f"../music/{number}.wav", tune(1000 + number))
        return str(folder)


def tune(number: int, seconds: float = SECONDS) -> np.ndarray:
    """Eight notes of a scale with a beat of their own, at -20 dBFS or so."""
    rng = np.random.default_rng(number)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    audio = np.zeros_like(time)
    for start in np.sort(rng.uniform(0.0, seconds - 0.2, round(4 * seconds))):
        pitch_hz = 220.0 * 2.0 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12, 16]) / 12.0)
        since = np.maximum(time - start, 0.0)
        partials = sum(np.sin(2 * np.pi * pitch_hz * k * since) / k for k in range(1, 5))
        audio += np.where(time >= start, np.exp(-5.0 * since), 0.0) * partials
    return (0.1 * audio / np.sqrt(np.mean(audio**2))).astype(np.float32)


def noisy(audio: np.ndarray, seed: int, share: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return audio + share * 0.1 * rng.standard_normal(audio.size).astype(np.float32)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    for number in range(SONGS):
        for name, audio in (("heard", tune(number)), ("brain", noisy(tune(number), number))):
            (folder / name).mkdir(exist_ok=True)
            soundfile.write(folder / name / f"{number}.wav", audio, RATE_HZ)
    return folder


@pytest.fixture
def study(pristine: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Six songs, a clip for each."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(pristine, tmp_path / "study")
    rows = [
        {"file": f"brain/{n}.wav", "reference": f"heard/{n}.wav", "song": f"song-{n}", "subject": "S1"}
        for n in range(SONGS)
    ]
    return Study(tmp_path / "study", tiny_checkpoint, rows, {"conditioned_on": []})


@pytest.fixture
def arrays(tiny_checkpoint: Path, tmp_path: Path) -> Study:
    """Six rows of an array, and six of another that they belong to."""
    (tmp_path / "study").mkdir()
    rng = np.random.default_rng(0)
    heard = rng.standard_normal((SONGS, 4))
    np.save(tmp_path / "study" / "heard.npy", heard)
    np.save(tmp_path / "study" / "made.npy", heard + 0.3 * rng.standard_normal(heard.shape))
    rows = [{"row": n, "reference": n, "song": f"song-{n}"} for n in range(SONGS)]
    header = {"array": "made.npy", "reference_array": "heard.npy", "embedding": "muq", "conditioned_on": []}
    return Study(tmp_path / "study", tiny_checkpoint, rows, header)


def refused(error: type[Eeg2MusicError], match: str, score: Callable[[], object]) -> None:
    """In one line, with a remedy or what is allowed."""
    with pytest.raises(error, match=match) as caught:
        score()
    assert "\n" not in str(caught.value)
    assert caught.value.allowed or caught.value.remedy


# -- honest studies ---------------------------------------------------------------------------------


def test_an_honest_study_goes_through(study: Study) -> None:
    scores = study.score(reference=study.music())
    assert (scores["schema"], scores["gallery_size"], scores["stamps"], scores["warnings"]) == (1, SONGS, [], [])
    assert scores["scores"]["brain"]["scorer"]["identification"]["n"] == SONGS
    assert scores["material"]["generated"]["sample_rates_hz"] == {str(RATE_HZ): SONGS}
    near = {row["measure"]: row for row in scores["sounds"]["reconstruction"]["brain"]}
    assert near["onset_f"]["n"] == SONGS and near["mel_correlation"]["gain"] > 0.2
    written = {path.name for path in (study.folder.parent / "out").iterdir()}
    assert written == {"scores.json", "scores.md", "card.md", "report.html", "listen"}


def test_honest_arrays_go_through(arrays: Study) -> None:
    np.save(arrays.folder.parent / "music.npy", np.random.default_rng(1).standard_normal((20, 4)))
    scores = arrays.score(
        reference=str(arrays.folder.parent / "music.npy"), distances=["frechet", "kernel"], allow_small=True
    )
    found = scores["scores"]["brain"]["muq"]
    assert found["identification"]["accuracy"] > 0.8
    assert set(found["distances"]) >= {"frechet", "kernel", "kernel_reversed"}


def test_re_encoded_music_scores_better_than_noise(study: Study) -> None:
    """Real files, the shipped scorer: what a lossy format leaves is found again and lies near music; noise is not."""
    from eeg2music.pipeline import default_checkpoint

    rows = []
    for number in range(SONGS):
        audio = study.read(f"heard/{number}.wav")
        study.save(f"encoded/{number}.ogg", audio)
        study.save(f"noise/{number}.wav", noisy(np.zeros_like(audio), number, share=1.0))
        for condition, suffix in (("encoded", "ogg"), ("noise", "wav")):
            file = f"{condition}/{number}.{suffix}"
            song = {"reference": f"heard/{number}.wav", "song": f"song-{number}", "condition": condition}
            rows.append({"file": file, **song})
    study.rows, study.checkpoint = rows, default_checkpoint()
    scores = study.score(reference=study.music(12), embedding=["scorer"])["scores"]
    encoded, noise = (scores[name]["scorer"] for name in ("encoded", "noise"))
    assert encoded["identification"]["accuracy"] == 1.0
    assert noise["identification"]["accuracy"] < 0.9
    assert encoded["distances"]["kernel"] < noise["distances"]["kernel"]


# -- audio ------------------------------------------------------------------------------------------


def test_wrong_sample_rate_is_caught(study: Study) -> None:
    study.header["sample_rate_hz"] = 32_000
    refused(InputError, "Wrong sample rate: brain/0.wav has 24000 Hz, 32000 Hz are declared", study.score)


def test_mixed_sample_rates_are_caught(study: Study) -> None:
    study.save("brain/2.wav", study.read("brain/2.wav")[::2], RATE_HZ // 2)
    refused(InputError, "Mixed sample rates: 12000, 24000 Hz", study.score)
    scores = study.score(resample=True)
    assert "resampled" in scores["stamps"][0]
    assert any("end at 6 kHz" in text for text in scores["warnings"])


@pytest.mark.parametrize("offset", [0.0, 0.2])
def test_silent_files_are_caught(study: Study, offset: float) -> None:
    """Also where a constant hides it."""
    study.save("brain/3.wav", np.full(round(SECONDS * RATE_HZ), offset, dtype=np.float32))
    refused(InputError, "brain/3.wav is silent", study.score)


def test_short_clips_are_caught(study: Study) -> None:
    study.save("brain/1.wav", study.read("brain/1.wav")[: RATE_HZ // 2])
    refused(InputError, "brain/1.wav is too short for the embedding 'scorer': 0.50 s", study.score)


def test_clips_of_another_length_are_caught(study: Study) -> None:
    study.save("brain/1.wav", tune(1, seconds=2.5))
    refused(InputError, "brain/1.wav 2.50 s, but the embedding 'scorer' keeps time", study.score)


def test_clipped_audio_is_caught(study: Study) -> None:
    study.save("brain/4.wav", np.clip(20.0 * study.read("brain/4.wav"), -1.0, 1.0))
    refused(InputError, r"brain/4.wav is clipped: \d\d\.\d%", study.score)


def test_loudness_mismatch_is_caught(study: Study) -> None:
    for number in range(SONGS):
        study.save(f"brain/{number}.wav", 0.3 * study.read(f"brain/{number}.wav"))
    assert any("Loudness mismatch: generated lies at -3" in text for text in study.score()["warnings"])


def test_audio_that_is_not_finite_is_caught(study: Study) -> None:
    audio = study.read("brain/0.wav")
    audio[100] = np.nan
    soundfile.write(study.folder / "brain" / "0.wav", audio, RATE_HZ, subtype="FLOAT")
    refused(InputError, "not finite", study.score)


# -- copies -----------------------------------------------------------------------------------------


def test_duplicated_clips_are_caught(study: Study) -> None:
    """Under another name and in another lossless format."""
    study.save("brain/5.flac", study.read("brain/0.wav"))
    study.rows[5]["file"] = "brain/5.flac"
    refused(DataError, "Duplicated clips in the condition 'brain': brain/5.flac .* brain/0.wav", study.score)
    study.header["repeated"] = ["brain"]
    assert any("one clip answers for several" in text for text in study.score()["stamps"])


def test_near_duplicates_are_caught(study: Study) -> None:
    """The same clip, a little quieter."""
    study.save("brain/5.wav", 0.9 * study.read("brain/0.wav"))
    refused(DataError, "Near-duplicate clips in the condition 'brain'.*brain/5.wav and brain/0.wav", study.score)


def test_copied_reference_is_caught(study: Study) -> None:
    shutil.copy(study.folder / "heard" / "2.wav", study.folder / "brain" / "2.wav")
    refused(LeakError, "The generated file brain/2.wav is a copy of the reference heard/2.wav", study.score)


def test_quieter_copy_of_a_reference_is_caught(study: Study) -> None:
    study.save("brain/2.wav", 0.9 * study.read("heard/2.wav"))
    refused(LeakError, "brain/2.wav of 'brain' is a copy of the reference heard/2.wav", study.score)
    study.header["copied"] = ["brain"]
    assert any("made of the reference" in text for text in study.score()["stamps"])


def test_re_encoded_copies_are_caught(study: Study) -> None:
    """Of what was heard, and of another clip of the condition; where that is declared nothing is said of it."""
    for number in range(SONGS):
        study.save(f"heard/{number}.wav", tune(number, 4.0))
        study.save(f"brain/{number}.wav", tune(100 + number, 4.0))

    def alike() -> list[str]:
        return [text for text in study.score(embedding=["classical"])["warnings"] if "that sound like" in text]

    assert alike() == []
    study.save("brain/2.ogg", 0.5 * study.read("heard/2.wav"))
    study.save("brain/4.ogg", 0.8 * study.read("brain/1.wav"))
    study.rows[2]["file"], study.rows[4]["file"] = "brain/2.ogg", "brain/4.ogg"
    copied, repeated = alike()
    said = "Clips of 'brain' that sound like what they are compared with: 1, such as brain/2.ogg like heard/2.wav"
    assert copied.startswith(said)
    assert repeated.startswith("Clips of 'brain' that sound like another of them: 2") and "brain/4.ogg" in repeated
    study.header["repeated"] = ["brain"]
    assert alike() == [copied]
    study.header["copied"] = ["brain"]
    assert alike() == []


def test_music_that_was_heard_as_the_reference_is_caught(study: Study) -> None:
    """Sent through a lossy format, so that no file is the same."""
    music = study.music()
    study.save("heard/0.wav", tune(0, 4.0))
    study.save("brain/0.wav", tune(100, 4.0))
    study.save("../music/0.ogg", study.read("heard/0.wav"))
    scores = study.score(reference=music, embedding=["classical"])
    assert any(text.startswith("Files that sound like what was heard: 1, such as 0.ogg") for text in scores["warnings"])


def test_references_without_a_song_are_caught(study: Study) -> None:
    """The other way to count windows as songs: to leave the column out."""
    for row in study.rows:
        del row["song"]
    assert any(text.startswith("The table says of no reference which song") for text in study.score()["warnings"])


def test_generated_clips_as_their_own_reference_are_caught(study: Study) -> None:
    refused(
        LeakError,
        "brain/0.wav is a copy of the reference 0.wav",
        lambda: study.score(reference=str(study.folder / "brain")),
    )


def test_duplicated_gallery_is_caught(study: Study) -> None:
    shutil.copy(study.folder / "heard" / "0.wav", study.folder / "heard" / "3.wav")
    refused(DataError, "Duplicated clips in the gallery: heard/3.wav", study.score)


# -- arrays -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_embeddings_are_caught(arrays: Study, value: float) -> None:
    made = np.load(arrays.folder / "made.npy")
    made[2, 1] = value
    np.save(arrays.folder / "made.npy", made)
    refused(InputError, "NaN or infinite embeddings: 1 of 6 in the condition 'brain'.*such as 2", arrays.score)


def test_constant_embeddings_are_caught(arrays: Study) -> None:
    np.save(arrays.folder / "made.npy", np.ones((SONGS, 4)))
    refused(DataError, "Constant embeddings: all 6", arrays.score)


@pytest.mark.parametrize("rows", [SONGS - 1, SONGS + 1])
def test_array_of_wrong_length_is_caught(arrays: Study, rows: int) -> None:
    np.save(arrays.folder / "made.npy", np.random.default_rng(2).standard_normal((rows, 4)))
    refused(DataError, f"The array has {rows} rows, the manifest names 6", arrays.score)


def test_pickled_array_is_caught(arrays: Study) -> None:
    np.save(arrays.folder / "made.npy", np.array([{"a": 1}] * SONGS, dtype=object), allow_pickle=True)
    refused(InputError, "made.npy cannot be read", arrays.score)


def test_gallery_array_that_lacks_targets_is_caught(arrays: Study) -> None:
    np.save(arrays.folder / "heard.npy", np.load(arrays.folder / "heard.npy")[:4])
    refused(LeakError, "The gallery is truncated: it has 4 rows, and row 4 is a target", arrays.score)


def test_duplicated_rows_are_caught(arrays: Study) -> None:
    made = np.load(arrays.folder / "made.npy")
    made[4] = made[1]
    np.save(arrays.folder / "made.npy", made)
    refused(DataError, "Near-duplicate clips in the condition 'brain' .*: 4 and 1", arrays.score)


# -- files and labels -------------------------------------------------------------------------------


def test_missing_files_are_caught(study: Study) -> None:
    (study.folder / "brain" / "1.wav").unlink()
    (study.folder / "heard" / "4.wav").unlink()
    refused(DataError, "2 of 12 files are missing: brain/1.wav, heard/4.wav", study.score)


@pytest.mark.parametrize("how", ["dots", "absolute", "link"])
def test_escaping_path_is_caught(study: Study, how: str) -> None:
    outside = study.folder.parent / "elsewhere.wav"
    soundfile.write(outside, tune(50), RATE_HZ)
    if how == "link":
        (study.folder / "brain" / "link.wav").symlink_to(outside)
    study.rows[0]["file"] = {"dots": "../elsewhere.wav", "absolute": str(outside), "link": "brain/link.wav"}[how]
    refused(InputError, "leads out of the manifest's folder", study.score)


def test_truncated_gallery_is_caught(study: Study) -> None:
    """Targets left out, and fewer candidates than were declared."""
    study.header["gallery"] = [f"heard/{number}.wav" for number in range(SONGS - 2)]
    refused(LeakError, "The gallery is truncated: it lacks 2 of 6 references, such as heard/4.wav", study.score)
    study.header = {"gallery_size": 50}
    refused(LeakError, "The gallery is truncated: 50 candidates are declared, 6 are there", study.score)


def test_permuted_labels_are_caught(study: Study) -> None:
    """In a second condition the songs of two references are exchanged."""
    for number in range(SONGS):
        study.save(f"ridge/{number}.wav", noisy(tune(number), 100 + number))
    swapped = {0: 1, 1: 0}
    study.rows += [
        {**row, "file": f"ridge/{n}.wav", "condition": "ridge", "song": f"song-{swapped.get(n, n)}"}
        for n, row in enumerate(study.rows)
    ]
    refused(
        DataError, "as permuted ones do: the reference 'heard/0.wav' has two songs, 'song-0' and 'song-1'", study.score
    )


def exchanged(arrays: Study, songs: int, *, noise: float = 0.3, step: int = 1) -> Study:
    """As many songs; the clip of each stands under the song `step` further on, so that no label contradicts another."""
    rng = np.random.default_rng(1)
    heard = rng.standard_normal((songs, 16))
    np.save(arrays.folder / "heard.npy", heard)
    np.save(arrays.folder / "made.npy", heard + noise * rng.standard_normal(heard.shape))
    arrays.rows = [
        {"row": n, "reference": (n + step) % songs, "song": f"song-{(n + step) % songs}"} for n in range(songs)
    ]
    return arrays


def test_labels_permuted_throughout_are_caught(arrays: Study) -> None:
    """What was heard is then not found, and another table of references fits."""
    assert exchanged(arrays, 12, step=0).score()["warnings"] == []
    scores = exchanged(arrays, 12).score()
    (said,) = scores["warnings"]
    assert said.startswith("The labels of 'brain' look permuted: in the embedding 'muq' its clips are at chance")
    assert "12 of 12 references are exchanged: where it says 1, 0 fits." in said
    false = scores["scores"]["brain"]["muq"]["identification"]
    assert false["p_value"] > 0.05 and false["ci95"][0] < 0.5
    assert "look permuted" in (arrays.folder.parent / "out" / "card.md").read_text()


def test_permuted_labels_below_chance_are_caught(arrays: Study) -> None:
    """Each clip is under the song that it is least like."""
    exchanged(arrays, 12, step=0)
    np.save(arrays.folder / "made.npy", -np.load(arrays.folder / "heard.npy") + 1e-3)
    (said,) = arrays.score(permutations=200)["warnings"]
    assert "look permuted" in said and "lie below chance (pairwise 0." in said


@pytest.mark.parametrize("what", ["chance", "few", "shuffled"])
def test_what_is_merely_at_chance_is_not_called_permuted(arrays: Study, what: str) -> None:
    """Clips that know nothing, references too few to tell, and a control whose recordings were exchanged."""
    exchanged(arrays, 5 if what == "few" else 12, noise=100.0 if what == "chance" else 0.3)
    arrays.rows = [{**row, "condition": "shuffled" if what == "shuffled" else "brain"} for row in arrays.rows]
    assert arrays.score()["warnings"] == []


def test_one_song_with_two_works_is_caught(study: Study) -> None:
    study.rows = [{**row, "work": f"work-{n}"} for n, row in enumerate(study.rows)]
    study.rows[1]["song"] = "song-0"
    refused(DataError, "the song 'song-0' has two works, 'work-0' and 'work-1'", study.score)


def test_one_clip_under_two_songs_is_caught(study: Study) -> None:
    study.rows[1]["file"] = study.rows[0]["file"]
    refused(DataError, "The clip brain/0.wav stands under two songs, 'song-0' and 'song-1'", study.score)


def test_clips_counted_twice_are_caught(study: Study) -> None:
    study.rows.append(dict(study.rows[0]))
    refused(DataError, "The clip brain/0.wav stands twice in the condition 'brain'", study.score)


def test_clips_without_their_reference_are_caught(study: Study) -> None:
    study.rows[3]["reference"] = ""
    refused(DataError, "1 of 6 clips of 'brain' have no reference", study.score)


def test_control_on_other_questions_is_caught(study: Study) -> None:
    """A control that answers only some of the recordings is not comparable."""
    for number in range(3):
        study.save(f"ridge/{number}.wav", noisy(tune(number), 200 + number))
        study.rows.append({**study.rows[number], "file": f"ridge/{number}.wav", "condition": "ridge"})
    warnings = study.score(reference=study.music())["warnings"]
    assert any("'ridge' answers 3 of the 6 pairs" in text for text in warnings)
    assert any("'ridge' has 3 clips, 'brain' has 6" in text for text in warnings)


def test_misspelt_column_is_caught(study: Study) -> None:
    study.rows = [{("refrence" if key == "reference" else key): of for key, of in row.items()} for row in study.rows]
    refused(ConfigError, "Unknown key 'refrence' in line 2 of clips.csv.*did you mean 'reference'", study.score)


# -- judges -----------------------------------------------------------------------------------------


def test_too_few_clips_for_fad_are_caught(study: Study) -> None:
    music = study.music()
    refused(
        InputError,
        "Too few for a Fréchet distance: 6 songs of 'brain' \\(6 clips\\) and 5 references in 128 dimensions.*kernel",
        lambda: study.score(reference=music, distances=["frechet"]),
    )
    scores = study.score(reference=music, distances=["frechet"], allow_small=True)
    assert scores["stamps"] == [
        "SMALL: the Fréchet distance of 'brain' in 'scorer' is over 6 songs and 5 references in 128 dimensions, and "
        "biased upward."
    ]
    assert "SMALL" in (study.folder.parent / "out" / "scores.md").read_text()


@pytest.mark.parametrize("how", ["name", "weights", "folder", "model"])
def test_circular_encoder_is_caught(study: Study, how: str) -> None:
    """By name, by the hash of the file, of the folder, and of the numbers themselves."""
    folder = study.checkpoint / "scorer"
    study.header["conditioned_on"] = {
        "name": ["clap-music", "scorer"],
        "weights": [sha256_file(next(folder.glob("*.safetensors"))).upper()],
        "folder": [checkpoint_sha256(folder)],
        "model": [EMBEDDERS["scorer"](Options(study.checkpoint)).identity()],
    }[how]
    refused(LeakError, "Circular encoder: the embedding 'scorer' conditioned these clips", study.score)
    scores = study.score(allow_circular=True)
    assert scores["stamps"][0].startswith("CIRCULAR: the embedding 'scorer'")
    assert scores["embeddings"]["scorer"]["circular"] is True


@pytest.mark.parametrize("folder", ["brain", "."])
def test_circular_encoder_of_a_report_is_caught(study: Study, folder: str) -> None:
    """Clips of this project say with which checkpoint they were made, beside or above them."""
    report = {"checkpoint_sha256": checkpoint_sha256(study.checkpoint)}
    (study.folder / folder / "report.json").write_text(json.dumps(report))
    refused(LeakError, "Circular encoder: the embedding 'ours' conditioned", lambda: study.score(embedding=["ours"]))
    assert study.score(embedding=["scorer"])["embeddings"]["scorer"]["circular"] is False


@pytest.mark.parametrize("embedding", [["scorer"], ["ours"], ["classical", "clap-music"]])
def test_undeclared_conditioning_is_caught(study: Study, embedding: list[str]) -> None:
    """Where nobody says what conditioned the clips, nothing that was trained is a judge; it is not even loaded."""
    study.header = {}
    refused(
        LeakError,
        f"Circular encoder not excluded: nothing says what .* '{embedding[-1]}' would score.*`conditioned_on` in clips",
        lambda: study.score(embedding=embedding),
    )
    assert not (study.folder.parent / "out").exists()


def test_undeclared_conditioning_is_stamped_where_it_is_allowed(study: Study) -> None:
    study.header = {}
    scores = study.score(allow_circular=True)
    assert scores["embeddings"]["scorer"]["circular"] is None
    for name in ("scores.md", "card.md", "report.html"):
        text = (study.folder.parent / "out" / name).read_text()
        assert "UNDECLARED: the embedding" in text and "scorer" in text


def test_what_was_not_learned_needs_no_declaration(study: Study) -> None:
    study.header = {}
    assert study.score(embedding=["classical"])["stamps"] == []
    # Nothing is scored by an embedding then.
    assert study.score(identification=False, distances=[])["sounds"]["reconstruction"]


def test_a_report_declares_no_clips_but_its_own(study: Study) -> None:
    study.header = {}
    (study.folder / "brain" / "report.json").write_text(json.dumps({"checkpoint_sha256": "a" * 64}))
    assert study.score()["stamps"] == []
    study.save("ridge/0.wav", noisy(tune(0), 200))
    study.rows.append({**study.rows[0], "file": "ridge/0.wav"})
    refused(LeakError, "Circular encoder not excluded", study.score)


def test_an_array_of_unknown_embedding_is_caught(arrays: Study) -> None:
    """What conditioned the clips cannot be held against a nameless embedding; that nothing did can."""
    del arrays.header["embedding"]
    assert arrays.score()["embeddings"]["undeclared"]["circular"] is False
    arrays.header["conditioned_on"] = ["muq"]
    refused(LeakError, "nothing says which embedding the array holds.*names muq", arrays.score)
    assert arrays.score(allow_circular=True)["stamps"][0].startswith("UNDECLARED")


def test_circular_array_is_caught(arrays: Study) -> None:
    arrays.header["conditioned_on"] = ["MuQ"]
    refused(LeakError, "Circular encoder: the embedding 'muq'", arrays.score)


# -- caches -----------------------------------------------------------------------------------------


def test_stale_cache_is_caught(study: Study) -> None:
    """Other content under the same path is embedded anew; nothing is written beside the audio."""
    before = study.score()
    again = study.score()
    assert again["embeddings"]["scorer"]["cached"] == 2 * SONGS
    assert again["scores"] == before["scores"]
    files = sorted(study.folder.rglob("*"))
    for number in range(SONGS):
        study.save(f"brain/{number}.wav", noisy(tune((number + 1) % SONGS), 300 + number))
    changed = study.score()
    assert changed["embeddings"]["scorer"]["cached"] == SONGS
    assert changed["scores"] != before["scores"]
    assert sorted(study.folder.rglob("*")) == files


def test_damaged_cache_is_caught(study: Study) -> None:
    before = study.score()
    for entry in cache_folder().rglob("*.vector"):
        data = bytearray(entry.read_bytes())
        data[-1] ^= 0x40
        entry.write_bytes(data)
    after = study.score()
    assert after["embeddings"]["scorer"]["cached"] == 0
    assert after["scores"] == before["scores"]
