"""What recurs across videos: clusters of stretches instead of videos, so that a video may hold several. Ours.

One cluster a video is one action too few where recordings hold several. Here the stretches themselves are clustered, into twice as
many clusters as there are actions, since what lies between the actions recurs, too. What is an action is told from that by

    spread      an action is in some videos: a cluster that is in more than half of them is what all have in common
    gain        a log(a / b): a is the share of the votes (the most similar stretches of *other* videos) about the cluster's
                stretches that it casts itself, b its share of all stretches. A cluster that nobody else would join has a high one

The clusters of the highest gain are kept, as many as asked for. Features are standardized by dimension: an L2-normalized mean is
dominated by the dimensions that vary most, which are seldom those by which actions differ.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from untrimmed.data.store import FeatureStore, release_pages
from untrimmed.nn.votes import EXACT, edges_of, nearest, normalized

PER_ACTION = 2
"""Clusters of stretches for each that is kept."""
COMMON = 0.5
"""What is in more than this share of the videos is no action."""


@dataclass(frozen=True)
class Scale:
    """The mean and the standard deviation of every dimension, the streams one after the other: [sum of D] each."""

    mean: np.ndarray
    deviation: np.ndarray

    def stretches(self, features: Mapping[str, np.ndarray], stretch: int) -> np.ndarray:
        """The mean of each stretch, standardized: {stream: [T, D]} -> float32 [m, sum of D]."""
        parts = []
        for x in features.values():
            edges = edges_of(len(x), stretch)
            parts.append(np.add.reduceat(x.astype(np.float32), edges[:-1]) / np.diff(edges)[:, None].astype(np.float32))
        return (np.concatenate(parts, 1) - self.mean) / self.deviation


def scale_of(store: FeatureStore, videos: Sequence[str]) -> Scale:
    """Over all snippets of these videos; a dimension that does not vary is left as it is."""
    count, total, square = 0, 0.0, 0.0
    for video in videos:
        features = store.load(video, check=False)
        x = np.concatenate([stream.astype(np.float64) for stream in features.values()], 1)
        count, total, square = count + len(x), total + x.sum(0), square + (x * x).sum(0)
        for stream in features.values():
            release_pages(stream)
    mean = np.asarray(total) / count
    deviation = np.sqrt(np.maximum(np.asarray(square) / count - mean**2, 0))
    varies = deviation > 1e-6 * (np.abs(mean) + deviation.mean())
    return Scale(mean.astype(np.float32), np.where(varies, deviation, 1).astype(np.float32))


def recurring(store: FeatureStore, videos: Sequence[str], clusters: int, stretch: int, voters: int, seed: int) -> list[np.ndarray]:
    """The cluster of each stretch of each video, or -1 where it shows none of them: by video [m], 0..clusters - 1.

    Numbered by falling gain. Of many stretches the clusters are found on `EXACT`, drawn at random.

    Args:
        clusters: how many are kept. stretch: snippets in a stretch, about. voters: stretches of other videos that vote on each.
    """
    from sklearn.cluster import KMeans  # takes a second to import
    from sklearn.exceptions import ConvergenceWarning

    scale = scale_of(store, videos)
    rng = np.random.default_rng(seed)
    counts = [len(edges_of(store.timeline(video).count, stretch)) - 1 for video in videos]
    drawn = np.zeros(sum(counts), dtype=bool)
    drawn[rng.choice(len(drawn), min(EXACT, len(drawn)), replace=False)] = True
    of_video = np.split(drawn, np.cumsum(counts)[:-1])
    x = np.concatenate([scale.stretches(store.load(video, check=False), stretch)[rows] for video, rows in zip(videos, of_video)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct stretches than clusters: some stay empty
        found = KMeans(min(PER_ACTION * clusters, len(x)), n_init=5, random_state=seed).fit(x)
    whose = np.repeat(np.arange(len(videos)), [rows.sum() for rows in of_video])
    gain = gains(found.labels_, nearest(normalized(x), whose, voters), found.n_clusters)

    everywhere = [found.predict(scale.stretches(store.load(video, check=False), stretch)) for video in videos]
    holds = np.array([np.isin(np.arange(len(gain)), its) for its in everywhere])
    # Common ones only where the others are too few.
    order = np.lexsort((-gain, holds.mean(0) > COMMON))[:clusters]
    number = np.full(len(gain), -1)
    number[order] = np.arange(len(order))
    return [number[its] for its in everywhere]


def gains(cluster: np.ndarray, neighbour: np.ndarray, clusters: int) -> np.ndarray:
    """The gain of each cluster: cluster [M] of each stretch, neighbour [M, K] their voters (-1: none) -> [clusters]."""
    votes = (cluster[neighbour] == cluster[:, None]) & (neighbour >= 0)
    agreeing = votes.sum(1) / np.maximum((neighbour >= 0).sum(1), 1)
    size = np.maximum(np.bincount(cluster, minlength=clusters), 1)
    a = np.bincount(cluster, agreeing, clusters) / size
    return a * np.log(np.maximum(a, 1e-12) * len(cluster) / size)
