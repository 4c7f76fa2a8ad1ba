"""The THUMOS'14 protocol: mean average precision by the rules of that challenge's evaluation kit.

It differs from `activitynet` in four ways:
1. Matching is the truth's choice, not the surest detection's: within a class and video each true segment in turn takes the free
   detection that it overlaps most, however unsure that is (of equals the surest). The overlap must be above the threshold, not
   at it.
2. A detection that matches nothing and touches an ambiguous segment of its video is not counted: neither correct nor wrong.
3. AP is not interpolated: the precision at each correct detection, summed, over the number of true segments.
4. The kit's own set of test videos has the two whose annotations are known to be wrong (see docs/protocols.md); the set is apart
   from the protocol here, and is whatever the annotation file holds.

Source: the THUMOS'14 development kit's `TH14evalDet.m` and `TH14eventdetpr.m`, as the field's codes (UntrimmedNet, CMCS) ship them.
The kit goes through the true segments in the order of its files, which is not always that of time; here they are in order of
time, and equal scores go by video, start and end, so that the order in a file never matters.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.types import Results
from untrimmed.evaluation.detections import (
    DetectionScores,
    MatchInputs,
    ambiguous_segments,
    greedy_matching,
    match_inputs,
    on_ambiguous,
    pairs,
    scores,
)


def evaluate_detections(
    truth: Mapping[str, VideoTruth], results: Results, classes: Iterable[str], tious: Sequence[float]
) -> DetectionScores:
    """Score detections by the THUMOS'14 protocol.

    Args:
        truth: the videos of the subset. One without segments stays in: whatever is detected in it is wrong.
        results: detections by video; those of videos outside `truth` are counted and ignored.
        classes: every label of the annotation file, whatever the subset.
        tious: thresholds in (0, 1].

    Raises:
        InputError: a detection has a label that is not among `classes`, or the subset has no true segment.
    """
    thresholds = np.asarray(tious, dtype=np.float64)
    inputs = match_inputs(truth, results, classes)
    hits = _match(inputs, thresholds)
    doubtful = on_ambiguous(inputs, *ambiguous_segments(truth, inputs.videos))
    return scores(inputs, truth, results, thresholds, hits, counted=hits | ~doubtful[:, None], interpolated=False)


def _match(inputs: MatchInputs, thresholds: np.ndarray) -> np.ndarray:
    """Which detections are correct, [N, K]."""
    hits = np.zeros((len(inputs.label), len(thresholds)), dtype=bool)
    parts = []
    for detection, segment in pairs(inputs.group, inputs.true_group):
        overlap = _overlap(inputs.start[detection], inputs.end[detection], inputs.true_start[segment], inputs.true_end[segment])
        enough = overlap > thresholds.min()
        parts.append((detection[enough], segment[enough], overlap[enough]))
    detection, segment, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((detection, -overlap, segment))
    detection, segment, overlap = detection[order], segment[order], overlap[order]
    for k, threshold in enumerate(thresholds):
        above = overlap > threshold
        hits[detection[above][greedy_matching(segment[above], detection[above])], k] = True
    return hits


def _overlap(start: np.ndarray, end: np.ndarray, true_start: np.ndarray, true_end: np.ndarray) -> np.ndarray:
    """Intersection over the span of both, which is their union where they touch; 0 where they do not."""
    intersection = np.minimum(end, true_end) - np.maximum(start, true_start)
    span = np.maximum(end, true_end) - np.minimum(start, true_start)
    return np.divide(intersection, span, out=np.zeros(len(start)), where=intersection > 0)
