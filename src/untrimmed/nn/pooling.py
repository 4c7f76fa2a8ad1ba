"""A video's score from those of its snippets: the mean of the highest, in batches of videos of different lengths."""

import math

import torch
from torch import Tensor


def inside(length: Tensor, count: int) -> Tensor:
    """Which of `count` rows are snippets of the video, [B, T] bool; those beyond its `length`, [B], are padding."""
    return torch.arange(count, device=length.device) < length.unsqueeze(1)


def one_in(share: int, length: Tensor, up: bool = False) -> Tensor:
    """How many of a video's snippets one in `share` is: length // share, at least 1; or rounded up, as in W-TALC's training."""
    return ((length + share - 1) // share if up else length // share).clamp_min(1)


def top_mean(score: Tensor, length: Tensor, count: Tensor) -> Tensor:
    """Each column's mean over the `count` snippets where it is highest: [B, T, C] -> [B, C].

    Args:
        score: [B, T, C]; what stands beyond a video's length changes nothing.
        length: [B], 1 to T. count: [B], 1 to `length`.
    """
    beyond = ~inside(length, score.shape[1])
    highest = score.masked_fill(beyond.unsqueeze(-1), -math.inf).topk(int(count.max()), dim=1).values
    unused = ~inside(count, highest.shape[1])
    return highest.masked_fill(unused.unsqueeze(-1), 0).sum(1) / count.unsqueeze(1)
