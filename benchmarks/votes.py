"""What finding the voters costs: `python benchmarks/votes.py [VIDEOS | STORE]...`; nothing: 100, 1,000 and 10,000 videos.

Each size runs in a process of its own, on videos of 200 stretches, 2,048 wide, made as they are read: a video shows some of 100
actions in places of its own, and its stretches follow each other slowly. Making them counts as reading and is told apart. Recall
is the share of the true 15 nearest of other videos that are among the voters, for 200 stretches. CPU seconds and peak memory are
those of the whole process. Run with OMP_NUM_THREADS=1. Of a STORE, a folder of features, it prints the recall only: of all its
stretches, compared in cells against all pairs.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

STRETCHES, WIDTH, ACTIONS, INNER, ASKED = 200, 1024, 100, 48, 200


class Made:
    """In place of a feature store: two streams, the same each time a video is loaded."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.streams = {"rgb": WIDTH, "flow": WIDTH}
        self.actions = rng.standard_normal((ACTIONS, INNER), dtype=np.float32)
        self.basis = {stream: rng.standard_normal((INNER, WIDTH), dtype=np.float32) for stream in self.streams}
        self.falling = 1 / np.sqrt(1 + np.arange(INNER))  # how far stretches vary, direction by direction
        self.noise = 0.5 * np.random.default_rng(2).standard_normal(2**22, dtype=np.float32)  # drawn once, and shifted
        self.seconds = 0.0

    def load(self, video: str, check: bool = True) -> dict[str, np.ndarray]:
        began = time.process_time()
        rng = np.random.default_rng([1, int(video)])
        scene = rng.standard_normal(INNER, dtype=np.float32)
        acts = np.repeat(rng.choice(rng.choice(ACTIONS, 3), STRETCHES // 10), 10)
        shown = rng.random((STRETCHES // 10, 1)).repeat(10, 0) < 0.4
        inner = scene + 2 * self.actions[acts] * shown + rng.standard_normal((STRETCHES, INNER)) * self.falling
        made = {}
        for stream, basis in self.basis.items():
            first = int(rng.integers(len(self.noise) - STRETCHES * WIDTH))
            noise = self.noise[first : first + STRETCHES * WIDTH].reshape(STRETCHES, WIDTH)
            made[stream] = np.maximum(inner.astype(np.float32) @ basis, 0) + noise
        self.seconds += time.process_time() - began
        return made


def true_neighbours(store: Made, videos: list[str], asked: np.ndarray, voters: int) -> np.ndarray:
    """Of the stretches asked, the nearest of other videos at full width."""
    from untrimmed.nn.votes import stretches_of

    def read(chosen: list[str]) -> Iterator[np.ndarray]:
        for video in chosen:
            yield stretches_of(store.load(video), 1)

    x = np.stack([next(read([videos[n // STRETCHES]]))[n % STRETCHES] for n in asked])
    value = np.full((len(x), voters), -np.inf, dtype=np.float32)
    best = np.zeros((len(x), voters), dtype=np.int64)
    for number, rows in enumerate(read(videos)):
        similar = x @ rows.T
        similar[asked // STRETCHES == number] = -np.inf
        value, best = (
            np.concatenate([value, similar], 1),
            np.concatenate([best, np.broadcast_to(number * STRETCHES + np.arange(STRETCHES), similar.shape)], 1),
        )
        keep = np.argpartition(value, -voters, 1)[:, -voters:]
        value, best = np.take_along_axis(value, keep, 1), np.take_along_axis(best, keep, 1)
    return best


def measure(count: int) -> None:
    """Print one row of the table."""
    from untrimmed.nn.votes import EXACT, find_votes, sureness

    store, videos = Made(), [str(number) for number in range(count)]
    began = time.process_time()
    votes = find_votes(store, videos, stretch=1)  # type: ignore[arg-type]
    seconds = time.process_time() - began
    reading, began = store.seconds, time.process_time()
    sureness(votes.of(np.eye(20)[np.arange(count) % 20]))
    voting = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    total = count * STRETCHES
    asked = np.sort(np.random.default_rng(3).choice(total, ASKED, replace=False))
    true = true_neighbours(store, videos, asked, votes.neighbour.shape[1])
    recall = np.mean([len(set(its) & set(votes.neighbour[n])) / len(its) for n, its in zip(asked, true.tolist())])
    way = "all pairs" if total <= EXACT else "cells"
    print(f"| {count:,} | {total:,} | {way} | {seconds - reading:.0f} | {reading:.0f} | {voting:.1f} | {peak:.2f} | {recall:.3f} |")


def recall_of(folder: str) -> None:
    """Print what share of the true voters is found in cells, of all stretches of a store."""
    from untrimmed.data.store import FeatureStore
    from untrimmed.nn.votes import find_votes

    store = FeatureStore(folder)
    videos = sorted(store.videos)
    true, found = (find_votes(store, videos, exact=exact).neighbour for exact in (sys.maxsize, 0))
    recall = np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(true.tolist(), found.tolist())])
    print(f"{folder}: {len(videos)} videos, {len(true):,} stretches, recall {recall:.3f}", flush=True)


def main() -> None:
    for folder in (word for word in sys.argv[1:] if not word.isdigit()):
        recall_of(folder)
    counts = [int(word) for word in sys.argv[1:] if word.isdigit()]
    if sys.argv[1:] and not counts:
        return
    counts = counts or [100, 1_000, 10_000]
    print("| videos | stretches | way | CPU s | making them | votes of a round | peak GiB | recall |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for count in counts:
        subprocess.run([sys.executable, __file__, "--one", str(count)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        main()
