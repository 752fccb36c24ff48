"""The breakdown against plain loops over restricted galleries, in fractions, and decoders that know one thing only."""

from __future__ import annotations

import json
import statistics
from collections.abc import Hashable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eeg2music.errors import InputError
from eeg2music.metrics.breakdown import breakdown

KS = (1, 3)


def by_loops(similarity: np.ndarray, index: list[int], queries: list[int], keep: Sequence[Hashable]) -> dict:
    """Scores of the named queries, each against the items whose `keep` is that of its target; exact."""
    pairwise, tops, reciprocal, ranks, sizes = [], {k: [] for k in KS}, [], [], []
    left_out = 0
    for query in queries:
        own = index[query]
        gallery = [item for item in range(similarity.shape[1]) if keep[item] == keep[own]]
        if len(gallery) == 1:
            left_out += 1
            continue
        row = similarity[query]
        above = sum(row[item] > row[own] for item in gallery)
        places = [above + 1 + more for more in range(sum(row[item] == row[own] for item in gallery))]
        sizes.append(len(gallery))
        ranks.append(Fraction(sum(places), len(places)))
        pairwise.append(Fraction(len(gallery) - ranks[-1], len(gallery) - 1))
        reciprocal.append(sum(Fraction(1, place) for place in places) / len(places))
        for k in KS:
            tops[k].append(Fraction(sum(place <= k for place in places), len(places)))
    n = len(sizes)
    guesses = [(rank, Fraction(1, size)) for size in sizes for rank in range(1, size + 1)]
    return {
        "n": n,
        "left_out": left_out,
        "gallery_min": min(sizes),
        "gallery_max": max(sizes),
        "identification": float(sum(pairwise) / n),
        "identification_chance": 0.5,
        **{f"top{k}": float(sum(tops[k]) / n) for k in KS},
        **{f"top{k}_chance": float(sum(weight for rank, weight in guesses if rank <= k) / n) for k in KS},
        "mrr": float(sum(reciprocal) / n),
        "mrr_chance": float(sum(weight / rank for rank, weight in guesses) / n),
        "median_rank": float(statistics.median(ranks)),
        "median_rank_chance": float(weighted_median(guesses, n)),
    }


def weighted_median(guesses: list[tuple[int, Fraction]], total: int) -> Fraction:
    ordered = sorted(guesses)
    lower = upper = None
    below = Fraction(0)
    for rank, weight in ordered:
        below += weight
        if lower is None and below >= Fraction(total, 2):
            lower = rank
        if upper is None and below > Fraction(total, 2):
            upper = rank
    assert lower is not None and upper is not None
    return Fraction(lower + upper, 2)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ties=st.booleans())
