"""An error is one line: what is wrong, what is allowed, what to do."""

from __future__ import annotations

import inspect
import pickle

import pytest

from eeg2music import errors
from eeg2music.errors import Eeg2MusicError, InputError, MissingExtraError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Eeg2MusicError)]


def test_all_parts_in_one_line() -> None:
    error = InputError("A rate of\n 3 Hz.", allowed="50 Hz\nor more.", remedy="record  faster.")
    assert str(error) == "A rate of 3 Hz. Allowed: 50 Hz or more. Remedy: record faster."


@pytest.mark.parametrize(
    ("parts", "line"),
    [({}, "Wrong."), ({"allowed": "a"}, "Wrong. Allowed: a."), ({"remedy": "b"}, "Wrong. Remedy: b.")],
)
def test_parts_may_be_absent(parts: dict[str, str], line: str) -> None:
    assert str(InputError("Wrong", **parts)) == line


def test_a_remedy_that_asks_ends_with_its_question_mark() -> None:
    assert str(InputError("No 'a'", remedy="did you mean 'b'?")) == "No 'a'. Remedy: did you mean 'b'?"


def test_the_parts_can_be_read() -> None:
    error = InputError("What.", allowed="this", remedy="that")
    assert (error.what, error.allowed, error.remedy) == ("What.", "this", "that")


def test_a_missing_extra_names_the_command() -> None:
    assert "pip install 'eeg2music[baselines]'" in str(MissingExtraError("braindecode", "baselines"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not MissingExtraError])
def test_errors_pass_between_processes_whole(kind: type[Eeg2MusicError]) -> None:
    # Worker processes hand their errors over pickled.
    error = pickle.loads(pickle.dumps(kind("What", allowed="this", remedy="that")))
    assert type(error) is kind
    assert str(error) == "What. Allowed: this. Remedy: that."


def test_a_missing_extra_passes_between_processes_whole() -> None:
    error = MissingExtraError("braindecode", "baselines")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
