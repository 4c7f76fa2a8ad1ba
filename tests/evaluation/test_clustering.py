"""Agreement of clusters with labels against slow versions, scikit-learn and stored figures; what clusters are taken for."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from untrimmed.data.types import Detection
from untrimmed.evaluation.clustering import (
    changed_share,
    evaluate_clusters,
    first_label,
    map_clusters,
    map_detections,
    map_scores,
    shared_labels,
)

quick = settings(deadline=None, derandomize=True, max_examples=80)
pairs = st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcd")), min_size=1, max_size=25)
several = st.lists(
    st.tuples(st.sampled_from("xyz"), st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)), min_size=1, max_size=7
)


def slow_purity(clusters, labels) -> float:
    own = {c: Counter(label for k, label in zip(clusters, labels, strict=True) if k == c) for c in set(clusters)}
    return sum(max(counts.values()) for counts in own.values()) / len(clusters)


@quick
@given(pairs)
def test_with_one_label_a_video_they_are_scikit_learns(case):
    clusters, labels = zip(*case, strict=True)
    for weights in (first_label([[label] for label in labels]), shared_labels([[label] for label in labels])):
        found = evaluate_clusters(clusters, weights)
        assert found.purity == pytest.approx(slow_purity(clusters, labels), abs=1e-12)
        assert found.ari == pytest.approx(adjusted_rand_score(labels, clusters), abs=1e-9)
        assert found.nmi == pytest.approx(normalized_mutual_info_score(labels, clusters), abs=1e-9)


@quick
@given(several)
def test_with_several_labels_they_follow_from_all_draws_of_one_label_a_video(case):
    clusters, labels = zip(*case, strict=True)
    found = evaluate_clusters(clusters, shared_labels(labels))
    # Every way in which each video may draw one of its labels, each as likely as the product of 1/k.
    draws = list(itertools.product(*labels))  # all equally likely: a video's labels are

    def pairs_that_share(draw, same_cluster):
        return sum(
            draw[i] == draw[j] and (clusters[i] == clusters[j] or not same_cluster)
            for i, j in itertools.combinations(range(len(draw)), 2)
        )

    together = np.mean([pairs_that_share(draw, True) for draw in draws])
    same_label = np.mean([pairs_that_share(draw, False) for draw in draws])
    same_cluster = sum(a == b for a, b in itertools.combinations(clusters, 2))
    count = len(clusters) * (len(clusters) - 1) / 2
    by_chance = same_label * same_cluster / count if count else 0.0
    most = (same_label + same_cluster) / 2
    if abs(most - by_chance) > 1e-12:
        assert found.ari == pytest.approx((together - by_chance) / (most - by_chance), abs=1e-9)

    table = {(k, c): 0.0 for k in "xyz" for c in "abc"}
    for draw in draws:
        for cell in zip(clusters, draw, strict=True):
            table[cell] += 1 / len(draws)
    assert found.purity == pytest.approx(sum(max(table[k, c] for c in "abc") for k in "xyz") / len(clusters), abs=1e-9)
    p = {cell: value / len(clusters) for cell, value in table.items()}
    rows = {k: sum(p[k, c] for c in "abc") for k in "xyz"}
    columns = {c: sum(p[k, c] for k in "xyz") for c in "abc"}
    shared = sum(value * np.log(value / rows[k] / columns[c]) for (k, c), value in p.items() if value > 0)
    entropy = [-sum(v * np.log(v) for v in side.values() if v > 0) for side in (rows, columns)]
    if sum(entropy) > 1e-9:
        assert found.nmi == pytest.approx(2 * shared / sum(entropy), abs=1e-9)


def test_first_label_is_the_first_given():
    assert first_label([["b", "a"], ["a", "b"]]).tolist() == [[0, 1], [1, 0]]
    assert shared_labels([["b", "a"], ["a"]]).tolist() == [[0.5, 0.5], [1, 0]]


def test_agrees_with_the_stored_figures(golden):
    data, expected = np.load(golden / "spectral.npz"), json.loads((golden / "spectral.json").read_text())
    cases = [
        (name, data[f"{world}_y"], data[f"{world}_labels_{how}"])
        for name in expected
        for world, _, how in [name.partition("_")]
        if f"{world}_labels_{how}" in data
    ]
    cases.append(("metric_case", data["metric_y"], data["metric_l"]))
    assert len(cases) >= 7
    for name, truth, clusters in cases:
        found = evaluate_clusters([str(c) for c in clusters], first_label([[str(y)] for y in truth]))
        stored = expected[name]
        assert found.purity == pytest.approx(stored["purity"], abs=1e-12), name
        assert found.ari == pytest.approx(stored["ari"], abs=1e-12), name
        assert found.nmi == pytest.approx(stored["nmi_arithmetic"], abs=1e-9), name


CLUSTERS = {"1": "x", "2": "x", "3": "x", "4": "y", "5": "y", "6": "z", "unknown": "z"}
LABELS = {"1": ("run",), "2": ("run", "jump"), "3": ("dig",), "4": ("run",), "5": ("run",), "elsewhere": ("dig",), "6": ()}


def test_mappings_count_the_labels_of_the_clusters_videos():
    # x: run 1.5, dig 1, jump 0.5; y: run 2; z: nothing.
    assert map_clusters(CLUSTERS, LABELS, "majority") == {"x": {"run": 1.0}, "y": {"run": 1.0}, "z": {}}
    assert map_clusters(CLUSTERS, LABELS, "soft") == {"x": {"run": 1.0, "dig": 0.5}, "y": {"run": 1.0}, "z": {}}
    # y takes run (2), so x takes dig: 3 in all, and run for x with nothing for y only 1.5.
    assert map_clusters(CLUSTERS, LABELS, "hungarian") == {"x": {"dig": 1.0}, "y": {"run": 1.0}, "z": {}}


@quick
@given(several, st.randoms(use_true_random=False))
def test_mappings_by_slow_versions(case, random):
    clusters = {f"v{i}": cluster for i, (cluster, _) in enumerate(case)}
    labels = {f"v{i}": own for i, (_, own) in enumerate(case)}
    counts = {k: dict.fromkeys("abc", 0.0) for k in set(clusters.values())}
    for video, cluster in clusters.items():
        for label in labels[video]:
            counts[cluster][label] += 1 / len(labels[video])
    soft = map_clusters(clusters, labels, "soft")
    for k, row in counts.items():
        most = max(row.values())
        assert soft[k] == {c: 1.0 if n > most - 1e-9 else 0.5 for c, n in row.items() if n > most / 2 - 1e-9}
        assert map_clusters(clusters, labels, "majority")[k] == {min(c for c, n in row.items() if n > most - 1e-9): 1.0}
    paired = map_clusters(clusters, labels, "hungarian")
    taken = [c for own in paired.values() for c in own]
    assert len(taken) == len(set(taken))
    total = sum(counts[k][c] for k, own in paired.items() for c in own)
    names = sorted(counts)
    best = max(
        sum(counts[k][c] for k, c in zip(names, order, strict=False) if c is not None)
        for order in itertools.permutations([*"abc", *[None] * len(names)], len(names))
    )
    assert total == pytest.approx(best)
    shuffled = list(clusters.items())
    random.shuffle(shuffled)
    assert map_clusters(dict(shuffled), labels, "soft") == soft


def test_detections_and_scores_are_told_by_class():
    mapping = {"x": {"run": 1.0, "dig": 0.5}, "y": {"run": 1.0}, "z": {}}
    results = {
        "v": [Detection(0, 1, "x", 0.8), Detection(2, 3, "z", 0.9), Detection(4, 5, "x", -0.2), Detection(6, 7, "swim", 0.1)],
        "w": [],
    }
    assert map_detections(results, mapping) == {
        "v": [
            Detection(0, 1, "run", 0.8),
            Detection(0, 1, "dig", 0.4),
            Detection(4, 5, "run", -0.2),
            Detection(4, 5, "dig", -0.4),  # surer than "run" if it were halved
            Detection(6, 7, "swim", 0.1),
        ],
        "w": [],
    }
    scores, classes = map_scores(np.array([[0.8, 0.1, 0.7], [0.2, 0.5, 0.9]]), ("x", "y", "z"), mapping)
    assert classes == ("dig", "run")
    assert scores.tolist() == [[0.4, 0.8], [0.1, 0.5]]


@quick
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abc")), min_size=1, max_size=12))
def test_changed_share_is_the_least_of_all_ways_to_rename(case):
    before = {f"v{i}": a for i, (a, _) in enumerate(case)}
    after = {f"v{i}": b for i, (_, b) in enumerate(case)}
    least = min(
        sum(dict(zip("xyz", names, strict=True))[before[v]] != after[v] for v in after) / len(after)
        for names in itertools.permutations("abc")
    )
    assert changed_share(before, after) == pytest.approx(least)
    assert changed_share(after, after) == 0
    assert changed_share(before, after | {"new": "a"}) >= least * len(after) / (len(after) + 1)
