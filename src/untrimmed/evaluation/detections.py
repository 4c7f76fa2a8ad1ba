"""What the protocols for detections share: the lists they go through, who takes which true segment, and the scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from untrimmed.data.annotations import AMBIGUOUS, VideoTruth
from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.types import Detection, Results

CLUSTER_HINT = (
    "say what the clusters stand for: `map_clusters` majority (or soft, hungarian), or `names` FILE with the columns cluster,name"
)
PAIRS_AT_ONCE = 2_000_000
"""How many pairs of a detection and a true segment are compared in one go; bounds the memory, not the result."""


@dataclass(frozen=True)
class DetectionScores:
    """What a protocol says of a set of detections: C classes that have truth, K thresholds, N detections.

    classes:       the C classes with truth in the subset, sorted; the mean is over these.
    tious:         [K] thresholds.
    ap:            [C, K] average precision, in 0..1.
    videos, instances: how many videos and true segments were scored against; `class_instances` [C] by class.
    ignored:       number of detections of videos outside the subset.
    unlisted:      videos of the subset that the detections do not list at all; their truth is missed.
    without_truth: classes left out of the mean because nothing in the subset shows them.
    hits:          [N, K] whether each detection is correct; sorted by class, then from the surest to the least sure.
    bounds:        [C + 1] `hits[bounds[c]:bounds[c + 1]]` are the detections of class c.
    counted:       [N, K] whether each detection is counted, or left out for lying on an ambiguous segment; None: all are.
    interpolated:  whether AP is the area under the interpolated curve (PASCAL VOC since 2010) or the sum of the precisions as
                   they are.
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
    counted: np.ndarray | None = None
    interpolated: bool = True
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
        """Recall and precision [n] after each of the class's n counted detections, surest first.

        Raises:
            ValueError: the class has no truth, or the threshold is not on the grid.
        """
        c = self.classes.index(label)
        on_grid = np.flatnonzero(np.isclose(self.tious, tiou, rtol=0, atol=1e-9))
        if not on_grid.size:
            raise ValueError(f"tIoU {tiou:g} is not among {self.tious.tolist()}")
        of_class, k = slice(self.bounds[c], self.bounds[c + 1]), on_grid[0]
        hits = self.hits[of_class, k] if self.counted is None else self.hits[of_class, k][self.counted[of_class, k]]
        correct = np.cumsum(hits)
        return correct / self.class_instances[c], correct / np.arange(1, len(correct) + 1)

    def plot_data(self, tiou: float) -> dict[str, dict[str, list[float]]]:
        """Per class the precision-recall curve whose area is AP, `{label: {"recall": [...], "precision": [...]}}`.

        The curve is one of steps: precision[i] holds from recall[i - 1] (0 before the first) to recall[i]. A class without a
        correct detection has an empty curve. Plain lists, ready for JSON and for the page.
        """
        curves = {}
        for label in self.classes:
            recall, precision = self.precision_recall(label, tiou)
            correct = np.flatnonzero(np.diff(recall, prepend=0.0))
            drawn = _envelope(precision) if self.interpolated else precision
            curves[label] = {"recall": recall[correct].tolist(), "precision": drawn[correct].tolist()}
        return curves


@dataclass(frozen=True)
class MatchInputs:
    """N detections and M true segments as arrays, in the order in which protocols go through them.

    classes, videos:       names; the arrays hold their places, and times in seconds.
    label, video, start, end [N]: the detections, by class, then from the surest to the least sure; those of equal score by video,
                           start and end.
    true_label, true_video, true_start, true_end [M]: the true segments, by class, video and time (or place in the file).
    """

    classes: tuple[str, ...]
    videos: tuple[str, ...]
    label: np.ndarray
    video: np.ndarray
    start: np.ndarray
    end: np.ndarray
    true_label: np.ndarray
    true_video: np.ndarray
    true_start: np.ndarray
    true_end: np.ndarray

    @property
    def group(self) -> np.ndarray:
        """[N] one number for each (class, video), ascending in the truth: only within a group can anything match."""
        return self.label * len(self.videos) + self.video

    @property
    def true_group(self) -> np.ndarray:
        """[M] see `group`."""
        return self.true_label * len(self.videos) + self.true_video


