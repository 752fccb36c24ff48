"""`kind: encoding` from config to brain maps: what was planted is found where it was planted, and nothing in noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.audio import write_audio
from eeg2music.config import shipped_folder
from eeg2music.errors import DataError, InputError, LeakError
from eeg2music.evaluation.encoding_config import EncodingConfig, EncodingListening
from eeg2music.evaluation.encoding_features import FeatureSet, embedded_windows, summary_of_curves
from eeg2music.evaluation.encoding_material import prepared_study, simulated_study
from eeg2music.evaluation.encoding_page import encoding_tables, write_encoding
from eeg2music.evaluation.encoding_responses import read_responses
from eeg2music.evaluation.encoding_run import fewest_channels, score_encoding, surprises
from eeg2music.evaluation.kinds import load_evaluation, run
from eeg2music.evaluation.tables import SCORE_FILES
from eeg2music.files import write_json
from eeg2music.metrics.audio import envelope
from eeg2music.metrics.encoding import benjamini_hochberg
from eeg2music.recordings.prepared import SCHEMA
from eeg2music.regions.electrodes import REACH_DEG, angles_deg
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, REGIONS, SAMPLE_RATE_HZ

SMALL: dict[str, Any] = {"permutations": 39, "embedding_permutations": 39, "penalties": (100.0, 1e4)}
LISTENING: dict[str, Any] = {
    "styles": ("funk", "techno"), "songs_per_style": 4, "song_seconds": 5.0, "subjects": ("unseen01",),
}  # fmt: skip


def only(region: str) -> list[list[float]]:
    """Cross-talk by which all stems drive one region and no other."""
    return [[float(name == region)] * 4 for name in REGIONS]


def correlations(scores: dict[str, Any], condition: str = "music") -> np.ndarray[Any, Any]:
    (listener,) = scores["subjects"].values()
    return np.array([row["r"] for row in listener["scores"]["curves"][condition]["rows"]])


@pytest.mark.parametrize("region", ["left_temporal", "right_temporal"])
def test_the_map_peaks_over_the_one_region_that_was_driven(region: str) -> None:
    listening = EncodingListening(**LISTENING, presentations=1, crosstalk=only(region))
    scores = score_encoding(EncodingConfig(features=("curves",), listening=listening, **SMALL), device="cpu")
    r, place = correlations(scores), REGIONS.index(region)
    positions = np.array(scores["subjects"]["sub-unseen01"]["channels"]["positions_m"])
    angles = angles_deg(positions)[:, r.argmax()]
    assert angles.argmin() == place and angles[place] < REACH_DEG
    # Electrodes count by how near they are: two regions may share the one with the highest correlation.
    every = angles_deg(positions)
    weights = np.exp(-0.5 * (every / 25.0) ** 2) * (every <= REACH_DEG)
    assert (weights @ r / weights.sum(axis=1)).argmax() == place
    assert r.max() > 0.6
    for control in ("shuffled_songs", "phase_randomized"):
        assert scores["subjects"]["sub-unseen01"]["scores"]["curves"][control]["significant"] <= 2
        assert correlations(scores, control).max() < 0.25


def test_in_noise_no_channel_is_significant(tiny_checkpoint: Path, tmp_path: Path) -> None:
    listening = EncodingListening(**LISTENING, montage="eeg32", snr=-200.0)
    config = EncodingConfig(checkpoint=str(tiny_checkpoint), listening=listening, **SMALL)
    scores = score_encoding(config, device="cpu")
    for features in ("curves", "embeddings"):
        music = scores["subjects"]["sub-unseen01"]["scores"][features]["music"]
        assert music["significant"] <= 1
        assert np.mean([row["ceiling"] for row in music["rows"]]) < 0.5
        assert {"unique", "unique_control", "r2_control"} <= set(music["rows"][0])
    assert scores["surprises"] == []
    write_encoding(tmp_path / "out", scores)
    assert {file.name for file in (tmp_path / "out").iterdir()} <= set(SCORE_FILES)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "0 of 32" in (tmp_path / "out" / "scores.md").read_text()
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["genres"]["funk-21-0000"] == "funk"


def test_one_style_has_no_genre_to_compare_with() -> None:
    listening = EncodingListening(**{**LISTENING, "styles": ("funk",)}, presentations=1, montage="eeg32")
    scores = score_encoding(EncodingConfig(features=("curves",), listening=listening, **SMALL), device="cpu")
    assert scores["why_no_genre"] == "all songs are of one genre, which says nothing"
    (listener,) = scores["subjects"].values()
    assert "unique" not in listener["scores"]["curves"]["music"]["rows"][0]
    assert listener["why_no_ceiling"] == "each song was heard once"


def test_presentations_are_of_the_same_music_in_the_same_order() -> None:
    study = simulated_study(EncodingListening(**LISTENING, presentations=2, montage="eeg32"), seed=0)
    listener = study.listener("unseen01")
    first, second = listener.rows(FeatureSet("plain", summary_of_curves(1.0), 1.0), listener.signals)
    assert first.groups == second.groups
    np.testing.assert_array_equal(first.features, second.features)
    assert not np.array_equal(first.responses, second.responses)


def test_a_song_that_the_embedding_was_trained_on_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    clap = tmp_path / "models" / "clap"
    clap.mkdir(parents=True)
    for file in (tiny_checkpoint / "clap").iterdir():
        (clap / file.name).write_bytes(file.read_bytes())
    write_json(clap / "training_manifest.json", {"songs": ["techno-21-0002"]})
    config = EncodingConfig(checkpoint=str(tmp_path / "models"), listening=EncodingListening(**LISTENING))
    with pytest.raises(LeakError, match="techno-21-0002"):
        score_encoding(config, device="cpu")


def test_a_control_that_follows_is_said_and_a_channel_or_two_is_not() -> None:
    def scores(significant: int) -> dict[str, Any]:
        still = {"significant": 0, "targets": 40}
        return {
            "scores": {"curves": {"shuffled_songs": {**still, "significant": significant}, "phase_randomized": still}}
        }

    assert surprises("sub-a", scores(2)) == []
    assert surprises("sub-a", scores(9)) == [
        "sub-a, curves: shuffled songs should follow nothing, but 9 of 40 channels do."
    ]


@pytest.mark.parametrize(("targets", "permutations"), [(40, 99), (64, 19), (64, 20), (64, 100), (64, 400), (64, 1279)])
def test_as_many_channels_as_said_are_found_and_one_fewer_is_not(targets: int, permutations: int) -> None:
    """q < 0.05 of channels that have the smallest p that the permutations can give, the others 1."""
    count = fewest_channels(targets, permutations)
    for size in {count - 1, min(count, targets)} - {0}:
        p = np.r_[np.full(size, 1.0 / (permutations + 1)), np.ones(targets - size)]
        assert np.sum(benjamini_hochberg(p) < 0.05) == (size if size >= count else 0)


def test_too_few_permutations_are_told_with_how_many_it_takes() -> None:
    listening = EncodingListening(**LISTENING, presentations=1, montage="eeg32")
    config = EncodingConfig(
        features=("curves",), listening=listening, permutations=19, embedding_permutations=19, penalties=(1e3,)
    )
    scores = score_encoding(config, device="cpu")
    assert scores["subjects"]["sub-unseen01"]["scores"]["curves"]["music"]["significant"] == 0
    (text,) = scores["remarks"]
    assert "19 permutations the smallest p is 0.05" in text and "20 let all 32 channels together pass, 640" in text
    assert "19 permutations, too few for q < 0.05" in encoding_tables(scores)[0]["note"]


def test_the_shipped_configuration_has_permutations_enough() -> None:
    config = load_evaluation(shipped_folder("configs") / "eval" / "encoding.yaml", [])
    assert isinstance(config, EncodingConfig)
    assert [fewest_channels(64, count) for count in (config.permutations, config.embedding_permutations)] == [13, 4]


def test_windows_are_embedded_one_after_the_other() -> None:
    class Clap:
        def embed_audio(self, audio: Any) -> Any:
            return audio.mean(dim=1, keepdim=True)

    audio = np.repeat(np.array([1.0, 2.0, 3.0], np.float32), SAMPLE_RATE_HZ // 2)
    np.testing.assert_allclose(embedded_windows(Clap(), 0.5)(audio)[:, 0], [1.0, 2.0, 3.0])


def prepared(folder: Path, presentations: int) -> Path:
    """A cache of eight songs of 5 s, played in turn; channel E1 follows the loudness 1/16 s later, E2 does not."""
    (folder / "signals").mkdir(parents=True)
    lines, length = [], 6 * EEG_RATE_HZ
    eeg = numpy_rng(0, "cache").normal(size=(4, presentations * 8 * length)).astype(np.float32)
    for turn in range(presentations):
        for number in range(8):
            rng, song = numpy_rng(0, "song", number), f"song-{number}"
            level = np.repeat(rng.uniform(0.02, 0.4, 160), SAMPLE_RATE_HZ // 32)
            audio = (level * rng.normal(size=level.size)).clip(-1, 1).astype(np.float32)
            write_audio(folder / f"{song}.wav", audio)
            start = (turn * 8 + number) * length
            loud = np.repeat(envelope(audio, rate_hz=32.0), 2)
            eeg[0, start + 4 : start + 320] += (20.0 * loud[:-4]).astype(np.float32)
            for first in (start, start + 80):  # windows that overlap
                lines.append(
                    {
                        "window_id": f"{first}", "recording": "sub-a", "subject": "sub-a", "session": None, "run": None,
                        "trial": turn * 8 + number, "stimulus": song, "stimulus_file": f"{song}.wav",
                        "stimulus_onset_s": start / EEG_RATE_HZ, "start_sample": first, "n_samples": 160,
                        "repeat": turn + 1, "snr_db": None, "work_id": None, "site": None,
                    }
                )  # fmt: skip
    np.save(folder / "signals" / "sub-a.npy", eeg)
    places = [[0.0, 0.09, 0.05], [0.09, 0.0, 0.05], [-0.09, 0.0, 0.05], None]
    channels = {"names": ["E1", "E2", "E3", "E4"], "positions_m": places, "good": [True] * 4, "kind": "eeg",
                "bad": {}, "left_out": {}, "notes": []}  # fmt: skip
    meta = {"schema": SCHEMA, "subjects": ["sub-a"], "channels_by_recording": {"sub-a": channels}, "content_hash": "x",
            "kind": "eeg", "sfreq_hz": EEG_RATE_HZ, "n_channels_max": 4}  # fmt: skip
    write_json(folder / "meta.json", meta)
    (folder / "windows.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return folder


def test_a_prepared_cache_is_scored_with_its_repeats(tmp_path: Path) -> None:
    cache = prepared(tmp_path / "cache", presentations=2)
    file = tmp_path / "mine.yaml"
    file.write_text(f"kind: encoding\nprepared: {cache}\nfeatures: [curves]\npermutations: 99\n")
    scores = run(load_evaluation(file), tmp_path / "out", device="cpu")
    found = scores["subjects"]["sub-a"]["scores"]["curves"]
    loud, *others = found["music"]["rows"]
    assert loud["name"] == "E1" and loud["q_value"] < 0.05 and loud["r"] > 0.4
    assert loud["ceiling"] > 0.8
    assert all(row["r"] < 0.2 for row in others)
    assert found["presentations"] == 2 and found["music"]["n"] == 8 * 80
    assert found["phase_randomized"]["significant"] == found["shuffled_songs"]["significant"] == 0
    assert scores["why_no_genre"] == "the genre of some songs is not known"
    assert "No map: 3 channels have a position." in (tmp_path / "out" / "report.html").read_text()
    assert str(tmp_path) not in (tmp_path / "out" / "scores.json").read_text()


def test_a_song_that_was_heard_once_leaves_no_ceiling(tmp_path: Path) -> None:
    study = prepared_study(prepared(tmp_path / "cache", presentations=1), {f"song-{n}": f"g{n % 2}" for n in range(8)})
    listener = study.listener("sub-a")
    (rows,) = listener.rows(FeatureSet("plain", summary_of_curves(1.0), 1.0), listener.signals)
    assert len(rows.responses) == 8 * 2  # of windows that overlap the first alone, in whole seconds
    assert listener.why_no_ceiling == "not every song was heard twice"
    assert study.genre_of["song-3"] == "g1"


def test_a_cache_without_audio_is_refused(tmp_path: Path) -> None:
    cache = prepared(tmp_path / "cache", presentations=1)
    lines = [json.loads(line) | {"stimulus_file": None} for line in (cache / "windows.jsonl").read_text().splitlines()]
    (cache / "windows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match="has audio"):
        prepared_study(cache, {})


# -- responses as arrays -----------------------------------------------------------------------------

VOXELS = ("left", "right", "noise", "still")
COORDINATES_MM = [[-52.0, -20.0, 6.0], [54.0, -18.0, 6.0], [2.0, 60.0, 0.0], [0.0, -90.0, 0.0]]


def voxels(file: Path, **changed: Any) -> Path:
    """Ten songs of twelve rows, heard twice; two voxels follow the features, one is noise and one never changes."""
    rng, songs = numpy_rng(0, "voxels"), np.repeat([f"song-{n}" for n in range(10)], 12)
    features = rng.normal(size=(120, 5))
    driven = features @ rng.normal(size=(5, 2))
    responses = np.zeros((2, 120, 4))
    for trial in responses:
        trial[:, :2] = driven + rng.normal(size=(120, 2))
        trial[:, 2] = rng.normal(size=120)
    arrays = {"features": features, "responses": responses, "songs": songs, "names": np.array(VOXELS),
              "coordinates_mm": np.array(COORDINATES_MM)}  # fmt: skip
    kept = {name: values for name, values in {**arrays, **changed}.items() if values is not None}
    np.savez(file, **kept)
    return file


def of_voxels(folder: Path, file: Path) -> dict[str, Any]:
    config = folder / "voxels.yaml"
    genres = "{" + ", ".join(f"song-{n}: {'pop' if n % 2 else 'jazz'}" for n in range(10)) + "}"
    config.write_text(
        f"kind: encoding\nresponses: {{sub-a: {file}}}\ngenres: {genres}\nembedding_permutations: 99\n"
        "penalties: [1.0, 100.0]\n"
    )
    return run(load_evaluation(config), folder / "out", device="cpu")


def test_voxels_given_as_arrays_are_scored_and_drawn_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def draw(values: list[float], places: list[list[float]], names: list[str], *, label: str) -> bytes:
        drawn.append((label, dict(zip(names, values, strict=True)), np.array(places)))
        return b"\x89PNG"

    monkeypatch.setattr("eeg2music.evaluation.encoding_page.glass_brain", draw)
    scores = of_voxels(tmp_path, voxels(tmp_path / "sub-a.npz"))
    found = scores["subjects"]["sub-a"]["scores"]["features"]
    left, right, noise = found["music"]["rows"]
    assert min(left["r"], right["r"]) > 0.7 > 0.3 > abs(noise["r"])
    assert found["music"]["left_out"] == {"still": "never changes"}
    assert found["presentations"] == 2 and left["ceiling"] > 0.8 and left["unique"] > 0.4
    assert found["shuffled_songs"]["significant"] == found["phase_randomized"]["significant"] == 0
    assert scores["material"] == "responses" and scores["clap_sha256"] is None and scores["snr_db"] is None
    assert [label for label, _, _ in drawn] == ["r", "R²"]
    assert drawn[0][1] == pytest.approx({row["name"]: row["r"] for row in (left, right, noise)})
    np.testing.assert_allclose(drawn[0][2], COORDINATES_MM[:3], rtol=1e-5)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Responses given as arrays" in page and "No map" not in page
    assert "CLAP" not in page and str(tmp_path) not in (tmp_path / "out" / "scores.json").read_text()


def test_without_nilearn_or_coordinates_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eeg2music.report.brain_maps.importlib.util.find_spec", lambda name: None)
    scores = of_voxels(tmp_path, voxels(tmp_path / "sub-a.npz"))
    assert "No map: The package" in (tmp_path / "out" / "report.html").read_text()
    scores["subjects"]["sub-a"]["channels"]["positions_m"] = [None] * 4
    write_encoding(tmp_path / "again", scores)
    assert "No map: the responses have no coordinates_mm." in (tmp_path / "again" / "report.html").read_text()
    scores["subjects"]["sub-a"]["channels"]["kind"] = "ieeg"
    write_encoding(tmp_path / "inside", scores)
    assert "this is intracranial EEG. Contacts are drawn" in (tmp_path / "inside" / "report.html").read_text()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"songs": None}, "sub-a.npz has no songs"),
        ({"songs": np.repeat("a", 7)}, r"songs of shape \(7,\)"),
        ({"responses": np.ones((7, 4))}, r"Responses of shape \(7, 4\) for 120 rows"),
        ({"names": np.array(["a", "a", "b", "c"])}, "3 different names for 4 units"),
        ({"coordinates_mm": np.array(COORDINATES_MM) / 1000.0}, "reach 0.09.*multiply metres by 1000"),
        ({"coordinates_mm": np.ones((3, 3))}, r"coordinates_mm of shape \(3, 3\)"),
        ({"features": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_responses_that_do_not_fit_are_refused_by_name(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_responses(voxels(tmp_path / "sub-a.npz", **changed))


def test_responses_that_are_not_there_are_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No file at gone\.npz"):
        of_voxels(tmp_path, Path("gone.npz"))
