"""What a person is shown of the clusters of an unlabelled run, to give them names."""

from dataclasses import dataclass

from untrimmed.data.clusters import Clusters
from untrimmed.data.types import Detection, Results

MOST_TYPICAL = 6
"""Segments shown of a cluster."""

MOST_OF_ONE_VIDEO = 2


@dataclass(frozen=True)
class Cluster:
    """One group of videos, which may overlap with others where a video holds several.

    name: such as `cluster_03`. videos: the training videos in it. detections: how many carry its name.
    typical: its most typical segments with their videos, by score.
    """

    name: str
    videos: tuple[str, ...]
    detections: int
    typical: tuple[tuple[str, Detection], ...]


def clusters_of(results: Results, held: Clusters) -> list[Cluster]:
    """All clusters by name: those that `held`, the clusters of each training video, names, and those only detected."""
    detected: dict[str, list[tuple[str, Detection]]] = {name: [] for names in held.values() for name in names}
    for video, detections in results.items():
        for d in detections:
            if d.label in detected or d.label.startswith("cluster_"):
                detected.setdefault(d.label, []).append((video, d))
    videos: dict[str, list[str]] = {}
    for video, names in held.items():
        for name in names:
            videos.setdefault(name, []).append(video)
    return [
        Cluster(name, tuple(sorted(videos.get(name, ()))), len(pairs), tuple(typical_segments(pairs)))
        for name, pairs in sorted(detected.items())
    ]


def typical_segments(pairs: list[tuple[str, Detection]]) -> list[tuple[str, Detection]]:
    """The highest-scoring detections, of as many videos as possible: a second one of a video only where videos run out."""
    ordered = sorted(pairs, key=lambda pair: (-pair[1].score, pair[0], pair[1].start, pair[1].end))
    turns: list[list[tuple[str, Detection]]] = [[] for _ in range(MOST_OF_ONE_VIDEO)]
    seen: dict[str, int] = {}
    for video, d in ordered:
        turn = seen.get(video, 0)
        if turn < MOST_OF_ONE_VIDEO:
            turns[turn].append((video, d))
            seen[video] = turn + 1
    chosen = [pair for turn in turns for pair in turn][:MOST_TYPICAL]
    return sorted(chosen, key=lambda pair: -pair[1].score)
