"""What an evaluation consists of, and in which order it is done."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from eeg2music.evaluation.baselines import BASELINES
from eeg2music.evaluation.brain import CONTROLS
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.heard import Heard, next_listeners
from eeg2music.evaluation.material import ListeningConfig
from eeg2music.evaluation.units import Bench, Unit, in_order, level_units, spread_rows, unit_of

MakeHeard = Callable[..., Heard]


@pytest.mark.parametrize(
    ("count", "rows"), [(0, []), (1, [0]), (3, [0, 4, 9]), (10, list(range(10))), (99, list(range(10)))]
)
def test_queries_are_spread_over_songs_and_listeners(make_heard: MakeHeard, count: int, rows: list[int]) -> None:
    assert spread_rows(make_heard(5), count) == rows


def test_other_listeners_hear_the_same_songs(make_heard: MakeHeard) -> None:
    heard = make_heard(4, subjects=("sub-a", "sub-b", "sub-c"))
    others = next_listeners(heard)
    assert others is not None
    assert others.query_songs == heard.query_songs
    assert all(mine != theirs for mine, theirs in zip(heard.query_subjects, others.query_subjects, strict=True))
    assert next_listeners(make_heard(4, subjects=("sub-a",))) is None
    assert next_listeners(heard.select(range(7))) is None  # the last listeners did not hear everything


def test_clips_are_generated_only_where_asked() -> None:
    level = LevelConfig(name="a", snr=-3.0, conditions=("brain", "oracle"), generate=("oracle",), generated_windows=7)
    units = level_units(level, EvaluateConfig(seed=5, seeds=(0, 2)))
    assert [(u.condition, u.seed, u.clips) for u in units] == [
        ("brain", 5, 0),
        ("brain", 7, 0),
        ("oracle", 5, 7),
        ("oracle", 7, 7),
    ]


def test_levels_stay_together_and_the_longest_come_first() -> None:
    known = ("brain", *CONTROLS)
    short = LevelConfig(name="short", snr=-3.0, conditions=known, generate=("brain",), generated_windows=2)
    long = LevelConfig(name="long", snr=0.0, conditions=known, generate=("oracle",), generated_windows=9)
    config = EvaluateConfig(seeds=(0,))
    ordered = in_order([*level_units(short, config), *level_units(long, config)])
    names = [unit.level for unit in ordered]
    assert names == ["long"] * 8 + ["short"] * 8
    assert (ordered[0].condition, ordered[8].condition) == ("oracle", "brain")
    # Fitting the ridge model takes longer than a few clips.
    assert unit_of(short, "ridge", 0).cost > unit_of(long, "oracle", 0).cost


def test_units_of_the_same_recordings_stay_together() -> None:
    levels = [LevelConfig(name=name, snr=snr, generate=()) for name, snr in (("a", 0.0), ("b", -3.0))]
    config = EvaluateConfig(seeds=(0, 1, 2))
    ordered = in_order([unit for level in levels for unit in level_units(level, config)])
    runs = [key for key, _ in groupby((unit.snr_db, unit.seed) for unit in ordered)]
    assert len(runs) == len(set(runs)) == 6


def test_a_unit_is_what_it_is_under_any_name() -> None:
    one, other = LevelConfig(name="a", snr=-3.0), LevelConfig(name="b", snr=-3.0)
    assert unit_of(one, "brain", 0).identity() == unit_of(other, "brain", 0).identity()
    harder = LevelConfig(name="a", snr=-4.0)
    assert unit_of(one, "brain", 0).identity() != unit_of(harder, "brain", 0).identity()
    assert unit_of(one, "brain", 0).identity() != unit_of(one, "brain", 1).identity()
    # No recording enters these.
    assert unit_of(one, "oracle", 0).identity() == unit_of(harder, "oracle", 0).identity()
    assert unit_of(one, "no_brain", 0).identity() == unit_of(harder, "no_brain", 0).identity()
    for name in BASELINES:
        same = unit_of(one, name, 0).identity() == unit_of(harder, name, 0).identity()
        assert same == (name != "ridge"), name


SHORT = ListeningConfig(songs=2, song_seconds=6.6, window_start_s=1.0)


@pytest.fixture(scope="module")
def bench(tiny_checkpoint: Path) -> Bench:
    config = EvaluateConfig(checkpoint=str(tiny_checkpoint), listening=SHORT, reference_songs=0)
    return Bench(config, tiny_checkpoint, "cpu")


def test_the_other_subjects_windows_are_none_of_the_brains(bench: Bench) -> None:
    """Pooled over listeners, the same windows in another order would give the same score."""
    found = bench.evidence(Unit("clean", 0.0, "other_subject", 0, 0))
    assert found.other is not None
    assert len(found.other.windows) == len(found.heard.windows) == 4

    def pairs(heard: Heard) -> set[tuple[bytes, int]]:
        return {(window.eeg.tobytes(), int(row)) for window, row in zip(heard.windows, heard.target, strict=True)}

    assert len(pairs(found.heard)) == 4
    assert not pairs(found.heard) & pairs(found.other)
    assert found.other.query_songs == found.heard.query_songs
    pairings = zip(found.heard.query_subjects, found.other.query_subjects, strict=True)
    assert all(mine != theirs for mine, theirs in pairings)


def test_the_brain_takes_no_second_presentation(bench: Bench) -> None:
    assert bench.evidence(Unit("clean", 0.0, "brain", 1, 0)).other is None


def test_seeds_are_recordings_of_their_own_of_the_same_songs(bench: Bench) -> None:
    first, second = (bench.evidence(Unit("clean", 0.0, "brain", seed, 0)).heard for seed in (0, 1))
    assert first.songs == second.songs
    assert first.query_subjects == second.query_subjects
    for one, other in zip(first.windows, second.windows, strict=True):
        assert not np.array_equal(one.eeg, other.eeg)


def test_what_the_oracle_is_scored_on_is_the_same_at_every_ratio(bench: Bench) -> None:
    clean, real = (bench.evidence(Unit("x", snr_db, "oracle", 0, 2)) for snr_db in (0.0, -37.0))
    # The ids decide the noise of the generation, the rest what is scored.
    assert [window.window_id for window in clean.heard.windows] == [window.window_id for window in real.heard.windows]
    assert np.array_equal(clean.heard.target, real.heard.target)
    assert clean.heard.stems is real.heard.stems
    assert clean.oracle is real.oracle
