"""What the softmax of a video's class scores is held to."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from untrimmed.data.errors import InputError


def targets_of(labels: Tensor, background: bool = True) -> Tensor:
    """Labels [B, C] in {0, 1}, each video's shared equally: [B, C + 1], background last, or [B, C] without it; rows sum to one.

    A video without labels is background; without a background every video must have a label.
    """
    if background:
        labels = torch.cat([labels, (labels.sum(1, keepdim=True) == 0).to(labels)], 1)
    return labels / labels.sum(1, keepdim=True)


def cross_entropy(log_p: Tensor, labels: Tensor) -> Tensor:
    """-sum y log p, mean over videos: log p [B, C], or [B, C + 1] with background last; labels [B, C], see `targets_of`."""
    target = targets_of(labels, background=log_p.shape[1] > labels.shape[1])
    return -(target * log_p).sum(1).mean()


def binary_cross_entropy(logit: Tensor, target: Tensor) -> Tensor:
    """-(y log p + (1 - y) log(1 - p)), p the softmax of the logits, mean over videos and classes: [B, C], [B, C].

    Where p is one to within 1e-7, log(1 - p) is -16 and has no gradient.
    """
    rest = torch.log((1 - logit.softmax(-1)).clamp_min(1e-7))
    return -(target * F.log_softmax(logit, -1) + (1 - target) * rest).mean()


def check_background(background: bool, labels: np.ndarray) -> None:
    """See that a softmax without a `background` class can be held to labels, [N, C].

    Raises:
        InputError: there is only one class, or some videos hold no action.
    """
    if not background and (labels.shape[1] == 1 or not labels.any(1).all()):
        what = "there is only one class" if labels.shape[1] == 1 else "some training videos hold no action"
        raise InputError(f"method.background=false: {what}, which a softmax without background cannot tell; set it to true")
