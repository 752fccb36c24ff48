"""InfoNCE against cross-entropy, against hand-made masks, and cut over two processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from eeg2music.targets.contrastive import info_nce, text_ids


def unit(rows: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


ROWS = torch.arange(6)
SCALE = torch.tensor(7.0)


def test_without_masks_it_is_cross_entropy() -> None:
    left, right = unit(6, 0), unit(6, 1)
    expected = F.cross_entropy(SCALE * left @ right.T, ROWS)
    torch.testing.assert_close(info_nce(left, right, ROWS, ROWS, ROWS, ROWS, SCALE), expected)


def test_labels_follow_the_identifiers_not_the_places() -> None:
    left, right = unit(6, 0), unit(6, 1)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    straight = info_nce(left, right, ROWS, ROWS, ROWS, ROWS, SCALE)
    torch.testing.assert_close(info_nce(left, right[order], ROWS, ROWS[order], ROWS, ROWS[order], SCALE), straight)


def test_pairs_of_one_group_are_no_negatives() -> None:
    left, right = unit(6, 0), unit(6, 1)
    group = torch.tensor([0, 0, 1, 2, 3, 4])
    logits = SCALE * left @ right.T
    logits[0, 1] = logits[1, 0] = -torch.inf
    torch.testing.assert_close(info_nce(left, right, ROWS, ROWS, group, group, SCALE), F.cross_entropy(logits, ROWS))


def test_rows_that_take_no_part_count_as_zero_and_are_no_keys() -> None:
    left, right = unit(6, 0).requires_grad_(), unit(6, 1)
    pair = torch.tensor([0, -1, 2, 3, 4, 5])
    keep = pair >= 0
    rest = F.cross_entropy(SCALE * left[keep] @ right[keep].T, torch.arange(5))
    loss = info_nce(left, right, pair, pair, pair, pair, SCALE)
    torch.testing.assert_close(loss, rest * 5 / 6)
    loss.backward()
    assert torch.isfinite(left.grad).all() and float(left.grad[1].abs().max()) == 0.0


def test_no_pair_at_all_gives_zero_and_finite_gradients() -> None:
    left = unit(4, 0).requires_grad_()
    nothing = torch.full((4,), -1)
    loss = info_nce(left, unit(4, 1), nothing, nothing, nothing, nothing, SCALE)
    loss.backward()
    assert loss.item() == 0.0 and float(left.grad.abs().max()) == 0.0


def test_the_mean_over_two_processes_is_the_loss_of_one() -> None:
    left, right = unit(6, 0), unit(6, 1)
    pair = torch.tensor([0, 1, -1, 3, 4, 5])
    whole = info_nce(left, right, pair, pair, ROWS, ROWS, SCALE)
    halves = [
        info_nce(left[part], right, pair[part], pair, ROWS[part], ROWS, SCALE) for part in (slice(0, 3), slice(3, 6))
    ]
    torch.testing.assert_close(sum(halves) / 2, whole)


def test_equal_texts_have_equal_numbers() -> None:
    tokens = torch.tensor([[2, 5, 6, 0], [2, 6, 5, 0], [2, 5, 6, 0], [2, 5, 6, 7]])
    ids = text_ids(tokens)
    assert ids[0] == ids[2]
    assert len(set(ids.tolist())) == 3
    many = torch.randint(0, 1000, (4000, 12), generator=torch.Generator().manual_seed(0))
    assert len(set(text_ids(many).tolist())) == len({tuple(row) for row in many.tolist()})
