"""The page of a report: complete, self-contained, and safe with any name."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest

from eeg2music.report.html import SCORE_HEADS, score_row, write_page

SCORE = {"accuracy": 0.876, "ci95": [0.8, 0.9456], "top1": 0.25, "p_value": 0.0004, "n": 16, "gallery_size": 50}


def page(folder: Path, **parts: object) -> str:
    write_page(folder / "report.html", title="Title", lead="Lead.", **parts)  # type: ignore[arg-type]
    return (folder / "report.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_holds_what_it_is_given(tmp_path: Path) -> None:
    html = page(
        tmp_path,
        warnings=["Careful."],
        players=[{"title": "Mix", "note": "Listen.", "sounds": [{"label": "with", "file": "a/mix.wav"}]}],
        tables=[{"title": "Scores", "heads": ["x", "y"], "rows": [["1", "2"], ["3", "4"]]}],
        figures=[("Picture", "What it shows.", b"PNG bytes")],
    )
    assert '<p class="warn">Careful.</p>' in html
    assert 'src="a/mix.wav"' in html
    assert re.findall(r'<td class="num">(\d)</td>', html) == ["1", "2", "3", "4"]
    found = re.search(r"data:image/png;base64,([\w+/=]+)", html)
    assert found is not None
    assert base64.b64decode(found[1]) == b"PNG bytes"
    tags = Tags()
    tags.feed(html)
    assert tags.open == []


def test_a_table_without_rows_is_its_note_and_settings_are_folded(tmp_path: Path) -> None:
    html = page(
        tmp_path,
        tables=[{"title": "Recording", "note": "None was left out.", "heads": ["channel", "why"], "rows": []}],
        folded=[{"title": "Settings", "text": "seed: 3\nsteps: 8\n"}],
    )
    assert "<h2>Recording</h2><p>None was left out.</p>" in html
    assert "<table" not in html and "channel" not in html
    assert "<details><summary>Settings</summary><pre>seed: 3\nsteps: 8\n</pre></details>" in html
    tags = Tags()
    tags.feed(html)
    assert tags.open == []


def test_no_name_becomes_markup(tmp_path: Path) -> None:
    evil = '<script>alert(1)</script>" onload="x'
    html = page(
        tmp_path,
        warnings=[evil],
        players=[{"title": evil, "sounds": [{"label": evil, "file": evil}]}],
        tables=[{"title": evil, "note": evil, "heads": [evil], "rows": [[evil]]}],
        figures=[(evil, evil, b"x")],
    )
    assert "<script" not in html
    html = page(tmp_path, folded=[{"title": evil, "text": evil}])
    assert "<script" not in html
    assert 'onload="x' not in html


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    assert not re.search(r"(src|href)=\"(https?:)?//|@import|<link", page(tmp_path))


def test_a_player_without_a_file_is_a_defect_that_shows(tmp_path: Path) -> None:
    with pytest.raises(jinja2.UndefinedError):
        page(tmp_path, players=[{"title": "Mix", "sounds": [{"label": "with"}]}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("columns", "box"), [(2, "scroll"), (15, "scroll many")])
def test_a_table_scrolls_inside_its_own_box(tmp_path: Path, columns: int, box: str) -> None:
    html = page(tmp_path, tables=[{"title": "Wide", "heads": ["h"] * columns, "rows": [["c"] * columns]}])
    assert html.count(f'<div class="{box}"><table>') == html.count("<table>") == 1
    assert re.search(r"\.scroll \{ overflow-x: auto \}", html)


def test_rows_of_scores() -> None:
    row = score_row("brain", SCORE)
    assert row == ["brain", "0.876", "0.800 to 0.946", "0.250", "0.0004", "16 of 50"]
    assert len(row) == len(score_row("x", None)) == len(SCORE_HEADS)
    assert score_row("x", None)[1] == "not measured"
    assert score_row("x", {"accuracy": None})[1] == "not measured"
