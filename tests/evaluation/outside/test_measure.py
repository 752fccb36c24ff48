"""The scores themselves: equal to the metrics that they are made of, and scaled by the reference alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.errors import ConfigError, InputError
from eeg2music.evaluation.outside.measure import Space, distances, scaled_by
from eeg2music.evaluation.outside.page import summary, tables_of
from eeg2music.evaluation.outside.run import ScoreConfig, run_score
from eeg2music.metrics.frechet import frechet_distance
from eeg2music.metrics.kernel import kernel_distance
from eeg2music.metrics.retrieval import identification_accuracy, topk_accuracy

N, DIM = 24, 4


def space(made: np.ndarray, reference: np.ndarray, *, scaled: bool = False) -> Space:
    generated = {str(number): row for number, row in enumerate(made)}
    return Space("test", made.shape[1], generated, None, reference, True, scaled)


def test_distances_are_those_of_the_metrics() -> None:
    rng = np.random.default_rng(0)
    reference, made = rng.standard_normal((40, DIM)), 1.0 + rng.standard_normal((N, DIM))
    items = [str(number) for number in range(N)]
    wanted = ("frechet", "kernel", "frechet_infinity", "coverage")
    found = distances(space(made, reference), items, wanted, allow_small=False, seed=0, condition="brain")
    assert found is not None and found["enough"]
    assert found["frechet"] == frechet_distance(reference, made) and found["songs_named"] is False
    assert found["kernel"] == pytest.approx(kernel_distance(reference, made))
    assert found["kernel_reversed"] == pytest.approx(kernel_distance(made, reference))
    low, high = found["frechet_infinity"]["ci95"]
    assert low < found["frechet_infinity"]["value"] < high
    assert found["kernel_ci95"][0] < found["kernel"] < found["kernel_ci95"][1]
    assert 0.0 <= found["coverage"]["coverage"] <= 1.0
    json.dumps(found, allow_nan=False)


def test_clips_of_one_song_count_once_and_those_without_one_for_themselves() -> None:
    rng = np.random.default_rng(3)
    reference, made = rng.standard_normal((40, DIM)), 1.0 + rng.standard_normal((N, DIM))
    twice, items = np.concatenate([made, made + 1e-6]), [str(number) for number in range(2 * N)]
    songs = [f"song-{number}" for number in range(N)] * 2

    def found(made: np.ndarray, songs: list[str | None] | None = None) -> dict[str, Any]:
        of = distances(
            space(made, reference), items[: len(made)], ("frechet", "kernel"), songs=songs, allow_small=False, seed=0,
            condition="brain",
        )  # fmt: skip
        assert of is not None
        return of

    once, copied, own = found(made), found(twice, songs), found(twice)
    assert (copied["n"], copied["songs"], copied["draws"], copied["songs_named"]) == (2 * N, N, 2, True)
    assert copied["frechet"] == pytest.approx(once["frechet"], rel=1e-4)
    assert copied["kernel"] == pytest.approx(once["kernel"], abs=1e-3)
    assert own["kernel"] > copied["kernel"] + 0.5
    partly = found(twice, [*songs[:-1], None])
    assert (partly["songs"], partly["songs_named"]) == (N + 1, False)
    with pytest.raises(InputError, match=r"Too few for a Fréchet distance: 7 songs of 'brain' \(14 clips\)"):
        found(twice[:14], [f"song-{number // 2}" for number in range(14)])


def test_units_do_not_matter_where_dimensions_are_scaled() -> None:
    """And what is judged never enters the scale."""
    rng = np.random.default_rng(1)
    reference, made = rng.standard_normal((40, DIM)), rng.standard_normal((N, DIM))
    units = np.array([1.0, 1e3, 1e-3, 7.0])
    items = [str(number) for number in range(N)]

    def frechet(factor: np.ndarray) -> float:
        of = space(made * factor, reference * factor, scaled=True)
        found = distances(of, items, ("frechet",), allow_small=False, seed=0, condition="brain")
        assert found is not None
        return float(found["frechet"])

    assert frechet(units) == pytest.approx(frechet(np.ones(DIM)), rel=1e-9)
    alone = scaled_by(reference, made[:1])
    np.testing.assert_allclose(scaled_by(reference, made)[:1], alone)


def test_one_clip_is_no_distribution() -> None:
    found = distances(
        space(np.ones((1, DIM)), np.eye(DIM)), ["0"], ("kernel",), allow_small=False, seed=0, condition="no_brain"
    )
    assert found is not None and "kernel" not in found and "one clip" in found["why"]


def test_a_condition_of_copies_has_no_distance_and_is_no_mistake(tmp_path: Path) -> None:
    """Declared as `repeated`: a generator that ignores its input makes one clip under several names."""
    rng = np.random.default_rng(4)
    np.save(tmp_path / "made.npy", np.ones((6, DIM)))
    np.save(tmp_path / "music.npy", rng.standard_normal((30, DIM)))
    (tmp_path / "clips.csv").write_text("row,condition\n" + "".join(f"{n},no_brain\n" for n in range(6)))
    (tmp_path / "clips.json").write_text('{"array": "made.npy", "repeated": ["no_brain"], "conditioned_on": []}')
    config = ScoreConfig(reference=str(tmp_path / "music.npy"), distances=("kernel", "coverage"))
    scores = run_score(tmp_path / "clips.csv", tmp_path / "out", config, device="cpu")
    found = scores["scores"]["no_brain"]["undeclared"]["distances"]
    assert "kernel" not in found and "are equal" in found["why"]
    assert "are equal: they are no distribution" in (tmp_path / "out" / "scores.md").read_text()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """24 rows: twelve songs of two items each, in two styles, by two subjects and two seeds."""
    rng = np.random.default_rng(2)
    heard = rng.standard_normal((N, DIM))
    np.savez(tmp_path / "heard.npz", heard)
    np.save(tmp_path / "made.npy", np.concatenate([heard + rng.standard_normal(heard.shape), rng.permuted(heard)]))
    rows = []
    for condition, offset in (("brain", 0), ("control", N)):
        for n in range(N):
            style = ("waltz", "funk")[n // 12]
            rows.append(
                {
                    "row": offset + n, "reference": n, "song": f"song-{n // 2}", "style": style,
                    "subject": f"S{n % 2}", "seed": n % 2, "condition": condition,
                }
            )  # fmt: skip
    (tmp_path / "clips.jsonl").write_text("\n".join(map(json.dumps, rows)))
    header = {"array": "made.npy", "reference_array": "heard.npz", "embedding": "muq", "conditioned_on": ["clap"]}
    (tmp_path / "clips.json").write_text(json.dumps(header))
    return tmp_path / "clips.jsonl"


def test_identification_is_that_of_the_metrics(manifest: Path, tmp_path: Path) -> None:
    scores = run_score(manifest, tmp_path / "out", ScoreConfig(permutations=100), device="cpu")
    found = scores["scores"]["brain"]["muq"]["identification"]
    made, heard = np.load(tmp_path / "made.npy")[:N], np.load(tmp_path / "heard.npz")["arr_0"]
    assert found["accuracy"] == pytest.approx(identification_accuracy(made, heard))
    assert found["top1"] == pytest.approx(topk_accuracy(made, heard, 1))
    assert (found["n"], found["gallery_size"], found["songs"], found["subjects"]) == (N, N, 12, 2)
    groups = {(row["group"], row["value"]): row for row in found["breakdown"]}
    assert groups["subject", "S1"]["n"] == 12 and groups["style", "funk"]["n"] == 12
    assert groups["within style", None]["gallery_max"] == 12 and groups["within song", None]["gallery_max"] == 2
    assert {row["seed"] for row in (found,)} == {0} and ("seed", 0) in groups


def test_the_files_say_n_chance_and_gallery(manifest: Path, tmp_path: Path) -> None:
    scores = run_score(manifest, tmp_path / "out", ScoreConfig(permutations=20), device="cpu")
    text = (tmp_path / "out" / "scores.md").read_text()
    for expected in ("pairwise (chance 0.5)", "within song", "SHA-256", "nothing was normalised", "muq"):
        assert expected in text, expected
    assert str(tmp_path) not in text + (tmp_path / "out" / "scores.json").read_text()
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == json.loads(json.dumps(scores))
    for table in tables_of(scores):
        assert {len(row) for row in table["rows"]} == {len(table["heads"])}, table["title"]
    assert "brain, muq" in summary(scores, tmp_path / "out")


def test_distances_count_the_songs_that_the_manifest_names(manifest: Path, tmp_path: Path) -> None:
    """Two items of each of twelve songs; a work stands for its songs; and what was heard is no reference."""
    heard = np.load(tmp_path / "heard.npz")["arr_0"]
    np.save(tmp_path / "music.npy", np.concatenate([np.random.default_rng(5).standard_normal((40, DIM)), heard[:3]]))
    config = ScoreConfig(
        permutations=5, reference=str(tmp_path / "music.npy"), distances=("kernel", "frechet_infinity", "coverage")
    )
    scores = run_score(manifest, tmp_path / "out", config, device="cpu")
    found = scores["scores"]["brain"]["muq"]["distances"]
    assert (found["songs"], found["n"], found["draws"], found["songs_named"]) == (12, N, 2, True)
    assert any(text.startswith("3 of the reference are what was heard") for text in scores["warnings"])
    (table,) = [table for table in tables_of(scores) if table["title"] == "Distance from music"]
    row = dict(zip(table["heads"], table["rows"][0], strict=True))
    assert (row["songs"], row["clips (draws)"], row["references"]) == ("12", f"{N} (2)", "43")
    assert "to" in row["KAD: 95 % interval"] and "for a song of its own." in table["note"]
    assert "no song is named" not in table["note"].lower()
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    works = [{**row, "work": f"work-{int(row['song'][5:]) // 2}"} for row in rows]
    manifest.write_text("\n".join(map(json.dumps, works)))
    scores = run_score(manifest, tmp_path / "out", config, device="cpu")
    assert scores["scores"]["brain"]["muq"]["distances"]["songs"] == 6
    (table,) = [table for table in tables_of(scores) if table["title"] == "Distance from music"]
    (place,) = [place for place, head in enumerate(table["heads"]) if head == "FAD-∞"]
    assert table["rows"][0][place] == "not measured: 6 songs, 8 are needed"
    manifest.write_text("\n".join(json.dumps({"row": row["row"], "condition": row["condition"]}) for row in rows))
    scores = run_score(manifest, tmp_path / "out", config, device="cpu")
    assert scores["scores"]["brain"]["muq"]["distances"]["songs"] == N
    assert "Where no song is named (in brain, control)" in (tmp_path / "out" / "scores.md").read_text()


def test_the_gallery_is_known_by_what_it_holds(manifest: Path, tmp_path: Path) -> None:
    config = ScoreConfig(permutations=5)

    def gallery(name: str) -> str:
        return str(run_score(manifest, tmp_path / name, config, device="cpu")["gallery_sha256"])

    heard = np.load(tmp_path / "heard.npz")["arr_0"]
    first = gallery("a")
    assert len(first) == 64 and gallery("b") == first
    np.savez(tmp_path / "heard.npz", heard[::-1])  # the same items in another order
    assert gallery("c") == first
    np.savez(tmp_path / "heard.npz", heard + 1e-6)
    assert gallery("d") != first


def test_scores_are_the_same_twice(manifest: Path, tmp_path: Path) -> None:
    config = ScoreConfig(permutations=50, seed=3)
    first, second = (run_score(manifest, tmp_path / name, config, device="cpu") for name in ("a", "b"))
    assert first == second


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        ({"identification": False}, InputError, "there is no --reference"),
        ({"reference": "gone.npy"}, InputError, "No reference at gone.npy"),
        ({"reference": "."}, InputError, "a .npy or .npz file, for a manifest of rows"),
    ],
)
def test_what_cannot_be_asked(
    manifest: Path, tmp_path: Path, values: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        run_score(manifest, tmp_path / "out", ScoreConfig(**values), device="cpu")
    assert not (tmp_path / "out").exists()


def test_an_unknown_embedding_names_the_known() -> None:
    from eeg2music.config import build_config

    with pytest.raises(ConfigError, match=r"no 'vggish'\. Allowed: clap-music, classical, encodec, mert, ours, scorer"):
        build_config(ScoreConfig, {"embedding": ["vggish"]})
