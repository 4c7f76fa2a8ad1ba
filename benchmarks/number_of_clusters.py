"""How well each number of clusters agrees with the votes: `python benchmarks/number_of_clusters.py STORE... --plot FILE.png`.

STORE is a folder of features, or `FOLDER=LABELS.csv` to look at the videos in the labels' column `video` alone, whose tags are not
read. Prints, for each store, the number with the highest modularity and those whose modularity is 95 % of it or more.
"""

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt

from untrimmed.data.store import FeatureStore
from untrimmed.nn.votes import descriptors, find_votes, score_numbers
from untrimmed.training.rounds import ALIKE


def scores_of(place: str) -> dict[int, float]:
    """The modularity by number of clusters."""
    folder, _, labels = place.partition("=")
    store = FeatureStore(folder)
    videos = sorted(store.videos)
    if labels:
        with open(labels, encoding="utf-8", newline="") as stream:
            videos = sorted({row["video"] for row in csv.DictReader(stream)})
    return score_numbers(find_votes(store, videos), descriptors(store, videos))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", metavar="STORE")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    given = parser.parse_args()
    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    print("| features | clusters | about as well | modularity |\n|---|---|---|---|")
    for place in given.stores:
        scores = scores_of(place)
        best = max(scores, key=lambda number: scores[number])
        alike = [number for number, score in scores.items() if score >= ALIKE * scores[best]]
        name = place.partition("=")[0]
        print(f"| {name} | {best} | {min(alike)} to {max(alike)} | {scores[best]:.3f} |", flush=True)
        axes.plot(list(scores), list(scores.values()), marker=".", label=name)
        axes.plot(best, scores[best], marker="o", color=axes.lines[-1].get_color())
    axes.set(xlabel="clusters", ylabel="modularity of the votes")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if given.plot:
        figure.savefig(given.plot, dpi=150)


if __name__ == "__main__":
    main()
