"""How hard the demo's world is: `python benchmarks/demo_world.py --out OUT` prints a section of RESULTS.md.

Draws world seeds 1 to 5, on which the world and the preset `demo` were developed, and runs on each what `untrimmed demo` runs;
seed 0, which the demo shows, is not used. DGAM is compared with its two baselines, DGAM without the generative part, and a fully
supervised linear classifier of snippets. If interrupted, run the same command again to resume.
"""

import argparse
from pathlib import Path

import numpy as np

from baselines import TIOUS, Data, Training, called, found_by, table, train_all, with_true_times
from untrimmed.jobs.demo import demo

HALF = TIOUS.index(0.5)
LOWEST, HIGHEST, MARGIN = 0.2, 0.7, 0.1  # of mAP@0.5: neither hopeless nor a toy, and what full supervision must add


def run_seed(out: Path, seed: int, workers: int) -> dict[str, np.ndarray]:
    """mAP at `TIOUS` by name, on the world of one seed."""
    folder = out / f"seed-{seed}"
    rows = {name: np.array(row) for name, row in demo(folder, seed=seed, workers=workers).rows.items()}
    data = Data(folder / "features", folder / "world" / "labels.csv", folder / "world" / "annotations.json")
    without = Training(folder / "dgam-without", data, "demo", {"gam": False}, seed)
    train_all([without], workers=1)
    rows["without generative modelling"] = data.score(found_by(without)[0]).mean_ap
    rows["fully supervised"] = with_true_times(data, without.resolved.localization, folder / "supervised.json").mean_ap
    return rows


def faults(rows: dict[str, np.ndarray], seed: int) -> list[str]:
    """What of a seed's results is not as the demo promises."""
    dgam, supervised = rows["dgam"], rows["fully supervised"]
    found = []
    if not LOWEST <= dgam[HALF] <= HIGHEST:
        found.append(f"seed {seed}: mAP@0.5 of {dgam[HALF]:.3f} is not between {LOWEST} and {HIGHEST}")
    if supervised[HALF] < dgam[HALF] + MARGIN:
        found.append(f"seed {seed}: full supervision adds only {supervised[HALF] - dgam[HALF]:.3f} at 0.5")
    for name in ("random segments", "the whole video"):
        found += [f"seed {seed}: {name} reach DGAM at {t:g}" for t, own, other in zip(TIOUS, dgam, rows[name]) if own <= other]
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the worlds; run the same command again to resume")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--workers", type=int, default=2, help="processes that draw and extract")
    asked = parser.parse_args(argv)
    by_seed = {seed: run_seed(asked.out, seed, asked.workers) for seed in asked.seeds}

    names = list(next(iter(by_seed.values())))
    print(f"`python benchmarks/demo_world.py --out OUT --seeds {' '.join(map(str, asked.seeds))}`, mean ± standard deviation\n")
    print("\n".join(table({name: np.stack([rows[name] for rows in by_seed.values()]) for name in names})))
    print("\nmAP@0.5 by seed:\n")
    print("| seed | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for seed, rows in by_seed.items():
        print(f"| {seed} | " + " | ".join(f"{100 * rows[name][HALF]:.1f}" for name in names) + " |")
    broken = [fault for seed, rows in by_seed.items() for fault in faults(rows, seed)]
    print("\nNot as promised: " + "; ".join(broken) if broken else "\nAll as the demo promises.")


if __name__ == "__main__":
    called(main)
