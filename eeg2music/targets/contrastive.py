"""Contrastive losses of the CLAP on gathered batches.

Positives and pairs to be left out are told by identifiers, not by position, so that the labels are
right whatever the number of processes. Pure functions; nothing is gathered here.
"""

from __future__ import annotations

import torch
from torch import Tensor


def info_nce(
    queries: Tensor,
    keys: Tensor,
    query_pair: Tensor,
    key_pair: Tensor,
    query_group: Tensor,
    key_group: Tensor,
    scale: Tensor,
) -> Tensor:
    """InfoNCE (van den Oord et al. 2018, eq. 4), with pairs that are neither positive nor negative.

    Parameters
    ----------
    queries : (query, embedding) unit norm, of this process
    keys : (key, embedding) unit norm, of all processes
    query_pair, key_pair : (query,), (key,) int64; equal = positive; below 0 = takes no part
    query_group, key_group : (query,), (key,) int64; equal but another pair = left out of the denominator
    scale : inverse temperature

    Returns
    -------
    Scalar: sum over the queries divided by their number, those that take no part counted as zero, so
    that the mean over processes is the loss of the whole batch.
    """
    logits = scale * queries.float() @ keys.float().T
    valid_key = key_pair >= 0
    positive = (query_pair[:, None] == key_pair[None]) & valid_key
    ignored = ((query_group[:, None] == key_group[None]) & ~positive) | ~valid_key
    logits = logits.masked_fill(ignored, -torch.inf)
    takes_part = (query_pair >= 0) & positive.any(1)
    # A row without a positive would be -inf - -inf: give it a harmless one.
    safe = torch.where(takes_part[:, None], logits, torch.zeros_like(logits))
    chosen = torch.where(positive | ~takes_part[:, None], safe, torch.full_like(safe, -torch.inf))
    each = torch.logsumexp(safe, 1) - torch.logsumexp(chosen, 1)
    return (each * takes_part).sum() / max(1, queries.shape[0])


def text_ids(tokens: Tensor) -> Tensor:
    """One int64 for each row of (batch, token) ids; equal texts get equal numbers.

    A polynomial hash modulo a prime below 2**31, so that nothing overflows.
    """
    modulus, base = 2_147_483_629, 1_000_003
    value = torch.zeros(tokens.shape[0], dtype=torch.int64, device=tokens.device)
    for column in tokens.T:
        value = (value * base + column + 1) % modulus
    return value
