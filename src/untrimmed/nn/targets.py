"""What the softmax of a video's class scores is held to."""

import torch
from torch import Tensor


def targets_of(labels: Tensor, background: bool = True) -> Tensor:
    """Labels [B, C] in {0, 1}, each video's shared equally: [B, C + 1], background last, or [B, C] without it; rows sum to one.

    A video without labels is background; without a background every video must have a label.
    """
    if background:
        labels = torch.cat([labels, (labels.sum(1, keepdim=True) == 0).to(labels)], 1)
    return labels / labels.sum(1, keepdim=True)
