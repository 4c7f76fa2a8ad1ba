"""Tables of runs by metrics, as Markdown, CSV and LaTeX, and a plot of the same numbers."""

import csv
import html
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from untrimmed.data.files import atomic_write, quote_cell

ACROSS = 8
"""More metrics than these go below each other: wider tables can be read neither in a terminal nor on a page."""

INK, SOFT, RULE, DOT, MEAN = "#1b1c1e", "#5d6167", "#d9d4c7", "#1f6f8b", "#b3401f"


@dataclass(frozen=True)
class Metric:
    """How a number is called and shown: times 100 where `per_cent`, and which way is better."""

    name: str
    per_cent: bool
    higher_is_better: bool

    def text(self, value: float, sign: str = "") -> str:
        digits = 1 if self.per_cent else 3
        value = round(100 * value if self.per_cent else value, digits) + 0.0  # no -0.0
        return f"{value:{sign}.{digits}f}"

    @property
    def title(self) -> str:
        return f"{self.name}{' (%)' if self.per_cent else ''}{'' if self.higher_is_better else ' ↓'}"


@dataclass(frozen=True)
class Table:
    """One data set: a row per run, a column per metric; `values[r][m]` are the seeds' values, `wanted` how many there should be."""

    name: str
    caption: str
    metrics: tuple[Metric, ...]
    runs: tuple[str, ...]
    values: tuple[tuple[tuple[float, ...], ...], ...]
    wanted: int

    def best(self, column: int) -> set[int]:
        """The rows whose mean is the best of their column, as it is shown; none where all are equal."""
        metric = self.metrics[column]
        means = {row: float(metric.text(mean(cells[column]))) for row, cells in enumerate(self.values) if cells[column]}
        if len(set(means.values())) < 2:
            return set()
        extreme = max(means.values()) if metric.higher_is_better else min(means.values())
        return {row for row, value in means.items() if value == extreme}

    def blocks(self) -> list["Table"]:
        """The same in pieces of at most `ACROSS` metrics each, as even as can be."""
        count = -(-len(self.metrics) // ACROSS)
        bounds = [len(self.metrics) * number // count for number in range(count + 1)]
        return [
            replace(self, metrics=self.metrics[first:last], values=tuple(cells[first:last] for cells in self.values))
            for first, last in zip(bounds[:-1], bounds[1:], strict=True)
        ]


@dataclass(frozen=True)
class Difference:
    """One run less another, by one metric on one data set, with a 95 % interval (None: too few seeds) and where it comes from.

    Of a mean over data sets, `first` is its name and `second` None.
    """

    data: str
    first: str
    second: str | None
    metric: Metric
    value: float
    interval: tuple[float, float] | None
    seeds: int
    how: str


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def deviation(values: Sequence[float]) -> float:
    """Standard deviation over seeds, of the sample (ddof = 1); NaN for a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def markdown(table: Table) -> str:
    """A heading, a caption and the table, of many metrics several below each other; the best of each column in bold."""
    lines = [f"## {table.name}", "", table.caption]
    for block in table.blocks():
        rows = [["run", *(metric.title for metric in block.metrics)], *_cells(block, "**{}**", " ± ")]
        lines += ["", *markdown_rows(rows, right=True)]
    return "\n".join(lines)


def html_of(table: Table) -> str:
    """The same for a notebook."""
    parts = [f"<h3>{html.escape(table.name)}</h3><p>{html.escape(table.caption)}</p>"]
    for block in table.blocks():
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("run", *(metric.title for metric in block.metrics)))
        rows = _cells(block, "<b>{}</b>", " ± ", escape=html.escape)
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    return "".join(parts)


def latex(table: Table) -> str:
    """A LaTeX table that needs no package, of many metrics several below each other."""
    lines = [r"\begin{table}", rf"\caption{{{_escape(table.name)}: {_escape(table.caption)}}}"]
    for block in table.blocks():
        head = " & ".join(["run", *(_escape(metric.title) for metric in block.metrics)])
        cells = _cells(block, r"\textbf{{{}}}", r" $\pm$ ", escape=_escape)
        rows = [rf"{' & '.join(row)} \\" for row in cells]
        rule = r"\hline"
        lines += [
            "",
            rf"\begin{{tabular}}{{l{'r' * len(block.metrics)}}}",
            rule,
            rf"{head} \\",
            rule,
            *rows,
            rule,
            r"\end{tabular}",
        ]
    return "\n".join([*lines, r"\end{table}"])


def csv_text(tables: Sequence[Table], selection: str, seeds: Sequence[int]) -> str:
    """A row per data set, run and metric, with full precision (mAP and accuracy as fractions) and every seed's value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["data", "run", "metric", "mean", "std", "seeds", "selection", "values"])
    for table in tables:
        for run, cells in zip(table.runs, table.values, strict=True):
            for metric, values in zip(table.metrics, cells, strict=True):
                both = [f"{mean(values):.6f}", f"{deviation(values):.6f}"] if values else ["", ""]
                each = " ".join(f"{value:.6f}" for value in values)
                writer.writerow([quote_cell(table.name), quote_cell(run), metric.name, *both, len(values), selection, each])
    return out.getvalue()


def differences_markdown(differences: Sequence[Difference]) -> str:
    """The paired differences as a table."""
    rows = [["data", "difference", "metric", "mean", "95 % interval", "seeds", "interval over"]]
    for d in differences:
        between = "–" if d.interval is None else f"{d.metric.text(d.interval[0], '+')} to {d.metric.text(d.interval[1], '+')}"
        names = d.first if d.second is None else f"{d.first} − {d.second}"
        rows.append([d.data, names, d.metric.title, d.metric.text(d.value, "+"), between, str(d.seeds), d.how])
    return "\n".join(markdown_rows(rows))


def differences_csv(differences: Sequence[Difference]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["data", "first", "second", "metric", "difference", "low", "high", "seeds", "interval_over"])
    for d in differences:
        between = ["", ""] if d.interval is None else [f"{end:.6f}" for end in d.interval]
        names = [quote_cell(name) for name in (d.data, d.first, d.second or "")]
        writer.writerow([*names, d.metric.name, f"{d.value:.6f}", *between, d.seeds, d.how])
    return out.getvalue()


def plot(tables: Sequence[Table], path: str | Path) -> None:
    """A panel per data set and metric: a line per run, a dot per seed, and the mean with one standard deviation each way.

    Raises:
        InputError: the file cannot be written.
    """
    tables = [block for table in tables for block in table.blocks()]
    columns = max(len(table.metrics) for table in tables)
    heights = [0.95 + 0.3 * len(table.runs) for table in tables]
    longest = max(len(run) for table in tables for run in table.runs)
    side = 0.35 + 0.075 * longest
    figure = Figure(figsize=(side + 2.6 * columns + 0.3, sum(heights) + 0.1), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(tables), columns, height_ratios=heights)
    for row, table in enumerate(tables):
        for column, metric in enumerate(table.metrics):
            axes = figure.add_subplot(grid[row, column])
            scale = 100 if metric.per_cent else 1
            for place, cells in enumerate(table.values):
                values = scale * np.asarray(cells[column], dtype=np.float64)
                if not len(values):
                    continue
                axes.plot(values, np.full(len(values), place) + 0.16, "o", color=DOT, markersize=3.5, alpha=0.65, markeredgewidth=0)
                spread = deviation(values.tolist())
                axes.errorbar(
                    values.mean(),
                    place - 0.1,
                    xerr=None if math.isnan(spread) else spread,
                    fmt="D",
                    color=MEAN,
                    markersize=4.5,
                    elinewidth=1.4,
                    capsize=2.5,
                )
            axes.set_ylim(len(table.runs) - 0.5, -0.5)
            axes.set_yticks(
                range(len(table.runs)), [_plain(run) for run in table.runs] if column == 0 else [""] * len(table.runs), fontsize=8
            )
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.tick_params(axis="x", labelsize=7.5, colors=SOFT)
            axes.tick_params(axis="y", length=0, colors=INK)
            axes.grid(axis="x", color=RULE, linewidth=0.6)
            axes.set_axisbelow(True)
            for name in ("top", "right", "left"):
                axes.spines[name].set_visible(False)
            axes.spines["bottom"].set_color(RULE)
            axes.set_title(_plain(metric.title), fontsize=8.5, color=INK, loc="left")
            if column == 0:
                axes.annotate(
                    _plain(table.name),
                    (0, 1),
                    xycoords="axes fraction",
                    xytext=(0, 17),
                    textcoords="offset points",
                    fontsize=9,
                    color=INK,
                    fontweight="bold",
                )
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left=side / width, right=1 - 0.2 / width, top=1 - 0.5 / height, bottom=0.3 / height, hspace=0.9)
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format="png")


