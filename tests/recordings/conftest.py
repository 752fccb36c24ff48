"""Synthetic recordings written to disk by MNE's exporters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.seeding import numpy_rng

NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "T7", "T8", "Pz", "Oz")
MakeRaw = Callable[..., Any]


@pytest.fixture(scope="session")
def make_raw() -> MakeRaw:
    """Build an MNE Raw: make_raw(names, types="eeg", sfreq=256, seconds=4, montage=None, secret=False)."""

    def build(
        names: tuple[str, ...] = NAMES,
        types: str | list[str] = "eeg",
        sfreq: float = 256.0,
        seconds: float = 4.0,
        montage: str | None = None,
        secret: bool = False,
    ) -> Any:
        import mne

        signal = 2e-5 * numpy_rng(0, "raw", len(names)).standard_normal((len(names), round(seconds * sfreq)))
        info = mne.create_info(list(names), sfreq, types)
        raw = mne.io.RawArray(signal, info, verbose="ERROR")
        if montage is not None:
            raw.set_montage(montage, on_missing="ignore")
        if secret:
            raw.set_meas_date(1_000_000_000)
            raw.info["subject_info"] = {"his_id": "Lovelace", "last_name": "Lovelace", "first_name": "Ada", "sex": 2}
            raw.info["description"] = "Lovelace"
            raw.info["experimenter"] = "Lovelace"
            raw.set_annotations(mne.Annotations([1.0, 2.0], [0, 0], ["Stimulus/S  1", "seen by Lovelace"]))
        return raw

    return build


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any, str], Path]:
    """Write an MNE Raw as <name> in the format of its suffix."""

    def save(raw: Any, name: str) -> Path:
        import mne

        path = tmp_path / name
        if path.suffix == ".fif":
            raw.save(path, verbose="ERROR", overwrite=True)
        else:
            mne.export.export_raw(path, raw, verbose="ERROR", overwrite=True)
        return path

    return save


@pytest.fixture
def edf(make_raw: MakeRaw, write: Callable[[Any, str], Path]) -> Path:
    """A sound EDF of ten electrodes, 4 s."""
    return write(make_raw(), "sound.edf")


def edf_header(path: Path) -> tuple[int, int]:
    """Bytes of the header and number of signals."""
    head = path.read_bytes()[:256]
    return int(head[184:192]), int(head[252:256])


@pytest.fixture
def edit_edf() -> Callable[..., Path]:
    """Rewrite fields of an EDF header: edit_edf(path, records="9", record_s="0", labels={0: "AUX1"}, units=...)."""

    def edit(path: Path, *, records: str | None = None, record_s: str | None = None, **per_signal: Any) -> Path:
        data = bytearray(path.read_bytes())
        _, signals = edf_header(path)
        for start, text, width in ((236, records, 8), (244, record_s, 8)):
            if text is not None:
                data[start : start + width] = text.ljust(width).encode()
        offsets = {"labels": (0, 16), "units": (96, 8), "samples": (216, 8)}
        for field, values in per_signal.items():
            offset, width = offsets[field]
            for index, text in values.items():
                start = 256 + offset * signals + width * index
                data[start : start + width] = text.ljust(width).encode("latin-1")
        path.write_bytes(bytes(data))
        return path

    return edit


@pytest.fixture
def replace_channel() -> Callable[[Path, Path, str, int], Path]:
    """Copy an EDF, replacing the samples of one signal by noise: replace_channel(source, target, label, seed)."""

    def replace(source: Path, target: Path, label: str, seed: int) -> Path:
        from eeg2music.recordings.formats.edf import read_header

        header = read_header(source)
        data = bytearray(source.read_bytes())
        row = header.labels.index(label)
        before, count = 2 * sum(header.samples[:row]), header.samples[row]
        rng = numpy_rng(seed, "replaced")
        for record in range(header.records):
            start = header.header_bytes + record * 2 * sum(header.samples) + before
            data[start : start + 2 * count] = rng.integers(-30_000, 30_000, count, dtype=np.int16).tobytes()
        target.write_bytes(bytes(data))
        return target

    return replace
