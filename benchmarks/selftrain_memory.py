"""What self-training needs of memory: `python benchmarks/selftrain_memory.py FOLDER [VIDEOS...]`; nothing: 100, 1,000, 10,000.

Each size runs in a process of its own, on videos of 1,000 snippets in two streams, 2,048 wide in all, float16. A hundred of them
are made, the others are links to these, so that the disk holds 400 MB and not 41 GB; to the program they are 10,000 files that it
reads one after the other. Two rounds; a round more reads all of them once more. CPU seconds and peak memory are those of the whole
process. Run with OMP_NUM_THREADS=1.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SNIPPETS, WIDTH, CLASSES, DISTINCT = 1000, 1024, 8, 100
SIZES = (100, 1000, 10_000)


def make(folder: Path, videos: int) -> tuple[Path, Path]:
    """A store and its labels: the action's direction is in a fifth of a video's snippets."""
    from untrimmed.data.labels import write_labels
    from untrimmed.data.store import FeatureWriter, Header, VideoEntry

    rng = np.random.default_rng(0)
    store, streams = folder / f"features-{videos}", {"rgb": WIDTH, "flow": WIDTH}
    names = [f"v{number:05}" for number in range(videos)]
    labels = folder / f"labels-{videos}.csv"
    write_labels(labels, ((name, f"act{number % DISTINCT % CLASSES}") for number, name in enumerate(names)))
    if (store / "features.json").exists():
        return store, labels
    actions = rng.standard_normal((CLASSES, WIDTH)).astype(np.float32)
    writer = FeatureWriter(store, Header("made", {}, 1.0, 1.0, streams))
    for number, name in enumerate(names[:DISTINCT]):
        shown = (np.arange(SNIPPETS) // 50 % 5 == number % 5)[:, None]
        x = {s: rng.standard_normal((SNIPPETS, WIDTH), dtype=np.float32) + actions[number % CLASSES] * shown for s in streams}
        writer.write(name, {s: rows.astype(np.float16) for s, rows in x.items()}, VideoEntry(SNIPPETS, float(SNIPPETS)))
    writer.compact()
    from untrimmed.data.files import read_json, write_json

    head = read_json(store / "features.json")
    for number, name in enumerate(names[DISTINCT:], DISTINCT):
        same = names[number % DISTINCT]
        for stream in streams:
            os.link(store / stream / f"{same}.npy", store / stream / f"{name}.npy")
        head["videos"][name] = head["videos"][same]
    write_json(store / "features.json", head)
    return store, labels


def measure(folder: Path, videos: int) -> None:
    """Train, and print a row."""
    from untrimmed.jobs.train import train

    store, labels = make(folder, videos)
    began = time.process_time()
    train("selftrain", features=store, labels=labels, out=folder / f"run-{videos}", settings={"rounds": 2}, workers=1, force=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| {videos:,} | {time.process_time() - began:.0f} | {peak:.2f} |", flush=True)


def main() -> None:
    """A table, a row for each size."""
    folder, sizes = Path(sys.argv[1]), [int(size) for size in sys.argv[2:]] or list(SIZES)
    if len(sizes) == 1 and "AS_CHILD" in os.environ:
        return measure(folder, sizes[0])
    print("| videos | CPU s | peak GiB |\n|---:|---:|---:|", flush=True)
    for size in sizes:
        subprocess.run([sys.executable, __file__, str(folder), str(size)], env={**os.environ, "AS_CHILD": "1"}, check=True)


if __name__ == "__main__":
    main()
