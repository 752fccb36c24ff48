"""Comparing two runs: paired by song, refused where they are not of the same queries, corrected over the figures."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from eeg2music import cli
from eeg2music.config import build_config
from eeg2music.errors import ConfigError, DataError, InputError
from eeg2music.evaluation.compare import CompareConfig, compare_runs, comparison_markdown, write_comparison
from eeg2music.evaluation.identification import identify
from eeg2music.files import write_json
from eeg2music.seeding import numpy_rng

SONGS, SUBJECTS, DIM = 10, 3, 12


def entry(noise: float, seed: int, *, songs: int = SONGS, gallery: int = SONGS) -> dict[str, Any]:
    """What `evaluate` stores for one condition and seed. The same seed has the same noise, more or less of it."""
    rng = numpy_rng(seed, "compare test")
    items = rng.normal(size=(SONGS, DIM))
    target = np.tile(np.arange(SONGS), SUBJECTS)
    query = items[target] + noise * rng.normal(size=(len(target), DIM))
    keep = target < songs
    labels = {
        "songs": [f"song-{item}" for item in target[keep]],
        "subjects": [f"sub-{place // SONGS}" for place in np.flatnonzero(keep)],
    }
    return identify(query[keep], items[:gallery], target[keep], seed=seed, permutations=99, **labels)


def run(noise: float, *, seeds: tuple[int, ...] = (0, 1, 2), **more: int) -> dict[str, Any]:
    by_seed = [{"seed": seed, "embedding": entry(noise, seed, **more), "generated": None} for seed in seeds]
    level = {
        "name": "clean",
        "snr_db": 0.0,
        "style": "funk",
        "subjects": ["sub-0", "sub-1", "sub-2"],
        "scores": {"brain": {**by_seed[0], "seeds": by_seed}},
    }
    return {"schema": 2, "material": "simulated", "checkpoint_sha256": f"{noise}", "levels": [level]}


@pytest.fixture
def put(tmp_path: Path) -> Any:
    """Write scores as a folder of `evaluate`."""
    count = itertools.count()

    def write(scores: dict[str, Any]) -> Path:
        folder = tmp_path / f"run-{next(count)}"
        folder.mkdir()
        write_json(folder / "scores.json", scores)
        return folder

    return write


@pytest.fixture(scope="module")
def weak() -> dict[str, Any]:
    return run(4.0)


@pytest.fixture(scope="module")
def strong() -> dict[str, Any]:
    return run(2.0)


def test_equals_a_paired_test_over_songs(put: Any, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    """Difference, interval and p-value against the songs' means by hand, scipy's t interval and all sign flips."""
    found = compare_runs(put(weak), put(strong))
    by_song = np.zeros((2, SONGS))
    for side, scores in enumerate((weak, strong)):
        for seeded in scores["levels"][0]["scores"]["brain"]["seeds"]:
            cells = seeded["embedding"]["cells"]
            for song, n, value in zip(cells["song"], cells["n"], cells["accuracy"], strict=True):
                by_song[side, int(song[5:])] += n * value / (3 * SUBJECTS)
    difference = by_song[1] - by_song[0]
    row = found["rows"][0]
    assert (row["kind"], row["figure"], row["songs"], row["n"]) == ("embedding", "accuracy", SONGS, SONGS * SUBJECTS)
    assert row["difference"] == pytest.approx(difference.mean())
    assert row["b"] - row["a"] == pytest.approx(difference.mean())
    expected = stats.t.interval(0.95, SONGS - 1, loc=difference.mean(), scale=stats.sem(difference))
    assert row["ci95"] == pytest.approx(list(expected))
    flips = [abs(np.dot(signs, difference)) for signs in itertools.product((1, -1), repeat=SONGS)]
    share = np.mean(np.array(flips) >= abs(difference.sum()) - 1e-12)
    assert row["p_value"] == pytest.approx(share)
    assert row["p_value"] < 0.01
    assert [one["seed"] for one in row["by_seed"]] == [0, 1, 2]
    assert np.mean([one["difference"] for one in row["by_seed"]]) == pytest.approx(row["difference"])


def test_versions_of_one_work_are_one_pair(put: Any, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    """Declared in one of the runs: interval and sign flips count five works in place of ten songs."""
    declared = copy.deepcopy(strong)
    for seeded in declared["levels"][0]["scores"]["brain"]["seeds"]:
        cells = seeded["embedding"]["cells"]
        cells["work"] = [f"work-{int(song[5:]) % 5}" for song in cells["song"]]
    alone, found = (compare_runs(put(weak), put(run))["rows"][0] for run in (strong, declared))
    assert (alone["songs"], found["songs"]) == (SONGS, 5) and found["smallest_p"] == 2 / 2**5
    # Of 1,024 sets a hundred are drawn, and the observed one counts too.
    drawn = compare_runs(put(weak), put(strong), CompareConfig(permutations=100))["rows"][0]
    assert SONGS == 10 and drawn["smallest_p"] == 1 / 101 <= drawn["p_value"]
    assert found["difference"] == pytest.approx(alone["difference"]) and found["ci95"] != alone["ci95"]
    assert compare_runs(put(declared), put(strong))["rows"][0]["songs"] == 5


def test_the_other_way_round_changes_the_sign(put: Any, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    there, back = compare_runs(put(weak), put(strong)), compare_runs(put(strong), put(weak))
    for one, other in zip(there["rows"], back["rows"], strict=True):
        assert one["difference"] == pytest.approx(-other["difference"])
        assert one["ci95"] == pytest.approx([-end for end in reversed(other["ci95"])])
        assert one["p_value"] == pytest.approx(other["p_value"])


def test_a_run_against_itself(put: Any, weak: dict[str, Any]) -> None:
    found = compare_runs(put(weak), put(weak))
    assert {row["difference"] for row in found["rows"]} == {0.0}
    assert {row["p_value"] for row in found["rows"]} == {1.0}
    assert {row["smallest_effect"] for row in found["rows"]} == {None}
    assert "Both runs are of the same checkpoint." in found["notes"]


def test_holm_is_over_all_figures(put: Any, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    rows = compare_runs(put(weak), put(strong))["rows"]
    assert len(rows) == 2
    smaller, larger = sorted(rows, key=lambda row: row["p_value"])
    assert smaller["p_holm"] == pytest.approx(min(1.0, 2 * smaller["p_value"]))
    assert larger["p_holm"] == pytest.approx(max(smaller["p_holm"], larger["p_value"]))
    alone = compare_runs(put(weak), put(strong), CompareConfig(figures=("accuracy",)))["rows"]
    assert alone[0]["p_holm"] == alone[0]["p_value"]


def test_cells_may_come_in_another_order(put: Any, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    turned = copy.deepcopy(strong)
    for seeded in turned["levels"][0]["scores"]["brain"]["seeds"]:
        seeded["embedding"]["cells"] = {key: of[::-1] for key, of in seeded["embedding"]["cells"].items()}
    plain = compare_runs(put(weak), put(strong))["rows"][0]
    other = compare_runs(put(weak), put(turned))["rows"][0]
    assert other["difference"] == pytest.approx(plain["difference"])
    assert other["ci95"] == pytest.approx(plain["ci95"])


def test_too_few_songs_are_said(put: Any) -> None:
    few = [run(noise, songs=5) for noise in (4.0, 1.0)]
    found = compare_runs(*map(put, few))
    assert any("With 5 songs no p-value can be below 0.062" in note for note in found["notes"])
    assert min(row["p_value"] for row in found["rows"]) >= 0.0625


def planted(scores: dict[str, Any], what: str) -> dict[str, Any]:
    """The run with one thing changed."""
    other = copy.deepcopy(scores)
    level = other["levels"][0]
    seeded = level["scores"]["brain"]["seeds"][1]
    if what == "seeds":
        seeded["seed"] = 9
    elif what == "levels":
        level["name"] = "real"
    elif what == "songs":
        seeded["embedding"]["cells"]["song"] = [f"other-{song}" for song in seeded["embedding"]["cells"]["song"]]
    elif what == "windows":
        seeded["embedding"]["cells"]["n"][0] += 1
    elif what == "listeners":
        level["subjects"] = ["sub-0", "sub-1"]
    elif what == "gallery list":
        level["gallery"] = ["song-0"]
    elif what == "only":
        seeded["generated"] = seeded["embedding"]
    elif what == "material":
        other["material"] = "prepared"
    elif what == "scorer":
        scores["scorer_sha256"], other["scorer_sha256"] = "a", "b"
    return other


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("seeds", r"seeds of brain \(0, 1, 2 and 0, 9, 2\)"),
        ("levels", r"levels \(clean and real\)"),
        ("songs", r"songs \(only in A: song-0, song-1, song-2 and 7 more; only in B: other-song-0"),
        ("windows", "windows for each song and listener"),
        ("listeners", "subjects"),
        ("gallery list", "gallery"),
        ("only", r"only B has it"),
        ("material", r"material \(simulated and prepared\)"),
        ("scorer", "the scorer that judged"),
    ],
)
def test_runs_that_differ_are_refused_by_name(put: Any, weak: dict[str, Any], what: str, named: str) -> None:
    ours = copy.deepcopy(weak)
    theirs = planted(ours, what)
    with pytest.raises(DataError, match=f"The runs differ in .*{named}"):
        compare_runs(put(ours), put(theirs))


@pytest.mark.parametrize(("key", "value"), [("window_start_s", 2.5), ("song_seed", 22), ("montage", "eeg32")])
def test_other_material_behind_the_same_names_is_refused(put: Any, weak: dict[str, Any], key: str, value: Any) -> None:
    listening = {"style": "funk", "subjects": ["a"], "window_start_s": 1.5, "song_seed": 21, "montage": "eeg64"}
    ours = {**weak, "config": {"listening": listening}}
    theirs = {**weak, "config": {"listening": {**listening, key: value}}}
    compare_runs(put(ours), put(ours))
    with pytest.raises(DataError, match=rf"listening\.{key} \({listening[key]} and {value}\)"):
        compare_runs(put(ours), put(theirs))


def with_controls(scores: dict[str, Any]) -> dict[str, Any]:
    """The brain's scores under the names of controls too, and generated music of two of them."""
    other = copy.deepcopy(scores)
    conditions = other["levels"][0]["scores"]
    conditions["oracle"] = copy.deepcopy(conditions["brain"])
    conditions["no_brain"] = copy.deepcopy(conditions["brain"])
    for name in ("oracle", "no_brain"):
        for seeded in conditions[name]["seeds"]:
            seeded["generated"] = copy.deepcopy(seeded["embedding"])
    conditions["other_subject"] = {"embedding": None, "generated": None, "why": "one listener", "seeds": []}
    return other


