"""Is the generated music of the same class as the heard: genre, mood, instrument?

Takes labels, never audio: whatever classifier gave them is applied to both sides alike. Plain accuracy
flatters where one class is common, so it never stands alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, same_dim
from eeg2music.metrics.retrieval import similarity_matrix


class ClassAgreement(NamedTuple):
    """How labels agree with a reference.

    accuracy : share that agree
    balanced_accuracy : mean over the reference's classes of the share of each that agrees
    kappa : Cohen 1960, 1 for full agreement and 0 for that of independent labels with the same frequencies
    accuracy_chance : expected accuracy of independent labels with the same frequencies
    balanced_chance : expected balanced accuracy of labels that know nothing: 1 / classes of the reference if those
        generated are among them, less if not
    n, classes : labels, and classes in the reference
    """

    accuracy: float
    balanced_accuracy: float
    kappa: float
    accuracy_chance: float
    balanced_chance: float
    n: int
    classes: int


def class_agreement(generated: Sequence[Hashable], heard: Sequence[Hashable]) -> ClassAgreement:
    """Agreement of one label for each clip.

    Parameters
    ----------
    generated, heard : (n,) labels; `heard` is the reference and needs two classes or more

    Raises
    ------
    InputError
        For unequal lengths, a missing label (None), or a reference of one class: nothing can be told apart then.

    >>> found = class_agreement(["pop", "pop", "jazz", "pop"], ["pop", "pop", "jazz", "jazz"])
    >>> found.accuracy, found.balanced_accuracy, found.kappa
    (0.75, 0.75, 0.5)
    """
    table, known = confusion(generated, heard)
    n = int(table.sum())
    by_class = table.sum(axis=1)
    accuracy = float(np.trace(table)) / n
    recall = np.diag(table)[:known] / by_class[:known]
    frequency = table.sum(axis=0) / n
    chance = float(np.sum(by_class / n * frequency))
    return ClassAgreement(
        accuracy=accuracy,
        balanced_accuracy=float(recall.mean()),
        # With two classes in the reference the chance stays below 1.
        kappa=(accuracy - chance) / (1.0 - chance),
        accuracy_chance=chance,
        balanced_chance=float(frequency[:known].mean()),
        n=n,
        classes=known,
    )


def confusion(generated: Sequence[Hashable], heard: Sequence[Hashable]) -> tuple[Float64, int]:
    """Counts (heard class, generated class), and how many classes the reference has; those come first."""
    if len(generated) != len(heard) or not len(heard):
        raise InputError(f"{len(generated)} generated labels, {len(heard)} heard ones", allowed="equally many")
    if any(label is None for label in (*generated, *heard)):
        raise InputError("A label is missing", allowed="one for each clip", remedy="leave the clip out, and say so")
    codes: dict[Hashable, int] = {}
    rows = [codes.setdefault(label, len(codes)) for label in heard]
    known = len(codes)
    if known < 2:
        raise InputError(f"All {len(heard)} heard clips are {heard[0]!r}", allowed="two classes or more")
    columns = [codes.setdefault(label, len(codes)) for label in generated]
    table = np.zeros((len(codes), len(codes)))
    np.add.at(table, (rows, columns), 1.0)
    return table, known


def nearest_class(query: ArrayLike, bank: ArrayLike, labels: Sequence[Hashable]) -> list[Hashable]:
    """Label each row by the class whose mean direction is nearest by cosine: the smallest classifier there is.

    For data sets without one: `bank` are embeddings of music with known labels, songs other than those scored.

    Parameters
    ----------
    query : (n, dim), bank : (m, dim), labels : (m,)

    >>> nearest_class([[1.0, 0.1]], [[1.0, 0.0], [0.0, 1.0]], ["a", "b"])
    ['a']
    """
    rows, known = embeddings("query", query), embeddings("bank", bank)
    same_dim("query", rows, "bank", known)
    if len(labels) != len(known):
        raise InputError(f"{len(labels)} labels for {len(known)} rows of the bank", allowed="one each")
    classes = list(dict.fromkeys(labels))
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)
    means = np.stack([unit[[label == c for label in labels]].mean(axis=0) for c in classes])
    return [classes[place] for place in similarity_matrix(rows, means).argmax(axis=1)]
