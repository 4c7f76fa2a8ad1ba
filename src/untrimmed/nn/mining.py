"""Which snippets of a video a loss looks at: those that some score puts first or last."""

import torch
from torch import Tensor


def easy(score: Tensor, k: int, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k snippets of the highest and those of the lowest score, of those that `keep` leaves in: [B, T] -> [B, k] twice.

    Args:
        score: [B, T], zero or above.
        keep: [B, T], which snippets are left in, so that it is not always the same that are first; those left out come last.
    """
    reverse = score.amax(1, keepdim=True) - score
    if keep is not None:
        score, reverse = score * keep, reverse * keep
    return score.topk(k, 1).indices, reverse.topk(k, 1).indices


def rows_at(x: Tensor, index: Tensor) -> Tensor:
    """Rows of each video: x [B, T, D], index [B, k] -> [B, k, D]."""
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def kept(shape: tuple[int, ...], dropout: float, rng: torch.Generator, device: torch.device) -> Tensor:
    """1 where dropout leaves something in, 0 elsewhere; drawn on the CPU, so that every device draws the same."""
    return (torch.rand(shape, generator=rng) >= dropout).to(device, torch.float32)
