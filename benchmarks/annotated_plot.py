"""What annotated training videos are worth: `python benchmarks/annotated_plot.py RESULTS.csv... --out FIGURE.png`.

Each RESULTS.csv is what `untrimmed compare benchmarks/experiments/refine-annotated.yaml` writes. Drawn (PNG or SVG, by FIGURE's
ending), a panel for each data set: mAP at tIoU 0.5 of the student by the number of annotated videos of each class, by segments, by
points, and by segments alone, without what is merely believed; bars are one standard deviation over the seeds.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from untrimmed.data.files import atomic_write

AMOUNTS = ("0", "1", "3", "5", "all")
LINES = {"segments": "#1f4e79", "points": "#c2622a", "alone": "#7a3b69"}
SAID = {"segments": "labels and segments", "points": "labels and points", "alone": "the same segments alone"}
METRIC = "mAP@0.5"
INK, SOFT, RULE = "#1b1c1e", "#5d6167", "#d9d4c7"

Curves = dict[str, dict[str, tuple[float, float]]]
"""Mean and standard deviation in per cent, by line and amount."""


def read_curves(path: Path) -> dict[str, Curves]:
    """The curves of each data set in a results.csv.

    Raises:
        ValueError: it is not the table of such an experiment.
    """
    found: dict[str, Curves] = {}
    with open(path, encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row.get("metric") != METRIC:
                continue
            run = row["run"].partition(" (+ ")[0]  # what it was given stands behind
            amount, _, line = ("0", "", "segments") if run == "none" else run.partition(" ")
            if amount not in AMOUNTS or line not in LINES:
                continue
            point = 100 * float(row["mean"]), float(np.nan_to_num(100 * float(row["std"])))
            curves = found.setdefault(row["data"], {name: {} for name in LINES})
            curves[line][amount] = point
            if amount == "0":
                curves["points"][amount] = point
    if not found:
        raise ValueError(f"{path}: no {METRIC} of runs called as '5 points' is")
    return found


def draw(found: dict[str, Curves], path: Path) -> None:
    """A panel for each data set."""
    figure = Figure(figsize=(3.8 * len(found), 3.4), dpi=130, facecolor="white", layout="constrained")
    for axes, (data, curves) in zip(np.atleast_1d(figure.subplots(1, len(found), sharey=True)), found.items()):
        for line, colour in LINES.items():
            amounts = [amount for amount in AMOUNTS if amount in curves[line]]
            mean, deviation = np.array([curves[line][amount] for amount in amounts]).reshape(-1, 2).T
            place = [AMOUNTS.index(amount) for amount in amounts]
            axes.errorbar(place, mean, deviation, color=colour, marker="o", markersize=4, capsize=2, label=SAID[line])
        finish_panel(axes, data, AMOUNTS, "annotated videos of each class")
    save(figure, path)


def finish_panel(axes: Axes, title: str, ticks: Sequence[str], below: str) -> None:
    """Title, ticks, the words below, and a quiet frame."""
    axes.set_title(title, color=INK, fontsize=10)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_xlabel(below, color=SOFT, fontsize=9)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=SOFT, labelsize=8)


def save(figure: Figure, path: Path) -> None:
    """With one legend for all panels, as PNG or as what the file's ending says."""
    figure.axes[0].set_ylabel("mAP at tIoU 0.5, per cent", color=SOFT, fontsize=9)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside upper center", ncols=4)
    FigureCanvasAgg(figure)
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format=path.suffix.lstrip(".") or "png")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="FIGURE")
    asked = parser.parse_args(argv)
    draw({data: curves for path in asked.results for data, curves in read_curves(path).items()}, asked.out)


if __name__ == "__main__":
    main()
