"""Where attention is high, against where the actions are: the set statistics of DGAM (CVPR 2020), and attention by part.

All sets are of snippets, on the grid that the method looked at, of all videos together; sizes are summed over the videos before
any is divided by another:
- gt:  snippets whose centre is in a true segment, of whatever class;
- att: snippets whose attention is above a level;
- cls: snippets whose class activation is above a level for one of the video's true classes.

DGAM's authors do not say at which levels their figures were taken, so all pairs of levels are. Each statistic is over |gt|:

    |att - gt|             attention on what is no action                          lower is better
    |gt - att|             action that attention misses                            lower is better
    |(cls - gt) - att|     false class activation that attention switches off      higher is better
    |(att & gt) - cls|     action that attention finds where the classes do not    higher is better
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from untrimmed.data.errors import InputError
from untrimmed.data.ranks import ranks
from untrimmed.data.types import Segment, Timeline
from untrimmed.evaluation.classification import average_precision

LEVELS = tuple(tenth / 10 for tenth in range(1, 10))
STANDARD = LEVELS.index(0.5)
"""The levels that are swept, and the place of the one that is quoted."""

STATISTICS = {
    "att-gt/gt": ("|att - gt| / |gt|", "↓"),
    "gt-att/gt": ("|gt - att| / |gt|", "↓"),
    "(cls-gt)-att/gt": ("|(cls - gt) - att| / |gt|", "↑"),
    "(att&gt)-cls/gt": ("|(att & gt) - cls| / |gt|", "↑"),
}
"""The name of each statistic, how the slide writes it, and whether lower or higher is better."""

KINDS = ("action", "context", "background")
BINS = 20
QUANTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Snippets:
    """What is compared in one video of T snippets.

    truth:     [T] whether the snippet is in gt.
    attention: [T] in 0..1; a distribution over time is multiplied by T before.
    evidence:  [T] class activation of the best of the video's true classes, in 0..1; 0 in a video without any.
    """

    truth: np.ndarray
    attention: np.ndarray
    evidence: np.ndarray


@dataclass(frozen=True)
class AttentionStatistics:
    """The statistics for A levels of attention and A levels of class activation.

    ratios:     for each name in `STATISTICS` [A, A], by level of attention and level of class activation.
    truth:      size of gt.
    snippets:   number of all snippets.
    precision:  average precision of attention for telling gt from the rest, all snippets ranked together: needs no level.
    """

    ratios: dict[str, np.ndarray]
    truth: int
    snippets: int
    precision: float

    def at_standard(self) -> dict[str, float]:
        """Each statistic at level 0.5 of both."""
        return {name: float(ratio[STANDARD, STANDARD]) for name, ratio in self.ratios.items()}


def in_truth(timeline: Timeline, segments: Iterable[Segment]) -> np.ndarray:
    """[T] whether the centre of each snippet is in a true segment."""
    centre = timeline.edge(np.arange(timeline.count) + 0.5)
    inside = np.zeros(timeline.count, dtype=bool)
    for segment in segments:
        inside |= (segment.start <= centre) & (centre < segment.end)
    return inside


def attention_statistics(videos: Sequence[Snippets]) -> AttentionStatistics:
    """The set statistics of some videos.

    Raises:
        InputError: no snippet of any video is in gt.
    """
    truth, attention, evidence = (
        np.concatenate([getattr(video, name) for video in videos]) for name in ("truth", "attention", "evidence")
    )
    size = int(truth.sum())
    if not size:
        raise InputError("no snippet of the chosen videos is in a true segment, so there is nothing to divide by")
    levels = np.array(LEVELS)[:, None]
    att, cls = attention > levels, evidence > levels  # [A, N] each
    counts = {
        "att-gt/gt": np.tile((att & ~truth).sum(axis=1)[:, None], len(LEVELS)),
        "gt-att/gt": np.tile((truth & ~att).sum(axis=1)[:, None], len(LEVELS)),
        "(cls-gt)-att/gt": (~att).astype(np.float64) @ (cls & ~truth).T.astype(np.float64),
        "(att&gt)-cls/gt": (att & truth).astype(np.float64) @ (~cls).T.astype(np.float64),
    }
    return AttentionStatistics(
        {name: count / size for name, count in counts.items()}, size, len(truth), average_precision(truth, attention)
    )


@dataclass(frozen=True)
class Part:
    """Attention on all snippets of one kind: their number, mean, quantiles (`QUANTILES`, per cent) and histogram.

    histogram: [BINS] shares of the snippets, over `edges` [BINS + 1], which all kinds have in common.
    """

    snippets: int
    mean: float
    quantiles: tuple[float, ...]
    histogram: tuple[float, ...]
    edges: tuple[float, ...]


@dataclass(frozen=True)
class PartsReport:
    """Attention on action, context and background, and how surely it tells two kinds apart.

    above: for a pair of kinds, such as `action>context`, the chance that a snippet of the first has more attention than one of
        the second, equals counted half: 1 tells them apart, 0.5 not at all.
    """

    parts: dict[str, Part]
    above: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"parts": {kind: vars(part) for kind, part in self.parts.items()}, "above": self.above}


def kinds_of(parts: Sequence[Sequence[Any]], timeline: Timeline) -> np.ndarray:
    """[T] the kind of each snippet by its centre, as an index into `KINDS`.

    Args:
        parts: `[kind, start, length]`, one after the other and all of the video together, in whatever unit (seconds, snippets);
            any kind but context and background is an action's name.
    """
    end = np.cumsum([length for _, _, length in parts])
    centre = timeline.edge(np.arange(timeline.count) + 0.5) / timeline.duration * end[-1]
    part = np.minimum(np.searchsorted(end, centre, side="right"), len(end) - 1)
    return np.array([KINDS.index(name) if name in KINDS else 0 for name, _, _ in parts])[part]


def attention_by_part(attention: Sequence[np.ndarray], kinds: Sequence[np.ndarray]) -> PartsReport:
    """How attention is spread over the kinds of parts.

    Args:
        attention: [T] of each video.
        kinds: [T] of each video, see `kinds_of`.
    """
    values, kind = np.concatenate(attention), np.concatenate(kinds)
    edges = np.linspace(0.0, max(1.0, float(values.max())), BINS + 1)
    by_kind = {name: values[kind == k] for k, name in enumerate(KINDS)}
    by_kind = {name: of_kind for name, of_kind in by_kind.items() if len(of_kind)}
    parts = {
        name: Part(
            len(of_kind),
            float(of_kind.mean()),
            tuple(np.percentile(of_kind, QUANTILES).tolist()),
            tuple((np.histogram(of_kind, edges)[0] / len(of_kind)).tolist()),
            tuple(edges.tolist()),
        )
        for name, of_kind in by_kind.items()
    }
    pairs = [("action", "context"), ("action", "background"), ("context", "background")]
    return PartsReport(parts, {f"{a}>{b}": chance_above(by_kind[a], by_kind[b]) for a, b in pairs if a in by_kind and b in by_kind})


def chance_above(a: np.ndarray, b: np.ndarray) -> float:
    """The chance that a value of `a` is above one of `b`, equals counted half (the area under the ROC curve)."""
    of_a = ranks(np.concatenate([a, b]))[: len(a)]
    return float((of_a.sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b)))


def softmax(logit: np.ndarray) -> np.ndarray:
    """Class activation in 0..1 of logits [T, C]; a single class has no other to compete with, so it gets a sigmoid."""
    logit = np.asarray(logit, dtype=np.float64)
    if logit.shape[1] == 1:
        return 0.5 * (1.0 + np.tanh(0.5 * logit))
    power = np.exp(logit - logit.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def evidence_of(activation: np.ndarray, classes: Sequence[str], labels: Iterable[str]) -> np.ndarray:
    """[T] the activation [T, C] of the best of a video's true classes; 0 where none of them is known."""
    true_classes = [classes.index(label) for label in labels if label in classes]
    return activation[:, true_classes].max(axis=1) if true_classes else np.zeros(len(activation))


def check_parts(content: Any, where: str) -> Mapping[str, Sequence[Sequence[Any]]]:
    """The content of a parts file, `{video: [[kind, start, length], ...]}`.

    Raises:
        InputError: it is not so, or a part does not begin where the one before ends; the video is named.
    """
    if not isinstance(content, dict):
        raise InputError(f"{where}: expected an object with the parts of each video")
    for video, parts in content.items():
        at = 0.0
        try:
            for kind, start, length in parts:
                if not isinstance(kind, str) or abs(start - at) > 1e-3 or not 0 < length < np.inf:
                    raise ValueError
                at = start + length
            if not at:
                raise ValueError
        except (TypeError, ValueError):
            raise InputError(
                f"{where}: video {video}: expected parts [kind, start, length], each where the last one ends"
            ) from None
    return content
