"""Manifests: both formats say the same, and what does not fit is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eeg2music.errors import ConfigError, DataError, Eeg2MusicError, InputError, LeakError
from eeg2music.evaluation.outside.manifest import read_manifest

ROWS: list[dict[str, Any]] = [
    {"file": "a.wav", "reference": "x.wav", "song": "1", "subject": "S1", "seed": 3, "condition": "brain"},
    {"file": "b.wav", "reference": "y.wav", "song": "2", "work": "w", "subject": "S1", "seed": 3, "condition": "brain"},
    {"file": "a.wav", "reference": "y.wav", "song": "2", "work": "w", "subject": "S1", "condition": "shuffled"},
]


def write_csv(folder: Path, text: str, header: dict[str, Any] | None = None) -> Path:
    for name in ("a.wav", "b.wav", "x.wav", "y.wav", "made.npy"):
        (folder / name).touch()
    (folder / "clips.csv").write_text(text)
    if header is not None:
        (folder / "clips.json").write_text(json.dumps(header))
    return folder / "clips.csv"


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    columns = ["file", "reference", "song", "work", "subject", "seed", "condition"]
    lines = [",".join(columns), *(",".join(str(row.get(key, "")) for key in columns) for row in ROWS)]
    # As a spreadsheet writes it: a byte order mark, line ends of its own.
    first = read_manifest(write_csv(tmp_path, "\ufeff" + "\r\n".join(lines) + "\r\n", {"sample_rate_hz": 24000}))
    (tmp_path / "lines.jsonl").write_text("\n".join(json.dumps({**row, "song": int(row["song"])}) for row in ROWS))
    second = read_manifest(tmp_path / "lines.jsonl")
    assert first.rows == second.rows
    assert first.header.sample_rate_hz == 24000 and second.header.sample_rate_hz is None
    assert first.conditions == ("brain", "shuffled")
    assert first.gallery == ("x.wav", "y.wav")
    assert first.items() == ("a.wav", "b.wav") and first.items("shuffled") == ("a.wav",)
    assert [row.cluster for row in first.rows] == ["song 1", "work w", "work w"]


def test_a_control_may_use_the_same_clips_under_other_songs(tmp_path: Path) -> None:
    text = (
        "file,reference,condition\na.wav,x.wav,brain\nb.wav,y.wav,brain\nb.wav,x.wav,shuffled\na.wav,y.wav,shuffled\n"
    )
    assert read_manifest(write_csv(tmp_path, text)).gallery == ("x.wav", "y.wav")


def test_further_candidates_make_a_larger_gallery(tmp_path: Path) -> None:
    header = {"gallery": ["y.wav", "b.wav", "x.wav"], "gallery_size": 3}
    assert read_manifest(write_csv(tmp_path, "file,reference\na.wav,x.wav\n", header)).gallery[1] == "b.wav"


@pytest.mark.parametrize(
    ("text", "header", "error", "match"),
    [
        ("", None, InputError, "names no clip"),
        ("file,song,song\na.wav,1,2\n", None, InputError, "column 'song' stands twice in clips.csv"),
        ("file,song\na.wav,Aria\nb.wav,aria \n", None, DataError, "songs 'Aria' and 'aria' differ in letter case"),
        ("file,song,work\na.wav,1,W 1\nb.wav,2,w  1\n", None, DataError, "works 'W 1' and 'w 1' differ in letter"),
        ("file,genre,made_genre\na.wav,Rock,rock\n", None, DataError, "genres 'Rock' and 'rock' differ in letter"),
        ("file,condition\na.wav,brain\nb.wav,Brain\n", None, DataError, "conditions 'brain' and 'Brain' differ"),
        ("file,colour\na.wav,red\n", None, ConfigError, "Unknown key 'colour' in line 2 of clips.csv"),
        ("file,seed\na.wav,first\n", None, ConfigError, "seed = 'first' in line 2"),
        ("file,song\na.wav,1,2\n", None, InputError, "line 2 of clips.csv has another number of cells"),
        ("file,song\na.wav\n", None, InputError, "line 2 of clips.csv has another number of cells"),
        ("song\n1\n", None, InputError, "1 of 1 lines do not name their clip"),
        ("file,row\na.wav,\n,3\n", {"array": "made.npy"}, InputError, "1 of 2 lines do not name their clip"),
        ("file,row\na.wav,3\n", {"array": "made.npy"}, InputError, "1 of 1 lines do not name their clip"),
        ("row\n-1\n", {"array": "made.npy"}, ConfigError, "row = '-1'"),
        ("row\n0\n", None, InputError, "name rows, but no array"),
        ("file\na.wav\n", {"array": "made.npy"}, InputError, "The header names 'array'"),
        ("file\na.wav\n", {"sampel_rate_hz": 1}, ConfigError, "did you mean 'sample_rate_hz'"),
        ("file\na.wav\n", {"repeated": ["no_brain"]}, DataError, "The header names the condition 'no_brain'"),
        ("file\nc.wav\n", None, DataError, "1 of 1 files are missing: c.wav"),
        ("file,reference\na.wav,x.wav\n", {"gallery": ["x.wav", "x.wav"]}, DataError, "stands twice in the gallery"),
        ("file,reference\na.wav,x.wav\n", {"gallery": ["x.wav", "y.wav"], "gallery_size": 5}, LeakError, "truncated"),
        ("file,song,style\na.wav,1,waltz\nb.wav,1,funk\n", None, DataError, "two styles, 'waltz' and 'funk'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    tmp_path: Path, text: str, header: dict[str, Any] | None, error: type[Eeg2MusicError], match: str
) -> None:
    with pytest.raises(error, match=match):
        read_manifest(write_csv(tmp_path, text, header))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.txt").write_text("file\n")
    for name in ("gone.csv", "clips.txt"):
        with pytest.raises(InputError, match="No manifest at"):
            read_manifest(tmp_path / name)
    (tmp_path / "bad.jsonl").write_text('{"file": "a.wav"}\n{"file": \n')
    with pytest.raises(InputError, match=r"line 2 of bad\.jsonl is not valid JSON"):
        read_manifest(tmp_path / "bad.jsonl")
    (tmp_path / "latin.csv").write_bytes("file\nBézier.wav\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv is not UTF-8"):
        read_manifest(tmp_path / "latin.csv")
    with pytest.raises(InputError, match=r"clips\.json is not valid JSON"):
        manifest = write_csv(tmp_path, "file\na.wav\n")
        (tmp_path / "clips.json").write_text("{")
        read_manifest(manifest)
