"""Do the intervals cover and do the tests hold their level, at few songs and on data like ours?

Draws data sets of which the truth is known and puts them through the functions that the evaluation uses: several
windows of each song (3 to 9, so that songs do not count alike), songs that differ, scores between 0 and 1 that are
skewed near the end, and queries whose windows of one song agree though they know nothing of the music. Prints a table
and writes it as JSON. To hold: 95 % intervals cover 0.93 to 0.97, and p < 0.05 comes in 0.035 to 0.065 of null data
sets, at 8, 12 and 25 songs. Rows marked "not used" show what goes wrong otherwise. Four cases are held to less:

- with ten listeners or more, where neither songs nor listeners differ, the two-way interval is conservative: it covers
  0.93 at least;
- of four classes, where most clips of a song are of one, whole songs are right or wrong, by chance two of eight, and
  where none is, nothing tells how far songs differ: the interval covers 0.9 at least;
- balanced over classes of unlike size the interval is conservative at few songs: it covers 0.93 at least;
- where few clips of a song agree, the agreement takes few values, and ties count against a finding: p < 0.05 may come
  less often.

Expectations judge differences by the interval of `compare`, which is among the rows.

Further the intervals of distances between distributions, over songs of which there are several near-copies: FAD-∞ at
200 songs and the kernel distance at 50. Where the two clouds are alike the kernel distance's may cover more.

    python benchmarks/statistics_calibration.py --out benchmarks/statistics_calibration.json

Takes about three minutes on one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.evaluation.classes import class_scores
from eeg2music.evaluation.clusters import ClusterSums
from eeg2music.evaluation.identification import identify
from eeg2music.evaluation.permutations import fold_permutations
from eeg2music.evaluation.pooled import pooled_scores
from eeg2music.evaluation.power import smallest_effect
from eeg2music.evaluation.statistics import (
    SUBJECTS_RANDOM_FROM,
    cluster_interval,
    cluster_limits,
    permutation_p_value,
    sign_flips,
)
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.files import write_json
from eeg2music.metrics.frechet import covariance_factor, frechet_infinity, root_trace
from eeg2music.metrics.kernel import median_distance
from eeg2music.metrics.kernel_songs import song_kernel_distance
from eeg2music.origin import made_with
from eeg2music.seeding import numpy_rng

CLUSTERS = (8, 12, 25)
COVERAGE, RATE = (0.93, 0.97), (0.035, 0.065)
LIMITS = {
    "covers": COVERAGE,
    "covers at least": (COVERAGE[0], 1.0),
    "covers 0.9": (0.9, COVERAGE[1]),
    "p < 0.05": RATE,
    "p < 0.05 at most": (0.0, RATE[1]),
    "power": (0.77, 0.83),
}
LISTENERS = 12
SEEDS, CLASSES = 3, 4
# Share of a song's clips that have one class, and what interval and p-value are held to.
AGREEING = {0.3: ("covers", "p < 0.05 at most"), 0.6: ("covers 0.9", "p < 0.05")}
RESAMPLES, PERMUTATIONS = 999, 999
# Beta distributions of how well the songs are identified: mean 0.5 (no knowledge), 0.71 and 0.84.
SKILL = {"pairwise 0.50": (4.0, 4.0), "pairwise 0.71": (6.0, 2.5), "pairwise 0.84": (8.0, 1.5)}
# Songs, near-copies of each, how far the mean is shifted, dimensions.
ENDLESS = {"one clip a song": (200, 1, 0.5, 8), "four near-copies a song": (200, 4, 0.5, 8)}
KERNEL = {
    "four near-copies, shifted": (50, 4, 0.4, 8),
    "one clip a song, shifted": (50, 1, 0.3, 64),
    "four near-copies, alike": (50, 4, 0.0, 8),
}
NEAR, REFERENCE = 0.3, 200
HITS = {"top-1 hits 0.25": (1.0, 3.0)}
# How well the songs of classes of unlike size are told.
UNLIKE = (HITS["top-1 hits 0.25"], SKILL["pairwise 0.71"])
Floats = NDArray[np.float64]


class Row(NamedTuple):
    """One measured rate.

    what : "covers" or, where it is wide for certain, "covers at least", or where it is short, "covers 0.9" (of 95 %
        intervals), "p < 0.05" or, where ties are many, "p < 0.05 at most" (of null data sets), or "power"
    used : whether the evaluation relies on it
    """

    method: str
    data: str
    songs: int
    what: str
    rate: float
    data_sets: int
    used: bool = True

    @property
    def holds(self) -> bool:
        """Whether it lies where it should."""
        low, high = LIMITS[self.what]
        return low <= self.rate <= high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/statistics_calibration.json"))
    parser.add_argument("--data-sets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.process_time()
    rows = []
    for row in calibrate(arguments.data_sets, arguments.seed):
        rows.append(row)
        print(line(row), flush=True)
    seconds = time.process_time() - began
    held = all(row.holds for row in rows if row.used)
    print(f"{seconds:.0f} s of CPU; every row in use lies where it should: {'yes' if held else 'NO'}")
    described = [{**row._asdict(), "holds": row.holds} for row in rows]
    told = settings(arguments.data_sets, arguments.seed)
    write_json(arguments.out, {"made_with": made_with(), **told, "cpu_s": round(seconds, 1), "rows": described})


def settings(data_sets: int = 2000, seed: int = 0) -> dict[str, Any]:
    """What decides the rows, and the limits they are held to; stored beside them."""
    return {
        "limits": {name: list(ends) for name, ends in LIMITS.items()},
        "seed": seed,
        "data_sets": data_sets,
        "clusters": list(CLUSTERS),
        "listeners": LISTENERS,
        "seeds": SEEDS,
        "classes": CLASSES,
        "agreeing": {f"{share:g}": list(said) for share, said in AGREEING.items()},
        "listeners_random_from": SUBJECTS_RANDOM_FROM,
        "resamples": RESAMPLES,
        "permutations": PERMUTATIONS,
        "skill": {name: list(shape) for name, shape in {**SKILL, **HITS}.items()},
    }


def line(row: Row) -> str:
    """One line of the table."""
    state = "not used" if not row.used else "holds" if row.holds else "FAILS"
    return f"| {row.method:34} | {row.data:32} | {row.songs:3} songs | {row.what:16} | {row.rate:.4f} | {state:8} |"


def calibrate(data_sets: int, seed: int, clusters: tuple[int, ...] = CLUSTERS) -> Iterator[Row]:
    """Every row, for each number of songs."""
    for songs in clusters:
        for part in PARTS:
            yield from part(data_sets, songs, numpy_rng(seed, "calibration", part.__name__, songs))
    for rows in (endless_rows, kernel_rows):
        yield from rows(data_sets, numpy_rng(seed, "calibration", rows.__name__))


def interval_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Coverage of the mean of scores with bounds."""
    for name, (a, b) in {**SKILL, **HITS}.items():
        labels = window_songs(songs, rng)
        level = rng.beta(a, b, size=(data_sets, songs))[:, labels]
        hits = name in HITS
        values = (rng.random(level.shape) < level).astype(np.float64) if hits else noisy(level, rng)
        sums, truth = song_sums(values, labels), a / (a + b)

        def row(
            method: str, limits: tuple[Floats, Floats], used: bool = True, name: str = name, truth: float = truth
        ) -> Row:
            return Row(method, name, songs, "covers", covers(limits, truth), data_sets, used)

        yield row("cluster_interval, bounds", cluster_limits(sums, bounds=(0.0, 1.0)))
        # At one half scores are as symmetric as differences; nearer to 1 bounds are needed.
        yield row("cluster_interval, no bounds", cluster_limits(sums), used=name == "pairwise 0.50")
        yield row("percentile bootstrap", percentile(sums, rng), used=False)


