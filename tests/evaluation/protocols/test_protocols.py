"""Protocols on planted predictions: metrics by brute force, galleries and repeats enforced, leaks never silent."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eeg2music.config import build_config, load_config
from eeg2music.errors import ConfigError, DataError, InputError, LeakError
from eeg2music.evaluation.corrections import holm
from eeg2music.evaluation.protocols import ProtocolConfig, Row, protocol_folds, run_protocol, window_starts
from eeg2music.evaluation.protocols.judged import Generated, Reference
from eeg2music.evaluation.protocols.scoring import OTHER_DATA
from eeg2music.evaluation.splits import Manifest

CONFIGS = Path(__file__).parents[3] / "configs" / "eval" / "protocols"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
FAST = ("permutations=50",)


def load(name: str, *overrides: str) -> ProtocolConfig:
    return load_config(ProtocolConfig, CONFIGS / f"{name}.yaml", (*FAST, *overrides))


def clips(count: int = 60, styles: int = 10, repeats: int = 4, subjects: int = 2) -> list[Row]:
    """Songs of one window each, styles in turn."""
    return [
        Row(f"song-{song:02d}", f"style-{song % styles}", f"listener-{subject}", 0.0, repeat + 1)
        for subject in range(subjects)
        for song in range(count)
        for repeat in range(repeats)
    ]


def embed(rows: list[Row], seed: int = 0, dim: int = 24) -> np.ndarray:
    """One embedding for each stretch of music."""
    rng = np.random.default_rng(seed)
    known = {window: rng.normal(size=dim) for window in dict.fromkeys(row.window for row in rows)}
    return np.stack([known[row.window] for row in rows])


def pick(found: list[dict], condition: str, metric: str | None = None) -> dict:  # type: ignore[type-arg]
    return next(row for row in found if row["condition"] == condition and metric in (None, row["metric"]))


def test_there_is_one_for_each_published_way_of_scoring() -> None:
    assert NAMES == [
        "brain2music",
        "brain2music_2025",
        "brennan2019",
        "nmedt_leaky",
        "nmedt_pairs_held_out",
        "nmedt_song_held_out",
        "retrieval_anchored_2026",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_whole_and_says_what_it_waits_for(name: str) -> None:
    config = load(name)
    assert config.name == name and config.waits_for and config.source
    assert name in (CONFIGS / f"{name}.yaml").read_text().splitlines()[1]


def told_of(page: str, name: str) -> list[float]:
    """The published figures that docs/results.md prints of a protocol: in its row, and in its column of clips."""
    found = re.findall(rf"^\| `{name}` \|.*\|([^|]*)\|$", page, re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        heads, *rows = [line.strip("|").split("|") for line in table.splitlines()]
        for place in (place for place, head in enumerate(heads) if head.startswith(f" `{name}`, ")):
            found += [text for row in rows for text in re.findall(r"\(published ([^)]*)\)", row[place])]
    return [float(value) for text in found for value in re.findall(r"0\.\d+", text)]


@pytest.mark.parametrize("name", NAMES)
def test_published_figures_are_those_that_the_docs_print(name: str) -> None:
    """Each says what it is of, and is a share; a protocol without one is ours."""
    page = (CONFIGS.parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    config = load(name)
    assert sorted(told_of(page, name)) == sorted(one.value for one in config.published)
    assert all(0.0 < one.value < 1.0 and one.what for one in config.published)
    assert ("which is ours" in config.source) == (not config.published)


def test_figures_without_an_identifier_say_so() -> None:
    """A source is a DOI, an arXiv number or a journal; the one that is not known is called so where it is printed."""
    for name in NAMES:
        config = load(name)
        unknown = "without an identifier" in config.source
        assert unknown == (name == "retrieval_anchored_2026")
        assert unknown or re.search(r"arXiv:|doi:|20\d\d, Nature|\(Losorelli et al", config.source)
        assert all(("source not identified" in one.what) == unknown for one in config.published)


def test_brain2music_prints_the_perfect_guess_of_the_genre_beside_the_published_figure() -> None:
    rows = clips()
    target = embed(rows)
    rng = np.random.default_rng(1)
    found = run_protocol(load("brain2music"), target + 0.5 * rng.normal(size=target.shape), target, rows)
    decoder = pick(found, "decoder")
    assert decoder["gallery_size"] == 60 and decoder["n"] == 120 and decoder["chance"] == 0.5
    assert decoder["published"] == [
        {"value": 0.876, "what": "identification accuracy, MuLan-music", "note": OTHER_DATA}
    ]
    assert pick(found, "perfect guess of the genre")["value"] == pytest.approx(56.5 / 59)
    assert pick(found, "chance")["value"] == pytest.approx(0.5)
    assert decoder["value"] > 0.95 and decoder["ci95"][0] < decoder["value"] <= decoder["ci95"][1]
    assert pick(found, "shuffled")["value"] < 0.6


def test_metrics_equal_a_brute_force() -> None:
    rows = clips(12, 3, repeats=1, subjects=1)
    target, rng = embed(rows), np.random.default_rng(2)
    predicted = target + 2.5 * rng.normal(size=target.shape)
    config = load("retrieval_anchored_2026", "split.test_songs=12")
    found = run_protocol(config, predicted, target, rows)
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    similarity = unit(predicted) @ unit(target).T
    below = (similarity < np.diag(similarity)[:, None]).sum(axis=1)
    assert pick(found, "decoder", "pairwise identification")["value"] == pytest.approx(np.mean(below / 11))
    draws = []
    for query in range(12):
        for _ in range(1000):
            others = rng.choice([item for item in range(12) if item != query], 9, replace=False)
            draws.append(similarity[query, query] > similarity[query, others].max())
    ten_way = pick(found, "decoder", "10-way")
    assert ten_way["value"] == pytest.approx(np.mean(draws), abs=0.03) and ten_way["chance"] == 0.1


def test_repeats_are_averaged_and_have_to_be_all_there() -> None:
    rows = clips()
    target, rng = embed(rows), np.random.default_rng(3)
    predicted = target + 6.0 * rng.normal(size=target.shape)
    averaged = pick(run_protocol(load("brain2music"), predicted, target, rows), "decoder")["value"]
    first = [number for number, row in enumerate(rows) if row.repeat == 1]
    one = load("brain2music", "repeats=1")
    single = pick(run_protocol(one, predicted[first], target[first], [rows[n] for n in first]), "decoder")["value"]
    assert averaged > single + 0.05
    with pytest.raises(DataError, match=r"heard song-00@0\.000 3 times"):
        run_protocol(load("brain2music"), predicted[1:], target[1:], rows[1:])


def test_a_truncated_gallery_is_refused() -> None:
    rows = clips(30)
    with pytest.raises(DataError, match="gallery holds 30 windows"):
        run_protocol(load("brain2music"), embed(rows), embed(rows), rows)


def test_a_gallery_of_too_few_genres_is_refused() -> None:
    rows = clips(60, 4)
    with pytest.raises(DataError, match="gallery holds 4 styles"):
        run_protocol(load("brain2music"), embed(rows), embed(rows), rows)


def test_two_targets_for_one_stretch_are_refused() -> None:
    rows = clips()
    target = embed(rows)
    target[4] += 1.0
    with pytest.raises(DataError, match="two different targets"):
        run_protocol(load("brain2music"), target, target, rows)


def test_nan_predictions_are_refused() -> None:
    rows = clips()
    predicted = embed(rows)
    predicted[3, 2] = np.nan
    with pytest.raises(InputError, match="not finite"):
        run_protocol(load("brain2music"), predicted, embed(rows), rows)


def test_a_model_that_was_trained_on_a_tested_song_is_refused() -> None:
    rows = clips()
    with pytest.raises(LeakError, match="songs: song-07"):
        run_protocol(load("brain2music"), embed(rows), embed(rows), rows, train=Manifest(frozenset({"song-07", "x"})))
    with pytest.raises(InputError, match="leak under the protocol"):
        run_protocol(load("brain2music"), embed(rows), embed(rows), rows, leak="1 of 60 songs")


def test_versions_of_a_work_leak_and_count_as_one() -> None:
    rows = [replace(row, work_id=f"work-{int(row.song[5:]) // 2}") for row in clips(styles=10)]
    config, target = load("brain2music"), embed(rows)
    with pytest.raises(LeakError, match="works: work-3"):
        known = Manifest(frozenset({"song-07 without words"}), {"song-07 without words": "work-3"})
        run_protocol(config, target, target, rows, train=known)
    noisy = target + 4.0 * np.random.default_rng(5).normal(size=target.shape)
    found = pick(run_protocol(config, noisy, target, rows), "decoder")
    assert found["clusters"] == 30 and "With these 30 works" in found["power"] and found["gallery_size"] == 60
    (fold,) = protocol_folds(load("brain2music", "split.test_songs=10", "split.listeners=own"), rows[: 60 * 4])
    sides = [{rows[number].work for number in side} for side in (fold.train, fold.test)]
    assert len(sides[1]) == 10 and not sides[0] & sides[1]


def test_generated_music_has_rows_of_its_own_and_the_choice_is_named() -> None:
    rows = clips(60, 10, repeats=4, subjects=1)
    target, rng = embed(rows), np.random.default_rng(4)
    config = load("brain2music_2025")
    without = run_protocol(config, target, target, rows)
    assert pick(without, "generated")["value"] is None and "generated audio" in pick(without, "generated")["why"]
    assert pick(without, "best of many")["published"][0]["value"] == 0.823
    heard = embed([row for row in rows if row.repeat == 1])
    made = heard[:, None] + 3.0 * rng.normal(size=(60, 20, 24))
    found = run_protocol(config, target + 0.8 * rng.normal(size=target.shape), target, rows, generated=made)
    once = pick(found, "generated once")
    fair, unfair = (pick(found, f"best of 20, {by}") for by in ("nearest what was decoded", "chosen by the answer"))
    assert once["value"] < fair["value"] <= unfair["value"]
    assert once["published"][0]["value"] == 0.741 and fair["published"][0]["value"] == 0.823
    with pytest.raises(InputError, match="Generated embeddings"):
        run_protocol(config, target, target, rows, generated=made[:5])


def test_the_genre_oracle_takes_training_songs_where_there_are_some() -> None:
    rows = clips(60, 10, repeats=1, subjects=1)
    rng = np.random.default_rng(5)
    centre = 10.0 * np.eye(10, 32)
    style = [int(row.style.rpartition("-")[2]) for row in rows]
    target = centre[style] + rng.normal(size=(60, 32))
    train = Reference(
        centre[style] + rng.normal(size=(60, 32)), [row.style for row in rows], [f"t{n}" for n in range(60)]
    )
    config = load("brain2music", "repeats=1")
    outside = pick(run_protocol(config, target, target, rows, reference=train), "genre oracle")["value"]
    inside = pick(run_protocol(config, target, target, rows), "genre oracle")["value"]
    assert outside == pytest.approx(56.5 / 59, abs=0.02) and inside == pytest.approx(54 / 59, abs=0.01)


def test_top_10_of_brennan_depends_on_the_gallery() -> None:
    rows = [Row("story", "speech", f"listener-{s}", 3.0 * k) for s in range(2) for k in range(100)]
    config = load("brennan2019")
    found = run_protocol(config, embed(rows, 1), embed(rows), rows)
    assert pick(found, "decoder")["chance"] == pytest.approx(0.1)
    assert pick(found, "decoder")["value"] == pytest.approx(0.1, abs=0.08)
    # One story: its passages are what is independent.
    assert pick(found, "decoder")["clusters"] == 10
    assert "no song beside" in pick(found, "genre oracle")["why"]


def songs_with_windows(songs: int = 10, windows: int = 6, styles: int = 5) -> list[Row]:
    return [Row(f"s{n}", f"g{n % styles}", "a", 3.0 * k) for n in range(songs) for k in range(windows)]


def test_songs_that_train_attract_predictions_and_so_are_kept_out_of_the_gallery() -> None:
    """A decoder that knows only the mean of the training songs is at chance within folds, and below it beside them."""
    config, rows = load("nmedt_pairs_held_out"), songs_with_windows()
    folds = protocol_folds(config, rows)
    rng = np.random.default_rng(0)
    songs = {f"s{n}": rng.normal(size=12) for n in range(10)}
    target = np.stack([songs[row.song] for row in rows])
    order = [n for fold in folds for n in fold.test]
    number = [fold.number for fold in folds for _ in fold.test]
    mean = np.concatenate([np.tile(target[list(fold.train)].mean(axis=0), (len(fold.test), 1)) for fold in folds])
    tested = [rows[n] for n in order]
    within = pick(run_protocol(config, mean, target[order], tested, folds=number), "decoder")
    assert within["gallery_size"] == 2 and within["clusters"] == 5 and within["value"] == 0.5
    beside = load("nmedt_pairs_held_out", "gallery.same_fold=false", "gallery.size=10")
    assert pick(run_protocol(beside, mean, target[order], tested), "decoder")["value"] < 0.35
    with pytest.raises(InputError, match="compares within folds"):
        run_protocol(config, mean, target[order], tested)


def test_windows_are_cut_as_said() -> None:
    config = load("brennan2019")
    assert window_starts(config, 10.0) == [0.0, 3.0, 6.0]
    with pytest.raises(DataError, match=r"2 s for windows of 3 s"):
        window_starts(config, 2.0)


def test_held_out_songs_are_on_one_side() -> None:
    config, rows = load("nmedt_pairs_held_out"), songs_with_windows()
    folds = protocol_folds(config, rows)
    assert len(folds) == 5 and not any(fold.leak for fold in folds)
    for fold in folds:
        assert len({rows[n].song for n in fold.test}) == len({rows[n].style for n in fold.test}) == 2
        assert not {rows[n].song for n in fold.train} & {rows[n].song for n in fold.test}
    assert sorted(n for fold in folds for n in fold.test) == list(range(60))


def test_ten_songs_are_held_out_at_once_where_others_train() -> None:
    """The first ten of the rows: the songs of the leaky form, whatever their styles."""
    config, rows = load("nmedt_song_held_out"), songs_with_windows(songs=40)
    (fold,) = protocol_folds(config, rows)
    assert {rows[n].song for n in fold.test} == {f"s{n}" for n in range(10)}
    assert {rows[n].song for n in fold.train} == {f"s{n}" for n in range(10, 40)} and not fold.leak
    with pytest.raises(ConfigError, match="tested: first belongs to test_songs"):
        load("nmedt_pairs_held_out", "split.tested=first")


def test_a_decoder_that_knows_nothing_of_the_ten_is_at_chance_among_them() -> None:
    """No song of the training is in the gallery: nothing draws predictions away from a held-out one."""
    config, rng = load("nmedt_song_held_out"), np.random.default_rng(6)
    rows = songs_with_windows(songs=10)
    songs = {f"s{n}": rng.normal(size=12) for n in range(10)}
    target = np.stack([songs[row.song] for row in rows])
    guess = rng.normal(size=target.shape)
    found = run_protocol(config, guess, target, rows, train=Manifest(frozenset(f"t{n}" for n in range(30))))
    by_chance, pairwise = pick(found, "decoder", "top-1"), pick(found, "decoder", "pairwise identification")
    assert by_chance["chance"] == 0.1 and by_chance["ci95"][0] < 0.1 < by_chance["ci95"][1]
    assert pairwise["ci95"][0] < 0.5 < pairwise["ci95"][1]
    assert pick(run_protocol(config, target, target, rows), "decoder", "top-1")["value"] == 1.0


def test_what_a_study_of_this_size_can_see_is_said_and_p_values_are_corrected() -> None:
    rows = clips(12, 3, repeats=1, subjects=1)
    target = embed(rows)
    config = load("retrieval_anchored_2026", "split.test_songs=12")
    predicted = target + 2.5 * np.random.default_rng(2).normal(size=target.shape)
    found = run_protocol(config, predicted, target, rows)
    decoder = [row for row in found if row["condition"] == "decoder"]
    assert all(row["power"].startswith("With these 12 songs an effect below") for row in decoder)
    assert [row["p_corrected"] for row in decoder] == holm([row["p_value"] for row in decoder]).tolist()
    assert all(row["p_corrected"] is None for row in found if row["stage"] is None)
    story = [Row("story", "speech", "listener", 3.0 * k) for k in range(100)]
    told = run_protocol(load("brennan2019"), embed(story, 1), embed(story), story)
    assert pick(told, "decoder")["power"].startswith("With these 10 passages")


def test_the_leaky_split_is_stamped_with_what_leaks() -> None:
    folds = protocol_folds(load("nmedt_leaky"), songs_with_windows())
    assert len(folds) == 5 and all("Training and test share" in fold.leak for fold in folds)


def test_passages_do_not_overlap_what_trains() -> None:
    config = load("brennan2019", "window.step_s=1")
    rows = [Row("story", "speech", "a", float(k)) for k in range(100)]
    for fold in protocol_folds(config, rows):
        gap = min(abs(rows[one].start_s - rows[other].start_s) for one in fold.train for other in fold.test)
        assert gap >= config.window.seconds and "song" in fold.leak


def test_others_train_for_the_one_who_is_tested() -> None:
    config = load("brain2music_2025", "split.test_songs=20")
    rows = clips(60, 10, repeats=1, subjects=3)
    folds = protocol_folds(config, rows)
    assert len(folds) == 3
    for fold in folds:
        tested = {rows[n].subject for n in fold.test}
        assert len(tested) == 1 and not tested & {rows[n].subject for n in fold.train}
        assert {style: sum(rows[n].style == style for n in fold.test) for style in {r.style for r in rows}} == {
            f"style-{k}": 2 for k in range(10)
        }


def test_a_leaky_split_has_to_be_declared() -> None:
    values = load("nmedt_leaky").model_dump()
    values["split"]["leaky"] = False
    with pytest.raises(ConfigError, match="say leaky: true"):
        build_config(ProtocolConfig, values)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match="galery"):
        load("brain2music", "galery=3")


def test_a_fixed_test_set_needs_songs_to_train_on() -> None:
    with pytest.raises(DataError, match="60 of 60 songs"):
        protocol_folds(load("brain2music"), clips())


def test_rows_carry_their_window_and_trial() -> None:
    row = Row("s", "g", "a", 1.5, 2)
    assert row.window == "s@1.500" and row.trial == "s/2"
    assert replace(row, repeat=1).window == row.window


def test_shuffled_predictions_are_the_decoders_own() -> None:
    """A decoder whose every output is the same song's is above chance nowhere; handed over, each is of another song."""
    rows = clips(20, 10, repeats=1)
    config, target = load("brain2music", "repeats=1", "gallery.size=20"), embed(rows)
    found = run_protocol(config, target, target, rows)
    assert pick(found, "decoder")["value"] == 1.0 and pick(found, "shuffled")["value"] < 0.6
    constant = run_protocol(config, np.tile(target[:1], (len(rows), 1)), target, rows)
    # The true embeddings of other songs would not know what was decoded.
    assert pick(constant, "shuffled")["value"] == pytest.approx(pick(constant, "decoder")["value"])


