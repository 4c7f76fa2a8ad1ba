"""What corrections are worth, and whether the queue of `untrimmed review` chooses well, without a person.

`python benchmarks/review_loop.py DATA --features DIR --out OUT --seeds N` trains self-training from the labels of DATA and
corrects its *training* videos as a person would: always the next video of the queue, from the ground truth, all its segments or a
point inside each. After 1, 2, 4, 8, 16 videos a student is taught by `untrimmed refine`, and the queue made anew from what it
says. Beside it stand videos that are drawn at random. Test videos are looked at by the evaluation alone.

It prints a table of mAP in per cent at tIoU 0.5 and keeps all values in OUT/results.csv, which `review_loop_plot.py` draws. Run it
again to go on: what is in OUT is not made again.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from untrimmed.console import note
from untrimmed.data.annotations import Annotations, read_annotations, read_detections
from untrimmed.data.corrections import Corrections, Point, entry_of
from untrimmed.data.files import write_json
from untrimmed.data.labels import read_labels
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize
from untrimmed.jobs.refine import refine
from untrimmed.jobs.train import train
from untrimmed.reviewing.queue import worth_a_look
from untrimmed.reviewing.source import stored_activations

CORRECTED = (0, 1, 2, 4, 8, 16)
ORDERS = ("queue", "random")
MARKS = ("segments", "points")


def marks_of(truth: Annotations, videos: Sequence[str], marks: str) -> dict[str, Corrections]:
    """What a person writes down of these videos: every segment, and that nothing else is there; or the middle of every segment."""
    made = {}
    for video in videos:
        segments = truth.videos[video].segments
        points = tuple(Point((s.start + s.end) / 2, s.label) for s in segments)
        made[video] = Corrections(segments, checked=True) if marks == "segments" else Corrections(points=points)
    return made


def in_order(run: Path, features: Path, only: Path, order: str, videos: Sequence[str], seed: int) -> list[str]:
    """All training videos, the next one first: by the queue of what the run says of them, or at random."""
    if order == "random":
        return list(np.random.default_rng(seed).permutation(sorted(videos)))
    out = run.with_name(f"{run.name}-training.json")
    if not out.exists():
        localize(run, features=features, out=out, subset_from=only, subset="train")
    results = {video: its for video, its in read_detections(out).results.items() if video in set(videos)}
    return [look.video for look in worth_a_look(results, stored_activations(out))]


def score(run: Path, features: Path, annotations: Path) -> float:
    """mAP at tIoU 0.5 on the test videos."""
    out = run.with_name(f"{run.name}-test.json")
    if not out.exists():
        localize(run, features=features, out=out, subset_from=annotations, subset="test")
    return evaluate(out, annotations=annotations, subset="test", tiou="0.5").scores.average


def corrected(data: Path, features: Path, out: Path, order: str, marks: str, seed: int) -> dict[int, float]:
    """mAP after so many corrected videos."""
    annotations, labels = data / "annotations.json", data / "labels.csv"
    truth, videos = read_annotations(annotations), sorted(read_labels(labels).tags)
    run = first = out / f"seed{seed}"
    if not (first / "model" / "model.json").exists():
        train("selftrain", features=features, labels=labels, out=first, seed=seed, force=True)
    chosen: list[str] = []
    scores = {}
    for count in CORRECTED:
        if count > len(videos):
            break
        if count:
            following = in_order(run, features, annotations, order, videos, seed)
            chosen += [video for video in following if video not in chosen][: count - len(chosen)]
            run = out / f"seed{seed}-{order}-{marks}-{count}"
            if not (run / "model" / "model.json").exists():
                said = {"database": {video: entry_of(its) for video, its in marks_of(truth, chosen, marks).items()}}
                write_json(run.with_name(f"{run.name}-marks.json"), said)
                refine(first, out=run, annotations=run.with_name(f"{run.name}-marks.json"), seed=seed, force=True)
        scores[count] = score(run, features, annotations)
        note(f"seed {seed}, {order}, {marks}: {count} videos, {100 * scores[count]:.1f}")
    return scores


def main() -> None:
    """Correct, teach, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--marks", nargs="+", choices=MARKS, default=MARKS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    values: dict[tuple[str, str], dict[int, list[float]]] = {}
    with open(given.out / "results.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["order", "marks", "seed", "videos", "mAP@0.5"])
        for order in ORDERS:
            for marks in given.marks:
                of_counts = values[order, marks] = defaultdict(list)
                for seed in range(given.seeds):
                    for count, value in corrected(given.data, given.features, given.out, order, marks, seed).items():
                        rows.writerow([order, marks, seed, count, f"{value:.4f}"])
                        of_counts[count].append(100 * value)
    counts = list(next(iter(values.values())))
    print(f"| corrected videos | {' | '.join(map(str, counts))} |\n|---|{'---:|' * len(counts)}")
    for (order, marks), of_counts in values.items():
        print(f"| {order}, {marks} | {' | '.join(_spread(of_counts[count]) for count in counts)} |")


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


if __name__ == "__main__":
    main()
