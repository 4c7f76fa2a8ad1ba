"""Which snippets of a video are used, when their number is fixed."""

import numpy as np


def uniform_sampling(length: int, count: int) -> np.ndarray:
    """`count` row indices spread evenly over `length` rows, rounded down; rows repeat where there are fewer (DGAM, STPN)."""
    return np.floor(np.arange(count) * length / count).astype(np.intp)


def stratified_sampling(length: int, count: int, rng: np.random.Generator | np.random.RandomState) -> np.ndarray:
    """One random row of each of `count` equal stretches, both ends included (DGAM's `random_perturb`).

    Index i is drawn from floor(i L / T) to floor((i + 1) L / T), so that neighbouring stretches may share a row.
    """
    edges = np.floor(np.arange(count + 1) * length / count).astype(np.intp)
    low, high = edges[:-1], np.minimum(edges[1:], length - 1)
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return np.asarray(draw(low, high + 1), dtype=np.intp)
