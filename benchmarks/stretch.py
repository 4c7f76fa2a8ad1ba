"""Videos in which the action is rare: `python benchmarks/stretch.py DATA --features DIR --out OUT` stretches a data set's videos.

DATA holds labels.csv and annotations.json. Of each label's actions in a video one is kept, and background of other videos of the
same subset is put in between the video's own pieces until the actions fill --share of it; videos without action get as long as the
others are on average. Videos are put together from features, as `make_splice.py` of the data's tools does from clips. OUT gets
features, labels.csv and annotations.json. The draw depends on nothing but --seed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from untrimmed.data.annotations import VideoTruth, read_annotations, write_annotations
from untrimmed.data.labels import read_labels, write_labels
from untrimmed.data.store import FeatureStore, FeatureWriter, VideoEntry
from untrimmed.data.types import Segment

LONGEST, SHORTEST = 12, 3
"""Snippets of a piece of background that is put into another video."""


@dataclass(frozen=True)
class Piece:
    """Snippets of a video that follow each other, and what happens in them: a label, or None."""

    video: str
    rows: np.ndarray
    label: str | None


def pieces_of(video: str, truth: VideoTruth, store: FeatureStore, rng: np.random.Generator) -> list[Piece]:
    """The video's background, and of each label the snippets of one of its actions, drawn at random, in order of time."""
    timeline = store.timeline(video)
    middle = (timeline.edges[:-1] + timeline.edges[1:]) / 2
    action = np.full(timeline.count, -1)
    for number, segment in enumerate(truth.segments):
        action[(middle >= segment.start) & (middle < segment.end)] = number
    kept = set()
    for label in sorted({segment.label for segment in truth.segments}):
        its = [n for n, segment in enumerate(truth.segments) if segment.label == label and (action == n).any()]
        kept |= {int(rng.choice(its))} if its else set()
    runs = np.split(np.arange(timeline.count), np.flatnonzero(np.diff(action)) + 1)
    return [
        Piece(video, rows, None if action[rows[0]] < 0 else truth.segments[action[rows[0]]].label)
        for rows in runs
        if action[rows[0]] < 0 or action[rows[0]] in kept
    ]


def stretched(own: list[Piece], pool: Sequence[Piece], snippets: int, rng: np.random.Generator) -> list[Piece]:
    """The video's own pieces with background of the pool between them, until they are as many snippets."""
    pieces = list(own)
    total = sum(len(piece.rows) for piece in pieces)
    while total < snippets:
        piece = pool[rng.integers(len(pool))]
        pieces.insert(int(rng.integers(len(pieces) + 1)), piece)
        total += len(piece.rows)
    return pieces


def write(video: str, subset: str, pieces: Sequence[Piece], store: FeatureStore, writer: FeatureWriter) -> VideoTruth:
    """Write the features of the pieces one after the other; returns where the actions are then."""
    loaded = {name: store.load(name) for name in {piece.video for piece in pieces}}
    arrays = {stream: np.concatenate([loaded[piece.video][stream][piece.rows] for piece in pieces]) for stream in store.streams}
    edges = np.cumsum([0, *(len(piece.rows) for piece in pieces)]) * store.header.stride_seconds
    writer.write(video, arrays, VideoEntry(sum(len(piece.rows) for piece in pieces), float(edges[-1])))
    segments = [Segment(float(a), float(b), piece.label) for piece, a, b in zip(pieces, edges, edges[1:]) if piece.label]
    return VideoTruth(subset, float(edges[-1]), tuple(segments))


def main() -> None:
    """Write the stretched videos."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    store, truth = FeatureStore(given.features), read_annotations(given.data / "annotations.json")
    tags, rng = read_labels(given.data / "labels.csv").tags, np.random.default_rng(given.seed)
    writer, made = FeatureWriter(given.out / "features", store.header), {}
    for subset in truth.subsets:
        own = {
            video: pieces_of(video, its, store, rng) for video, its in sorted(truth.subset(subset).items()) if video in store.videos
        }
        pool = [
            Piece(piece.video, piece.rows[first : first + LONGEST], None)
            for pieces in own.values()
            for piece in pieces
            for first in range(0, len(piece.rows), LONGEST)
            if piece.label is None and len(piece.rows[first : first + LONGEST]) >= SHORTEST
        ]
        acting = {video: sum(len(piece.rows) for piece in pieces if piece.label) for video, pieces in own.items()}
        usual = int(np.mean([count for count in acting.values() if count]) / given.share)
        for video, pieces in own.items():
            length = round(acting[video] / given.share) or usual
            made[video] = write(video, subset, stretched(pieces, pool, length, rng), store, writer)
    writer.compact()
    write_annotations(given.out / "annotations.json", made, f"{given.data.name}, stretched")
    write_labels(given.out / "labels.csv", [(v, label) for v in sorted(tags) if v in made for label in sorted(tags[v]) or [""]])
    share = np.mean([sum(s.end - s.start for s in t.segments) / t.duration for t in made.values() if t.segments])
    print(f"{given.out}: {len(made)} videos; where there is action it fills {share:.1%}")


if __name__ == "__main__":
    main()
