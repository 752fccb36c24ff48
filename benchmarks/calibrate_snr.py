"""Which signal-to-noise ratio of the simulator is as hard as recordings of people?

Identifies music from real recordings (the folder `openmiir_features`: 12 pieces, 3 subjects, 5 repeats, one virtual
channel) and from simulated twins of them over a range of ratios, with the same ridge model, whole works held out.
Prints both sides and writes them as JSON, with the ratios at which the twin's figures lie within the real intervals
both from one trial and from five; their middle is `REAL_SNR_DB`. It depends on the virtual channel: the real one is a
weighting of 64 electrodes learned on the trials, and so is the twin's. For comparison, the same with the twin's best
single electrode.

    python benchmarks/calibrate_snr.py ../shared/data/openmiir_features --out benchmarks/calibrate_snr.json

Takes about five minutes on one core. Expected: real 0.87 (five trials) and 0.69 (one); admissible are -37.5 to -36.9 dB
(learned) and -28.5 to -26.6 dB (electrode).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.files import write_json
from eeg2music.origin import made_with
from eeg2music.recordings.openmiir import Piece, load_pieces
from eeg2music.simulation.calibration import Scores, identification, reproducible_share
from eeg2music.simulation.twin import make_twin

LEVELS_DB = {
    "learned": (0.0, -10.0, -20.0, -25.0, -30.0, -32.0, -34.0, -35.0, -36.0, -37.0, -38.0, -39.0, -40.0, -42.0, -45.0),
    "electrode": (0.0, -10.0, -15.0, -20.0, -22.0, -24.0, -26.0, -28.0, -30.0, -35.0),
}
FIGURES = ("mean_of_trials", "single_trial")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with stimulus_*.npz")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/calibrate_snr.json"))
    parser.add_argument("--twins", type=int, default=10, help="simulated groups of three listeners")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    pieces = load_pieces(arguments.data)
    real = describe(identification(pieces), pieces)
    result: dict[str, Any] = {"real": real, "twins": arguments.twins}
    for kind, levels in scan(pieces, arguments.twins, arguments.seed).items():
        result[kind] = {"simulated": levels, "agreement": agree(real, levels)}
        print(f"virtual channel of the twin: {kind}")
        print(table(real, levels, result[kind]["agreement"]))
    write_json(arguments.out, {"made_with": made_with(), **result})


def describe(scores: Scores, pieces: list[Piece]) -> dict[str, Any]:
    """Both figures of one set of recordings, with intervals over works (t, clustered)."""
    figures: dict[str, Any] = {"reproducible_share": reproducible_share(pieces)}
    for name in FIGURES:
        values = getattr(scores, name)
        works = np.repeat(scores.works, values.shape[1]).tolist()
        interval = cluster_interval(values.ravel(), works, bounds=(0.0, 1.0))
        figures[name] = {"accuracy": interval.estimate, "ci95": [interval.low, interval.high]}
    return figures


def scan(pieces: list[Piece], twins: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """By kind of virtual channel: the figures at every level."""
    found: dict[str, dict[float, list[dict[str, Any]]]] = {
        kind: {level: [] for level in levels} for kind, levels in LEVELS_DB.items()
    }
    for number in range(twins):
        twin = make_twin(pieces, seed + number)
        for kind, levels in LEVELS_DB.items():
            for level in levels:
                heard = twin.at(level, learned=kind == "learned")
                found[kind][level].append(describe(identification(heard), heard))
    return {kind: summarize(by_level) for kind, by_level in found.items()}


def summarize(found: dict[float, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Mean over twins at every level, with the interval of that mean and the range of the twins."""
    rows = []
    for level, results in found.items():
        row: dict[str, Any] = {"snr_db": level}
        row["reproducible_share"] = float(np.mean([result["reproducible_share"] for result in results]))
        for name in FIGURES:
            values = np.array([result[name]["accuracy"] for result in results])
            row[name] = {"accuracy": float(values.mean()), **over_twins(values), "range": [values.min(), values.max()]}
        rows.append(row)
    return rows


def over_twins(values: NDArray[np.float64]) -> dict[str, Any]:
    """Interval of the mean over twins; None with the reason where there is one twin, which has no spread."""
    if len(values) < 2:
        return {"ci95": None, "why_no_interval": "one twin"}
    mean, error = float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))
    return {"ci95": [mean - error, mean + error]}


def agree(real: dict[str, Any], levels: list[dict[str, Any]]) -> dict[str, Any]:
    """Where the simulated curves cross the real figures and the ends of their intervals.

    "admissible_db": the levels at which all figures lie within the real intervals; "snr_db": their middle.
    """
    result: dict[str, Any] = {}
    for name in FIGURES:
        curve = [row[name]["accuracy"] for row in levels]
        low, high = real[name]["ci95"]
        result[name] = {
            "snr_db": crossing(levels, curve, real[name]["accuracy"]),
            "interval_db": [crossing(levels, curve, low), crossing(levels, curve, high)],
        }
    weakest, strongest = zip(*(result[name]["interval_db"] for name in FIGURES), strict=True)
    low, high = max(weakest), min(strongest)
    if low > high:
        raise SystemExit(f"no level suits both: from {low:.1f} dB up for one figure, up to {high:.1f} dB for the other")
    return {**result, "admissible_db": [low, high], "snr_db": (low + high) / 2}


def crossing(levels: list[dict[str, Any]], curve: list[float], value: float) -> float:
    """The level at which a falling curve first passes `value`, by straight lines."""
    for upper, lower, above, below in zip(levels[:-1], levels[1:], curve[:-1], curve[1:], strict=True):
        if above >= value > below:
            share = (above - value) / (above - below)
            return float(upper["snr_db"] + share * (lower["snr_db"] - upper["snr_db"]))
    raise SystemExit(f"the scan from {levels[0]['snr_db']} to {levels[-1]['snr_db']} dB does not pass {value:.3f}")


def table(real: dict[str, Any], levels: list[dict[str, Any]], agreement: dict[str, Any]) -> str:
    lines = [f"{'':>10}  {'mean of five':>22}  {'one trial':>22}  {'reproducible':>12}"]

    def line(name: str, row: dict[str, Any]) -> str:
        cells = [f"{row[key]['accuracy']:.3f} ({_interval(row[key])})" for key in FIGURES]
        return f"{name:>10}  {cells[0]:>22}  {cells[1]:>22}  {row['reproducible_share']:>12.3f}"

    lines.append(line("real", real))
    lines += [line(f"{row['snr_db']:g} dB", row) for row in levels]
    lines += [
        "within both intervals from {:.2f} to {:.2f} dB; ".format(*agreement["admissible_db"])
        + "equal at "
        + ", ".join(
            f"{key.replace('_', ' ')} {agreement[key]['snr_db']:.1f} "
            f"({agreement[key]['interval_db'][0]:.1f} to {agreement[key]['interval_db'][1]:.1f})"
            for key in FIGURES
        )
    ]
    return "\n".join(lines)


def _interval(figure: dict[str, Any]) -> str:
    return figure["why_no_interval"] if figure["ci95"] is None else "{:.3f}-{:.3f}".format(*figure["ci95"])


if __name__ == "__main__":
    main()
