"""The ActivityNet protocol: mean average precision of detections, at any grid of tIoU thresholds.

For each class the detections of all videos are gone through from the surest to the least sure. A detection is correct if it
overlaps a true segment of its class and video by at least the threshold (tIoU, intersection over union in seconds) and no surer
detection has taken that segment; of several free ones it takes the one it overlaps most. AP is the area under the interpolated
precision-recall curve (all points, as in PASCAL VOC since 2010), mAP its mean over the classes.

Ambiguous segments (see `VideoTruth`) are ignored: they are no truth, and what is detected on them counts like anything else.

Where the official program (github.com/activitynet/ActivityNet, Evaluation/eval_detection.py) leaves the outcome to the order in the
file, it is settled here, so that this order never matters:
- Equal scores go by video id, start, end.
- True segments are put in order of time. Of those that a detection overlaps equally (usual where it covers several of one
  length), it takes the one that the official program would, given this order; that is up to NumPy's default sort, the one
  thing here that may differ between processors (on THUMOS14 it moves mAP by under 0.1 points).
- Where a detection and a true segment both have no length, tIoU is 1 if they are the same instant, and 0 otherwise (the official
  program divides 0 by 0 and counts a match).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.errors import InputError
from untrimmed.data.types import Results
from untrimmed.evaluation.detections import PAIRS_AT_ONCE, DetectionScores, greedy_matching, match_inputs, scores

DEFAULT_TIOU = "0.1:0.9:0.1"
"""The thresholds of `evaluate` where none are asked for, see `parse_tious`."""

MOST_TIOUS = 1000


def evaluate_detections(
    truth: Mapping[str, VideoTruth], results: Results, classes: Iterable[str], tious: Sequence[float]
) -> DetectionScores:
    """Score detections by the ActivityNet protocol.

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
    taken = match(inputs.group, inputs.start, inputs.end, inputs.true_group, inputs.true_start, inputs.true_end, thresholds)
    return scores(inputs, truth, results, thresholds, taken >= 0, counted=None, interpolated=True)


def parse_tious(text: str) -> tuple[float, ...]:
    """Read thresholds: `0.1:0.9:0.1` (first:last:step, the last included), one number, or a list such as `0.5,0.75`.

    Returns them ascending, each once.

    Raises:
        InputError: not numbers, not in (0, 1], or a range that makes no sense.
    """
    how = "write first:last:step such as 0.1:0.9:0.1, one number, or a list such as 0.5,0.75"
    ranged = ":" in text
    try:
        numbers = [float(part) for part in text.split(":" if ranged else ",")]
    except ValueError:
        raise InputError(f"`tiou` {text}: not a number in it; {how}") from None
    if ranged:
        if len(numbers) != 3:
            raise InputError(f"`tiou` {text}: a range has three numbers; {how}")
        first, last, step = numbers
        # The other usual order, first:step:last, ends up here too: 0.1:0.1:0.9 would otherwise mean 0.1 alone.
        if not 0 < step <= last - first + 1e-9:
            raise InputError(f"`tiou` {text}: the step must be above 0 and fit between first and last; {how}")
        steps = (last - first) / step
        if steps > MOST_TIOUS:
            raise InputError(f"`tiou` {text}: more than {MOST_TIOUS} thresholds; take a larger step")
        numbers = [round(first + i * step, 10) for i in range(int(steps + 1e-6) + 1)]
    if not all(0 < number <= 1 for number in numbers):
        raise InputError(f"`tiou` {text}: thresholds must be above 0 and at most 1; {how}")
    return tuple(sorted(set(numbers)))


def match(
    group: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    true_group: np.ndarray,
    true_start: np.ndarray,
    true_end: np.ndarray,
    thresholds: np.ndarray,
) -> np.ndarray:
    """The true segment that each detection takes, or -1, [N, K]; detections are given from the surest to the least sure within
    each (class, video) group.

    In turn each detection takes the best true segment still free.
    """
    matched = np.full((len(group), len(thresholds)), -1)
    pairs = list(overlapping(group, start, end, true_group, true_start, true_end, thresholds.min()))
    if not pairs:
        return matched
    detection, segment, overlap = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    # Pairs of a surer detection stand before those of a less sure one; within a detection's the best segment is first.
    order = np.argsort(detection, kind="stable")
    detection, segment, overlap = detection[order], segment[order], overlap[order]
    for k, threshold in enumerate(thresholds):
        enough = np.flatnonzero(overlap >= threshold)
        pair = enough[greedy_matching(detection[enough], segment[enough])]
        matched[detection[pair], k] = segment[pair]
    return matched


def overlapping(
    group: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    true_group: np.ndarray,
    true_start: np.ndarray,
    true_end: np.ndarray,
    least: float,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of a detection and a true segment of its group with a tIoU of at least `least`: both indices, and the tIoU.

    Each detection's pairs come together, in the order in which it wants the segments. Detections whose groups have equally many
    true segments are compared with them in one go.
    """
    first = np.searchsorted(true_group, group, side="left")
    count = np.searchsorted(true_group, group, side="right") - first
    for m in np.unique(count[count > 0]):
        same = np.flatnonzero(count == m)
        for rows in np.array_split(same, len(same) * m // PAIRS_AT_ONCE + 1):
            segment = first[rows, None] + np.arange(m)
            overlap = _tiou(start[rows, None], end[rows, None], true_start[segment], true_end[segment])
            some = (overlap >= least).any(axis=1)
            rows, overlap = rows[some], overlap[some]
            # The official program's own call: it alone decides which of several equally overlapped segments is wanted first.
            wish = np.argsort(overlap, axis=1)[:, ::-1]
            overlap = np.take_along_axis(overlap, wish, axis=1)
            row, place = np.nonzero(overlap >= least)
            yield rows[row], first[rows[row]] + wish[row, place], overlap[row, place]


def _tiou(start: np.ndarray, end: np.ndarray, true_start: np.ndarray, true_end: np.ndarray) -> np.ndarray:
    intersection = np.maximum(np.minimum(end, true_end) - np.maximum(start, true_start), 0.0)
    union = (true_end - true_start) + (end - start) - intersection
    same_instant = (start == true_start) & (end == true_end)
    return np.divide(intersection, union, out=same_instant.astype(np.float64), where=union > 0)
