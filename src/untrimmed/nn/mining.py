"""Which snippets of a video a loss looks at: those that some score puts first or last. All videos have the same
length."""

import torch
from torch import Tensor


def top(score: Tensor, share: float) -> Tensor:
    """The mean of each column's T / share highest, one at least: [..., T, C] -> [..., C]."""
    return score.topk(one_of(score.shape[-2], share), -2).values.mean(-2)


def one_of(count: int, share: float) -> int:
    """How many of `count` are one in `share`, one at least."""
    return max(1, int(count // share))


def easy(score: Tensor, k: int, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k snippets of the highest and those of the lowest score, of those that `keep` leaves in: [B, T] -> [B, k]
    twice.

    Args:
        score: [B, T], zero or above.
        keep: [B, T], which snippets are left in, so that it is not always the same that are first; those left out come
        last.
    """
    reverse = score.amax(1, keepdim=True) - score
    if keep is not None:
        score, reverse = score * keep, reverse * keep
    return score.topk(k, 1).indices, reverse.topk(k, 1).indices


def rows_at(x: Tensor, index: Tensor) -> Tensor:
    """Rows of each video: x [B, T, D], index [B, k] -> [B, k, D]."""
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def in_unit_range(x: Tensor) -> Tensor:
    """From 0, a column's lowest value, to 1, its highest: [T, ...]; one whose values are all the same is 0."""
    low, high = x.amin(0), x.amax(0)
    return (x - low) / torch.where(high > low, high - low, 1)
