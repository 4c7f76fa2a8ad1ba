"""From the clusters of an unlabelled run to classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import note
from untrimmed.data.annotations import Annotations, VideoTruth
from untrimmed.data.clusters import Clusters, read_names
from untrimmed.data.errors import InputError
from untrimmed.data.labels import NO_ACTION, read_labels
from untrimmed.evaluation.clustering import Mapped, map_clusters, map_scores
from untrimmed.evaluation.results import ClusterMapping

Tags = Mapping[str, Sequence[str]]
"""The labels of each video: of an annotation file in its order, of a labels file by name."""


@dataclass(frozen=True)
class MappingOptions:
    """What was asked for: a mapping of clusters to classes, or none."""

    how: str | None = None
    oracle: bool = False
    names: str | Path | None = None
    labels: str | Path | None = None

    @property
    def wanted(self) -> bool:
        return self.how is not None or self.names is not None

    def selection(self, about: Mapping[str, Any]) -> str | None:
        """How the model was chosen; a mapping that has seen the test truth makes it `oracle`."""
        if self.oracle:
            return "oracle"
        return None if about.get("selection") is None else str(about["selection"])

    def fit(
        self,
        path: Path,
        clusters: Clusters,
        labels_found: set[str],
        best: Mapping[str, str],
        truth: Annotations | None,
        scored: Tags,
    ) -> ClusterMapping:
        """The classes of every cluster that is named anywhere.

        Args:
            path: of the detections or activations, for messages.
            clusters: the cluster, or the clusters, of each training video, as the run kept them.
            labels_found: the labels that detections or scores have.
            best: the surest cluster of each evaluated video.
            truth: the annotation file, or None where the truth is a labels file.
            scored: the labels of the videos that are scored.
        """
        found = (label for label in labels_found if label.startswith("cluster_"))
        known = sorted({*chain.from_iterable(clusters.values()), *found})
        if self.names is not None:
            return self._by_hand(path, known)
        assert self.how is not None
        if self.oracle:
            seen = {video: (best[video],) for video in scored if video in best}
            return self._fitted(seen, scored, known, "the scored videos' own labels (oracle)")
        if not clusters:
            raise InputError(
                f"{path}: does not say which training video is in which cluster, so `map_clusters` cannot count their labels; "
                f"it needs what `untrimmed localize` writes for a run that was trained with `unlabelled`"
            )
        source, training = self._training_labels(truth)
        labelled = [video for video in clusters if training.get(video)]
        if not labelled:
            raise InputError(
                f"{source}: has no label for any of the {len(clusters)} videos that were clustered (such as {min(clusters)!r}); "
                f"give their `labels`"
            )
        if both := len([video for video in labelled if video in scored]):
            note(f"{both} of the scored videos were clustered too: the mapping has counted their labels")
        return self._fitted(clusters, training, known, f"the labels of {len(labelled)} training videos in {source.name}")

    def _by_hand(self, path: Path, known: Sequence[str]) -> ClusterMapping:
        """What the file of names says; a cluster that it does not name, or calls no action, stands for nothing."""
        assert self.names is not None
        names = read_names(self.names)
        if strange := sorted(names.keys() - set(known)):
            raise InputError(f"{self.names}: {path} has no cluster {strange[0]!r}; it has {', '.join(known) or 'none'}")
        acting = {cluster: name for cluster, name in names.items() if name.casefold() not in NO_ACTION}
        mapped: Mapped = {cluster: {acting[cluster]: 1.0} if cluster in acting else {} for cluster in known}
        return ClusterMapping("names", f"hand, {Path(self.names).name}", mapped)

    def _fitted(self, clusters: Clusters, labels: Tags, known: Sequence[str], source: str) -> ClusterMapping:
        """By the labels that the videos of each cluster have."""
        assert self.how is not None
        fitted = map_clusters(clusters, labels, self.how)  # type: ignore[arg-type]
        return ClusterMapping(self.how, source, {cluster: {} for cluster in known} | fitted)

    def _training_labels(self, truth: Annotations | None) -> tuple[Path, Tags]:
        """The labels of the training videos, and the file that they are in."""
        if self.labels is not None:
            return Path(self.labels), {video: tuple(sorted(tags)) for video, tags in read_labels(self.labels).tags.items()}
        assert truth is not None
        return truth.path, tags_of(truth.videos)


def clusters_in(about: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The clusters that each training video holds, as detections and activations of a run without labels carry them."""
    if isinstance(held := about.get("held"), dict):
        return {str(video): tuple(map(str, its)) for video, its in held.items()}
    clusters = about.get("clusters")
    return {str(video): (str(cluster),) for video, cluster in clusters.items()} if isinstance(clusters, dict) else {}


def mapped_scores(
    scores: Mapping[str, np.ndarray], classes: Sequence[str], mapping: ClusterMapping
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Class scores by video as scores of the classes that the clusters stand for."""
    videos = list(scores)
    matrix, labels = map_scores(np.array([scores[video] for video in videos]), classes, mapping.clusters)
    return dict(zip(videos, matrix, strict=True)), labels


def tags_of(truth: Mapping[str, VideoTruth]) -> dict[str, tuple[str, ...]]:
    """The labels of each video, each once, in the order of the file."""
    return {video: tuple(dict.fromkeys(s.label for s in of_video.segments)) for video, of_video in truth.items()}
