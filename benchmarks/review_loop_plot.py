"""What corrected videos are worth: `python benchmarks/review_loop_plot.py NAME=RESULTS.csv... --out FIGURE.png`.

Each RESULTS.csv is what `review_loop.py` writes of the data set that NAME calls. Drawn (PNG or SVG, by FIGURE's ending), a panel
for each: mAP at tIoU 0.5 by the number of corrected training videos, by segments and by points, chosen by the queue and at random;
bars are one standard deviation over the seeds.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from annotated_plot import LINES, finish_panel, save

DASHES = {"queue": "-", "random": "--"}

Curves = dict[tuple[str, str], dict[int, list[float]]]
"""mAP in per cent of each seed, by order, marks and number of corrected videos."""


def read_curves(path: Path) -> Curves:
    """The curves of a results.csv."""
    found: Curves = {}
    with open(path, encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            of_counts = found.setdefault((row["order"], row["marks"]), defaultdict(list))
            of_counts[int(row["videos"])].append(100 * float(row["mAP@0.5"]))
    return found


def draw(panels: dict[str, Curves], path: Path) -> None:
    """A panel for each data set."""
    figure = Figure(figsize=(3.8 * len(panels), 3.4), dpi=130, facecolor="white", layout="constrained")
    for axes, (name, curves) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items()):
        for (order, marks), of_counts in curves.items():
            mean = [np.mean(values) for values in of_counts.values()]
            deviation = [np.std(values, ddof=1) if len(values) > 1 else 0 for values in of_counts.values()]
            style = {"color": LINES[marks], "linestyle": DASHES[order], "label": f"{marks}, {order}"}
            axes.errorbar(range(len(mean)), mean, deviation, marker="o", markersize=4, capsize=2, **style)
        finish_panel(axes, name, [str(count) for count in of_counts], "corrected training videos")
    save(figure, path)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="NAME=RESULTS.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="FIGURE")
    asked = parser.parse_args(argv)
    named = (text.split("=", 1) for text in asked.results)
    draw({name: read_curves(Path(path)) for name, path in named}, asked.out)


if __name__ == "__main__":
    main()
