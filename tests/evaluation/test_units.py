"""What an evaluation consists of, and in which order it is done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.units import in_order, level_units, next_listeners, spread_rows, unit_of

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
    short = LevelConfig(name="short", snr=-3.0, generate=("brain",), generated_windows=2)
    long = LevelConfig(name="long", snr=0.0, generate=("oracle",), generated_windows=9)
    config = EvaluateConfig(seeds=(0,))
    ordered = in_order([*level_units(short, config), *level_units(long, config)])
    names = [unit.level for unit in ordered]
    assert names == ["long"] * 8 + ["short"] * 8
    assert (ordered[0].condition, ordered[8].condition) == ("oracle", "brain")


def test_a_unit_is_what_it_is_under_any_name() -> None:
    one, other = LevelConfig(name="a", snr=-3.0), LevelConfig(name="b", snr=-3.0)
    assert unit_of(one, "brain", 0).identity() == unit_of(other, "brain", 0).identity()
    harder = LevelConfig(name="a", snr=-4.0)
    assert unit_of(one, "brain", 0).identity() != unit_of(harder, "brain", 0).identity()
    # No recording enters these.
    assert unit_of(one, "oracle", 0).identity() == unit_of(harder, "oracle", 0).identity()
    assert unit_of(one, "no_brain", 0).identity() == unit_of(harder, "no_brain", 0).identity()
