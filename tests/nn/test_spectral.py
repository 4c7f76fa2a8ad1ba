"""Spectral clustering where the golden descriptors (tests/golden/test_spectral.py) do not lead: odd descriptors, odd numbers."""

import numpy as np
import pytest

from untrimmed.nn.spectral import align, estimate_clusters, spectral_clustering


def groups(*sizes):
    """Descriptors of so many groups that stand well apart, and the group of each."""
    rng = np.random.default_rng(0)
    centres = 5 * np.eye(len(sizes), 8)
    f = np.concatenate([centre + 0.1 * rng.normal(size=(size, 8)) for centre, size in zip(centres, sizes)])
    return f.astype(np.float32), np.repeat(np.arange(len(sizes)), sizes)


def test_descriptors_that_are_all_alike_are_one_group():
    row = np.random.default_rng(0).normal(size=40).astype(np.float32)
    assert estimate_clusters(np.tile(row / np.linalg.norm(row), (12, 1))) == 1


@pytest.mark.parametrize("sizes", [(6, 6), (9, 4, 5), (5, 6, 7, 8)])
def test_the_number_of_groups_is_found_where_they_stand_apart(sizes):
    assert estimate_clusters(groups(*sizes)[0]) == len(sizes)


@pytest.mark.parametrize("exact", [2, 3000], ids=["landmarks", "exact"])
@pytest.mark.parametrize("graph", ["gaussian", "neighbours"])
def test_any_number_of_clusters_is_given(exact, graph):
    f, _ = groups(6, 6)
    for clusters in (1, 2, 5, 12, 20):
        labels = spectral_clustering(f, clusters, graph=graph, exact=exact)
        assert labels.shape == (12,)
        assert ((labels >= 0) & (labels < min(clusters, 12))).all()


def test_names_stay_with_the_clusters():
    _, before = groups(5, 6, 7)
    renamed = (before + 1) % 3
    renamed[0] = 2  # one of the first group has changed to another cluster
    np.testing.assert_array_equal(np.flatnonzero(align(renamed, before, 3) != before), [0])