def paired_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Two runs on the same songs that are equally good: interval and test as `compare` makes them."""
    a, b = SKILL["pairwise 0.84"]
    labels = window_songs(songs, rng)
    common = rng.beta(a, b, size=(data_sets, songs))
    # Either run is better at some of the songs.
    runs = [noisy(noisy(common, rng, 20.0)[:, labels], rng) for _ in range(2)]
    sums = song_sums(runs[1] - runs[0], labels)
    name = "paired differences of 0.84"
    yield Row("cluster_interval, no bounds", name, songs, "covers", covers(cluster_limits(sums), 0.0), data_sets)
    p_values = [
        permutation_p_value(abs(row.mean()), np.abs(sign_flips(row, rng=rng, permutations=PERMUTATIONS)))
        for row in sums.total
    ]
    yield Row("sign_flips", name, songs, "p < 0.05", rate(p_values), data_sets)


def two_way_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Twelve listeners who differ, each of whom heard every song; so do the songs."""
    found = _two_way(data_sets, songs, 0.7, rng)
    yield Row("cluster_interval, two ways", "12 listeners who differ", songs, "covers", found, data_sets)


def alike_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """The same without any difference: each of the two ways of clustering sees the whole noise of the windows."""
    found = _two_way(data_sets, songs, 0.0, rng)
    yield Row("cluster_interval, two ways", "12 listeners, all alike", songs, "covers at least", found, data_sets)


