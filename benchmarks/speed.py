"""How fast the program is, against the limits it sets itself: `python benchmarks/speed.py [SECTION]...`; no section: all.

Every section is one function that returns its lines. Run on an idle machine with OMP_NUM_THREADS=1.
"""

import sys
import time
from collections.abc import Callable

import numpy as np


def evaluator() -> list[str]:
    """CPU seconds to score 100,000 detections in memory: 212 videos, 20 classes, 9 thresholds, one thread. Limit: 1 s.

    THUMOS14's proportions: about 16 true segments per video, most videos of one class. Two mixtures: detections of the
    video's own classes, near the truth (hard: many rivals for each segment), and of any class anywhere (most of them wrong).
    """
    from untrimmed.data.annotations import VideoTruth
    from untrimmed.data.types import Detection, Segment
    from untrimmed.evaluation.activitynet import evaluate_detections

    random = np.random.default_rng(0)
    classes = [f"class_{c:02d}" for c in range(20)]
    truth = {}
    for v in range(212):
        own = random.choice(classes, size=1 + (random.random() < 0.15), replace=False)
        starts, lengths = random.uniform(0, 300, 1 + random.geometric(1 / 16)), random.uniform(1, 8, 400)
        segments = tuple(Segment(float(s), float(s + n), str(random.choice(own))) for s, n in zip(starts, lengths, strict=False))
        truth[f"video_{v:03d}"] = VideoTruth("test", 310.0, segments)

    def near(segments: tuple[Segment, ...]) -> Detection:
        start, end, label = segments[random.integers(len(segments))]
        start, end = sorted((start + random.normal(0, 1), end + random.normal(0, 1)))
        return Detection(start, end, label, random.random())

    def anywhere() -> Detection:
        start = random.uniform(0, 300)
        return Detection(start, start + random.uniform(1, 8), classes[random.integers(20)], random.random())

    lines = []
    for name, share in (("near the truth", 1.0), ("half of them", 0.5), ("anywhere", 0.0)):
        results = {
            video: [
                near(one.segments) if random.random() < share else anywhere() for _ in range(100_000 // 212 + (v < 100_000 % 212))
            ]
            for v, (video, one) in enumerate(truth.items())
        }
        count = sum(map(len, results.values()))
        seconds = []
        for _ in range(5):
            began = time.process_time()
            scores = evaluate_detections(truth, results, classes, [round(0.1 * k, 1) for k in range(1, 10)])
            seconds.append(time.process_time() - began)
        lines.append(
            f"evaluator, {count} detections {name} ({scores.instances} true segments): "
            f"{np.median(seconds):.2f} CPU s (limit 1.00), average mAP {scores.average:.3f}"
        )
    return lines


SECTIONS: dict[str, Callable[[], list[str]]] = {"evaluator": evaluator}


def main(names: list[str]) -> None:
    if unknown := [name for name in names if name not in SECTIONS]:
        sys.exit(f"no section {unknown[0]!r}; there is {', '.join(SECTIONS)}")
    for name in names or SECTIONS:
        for line in SECTIONS[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
