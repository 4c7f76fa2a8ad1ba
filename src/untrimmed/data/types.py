"""What flows through the program: segments, detections, time, and what a method says about a video.

Everything here is plain Python and NumPy, so that localization, evaluation and reporting never need torch.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Segment(NamedTuple):
    """A stretch of a video that shows an action: `[start, end)` in seconds on the clock a browser's player shows."""

    start: float
    end: float
    label: str


class Detection(NamedTuple):
    """A found segment, in seconds, with its confidence (any finite number; higher is surer)."""

    start: float
    end: float
    label: str
    score: float


@dataclass(frozen=True)
class Timeline:
    """When the snippets of a video happen, in seconds.

    Snippet i stands for `[edge(i), edge(i + 1))`, clipped to the video. Where a snippet's window is longer or shorter
    than the stride, the stretch it stands for is centred on the window (see `FeatureStore.timeline`).
    """

    start: float
    step: float
    count: int
    duration: float

    def edge(self, i: ArrayLike) -> np.ndarray:
        """Time in seconds of the left edge of snippet `i`, a number or an array, fractions allowed; clipped to the video."""
        return np.clip(self.start + np.asarray(i, dtype=np.float64) * self.step, 0.0, self.duration)

    @property
    def edges(self) -> np.ndarray:
        """The `count + 1` edges of all snippets, in seconds."""
        return self.edge(np.arange(self.count + 1))


@dataclass
class StreamActivation:
    """What one stream (rgb, flow, ...) of a method says about a video of T snippets and C classes.

    attention:   [T] or None. How much each snippet matters, whatever the class.
    class_logit: [T, C]. The class activation sequence, without background and before any softmax or sigmoid.
    class_score: [C]. The video-level class scores, in 0..1.
    extra:       whatever else a method wants kept, by name.
    """

    attention: np.ndarray | None
    class_logit: np.ndarray
    class_score: np.ndarray
    extra: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Activation:
    """What a method says about one video, before it is cut into segments.

    attention_kind: "gate" (each value in 0..1 by itself) or "distribution" (sums to one over the video; it is multiplied
    by the video's length before any threshold, score or statistic, so that long and short videos compare).
    segments: a method's own proposals, or None.
    """

    video: str
    classes: tuple[str, ...]
    timeline: Timeline
    streams: dict[str, StreamActivation]
    attention_kind: Literal["gate", "distribution"] = "gate"
    segments: list[Detection] | None = None


Results = dict[str, list[Detection]]
"""Detections by video. Every localized video is a key, even when nothing was found in it."""
