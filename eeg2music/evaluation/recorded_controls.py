"""Controls of the scores on recordings: what each takes away, and where it is expected to sit.

Every control that has a recording is decoded by the decoders that were fitted on the true ones; it differs from the
real thing in what reaches these, or in what is called its target. The blind ones hear no recording at all. Scores
nothing, but says in words when a control does not sit where it should.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.encoders.linear import lagged, standard
from eeg2music.evaluation.controls import derangement, phase_randomize, time_shift
from eeg2music.evaluation.onset_ridge import Fold, Heard, decode_held_out
from eeg2music.evaluation.signal_blind import genre_guess_accuracy, genre_oracle, signal_blind
from eeg2music.recordings.openmiir import Piece
from eeg2music.seeding import numpy_rng

Array = NDArray[np.float64]

Place = Literal["at chance", "not above chance", "not below chance", "not above a perfect guess of the kind", "1"]
# Two-sided.
LEVEL = 0.05


class Expected(NamedTuple):
    """What a control is, in words, and where its pairwise accuracy is expected; None judges it by the decoder alone."""

    what: str
    place: Place | None

    @property
    def words(self) -> str:
        """For the table."""
        return self.place or "below the decoder"


EXPECTED: dict[str, Expected] = {
    "circular shift": Expected(
        "the recording turned round by a random time, at least a quarter of its length. It keeps the tempo of what was "
        "heard, so where music is periodic a shift can lie ABOVE chance (0.5 to 0.7 was found on these pieces); it "
        "is no clean null; over many shifts it may average out. Phase randomisation and song permutation are cleaner",
        None,
    ),
    "phase randomisation": Expected(
        "the recording's spectrum with random timing: at chance, or just below it, because decoders lean towards the "
        "works that they learned on, and these are in the gallery",
        "not above chance",
    ),
    "shuffled": Expected(
        "each recording called another work's, at random: at or just below chance, because its own is never the target",
        "not above chance",
    ),
    "random filter": Expected("random weights in place of the learned ones: at chance", "at chance"),
    "other subject": Expected(
        "another person's recording of the same piece through this one's decoder: between chance and the decoder, "
        "near it where people respond alike",
        "not below chance",
    ),
    "genre oracle": Expected(
        "no recording: the mean music of the other works of the true kind (with lyrics, without, instrumental). Those "
        "are in the gallery themselves, so it lies below a fair guess of the kind",
        "not above a perfect guess of the kind",
    ),
    "signal-blind": Expected(
        "no recording: music predicted from kind, listener and trial, learned on the training works: at chance, or "
        "below it because those works are in the gallery",
        "not above chance",
    ),
    "music itself": Expected("no recording: the true flux, the ceiling", "1"),
}
# Of which a score as high as the decoder's is no surprise.
MAY_REACH_THE_DECODER = ("other subject", "music itself")


@dataclass(frozen=True)
class Control:
    """Queries of one control.

    Attributes
    ----------
    rows : which row each query stands for (again and again with several draws)
    decoded : (frame,) each
    targets : piece that is called the target, where it is not the row's own
    limit : what it cannot exceed but by chance, where that is known
    """

    name: str
    rows: tuple[int, ...]
    decoded: list[Array]
    targets: tuple[int, ...] | None = None
    draws: int = 1
    limit: float | None = None


def signal_queries(folds: Sequence[Fold], rows: Sequence[Heard], *, draws: int, seed: int) -> Iterator[Control]:
    """Controls with a recording: shifted, phase-randomised, shuffled, another person's, and through random weights."""
    again = tuple(list(range(len(rows))) * draws)

    def drawn(name: str, change: Any) -> list[Array]:
        found: list[Array] = []
        for draw in range(draws):
            rngs = [numpy_rng(seed, "recorded", name, draw, number) for number in range(len(rows))]
            eeg = [change(row.eeg[None], rng)[0] for row, rng in zip(rows, rngs, strict=True)]
            found += decode_held_out(folds, rows, eeg)
        return found

    yield Control("circular shift", again, drawn("circular shift", time_shift), draws=draws)
    yield Control("phase randomisation", again, drawn("phase randomisation", phase_randomize), draws=draws)
    decoded = decode_held_out(folds, rows)
    group = {number: fold.held_out for fold in folds for number in fold.split.test}
    targets: list[int] = []
    for draw in range(draws):
        other = derangement([group[n] for n in range(len(rows))], numpy_rng(seed, "recorded", "shuffled", draw))
        targets += [rows[number].piece for number in other]
    yield Control("shuffled", again, decoded * draws, tuple(targets), draws)
    yield Control("random filter", again, _random_filters(folds, rows, draws, seed), draws=draws)
    if len({row.subject for row in rows}) > 1:
        yield Control("other subject", tuple(range(len(rows))), decode_held_out(folds, rows, _next_subject(rows)))


