"""The steps that cutters are made of, each for all (video, class) pairs of a stream at once; `recipes.py` puts them in order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from untrimmed.data.errors import InputError
from untrimmed.data.types import StreamActivation
from untrimmed.localization.classes import class_value, high_enough, mean_scores
from untrimmed.localization.curves import gaussian, savitzky_golay, upsample
from untrimmed.localization.proposals import Proposals, Runs, each_once, outer_inner, runs_above
from untrimmed.localization.settings import Localization


@dataclass(frozen=True)
class Rows:
    """The (video, class) pairs that one of S streams is cut for: R rows of snippets, laid one after the other.

    streams: [S][V], what each stream says of each video. number: the stream that is cut. weights: [S], of sum one.
    settings: as they hold for that stream.
    video, label, value: [R]; value is how surely the class is in the video, see `classes.class_value`.
    offsets: [R + 1], where each row begins, in snippets, and the end.
    left_aligned: whether up-sampling is the released DGAM code's, see `curves.upsample`. until_last: and whether it ends with the
        last snippet's left edge, as in CMCS's.
    """

    streams: Sequence[Sequence[StreamActivation]]
    number: int
    weights: np.ndarray
    settings: Localization
    video: np.ndarray
    label: np.ndarray
    value: np.ndarray
    offsets: np.ndarray
    left_aligned: bool = False
    until_last: bool = False

    @property
    def steps(self) -> np.ndarray:
        """[R + 1] where each row begins in fine time steps, and the end."""
        lost = self.settings.upsample - 1 if self.until_last else 0
        return self.offsets * self.settings.upsample - lost * np.arange(len(self.offsets))

    @property
    def has_attention(self) -> bool:
        return self.streams[self.number][0].attention is not None

    def __getitem__(self, chosen: np.ndarray) -> "Rows":
        """Some of the rows, [R] whether each."""
        lengths = np.diff(self.offsets)[chosen]
        rows = self.video[chosen], self.label[chosen], self.value[chosen], np.concatenate([[0], np.cumsum(lengths)])
        return Rows(self.streams, self.number, self.weights, self.settings, *rows, self.left_aligned, self.until_last)


def kept_rows(streams: Sequence[Sequence[StreamActivation]], number: int, weights: np.ndarray, settings: Localization) -> Rows:
    """Classes: the pairs that stream `number` keeps."""
    of_stream = np.array([class_value(view, settings) for view in streams[number]])
    scores = of_stream
    if settings.class_scores != "stream":
        scores = mean_scores(np.array([[class_value(view, settings) for view in stream] for stream in streams]), weights, settings)
    video, label = np.nonzero(high_enough(scores, settings))
    lengths = np.array([len(view.class_logit) for view in streams[number]], dtype=np.intp)[video]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Rows(streams, number, weights, settings, video, label, of_stream[video, label], offsets)


def attention(rows: Rows) -> np.ndarray:
    """Curve: the stream's attention, [N]; 1 where it has none."""
    views = [rows.streams[rows.number][v] for v in rows.video]
    return _laid([np.ones(len(view.class_logit)) if view.attention is None else view.attention for view in views], np.float64)


def logits(rows: Rows) -> list[np.ndarray]:
    """Curve: each stream's class activation before any squashing, [S][N]."""
    return [_laid([views[v].class_logit[:, c] for v, c in zip(rows.video, rows.label)], np.float64) for views in rows.streams]


def weighted_scores(rows: Rows) -> list[np.ndarray]:
    """Curve: each stream's w of TSRNet, [S][N], see `weighted_score`."""
    products = [[weighted_score(view, rows.settings) for view in views] for views in rows.streams]
    return [_laid([w[v][:, c] for v, c in zip(rows.video, rows.label)]) for w in products]