def _two_way(data_sets: int, songs: int, spread: float, rng: np.random.Generator) -> float:
    """Coverage of zero, where songs and listeners differ by `spread` and windows by one."""
    song, subject = np.divmod(np.arange(songs * LISTENERS), LISTENERS)
    inside = 0
    for _ in range(data_sets):
        of_songs, of_listeners = rng.normal(size=songs), rng.normal(size=LISTENERS)
        values = spread * of_songs[song] + spread * of_listeners[subject] + rng.normal(size=len(song))
        found = cluster_interval(values, song.tolist(), subject.tolist())
        inside += found.low <= 0.0 <= found.high
    return inside / data_sets


def identification_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Random queries whose windows of one song agree, against a random gallery with hubs: `identify` as it is."""
    labels = window_songs(songs, rng)
    subjects = (np.arange(len(labels)) % 4).tolist()
    found = []
    for _ in range(data_sets):
        gallery = rng.normal(size=(songs, 16)) + rng.normal(size=16)
        query = 2.0 * rng.normal(size=(songs, 16))[labels] + rng.normal(size=(len(labels), 16))
        seed = int(rng.integers(2**31))
        named = {"songs": labels.tolist(), "subjects": subjects}
        found.append(identify(query, gallery, labels, seed=seed, permutations=PERMUTATIONS, **named))
    yield from _identified("identify", "identification without knowledge", songs, found)


def pooled_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Three seeds without knowledge, of the same windows: the figure of all seeds, which pages call the result.

    Seeds hear the same recordings, so that windows of one song agree between seeds too.
    """
    labels = window_songs(songs, rng)
    number = np.bincount(labels)
    cells = {"song": [f"{song}" for song in range(songs)], "subject": ["one"] * songs, "n": number.tolist()}
    # What units keep beside them, and nothing here reads.
    cells |= {"accuracy": [0.0] * songs, "top1": [0.0] * songs}
    found = []
    for _ in range(data_sets):
        gallery = rng.normal(size=(songs, 16)) + rng.normal(size=16)
        heard = 2.0 * rng.normal(size=(songs, 16))[labels] + rng.normal(size=(len(labels), 16))
        entry = {"embedding": {"cells": cells, "seed": int(rng.integers(2**31))}}
        seeds = [heard + rng.normal(size=heard.shape) for _ in range(SEEDS)]
        found.append(pooled_scores([UnitResult(entry, {}, Matched(query, gallery, labels)) for query in seeds]))
    for method, key in (("pooled_scores", "embedding"), ("pooled_scores, centred", "embedding_centred")):
        figures = [one[key] or {} for one in found]
        yield from _identified(method, f"{SEEDS} seeds without knowledge", songs, figures)


