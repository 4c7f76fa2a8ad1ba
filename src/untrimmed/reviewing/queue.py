"""Which videos are worth a look next: those in which a correction is likely to tell the most.

Three signs of doubt, none of which needs a truth: detections near the threshold of their class, streams that disagree about what
happens when, and detections that another run, such as a teacher, does not have. Videos are ranked by each, and by the mean rank.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from untrimmed.data.ranks import ranks
from untrimmed.data.types import Activation, Detection, Results

NEAR = 0.25
"""A detection is near the threshold if no more than this share of its class's detections lies between."""

SAME_TIOU = 0.5


@dataclass(frozen=True)
class Look:
    """A video, how much it is worth a look (0..1, by rank), and why, in a few words."""

    video: str
    worth: float
    why: str


def worth_a_look(
    results: Results, activations: Mapping[str, Activation] | None = None, beside: Results | None = None
) -> list[Look]:
    """All videos of `results`, the one most worth a look first; by name where they are equal.

    Args:
        activations: of the videos, where they are kept: whether their streams disagree.
        beside: what another run found in the same videos.
    """
    videos = sorted(results)
    near = near_threshold(results)
    signs = {
        "detections near the threshold": np.array([near[video] for video in videos]),
        "streams that disagree": np.array([disagreement((activations or {}).get(video)) for video in videos]),
    }
    if beside is not None:
        least = [_enough(of) for of in (results, beside)]
        unlike = [unlike_count(results[video], beside.get(video, []), *least) for video in videos]
        signs["runs that disagree"] = np.array(unlike, dtype=float)
    share = {why: ranks(values) / len(videos) for why, values in signs.items() if len(set(values)) > 1}
    worth = np.mean(list(share.values()), axis=0) if share else np.zeros(len(videos))
    looks = [
        Look(video, float(worth[i]), max(share, key=lambda why: share[why][i]) if share else "want of anything else")
        for i, video in enumerate(videos)
    ]
    return sorted(looks, key=lambda look: (-look.worth, look.video))


def near_threshold(results: Results) -> dict[str, float]:
    """Of each video, about how many of its detections are near the threshold of their class.

    Scores have no common scale, so that nearness is counted in ranks: 1 at the threshold, falling to 0 where the share `NEAR` of
    the class's detections lies between.
    """
    scores: dict[str, list[float]] = {}
    for detections in results.values():
        for d in detections:
            scores.setdefault(d.label, []).append(d.score)
    sorted_scores = {label: np.sort(values) for label, values in scores.items()}
    cuts = {label: np.searchsorted(values, threshold(values)) for label, values in sorted_scores.items()}

    def doubt(d: Detection) -> float:
        values = sorted_scores[d.label]
        between = abs(int(np.searchsorted(values, d.score)) - int(cuts[d.label])) / len(values)
        return max(0.0, 1 - between / NEAR)

    return {video: sum(map(doubt, detections)) for video, detections in results.items()}


def threshold(scores: Sequence[float] | np.ndarray) -> float:
    """The least score of the upper of two groups, which lie as close around their means as can be (Otsu 1979)."""
    values = np.sort(np.asarray(scores, dtype=np.float64))
    if len(values) < 2 or values[0] == values[-1]:
        return float(values[0])
    below = np.arange(1, len(values))
    sums = np.cumsum(values)[:-1]
    gap = sums / below - (values.sum() - sums) / (len(values) - below)
    between = below * (len(values) - below) * gap**2
    between[values[1:] == values[:-1]] = -1.0  # equal scores are of one group
    return float(values[int(between.argmax()) + 1])


def disagreement(activation: Activation | None) -> float:
    """How much the streams differ in what they say of each snippet, 0..1; 0 for one stream.

    A stream says attention times the softmax over classes and a background of zero; compared is the mean absolute difference.
    """
    if activation is None or len(activation.streams) < 2:
        return 0.0
    from scipy.special import softmax

    said = []
    for stream in activation.streams.values():
        curve = softmax(np.pad(stream.class_logit.astype(np.float64), ((0, 0), (0, 1))), axis=1)[:, :-1]
        if stream.attention is not None:
            attention = stream.attention[:, None]
            curve = curve * (attention * len(attention) if activation.attention_kind == "distribution" else attention)
        said.append(curve)
    mean = np.mean(said, axis=0)
    return float(np.mean([np.abs(curve - mean).sum(axis=1).mean() for curve in said]))


def unlike_count(
    some: Sequence[Detection], others: Sequence[Detection], least: float = -np.inf, least_of_others: float = -np.inf
) -> int:
    """How many detections, of those that score enough, lack a counterpart of their class with a tIoU of 0.5 on the other side."""
    kept = [d for d in some if d.score >= least]
    theirs = [d for d in others if d.score >= least_of_others]
    return sum(not _has_like(d, theirs) for d in kept) + sum(not _has_like(d, kept) for d in theirs)


def _has_like(d: Detection, others: Sequence[Detection]) -> bool:
    for other in others:
        inside = min(d.end, other.end) - max(d.start, other.start)
        union = max(d.end, other.end) - min(d.start, other.start)
        if other.label == d.label and union > 0 and inside / union >= SAME_TIOU:
            return True
    return False


def _enough(results: Results) -> float:
    """The least score of so many detections as the page shows at first: five a video."""
    scores = sorted((d.score for detections in results.values() for d in detections), reverse=True)
    return scores[min(5 * len(results), len(scores)) - 1] if scores else -np.inf