def weighted_score(stream: StreamActivation, settings: Localization) -> np.ndarray:
    """TSRNet's w_i^c = a_i s_c, [T, C]: attention times the video's class score, or (ours) times each snippet's, the softmax over
    its class logits and a background of zero."""
    if "w" in stream.extra:  # of the streams' mean, see `fused`
        return stream.extra["w"]
    if settings.curve == "video":
        score = np.broadcast_to(stream.class_score, stream.class_logit.shape)
    else:
        score = softmax(np.pad(stream.class_logit.astype(np.float64), ((0, 0), (0, 1))), axis=1)[:, :-1]
    return score if stream.attention is None else stream.attention[:, None] * score


def snippet_scores(rows: Rows) -> np.ndarray:
    """Curve: each snippet's score of the class, [N]: the softmax over its class logits and a background of zero."""
    views = rows.streams[rows.number]
    scores = [softmax(np.pad(view.class_logit.astype(np.float64), ((0, 0), (0, 1))), axis=1) for view in views]
    return _laid([scores[v][:, c] for v, c in zip(rows.video, rows.label)])


def own_scores(rows: Rows) -> list[np.ndarray]:
    """Curve: what each stream's method itself makes of each snippet and class, [S][N].

    Raises:
        InputError: the method has nothing of the kind.
    """
    if any("own" not in view.extra for views in rows.streams for view in views):
        raise InputError("localization.curve=own: this method gives no scores of its own; choose another curve")
    return [_laid([views[v].extra["own"][:, c] for v, c in zip(rows.video, rows.label)], np.float64) for views in rows.streams]


def brought(rows: Rows) -> Proposals:
    """The segments that each stream's method brings, with their scores; those of the stream that is cut. One that scores
    0 for a class is none of it.

    Raises:
        InputError: the method brings none.
    """
    found = []
    for video, label, value in zip(rows.video, rows.label, rows.value):
        extra = rows.streams[rows.number][video].extra
        if "proposals" not in extra:
            raise InputError("localization.curve=proposals: this method brings none; choose another curve")
        own = extra["proposal_score"][:, label] > 0
        first, after = np.rint(extra["proposals"][own].astype(np.float64) * rows.settings.upsample).astype(np.intp).T
        score = extra["proposal_score"][own, label].astype(np.float64) + rows.settings.class_weight * value
        same = np.full(len(first), video), np.full(len(first), label)
        found.append(Proposals(*same, first, np.maximum(after - 1, first), score))
    none = np.empty((5, 0), dtype=np.intp)
    return Proposals.concatenate([Proposals(*none), *found])


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def normalized(rows: Rows, curve: np.ndarray) -> np.ndarray:
    """Curve: from 0, its minimum in the video, to 1, its maximum."""
    low, high = (_each_row(reduce, curve, rows.offsets) for reduce in (np.minimum, np.maximum))
    lengths = np.diff(rows.offsets)
    return (curve - np.repeat(low, lengths)) / np.repeat(np.maximum(high - low, 1e-12), lengths)


def positive(rows: Rows, curve: np.ndarray) -> np.ndarray:
    """Curve: from 0, its minimum in the video or 0 where that is negative, to 1, its maximum; negative where all of it is."""
    low, high = (np.maximum(_each_row(reduce, curve, rows.offsets), 0) for reduce in (np.minimum, np.maximum))
    lengths, span = np.diff(rows.offsets), np.where(high > low, high - low, 1.0)
    return (curve - np.repeat(low, lengths)) / np.repeat(span, lengths)


def mean_over_streams(rows: Rows, curves: Sequence[np.ndarray]) -> np.ndarray:
    """The weighted mean of the streams' curves, [N]."""
    return sum(weight * curve for weight, curve in zip(rows.weights, curves))


def upsampled(rows: Rows, curve: np.ndarray) -> np.ndarray:
    """Up-sample: `upsample` steps per snippet, by linear interpolation."""
    fine = upsample(curve, rows.offsets, rows.settings.upsample, rows.left_aligned)
    if not rows.until_last:
        return fine
    scale, lengths = rows.settings.upsample, np.diff(rows.offsets)
    place = np.arange(len(fine)) - np.repeat(rows.offsets[:-1], lengths * scale) * scale
    return fine[place <= np.repeat(lengths - 1, lengths * scale) * scale]