def class_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Classes of clips that know nothing of those heard, of which some agree within a song: `class_scores` as it is."""
    labels = window_songs(songs, rng)
    heard = {"class": (labels % CLASSES).tolist()}
    for share, said in AGREEING.items():
        found = []
        for _ in range(data_sets):
            of_song, of_clip = rng.integers(0, CLASSES, songs), rng.integers(0, CLASSES, len(labels))
            made = {"class": np.where(rng.random(len(labels)) < share, of_song[labels], of_clip).tolist()}
            seed = int(rng.integers(2**31))
            found += class_scores(made, heard, songs=labels.tolist(), seed=seed, permutations=PERMUTATIONS)
        name = f"{CLASSES} classes, {share:g} of a song alike"
        yield from _figures("class_scores", name, songs, found, 1.0 / CLASSES, *said)


def class_size_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """Balanced accuracy where half of the songs are of one class, and songs differ: `class_scores` as it is."""
    labels, number = window_songs(songs, rng), np.arange(songs)
    kinds = np.where(number < songs // 2, 0, 1 + number % (CLASSES - 1))
    heard = kinds[labels]
    for a, b in UNLIKE:
        limits = []
        for _ in range(data_sets):
            right = rng.random(len(labels)) < rng.beta(a, b, size=songs)[labels]
            # Where it is wrong it is of a class that no clip is of.
            made = {"class": np.where(right, heard, CLASSES).tolist()}
            row = class_scores(made, {"class": heard.tolist()}, songs=labels.tolist(), seed=0, permutations=1)[0]
            limits.append(row["balanced_ci95"])
        low, high = np.array(limits).T
        data = f"balanced {a / (a + b):.2f}, unlike classes"
        yield Row("class_scores, interval", data, songs, "covers at least", covers((low, high), a / (a + b)), data_sets)


def fold_rows(data_sets: int, folds: int, rng: np.random.Generator) -> Iterator[Row]:
    """Folds of two songs that are told apart, without knowledge: what protocols do where folds are the clusters."""
    # Windows enough that their hits add up to more than a few values.
    labels = np.repeat(np.arange(2 * folds), rng.integers(15, 46, size=2 * folds))
    of = labels // 2
    rows_of = [np.flatnonzero(of == fold) for fold in range(folds)]
    found = []
    for _ in range(data_sets):
        nearer = rng.normal(size=2 * folds)[labels] + rng.normal(size=len(labels)) + rng.normal(size=folds)[of] > 0.0
        table = np.stack([~nearer, nearer], axis=1).astype(np.float64)
        values = table[np.arange(len(labels)), labels % 2]
        parts = [(table[rows], labels[rows] % 2, labels[rows].tolist()) for rows in rows_of]
        null = fold_permutations(parts, rng=rng, permutations=PERMUTATIONS)
        interval = cluster_interval(values, of.tolist(), bounds=(0.0, 1.0))
        p_value = permutation_p_value(interval.estimate, null)
        found.append({"ci95": (interval.low, interval.high), "p_value": p_value})
    yield from _figures("fold_permutations", "folds of two songs", folds, found, 0.5)


def _identified(method: str, data: str, songs: int, found: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """Of pairwise identification its interval and its p-value; of top-1 its p-value."""
    yield from _figures(method, data, songs, found, 0.5)
    top1 = [one["top1_p_value"] for one in found]
    yield Row(f"{method}, top-1", data, songs, "p < 0.05", rate(top1), len(found))


def _figures(
    method: str,
    data: str,
    clusters: int,
    found: Sequence[Mapping[str, Any]],
    truth: float,
    covering: str = "covers",
    level: str = "p < 0.05",
) -> Iterator[Row]:
    """Coverage and level of figures with an interval and a p-value, and what they are held to."""
    low, high = np.array([one["ci95"] for one in found]).T
    yield Row(f"{method}, interval", data, clusters, covering, covers((low, high), truth), len(found))
    yield Row(method, data, clusters, level, rate([one["p_value"] for one in found]), len(found))


def power_rows(data_sets: int, songs: int, rng: np.random.Generator) -> Iterator[Row]:
    """An effect of the size that `smallest_effect` names is seen in 0.8 of the data sets."""
    windows = 6
    effect = smallest_effect(float(np.sqrt((1.0 + 1.0 / windows) / songs)), songs - 1)
    values = effect + rng.normal(size=(data_sets, songs, 1)) + rng.normal(size=(data_sets, songs, windows))
    low, _ = cluster_limits(ClusterSums(values.sum(axis=2), np.full((data_sets, songs), float(windows))))
    yield Row("smallest_effect", "songs that differ", songs, "power", float(np.mean(low > 0.0)), data_sets)


def endless_rows(data_sets: int, rng: np.random.Generator) -> Iterator[Row]:
    """FAD-∞ of songs from a known Gaussian, against one reference; and near-copies taken for songs."""
    for name, (songs, copies, shift, dim) in ENDLESS.items():
        x = rng.normal(size=(20_000, dim))
        scales, middle = np.linspace(1.3, 0.7, dim), shift * (np.arange(dim) == 0)
        spreads = [np.cov(x.T), np.diag(scales**2 * (1.0 + NEAR**2))]
        root = root_trace(covariance_factor(spreads[0]), covariance_factor(spreads[1]))
        truth = float(np.sum((x.mean(axis=0) - middle) ** 2) + np.trace(spreads[0] + spreads[1]) - 2.0 * root)
        found: dict[str, list[tuple[float, float]]] = {"songs": [], "clips": []}
        for number in range(data_sets):
            y, groups = near_copies(songs, copies, scales, middle, rng)
            for method, labels in (("songs", groups), ("clips", None)):
                if method == "songs" or copies > 1:
                    one = frechet_infinity(x, y, seed=number, groups=labels, repeats=4)
                    found[method].append((one.low or np.nan, one.high or np.nan))
        yield from _by_method("frechet_infinity", name, songs, found, truth)


def kernel_rows(data_sets: int, rng: np.random.Generator) -> Iterator[Row]:
    """The kernel distance of songs from a reference, both from known Gaussians; and near-copies taken for songs."""
    for name, (songs, copies, shift, dim) in KERNEL.items():
        scales = 1.0 / np.sqrt(np.arange(1.0, dim + 1.0))
        spread, middle = scales**2 * (1.0 + NEAR**2), shift * scales
        found: dict[str, list[tuple[float, float]]] = {"songs": [], "clips": []}
        for _ in range(data_sets):
            x = rng.normal(size=(REFERENCE, dim)) * np.sqrt(spread)
            y, groups = near_copies(songs, copies, scales, middle, rng)
            width = median_distance(x)
            truth = 200.0 * (mean_kernel(2.0 * spread, 0.0 * middle, width) - mean_kernel(2.0 * spread, middle, width))
            for method, labels in (("songs", groups), ("clips", None)):
                if method == "songs" or copies > 1:
                    one = song_kernel_distance(x, y, labels, bandwidth=width)
                    # Each data set has a kernel of its own, and with it a truth of its own.
                    found[method].append(((one.low or np.nan) - truth, (one.high or np.nan) - truth))
        yield from _by_method("song_kernel_distance", name, songs, found, 0.0, "covers" if shift else "covers at least")


def _by_method(
    what: str, data: str, songs: int, found: dict[str, list[tuple[float, float]]], truth: float, said: str = "covers"
) -> Iterator[Row]:
    for method, limits in found.items():
        if limits:
            low, high = np.array(limits).T
            used = method == "songs"
            yield Row(f"{what}, {method}", data, songs, said, covers((low, high), truth), len(limits), used)


def near_copies(
    songs: int, copies: int, scales: Floats, middle: Floats, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Songs from a Gaussian, and clips of each that differ a little: (clip, dim), and the song of each."""
    groups = np.repeat(np.arange(songs), copies)
    noise = NEAR * rng.normal(size=(len(groups), len(scales)))
    return middle + (rng.normal(size=(songs, len(scales)))[groups] + noise) * scales, groups


