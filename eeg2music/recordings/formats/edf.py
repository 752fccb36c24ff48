"""EDF, EDF+ and BDF. The header is checked against the size of the file: MNE only warns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eeg2music.errors import InputError
from eeg2music.recordings.channel_words import BRAIN_TYPES, reason_by_name, volts_per
from eeg2music.recordings.contents import MIN_RATE_HZ, READERS, FileContents, Reader
from eeg2music.recordings.edf_records import ANNOTATION_LABELS, is_interrupted, longest_run, record_onsets
from eeg2music.recordings.montages import is_standard_name
from eeg2music.recordings.through_mne import read_through_mne

_MAGIC = {".edf": b"0       ", ".rec": b"0       ", ".bdf": b"\xffBIOSEMI"}
_BYTES = {".edf": 2, ".rec": 2, ".bdf": 3}


@dataclass(frozen=True)
class EdfHeader:
    """Sizes of an EDF or BDF file, from its header (Kemp et al. 1992, EDF specification).

    Attributes
    ----------
    records : number of data records, -1 where the recorder did not finish the header
    record_s : seconds per record
    labels, samples : of each signal; samples per record
    units, reach : of each signal; unit, "" where none is named, and largest magnitude that it can hold, in that unit
    """

    header_bytes: int
    records: int
    record_s: float
    labels: tuple[str, ...]
    samples: tuple[int, ...]
    units: tuple[str, ...]
    reach: tuple[float, ...]

    def record_bytes(self, sample_bytes: int) -> int:
        return sum(self.samples) * sample_bytes

    def expected_bytes(self, sample_bytes: int) -> int:
        return self.header_bytes + max(self.records, 0) * self.record_bytes(sample_bytes)


def read_header(path: Path) -> EdfHeader:
    """Parse the sizes only; name, date and comments of the header are skipped.

    Raises
    ------
    InputError
        If the file is not EDF or BDF, or its header is damaged.
    """
    magic = _MAGIC[path.suffix.lower()]
    with path.open("rb") as handle:
        fixed = handle.read(256)
        if not fixed.startswith(magic):
            kind = path.suffix.lstrip(".").upper()
            raise InputError(
                f"{path} is not a recording: it does not begin like {kind}",
                allowed=f"a file written as {kind}",
                remedy="check that the file is what its name says",
            )
        try:
            if len(fixed) < 256:
                raise ValueError
            header_bytes, records = int(fixed[184:192]), int(fixed[236:244])
            record_s, signals = float(fixed[244:252]), int(fixed[252:256])
            fields = handle.read(256 * signals)
            if len(fields) < 256 * signals or signals < 1:
                raise ValueError
            labels = tuple(fields[16 * i : 16 * i + 16].decode("latin-1").strip() for i in range(signals))
            samples = tuple(int(text) for text in _column(fields, signals, 216))
            units = tuple(text.decode("latin-1").strip() for text in _column(fields, signals, 96))
            ends = zip(_column(fields, signals, 104), _column(fields, signals, 112), strict=True)
            reach = tuple(max(abs(_number(low)), abs(_number(high))) for low, high in ends)
        except ValueError:
            raise InputError(
                f"{path} has a damaged header",
                allowed="a complete EDF or BDF file",
                remedy="export it anew from the recording software",
            ) from None
    return EdfHeader(header_bytes, records, record_s, labels, samples, units, reach)


def _column(fields: bytes, signals: int, offset: int) -> list[bytes]:
    """The eight bytes about each signal that begin after `offset` bytes for each."""
    return [fields[offset * signals + 8 * i :][:8] for i in range(signals)]


def _number(text: bytes) -> float:
    """A number of the header that MNE checks, 0 where it is none."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def _width(path: Path) -> int:
    """Bytes per sample."""
    return _BYTES[path.suffix.lower()]


def _check_size(path: Path, header: EdfHeader) -> None:
    size = path.stat().st_size
    expected = header.expected_bytes(_width(path))
    if header.records >= 0 and size < expected:
        held = max(0, size - header.header_bytes) / max(1, expected - header.header_bytes)
        seconds = header.records * header.record_s
        raise InputError(
            f"{path} is truncated: its header promises {expected} bytes ({seconds:g} s), the file holds {size} "
            f"({held * seconds:.3g} s)",
            allowed="a complete file",
            remedy="copy the file again, or export it anew from the recording software",
        )
    if size < header.header_bytes + header.record_bytes(_width(path)):
        raise InputError(
            f"{path} gives only 0 s of signal: it holds no data record",
            allowed="a recording of some seconds",
            remedy="use a longer recording",
        )


