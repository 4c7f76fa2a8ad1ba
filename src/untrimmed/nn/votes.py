"""Cross-video votes: how surely do similar stretches of other videos say what a stretch shows? Ours.

Videos with one tag, or of one cluster, share an action and often its surroundings, too. A stretch is the action's where
its most similar stretches in *other* videos come from videos of the same tag; where they come from everywhere it is
background, however well a network may predict the tag from it.

    stretch     about 5 neighbouring snippets: their mean, L2-normalized per stream, the streams one after the other
    votes       the 15 most similar stretches of other videos vote for their video's clusters, each vote divided by the
                cluster's size; p is their sum, normalized
    sureness    s = max(0.02, 1 - H(p) / log C)
    descriptor  f = L2Norm(sum of s x stretch) per stream, one after the other: what the videos are clustered by

The voters do not depend on clusters: they are found once. TCAM's rounds alternate between `descriptors` and `sureness`;
from tags the votes say at once where a tag's action may be.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from untrimmed.data.store import FeatureStore
from untrimmed.nn.spectral import MOST_ESTIMATED, spectral_clustering

STRETCH = 5
"""Snippets in a stretch, about."""
VOTERS = 15
FLOOR = 0.02
"""The least sureness, so that a video without any sure stretch is still described."""
BLOCK = 2**25
"""Similarities that are held at once."""
EXACT = 30_000
"""So many stretches are compared with all others; more only in part."""
DIRECTIONS = 128
"""Numbers that are kept of a stretch where there are many."""
SAMPLE = 20_000
"""Stretches that the directions are found by."""
CELLS = 1.5
"""Cells for each square root of the number of stretches."""
SAMPLE_PER_CELL = 40
PROBES = 8
"""Cells that a stretch's voters are sought in."""


def edges_of(snippets: int, stretch: int = STRETCH) -> np.ndarray:
    """Where the stretches of a video begin, all about equal, and at last its number of snippets."""
    count = max(round(snippets / stretch), 1)
    return np.floor(np.arange(count + 1) * snippets / count).astype(np.intp)


def stretches_of(features: Mapping[str, np.ndarray], stretch: int = STRETCH) -> np.ndarray:
    """A video's stretches: {stream: [T, D]} -> float32 [m, sum of D], each stream's part of length one (or zero)."""
    parts = []
    for x in features.values():
        edges = edges_of(len(x), stretch)
        mean = np.add.reduceat(x.astype(np.float32), edges[:-1]) / np.diff(edges)[:, None].astype(np.float32)
        parts.append(normalized(mean))
    return np.concatenate(parts, 1)


def normalized(x: np.ndarray) -> np.ndarray:
    """Rows of length one; rows of zeros stay."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Votes:
    """The stretches of N videos, M in all and one video after the other, and who votes about them.

    snippets: [N], T of each video. neighbour: [M, K] the numbers of each stretch's voters, -1 where there are fewer.
    stretch: snippets in one, about.
    """

    snippets: np.ndarray
    neighbour: np.ndarray
    stretch: int = STRETCH

    @cached_property
    def edges(self) -> list[np.ndarray]:
        """`edges_of` each video."""
        return [edges_of(int(count), self.stretch) for count in self.snippets]

    @cached_property
    def first(self) -> np.ndarray:
        """[N + 1], where each video's stretches begin."""
        return np.cumsum([0, *(len(edges) - 1 for edges in self.edges)])

    @cached_property
    def video(self) -> np.ndarray:
        """[M], whose stretch it is."""
        return np.repeat(np.arange(len(self.snippets)), np.diff(self.first))

    def of(self, targets: np.ndarray) -> np.ndarray:
        """p, the normalized votes for each cluster or tag: targets [N, C] >= 0 of the videos -> float32 [M, C].

        A cluster's size is counted in stretches, so that voters drawn at random make all clusters alike. Where nobody
        votes, all are alike.
        """
        size = np.maximum(np.diff(self.first) @ targets, 1e-12)
        weight = (targets / size).astype(np.float32)
        p = np.zeros((len(self.neighbour), targets.shape[1]), dtype=np.float32)
        for voter in self.neighbour.T:
            p += np.where(voter[:, None] >= 0, weight[self.video[voter]], 0)
        total = p.sum(1, keepdims=True)
        return np.where(total > 0, p / np.maximum(total, 1e-30), np.float32(1 / targets.shape[1]))

    def snippetwise(self, values: np.ndarray) -> list[np.ndarray]:
        """What holds for the stretches, [M] or [M, C], for the snippets of each video: [T] or [T, C]."""
        return [
            np.repeat(values[first:last], np.diff(edges), axis=0)
            for first, last, edges in zip(self.first[:-1], self.first[1:], self.edges)
        ]


