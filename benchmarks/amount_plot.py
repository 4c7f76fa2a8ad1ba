"""How much clips help, by how many clips and videos there are: `python benchmarks/amount_plot.py RESULTS.csv --out FIGURE.png`.

RESULTS.csv is what `untrimmed compare benchmarks/experiments/tsrnet-amount.yaml` writes, whose data sets are called "10v 25c" for
10 % of the videos and 25 % of the clips. Drawn (PNG or SVG, by FIGURE's ending) and printed as a table are a run's gains over
another with the same seed: their mean and their standard deviation over the seeds.
"""

import argparse
import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from untrimmed.data.files import atomic_write
from untrimmed.reporting.tables import markdown_rows

NONE, PLAIN, TRANSFER = "SRNet", "SRNet + plain clips", "TSRNet"
STEPS = (
    ("clips as plain training data", PLAIN, NONE, f"{PLAIN} − {NONE}"),
    ("clips and transfer", TRANSFER, NONE, f"{TRANSFER} − {NONE}"),
    ("of that, transfer", TRANSFER, PLAIN, f"{TRANSFER} − ({PLAIN})"),
)
INK, SOFT, RULE = "#1b1c1e", "#5d6167", "#d9d4c7"
COLOURS = ("#d8a13a", "#c2622a", "#7a3b69", "#1f4e79", "#2f7d5b", "#5d6167")


@dataclass(frozen=True)
class Grid:
    """`values[run][videos, clips]`: every seed's value, of shares in per cent."""

    metric: str
    values: dict[str, dict[tuple[int, int], np.ndarray]]

    @property
    def shares(self) -> tuple[list[int], list[int]]:
        """Of videos, and of clips."""
        places = self.values[NONE]
        return sorted({videos for videos, _ in places}), sorted({clips for _, clips in places})

    def gain(self, first: str, second: str, place: tuple[int, int]) -> np.ndarray:
        """Of one run over another, by seed, in points of a per cent; empty where one of them is missing."""
        one, other = (self.values[run].get(place, np.empty(0)) for run in (first, second))
        return 100 * (one - other) if len(one) == len(other) else np.empty(0)


def read_grid(path: Path, metric: str) -> Grid:
    """The cells of the grid in a results.csv.

    Raises:
        ValueError: it is not the table of such an experiment, or lacks the metric or a run.
    """
    values: dict[str, dict[tuple[int, int], np.ndarray]] = {NONE: {}, PLAIN: {}, TRANSFER: {}}
    with open(path, encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            place = re.fullmatch(r"(\d+)v (\d+)c", row.get("data") or "")
            if place and row["metric"] == metric and row["run"] in values:
                values[row["run"]][int(place[1]), int(place[2])] = np.array(row["values"].split(), dtype=np.float64)
    if missing := [run for run, found in values.items() if not found]:
        raise ValueError(f"{path}: no {metric} of {missing[0]} on data called as '10v 25c' is")
    return Grid(metric, values)


def table(grid: Grid) -> str:
    """SRNet's values and the gains, a row per cell of the grid, as Markdown."""
    rows = [["videos", "clips", NONE, *(difference for *_, difference in STEPS)]]
    for videos in grid.shares[0]:
        for clips in grid.shares[1]:
            level = 100 * grid.values[NONE].get((videos, clips), np.empty(0))
            gains = [_told(grid.gain(first, second, (videos, clips)), "+") for _, first, second, _ in STEPS]
            rows.append([f"{videos} %", f"{clips} %", _told(level, ""), *gains])
    return "\n".join(markdown_rows(rows, right=True))


def draw(grid: Grid, path: Path) -> None:
    """A panel per step, in each a line per share of videos; bars are one standard deviation over the seeds."""
    of_videos, of_clips = grid.shares
    figure = Figure(figsize=(10, 3.5), dpi=90, facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(STEPS), sharey=True)
    for axes, (title, first, second, difference) in zip(panels, STEPS, strict=True):
        axes.axhline(0, color=SOFT, linewidth=1)
        for number, videos in enumerate(of_videos):
            aside = 0.07 * (number - (len(of_videos) - 1) / 2)  # so that bars do not hide each other
            gains = [(place + aside, grid.gain(first, second, (videos, clips))) for place, clips in enumerate(of_clips)]
            found = [(place, gain) for place, gain in gains if len(gain)]
            axes.errorbar(
                [place for place, _ in found],
                [gain.mean() for _, gain in found],
                yerr=[gain.std(ddof=1) if len(gain) > 1 else 0.0 for _, gain in found],
                fmt="o-",
                color=COLOURS[number % len(COLOURS)],
                label=f"{videos} %",
                markersize=4,
                linewidth=1.6,
                elinewidth=0.9,
                capsize=2,
            )
        axes.set_title(f"{title}\n{difference}", fontsize=9.5, color=INK, loc="left")
        axes.set_xticks(range(len(of_clips)), [f"{clips} %" for clips in of_clips])
        axes.set_xlim(-0.4, len(of_clips) - 0.6)
        axes.set_xlabel("share of the clips", fontsize=9, color=SOFT)
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.tick_params(labelsize=8.5, colors=SOFT, labelleft=axes is panels[0])
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for name in ("top", "right", "left"):
            axes.spines[name].set_visible(False)
        axes.spines["bottom"].set_color(RULE)
    panels[0].set_ylabel(f"gain in {grid.metric}, points", fontsize=9, color=SOFT)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        title="share of\nthe videos",
        loc="center right",
        frameon=False,
        fontsize=8.5,
        title_fontsize=8.5,
    )
    figure.subplots_adjust(left=0.06, right=0.89, top=0.84, bottom=0.15, wspace=0.1)
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format=path.suffix.lstrip(".").lower())


def _told(values: np.ndarray, sign: str) -> str:
    if not len(values):
        return "–"
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():{sign}.1f}{spread}"


def main() -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--metric", default="mAP@0.5")
    given = parser.parse_args()
    if given.out.suffix.lower() not in (".png", ".svg"):
        parser.error(f"--out {given.out}: draws PNG and SVG; end the name with .png or .svg")
    try:
        grid = read_grid(given.results, given.metric)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    draw(grid, given.out)
    print(table(grid))


if __name__ == "__main__":
    main()
