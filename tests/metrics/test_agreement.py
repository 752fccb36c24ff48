"""Class agreement against scikit-learn and against counts by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn import metrics as reference

from eeg2music.errors import InputError
from eeg2music.metrics.agreement import class_agreement, nearest_class
from eeg2music.seeding import numpy_rng


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_agreement_equals_scikit_learn(classes: int, share: float) -> None:
    rng = numpy_rng(classes, "labels")
    heard = rng.choice(classes, 200, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    made = np.where(rng.random(200) < share, heard, rng.integers(0, classes, 200))
    found = class_agreement(made.tolist(), heard.tolist())
    assert found.accuracy == pytest.approx(reference.accuracy_score(heard, made), abs=1e-12)
    assert found.balanced_accuracy == pytest.approx(reference.balanced_accuracy_score(heard, made), abs=1e-12)
    assert found.kappa == pytest.approx(reference.cohen_kappa_score(heard, made), abs=1e-12)
    assert found.balanced_chance == pytest.approx(1 / classes)


def test_always_the_common_class_gains_nothing() -> None:
    """The fraud that plain accuracy falls for."""
    found = class_agreement(["pop"] * 20, ["pop"] * 18 + ["jazz"] * 2)
    assert found.accuracy == 0.9
    assert found.accuracy_chance == pytest.approx(0.9)
    assert (found.balanced_accuracy, found.kappa) == (0.5, pytest.approx(0.0))


def test_a_class_that_was_never_heard_is_an_error_not_a_class() -> None:
    found = class_agreement(["pop", "noise", "jazz", "noise"], ["pop", "pop", "jazz", "jazz"])
    assert found.classes == 2
    assert found.balanced_accuracy == 0.5
    assert found.balanced_chance == 0.25


def test_balanced_chance_is_what_shuffled_labels_give() -> None:
    rng = numpy_rng(0, "shuffle")
    heard = np.repeat(["a", "b", "c"], [12, 6, 2])
    made = np.repeat(["a", "b", "d"], [4, 10, 6])
    values = [class_agreement(rng.permutation(made).tolist(), heard.tolist()) for _ in range(2000)]
    assert np.mean([v.balanced_accuracy for v in values]) == pytest.approx(values[0].balanced_chance, abs=0.01)
    assert np.mean([v.accuracy for v in values]) == pytest.approx(values[0].accuracy_chance, abs=0.01)


def test_nearest_class_equals_brute_force_and_ignores_length() -> None:
    rng = numpy_rng(0, "bank")
    centre = np.eye(3, 6)
    bank = np.concatenate([c + 0.2 * rng.normal(size=(5, 6)) for c in centre]) * rng.uniform(0.1, 9.0, (15, 1))
    labels = list(itertools.chain.from_iterable([name] * 5 for name in "xyz"))
    query = 4.0 * (centre + 0.2 * rng.normal(size=(3, 6)))
    assert nearest_class(query, bank, labels) == ["x", "y", "z"]


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="two classes"):
        class_agreement(["pop", "jazz"], ["pop", "pop"])
    with pytest.raises(InputError, match="equally many"):
        class_agreement(["pop"], ["pop", "jazz"])
    with pytest.raises(InputError, match="missing"):
        class_agreement(["pop", None], ["pop", "jazz"])
    with pytest.raises(InputError, match="3 labels"):
        nearest_class(np.ones((1, 2)), np.ones((4, 2)), ["a", "b", "c"])
