"""How long do the distribution and retrieval metrics take, and how does the root term compare with scipy's?

    python benchmarks/metrics_speed.py [--rows 10000] [--dim 512] [--repeats 3] [--out FILE]

Two clouds of `rows` embeddings, correlated across dimensions; row i of one belongs to row i of the other. Timed in one
run, in turn, and the best of the repeats taken, in seconds on the wall and in processor seconds over all threads:
  root, from covariances   tr((A B)^1/2) of the same two matrices: the trace of `scipy.linalg.sqrtm(A @ B)`, and a
                           Cholesky factor of each with the singular values of their product
  root, from rows          the same, `numpy.cov` and the factors of the rows included
  distance, from rows      `frechet_distance` whole, checks of its input included, and the closed form as it is usually
                           written, with `numpy.cov` and `scipy.linalg.sqrtm`
  FAD, KAD, retrieval      `frechet_distance`, `kernel_distance`, `retrieval_scores` (identification, top-1, 5 and 10,
                           reciprocal rank, median rank), and their sum
  score: identification    what `eeg2music score` calls for one condition in one embedding, each row a song of its own:
                           the figures above, 2,000 permutations of songs, intervals and the smallest effect
  score: distances         the same command's FAD, and KAD both ways with its interval
The metrics compute in float64 throughout. The number of threads is BLAS's: set OMP_NUM_THREADS to fix it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import linalg

from eeg2music.evaluation.identification import PERMUTATIONS
from eeg2music.evaluation.outside.manifest import Clips, Header, Row
from eeg2music.evaluation.outside.measure import Space, distances, identification
from eeg2music.files import write_json
from eeg2music.metrics import frechet
from eeg2music.metrics.kernel import kernel_distance
from eeg2music.metrics.retrieval import retrieval_scores
from eeg2music.origin import made_with
from eeg2music.seeding import numpy_rng

Rows = NDArray[np.float64]
ROOTS = ("covariances", "rows")
SCORES = ("fad", "kad", "retrieval")
COMMAND = ("score identification", "score distances")


def main() -> None:
    """Time everything, print it, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result = measure(given.rows, given.dim, given.repeats)
    print(f"{given.rows} x {given.dim}, {result['cores']} cores, OMP_NUM_THREADS {result['threads']}")
    for name in ROOTS:
        found = result["root"][name]
        print(
            f"root term from {name}: {found['ratio_wall']:.2f}x scipy's speed on the wall, {found['ratio_cpu']:.2f}x by"
        )
        print(f"    processor time; ours {_both(found['ours'])}, scipy {_both(found['scipy'])}")
    found = result["distance"]
    print(
        f"Fréchet distance whole: {found['ratio_wall']:.2f}x the closed form's speed with scipy's root on the wall, "
        f"{found['ratio_cpu']:.2f}x by"
    )
    print(f"    processor time; ours {_both(found['ours'])}, scipy {_both(found['scipy'])}")
    print(f"both roots agree within {result['root_difference']:.1e} of tr(A) + tr(B)")
    for name in (*SCORES, "total"):
        print(f"{name:>10}: {_both(result['seconds'][name])}")
    for name in (*COMMAND, "total"):
        print(f"{name:>20}: {_both(result['score_seconds'][name])}")
    if given.out:
        write_json(given.out, {"made_with": made_with(), **result})


