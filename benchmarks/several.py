"""Videos of several actions each: `python benchmarks/several.py DATA --features DIR --out OUT` puts them together anew.

DATA holds labels.csv and annotations.json. Of its *training* videos every action is cut out with some of what surrounds
it; three to five of different labels, one after the other, are a new video. Two thirds of the training videos give the
new training videos, the others the new test videos, so that the test videos of DATA are not touched. OUT gets features,
labels.csv and annotations.json. The draw depends on nothing but --seed.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from stretch import Piece, write
from untrimmed.data.annotations import VideoTruth, read_annotations, write_annotations
from untrimmed.data.labels import read_labels, write_labels
from untrimmed.data.store import FeatureStore, FeatureWriter

AROUND = 10
"""Most snippets that are taken along on each side of an action."""
FEWEST, MOST = 3, 5
"""Actions in a video."""


def actions_of(video: str, truth: VideoTruth, store: FeatureStore) -> list[tuple[str, list[Piece]]]:
    """Each action's label, and its pieces: before it, itself, and behind it, half-way to the next action at most."""
    timeline = store.timeline(video)
    middle = (timeline.edges[:-1] + timeline.edges[1:]) / 2
    ordered = sorted(truth.segments, key=lambda segment: segment.start)
    spans = [np.searchsorted(middle, (segment.start, segment.end)) for segment in ordered]
    ends = [0, *((a[1] + b[0]) // 2 for a, b in zip(spans, spans[1:])), timeline.count]
    found = []
    for segment, (first, last), before, behind in zip(ordered, spans, ends, ends[1:]):
        edges = (max(before, first - AROUND), first, last, min(behind, last + AROUND))
        labels = (None, segment.label, None)
        pieces = [Piece(video, np.arange(a, b), label) for a, b, label in zip(edges, edges[1:], labels) if b > a]
        if last > first:
            found.append((segment.label, pieces))
    return found


def videos_of(actions: list[tuple[str, list[Piece]]], rng: np.random.Generator) -> list[list[Piece]]:
    """Every action in one video, as long as there are enough of different labels."""
    left: dict[str, list[list[Piece]]] = defaultdict(list)
    for number in rng.permutation(len(actions)):
        label, pieces = actions[number]
        left[label].append(pieces)
    made = []
    while len(left) >= FEWEST:
        count = min(int(rng.integers(FEWEST, MOST + 1)), len(left))
        most = sorted(left, key=lambda label: (-len(left[label]), rng.random()))[:count]  # so that the labels run out together
        made.append([piece for label in rng.permutation(most) for piece in left[label].pop()])
        left = defaultdict(list, {label: its for label, its in left.items() if its})
    return made


def main() -> None:
    """Write the videos."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    store, truth = FeatureStore(given.features), read_annotations(given.data / "annotations.json")
    rng = np.random.default_rng(given.seed)
    sources = rng.permutation(sorted(read_labels(given.data / "labels.csv").tags))
    writer, made = FeatureWriter(given.out / "features", store.header), {}
    parts = np.split(sources, [2 * len(sources) // 3])
    for subset, videos in zip(("train", "test"), parts):
        actions = [action for video in videos for action in actions_of(video, truth.videos[video], store)]
        for number, pieces in enumerate(videos_of(actions, rng)):
            made[f"{subset}_{number:03}"] = write(f"{subset}_{number:03}", subset, pieces, store, writer)
    writer.compact()
    write_annotations(given.out / "annotations.json", made, f"{given.data.name}, several actions a video")
    train = {video: its for video, its in made.items() if its.subset == "train"}
    write_labels(given.out / "labels.csv", [(v, label) for v in train for label in sorted({s.label for s in train[v].segments})])
    share = np.mean([sum(s.end - s.start for s in t.segments) / t.duration for t in made.values()])
    print(f"{given.out}: {len(made)} videos, {len(train)} to train on; actions fill {share:.1%} of them")


if __name__ == "__main__":
    main()
