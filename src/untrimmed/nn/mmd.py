"""Maximum mean discrepancy: how far apart two sets of features are, seen through Gaussian kernels.

Gretton et al., JMLR 2012; as a loss between the layers of two domains: Long et al., ICML 2015 (DAN).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Estimator = Literal["biased", "unbiased", "linear"]


def mmd2(
    t: Tensor, u: Tensor, gammas: Sequence[float] | Tensor | None = None, *, kernels: int = 1, estimator: Estimator = "biased"
) -> Tensor:
    """Squared MMD of two sets of features, with k(x, y) = sum over gammas of exp(-gamma |x - y|^2).

    biased:   the mean of k within t, plus that within u, less twice that between them; each row's k with itself counts, so that
              the value is never negative (the V-statistic on TSRNet's slides).
    unbiased: the same without the rows' k with themselves (DAN).
    linear:   only neighbouring rows are compared, in time that grows with their number instead of its square (DAN's linear
              estimate). Rows must be in random order; the surplus of the larger set is left out.

    Args:
        t, u: [n, D] and [m, D], one row at least each.
        gammas: None for those of `median_gammas`: as many as `kernels`.

    Returns:
        A scalar; gradients reach t and u, but not through the bandwidth.
    """
    if estimator == "linear":
        count = min(len(t), len(u))
        t, u = t[:count], u[:count]
        t2, u2 = t.roll(-1, 0), u.roll(-1, 0)
        within_t, within_u, across = _pairs(t, t2), _pairs(u, u2), torch.cat([_pairs(t, u2), _pairs(t2, u)])
        seen = torch.cat([within_t, within_u, across])
    else:
        pooled = torch.cat([t, u])
        distances = squared_distances(pooled)
        n = len(t)
        within_t, within_u, across = distances[:n, :n], distances[n:, n:], distances[:n, n:]
        seen = distances[*torch.triu_indices(len(pooled), len(pooled), 1).unbind()]
    if gammas is None:
        gammas = median_gammas(seen, kernels)
    k_t, k_u, k_across = (torch.stack([torch.exp(-gamma * d) for gamma in gammas]).sum(0) for d in (within_t, within_u, across))
    if estimator != "unbiased":
        return k_t.mean() + k_u.mean() - 2 * k_across.mean()
    return _mean_off_diagonal(k_t) + _mean_off_diagonal(k_u) - 2 * k_across.mean()


def median_gammas(distances: Tensor, kernels: int = 1) -> Tensor:
    """1 / (2 sigma^2) for sigma^2 = the median of the squared distances; several kernels double sigma^2 from one to the next,
    the middle one being the median's. Detached."""
    ordered = distances.detach().flatten().sort().values  # torch's own quantile refuses more than 16 million
    median = ordered[(len(ordered) - 1) // 2].lerp(ordered[len(ordered) // 2], 0.5)
    sigma2 = median.clamp_min(torch.finfo(distances.dtype).tiny ** 0.5)
    steps = torch.arange(kernels, dtype=distances.dtype, device=distances.device) - kernels // 2
    return 1 / (2 * sigma2 * 2**steps)


def squared_distances(x: Tensor) -> Tensor:
    """|x_i - x_j|^2 of all rows: [n, D] -> [n, n], by one matrix product."""
    x = x - x[:1].detach()  # distances do not change, but equal rows become exactly zero, and large offsets cost no digits
    norm = x.square().sum(1)
    return (norm.unsqueeze(1) + norm - 2 * x @ x.t()).clamp_min(0).fill_diagonal_(0)


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square().sum(1)


def _mean_off_diagonal(k: Tensor) -> Tensor:
    return (k.sum() - k.diagonal().sum()) / max(len(k) * (len(k) - 1), 1)
