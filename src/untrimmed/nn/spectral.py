"""Spectral clustering of descriptors on the Gaussian graph of the slides, exact for few and by landmarks for many; no torch.

    w_ij = exp(-|f_i - f_j|^2 / (2 sigma^2)),    sigma = (1 / N^2) sum_ij |f_i - f_j|        (TCAM, slide "Clustering")

The graph is dense and its spectrum flat: N^2 numbers for N videos. For many videos the Nyström method (Fowlkes et al., Spectral
Grouping Using the Nyström Method, PAMI 2004) looks at the similarities to some landmarks only, N x 2,000 numbers.
"""

import warnings
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

EXACT = 3000
"""So many descriptors are clustered exactly; more by landmarks."""
LANDMARKS = 2000
PAIRS = 1_000_000
"""Pairs that sigma is estimated from where there are more than EXACT descriptors."""
ROWS = 8192
"""Descriptors handled at once where there are many."""
NEIGHBOURS = 10
MOST_ESTIMATED = 30
"""The largest number of clusters that is tried where none is given."""


def distances(f: np.ndarray) -> np.ndarray:
    """|f_i - f_j| of all pairs: [N, D] -> float64 [N, N]; the diagonal is exactly zero."""
    f = np.asarray(f, dtype=np.float64)
    norm = (f * f).sum(1)
    square = norm[:, None] + norm[None] - 2 * (f @ f.T)
    np.fill_diagonal(square, 0.0)
    return np.sqrt(np.maximum(square, 0.0))


def sampled_sigma(f: np.ndarray, rng: np.random.Generator, pairs: int = PAIRS) -> float:
    """The mean distance over `pairs` random pairs (i, j), i = j among them as often as the mean over all N^2 has it."""
    total = 0.0
    for begin in range(0, pairs, ROWS):
        i, j = rng.integers(len(f), size=(2, min(ROWS, pairs - begin)))
        difference = f[i] - f[j]
        total += float(np.sqrt(np.einsum("nd,nd->n", difference, difference)).sum(dtype=np.float64))
    return total / pairs


def affinity(distance: np.ndarray, sigma: float) -> np.ndarray:
    """w = exp(-d^2 / (2 sigma^2)); where all descriptors are equal (sigma = 0) every similarity is one."""
    return np.exp(-0.5 * np.square(distance / sigma)) if sigma > 0 else np.ones_like(distance)


def spectral_clustering(
    f: np.ndarray,
    clusters: int,
    *,
    seed: int = 0,
    graph: Literal["gaussian", "neighbours"] = "gaussian",
    exact: int = EXACT,
    landmarks: int = LANDMARKS,
) -> np.ndarray:
    """Group N descriptors into clusters: [N, D] -> labels [N] in 0 .. clusters - 1 (some may stay empty).

    Args:
        graph: "gaussian" is the slides'. "neighbours" links each descriptor to its ten nearest, which is another algorithm.
        exact: up to so many descriptors the Gaussian graph is built whole, and scikit-learn's SpectralClustering used as the
            released code does; more are clustered by `landmarks`.
    """
    from sklearn.cluster import KMeans, SpectralClustering  # takes a second to import
    from sklearn.exceptions import ConvergenceWarning

    clusters = min(clusters, len(f))
    if clusters == len(f):
        return np.arange(len(f))
    if clusters == 1:
        return np.zeros(len(f), dtype=np.intp)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct descriptors than clusters: some stay empty
        if graph == "neighbours":
            warnings.simplefilter("ignore", UserWarning)  # a graph in several parts
            near = min(NEIGHBOURS, len(f) - 1)
            return SpectralClustering(clusters, affinity="nearest_neighbors", n_neighbors=near, random_state=seed).fit_predict(f)
        if len(f) <= exact:
            distance = distances(f)
            weights = affinity(distance, distance.mean())
            return SpectralClustering(clusters, affinity="precomputed", random_state=seed).fit_predict(weights)
        embedded = nystrom_embedding(f, clusters, np.random.default_rng(seed), landmarks)
        return KMeans(clusters, n_init=10, random_state=seed).fit_predict(embedded)