def test_shuffled_predictions_stay_within_the_fold() -> None:
    config, rows = load("nmedt_pairs_held_out"), songs_with_windows()
    folds = protocol_folds(config, rows)
    order = [n for fold in folds for n in fold.test]
    number = [fold.number for fold in folds for _ in fold.test]
    tested = [rows[n] for n in order]
    songs = {f"s{n}": np.eye(10)[n] for n in range(10)}
    target = np.stack([songs[row.song] for row in tested])
    # Of two songs the one that it is not.
    assert pick(run_protocol(config, target, target, tested, folds=number), "shuffled")["value"] == 0.0


def generated_of(rows: list[Row], number: list[int], noise: float, **more: object) -> Generated:
    """Music in a space of its own, of another dimension than what is decoded."""
    heard, rng = embed(rows, seed=9, dim=16), np.random.default_rng(8)
    draws = heard[number, None] + noise * rng.normal(size=(len(number), 5, 16))
    return Generated(number=number, target=heard, draws=draws, **more)  # type: ignore[arg-type]


def test_generated_music_is_found_in_a_gallery_of_its_own() -> None:
    rows = clips(20, 10, repeats=1)
    config, target, number = load("brain2music_2025", "repeats=1", "gallery.size=20"), embed(rows), list(range(5, 25))
    heard = embed(rows, seed=9, dim=16)[number]
    right = np.zeros(20, dtype=int)
    made = generated_of(
        rows,
        number,
        3.0,
        chosen={"chosen by ear": right},
        further={
            "generated, anchored": (heard, "anchored"),
            "generated without a brain": (np.tile(heard[:1], (20, 1)), None),
        },
        reference=Reference(heard, [rows[n].style for n in number], [f"t{n}" for n in number]),
    )
    found = run_protocol(config, target, target, rows, generated=made)
    ours = [row for row in found if row["space"] == "scorer" and row["metric"] == "pairwise identification"]
    assert all(row["n"] == 20 and row["gallery_size"] == 20 for row in ours)
    assert next(row for row in found if row["condition"] == "decoder")["n"] == 40
    once, best = pick(ours, "generated once"), pick(ours, "best of 5, chosen by the answer")
    assert once["value"] == pick(ours, "best of 5, chosen by ear")["value"] < best["value"]
    assert once["published"][0]["value"] == 0.741 and best["published"][0]["value"] == 0.823
    assert pick(ours, "generated, anchored")["value"] == 1.0
    assert pick(ours, "anchored in shuffled predictions")["value"] < 0.7
    assert pick(ours, "generated from shuffled predictions")["value"] < 0.7
    alone = pick(ours, "best of 5 from shuffled predictions, chosen by the answer")
    assert 0.5 < alone["value"] < best["value"] and alone["p_corrected"] is None
    assert pick(ours, "generated without a brain")["value"] == pytest.approx(0.5, abs=0.06)
    assert {"perfect guess of the genre", "genre oracle", "chance"} <= {row["condition"] for row in ours}
    # It is there: nothing is said to be missing.
    assert not [row for row in found if row["condition"] in ("generated", "best of many")]