def test_all_takes_every_condition_of_both_and_kind(put: Any, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    ours, theirs = with_controls(weak), with_controls(strong)
    theirs["levels"][0]["scores"]["ridge"] = theirs["levels"][0]["scores"]["oracle"]
    found = compare_runs(put(ours), put(theirs), CompareConfig(conditions=("all",), figures=("accuracy",)))
    # Without conditions every song ties in the conditioning space, which is not compared.
    assert [(row["condition"], row["kind"]) for row in found["rows"]] == [
        ("brain", "embedding"), ("oracle", "embedding"), ("oracle", "generated"), ("no_brain", "generated"),
    ]  # fmt: skip
    p_values = np.array([row["p_value"] for row in found["rows"]])
    expected = stats.false_discovery_control(p_values)
    assert [row["p_bh"] for row in found["rows"]] == pytest.approx(expected)
    assert all(row["p_bh"] <= row["p_holm"] for row in found["rows"])
    with pytest.raises(InputError, match="'ridge' was not scored in A"):
        compare_runs(put(ours), put(theirs), CompareConfig(conditions=("brain", "ridge")))


def test_curves_are_compared_where_both_results_have_them(
    put: Any, weak: dict[str, Any], strong: dict[str, Any]
) -> None:
    ours, theirs = copy.deepcopy(weak), copy.deepcopy(strong)
    for scores in (ours, theirs):
        for seeded in scores["levels"][0]["scores"]["brain"]["seeds"]:
            seeded["curves"] = copy.deepcopy(seeded["embedding"])
    both = compare_runs(put(ours), put(theirs), CompareConfig(figures=("accuracy",)))["rows"]
    assert [row["kind"] for row in both] == ["embedding", "curves"]
    # An earlier version scored no curves.
    one = compare_runs(put(weak), put(theirs), CompareConfig(figures=("accuracy",)))["rows"]
    assert [row["kind"] for row in one] == ["embedding"]


def test_results_without_scores_by_song_are_refused(put: Any, weak: dict[str, Any]) -> None:
    old = copy.deepcopy(weak)
    for seeded in old["levels"][0]["scores"]["brain"]["seeds"]:
        del seeded["embedding"]["cells"]
    with pytest.raises(DataError, match="no scores by song"):
        compare_runs(put(old), put(weak))


def test_bad_input_is_named(put: Any, weak: dict[str, Any], tmp_path: Path) -> None:
    folder = put(weak)
    with pytest.raises(InputError, match="No result at"):
        compare_runs(folder, tmp_path / "gone")
    with pytest.raises(InputError, match="'oracle' was not scored in A"):
        compare_runs(folder, folder, CompareConfig(conditions=("oracle",)))
    with pytest.raises(ConfigError, match=r"no 'mrr'\. Allowed: accuracy, top1"):
        build_config(CompareConfig, {"figures": ["mrr"]})
    (tmp_path / "words.json").write_text("words")
    with pytest.raises(DataError, match="is not JSON"):
        compare_runs(folder, tmp_path / "words.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match="no levels"):
        compare_runs(folder, tmp_path / "list.json")
    with pytest.raises(InputError, match="is a folder"):
        write_comparison(tmp_path, compare_runs(folder, folder))


def test_the_command_prints_the_table_and_writes_both_files(
    put: Any,
    weak: dict[str, Any],
    strong: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second, out = put(weak), put(strong), tmp_path / "there" / "comparison.json"
    monkeypatch.setattr(
        "sys.argv", ["eeg2music", "compare", str(first), str(second / "scores.json"), "--out", str(out)]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    stored = json.loads(out.read_text())
    assert stored == compare_runs(
        first, second / "scores.json"
    )  # the same numbers again: they depend on the seed alone
    assert out.with_suffix(".md").read_text() == comparison_markdown(stored)
    assert comparison_markdown(stored).strip() in printed
    assert "| clean: brain, embedding, accuracy |" in printed
    monkeypatch.setattr("sys.argv", ["eeg2music", "compare", str(first), str(tmp_path / "gone")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2


def test_stamps_of_both_runs_are_told(put: Any, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    """Of an evaluation as of others; a result of an earlier version has none."""
    stamped = {**weak, "stamps": ["CIRCULAR: the scorer is the clap.", "SMALL: few songs."]}
    notes = compare_runs(put(stamped), put(strong))["notes"]
    assert notes[-2:] == ["A: CIRCULAR: the scorer is the clap.", "A: SMALL: few songs."]
    found = compare_runs(put(weak), put({**strong, "stamps": ["CIRCULAR: it is."]}))
    assert "- B: CIRCULAR: it is." in comparison_markdown(found)


# -- results of `score` ------------------------------------------------------------------------


def outside(noise: float, **changes: Any) -> dict[str, Any]:
    """What `score` stores of one condition in one embedding."""
    return {
        "schema": 1,
        "kind": "outside",
        "manifest": {"name": "clips.csv", "sha256": f"{noise}"},
        "header": {"array": None},
        "seed": 0,
        "gallery_sha256": "g",
        "embeddings": {"scorer": {"identity": "abc"}},
        "scores": {"brain": {"scorer": {"identification": entry(noise, 0), "distances": None}}},
        "stamps": [],
        **changes,
    }


def test_results_of_score_are_paired_alike(put: Any, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    """The same queries give the same differences as between results of `evaluate`."""
    found = compare_runs(put(outside(4.0)), put(outside(2.0, seed=5)))
    one_seed = [run(noise, seeds=(0,)) for noise in (4.0, 2.0)]
    expected = compare_runs(*map(put, one_seed))
    keys = ("difference", "ci95", "n", "songs", "gallery_size")
    for row, other in zip(found["rows"], expected["rows"], strict=True):
        assert (row["level"], row["kind"]) == ("scorer", "generated")
        assert {key: row[key] for key in keys} == {key: other[key] for key in keys}
    assert "| scorer: brain, generated, accuracy |" in comparison_markdown(found)
    assert not any("conditioning space" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gallery_sha256": "other"}, "gallery"),
        ({"embeddings": {"scorer": {"identity": "xyz"}}}, "scorer that judged"),
        ({"schema": 2}, "schema"),
    ],
)
def test_results_of_score_that_differ_are_refused(put: Any, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(DataError, match=f"The runs differ in .*{named}"):
        compare_runs(put(outside(4.0)), put(outside(2.0, **changes)))


def test_score_and_evaluate_are_not_compared(put: Any, weak: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"material \(simulated and outside\)"):
        compare_runs(put(weak), put(outside(2.0)))


def test_what_results_of_score_do_not_say_is_said(put: Any) -> None:
    untold = {"gallery_sha256": None, "embeddings": {"scorer": {"identity": None}}, "stamps": ["CIRCULAR: it is."]}
    notes = compare_runs(put(outside(4.0, **untold)), put(outside(2.0, **untold)))["notes"]
    assert any("what the gallery held" in note for note in notes)
    assert any("which scorer" in note for note in notes)
    assert "B: CIRCULAR: it is." in notes
