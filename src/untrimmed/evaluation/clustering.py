"""How well groups of videos agree with their labels, and which class each group stands for.

Purity is the share of videos whose cluster's commonest label is theirs. ARI is Hubert and Arabie's adjusted Rand index (1985), NMI
the mutual information over the arithmetic mean of the two entropies (scikit-learn's default, and TCAM's).

All work on a table of weights [videos, labels] whose rows sum to one. With one label a video it holds a single 1 in each row and
the figures are the usual ones. A video with k labels can enter in two ways:
- by its first label alone (`first_label`), as the released code of TCAM counts, or
- with 1/k each (`shared_labels`). Purity and NMI then follow from the table of sums; for ARI the numbers of pairs that share a
  label are the expected ones when every video draws one of its labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from untrimmed.data.types import Results

Mapped = dict[str, dict[str, float]]
"""For each cluster the classes it stands for, each with the weight its scores are multiplied by."""

How = Literal["majority", "soft", "hungarian"]
MAPPINGS: tuple[How, ...] = ("majority", "soft", "hungarian")
SOFT_SHARE, SOFT_WEIGHT = 0.5, 0.5
"""A class seen at least this share of the commonest one's times in a cluster gets this weight (TCAM, released code)."""


@dataclass(frozen=True)
class ClusterScores:
    """Agreement of clusters with labels; all in 0..1, but ARI, which is about 0 for chance and may be below."""

    purity: float
    ari: float
    nmi: float


def first_label(labels: Sequence[Sequence[str]]) -> np.ndarray:
    """[N, L] with a single 1 in each row: the first of each video's labels. Columns are the labels, sorted."""
    return shared_labels([of_video[:1] for of_video in labels])


def shared_labels(labels: Sequence[Sequence[str]]) -> np.ndarray:
    """[N, L] with 1/k for each of a video's k labels. Columns are the labels, sorted."""
    column = {label: c for c, label in enumerate(sorted({label for of_video in labels for label in of_video}))}
    weights = np.zeros((len(labels), len(column)))
    for row, of_video in zip(weights, labels, strict=True):
        for label in of_video:
            row[column[label]] += 1 / len(of_video)
    return weights


def evaluate_clusters(clusters: Sequence[str], weights: np.ndarray) -> ClusterScores:
    """Purity, ARI and NMI.

    Args:
        clusters: [N] the cluster of each video.
        weights: [N, L] how much of each video belongs to each label; rows sum to one.
    """
    names, number = np.unique(np.asarray(clusters), return_inverse=True)
    table, squares = np.zeros((2, len(names), weights.shape[1]))
    np.add.at(table, number, weights)
    np.add.at(squares, number, weights**2)
    count = len(number)
    return ClusterScores(
        float(table.max(axis=1).sum() / count),
        _adjusted_rand_index(table, squares, np.bincount(number)),
        _mutual_information(table / count),
    )


def changed_share(before: Mapping[str, str], after: Mapping[str, str]) -> float:
    """Share of the videos that changed cluster, under the pairing of clusters before and after that leaves the most in place.

    What the clusters are called does not matter. Videos that were not clustered before have changed.
    """
    old, new = sorted(set(before.values())), sorted(set(after.values()))
    stayed = np.zeros((len(old), len(new)))
    for video in before.keys() & after.keys():
        stayed[old.index(before[video]), new.index(after[video])] += 1
    return float(1 - stayed[_assignment(-stayed)].sum() / len(after))


def _adjusted_rand_index(table: np.ndarray, squares: np.ndarray, sizes: np.ndarray) -> float:
    """ARI from sums of weights [K, L] and sums of their squares, which leave out the pairs of a video with itself."""
    together = ((table**2 - squares) / 2).sum()
    same_cluster = (sizes * (sizes - 1) / 2).sum()
    same_label = ((table.sum(axis=0) ** 2 - squares.sum(axis=0)) / 2).sum()
    pairs = sizes.sum() * (sizes.sum() - 1) / 2
    by_chance = same_cluster * same_label / pairs if pairs else 0.0
    most = (same_cluster + same_label) / 2
    return float((together - by_chance) / (most - by_chance)) if most != by_chance else 1.0


