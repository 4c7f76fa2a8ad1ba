"""Run an experiment, and put what came of it into tables and files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from untrimmed.console import note
from untrimmed.data.files import atomic_write, write_json
from untrimmed.data.notebook import pandas_frame
from untrimmed.evaluation.bootstrap import DRAWS
from untrimmed.experiments.cache import store_hash
from untrimmed.experiments.check import check_training_data
from untrimmed.experiments.metrics import metric_of
from untrimmed.experiments.spec import Data, Experiment
from untrimmed.experiments.statistics import Scores
from untrimmed.experiments.task import Task
from untrimmed.experiments.work import Work
from untrimmed.reporting.tables import (
    Difference,
    Table,
    csv_text,
    differences_csv,
    differences_markdown,
    html_of,
    latex,
    markdown,
    plot,
)
from untrimmed.runs.score import DETECTION_PROTOCOLS

SELECTED = {
    "last": "last weights, nothing chosen",
    "weak-loss": "weak-loss (the candidate with the lowest loss of the tags on a held-out fifth of the training videos)",
    "oracle": "ORACLE (the candidate that scores best on the test set itself: an upper bound, not a result)",
}


@dataclass(frozen=True)
class Comparison:
    """The tables and differences, as written, and what failed, by name."""

    tables: tuple[Table, ...]
    differences: tuple[Difference, ...]
    failures: dict[str, str]
    selection: str
    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    metrics: tuple[str, ...]

    def to_pandas(self) -> Any:
        """A DataFrame with a row per data set, run, metric and seed.

        Raises:
            InputError: pandas is not installed.
        """
        rows = [
            (table.name, run, metric.name, seed, value)
            for table in self.tables
            for run, of_run in zip(table.runs, table.values)
            for metric, of_seeds in zip(table.metrics, of_run)
            for seed, value in enumerate(of_seeds)
        ]
        return pandas_frame(("data", "run", "metric", "seed", "value"), rows)

    def _repr_html_(self) -> str:
        return "".join(html_of(table) for table in self.tables)

    def markdown(self) -> str:
        parts = [markdown(table) for table in self.tables]
        if self.differences:
            parts.append("## Paired differences\n\n" + differences_markdown(self.differences))
        if self.failures:
            parts.append("## Failed\n\n" + "\n".join(f"- {name}: {why}" for name, why in self.failures.items()))
        return "\n\n".join(parts)


def compare_runs(
    plan: Experiment, out: Path, perform_all: Callable[[Sequence[Task]], Iterable[tuple[Task, str | None]]]
) -> Comparison:
    """Do what is not done yet of an experiment, and write what came of it into the folder `out`.

    Args:
        perform_all: does tasks; gives each with the reason why it failed, or None, in the order they end.

    Raises:
        InputError: the data is at fault, or what a run learns from it; nothing is trained then.
    """
    note(f"reading {', '.join(plan.data)}")
    for data in plan.data.values():
        for part in data.parts:  # every fault of the features is told before anything is trained
            store_hash(part.features)
    check_training_data(plan)
    work = Work(plan, out, perform_all)
    work.train()
    work.score()
    scores = Scores(plan, {key: task for key, task in work.scored.items() if task.folder not in work.failed})
    result = Comparison(
        tables=tuple(_table(plan, scores, data) for data in plan.data.values()),
        differences=(*scores.differences(), *scores.averages()),
        failures=work.failures,
        selection=plan.selection,
        seeds=plan.seeds,
        methods=tuple(sorted({run.method for run in plan.runs.values() if not run.is_swap})),
        metrics=plan.metrics,
    )
    _write(plan, result, work.chosen | scores.chosen, out)
    return result


def _table(plan: Experiment, scores: Scores, data: Data) -> Table:
    rows = []
    for run in plan.runs_of(data.name):
        tasks = scores.of_seeds(run.name, data.name)
        values = [[scores.value(task, metric) for task in tasks.values()] for metric in plan.metrics]
        rows.append(tuple(tuple(value for value in of_seeds if value is not None) for of_seeds in values))
    names = tuple(plan.shown(run.name) for run in plan.runs_of(data.name))
    return Table(data.name, _caption(plan, data), tuple(map(metric_of, plan.metrics)), names, tuple(rows), len(plan.seeds))


def _caption(plan: Experiment, data: Data) -> str:
    first = data.parts[0]
    subset = "whole file" if first.subset is None else f"subset {first.subset}"
    folds = f", {len(data.parts)} folds (a training each; their test videos are scored together)" if len(data.parts) > 1 else ""
    detections = any(protocol in DETECTION_PROTOCOLS for protocol in plan.protocols)
    parts = [
        f"protocol {', '.join(plan.protocols)}",
        f"set {data.name}, {subset}{folds}",
        *([f"tIoU {plan.tiou}"] if detections else []),
        f"selection {SELECTED[plan.selection]}",
        *(_mapped(plan, data) if any(plan.source(run).unlabelled for run in plan.runs_of(data.name)) else []),
        f"seeds {', '.join(map(str, plan.seeds))}",
        "mean ± standard deviation over the seeds",
    ]
    return "; ".join(parts) + "."


def _mapped(plan: Experiment, data: Data) -> Iterator[str]:
    """What clusters are taken for, and what is said of them as they are."""
    how, folds = plan.evaluate.get("map_clusters"), len(data.parts) > 1
    if how is None:
        yield "clusters as they are"
    else:
        oracle = plan.evaluate.get("map_clusters_oracle")
        whose = "ORACLE, the test videos' own labels" if oracle else "the training videos' labels"
        yield f"clusters taken for classes by {how} of {whose}" + (", in each fold by itself" if folds else "")
    if folds and "clustering" in plan.protocols:
        yield "clustering is the mean over the folds"


def _write(plan: Experiment, result: Comparison, chosen: Mapping[str, Any], out: Path) -> None:
    text = {
        "results.md": result.markdown() + "\n",
        "results.csv": csv_text(result.tables, result.selection, result.seeds),
        "results.tex": "\n\n".join(latex(table) for table in result.tables) + "\n",
    }
    if plan.pairs or plan.averages:
        about = f"selection {SELECTED[result.selection]}; {DRAWS} draws.\n\n"
        text["pairs.md"] = about + differences_markdown(result.differences) + "\n"
        text["pairs.csv"] = differences_csv(result.differences)
    for name, content in text.items():
        with atomic_write(out / name) as stream:
            stream.write(content)
    plot(result.tables, out / "plot.png")
    notes: dict[str, Mapping[str, Any]] = {"failures.json": result.failures, "chosen.json": chosen}
    for name, said in notes.items():
        if said:
            write_json(out / name, said, indent=1)
        else:
            (out / name).unlink(missing_ok=True)  # of a call before