def match_inputs(truth: Mapping[str, VideoTruth], results: Results, classes: Iterable[str], as_listed: bool = False) -> MatchInputs:
    """Put the detections of the given videos and the truth in order, so that the order in the files never matters.

    Args:
        as_listed: the true segments of a video stay in their order in the file, for a protocol whose rules go by it.

    Raises:
        InputError: a detection has a label that is not among `classes`, or there is no true segment.
    """
    classes = sorted(classes)
    index = {label: c for c, label in enumerate(classes)}
    video_index = {video: v for v, video in enumerate(sorted(truth))}
    if unknown := {d.label for detections in results.values() for d in detections} - index.keys():
        raise InputError(_unknown_label(min(unknown), classes, results))
    segments = [(index[s.label], video_index[v], s.start, s.end) for v, of_video in truth.items() for s in of_video.segments]
    if not segments:
        raise InputError("none of the chosen videos has a true segment, so nothing can be scored; choose another subset")
    segments.sort(key=(lambda s: s[:2]) if as_listed else None)
    true_label, true_video, true_start, true_end = np.array(segments, dtype=np.float64).T
    label, video, start, end, score = _columns(results, index, video_index)
    order = np.lexsort((end, start, video, -score, label))
    return MatchInputs(
        tuple(classes),
        tuple(video_index),
        label[order],
        video[order],
        start[order],
        end[order],
        true_label.astype(np.int64),
        true_video.astype(np.int64),
        true_start,
        true_end,
    )