def blind_queries(
    pieces: Sequence[Piece], works: Sequence[str], rows: Sequence[Heard], folds: Sequence[Fold], gallery: Array
) -> Iterator[Control]:
    """Controls without a recording, from labels and the music of other works."""
    everyone = tuple(range(len(rows)))
    styles = [piece.style for piece in pieces]
    alone = {style for style in styles if len({w for w, s in zip(works, styles, strict=True) if s == style}) < 2}
    if not alone:
        guesses = genre_oracle(gallery, styles, works)
        fair = genre_guess_accuracy(styles)
        yield Control("genre oracle", everyone, [guesses[row.piece] for row in rows], limit=fair)
    metadata = [(styles[row.piece], f"subject-{row.subject}", row.trial.rpartition("/")[2]) for row in rows]
    blind: list[Array] = [np.zeros(0)] * len(rows)
    for fold in folds:
        sides = [
            {name: [metadata[n][place] for n in side] for place, name in enumerate(("kind", "subject", "trial"))}
            for side in (fold.split.train, fold.split.test)
        ]
        target = np.stack([gallery[rows[number].piece] for number in fold.split.train])
        for number, guess in zip(fold.split.test, signal_blind(sides[0], target, sides[1]), strict=True):
            blind[number] = guess
    yield Control("signal-blind", everyone, blind)
    yield Control("music itself", everyone, [pieces[row.piece].flux for row in rows])


def judge(brain: Mapping[str, Any], controls: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is not as expected, in words.

    A control is off chance where the exact test over all orders of the works says so (two-sided, 5 %) and the interval
    over works leaves chance out too. So each is missed by chance in one study of twenty, or fewer.
    """
    found = []
    for name, control in controls.items():
        score, of = control["identification"], f"The control '{name}'"
        told = _elsewhere(EXPECTED[name].place, score, control.get("limit"))
        found += [f"{of} {told}."] if told else []
        if name not in MAY_REACH_THE_DECODER and score["accuracy"] >= brain["accuracy"]:
            found.append(f"{of} ({score['accuracy']:.3f}) is not below the decoder ({brain['accuracy']:.3f}).")
        if name == "other subject" and score["ci95"][0] > brain["accuracy"]:
            found.append(f"{of} {_figures(score)} lies above the decoder ({brain['accuracy']:.3f}).")
    if brain["p_value"] >= 0.05:
        found.append(f"The decoder is not told from chance (p = {brain['p_value']:.3f}).")
    return found


def _elsewhere(place: Place | None, score: Mapping[str, Any], limit: float | None) -> str:
    """How a control is not where it should be; empty where it is."""
    accuracy, (low, high), chance = score["accuracy"], score["ci95"], score["chance"]
    if place == "1":
        return f"identifies {accuracy:.3f}; expected 1" if accuracy < 1.0 - 1e-9 else ""
    if place == "not above a perfect guess of the kind":
        above = limit is not None and low > limit
        return f"identifies {_figures(score)}, above a perfect guess of the kind ({limit:.3f})" if above else ""
    if place is None or score["p_two_sided"] >= LEVEL:
        return ""
    above, below = low > chance and place != "not below chance", high < chance and place != "not above chance"
    if not (above or below):
        return ""
    side = "above" if above else "below"
    return f"identifies {_figures(score)}, {side} chance (two-sided p = {score['p_two_sided']:.3f}); expected {place}"


def _figures(score: Mapping[str, Any]) -> str:
    low, high = score["ci95"]
    return f"{score['accuracy']:.3f} [{low:.3f}, {high:.3f}]"


def _random_filters(folds: Sequence[Fold], rows: Sequence[Heard], draws: int, seed: int) -> list[Array]:
    lags = len(folds[0].decoders[0].weights)
    found = []
    for draw in range(draws):
        # One filter for each listener and draw, as a decoder is.
        filters = {
            subject: numpy_rng(seed, "recorded", "random filter", draw, subject).standard_normal(lags)
            for subject in sorted({row.subject for row in rows})
        }
        found += [np.asarray(lagged(standard(row.eeg), lags) @ filters[row.subject]) for row in rows]
    return found


def _next_subject(rows: Sequence[Heard]) -> list[Array]:
    """The next listener's recording of the same presentation."""
    subjects = sorted({row.subject for row in rows})
    following = dict(zip(subjects, [*subjects[1:], subjects[0]], strict=True))
    by_label = {(row.subject, row.trial): row.eeg for row in rows}
    return [by_label[following[row.subject], row.trial] for row in rows]
