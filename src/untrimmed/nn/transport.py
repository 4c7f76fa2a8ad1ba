"""Which cluster each row belongs to, by optimal transport (Sinkhorn and Knopp): every cluster gets its share of the
rows."""

import torch
from torch import Tensor

ROUNDS = 3
"""Of normalizing rows and columns in turn."""


@torch.no_grad()
def assign(similarity: Tensor, sharpness: float, prior: Tensor | None = None, shares: Tensor | None = None) -> Tensor:
    """Soft assignments [N, K] of N rows to K clusters, each row's of sum one, that follow the similarity [N, K].

    Args:
        sharpness: the larger, the harder the assignments: they go with exp(sharpness x similarity).
        prior: [N, K], what is expected beforehand; None: nothing.
        shares: [K], of sum one, how much of the rows each cluster gets; None: equal shares.
    """
    count, clusters = similarity.shape
    shares = similarity.new_full((clusters,), 1 / clusters) if shares is None else shares
    plan = torch.exp(sharpness * (similarity - similarity.max()))  # less the maximum, so that nothing overflows
    plan = plan if prior is None else plan * prior
    for _ in range(ROUNDS):
        plan = plan / plan.sum(0).clamp_min(1e-12) * shares
        plan = plan / plan.sum(1, keepdim=True).clamp_min(1e-12) / count
    return plan * count