def sureness(p: np.ndarray, actions: int | None = None) -> np.ndarray:
    """s = max(0.02, 1 - H(p) / log C) of votes p [M, C] -> [M]; one where there is but one cluster.

    Args:
        actions: the columns after so many are votes of videos without action. Nothing is sure because of them:
            s = max(0.02, sum over the actions of p log(C p) / log C), which without them is the same.
    """
    return np.maximum(gain(p)[:, :actions].sum(1), FLOOR).astype(np.float32)


def gain(p: np.ndarray) -> np.ndarray:
    """p log(C p) / log C of votes p [M, C], whose sum over C is 1 - H(p) / log C; p itself where C is one."""
    p, classes = p.astype(np.float64), p.shape[1]
    return p * np.log(np.where(p > 0, classes * p, 1)) / np.log(classes) if classes > 1 else p


def guide_of(votes: Votes, targets: np.ndarray) -> list[np.ndarray]:
    """How sure the votes are of each snippet: targets [N, C] in {0, 1} -> per video s [T] in 0..1.

    Videos without a target vote for "nothing", and are themselves all zeros.
    """
    s = sureness(votes.of(with_empty(targets)), targets.shape[1])
    return votes.snippetwise(np.where(targets[votes.video].any(1), s, np.float32(0)))


def guide_of_tags(votes: Votes, labels: np.ndarray) -> list[np.ndarray]:
    """How sure the votes are of each of a video's tags: labels [N, C] in {0, 1} -> per video s_c [T, C] in 0..1.

    s_c = max(0, p_c log(C p_c) / log C): the part of `sureness` that a tag of the video's own has; zero for the others,
    and where a snippet looks like what other tags' videos show.
    """
    p = votes.of(with_empty(labels))
    s = np.where(labels[votes.video] > 0, np.maximum(gain(p)[:, : labels.shape[1]], 0), 0)
    return votes.snippetwise(s.astype(np.float32))


def with_empty(targets: np.ndarray) -> np.ndarray:
    """[N, C], with a further column for the videos that surely hold nothing, where there are such."""
    empty = targets.sum(1, keepdims=True) == 0
    return np.concatenate([targets, empty], 1) if empty.any() else targets


def descriptors(store: FeatureStore, videos: Sequence[str], s: np.ndarray | None = None, stretch: int = STRETCH) -> np.ndarray:
    """f of each video: [N, sum of D] float32; s: [M] of all stretches, None: all alike."""
    f, first = [], 0
    for video in videos:
        features = store.load(video, check=False)
        rows = stretches_of(features, stretch)
        weight = np.ones(len(rows), dtype=np.float32) if s is None else s[first : first + len(rows)]
        first += len(rows)
        summed = np.split(weight @ rows, np.cumsum([x.shape[1] for x in features.values()])[:-1])
        f.append(np.concatenate([normalized(part) for part in summed]))
    return np.stack(f)


# How many clusters -----------------------------------------------------------------------------------------------------------


def modularity(votes: Votes, cluster: np.ndarray) -> float:
    """Share of the votes that stay within a cluster, less what it would be if votes were cast at random: cluster [N] -> -1..1.

    That of Newman and Girvan (Finding and Evaluating Community Structure in Networks, Physical Review E 2004).
    """
    size = int(cluster.max()) + 1
    of_stretch = cluster[votes.video]
    stretch, place = np.nonzero(votes.neighbour >= 0)
    table = np.zeros((size, size))
    np.add.at(table, (of_stretch[stretch], of_stretch[votes.neighbour[stretch, place]]), 1)
    table /= max(table.sum(), 1)
    return float(np.trace(table) - table.sum(0) @ table.sum(1))


