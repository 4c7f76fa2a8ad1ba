"""Weighted box fusion of several runs' detections (Solovyev, Wang, Gabruseva; Image and Vision Computing 2021,
arXiv 1910.13302), in one dimension and with one vote a run.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from untrimmed.data.types import Detection, Results
from untrimmed.localization.nms import tiou

LEAST_TIOU = 0.5
"""Detections that overlap by this are one."""


def fuse(runs: Sequence[Results]) -> Results:
    """The detections of R runs as one result.

    Within a class of a video, from the surest detection to the least sure, each joins the segment so far that it overlaps most, by
    `LEAST_TIOU` at least, and that its run has no vote in yet; or else it begins one. A segment's start and end are the means of
    its members', weighted by their scores, and its score is the sum of theirs over R: what few runs find scores low.

    Args:
        runs: what each run found, with scores that compare. A video that a run does not list counts as one where it found nothing.

    Returns:
        Every video of any run, its detections best first. The result of one run, or of copies of it, is that run's.
    """
    by_video: dict[str, dict[str, list[tuple[Detection, int]]]] = {video: defaultdict(list) for run in runs for video in run}
    for number, run in enumerate(runs):
        for video, detections in run.items():
            for detection in detections:
                by_video[video][detection.label].append((detection, number))
    results: Results = {}
    for video, by_label in by_video.items():
        segments = [segment for label in sorted(by_label) for segment in _fuse_class(by_label[label], len(runs))]
        results[video] = sorted(segments, key=lambda d: -d.score)
    return results


def _fuse_class(detections: list[tuple[Detection, int]], runs: int) -> list[Detection]:
    """The detections of one class in one video, each with the number of its run, as segments."""
    detections = sorted(detections, key=lambda item: (-item[0].score, *item))
    start, end = np.empty(len(detections)), np.empty(len(detections))
    voted = np.zeros((len(detections), runs), dtype=bool)
    members: list[list[Detection]] = []
    for detection, run in detections:
        known = slice(len(members))
        overlap = np.where(voted[known, run], 0.0, tiou(start[known], end[known], *map(np.asarray, detection[:2])))
        if overlap.max(initial=0.0) >= LEAST_TIOU:
            place = int(overlap.argmax())
            members[place].append(detection)
        else:
            place = len(members)
            members.append([detection])
        voted[place, run] = True
        start[place], end[place] = _weighted_times(members[place])
    return [
        Detection(float(a), float(b), votes[0].label, _vote([d.score for d in votes], runs))
        for a, b, votes in zip(start, end, members)
    ]


def _weighted_times(members: Sequence[Detection]) -> np.ndarray:
    """Mean start and end, weighted by score; scores of zero and below have no weight, unless no other is there."""
    if len(members) == 1:
        return np.array(members[0][:2])
    weight = np.maximum([d.score for d in members], 0.0)
    return np.average([d[:2] for d in members], axis=0, weights=weight if weight.any() else None)


def _vote(scores: Sequence[float], runs: int) -> float:
    """The members' mean score times the share of the runs that vote; divided by it where it is negative, so that fewer votes never
    make a segment surer."""
    mean, share = float(np.mean(scores)), len(scores) / runs
    return mean * share if mean > 0 else mean / share
