"""Spectral clustering on the golden descriptors: the graph, its spectrum, and the groups."""

import json

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from untrimmed.nn.spectral import affinity, distances, nystrom_embedding, sampled_sigma, spectral_clustering


def cases(golden):
    """name -> its arrays, for every set of descriptors in the file."""
    arrays = np.load(golden / "spectral.npz")
    names = [key.removesuffix("_F") for key in arrays if key.endswith("_F")]
    assert names
    return {name: {key.removeprefix(f"{name}_"): arrays[key] for key in arrays if key.startswith(f"{name}_")} for name in names}


def test_the_graph_and_its_spectrum(golden):
    for name, case in cases(golden).items():
        distance = distances(case["F"])
        sigma = distance.mean()
        np.testing.assert_allclose(sigma, case["sigma"], rtol=1e-10, err_msg=name)
        weights = affinity(distance, sigma)
        np.testing.assert_allclose(weights[0], case["W_row0"], rtol=1e-9, err_msg=name)
        root = np.sqrt(weights.sum(1))
        values = np.linalg.eigvalsh(np.eye(len(weights)) - weights / root[:, None] / root[None])
        expected = case["normlap_eigvals"]
        np.testing.assert_allclose(values[: len(expected)], expected, atol=1e-9, err_msg=name)


def test_sampled_pairs_give_the_same_sigma(golden):
    for name, case in cases(golden).items():
        found = sampled_sigma(case["F"], np.random.default_rng(0), 200_000)
        assert found == pytest.approx(float(case["sigma"]), rel=0.01), name


def test_exact_groups(golden):
    """Labels compare only up to a permutation; where the groups are blurred, not even two seeds agree."""
    told = json.loads((golden / "spectral.json").read_text())
    for name, case in cases(golden).items():
        clusters = len(np.unique(case["y"]))
        labels = spectral_clustering(case["F"], clusters)
        least = min(told[f"{name}_kmeans_seed_spread"]["ari_to_seed0"])
        assert adjusted_rand_score(case["labels_kmeans"], labels) >= min(least, 0.999), name


@pytest.mark.parametrize("share", [1.0, 0.5], ids=["every", "half"])
def test_landmarks_find_the_groups_of_the_exact_graph(golden, share):
    """Clear groups exactly; blurred ones, with every descriptor a landmark, as nearly as those of another seed are."""
    told = json.loads((golden / "spectral.json").read_text())
    for name, case in cases(golden).items():
        f, clusters = case["F"], len(np.unique(case["y"]))
        landmarks = round(share * len(f))
        by_marks = [spectral_clustering(f, clusters, seed=seed, exact=2, landmarks=landmarks) for seed in range(5)]
        to_exact = [adjusted_rand_score(case["labels_kmeans"], labels) for labels in by_marks]
        to_truth = [adjusted_rand_score(case["y"], labels) for labels in by_marks]
        spread = told[f"{name}_kmeans_seed_spread"]
        if min(spread["ari_to_seed0"]) > 0.99:  # the exact method knows no doubt here
            assert min(to_exact) >= 0.95, name
        elif share == 1.0:
            assert np.mean(to_exact) >= min(spread["ari_to_seed0"]), name
            assert np.mean(to_truth) >= min(spread["ari_to_truth"]), name


def test_with_every_descriptor_a_landmark_the_eigenvectors_are_the_exact_ones(golden):
    for name, case in cases(golden).items():
        f = case["F"].astype(np.float32)
        distance = distances(f)
        weights = affinity(distance, distance.mean())
        degree = weights.sum(1)
        values, vectors = np.linalg.eigh(weights / np.sqrt(degree[:, None] * degree[None]))
        clusters = len(np.unique(case["y"]))
        found = nystrom_embedding(f, clusters, np.random.default_rng(0), landmarks=len(f)) * np.sqrt(degree)[:, None]
        clear = clusters if values[-clusters] - values[-clusters - 1] > 0.01 else 2
        exact = vectors[:, ::-1][:, :clear]
        found = found[:, :clear] / np.linalg.norm(found[:, :clear], axis=0)
        # The same space, whatever its basis.
        overlap = np.linalg.svd(exact.T @ found, compute_uv=False)
        assert overlap.min() > 0.98, (name, overlap)