def test_generated_music_that_does_not_fit_is_refused() -> None:
    rows = clips(20, 10, repeats=1, subjects=1)
    config, target = load("brain2music_2025", "repeats=1", "gallery.size=20"), embed(rows)
    made = generated_of(rows, list(range(20)), 1.0)
    with pytest.raises(InputError, match="19 generated targets"):
        run_protocol(config, target, target, rows, generated=made._replace(target=np.asarray(made.target)[1:]))
    with pytest.raises(InputError, match="windows that are not there"):
        run_protocol(config, target, target, rows, generated=made._replace(number=[0] * 20))
    with pytest.raises(InputError, match="Generated embeddings of dimension 3"):
        run_protocol(config, target, target, rows, generated=made._replace(draws=np.ones((20, 1, 3))))
    with pytest.raises(InputError, match="mine has shape"):
        run_protocol(config, target, target, rows, generated=made._replace(further={"mine": (np.ones((2, 16)), None)}))


@pytest.mark.parametrize("change", ["split.folds=2 split.test_songs=null", "gallery.of=songs", "generated.seconds=16"])
def test_what_can_be_generated_is_limited(change: str) -> None:
    with pytest.raises(ConfigError, match=r"held out in one fold|up to the window's 15"):
        load("brain2music_2025", *change.split())