def _mutual_information(joint: np.ndarray) -> float:
    """Mutual information over the arithmetic mean of the entropies, of a joint distribution [K, L]; 1 where both are zero."""
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    entropy = (_entropy(rows) + _entropy(columns)) / 2
    shared = _entropy(rows) + _entropy(columns) - _entropy(joint.ravel())
    return float(np.clip(shared / entropy, 0.0, 1.0)) if entropy > 1e-12 else 1.0


def _entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _assignment(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that cost the least together, each once."""
    from scipy.optimize import linear_sum_assignment  # takes half a second to import

    return linear_sum_assignment(costs)


def map_clusters(clusters: Mapping[str, str | Sequence[str]], labels: Mapping[str, Sequence[str]], how: How) -> Mapped:
    """Which classes each cluster stands for, by how often its videos show them; a video with k labels counts 1/k for each.

    majority:  the commonest class of the cluster (of equals the first by name).
    soft:      the commonest class (all, if equals) with weight 1; classes at least half as common with weight 0.5 (TCAM's code).
    hungarian: one class a cluster and one cluster a class, so that the counts add up to the most; a pair that no video shares
               is none.

    Args:
        clusters: the cluster of each video, or all that it holds.
        labels: the labels of each video; videos outside `clusters`, or without a label, say nothing.

    Returns:
        An entry for each cluster, `{}` where nothing says what it stands for.
    """
    held = {video: (its,) if isinstance(its, str) else its for video, its in clusters.items()}
    names = sorted({name for its in held.values() for name in its})
    known = [video for video in clusters if labels.get(video)]
    classes = sorted({label for video in known for label in labels[video]})
    counts = np.zeros((len(names), len(classes)))
    for video in known:
        for name in held[video]:
            for label in labels[video]:
                counts[names.index(name), classes.index(label)] += 1 / len(labels[video])
    counts = counts.round(9)  # thirds do not add up exactly, and the order of the videos shall not break ties
    mapping: Mapped = {name: {} for name in names}
    if how == "hungarian":
        for k, c in zip(*_assignment(-counts), strict=True):
            if counts[k, c] > 0:
                mapping[names[k]] = {classes[c]: 1.0}
        return mapping
    for name, row in zip(names, counts, strict=True):
        if not row.any():
            continue
        if how == "majority":
            mapping[name] = {classes[int(row.argmax())]: 1.0}
            continue
        most = row.max()
        mapping[name] = {
            label: 1.0 if count == most else SOFT_WEIGHT
            for label, count in zip(classes, row, strict=True)
            if count >= SOFT_SHARE * most - 1e-9
        }
    return mapping


def map_detections(results: Results, mapping: Mapped) -> Results:
    """Detections under the classes that their clusters stand for, once for each, the score times its weight.

    A score below zero is divided by the weight instead, so that standing less for a class never makes a detection surer.

    Labels that are no cluster of the mapping stay as they are; detections of a cluster that stands for nothing go.
    """
    return {
        video: [
            d._replace(label=label, score=d.score * weight if d.score > 0 else d.score / weight)
            for d in detections
            for label, weight in mapping.get(d.label, {d.label: 1.0}).items()
        ]
        for video, detections in results.items()
    }


def map_scores(scores: np.ndarray, classes: Sequence[str], mapping: Mapped) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class scores [..., K] of clusters as scores [..., C] of classes: the best of the clusters, each times its weight."""
    named = [mapping.get(name, {name: 1.0}) for name in classes]
    labels = tuple(sorted({label for weights in named for label in weights}))
    columns = [
        np.max([scores[..., k] * weights[label] for k, weights in enumerate(named) if label in weights], axis=0) for label in labels
    ]
    return np.stack(columns, axis=-1) if columns else np.zeros((*scores.shape[:-1], 0)), labels
