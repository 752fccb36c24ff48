"""A split manifest decides what is scored: its test side alone, and none that leaks or is of another cache."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eeg2music import cli
from eeg2music.errors import DataError, LeakError
from eeg2music.evaluation.alike import Listened, hear_heard
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.material import ListeningConfig
from eeg2music.evaluation.parts import _material
from eeg2music.evaluation.prepared_material import prepared_heard, prepared_others
from eeg2music.evaluation.split_cache import SplitConfig, split_cache
from eeg2music.files import read_json, sha256_file, sha256_json, write_json
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.recordings.split_file import read_split

WriteCache = Callable[..., Path]
SONGS = ("one", "two", "three", "four")
# Four listeners, 20 s apart: far more than the gap.
ROWS = [(f"sub-{who}", song, 20.0 * n, 1280 * n) for who in "abcd" for n, song in enumerate(SONGS)]
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def made(write_cache: WriteCache, tmp_path: Path) -> tuple[Path, Path, dict[str, Any]]:
    """A cache, the file of its split by song and subject, and what that says."""
    cache, file = write_cache(ROWS), tmp_path / "split.json"
    return cache, file, split_cache(cache, file, SplitConfig(by="grid", test_share=0.5, listen=False))


def rewrite(file: Path, edit: Edit, *, signed: bool = True) -> None:
    """Change a manifest by hand, with or without a hash that fits."""
    body = read_json(file)
    edit(body)
    if signed:
        body.pop("sha256")
        body["sha256"] = sha256_json(body)
    write_json(file, body)


def leak(body: dict[str, Any]) -> None:
    body["window_ids"]["train"].append(body["window_ids"]["test"][0])


def test_the_test_side_alone_is_scored(made: tuple[Path, Path, dict[str, Any]]) -> None:
    cache, file, body = made
    heard = prepared_heard(cache, str(file))
    assert set(heard.songs) == set(body["test"]["songs"]) < set(SONGS)
    assert set(heard.query_subjects) == set(body["test"]["subjects"])
    assert len(heard.windows) == body["windows"]["test"] == 4
    sides = read_split(file, PreparedDataset(cache))
    assert len(sides.train) == body["windows"]["train"] and not set(sides.train) & set(sides.test)
    assert sides.told == {"by": "song and subject", "sha256": body["sha256"]}


def test_the_other_listener_is_of_the_test_side(write_cache: WriteCache, tmp_path: Path) -> None:
    """Listeners who are trained on heard the songs again, too."""
    again = [(who, song, onset_s + 100.0, first + 6400) for who, song, onset_s, first in ROWS]
    cache, file = write_cache([*ROWS, *again]), tmp_path / "split.json"
    body = split_cache(cache, file, SplitConfig(by="grid", test_share=0.5, listen=False))
    others = prepared_others(cache, prepared_heard(cache, str(file)), str(file))
    assert others is not None and set(others.query_subjects) == set(body["test"]["subjects"])


def test_what_is_listened_to_and_kept_follows_the_manifest(made: tuple[Path, Path, dict[str, Any]]) -> None:
    cache, file, body = made
    listened = Listened()
    hear_heard(listened, ListeningConfig(), str(cache), str(file))
    assert set(listened.prints) | set(listened.unheard) == set(body["test"]["songs"])
    config = EvaluateConfig(prepared=str(cache))
    split = config.model_copy(update={"split": str(file)})
    assert _material(split) == {**_material(config), "split": sha256_file(file)}


@pytest.mark.parametrize(
    ("edit", "error", "said"),
    [
        (leak, LeakError, "share 1 of 2 songs"),
        (lambda body: body.update(cache="y"), DataError, "the split of another cache"),
        (lambda body: body["window_ids"]["test"].append("sub-z/0"), DataError, "names 1 windows .* sub-z/0"),
        (lambda body: body.pop("window_ids"), DataError, "no split manifest that names its windows"),
        (lambda body: body.update(held_out="validation"), DataError, "held out for validation"),
    ],
    ids=["leak", "other cache", "unknown window", "no windows", "validation"],
)
def test_a_manifest_that_is_not_of_this_cache_or_leaks_is_refused(
    made: tuple[Path, Path, dict[str, Any]], edit: Edit, error: type[Exception], said: str
) -> None:
    cache, file, _ = made
    rewrite(file, edit)
    with pytest.raises(error, match=said):
        prepared_heard(cache, str(file))


def test_a_manifest_changed_by_hand_is_refused(made: tuple[Path, Path, dict[str, Any]]) -> None:
    cache, file, _ = made
    rewrite(file, lambda body: body["window_ids"]["test"].pop(), signed=False)
    with pytest.raises(DataError, match="was changed after it was written"):
        prepared_heard(cache, str(file))


def test_leaky_manifest_is_caught(
    made: tuple[Path, Path, dict[str, Any]],
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A window dealt to both sides by hand, and hashed anew: refused before a model is loaded."""
    cache, file, _ = made
    rewrite(file, leak)
    smoke = Path(__file__).parents[2] / "configs" / "eval" / "smoke.yaml"
    given = [f"checkpoint={tiny_checkpoint}", f"split={file}"]

    def refusal(*words: str) -> str:
        monkeypatch.setattr(
            sys, "argv", ["eeg2music", "evaluate", str(smoke), "--out", str(tmp_path / "out"), *given, *words]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        return " ".join(capsys.readouterr().err.split())

    assert "share 1 of 2 songs" in refusal(f"prepared={cache}")
    assert "add prepared=CACHE" in refusal()
