"""Features of segments of any length: RoI-align (He et al., Mask R-CNN, ICCV 2017) in one dimension."""

import numpy as np
import torch
from torch import Tensor


def roi_weights(segments: np.ndarray, count: int, bins: int) -> np.ndarray:
    """How much each snippet counts in each bin of a segment: float32 [M, bins, T].

    A segment is cut into bins of equal width. A bin's feature is the mean at equally spaced points, so many that they
    are at most a snippet apart, each interpolated linearly between the middles of snippets; beyond the video's ends are
    zeros.

    Args:
        segments: [M, 2], start and end in snippets, of which snippet i is [i, i + 1); they may reach beyond the video.
            One shorter than a snippet is taken to be as long as one.
        count: T.
    """
    start, length = segments[:, 0], np.maximum(segments[:, 1] - segments[:, 0], 1.0)
    points = np.maximum(np.ceil(length / bins).astype(int), 1)
    k = np.arange(points.max(initial=1))
    place = (np.arange(bins)[:, None] + (k + 0.5) / points[:, None, None]) / bins  # [M, bins, points], in 0..1
    at = start[:, None, None] + place * length[:, None, None] - 0.5  # 0 is the middle of the first snippet
    share = np.broadcast_to((k < points[:, None, None]) / points[:, None, None], at.shape)
    left = np.floor(at).astype(int)
    row = np.broadcast_to(np.arange(len(segments) * bins).reshape(-1, bins, 1), at.shape)
    weights = np.zeros((len(segments) * bins, count))
    for snippet, part in ((left, 1 - (at - left)), (left + 1, at - left)):
        inside = (snippet >= 0) & (snippet < count)
        np.add.at(weights, (row[inside], snippet[inside]), (share * part)[inside])
    return weights.reshape(len(segments), bins, count).astype(np.float32)


def roi_align(x: Tensor, segments: np.ndarray, bins: int) -> Tensor:
    """Features of segments: x [T, D], segments [M, 2] in snippets -> [M, bins, D]."""
    weights = torch.from_numpy(roi_weights(segments, len(x), bins)).to(x)
    return (weights.flatten(0, 1) @ x).unflatten(0, (len(segments), bins))
