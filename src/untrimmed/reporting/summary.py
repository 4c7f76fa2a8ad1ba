"""What was detected, in a few lines for the terminal: by class, and what each video as a whole shows."""

from collections.abc import Mapping, Sequence

import numpy as np

from untrimmed.console import columns
from untrimmed.data.types import Detection, Results

SHOWN = 10
"""Videos whose scores are shown, before "and N more"."""


def by_class(results: Results, classes: Sequence[str], score_cut: float | None = None) -> list[str]:
    """A table with a row per class: detections, the minutes that they cover, and the videos that they are in; with a score cut
    the same of those above it."""
    head = ["class", "detections", "minutes", "videos"]
    if score_cut is not None:
        head += [f"above {score_cut:g}", "minutes", "videos"]
    rows = []
    for label in classes:
        row = [label, *_counted(results, label, None)]
        rows.append(row if score_cut is None else row + _counted(results, label, score_cut))
    return columns(head, rows)


def by_video(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table with a row per video: its three likeliest classes, with their scores."""
    rows = []
    for video, of_video in list(scores.items())[:SHOWN]:
        best = sorted(of_video.items(), key=lambda item: -item[1])[:3]
        rows.append((video, ", ".join(f"{label} {score:.2f}" for label, score in best)))
    more = [f"... and {len(scores) - SHOWN} more"] if len(scores) > SHOWN else []
    return [*columns(("video", "video-level scores"), rows), *more]


def covered(detections: Sequence[Detection]) -> float:
    """Seconds that lie in at least one of the detections of a video."""
    total, until = 0.0, -np.inf
    for d in sorted(detections, key=lambda d: d.start):
        total += max(0.0, d.end - max(d.start, until))
        until = max(until, d.end)
    return total


def _counted(results: Results, label: str, least: float | None) -> list[str]:
    chosen = [[d for d in of_video if d.label == label and (least is None or d.score >= least)] for of_video in results.values()]
    minutes = sum(map(covered, chosen)) / 60
    return [str(sum(map(len, chosen))), f"{minutes:.1f}", str(sum(map(bool, chosen)))]
