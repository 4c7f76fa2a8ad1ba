"""The W-TALC protocol: mean average precision by the rules of W-TALC's own program, which several later codes share.

It differs from `activitynet` in five ways:
1. Time is cut into snippets of 16 frames at 25 frames a second (0.64 s): start and end of truth and detections are rounded to whole
   snippets (halves to the even one), and overlap is that of the sets of snippets. A segment that rounds to nothing matches nothing.
2. A detection takes the first true segment of its class and video, not the best, that is free and overlaps it by the threshold;
   first in the order of the annotation file, the one place where an order in a file matters.
3. A detection that shares a snippet with an ambiguous segment of its video is deleted, correct or not.
4. AP is not interpolated: the precision at each correct detection, summed, over the number of true segments.
5. W-TALC's set of test videos has the two whose annotations are known to be wrong (see docs/protocols.md); the set is apart from
   the protocol here, and is whatever the annotation file holds.

Source: `detectionMAP.py` of github.com/sujoyp/wtalc-pytorch. Differences: the program gives 0 for the whole mean when there is no
detection of some class, here that class alone has AP 0; and equal scores go by video, start and end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

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

SNIPPETS_PER_SECOND = 25 / 16
"""The program's unit of time, whatever the features were: 16 frames at 25 frames a second make one snippet."""


def evaluate_detections(
    truth: Mapping[str, VideoTruth], results: Results, classes: Iterable[str], tious: Sequence[float]
) -> DetectionScores:
    """Score detections by the W-TALC protocol.

    Args:
        truth: the videos of the subset. One without segments stays in: whatever is detected in it is wrong.
        results: detections by video, in seconds; those of videos outside `truth` are counted and ignored.
        classes: every label of the annotation file, whatever the subset.
        tious: thresholds in (0, 1].

    Raises:
        InputError: a detection has a label that is not among `classes`, or the subset has no true segment.
    """
    thresholds = np.asarray(tious, dtype=np.float64)
    inputs = match_inputs(truth, results, classes, as_listed=True)
    inputs = replace(
        inputs,
        start=in_snippets(inputs.start),
        end=in_snippets(inputs.end),
        true_start=in_snippets(inputs.true_start),
        true_end=in_snippets(inputs.true_end),
    )
    video, start, end = ambiguous_segments(truth, inputs.videos)
    deleted = on_ambiguous(inputs, video, in_snippets(start), in_snippets(end))
    hits = _match(inputs, ~deleted, thresholds)
    counted = np.repeat(~deleted[:, None], len(thresholds), axis=1)
    return scores(inputs, truth, results, thresholds, hits, counted, interpolated=False)


def in_snippets(seconds: np.ndarray) -> np.ndarray:
    """Times as whole numbers of snippets; halves go to the even one."""
    return np.rint(seconds * SNIPPETS_PER_SECOND)


def _match(inputs: MatchInputs, kept: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which of the detections that are kept are correct, [N, K]."""
    hits = np.zeros((len(inputs.label), len(thresholds)), dtype=bool)
    parts = []
    for detection, segment in pairs(inputs.group, inputs.true_group):
        overlap = _overlap(inputs.start[detection], inputs.end[detection], inputs.true_start[segment], inputs.true_end[segment])
        enough = kept[detection] & (overlap >= thresholds.min())
        parts.append((detection[enough], segment[enough], overlap[enough]))
    # The pairs come by detection, surest first, and for each in the order of the file: in the order of turns and wishes.
    detection, segment, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    for k, threshold in enumerate(thresholds):
        above = overlap >= threshold
        hits[detection[above][greedy_matching(detection[above], segment[above])], k] = True
    return hits


def _overlap(start: np.ndarray, end: np.ndarray, true_start: np.ndarray, true_end: np.ndarray) -> np.ndarray:
    """Snippets in both over snippets in either; 0 where that is none."""
    both = np.maximum(np.minimum(end, true_end) - np.maximum(start, true_start), 0.0)
    either = (end - start) + (true_end - true_start) - both
    return np.divide(both, either, out=np.zeros(len(start)), where=either > 0)
