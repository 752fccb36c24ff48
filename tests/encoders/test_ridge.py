"""The ridge baseline recovers a planted linear code and agrees with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from eeg2music.encoders.losses import pearson
from eeg2music.encoders.ridge import PENALTIES, RidgeEncoder, ridge_solution
from eeg2music.encoders.spatial import spread_points
from eeg2music.errors import DataError, InputError
from eeg2music.types import SignalSpec

INPUTS = ("eeg", "positions_m", "channel_mask", "subject")
SPEC = SignalSpec(kind="eeg", sfreq_hz=64.0, subjects=("sub-01",))


def test_solution_equals_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 12)), rng.normal(size=(200, 3))
    gram = torch.tensor(x.T @ x / 200)
    penalty = 0.4
    ours = ridge_solution(gram, torch.tensor(x.T @ y / 200), penalty)
    alpha = penalty * float(gram.diagonal().mean()) * 200
    theirs = linear.Ridge(alpha=alpha, fit_intercept=False).fit(x, y).coef_.T
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-10)


def planted(seed: int, batch: int = 16) -> dict[str, Tensor]:
    """Twelve curves, each heard 125 ms later by its own pattern over 32 channels, in a little noise."""
    generator = torch.Generator().manual_seed(seed)
    curves = torch.randn(batch, 12, 96, generator=generator)
    patterns = torch.randn(32, 12, generator=torch.Generator().manual_seed(9))
    late = F.pad(curves, (4, 0))[..., :96].repeat_interleave(2, -1)
    eeg = torch.einsum("cs,bst->bct", patterns, late)
    eeg = (eeg + torch.randn(eeg.shape, generator=generator)) / 4.0
    loud = curves.std(-1)
    embedding = F.normalize(torch.cat([loud, torch.ones(batch, 116)], 1), dim=-1)
    positions = torch.from_numpy(spread_points(32, -0.3)) * 0.095 + torch.tensor([0.0, 0.0, 0.04])
    return {
        "eeg": eeg,
        "positions_m": positions.expand(batch, -1, -1),
        "channel_mask": torch.ones(batch, 32, dtype=torch.bool),
        "subject": torch.full((batch,), -1),
        "embedding": embedding[:, None].expand(-1, 5, -1),
        "curves": curves.reshape(batch, 4, 3, 96),
    }


def test_planted_curves_come_back() -> None:
    encoder = RidgeEncoder.build(SPEC, points=32, lags=8, curve_penalty=1e-3)
    encoder.fit([planted(seed) for seed in range(6)])
    test = planted(99)
    with torch.no_grad():
        out = encoder(test["eeg"], test["positions_m"], test["channel_mask"], test["subject"])
    # The last 125 ms are not in the window yet.
    agreement = pearson(out.curves[..., :-8], test["curves"][..., :-8])
    assert float(agreement.mean()) > 0.8
    wrong = pearson(out.curves[..., :-8].roll(1, 0), test["curves"][..., :-8])
    assert abs(float(wrong.mean())) < 0.1


def test_nothing_to_fit_on() -> None:
    with pytest.raises(DataError, match="nothing to fit"):
        RidgeEncoder.build(SPEC).fit([])


def test_penalties_are_chosen_by_rows_that_were_not_fitted_on() -> None:
    """Against a plain loop: fit on the other folds with every penalty, measure on the fold itself."""
    batches, folds = [planted(seed, batch=6) for seed in range(4)], [0, 1, 0, 1]
    encoder = RidgeEncoder.build(SPEC, points=8, lags=8)
    chosen = encoder.fit_choosing(batches, folds)
    errors = dict.fromkeys(PENALTIES, 0.0)
    for penalty in PENALTIES:
        for fold in (0, 1):
            plain = RidgeEncoder.build(SPEC, points=8, lags=8, curve_penalty=penalty)
            plain.fit([batch for batch, of in zip(batches, folds, strict=True) if of != fold])
            held = [batch for batch, of in zip(batches, folds, strict=True) if of == fold]
            with torch.no_grad():
                found = torch.cat([plain(b["eeg"], b["positions_m"], b["channel_mask"], b["subject"])[2] for b in held])
            true = torch.cat([batch["curves"] for batch in held])
            mean = plain.curve_mean.reshape(4, 3, 1)
            error = (found - true).square().sum((0, 3)) / (true - mean).square().sum((0, 3))
            errors[penalty] += float(error.mean())
    assert chosen["curve_penalty"] == min(errors, key=lambda penalty: errors[penalty])
    assert max(errors.values()) > 1.01 * min(errors.values())  # the choice matters here
    again = RidgeEncoder.build(SPEC, points=8, lags=8, **chosen)
    again.fit(batches)
    assert encoder.config["embedding_penalty"] == chosen["embedding_penalty"]
    assert torch.equal(encoder.curve_weight, again.curve_weight)
    assert torch.equal(encoder.embedding_weight, again.embedding_weight)


def test_where_nothing_can_be_learned_a_large_penalty_is_chosen() -> None:
    batches = [planted(seed, batch=6) for seed in range(4)]
    strangers = [{**batch, **{key: planted(50 + n, batch=6)[key] for key in ("curves", "embedding")}}
                 for n, batch in enumerate(batches)]  # fmt: skip
    chosen = RidgeEncoder.build(SPEC, points=8, lags=8).fit_choosing(strangers, [0, 1, 2, 3])
    assert chosen["curve_penalty"] >= 100.0
    assert chosen["embedding_penalty"] >= 10.0


def test_how_high_curves_lie_decides_nothing() -> None:
    """Slow signals have a mean in every window: without centring, curves far from zero would be fitted to it."""
    batches, folds = [planted(seed, batch=6) for seed in range(4)], [0, 1, 0, 1]
    for batch in batches:
        batch["eeg"] = batch["eeg"] + 0.5 * torch.randn(6, 32, 1, generator=torch.Generator().manual_seed(4))
    higher = [{**batch, "curves": batch["curves"] + 20.0} for batch in batches]
    low, high = (RidgeEncoder.build(SPEC, points=8, lags=8) for _ in range(2))
    assert low.fit_choosing(batches, folds)["curve_penalty"] == high.fit_choosing(higher, folds)["curve_penalty"]
    torch.testing.assert_close(high.curve_weight, low.curve_weight, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(high.curve_mean, low.curve_mean + 20.0)


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 1e3])
def test_decoded_embeddings_are_spread_as_true_ones_are(penalty: float) -> None:
    """However much they were shrunk: those near the mean of all would be nearest to the same few songs."""
    batches = [planted(seed) for seed in range(4)]
    encoder = RidgeEncoder.build(SPEC, points=8, lags=8, embedding_penalty=penalty)
    encoder.fit(batches)
    with torch.no_grad():
        decoded = torch.cat([encoder(*(batch[key] for key in INPUTS)).stem_embedding for batch in batches])
    true = torch.cat([batch["embedding"][:, 1:] for batch in batches])
    assert float(decoded.std(0).norm()) == pytest.approx(float(true.std(0).norm()), rel=0.05)


def test_one_fold_is_refused() -> None:
    with pytest.raises(InputError, match="2 batches in 1 folds"):
        RidgeEncoder.build(SPEC).fit_choosing([planted(0), planted(1)], [0, 0])