def mean_kernel(spread: Floats, gap: Floats, width: float) -> float:
    """Mean of exp(-d² / 2 width²) where the difference d is Gaussian with these variances and this mean."""
    wide = width**2 + spread
    return float(np.prod(width / np.sqrt(wide)) * np.exp(-0.5 * np.sum(gap**2 / wide)))


# Each draws from a stream of its own.
PARTS = (interval_rows, paired_rows, two_way_rows, alike_rows, identification_rows, pooled_rows, class_rows,
         class_size_rows, fold_rows, power_rows)  # fmt: skip


def window_songs(songs: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Song of each window: 3 to 9 of each."""
    return np.repeat(np.arange(songs), rng.integers(3, 10, size=songs))


def noisy(level: Floats, rng: np.random.Generator, precision: float = 10.0) -> Floats:
    """Scores in [0, 1] around a level."""
    inside = np.clip(level, 1e-6, 1.0 - 1e-6)
    return rng.beta(precision * inside, precision * (1.0 - inside))


def song_sums(values: Floats, labels: NDArray[np.int64]) -> ClusterSums:
    """(data set, window) values to (data set, song) sums."""
    member = np.eye(int(labels.max()) + 1)[labels]
    return ClusterSums(values @ member, np.tile(member.sum(axis=0), (len(values), 1)))


def percentile(sums: ClusterSums, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """What is usually done: quantiles of the means of resampled songs."""
    found = []
    for total, number in zip(sums.total, sums.number, strict=True):
        weights = weights_of(len(total), rng)
        found.append(np.quantile(weights @ total / (weights @ number), [0.025, 0.975]))
    low, high = np.array(found).T
    return low, high


def weights_of(songs: int, rng: np.random.Generator) -> Floats:
    """How often each song comes in each resample. (resample, song)."""
    drawn = rng.integers(0, songs, size=(RESAMPLES, songs)) + songs * np.arange(RESAMPLES)[:, None]
    return np.bincount(drawn.ravel(), minlength=RESAMPLES * songs).reshape(RESAMPLES, songs).astype(np.float64)


def covers(limits: tuple[Floats, Floats], truth: float) -> float:
    """Share of the intervals that hold the truth; one that could not be made does not."""
    low, high = limits
    return float(np.mean((low <= truth) & (truth <= high)))


def rate(p_values: list[float] | list[Any]) -> float:
    """Share below 0.05."""
    return float(np.mean(np.asarray(p_values) < 0.05))


if __name__ == "__main__":
    main()