def nystrom_embedding(
    f: np.ndarray, size: int, rng: np.random.Generator, landmarks: int = LANDMARKS, pairs: int = PAIRS
) -> np.ndarray:
    """The first `size` eigenvectors of the random walk on the Gaussian graph, by landmarks: [N, D] -> [N, size].

    With C the similarities to the landmarks and L L^T the pseudo-inverse of those among the landmarks, W is about C L (C L)^T;
    its normalized eigenvectors are those of the small matrix (C L)^T D^-1 (C L). Peak memory is that of C, N x landmarks float32.
    """
    f = np.ascontiguousarray(f, dtype=np.float32)
    sigma = sampled_sigma(f, rng, pairs)
    chosen = np.sort(rng.choice(len(f), min(landmarks, len(f)), replace=False))
    among = affinity(distances(f[chosen]), sigma)
    value, vector = np.linalg.eigh(among)
    stays = value > 1e-6 * value[-1]
    root = vector[:, stays] / np.sqrt(value[stays])  # L

    marks, norm = f[chosen], np.einsum("nd,nd->n", f, f)
    similar = np.empty((len(f), len(chosen)), dtype=np.float32)  # C
    for begin in range(0, len(f), ROWS):
        rows = slice(begin, begin + ROWS)
        square = norm[rows, None] + norm[None, chosen] - 2 * (f[rows] @ marks.T)
        similar[rows] = affinity(np.sqrt(np.maximum(square, 0, out=square), out=square), sigma)
    total = similar.sum(0, dtype=np.float64)
    degree = np.maximum(similar @ (root @ (root.T @ total)).astype(np.float32), 1e-3).astype(np.float64)

    gram = np.zeros((len(chosen), len(chosen)))
    for begin in range(0, len(f), ROWS):
        scaled = similar[begin : begin + ROWS] / np.sqrt(degree[begin : begin + ROWS, None]).astype(np.float32)
        gram += scaled.T @ scaled
    value, vector = np.linalg.eigh(root.T @ gram @ root)
    first = np.argsort(-value)[:size]
    project = (root @ vector[:, first] / np.sqrt(np.maximum(value[first], 1e-12))).astype(np.float32)
    # As scikit-learn does: eigenvectors of the normalized Laplacian, divided by the square root of the degree.
    return (similar @ project) / degree[:, None]


def align(labels: np.ndarray, before: np.ndarray, clusters: int) -> np.ndarray:
    """Rename the clusters so that as many members as possible keep the cluster number they had before (Hungarian method)."""
    shared = np.zeros((clusters, clusters), dtype=np.intp)
    np.add.at(shared, (labels, before), 1)
    now, then = linear_sum_assignment(-shared)
    rename = np.empty(clusters, dtype=np.intp)
    rename[now] = then
    return rename[labels]


def estimate_clusters(f: np.ndarray, seed: int = 0, most: int = MOST_ESTIMATED) -> int:
    """A number of clusters from the descriptors alone: that of 2 to `most` with the best mean silhouette.

    The silhouette (Rousseeuw 1987) compares each descriptor's distance to its own cluster with that to the next. Of more than
    EXACT descriptors a random EXACT of them are looked at.
    """
    from sklearn.cluster import SpectralClustering  # takes a second to import
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import silhouette_score

    if len(f) < 4:
        return 1
    if len(f) > EXACT:
        f = f[np.random.default_rng(seed).choice(len(f), EXACT, replace=False)]
    distance = distances(f)
    if distance.mean() <= 1e-6 * np.abs(f).max():
        return 1  # all alike, but for rounding
    weights = affinity(distance, distance.mean())
    best, number = -np.inf, 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for clusters in range(2, min(most, len(f) // 2) + 1):
            labels = SpectralClustering(clusters, affinity="precomputed", random_state=seed).fit_predict(weights)
            if 1 < len(np.unique(labels)) < len(f):
                score = silhouette_score(distance, labels, metric="precomputed")
                if score > best:
                    best, number = score, clusters
    return number
