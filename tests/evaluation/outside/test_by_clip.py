"""The distance of each clip by itself: that of the metric, the farthest by name, beside the reference's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from eeg2music.errors import InputError
from eeg2music.evaluation.outside.by_clip import Cut, Pieces, by_clip, common_cut
from eeg2music.evaluation.outside.clips import Clip
from eeg2music.evaluation.outside.measure import Space, distances
from eeg2music.evaluation.outside.page import tables_of
from eeg2music.evaluation.outside.run import ScoreConfig, run_score
from eeg2music.metrics.frechet import frechet_distance

RATE_HZ = 24_000
FILES, PIECES, DIM = 20, 4, 3


def vectors(files: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((files, PIECES, DIM))


def test_the_farthest_come_first_and_each_has_the_distance_of_its_pieces() -> None:
    reference, samples = vectors(FILES, 0), vectors(8, 1)
    samples[5] += 9.0
    samples[2] += 5.0
    names = [f"clip-{number}.wav" for number in range(8)]
    found = by_clip(reference, samples, names)
    assert [one["clip"] for one in found["worst"][:2]] == ["clip-5.wav", "clip-2.wav"] and len(found["worst"]) == 5
    expected = [frechet_distance(reference.reshape(-1, DIM), clip) for clip in samples]
    assert [one["value"] for one in found["worst"]] == pytest.approx(sorted(expected, reverse=True)[:5])
    assert found["median"] == pytest.approx(np.median(expected))
    # Each of the reference's files without the tenth that it is in.
    own = []
    for number in range(FILES):
        rest = np.delete(reference, [number % 10, number % 10 + 10], axis=0)
        own.append(frechet_distance(rest.reshape(-1, DIM), reference[number]))
    assert found["reference_median"] == pytest.approx(np.median(own))
    assert found["reference_95"] == pytest.approx(np.quantile(own, 0.95))
    assert found["beyond"] == sum(value > found["reference_95"] for value in expected) >= 2
    assert (found["n"], found["n_reference"], found["pieces"], found["dim"]) == (8, FILES, PIECES, DIM)
    assert found["enough"] and not by_clip(reference[:1].repeat(2, axis=0)[:, :2], samples[:, :2], names)["enough"]


def test_as_many_clips_as_expected_lie_beyond_where_they_are_the_same_music() -> None:
    found = by_clip(vectors(400, 2), vectors(400, 3), [str(number) for number in range(400)])
    assert 0.02 < found["beyond"] / found["n"] < 0.09


def test_units_do_not_matter_where_dimensions_are_scaled() -> None:
    units = np.array([1.0, 1e3, 1e-3])

    def farthest(factor: np.ndarray) -> Any:
        made = vectors(4, 1) * factor
        pieces = Pieces(Cut(PIECES, 1.0), {str(n): one for n, one in enumerate(made)}, vectors(FILES, 0) * factor)
        whole = {name: one.mean(axis=0) for name, one in pieces.generated.items()}
        space = Space("test", DIM, whole, None, pieces.reference.mean(axis=1), False, True, pieces)
        of = distances(space, list(whole), ("frechet_per_clip",), allow_small=False, seed=0, condition="brain")
        assert of is not None and of["frechet_per_clip"]["piece_s"] == 1.0
        return [one["value"] for one in of["frechet_per_clip"]["worst"]]

    assert farthest(units) == pytest.approx(farthest(np.ones(DIM)))


def test_files_are_cut_alike_as_far_as_the_shortest_goes() -> None:
    def clip(seconds: float) -> Clip:
        return Clip(f"{seconds:g}.wav", Path(), RATE_HZ, seconds, -20.0, 0.0, "")

    assert common_cut([clip(5.9), clip(30.0)], "any", 0.5) == Cut(5, 1.0)
    assert common_cut([clip(60.0)], "any", 2.0) == Cut(5, 2.0)
    # A sample short of the last piece, as resampling leaves it.
    short = clip(2.0 - 0.4 / RATE_HZ)
    assert common_cut([short], "any", 1.0) == Cut(2, 1.0)
    assert [len(part) for part in Cut(2, 1.0).of(np.zeros(2 * RATE_HZ - 1), RATE_HZ)] == [RATE_HZ, RATE_HZ - 1]
    with pytest.raises(InputError, match=r"1\.9\.wav is too short for a distance of its own in 'any': 1\.90 s.*2 s"):
        common_cut([clip(5.0), clip(1.9)], "any", 0.5)


def test_score_names_the_farthest_clips(tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for folder, count in (("made", 3), ("music", 4)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            tone = np.sin(2 * np.pi * (200 + 90 * number + len(folder)) * np.arange(3 * RATE_HZ) / RATE_HZ)
            audio = 0.1 * tone + 0.05 * rng.standard_normal(tone.size)
            soundfile.write(tmp_path / folder / f"{number}|.wav", audio, RATE_HZ)
    (tmp_path / "clips.csv").write_text("file\n" + "".join(f"made/{number}|.wav\n" for number in range(3)))
    (tmp_path / "clips.json").write_text('{"conditioned_on": []}')
    config = ScoreConfig(
        checkpoint=str(tiny_checkpoint), reference=str(tmp_path / "music"), distances=("frechet_per_clip",), measures=()
    )
    scores = run_score(tmp_path / "clips.csv", tmp_path / "out", config, device="cpu")
    found = scores["scores"]["brain"]["scorer"]["distances"]["frechet_per_clip"]
    assert {one["clip"] for one in found["worst"]} == {f"made/{number}|.wav" for number in range(3)}
    assert (found["n"], found["n_reference"], found["pieces"], found["piece_s"]) == (3, 4, 3, 1.0)
    (table,) = [table for table in tables_of(scores) if table["title"] == "Clips farthest from music"]
    assert [row[2] for row in table["rows"]] == [one["clip"] for one in found["worst"]]
    assert {len(row) for row in table["rows"]} == {len(table["heads"])} and "(too few)" in table["rows"][0][3]
    text = (tmp_path / "out" / "scores.md").read_text()
    # A bar in a name begins no cell.
    assert found["worst"][0]["clip"].replace("|", "\\|") in text
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == json.loads(json.dumps(scores))


def test_of_an_array_no_clip_has_a_distance_of_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "made.npy", np.eye(3))
    (tmp_path / "clips.csv").write_text("row\n0\n1\n2\n")
    (tmp_path / "clips.json").write_text('{"array": "made.npy", "conditioned_on": []}')
    config = ScoreConfig(reference=str(tmp_path / "made.npy"), distances=("kernel", "frechet_per_clip"))
    with pytest.raises(InputError, match=r"a Fréchet distance of one clip takes several.*leave it out of `distances`"):
        run_score(tmp_path / "clips.csv", tmp_path / "out", config, device="cpu")
