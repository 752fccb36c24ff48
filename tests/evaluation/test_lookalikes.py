"""One piece of music under two names is found; two pieces of one style are not taken for one."""

from __future__ import annotations

import io
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from eeg2music.audio import read_audio, resample, write_audio
from eeg2music.errors import InputError
from eeg2music.evaluation.lookalikes import (
    LANDMARKS,
    SHARE,
    Fingerprint,
    LookAlike,
    _match,
    fingerprint,
    fingerprint_files,
    look_alikes,
)
from eeg2music.recordings.manifests import with_stimulus_hashes
from eeg2music.simulation.composer import compose
from eeg2music.simulation.rendering import render
from eeg2music.simulation.styles import STYLES
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

SECONDS = 10.0


def compare_fingerprints(train: Fingerprint, test: Fingerprint) -> LookAlike:
    """The two alone, without the index that looks for candidates."""
    return _match("", train, "", test)


def song(name: str, seconds: float = SECONDS) -> FloatArray:
    """The mix of a simulated song."""
    return render(compose(name, duration_s=seconds)).sum(axis=0)


def encoded(audio: FloatArray, kind: str) -> tuple[FloatArray, int]:
    """Through a lossy codec and back."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, audio, SAMPLE_RATE_HZ, format=kind, subtype="VORBIS" if kind == "OGG" else None)
    file.seek(0)
    return soundfile.read(file, dtype="float32")


@pytest.fixture(scope="module")
def music() -> dict[str, FloatArray]:
    """Three songs of one style."""
    return {name: song(name) for name in ("funk-1-0001", "funk-1-0002", "funk-1-0003")}


@pytest.fixture(scope="module")
def prints(music: dict[str, FloatArray]) -> dict[str, Fingerprint]:
    return {name: fingerprint(audio) for name, audio in music.items()}


@pytest.mark.parametrize("kind", ["MP3", "OGG"])
def test_found_after_encoding_trimming_gain_and_renaming(
    music: dict[str, FloatArray], prints: dict[str, Fingerprint], kind: str
) -> None:
    audio, rate = encoded(0.3 * music["funk-1-0002"], kind)
    begin = 2.719
    copy = fingerprint(audio[int(begin * rate) : int(8.3 * rate)], rate)
    found = look_alikes(prints, {"another name": copy})
    assert [(match.train, match.test) for match in found] == [("funk-1-0002", "another name")]
    # MP3 begins with a silence of its own.
    assert found[0].offset_s == pytest.approx(begin, abs=0.08)
    assert found[0].overlap_s == pytest.approx(8.3 - begin, abs=0.3)
    assert found[0].share > 3 * SHARE


def test_stretches_that_overlap_only_in_part(music: dict[str, FloatArray]) -> None:
    """Seconds 0 to 6 and 3 to 10: three seconds in common."""
    audio = music["funk-1-0001"]
    first, second = audio[: 6 * SAMPLE_RATE_HZ], audio[3 * SAMPLE_RATE_HZ :]
    match = compare_fingerprints(fingerprint(first), fingerprint(second))
    assert match.overlap_s == pytest.approx(3.0, abs=0.15)
    assert match.offset_s == pytest.approx(3.0, abs=0.02)
    # Landmarks reach up to 1.9 s ahead: near the end of the one their second peaks lie outside it.
    assert match.share > 4 * SHARE


def test_songs_of_one_style_are_not_alike(prints: dict[str, Fingerprint]) -> None:
    assert look_alikes(prints, {f"test {name}": one for name, one in list(prints.items())[:0]}) == []
    for (first, one), (_, other) in itertools.combinations(prints.items(), 2):
        match = compare_fingerprints(one, other)
        assert match.share < SHARE / 4, (first, match)


def test_one_name_is_no_look_alike(prints: dict[str, Fingerprint]) -> None:
    assert look_alikes(prints, prints) == []


def test_a_transposed_copy_is_not_found(music: dict[str, FloatArray], prints: dict[str, Fingerprint]) -> None:
    """The limit that the module names: a semitone higher is another recording."""
    higher = resample(music["funk-1-0001"], SAMPLE_RATE_HZ * 2 ** (1 / 12), SAMPLE_RATE_HZ)
    assert look_alikes(prints, {"higher": fingerprint(higher)}) == []


def test_the_index_misses_nothing(music: dict[str, FloatArray], prints: dict[str, Fingerprint]) -> None:
    """Searching all songs at once gives what comparing one by one gives."""
    audio, rate = encoded(music["funk-1-0003"], "MP3")
    copy = fingerprint(audio[rate:], rate)
    (found,) = look_alikes(prints, {"copy": copy})
    one_by_one = max((compare_fingerprints(own, copy) for own in prints.values()), key=lambda match: match.share)
    assert found._replace(train="", test="") == one_by_one


def test_files_and_hashes(music: dict[str, FloatArray], tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", music["funk-1-0001"])
    shutil.copy(tmp_path / "a.wav", tmp_path / "b.wav")
    write_audio(tmp_path / "c.flac", music["funk-1-0002"])
    files = {name: tmp_path / file for name, file in (("a", "a.wav"), ("b", "b.wav"), ("c", "c.flac"))}
    prints = fingerprint_files(files)
    found = look_alikes({"a": prints["a"]}, {"b": prints["b"], "c": prints["c"]})
    assert [(match.train, match.test, match.share) for match in found] == [("a", "b", 1.0)]
    rows = with_stimulus_hashes([{"stimulus": name, "stimulus_file": str(file)} for name, file in files.items()])
    hashes = [row["stimulus_sha256"] for row in rows]
    assert hashes[0] == hashes[1] != hashes[2]
    assert "stimulus_sha256" not in with_stimulus_hashes([{"stimulus": "x", "stimulus_file": None}])[0]


def test_silence_cannot_be_judged_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"Allowed: {LANDMARKS} or more"):
        fingerprint(np.zeros(5 * SAMPLE_RATE_HZ, np.float32))
    with pytest.raises(InputError, match="mono"):
        fingerprint(np.zeros((2, 100), np.float32))
    with pytest.raises(InputError, match="mono"):
        fingerprint(np.full(24000, np.nan, np.float32))
    write_audio(tmp_path / "quiet.wav", np.zeros(SAMPLE_RATE_HZ, np.float32))
    with pytest.raises(InputError, match=r"^pause: 0 landmarks"):
        fingerprint_files({"pause": tmp_path / "quiet.wav"})


def test_real_music(recorded_music: list[Path]) -> None:
    """Recorded pieces: re-encoded, cut and renamed they are found, and no two are taken for one."""
    audio = {file.name: read_audio(file, duration_s=12.0) for file in recorded_music}
    prints = {name: fingerprint(sound) for name, sound in audio.items()}
    copies = {}
    for name, sound in audio.items():
        changed, rate = encoded(0.5 * sound, "MP3")
        copies[f"copy of {name}"] = fingerprint(changed[round(1.123 * rate) : round(9.4 * rate)], rate)
    found = look_alikes(prints, copies)
    assert {(match.train, match.test) for match in found} == {(name, f"copy of {name}") for name in prints}
    assert min(match.share for match in found) > 3 * SHARE
    others = [compare_fingerprints(one, other) for one, other in itertools.combinations(prints.values(), 2)]
    assert max(match.share for match in others) < SHARE / 4


@pytest.mark.slow
def test_false_positives_over_every_style() -> None:
    """Ten songs of each of eight styles, 360 pairs of one style, whole mixes and drums alone; and their copies."""
    mixes, drums, copies = [], [], []
    for style in STYLES:
        stems = [render(compose(f"{style}-1-{number:04d}", duration_s=16.0)) for number in range(10)]
        whole = [fingerprint(one.sum(axis=0)) for one in stems]
        beats = [fingerprint(one[0]) for one in stems]
        mixes += [compare_fingerprints(*pair).share for pair in itertools.combinations(whole, 2)]
        drums += [compare_fingerprints(*pair).share for pair in itertools.combinations(beats, 2)]
        for one, own in zip(stems[:3], whole, strict=False):
            for kind in ("MP3", "OGG"):
                audio, rate = encoded(0.3 * one.sum(axis=0), kind)
                copies.append(compare_fingerprints(own, fingerprint(audio[int(2.719 * rate) : int(12.3 * rate)], rate)))
    assert len(mixes) == 360
    assert max(mixes) < SHARE / 8
    assert max(drums) < SHARE / 2
    assert min(match.share for match in copies) > 4 * SHARE
