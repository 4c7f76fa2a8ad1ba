"""The ActivityNet protocol: mean average precision of detections, at any grid of tIoU thresholds.

For each class the detections of all videos are gone through from the surest to the least sure. A detection is correct if it
overlaps a true segment of its class and video by at least the threshold (tIoU, intersection over union in seconds) and no surer
detection has taken that segment; of several free ones it takes the one it overlaps most. AP is the area under the interpolated
precision-recall curve (all points, as in PASCAL VOC since 2010), mAP its mean over the classes.

Where the official program (github.com/activitynet/ActivityNet, Evaluation/eval_detection.py) leaves the outcome to the order in the
file, it is settled here, so that this order never matters:
- Equal scores go by video id, start, end.
- True segments are put in order of time. Of those that a detection overlaps equally (usual where it covers several of one
  length), it takes the one that the official program would, given this order; that is up to NumPy's default sort, the one
  thing here that may differ between processors (on THUMOS14 it moves mAP by under 0.1 points).
- Where a detection and a true segment both have no length, tIoU is 1 if they are the same instant, and 0 otherwise (the official
  program divides 0 by 0 and counts a match).
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Results

MOST_TIOUS = 1000
PAIRS_AT_ONCE = 2_000_000
"""How many pairs of a detection and a true segment are compared in one go; bounds the memory, not the result."""


@dataclass(frozen=True)
class DetectionScores:
    """What the protocol says of a set of detections: C classes that have truth, K thresholds, N detections.

    classes:       the C classes with truth in the subset, sorted; the mean is over these.
    tious:         [K] thresholds.
    ap:            [C, K] average precision, in 0..1.
    videos, instances: how many videos and true segments were scored against; `class_instances` [C] by class.
    ignored:       number of detections of videos outside the subset.
    unlisted:      videos of the subset that the detections do not list at all; their truth is missed.
    without_truth: classes left out of the mean because nothing in the subset shows them.
    hits:          [N, K] whether each detection is correct; sorted by class, then from the surest to the least sure.
    bounds:        [C + 1] `hits[bounds[c]:bounds[c + 1]]` are the detections of class c.
    hit_videos, video_instances: what drawing the videos anew needs (see `bootstrap`): [N] which video each detection is in, and
        [C, V] the true segments by class and video; both count the videos in the order of their names.
    """

    classes: tuple[str, ...]
    tious: np.ndarray
    ap: np.ndarray
    videos: int
    instances: int
    class_instances: np.ndarray
    ignored: int
    unlisted: tuple[str, ...]
    without_truth: tuple[str, ...]
    hits: np.ndarray
    bounds: np.ndarray
    hit_videos: np.ndarray | None = None
    video_instances: np.ndarray | None = None

    @property
    def mean_ap(self) -> np.ndarray:
        """[K] mean over the classes of `ap`."""
        return self.ap.mean(axis=0)

    @property
    def average(self) -> float:
        """Mean of `mean_ap` over the thresholds."""
        return float(self.mean_ap.mean())

    def precision_recall(self, label: str, tiou: float) -> tuple[np.ndarray, np.ndarray]:
        """Recall and precision [n] after each of the class's n detections, surest first.

        Raises:
            ValueError: the class has no truth, or the threshold is not on the grid.
        """
        c = self.classes.index(label)
        on_grid = np.flatnonzero(np.isclose(self.tious, tiou, rtol=0, atol=1e-9))
        if not on_grid.size:
            raise ValueError(f"tIoU {tiou:g} is not among {self.tious.tolist()}")
        correct = np.cumsum(self.hits[self.bounds[c] : self.bounds[c + 1], on_grid[0]])
        return correct / self.class_instances[c], correct / np.arange(1, len(correct) + 1)

    def plot_data(self, tiou: float) -> dict[str, dict[str, list[float]]]:
        """Per class the interpolated precision-recall curve, `{label: {"recall": [...], "precision": [...]}}`.

        The curve steps down: precision[i] holds from recall[i - 1] (0 before the first) to recall[i]. A class without a correct
        detection has an empty curve. Plain lists, ready for JSON and for the page.
        """
        curves = {}
        for label in self.classes:
            recall, precision = self.precision_recall(label, tiou)
            correct = np.flatnonzero(np.diff(recall, prepend=0.0))
            curves[label] = {"recall": recall[correct].tolist(), "precision": _envelope(precision)[correct].tolist()}
        return curves


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
    classes = sorted(classes)
    index = {label: c for c, label in enumerate(classes)}
    thresholds = np.asarray(tious, dtype=np.float64)
    video_index = {video: v for v, video in enumerate(sorted(truth))}

    if unknown := {d.label for found in results.values() for d in found} - index.keys():
        raise InputError(_unknown_label(min(unknown), classes, results))
    segments = [(index[s.label], video_index[v], s.start, s.end) for v, one in truth.items() for s in one.segments]
    if not segments:
        raise InputError("none of the chosen videos has a true segment, so nothing can be scored; choose another subset")

    true_class, true_video, true_start, true_end = np.array(sorted(segments), dtype=np.float64).T
    true_class, true_video = true_class.astype(np.int64), true_video.astype(np.int64)
    predicted, video, start, end, score = _columns(results, index, video_index)
    order = np.lexsort((end, start, video, -score, predicted))
    predicted, video, start, end = predicted[order], video[order], start[order], end[order]

    hits = _match(
        predicted * len(video_index) + video,
        start,
        end,
        true_class * len(video_index) + true_video,
        true_start,
        true_end,
        thresholds,
    )

    instances = np.bincount(true_class, minlength=len(classes))
    by_video = np.zeros((len(classes), len(video_index)), dtype=np.int64)
    np.add.at(by_video, (true_class, true_video), 1)
    scored = np.flatnonzero(instances)
    kept = np.isin(predicted, scored)
    hits, predicted, video = hits[kept], predicted[kept], video[kept]
    bounds = np.append(np.searchsorted(predicted, scored), len(predicted))
    ap = np.stack(
        [_average_precision(hits[a:b], instances[c]) for c, a, b in zip(scored, bounds[:-1], bounds[1:], strict=True)],
    )
    return DetectionScores(
        classes=tuple(classes[c] for c in scored),
        tious=thresholds,
        ap=ap,
        videos=len(truth),
        instances=len(segments),
        class_instances=instances[scored],
        ignored=sum(len(found) for name, found in results.items() if name not in truth),
        unlisted=tuple(name for name in video_index if name not in results),
        without_truth=tuple(name for c, name in enumerate(classes) if not instances[c]),
        hits=hits,
        bounds=bounds,
        hit_videos=video,
        video_instances=by_video[scored],
    )


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
        raise InputError(f"--tiou {text}: not a number in it; {how}") from None
    if ranged:
        if len(numbers) != 3:
            raise InputError(f"--tiou {text}: a range has three numbers; {how}")
        first, last, step = numbers
        # The other usual order, first:step:last, ends up here too: 0.1:0.1:0.9 would otherwise mean 0.1 alone.
        if not 0 < step <= last - first + 1e-9:
            raise InputError(f"--tiou {text}: the step must be above 0 and fit between first and last; {how}")
        steps = (last - first) / step
        if steps > MOST_TIOUS:
            raise InputError(f"--tiou {text}: more than {MOST_TIOUS} thresholds; take a larger step")
        numbers = [round(first + i * step, 10) for i in range(int(steps + 1e-6) + 1)]
    if not all(0 < number <= 1 for number in numbers):
        raise InputError(f"--tiou {text}: thresholds must be above 0 and at most 1; {how}")
    return tuple(sorted(set(numbers)))


def _columns(results: Results, index: Mapping[str, int], videos: Mapping[str, int]) -> tuple[np.ndarray, ...]:
    """Class, video, start, end and score [N] of the detections of the given videos."""
    inside = [(videos[name], found) for name, found in results.items() if name in videos]
    video = np.repeat(np.array([v for v, _ in inside], dtype=np.int64), [len(found) for _, found in inside])
    detections: list[Detection] = list(chain.from_iterable(found for _, found in inside))
    starts, ends, labels, scores = zip(*detections, strict=True) if detections else ((), (), (), ())
    label = np.array([index[name] for name in labels], dtype=np.int64)
    return label, video, *(np.array(column, dtype=np.float64) for column in (starts, ends, scores))


def _match(
    group: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    true_group: np.ndarray,
    true_start: np.ndarray,
    true_end: np.ndarray,
    thresholds: np.ndarray,
) -> np.ndarray:
    """Which detections are correct, [N, K], given them from the surest to the least sure within each (class, video) group.

    In turn each detection takes the best true segment still free. Since all segments would rather have the surer detection, the
    same matching comes of letting all detections ask at once and each segment keep the surest that asked, driving out another
    it may hold; those refused ask for their next best (deferred acceptance, Gale and Shapley 1962). That takes a few rounds over
    arrays, for all groups and thresholds together, instead of a loop over detections.
    """
    hits = np.zeros((len(group), len(thresholds)), dtype=bool)
    pairs = list(_overlapping(group, start, end, true_group, true_start, true_end, thresholds.min()))
    if not pairs:
        return hits
    detection, segment, overlap = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    # Pairs of a surer detection stand before those of a less sure one; within a detection's the best segment is first.
    order = np.argsort(detection, kind="stable")
    detection, segment, overlap = detection[order], segment[order], overlap[order]
    begin = np.searchsorted(detection, np.arange(len(group)))
    enough = np.stack([np.bincount(detection[overlap >= t], minlength=len(group)) for t in thresholds], axis=1)
    stop = begin[:, None] + enough

    nobody = len(detection)
    holder = np.full((len(true_group), len(thresholds)), nobody)
    asking, k = np.nonzero(enough)
    pair = begin[asking]
    while pair.size:
        before = holder[segment[pair], k]
        np.minimum.at(holder, (segment[pair], k), pair)
        won = holder[segment[pair], k] == pair
        driven_out = won & (before < nobody)
        pair, k = np.concatenate([pair[~won], before[driven_out]]), np.concatenate([k[~won], k[driven_out]])
        left = pair + 1 < stop[detection[pair], k]
        pair, k = pair[left] + 1, k[left]
    taken, k = np.nonzero(holder < nobody)
    hits[detection[holder[taken, k]], k] = True
    return hits


def _overlapping(
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


def _average_precision(hits: np.ndarray, instances: int) -> np.ndarray:
    """Area under the interpolated curve, [K], of one class's detections [n, K], surest first.

    Every correct detection adds 1 / instances of recall, at the best precision reached from there on.
    """
    precision = np.cumsum(hits, axis=0) / np.arange(1, len(hits) + 1)[:, None]
    return (_envelope(precision) * hits).sum(axis=0) / instances


def _envelope(precision: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(precision[::-1], axis=0)[::-1]


def _unknown_label(label: str, classes: Sequence[str], results: Results) -> str:
    video = next(video for video, found in results.items() if any(d.label == label for d in found))
    if label.startswith("cluster_"):
        return f"the label {label!r} (in video {video}) is a cluster, no class of the annotations; give it the name of one first"
    close = difflib.get_close_matches(label, classes, n=1)
    some = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    hint = f"did you mean {close[0]!r}?" if close else f"those are: {some}"
    return f"the label {label!r} (in video {video}) is not a class of the annotations; {hint}"