def _check_rate(path: Path, header: EdfHeader) -> None:
    if not np.isfinite(header.record_s) or header.record_s <= 0 or max(header.samples) <= 0:
        raise InputError(
            f"{path} has an impossible sampling rate: records of {header.record_s:g} s with {max(header.samples)} "
            "samples",
            allowed="50 to 100000 Hz",
            remedy="correct the header, or export the file anew",
        )


@READERS.add("edf")
class EdfReader(Reader):
    """EDF, EDF+ (16 bit) and BDF (24 bit)."""

    suffixes = (".edf", ".bdf", ".rec")
    title = "EDF/BDF"

    def read(self, path: Path, wanted: Sequence[str] = ()) -> FileContents:
        import mne

        header = read_header(path)
        _check_size(path, header)
        _check_rate(path, header)
        dropped = _other_rates(header)
        reader = mne.io.read_raw_bdf if path.suffix.lower() == ".bdf" else mne.io.read_raw_edf
        contents = read_through_mne(path, reader, title=self.title, checked=True, exclude=sorted(dropped))
        if path.stat().st_size >= header.expected_bytes(_width(path)) + header.record_bytes(_width(path)):
            note = "the header does not tell the length; it was taken from the file's size"
            contents = contents.replace(notes=(*contents.notes, note))
        return _uninterrupted(_with_units(contents.replace(dropped=dropped), header), path, header)


def _other_rates(header: EdfHeader) -> dict[str, str]:
    """Signals at another rate than the brain's: resampling them to fit would be work for channels nobody wants.

    The brain's rate is the one that most signals have which may be the brain's by rate, name and unit.
    """
    signals = [
        (label, count, unit)
        for label, count, unit in zip(header.labels, header.samples, header.units, strict=True)
        if "annotations" not in label.lower()
    ]
    voted = [
        count
        for label, count, unit in signals
        if count >= MIN_RATE_HZ * header.record_s
        and (not unit or volts_per(unit) is not None)
        and (is_standard_name(label) or reason_by_name(label) is None)
    ]
    votes = Counter(voted or [count for _, count, _ in signals])
    if not votes:
        return {}
    usual = max(votes, key=lambda count: (votes[count], count))
    return {
        label: f"sampled at {count / header.record_s:g} Hz, the electrodes at {usual / header.record_s:g} Hz"
        for label, count, _ in signals
        if count != usual
    }


def _with_units(contents: FileContents, header: EdfHeader) -> FileContents:
    """The header's own units: MNE does not say whether a unit is blank or one that it does not know.

    MNE takes numbers without a unit for volts. Where a signal can exceed a volt they are microvolts, as in XDF.
    Signals are matched by their order: of several with one label, MNE changes the names.
    """
    kept = [
        signal
        for signal, label in enumerate(header.labels)
        if label not in contents.dropped and label not in ANNOTATION_LABELS
    ]
    units, factors = list(contents.units), np.ones(len(contents.names), dtype=np.float32)
    for row, signal in zip(range(len(units)), kept, strict=True):
        if units[row] is not None:
            continue
        if header.units[signal]:
            units[row] = header.units[signal]
        elif contents.types[row] in BRAIN_TYPES and header.reach[signal] > 1.0:
            factors[row] = 1e-6
    if (factors == 1.0).all():
        return contents.replace(units=tuple(units))
    return contents.replace(
        units=tuple(units),
        load=lambda channels, start, stop: contents.load(channels, start, stop) * factors[list(channels), None],
        notes=(*contents.notes, "the file names no unit; microvolts assumed"),
    )


def _uninterrupted(contents: FileContents, path: Path, header: EdfHeader) -> FileContents:
    """Keep the longest run of records that follow each other without a pause."""
    if not is_interrupted(path):
        return contents
    onsets = record_onsets(path, header.header_bytes, header.labels, header.samples, _width(path))
    first, last, pauses = longest_run(onsets, header.record_s) if onsets.size else (0, 0, 0)
    if not pauses:
        return contents
    per_record = round(contents.sfreq_hz * header.record_s)
    skip = first * per_record
    note = (
        f"the recording was interrupted {pauses} time(s); the longest stretch was used "
        f"({(last - first) * header.record_s:g} s of {len(onsets) * header.record_s:g} s)"
    )
    return contents.replace(
        load=lambda channels, start, stop: contents.load(channels, start + skip, stop + skip),
        n_samples=(last - first) * per_record,
        events=tuple(replace(event, onset_s=event.onset_s - float(onsets[first])) for event in contents.events),
        notes=(*contents.notes, note),
    )
