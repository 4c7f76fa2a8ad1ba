"""What someone meets who looks at every detection above one score: how many are right, and how much is missed.

Two readings, class by class in each video:
- at a tIoU: the pairs of the protocol `activitynet` (a true segment is found once, a second detection of it is a false alarm);
- at any overlap: a detection is right if it touches a true segment of its class at all, and a segment is found if any detection
  touches it. This is what counts for someone who only wants to be led to the place.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.types import Results
from untrimmed.evaluation.activitynet import evaluate_detections


@dataclass(frozen=True)
class Reading:
    """Right and wrong detections, hit and missed segments.

    right, wrong:  number of detections.
    hit, missed:   number of true segments.
    hours:         length of all videos, or None where a duration is not known.
    """

    right: int
    wrong: int
    hit: int
    missed: int
    hours: float | None

    @property
    def precision(self) -> float | None:
        """Share of the detections that are right; None where there is none."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float:
        """Share of the true segments that are found."""
        return self.hit / (self.hit + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without a detection."""
        precision = self.precision or 0.0
        return 2 * precision * self.recall / (precision + self.recall) if precision + self.recall else 0.0

    @property
    def false_alarms_per_hour(self) -> float | None:
        """Wrong detections per hour of video; None where the length is not known."""
        return self.wrong / self.hours if self.hours else None


@dataclass(frozen=True)
class OperatingPoint:
    """What detections that score at least `min_score` are worth.

    at_tiou, at_any_overlap: see `Reading`; `tiou` is the first one's threshold.
    empty, silent: videos without a true segment, and how many of them have no such detection.
    """

    min_score: float
    tiou: float
    at_tiou: Reading
    at_any_overlap: Reading
    empty: int
    silent: int

    @property
    def silent_share(self) -> float | None:
        """Share of the empty videos without a detection; None where no video is empty."""
        return self.silent / self.empty if self.empty else None

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not defined is None."""
        readings = {"tiou": self.at_tiou, "any_overlap": self.at_any_overlap}
        return {
            "min_score": self.min_score,
            "tiou": self.tiou,
            **{
                f"at_{name}": {
                    "right": reading.right,
                    "wrong": reading.wrong,
                    "found": reading.hit,
                    "missed": reading.missed,
                    "precision": reading.precision,
                    "recall": reading.recall,
                    "f1": reading.f1,
                    "false_alarms_per_hour": reading.false_alarms_per_hour,
                }
                for name, reading in readings.items()
            },
            "empty_videos": self.empty,
            "silent_empty_videos": self.silent,
            "silent_share": self.silent_share,
        }


def operating_point(
    truth: Mapping[str, VideoTruth], results: Results, classes: Iterable[str], min_score: float, tiou: float = 0.5
) -> OperatingPoint:
    """Judge the detections that score at least `min_score`.

    Args:
        truth: the videos of the subset.
        results: detections by video; those of other videos are ignored.
        classes: every label of the annotation file.

    Raises:
        InputError: as `evaluate_detections`.
    """
    kept = {video: [d for d in detections if d.score >= min_score] for video, detections in results.items() if video in truth}
    count = sum(map(len, kept.values()))
    instances = sum(len(of_video.segments) for of_video in truth.values())
    durations = [of_video.duration for of_video in truth.values()]
    hours = None if None in durations else sum(d for d in durations if d is not None) / 3600
    paired = int(evaluate_detections(truth, kept, classes, [tiou]).hits.sum())
    right = hit = 0
    for video, of_video in truth.items():
        detections = kept.get(video, [])
        right += sum(any(_touch(d, s) for s in of_video.segments) for d in detections)
        hit += sum(any(_touch(d, s) for d in detections) for s in of_video.segments)
    empty = [video for video, of_video in truth.items() if not of_video.segments]
    return OperatingPoint(
        min_score,
        tiou,
        Reading(paired, count - paired, paired, instances - paired, hours),
        Reading(right, count - right, hit, instances - hit, hours),
        len(empty),
        sum(not kept.get(video) for video in empty),
    )


def _touch(detection: Any, segment: Any) -> bool:
    """Of one class, and with some time in common."""
    common = min(detection.end, segment.end) - max(detection.start, segment.start)
    return detection.label == segment.label and common > 0
