"""What a BIDS data set declares beside its recordings: the site of each participant and the work of each stimulus.

Takes labels and nothing else: a cell that reads like free text may hold a name, and goes nowhere, not into a message
either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from eeg2music.errors import DataError
from eeg2music.recordings.sidecars import read_tsv

_ABSENT = ("", "n/a")
# As BIDS has labels; a work may also be numbered or named in several parts.
_SITE = re.compile(r"[A-Za-z0-9+]{1,32}")
_WORK = re.compile(r"[A-Za-z0-9+_.-]{1,64}")


def participant_sites(root: Path) -> tuple[dict[str, str], int]:
    """({"sub-01": site}, how many sites were left out) from the `site` column of participants.tsv.

    A site that is no BIDS label (letters and digits) is left out; who calls says so.
    """
    file = root / "participants.tsv"
    rows = read_tsv(file) if file.is_file() else []
    given = {row.get("participant_id", ""): row.get("site", "").strip() for row in rows}
    sites = {subject: site for subject, site in given.items() if site not in _ABSENT}
    kept = {subject: site for subject, site in sites.items() if _SITE.fullmatch(site)}
    return kept, len(sites) - len(kept)


def stimulus_works(root: Path) -> dict[str, str]:
    """{stimulus: work} from stimuli/stimuli.tsv, by its `stim_file` or else its `stimulus_id`, and its `work_id`.

    Raises
    ------
    DataError
        For a work that is no label.
    """
    file = root / "stimuli" / "stimuli.tsv"
    rows = read_tsv(file) if file.is_file() else []
    works = {row.get("stim_file") or row.get("stimulus_id", ""): work_label(row, "stimuli.tsv") for row in rows}
    return {stimulus: work for stimulus, work in works.items() if work is not None}


def work_label(fields: Mapping[str, object], where: str) -> str | None:
    """The `work_id` of a row, or None where it has none.

    Raises
    ------
    DataError
        If it is no label: left out without a word, it would open a leak.
    """
    text = str(fields.get("work_id") or "").strip()
    if text in _ABSENT:
        return None
    if not _WORK.fullmatch(text):
        raise DataError(
            f"A work_id in {where} is no label",
            allowed="up to 64 letters, digits and + _ . - for each work",
            remedy="give each work a short label",
        )
    return text