def pairs(group: np.ndarray, other_group: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of all pairs of which both belong to one group, in portions; `other_group` is ascending."""
    first = np.searchsorted(other_group, group, side="left")
    count = np.searchsorted(other_group, group, side="right") - first
    rows = np.flatnonzero(count)
    for some in np.array_split(rows, count.sum() // PAIRS_AT_ONCE + 1):
        place = np.repeat(some, count[some])
        before = np.repeat(np.cumsum(count[some]) - count[some], count[some])
        yield place, first[place] + np.arange(len(place)) - before


def greedy_matching(asker: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Greedy matching: in turn each asker takes the first that it wants and that is still free.

    Everyone may as well ask at once if each of those wanted keeps the asker whose turn is earliest, and those refused ask for
    their next wish (Gale and Shapley 1962): the same pairs, in a few rounds over arrays instead of a loop over the askers.

    Args:
        asker, wanted: [P] of each pair, sorted by the asker's turn, and those of one asker by its wish.

    Returns:
        [P] which of the pairs come about.
    """
    made = np.zeros(len(asker), dtype=bool)
    if not len(asker):
        return made
    holder = np.full(int(wanted.max()) + 1, len(asker))
    asks = np.flatnonzero(np.diff(asker, prepend=-1))
    last = np.append(asker[1:] != asker[:-1], True)
    while asks.size:
        before = holder[wanted[asks]]
        np.minimum.at(holder, wanted[asks], asks)
        won = holder[wanted[asks]] == asks
        refused = np.concatenate([asks[~won], np.unique(before[won & (before < len(asker))])])
        asks = refused[~last[refused]] + 1
    made[holder[holder < len(asker)]] = True
    return made


def scores(
    inputs: MatchInputs,
    truth: Mapping[str, VideoTruth],
    results: Results,
    tious: np.ndarray,
    hits: np.ndarray,
    counted: np.ndarray | None,
    interpolated: bool,
) -> DetectionScores:
    """AP of each class that has truth, from which detections are correct, [N, K], and which count."""
    instances = np.bincount(inputs.true_label, minlength=len(inputs.classes))
    scored = np.flatnonzero(instances)
    kept = np.isin(inputs.label, scored)
    hits, label = hits[kept], inputs.label[kept]
    counted = None if counted is None else counted[kept]
    by_video = np.zeros((len(inputs.classes), len(inputs.videos)), dtype=np.int64)
    np.add.at(by_video, (inputs.true_label, inputs.true_video), 1)
    bounds = np.append(np.searchsorted(label, scored), len(label))
    ap = np.empty((len(scored), len(tious)))
    for row, (c, a, b) in enumerate(zip(scored, bounds[:-1], bounds[1:], strict=True)):
        correct = np.cumsum(hits[a:b], axis=0)
        number = np.arange(1, b - a + 1)[:, None] if counted is None else np.cumsum(counted[a:b], axis=0)
        # Where nothing counted yet, nothing was correct, and the precision is not used.
        precision = correct / np.maximum(number, 1)
        if interpolated:
            precision = _envelope(precision)
        # Every correct detection adds 1 / instances of recall.
        ap[row] = (precision * hits[a:b]).sum(axis=0) / instances[c]
    return DetectionScores(
        classes=tuple(inputs.classes[c] for c in scored),
        tious=tious,
        ap=ap,
        videos=len(truth),
        instances=len(inputs.true_label),
        class_instances=instances[scored],
        ignored=sum(len(detections) for name, detections in results.items() if name not in truth),
        unlisted=tuple(name for name in inputs.videos if name not in results),
        without_truth=tuple(name for c, name in enumerate(inputs.classes) if not instances[c]),
        hits=hits,
        bounds=bounds,
        counted=counted,
        interpolated=interpolated,
        hit_videos=inputs.video[kept],
        video_instances=by_video[scored],
    )


def ambiguous_segments(truth: Mapping[str, VideoTruth], videos: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Video, start and end of all ambiguous segments, sorted by video; see `VideoTruth`."""
    rows = [(v, s.start, s.end) for v, name in enumerate(videos) for s in truth[name].ambiguous]
    video, start, end = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return video.astype(np.int64), start, end


def on_ambiguous(inputs: MatchInputs, video: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Which detections share some time with an ambiguous segment of their video, [N]; segments as of `ambiguous_segments`."""
    touching = np.zeros(len(inputs.label), dtype=bool)
    for detection, segment in pairs(inputs.video, video):
        shared = np.minimum(inputs.end[detection], end[segment]) - np.maximum(inputs.start[detection], start[segment])
        touching[detection[shared > 0]] = True
    return touching


def _columns(results: Results, index: Mapping[str, int], videos: Mapping[str, int]) -> tuple[np.ndarray, ...]:
    """Class, video, start, end and score [N] of the detections of the given videos."""
    inside = [(videos[name], of_video) for name, of_video in results.items() if name in videos]
    video = np.repeat(np.array([v for v, _ in inside], dtype=np.int64), [len(of_video) for _, of_video in inside])
    detections: list[Detection] = list(chain.from_iterable(of_video for _, of_video in inside))
    starts, ends, labels, surenesses = zip(*detections, strict=True) if detections else ((), (), (), ())
    label = np.array([index[name] for name in labels], dtype=np.int64)
    return label, video, *(np.array(column, dtype=np.float64) for column in (starts, ends, surenesses))


def _envelope(precision: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(precision[::-1], axis=0)[::-1]


def _unknown_label(label: str, classes: Sequence[str], results: Results) -> str:
    video = next(video for video, detections in results.items() if any(d.label == label for d in detections))
    if label.startswith("cluster_"):
        return f"the label {label!r} (in video {video}) is a cluster, no class of the annotations; {CLUSTER_HINT}"
    if label == AMBIGUOUS:
        return f"the label {label!r} (in video {video}) is no class: in annotations it marks what no one can decide"
    if not classes:
        return f"the label {label!r} (in video {video}) is not a class of the annotations, which hold no action at all"
    some = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    hint = did_you_mean(label, classes, f"; those are: {some}")
    return f"the label {label!r} (in video {video}) is not a class of the annotations{hint}"
