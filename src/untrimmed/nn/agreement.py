"""How sure votes are of clusters as they stand, whoever has made them, and which stretches they are surest of. Ours.

A stretch is the surer its cluster's, the more of its votes, p, come from there: s_c = max(0, p_c log(C p_c) / log C), the part of
`votes.sureness` that its own cluster has. A video agrees with its cluster by the share of the votes, of its sure stretches, that
come from there.
"""

import numpy as np

from untrimmed.nn.spectral import spectral_clustering
from untrimmed.nn.votes import Votes, gain, sureness


def shares(votes: Votes, targets: np.ndarray) -> np.ndarray:
    """Of each video the share of its votes for each cluster, its sure stretches counting more: targets [N, C] -> [N, C]."""
    p = votes.of(targets)
    s = sureness(p)
    summed = np.add.reduceat(p * s[:, None], votes.first[:-1], axis=0)
    return summed / np.maximum(summed.sum(1, keepdims=True), 1e-30)


def surest(votes: Votes, targets: np.ndarray, most: int, of_one_video: int) -> list[list[tuple[int, float]]]:
    """Of each cluster the stretches of its videos that the votes are surest of, with s_c: targets [N, C], one-hot -> C lists.

    Args:
        of_one_video: so many at most are of one video, so that many are seen.
    """
    own = targets[votes.video].astype(bool)
    s = np.where(own, np.maximum(gain(votes.of(targets)), 0), -1)
    chosen: list[list[tuple[int, float]]] = []
    for column in s.T:
        taken: dict[int, int] = {}
        best: list[tuple[int, float]] = []
        for stretch in np.argsort(-column, kind="stable"):
            video = int(votes.video[stretch])
            if column[stretch] < 0 or len(best) == most:
                break
            if taken.get(video, 0) < of_one_video:
                taken[video] = taken.get(video, 0) + 1
                best.append((int(stretch), float(column[stretch])))
        chosen.append(best)
    return chosen


def halves(f: np.ndarray) -> np.ndarray:
    """Two groups of videos by their descriptors f [N, D]: 0 or 1 of each, [N], the larger group first."""
    half = spectral_clustering(f, 2)
    return half if 2 * half.sum() <= len(half) else 1 - half
