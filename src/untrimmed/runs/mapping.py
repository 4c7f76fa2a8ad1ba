"""From the clusters of an unlabelled run to classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import note
from untrimmed.data.annotations import Annotations, VideoTruth
from untrimmed.data.clusters import read_names
from untrimmed.data.errors import InputError
from untrimmed.data.labels import NO_ACTION, read_labels
from untrimmed.evaluation.clustering import (
    Mapped,
    map_clusters,
    map_scores,
)
from untrimmed.evaluation.results import (
    ClusterMapping,
)

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
        clusters: Mapping[str, str],
        labels_found: set[str],
        best: Mapping[str, str],
        truth: Annotations | None,
        scored: Tags,
    ) -> ClusterMapping:
        """The classes of every cluster that is named anywhere.

        Args:
            path: of the detections or activations, for messages.
            clusters: the cluster of each training video, as the run kept it.
            labels_found: the labels that detections or scores have.
            best: the surest cluster of each evaluated video.
            truth: the annotation file, or None where the truth is a labels file.
            scored: the labels of the videos that are scored.
        """
        there = sorted({*clusters.values(), *(label for label in labels_found if label.startswith("cluster_"))})
        if self.names is not None:
            own = read_names(self.names)
            if strange := sorted(own.keys() - set(there)):
                raise InputError(f"{self.names}: {path} has no cluster {strange[0]!r}; it has {', '.join(there) or 'none'}")
            acting = {cluster: name for cluster, name in own.items() if name.casefold() not in NO_ACTION}
            mapped: Mapped = {name: {acting[name]: 1.0} if name in acting else {} for name in there}
            return ClusterMapping("names", f"hand, {Path(self.names).name}", mapped)
        assert self.how is not None
        if self.oracle:
            seen = {video: best[video] for video in scored if video in best}
            fitted = map_clusters(seen, scored, self.how)  # type: ignore[arg-type]
            return ClusterMapping(self.how, "the scored videos' own labels (oracle)", {name: {} for name in there} | fitted)
        if not clusters:
            raise InputError(
                f"{path}: does not say which training video is in which cluster, so `map_clusters` cannot count their labels; "
                f"it needs what `untrimmed localize` writes for a run that was trained with `unlabelled`"
            )
        if self.labels is not None:
            source, training = Path(self.labels), {v: tuple(sorted(own)) for v, own in read_labels(self.labels).tags.items()}
        else:
            assert truth is not None
            source, training = truth.path, tags_of(truth.videos)
        known = [video for video in clusters if training.get(video)]
        if not known:
            raise InputError(
                f"{source}: has no label for any of the {len(clusters)} videos that were clustered (such as {min(clusters)!r}); "
                f"give their `labels`"
            )
        if both := len([video for video in known if video in scored]):
            note(f"{both} of the scored videos were clustered too: the mapping has counted their labels")
        fitted = map_clusters(clusters, training, self.how)  # type: ignore[arg-type]
        return ClusterMapping(
            self.how, f"the labels of {len(known)} training videos in {source.name}", {name: {} for name in there} | fitted
        )


def clusters_in(about: Mapping[str, Any]) -> dict[str, str]:
    clusters = about.get("clusters")
    return {str(video): str(cluster) for video, cluster in clusters.items()} if isinstance(clusters, dict) else {}


def mapped_scores(
    scores: Mapping[str, np.ndarray], classes: Sequence[str], mapping: ClusterMapping
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Class scores by video as scores of the classes that the clusters stand for."""
    videos = list(scores)
    matrix, labels = map_scores(np.array([scores[video] for video in videos]), classes, mapping.clusters)
    return dict(zip(videos, matrix, strict=True)), labels


def tags_of(truth: Mapping[str, VideoTruth]) -> dict[str, tuple[str, ...]]:
    """The labels of each video, each once, in the order of the file."""
    return {video: tuple(dict.fromkeys(s.label for s in one.segments)) for video, one in truth.items()}
