"""Smaller data sets: `python benchmarks/subsets.py DATA --out OUT` writes shares of its videos and of its trimmed clips.

DATA holds labels.csv and trimmed.csv. OUT gets `only-NN.csv` (for `train --only`) and `trimmed-NN.csv` (for `--trimmed-labels`), NN
being the share in per cent. Labels are as frequent in a share as in the whole, every label is in each, and a smaller share is part
of a larger one, so that more data are never other data. The draw depends on nothing but --seed.
"""

import argparse
import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np

from untrimmed.data.files import atomic_write
from untrimmed.data.labels import read_labels, write_labels

SHARES = (10, 25, 50, 100)


def in_order(tags: dict[str, frozenset[str]], seed: int) -> list[str]:
    """All ids, such that any first part of them has each set of labels about as often as the whole, and soon every label."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in sorted(tags):
        groups[tuple(sorted(tags[name]))].append(name)
    rng, ranked = np.random.default_rng(seed), []
    for _, names in sorted(groups.items()):
        shift = rng.random()
        ranked += [((place + shift) / len(names), names[i]) for place, i in enumerate(rng.permutation(len(names)))]
    names, seen, first = [name for _, name in sorted(ranked)], set(), []
    for name in names:
        if tags[name] - seen:
            first.append(name)
            seen |= tags[name]
    return first + [name for name in names if name not in first]


def share_of(tags: dict[str, frozenset[str]], percent: int, seed: int) -> list[str]:
    """So much of all ids, rounded up, but at least until every label is there."""
    ordered, seen, least = in_order(tags, seed), set(), 0
    for place, name in enumerate(ordered, 1):
        if tags[name] - seen:
            seen, least = seen | tags[name], place
    return sorted(ordered[: max(least, math.ceil(len(ordered) * percent / 100))])


def main() -> None:
    """Write the subsets."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    videos, clips = read_labels(given.data / "labels.csv").tags, read_labels(given.data / "trimmed.csv").tags
    given.out.mkdir(parents=True, exist_ok=True)
    for percent in SHARES:
        with atomic_write(given.out / f"only-{percent}.csv") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["video"])
            writer.writerows([video] for video in share_of(videos, percent, given.seed))
        kept = share_of(clips, percent, given.seed)
        write_labels(
            given.out / f"trimmed-{percent}.csv", [(clip, label) for clip in kept for label in sorted(clips[clip]) or [""]]
        )


if __name__ == "__main__":
    main()