def score_numbers(votes: Votes, f: np.ndarray, most: int = MOST_ESTIMATED, seed: int = 0) -> dict[int, float]:
    """The modularity of every number of clusters from two to `most` (half the videos at most), by descriptors f [N, D].

    It falls where a cluster holds videos that do not vote for each other, and where videos that do are split.
    """
    return {number: modularity(votes, spectral_clustering(f, number, seed=seed)) for number in range(2, min(most, len(f) // 2) + 1)}


# Who votes -------------------------------------------------------------------------------------------------------------------


def find_votes(
    store: FeatureStore, videos: Sequence[str], stretch: int = STRETCH, voters: int = VOTERS, exact: int = EXACT
) -> Votes:
    """The votes of these videos' stretches about each other.

    Args:
        exact: up to so many stretches all pairs are looked at. Of more only `DIRECTIONS` of a stretch are held, and its voters
            sought in the nearest cells; see `nearest_of_cells`.
    """
    snippets = np.array([len(next(iter(store.load(video, check=False).values()))) for video in videos])
    counts = [len(edges_of(int(count), stretch)) - 1 for count in snippets]
    few = sum(counts) <= exact
    base = None if few else main_directions(store, videos, stretch)
    x = np.empty((sum(counts), sum(store.streams.values()) if base is None else base.shape[1]), dtype=np.float32)
    for video, first, count in zip(videos, np.cumsum([0, *counts]), counts):
        rows = stretches_of(store.load(video, check=False), stretch)
        x[first : first + count] = rows if base is None else rows @ base
    whose = np.repeat(np.arange(len(counts)), counts)
    return Votes(snippets, nearest(x, whose, voters) if few else nearest_of_cells(x, whose, voters), stretch)


def nearest(x: np.ndarray, video: np.ndarray, voters: int) -> np.ndarray:
    """Of each row of x [M, D], the `voters` with the largest inner product among the rows of other videos: int32 [M, voters].

    video: [M], rising. Where there are fewer, the rest is -1.
    """
    step = max(BLOCK // len(x), 1)
    blocks = [slice(begin, begin + step) for begin in range(0, len(x), step)]
    return np.concatenate([_nearest_among(x[rows], video[rows], x, video, voters) for rows in blocks])


def _nearest_among(x: np.ndarray, video: np.ndarray, others: np.ndarray, of_video: np.ndarray, voters: int) -> np.ndarray:
    """`nearest` of x among others [L, D], of the videos of_video [L], rising."""
    similar = x @ others.T
    first, last = (np.searchsorted(of_video, video, side) for side in ("left", "right"))
    count = last - first
    column = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
    similar[np.repeat(np.arange(len(x)), count), column] = -np.inf
    nearest_rows = np.full((len(x), voters), -1, dtype=np.int32)
    value, best = torch.from_numpy(similar).topk(min(voters, len(others)), sorted=False)  # NumPy's are much slower
    nearest_rows[:, : best.shape[1]] = np.where(np.isfinite(value.numpy()), best.numpy(), -1)
    return nearest_rows


def main_directions(store: FeatureStore, videos: Sequence[str], stretch: int = STRETCH) -> np.ndarray:
    """The `DIRECTIONS` that keep most of the inner products of stretches, of a sample of the videos: [sum of D, DIRECTIONS]."""
    square, seen = 0.0, 0
    for number in np.random.default_rng(0).permutation(len(videos)):
        rows = stretches_of(store.load(videos[number], check=False), stretch)
        square, seen = square + rows.T @ rows, seen + len(rows)
        if seen >= SAMPLE:
            break
    return np.ascontiguousarray(np.linalg.eigh(square)[1][:, ::-1][:, :DIRECTIONS])


def nearest_of_cells(x: np.ndarray, video: np.ndarray, voters: int, probes: int = PROBES) -> np.ndarray:
    """Nearly what `nearest` finds, in time that grows with M^1.5: each row looks at those in the `probes` cells nearest to its own.

    The cells are those of a k-means of a sample, sqrt(M) or so of them (the inverted file of Jégou et al., Product Quantization
    for Nearest Neighbor Search, PAMI 2011). Libraries have such an index, but not one that leaves out a row's own video.
    """
    from sklearn.cluster import KMeans  # takes a second to import
    from sklearn.exceptions import ConvergenceWarning

    rng = np.random.default_rng(0)
    cells = min(max(round(CELLS * len(x) ** 0.5), 1), len(x))
    sample = x[np.sort(rng.choice(len(x), min(len(x), SAMPLE_PER_CELL * cells), replace=False))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct stretches than cells: some stay empty
        centre = KMeans(cells, init="random", n_init=1, max_iter=10, random_state=0).fit(sample).cluster_centers_
    half = 0.5 * (centre * centre).sum(1)
    step = max(BLOCK // cells, 1)
    cell = np.concatenate([(x[b : b + step] @ centre.T - half).argmax(1) for b in range(0, len(x), step)])
    order = np.argsort(cell, kind="stable")  # within a cell the rows still rise
    begin = np.searchsorted(cell[order], np.arange(cells + 1))
    members = [order[first:last] for first, last in zip(begin, begin[1:])]
    near = np.argsort(half - centre @ centre.T, axis=1)[:, :probes]
    nearest_rows = np.full((len(x), voters), -1, dtype=np.int32)
    for number, rows in enumerate(members):
        if not len(rows):
            continue
        among = np.sort(np.concatenate([members[other] for other in near[number]]))
        others, of_video = x[among], video[among]
        step = max(BLOCK // len(among), 1)
        for block in (rows[b : b + step] for b in range(0, len(rows), step)):
            best = _nearest_among(x[block], video[block], others, of_video, voters)
            nearest_rows[block] = np.where(best >= 0, among[best], -1)
    return nearest_rows