def smoothed(rows: Rows, curve: np.ndarray) -> np.ndarray:
    """Smooth: a Gaussian (`smooth`) and a Savitzky-Golay filter (`smooth_share`), each where it is wanted."""
    if rows.settings.smooth > 0:
        curve = gaussian(curve, rows.steps, rows.settings.smooth)
    if rows.settings.smooth_share:
        curve = savitzky_golay(curve, rows.steps, rows.settings.smooth_share)
    return curve


def thresholded(rows: Rows, curve: np.ndarray) -> Runs:
    """Threshold: the runs above any of the levels, each once, without those that are shorter than `least` snippets."""
    settings, offsets = rows.settings, rows.steps
    low: np.ndarray | float = 0.0
    high = np.ones(len(rows.video))
    if settings.relative_to in ("max", "range"):
        high = _each_row(np.maximum, curve, offsets)
    if settings.relative_to == "range":
        low = _each_row(np.minimum, curve, offsets)
    if settings.relative_to == "mean":
        high = _each_row(np.add, curve, offsets) / np.diff(offsets)
        high -= 1e-9 * np.abs(high)  # a flat curve, such as a single snippet's, is one run, however its mean is rounded
    none = Runs(*np.empty((3, 0), dtype=np.intp))
    found = [runs_above(curve, offsets, low + level * (high - low), settings.dilate) for level in settings.thresholds]
    runs = Runs.concatenate([none, *found])
    if settings.least:
        runs = runs[runs.last - runs.first + 1 >= settings.least * settings.upsample]
    return each_once(runs) if len(settings.thresholds) > 1 else runs


def scored(rows: Rows, runs: Runs, curve: np.ndarray, widths: tuple[np.ndarray, np.ndarray] | None = None) -> Proposals:
    """Score: what lies inside, less its surroundings (`contrast`), and the video's class score (`class_weight`)."""
    settings = rows.settings
    by = settings.contrast, settings.side, settings.inside == "max", settings.sides == "joined"
    score = outer_inner(runs, curve, rows.steps, *by, widths)
    if settings.class_weight:
        score = score + settings.class_weight * rows.value[runs.row]
    return Proposals(rows.video[runs.row], rows.label[runs.row], runs.first, runs.last, score)


def fused(views: Sequence[StreamActivation], weights: np.ndarray, settings: Localization) -> StreamActivation:
    """Fuse: several streams of one video as one, their weighted mean."""
    extra = {}
    if settings.curve in ("video", "snippet"):  # the mean of the products is not the product of the means
        extra["w"] = np.average([weighted_score(view, settings) for view in views], axis=0, weights=weights)
    if settings.curve == "proposals":  # the same in every stream
        extra = {key: views[0].extra[key] for key in ("proposals", "proposal_score") if key in views[0].extra}
    if settings.curve == "own" and all("own" in view.extra for view in views):
        extra["own"] = np.average([view.extra["own"] for view in views], axis=0, weights=weights)
    gates = [view.attention for view in views if view.attention is not None]
    return StreamActivation(
        np.average(gates, axis=0, weights=weights) if len(gates) == len(views) else None,
        np.average([view.class_logit for view in views], axis=0, weights=weights),
        mean_scores(np.array([view.class_score for view in views]), weights, settings),
        extra,
    )


def _laid(rows: Sequence[np.ndarray], dtype: type | None = None) -> np.ndarray:
    """Rows one after the other."""
    return np.concatenate(rows, dtype=dtype) if rows else np.empty(0)


def _each_row(reduce: np.ufunc, curve: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """[R] a minimum, maximum or sum over each row."""
    return reduce.reduceat(curve, offsets[:-1]) if len(offsets) > 1 else np.empty(0)
