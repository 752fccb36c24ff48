"""The reader of OpenMIIR: declared works, cue dropped, and folders that lack something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eeg2music.errors import DataError
from eeg2music.recordings.openmiir import SUBJECTS, declared_works, load_pieces


def write_piece(folder: Path, number: int, *, cue_s: float = 0.5, **changes: object) -> None:
    """One file as the data set has it: 4 s of three people and five trials, a click every second."""
    rng = np.random.default_rng(number)
    arrays: dict[str, object] = {f"eeg_{s}": rng.standard_normal((5, 2048)).astype(np.float32) for s in SUBJECTS}
    flux = np.zeros(256, np.float32)
    flux[::64] = 1.0
    arrays |= {"cue_s": cue_s, "onset_flux": flux, "log_mel": np.zeros((24, 256), np.float32)}
    arrays |= changes
    np.savez(folder / f"stimulus_{number:02d}.npz", **{k: v for k, v in arrays.items() if v is not None})


def test_versions_of_a_work_are_declared(tmp_path: Path) -> None:
    for number in (1, 11, 21):
        write_piece(tmp_path, number)
    pieces = load_pieces(tmp_path)
    works = declared_works(pieces)
    assert works["stimulus_01"] == works["stimulus_11"] != works["stimulus_21"]
    assert [piece.style for piece in pieces] == ["with lyrics", "without lyrics", "instrumental"]


def test_the_cue_is_dropped_from_music_and_recording_alike(tmp_path: Path) -> None:
    write_piece(tmp_path, 1, cue_s=0.5)
    piece = load_pieces(tmp_path)[0]
    assert piece.flux.shape == (256 - 32,) and piece.log_mel.shape == (24, 224) and piece.eeg.shape == (3, 5, 224)
    assert np.flatnonzero(piece.flux).tolist() == [32, 96, 160]


def test_the_recording_is_band_limited(tmp_path: Path) -> None:
    times = np.arange(2048) / 512.0
    slow_and_fast = np.sin(2 * np.pi * 6.0 * times) + np.sin(2 * np.pi * 50.0 * times)
    write_piece(tmp_path, 1, eeg_P09=np.tile(slow_and_fast, (5, 1)).astype(np.float32))
    found = load_pieces(tmp_path)[0].eeg[0, 0]
    expected = np.sin(2 * np.pi * 6.0 * np.arange(32, 256) / 64.0)
    assert np.corrcoef(found[32:-32], expected[32:-32])[0, 1] > 0.99


def test_a_folder_without_pieces_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No stimulus_"):
        load_pieces(tmp_path)


@pytest.mark.parametrize(("name", "content"), [("01", b""), ("01", b"words"), ("one", None), ("01", b"PK\x03\x04cut")])
def test_a_damaged_piece_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    write_piece(tmp_path, 1)
    file = (tmp_path / "stimulus_01.npz").rename(tmp_path / f"stimulus_{name}.npz")
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=rf"stimulus_{name}\.npz cannot be read as a piece.*Remedy: fetch it again"):
        load_pieces(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    write_piece(tmp_path, 1, eeg_P11=None)
    with pytest.raises(DataError, match="lacks eeg_P11"):
        load_pieces(tmp_path)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    write_piece(tmp_path, 1, onset_flux=np.full(256, np.nan, np.float32))
    with pytest.raises(DataError, match="not finite"):
        load_pieces(tmp_path)


def test_the_real_folder(real_data: Path) -> None:
    folder = real_data / "openmiir_features"
    if not folder.is_dir():
        pytest.skip("no openmiir_features among the real recordings")
    pieces = load_pieces(folder)
    assert [piece.work for piece in pieces] == [1, 2, 3, 4, 1, 2, 3, 4, 21, 22, 23, 24]
    assert len(set(declared_works(pieces).values())) == 8
    assert all(piece.eeg.shape[:2] == (3, 5) and piece.eeg.shape[-1] == piece.flux.size for piece in pieces)
