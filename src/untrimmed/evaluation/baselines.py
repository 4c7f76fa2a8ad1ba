"""Two baselines that name the actions as a method does, and know nothing of when."""

from collections.abc import Sequence

import numpy as np

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.types import Detection, Results
from untrimmed.evaluation.activitynet import evaluate_detections

RANDOM_DRAWS = 20


def whole_video(
    named: dict[str, dict[str, float]],
    durations: dict[str, float],
    truth: dict[str, VideoTruth],
    classes: tuple[str, ...],
    tious: Sequence[float],
) -> list[float]:
    """mAP at `tious` when each video as a whole is the action."""
    results = {v: [Detection(0.0, durations[v], label, score) for label, score in scores.items()] for v, scores in named.items()}
    return evaluate_detections(truth, results, classes, tious).mean_ap.tolist()


def random_segments(
    detected: Results,
    named: dict[str, dict[str, float]],
    durations: dict[str, float],
    truth: dict[str, VideoTruth],
    classes: tuple[str, ...],
    tious: Sequence[float],
    seed: int,
) -> list[float]:
    """mAP at `tious` of segments at random places, the mean of `RANDOM_DRAWS` draws.

    A hard one to beat: there are as many in each video as the method found, and as long as those that it found somewhere.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array([d.end - d.start for detections in detected.values() for d in detections] or [1.0])
    total = np.zeros(len(tious))
    for _ in range(RANDOM_DRAWS):
        results: Results = {}
        for video, scores in named.items():
            results[video] = []
            for label, score in scores.items():
                count = max(sum(d.label == label for d in detected[video]), 1)
                length = np.minimum(rng.choice(lengths, count), durations[video])
                start = rng.uniform(0, durations[video] - length)
                results[video] += [Detection(float(s), float(s + n), label, score) for s, n in zip(start, length)]
        total += evaluate_detections(truth, results, classes, tious).mean_ap
    return (total / RANDOM_DRAWS).tolist()
