"""What spectral clustering costs: `python benchmarks/clustering.py [N]...`; no number: 200, 2,000, 10,000 and 100,000 descriptors.

Each size runs in a process of its own. The descriptors are like those of videos of RGB and flow, 2 x 1024 wide with parts of length
one: 20 groups, each with a direction of its own in a common cone. CPU seconds and peak memory are those of the whole process. Run
with OMP_NUM_THREADS=1.
"""

import resource
import subprocess
import sys
import time

import numpy as np

WIDTH, GROUPS = 1024, 20


def descriptors(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """[count, 2 WIDTH] float32 and the group of each."""
    rng = np.random.default_rng(seed)
    group = rng.integers(GROUPS, size=count)
    found = np.empty((count, 2 * WIDTH), dtype=np.float32)
    for stream in range(2):
        part = found[:, stream * WIDTH : (stream + 1) * WIDTH]
        part[:] = (1 + 0.5 * rng.standard_normal((GROUPS, WIDTH), dtype=np.float32))[group]
        for begin in range(0, count, 4096):
            rows = part[begin : begin + 4096]
            rows += rng.standard_normal(rows.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return found, group


def measure(count: int) -> None:
    """Print one row of the table."""
    from sklearn.metrics import adjusted_rand_score

    from untrimmed.nn.spectral import EXACT, spectral_clustering

    f, group = descriptors(count)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    began, wall = time.process_time(), time.monotonic()
    labels = spectral_clustering(f, GROUPS)
    seconds, elapsed = time.process_time() - began, time.monotonic() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    way = "exact" if count <= EXACT else "landmarks"
    agreement = adjusted_rand_score(group, labels)
    print(f"| {count:,} | {way} | {seconds:.1f} | {elapsed:.1f} | {held:.2f} | {peak:.2f} | {agreement:.3f} |", flush=True)


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [200, 2_000, 10_000, 100_000]
    print(
        "| descriptors | way | CPU s | s | GiB before | peak GiB | ARI to the groups |\n|---|---|---|---|---|---|---|", flush=True
    )
    for count in counts:
        subprocess.run([sys.executable, __file__, "--one", str(count)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        main()