def measure(rows: int, dim: int, repeats: int) -> dict[str, Any]:
    """Seconds by wall and by processor, as a mapping ready for JSON."""
    x, y = clouds(rows, dim)
    cov_x, cov_y = np.cov(x.T), np.cov(y.T)
    work: dict[str, Callable[[], Any]] = {
        "scipy covariances": lambda: _scipy_root(cov_x, cov_y),
        "ours covariances": lambda: frechet.root_trace(
            frechet.covariance_factor(cov_x), frechet.covariance_factor(cov_y)
        ),
        "scipy rows": lambda: _scipy_root(np.cov(x.T), np.cov(y.T)),
        "ours rows": lambda: frechet.root_trace(frechet.sample_factor(x), frechet.sample_factor(y)),
        "scipy distance": lambda: _closed_form(x, y),
        "fad": lambda: frechet.frechet_distance(x, y),
        "kad": lambda: kernel_distance(x, y),
        "retrieval": lambda: retrieval_scores(x, y),
        **score_command(x, y),
    }
    best = {name: {"wall": np.inf, "cpu": np.inf} for name in work}
    values: dict[str, Any] = {}
    for _ in range(repeats):
        for name, call in work.items():
            wall, cpu = time.perf_counter(), time.process_time()
            values[name] = call()
            spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            best[name] = {clock: min(best[name][clock], spent[clock]) for clock in spent}
    gap = max(abs(values[f"ours {name}"] - values[f"scipy {name}"]) for name in ROOTS)
    traces = float(np.trace(cov_x) + np.trace(cov_y))
    return {
        "rows": rows,
        "dim": dim,
        "repeats": repeats,
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "root": {name: _compared(best[f"ours {name}"], best[f"scipy {name}"]) for name in ROOTS},
        "root_difference": gap / traces,
        "distance": _compared(best["fad"], best["scipy distance"]),
        "distance_difference": abs(values["fad"] - values["scipy distance"]) / traces,
        "seconds": _with_total({name: best[name] for name in SCORES}),
        "score_seconds": _with_total({name: best[name] for name in COMMAND}),
        "values": {"fad": values["fad"], "kad": values["kad"], **values["retrieval"]},
    }


def score_command(made: Rows, heard: Rows) -> dict[str, Callable[[], Any]]:
    """What `score` does with clips `made` of the references `heard`, which are the music as a whole, too."""
    names = tuple(map(str, range(len(made))))
    rows = tuple(Row(row=number, reference=name) for number, name in enumerate(names))
    clips = Clips(Path(), "clips.csv", "", Header(), rows, names)
    space = Space(
        "test", made.shape[1], dict(zip(names, made, strict=True)), heard, heard, unit_norm=True, scaled=False
    )
    return {
        "score identification": lambda: identification(space, rows, clips, seed=0, permutations=PERMUTATIONS),
        "score distances": lambda: distances(
            space, names, ("frechet", "kernel"), songs=names, allow_small=True, seed=0, condition="brain"
        ),
    }


def clouds(rows: int, dim: int) -> tuple[Rows, Rows]:
    """Two (rows, dim) clouds, the second the first with noise, so that retrieval has something to find."""
    rng = numpy_rng(0, "metrics speed")
    mixing = rng.normal(size=(dim, dim)) / np.sqrt(dim)
    x = rng.normal(size=(rows, dim)) @ mixing
    return x, x + 2.0 * rng.normal(size=(rows, dim))


def _scipy_root(cov_x: Rows, cov_y: Rows) -> float:
    return float(np.trace(linalg.sqrtm(cov_x @ cov_y)).real)


def _closed_form(x: Rows, y: Rows) -> float:
    cov_x, cov_y = np.cov(x.T), np.cov(y.T)
    gap = x.mean(axis=0) - y.mean(axis=0)
    return float(gap @ gap + np.trace(cov_x) + np.trace(cov_y)) - 2.0 * _scipy_root(cov_x, cov_y)


def _compared(ours: dict[str, float], scipys: dict[str, float]) -> dict[str, Any]:
    ratios = {f"ratio_{clock}": scipys[clock] / ours[clock] for clock in ours}
    return {"ours": ours, "scipy": scipys, **ratios}


def _with_total(spent: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    total = {clock: sum(one[clock] for one in spent.values()) for clock in ("wall", "cpu")}
    return {**spent, "total": total}


def _both(spent: dict[str, float]) -> str:
    return f"{spent['wall']:.3f} s wall, {spent['cpu']:.3f} s processor"


if __name__ == "__main__":
    main()
