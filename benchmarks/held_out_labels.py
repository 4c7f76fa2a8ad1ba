"""What trained networks know of the labels of videos that they have not seen: `python benchmarks/held_out_labels.py STORE LABELS
METHOD...` prints a table.

The training videos are dealt into five folds, as often as `--splits` says; each method learns from four folds, with its preset
`default`, and ranks the videos of the fifth by their class scores, mean of the streams. The AUC of the ranks, mean over folds and
classes that a fold both holds and lacks: 0.5 is chance. No time, and no test video, is looked at.
"""

import argparse
import tempfile
from contextlib import redirect_stderr
from os import devnull
from pathlib import Path

import numpy as np

from untrimmed.data.labels import read_labels
from untrimmed.evaluation.attention import chance_above
from untrimmed.jobs.train import train
from untrimmed.runs.infer import activations_of_run

FOLDS = 5


def deal(tags: dict[str, set[str]], seed: int) -> dict[str, int]:
    """The fold of each video, the videos of the same labels spread over all."""
    shuffled = np.random.default_rng(seed).permutation(sorted(tags))
    order = sorted(shuffled, key=lambda video: sorted(tags[video]))  # stable: shuffled within the same labels
    return {str(video): place % FOLDS for place, video in enumerate(order)}


def auc(score: np.ndarray, present: np.ndarray) -> float:
    """The chance that a video with the label ranks above one without; NaN where all or none have it."""
    return chance_above(score[present], score[~present]) if 0 < present.sum() < len(present) else float("nan")


def of_split(method: str, features: Path, labels: Path, seed: int) -> float:
    """The mean AUC of one dealing of the videos."""
    tags = {video: set(its) for video, its in read_labels(labels).tags.items()}
    classes = sorted(set().union(*tags.values()))
    fold, found = deal(tags, seed), []
    for number in range(FOLDS):
        seen = {video: sorted(its) for video, its in tags.items() if fold[video] != number}
        with tempfile.TemporaryDirectory() as folder, open(devnull, "w") as nowhere, redirect_stderr(nowhere):
            run = Path(folder) / "run"
            train(method, features=features, labels=seen, classes=classes, out=run, seed=seed)
            activations, _, _ = activations_of_run(run, features, tags.keys() - seen.keys(), {}, "cpu")
        score = np.array([np.mean([s.class_score for s in a.streams.values()], axis=0) for a in activations])
        present = np.array([[name in tags[a.video] for name in classes] for a in activations])
        found += [auc(score[:, c], present[:, c]) for c in range(len(classes))]
    return float(np.nanmean(found))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, metavar="STORE")
    parser.add_argument("labels", type=Path, metavar="LABELS")
    parser.add_argument("methods", nargs="+", metavar="METHOD")
    parser.add_argument("--splits", type=int, default=3)
    asked = parser.parse_args(argv)
    print("| | AUC of held-out labels |\n|---|---:|", flush=True)
    for method in asked.methods:
        found = [of_split(method, asked.features, asked.labels, seed) for seed in range(asked.splits)]
        print(f"| {method} | {np.mean(found):.2f} ± {np.std(found, ddof=1) if len(found) > 1 else 0:.2f} |", flush=True)


if __name__ == "__main__":
    main()