def _cells(table: Table, bold: str, plus_minus: str, escape: Callable[[str], str] | None = None) -> list[list[str]]:
    best = [table.best(column) for column in range(len(table.metrics))]
    rows = []
    for number, (run, cells) in enumerate(zip(table.runs, table.values, strict=True)):
        row = [escape(run) if escape else run]
        for column, (metric, values) in enumerate(zip(table.metrics, cells, strict=True)):
            if not values:
                row.append("–")
                continue
            text = metric.text(mean(values))
            text = bold.format(text) if number in best[column] else text
            if len(values) > 1:
                text += plus_minus + metric.text(deviation(values))
            row.append(text + (f" ({len(values)} of {table.wanted} seeds)" if len(values) < table.wanted else ""))
        rows.append(row)
    return rows


def markdown_rows(rows: list[list[str]], right: bool = False) -> list[str]:
    """A Markdown table whose columns are even in plain text too."""
    rows = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = [("-" * (w - 1) + ":") if right and column else "-" * w for column, w in enumerate(widths)]
    pad = [[cell.rjust(w) if right and c else cell.ljust(w) for c, (cell, w) in enumerate(zip(row, widths))] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (pad[0], rule, *pad[1:])]


IN_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "−": "-",
    "–": "--",
    "|": r"$|$",
    "<": "$<$",
    ">": "$>$",
    "[": "{[}",  # else, after the end of a row, the length of a gap
    "*": "{*}",
    **{mark: rf"\{mark}" for mark in "&%$#_{}"},
}


def _escape(text: str) -> str:
    return "".join(IN_LATEX.get(mark, mark) for mark in text)


def _plain(text: str) -> str:
    """For a plot, in which two dollar signs would enclose a formula."""
    return text.replace("$", r"\$")
