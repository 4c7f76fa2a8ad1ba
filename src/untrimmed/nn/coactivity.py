"""Pairs of videos that share a class, and what their features must have in common: W-TALC's, and of those after it."""

import math

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from untrimmed.nn.pooling import inside


def loss_cas(embedded: Tensor, class_logit: Tensor, length: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Co-activity similarity loss of pairs of videos, rows 0 and 1, 2 and 3, ...; the mean over the classes that a pair
    shares.

    A class's scores, softmax over time, weigh the embedded features: what is attended to (high), and what is not (low,
    the weights (1 - a) / (T - 1)). By cosine distance, high must be nearer to the other's high than to the other's low,
    by `margin`.

    Args:
        embedded: [2 P, T, D]. class_logit: [2 P, T, C]. length: [2 P]. labels: [2 P, C].
    """
    shared = labels[0::2] * labels[1::2]
    if not shared.any():
        return class_logit.new_zeros(())
    own = inside(length, class_logit.shape[1]).unsqueeze(-1)
    attention = class_logit.masked_fill(~own, -math.inf).softmax(1)
    rest = (1 - attention) * own / (length - 1).clamp_min(1).view(-1, 1, 1)
    features = embedded.transpose(1, 2)
    high, low = features @ attention, features @ rest  # [2 P, D, C]
    high_high = 1 - F.cosine_similarity(high[0::2], high[1::2], dim=1)
    high_low = 1 - F.cosine_similarity(high[0::2], low[1::2], dim=1)
    low_high = 1 - F.cosine_similarity(low[0::2], high[1::2], dim=1)
    hinges = F.relu(high_high - high_low + margin) + F.relu(high_high - low_high + margin)
    return 0.5 * (hinges * shared).sum() / shared.sum()


def draw_videos(labels: np.ndarray, batch: int, pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A batch of videos, numbers into labels [N, C]: first pairs of two different videos of a class, then any; and how
    many pairs.

    Each pair's class is drawn among those that have two videos, so that rare classes come as often as common ones.
    """
    common = np.flatnonzero(labels.sum(0) >= 2)
    pairs = min(pairs, batch // 2) if len(common) else 0
    drawn = [rng.choice(np.flatnonzero(labels[:, c]), 2, replace=False) for c in rng.choice(common, pairs)] if pairs else []
    others = batch - 2 * pairs
    return np.concatenate([*drawn, rng.choice(len(labels), others, replace=others > len(labels))]).astype(np.intp), pairs
