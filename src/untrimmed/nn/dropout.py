"""Dropout whose draws are a run's own, so that a resumed run, and every device, draws the same."""

import torch
from torch import Tensor


def kept(shape: tuple[int, ...], share: float, rng: torch.Generator, device: torch.device) -> Tensor:
    """0 for a `share` of the places, 1 for the others; drawn on the CPU."""
    return (torch.rand(shape, generator=rng) >= share).to(device, torch.float32)


def dropout(x: Tensor, share: float, rng: torch.Generator | None) -> Tensor:
    """x without a `share` of its values, the others larger by as much; x itself without `rng`, as outside
    of training."""
    if rng is None or share == 0:
        return x
    return x * kept(tuple(x.shape), share, rng, x.device) / (1 - share)
