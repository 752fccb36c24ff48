"""A score as three files from one list of tables: scores.json, scores.md, report.html. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.audio import write_audio
from eeg2music.evaluation.sound_files import LISTEN
from eeg2music.files import atomic_folder, check_result_folder, write_json, write_text
from eeg2music.report.html import Picture, write_page
from eeg2music.types import FloatArray

# A card and sounds go with some kinds only.
SCORE_FILES = ("scores.json", "scores.md", "card.md", "report.html", LISTEN)
NO_EMBEDDING = (
    "The condition 'no brain' has no embedding: nothing is decoded without a recording, so that nothing is shown."
)
POOLED = (
    "Each query's score is averaged over the seeds, which share songs and listeners; interval and permutation test are "
    "over songs."
)
# How the stamp begins of a score whose judge also conditioned what it judges.
CIRCULAR = "CIRCULAR"
MARK = "†"
DISAGREE = (
    f"{MARK} marks a p whose 95 % interval says otherwise about chance. They answer two questions: p is one-sided, how "
    "often these songs score as much when what was heard is exchanged (which hardly moves what hardly depends on it); "
    "the interval is two-sided, where the mean of other such songs would lie. Where they disagree, these songs do not "
    "settle it."
)


def write_tables(
    out: Path,
    scores: Mapping[str, Any],
    tables: Sequence[Mapping[str, Any]],
    *,
    title: str,
    lead: str,
    warnings: Sequence[str] = (),
    figures: Sequence[Picture] = (),
    gallery: Mapping[str, Any] | None = None,
    waves: Mapping[str, FloatArray] | None = None,
    card: str | None = None,
) -> None:
    """Write all into the folder `out`, whole or not at all.

    Parameters
    ----------
    tables : {"title", "note", "heads", "rows"}, cells as text
    warnings : shown before everything else
    figures : (title, note, PNG bytes), for the page alone
    gallery : players for `waves`, as `report.html.write_page` takes them
    waves : sounds by relative path, (samples,) at 24 kHz
    card : Markdown for a model card, written as card.md

    Raises
    ------
    InputError
        If `out` holds something else than earlier scores.
    """
    check_result_folder(out, SCORE_FILES)
    head = [f"# {title}", lead, *(f"**{text}**" for text in warnings)]
    with atomic_folder(out) as folder:
        for name, audio in (waves or {}).items():
            write_audio(folder / name, audio)
        write_json(folder / "scores.json", dict(scores))
        write_text(folder / "scores.md", "\n\n".join([*head, markdown(tables)]))
        if card is not None:
            write_text(folder / "card.md", card)
        write_page(
            folder / "report.html",
            title=title,
            lead=lead,
            warnings=warnings,
            gallery=gallery,
            tables=tables,
            figures=figures,
        )


def is_circular(scores: Mapping[str, Any]) -> bool:
    """Whether scores are stamped because their judge also conditioned what it judges."""
    return any(text.startswith(CIRCULAR) for text in scores["stamps"])


def markdown(tables: Sequence[Mapping[str, Any]]) -> str:
    """Tables in Markdown, ready for a paper."""
    parts = [
        f"## {table['title']}\n\n{table['note']}\n\n{markdown_table(table['heads'], table['rows'])}" for table in tables
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """One table in Markdown.

    >>> print(markdown_table(["a", "b"], [["1", "2|3"]]))
    | a | b |
    |---|---|
    | 1 | 2\\|3 |
    """
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    # Names of files and conditions are the user's, and a bar in one would begin another cell.
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float | None, digits: int = 3) -> str:
    """A figure as text."""
    return "not measured" if value is None else f"{value:.{digits}f}"


def limits(interval: Sequence[float] | None) -> str:
    """An interval as text."""
    return "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def with_limits(value: float, interval: Sequence[float] | None, digits: int = 3) -> str:
    """A figure and its interval in one cell. Zero has no sign.

    The interval has at most two digits, or as many as the figure where it would not hold the figure otherwise.

    >>> with_limits(0.8543, (0.8123, 0.9)), with_limits(0.8543, None), with_limits(12.34, (-0.001, 25.0), 1)
    ('0.854 [0.81, 0.90]', '0.854', '12.3 [0.0, 25.0]')
    >>> with_limits(0.9988, (0.9979, 0.9993))
    '0.999 [0.998, 0.999]'
    """
    if interval is None:
        return number(_rounded(value, digits), digits)
    short = min(digits, 2)
    if not _rounded(interval[0], short) <= _rounded(value, digits) <= _rounded(interval[1], short):
        short = digits
    text, low, high = (
        number(_rounded(each, to), to) for each, to in ((value, digits), *((x, short) for x in interval))
    )
    return f"{text} [{low}, {high}]"


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) + 0.0


def p_text(p: float) -> str:
    """A p-value as text; exact ones of many orders may be small.

    >>> p_text(0.0312), p_text(1 / 2001), p_text(1 / 40320)
    ('0.031', '0.0005', '2.5e-05')
    """
    return f"{p:.3f}" if p >= 0.001 else f"{p:.2g}"


def marked_p(p: float, interval: Sequence[float], chance: float) -> str:
    """A p-value as text, with `MARK` where the interval is above chance and p is not below 0.05, or the reverse.

    >>> marked_p(0.02, (0.49, 0.6), 0.5), marked_p(0.99, (0.36, 0.48), 0.5), marked_p(0.06, (0.51, 0.6), 0.5)
    ('0.020†', '0.990', '0.060†')
    """
    return p_text(p) + (MARK if (interval[0] > chance) != (p < 0.05) else "")


def level_title(level: Mapping[str, Any], what: str = "") -> str:
    """A level's name, its ratio where that is known, and what of it is shown.

    >>> level_title({"name": "clean", "snr_db": 0.0}, "embedding"), level_title({"name": "recorded", "snr_db": None})
    ('clean (0 dB): embedding', 'recorded')
    """
    # Nobody knows the ratio of recordings.
    ratio = "" if level["snr_db"] is None else f" ({level['snr_db']:g} dB)"
    return f"{level['name']}{ratio}" + (f": {what}" if what else "")


def styles_text(level: Mapping[str, Any]) -> str:
    """Of what style the songs of a level are, in words.

    >>> styles_text({"style": "funk"}), styles_text({"style": "mixed", "styles": {"funk": 8, "waltz": 8}})
    ('style funk', '2 styles')
    """
    return f"{len(level['styles'])} styles" if "styles" in level else f"style {level['style']}"


def seeds_text(count: int) -> str:
    """How many seeds, in words."""
    return "1 seed" if count == 1 else f"{count} seeds"


def together(count: int) -> str:
    """Seeds that are averaged, in words."""
    return seeds_text(count) + (" together" if count > 1 else "")


def known_mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