def test_every_row_equals_the_loops(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    n, g = int(rng.integers(6, 30)), int(rng.integers(6, 16))
    similarity = rng.integers(-2, 3, size=(n, g)).astype(float) if ties else rng.normal(size=(n, g))
    index = rng.integers(0, g, size=n).tolist()
    style = ["a", "a", *rng.choice(["a", "b", "c"], size=g - 2)]
    song = rng.integers(0, 4, size=g).tolist()
    subject = rng.choice(["s1", "s2"], size=n).tolist()
    index[0] = 0
    rows = breakdown(
        similarity,
        index,
        query_labels={"subject": subject, "style": [style[item] for item in index]},
        gallery_labels={"style": style, "song": song},
        ks=KS,
    )
    named = {(row["group"], row["value"]): row for row in rows}
    everything, anything = list(range(n)), [0] * g
    expected = {("overall", None): by_loops(similarity, index, everything, anything)}
    for name in dict.fromkeys(subject):
        chosen = [query for query in everything if subject[query] == name]
        expected["subject", name] = by_loops(similarity, index, chosen, anything)
    for name in dict.fromkeys(style[item] for item in index):
        chosen = [query for query in everything if style[index[query]] == name]
        expected["style", name] = by_loops(similarity, index, chosen, anything)
    expected["within style", None] = by_loops(similarity, index, everything, style)
    if any(song.count(song[item]) > 1 for item in index):
        expected["within song", None] = by_loops(similarity, index, everything, song)
    else:
        named.pop(("within song", None))
    assert named.keys() == expected.keys()
    for key, scores in expected.items():
        got = {name: named[key][name] for name in scores}
        assert got == pytest.approx(scores, abs=1e-12), key
    json.dumps(rows)


def test_a_decoder_of_style_alone_is_at_chance_within_style() -> None:
    """4 styles of 5 songs of 3 windows: similarity 1 within the style, nothing else known."""
    style = np.repeat(list("abcd"), 15)
    song = np.repeat(np.arange(20), 3)
    rows = breakdown(
        (style[:, None] == style).astype(float), range(60), gallery_labels={"style": style, "song": song}, ks=(1, 5)
    )
    overall, within_style, within_song = rows
    assert overall["identification"] == pytest.approx(45 / 59 + 7 / 59)
    assert overall["top5"] == pytest.approx(5 / 15)
    for row in (within_style, within_song):
        for name in ("identification", "top1", "top5", "mrr", "median_rank"):
            assert row[name] == pytest.approx(row[f"{name}_chance"]), (row["group"], name)
    assert (within_song["gallery_max"], within_song["top5_chance"]) == (3, 1.0)


def test_a_decoder_of_the_song_is_perfect_within_style_only_up_to_the_moment() -> None:
    song = np.repeat(np.arange(6), 4)
    style = np.repeat(["x", "y"], 12)
    same_song = (song[:, None] == song).astype(float)
    rows = breakdown(same_song, range(24), gallery_labels={"style": style, "song": song}, ks=[4])
    assert [row["top4"] for row in rows] == [1.0, 1.0, 1.0]
    assert rows[1]["identification"] == pytest.approx((8 + 1.5) / 11)
    assert rows[2]["identification"] == pytest.approx(0.5)
    # The moment known as well: perfect everywhere.
    rows = breakdown(same_song + np.eye(24), range(24), gallery_labels={"style": style, "song": song}, ks=[1])
    assert [row["identification"] for row in rows] == [1.0, 1.0, 1.0]


def test_queries_with_nothing_to_confuse_are_counted_out_loud() -> None:
    similarity = np.eye(4)
    rows = breakdown(similarity, range(4), gallery_labels={"song": ["a", "a", "b", "c"], "clip": range(4)}, ks=[1])
    assert (rows[1]["n"], rows[1]["left_out"], rows[1]["gallery_max"]) == (2, 2, 2)
    nothing = rows[2]
    assert (nothing["n"], nothing["left_out"]) == (0, 4)
    assert nothing["identification"] is None and nothing["top1_chance"] is None
    assert nothing.keys() == rows[1].keys()


def test_the_order_of_queries_and_gallery_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    similarity, index = rng.normal(size=(20, 12)), rng.integers(0, 12, size=20)
    song, subject = rng.integers(0, 3, size=12), rng.integers(0, 2, size=20)
    before = breakdown(similarity, index, query_labels={"subject": subject}, gallery_labels={"song": song})
    queries, items = rng.permutation(20), rng.permutation(12)
    place = np.argsort(items)
    after = breakdown(
        similarity[np.ix_(queries, items)],
        place[index[queries]],
        query_labels={"subject": subject[queries]},
        gallery_labels={"song": song[items]},
    )

    def by_name(rows: list[dict]) -> list[dict]:
        return sorted(rows, key=lambda row: (row["group"], str(row["value"])))

    for one, other in zip(by_name(before), by_name(after), strict=True):
        assert other == pytest.approx(one)


def test_ties_up_to_rounding_are_ties_in_every_row() -> None:
    """The margin is that of the whole matrix, also where a restricted gallery holds small values only."""
    similarity = np.array([[1.0, 0.0, 0.0], [0.0, 1e-3, 1e-3 + 1e-13]])
    rows = breakdown(similarity, [0, 1], gallery_labels={"song": ["a", "b", "b"]}, ks=[1])
    assert rows[1]["identification"] == 0.5


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"query_labels": {"subject": ["a"]}}, "query label 'subject' has 1 entries for 3"),
        ({"gallery_labels": {"song": ["a", None, "b"]}}, "gallery label 'song' is missing for 1 of 3"),
        ({"query_labels": {"subject": [1.0, float("nan"), 2.0]}}, "missing for 1"),
        (
            {"query_labels": {"style": ["a", "b", "b"]}, "gallery_labels": {"style": ["a", "a", "b"]}},
            "1 queries differ from their targets in 'style': query 1 has 'b', its target 'a'",
        ),
    ],
)
def test_labels_that_do_not_fit_are_named(given: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        breakdown(np.eye(3), range(3), **given)


def test_bad_similarities_are_named() -> None:
    with pytest.raises(InputError, match="not finite"):
        breakdown([[np.nan, 1.0]], [0])
    with pytest.raises(InputError, match="0 to 1"):
        breakdown([[0.5, 1.0]], [2])
    with pytest.raises(InputError, match="shape"):
        breakdown([0.5, 1.0], [0])
