"""`untrimmed compare`: runs of one experiment file, over seeds, in one table, with what their differences are worth.

DIR/results.md, .csv, .tex   mean and standard deviation over the seeds
DIR/pairs.md, .csv           paired differences with 95 % intervals
DIR/plot.png                 every seed
DIR/chosen.json              which candidate was chosen, and by what numbers, where some were given
DIR/failures.json            what failed, where something did
DIR/cache/<key>/             a trained run, or scores; the key is a hash of all that they depend on (see `compare_run`)
"""

import fcntl
import inspect
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from untrimmed.console import note, progress
from untrimmed.data.annotations import read_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, check_writable, read_json, write_json
from untrimmed.data.labels import read_labels
from untrimmed.data.settings import merge, unknown
from untrimmed.data.store import FeatureStore
from untrimmed.evaluation.activitynet import parse_tious
from untrimmed.evaluation.attention import STATISTICS
from untrimmed.evaluation.bootstrap import (
    DRAWS,
    Matched,
    drawn_videos,
    interval_over_seeds,
    interval_over_seeds_and_videos,
    mean_average_precision,
    over_thresholds,
)
from untrimmed.jobs.compare_run import (
    Part,
    Processes,
    Scoring,
    Task,
    Training,
    held_out_fifth,
    is_done,
    perform,
    read_scores,
    scoring_key,
    store_hash,
    training_key,
)
from untrimmed.jobs.evaluate import DETECTION_PROTOCOLS, PROTOCOLS, evaluate
from untrimmed.methods.base import method_class, resolve
from untrimmed.reporting.tables import (
    Difference,
    Metric,
    Table,
    csv_text,
    differences_csv,
    differences_markdown,
    latex,
    markdown,
    plot,
)

SELECTIONS = ("last", "weak-loss", "oracle")
SELECTED = {
    "last": "last weights, nothing chosen",
    "weak-loss": "weak-loss (the candidate with the lowest loss of the tags on a held-out fifth of the training videos)",
    "oracle": "ORACLE (the candidate that scores best on the test set itself: an upper bound, not a result)",
}
IN_PER_CENT = ("mAP", "accuracy", "video_mAP")
LOWER_IS_BETTER = (*(name for name, (_, arrow) in STATISTICS.items() if arrow == "↓"), "false_alarms")
PART_FIELDS = tuple(field.name for field in fields(Part))
FILES = ("features", "labels", "annotations", "only", "trimmed", "trimmed_labels", "parts")


@dataclass(frozen=True)
class Data:
    """A data set: one part, or its folds."""

    name: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class RunSpec:
    """A run as the experiment file describes it; `attention` and `classification` name the two runs of a swap."""

    name: str
    method: str = ""
    preset: str = "default"
    settings: dict[str, Any] | None = None
    candidates: tuple[dict[str, Any], ...] = ()
    localize: dict[str, Any] | None = None
    unlabelled: bool = False
    trimmed: bool = True
    init: str | None = None
    classes: tuple[str, ...] | None = None
    data: tuple[str, ...] | None = None
    attention: str | None = None
    classification: str | None = None

    @property
    def is_swap(self) -> bool:
        return self.attention is not None


@dataclass(frozen=True)
class Experiment:
    """An experiment file, checked."""

    path: Path
    data: dict[str, Data]
    runs: dict[str, RunSpec]
    seeds: tuple[int, ...]
    selection: str
    metrics: tuple[str, ...]
    evaluate: dict[str, Any]
    localize: dict[str, Any]
    pairs: tuple[tuple[str, str], ...]
    keep: bool

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        return tuple(sorted({split_metric(metric)[0] for metric in self.metrics}))

    @property
    def tiou(self) -> str:
        return self.evaluate.get("tiou", inspect.signature(evaluate).parameters["tiou"].default)

    def runs_of(self, data: str) -> list[RunSpec]:
        return [run for run in self.runs.values() if run.data is None or data in run.data]


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

    def markdown(self) -> str:
        parts = [markdown(table) for table in self.tables]
        if self.differences:
            parts.append("## Paired differences\n\n" + differences_markdown(self.differences))
        if self.failures:
            parts.append("## Failed\n\n" + "\n".join(f"- {name}: {why}" for name, why in self.failures.items()))
        return "\n\n".join(parts)


def compare(
    experiment: str | Path, *, out: str | Path, seeds: int | None = None, workers: int = 1, keep: bool = False
) -> Comparison:
    """Train, localize and score every run of an experiment file with every seed, and write tables of the results.

    What was done before in `out`, by this call or another, is not done again unless something that it depends on has changed.

    Args:
        experiment: a YAML file; docs/compare.md has its keys.
        seeds: 0 to seeds - 1, in place of the file's.
        workers: processes of one thread each.
        keep: also keep detections and activations of every run.

    Raises:
        InputError: a fault in the file or in what it names, found before anything is trained; or another process is at work in
            `out`.
    """
    plan = read_experiment(experiment)
    if seeds is not None:
        plan = replace(plan, seeds=tuple(range(seeds)))
    plan = replace(plan, keep=plan.keep or keep)
    out = Path(out)
    check_writable(out / "results.md")
    with _claimed(out), Processes(workers) as processes:
        done_by = processes.perform_all if workers > 1 else lambda tasks: ((task, perform(task)) for task in tasks)
        return _Comparing(plan, out, done_by).result()


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    (out / "cache").mkdir(parents=True, exist_ok=True)
    handle = os.open(out / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(f"{out}: another compare is at work in it") from None
    finally:
        os.close(handle)


class _Comparing:
    """One call: what is trained where, what is scored where, and what came of it."""

    def __init__(self, plan: Experiment, out: Path, perform_all: Callable[[Sequence[Task]], Iterable]) -> None:
        self.plan, self.out, self.perform_all = plan, out, perform_all
        self.failures: dict[str, str] = {}
        self.failed: set[Path] = set()
        self.chosen: dict[str, dict[str, Any]] = {}
        self.trained: dict[tuple[str, str, int, int, int], Path] = {}  # run, data, part, seed, candidate
        self.scored: dict[tuple[str, str, int, int], Scoring] = {}  # run, data, seed, candidate

    def result(self) -> Comparison:
        plan = self.plan
        note(f"reading {', '.join(plan.data)}")
        for data in plan.data.values():
            for part in data.parts:  # every fault of the features is told before anything is trained
                store_hash(part.features)
        self._train()
        self._score()
        tables = tuple(self._table(data) for data in plan.data.values())
        methods = tuple(sorted({run.method for run in plan.runs.values() if not run.is_swap}))
        differences = tuple(self._differences())
        result = Comparison(tables, differences, self.failures, plan.selection, plan.seeds, methods, plan.metrics)
        self._write(result)
        return result

    # Doing -----------------------------------------------------------------------------------------------------------------

    def _do(self, what: str, tasks: Sequence[Task]) -> None:
        """Do what is not done yet, each folder once; name what fails."""
        unique = {task.folder: task for task in tasks}
        left = [task for task in unique.values() if not is_done(task)]
        if not left:
            return
        with progress(what, len(unique), len(unique) - len(left)) as advance:
            for task, fault in self.perform_all(left):
                if fault is not None:
                    self.failed.add(task.folder)
                    self.failures[task.name] = fault
                    note(f"{task.name}: failed: {fault}")
                advance(suffix=task.name)

    def _train(self) -> None:
        """Level by level: first what starts from nothing, then what starts from that."""
        plan = self.plan
        left = [run for run in plan.runs.values() if not run.is_swap]
        while left:
            ready = [run for run in left if run.init is None or run.init not in {other.name for other in left}]
            left = [run for run in left if run not in ready]
            tasks = [
                task
                for data in plan.data.values()
                for run in ready
                if run in plan.runs_of(data.name)
                for number, part in enumerate(data.parts)
                for seed in plan.seeds
                for task in self._candidates(run, data, number, part, seed)
            ]
            if plan.selection == "weak-loss":
                self._do("train candidates", [held for task, held in tasks if held is not None])
                tasks = self._chosen(tasks)
            self._do("train", [task for task, _ in tasks])

    def _candidates(self, run: RunSpec, data: Data, number: int, part: Part, seed: int) -> list[tuple[Training, Training | None]]:
        """Each candidate of a run, to be trained on all videos, and (for weak-loss) without the held-out fifth."""
        made = []
        for candidate, over in enumerate(run.candidates or ({},)):
            settings = merge(run.settings or {}, over)
            settings.pop("localization", None)
            init = None
            if run.init is not None:
                init = self.trained.get((run.init, data.name, number, seed, 0))
                if init is None or init in self.failed:
                    self.failures[_title(run, data, number, seed, None)] = f"not trained: {run.init}, from which it starts, failed"
                    continue
            task = Training(
                name=_title(run, data, number, seed, candidate if run.candidates else None),
                folder=Path(),
                part=part,
                method=run.method,
                preset=run.preset,
                settings=settings,
                seed=seed,
                unlabelled=run.unlabelled,
                trimmed=run.trimmed and part.trimmed is not None and "trimmed" in method_class(run.method).learns_from,
                classes=run.classes,
                init=init,
            )
            task = self._placed(task)
            self.trained[run.name, data.name, number, seed, candidate] = task.folder
            held = None
            if self.plan.selection == "weak-loss" and run.candidates:
                held = self._placed(replace(task, name=f"{task.name}, held out", held_out=held_out_fifth(part)))
            made.append((task, held))
        return made

    def _placed(self, task: Training) -> Training:
        return replace(task, folder=self.out / "cache" / training_key(task))

    def _chosen(self, tasks: Sequence[tuple[Training, Training | None]]) -> list[tuple[Training, Training | None]]:
        """Of the candidates of each run, part and seed the one with the lowest loss on the videos that were held out."""
        losses = {held.folder: read_json(held.folder / "loss.json") for _, held in tasks if held and held.folder not in self.failed}
        held_of = {task.folder: held for task, held in tasks}
        kept: set[Path] = set()
        groups: dict[tuple[str, str, int, int], list[tuple[int, Path]]] = {}
        for (run, data, number, seed, candidate), folder in self.trained.items():
            groups.setdefault((run, data, number, seed), []).append((candidate, folder))
        for group, candidates in groups.items():
            if candidates[0][1] not in held_of:
                continue  # of a level before
            fits = [
                (losses[held.folder] if held else 0.0, candidate, folder)
                for candidate, folder in candidates
                if (held := held_of[folder]) is None or held.folder in losses
            ]
            for candidate, _ in candidates:
                del self.trained[*group, candidate]
            if fits:
                _, best, folder = min(fits)
                if len(candidates) > 1:
                    run, data, number, seed = group
                    title = _title(self.plan.runs[run], self.plan.data[data], number, seed, None)
                    self.chosen[title] = {"candidate": best + 1, "losses": [loss for loss, _, _ in fits]}
                self.trained[*group, 0] = folder
                kept.add(folder)
        return [(task, held) for task, held in tasks if task.folder in kept]

    def _score(self) -> None:
        plan = self.plan
        for data in plan.data.values():
            for run in plan.runs_of(data.name):
                for seed in plan.seeds:
                    for candidate in range(len(run.candidates) if plan.selection == "oracle" and run.candidates else 1):
                        self._plan_scores(run, data, seed, candidate)
        self._do("score", list(self.scored.values()))

    def _plan_scores(self, run: RunSpec, data: Data, seed: int, candidate: int) -> None:
        plan = self.plan
        own = run.classification if run.is_swap else run.name
        assert own is not None
        parts = range(len(data.parts))
        runs = [self.trained.get((own, data.name, number, seed, candidate)) for number in parts]
        attention = [self.trained.get((run.attention, data.name, number, seed, candidate)) for number in parts if run.attention]
        needed = [folder for folder in (*runs, *attention) if folder is not None and folder not in self.failed]
        if len(needed) < len(runs) + len(attention):
            if run.is_swap:
                self.failures[_title(run, data, None, seed, None)] = "not scored: a run that it is made of failed"
            return
        source = plan.runs[own]
        settings: dict[str, Any] = {"localization": (source.settings or {}).get("localization", {})}
        if plan.selection == "oracle" and source.candidates:
            settings = merge(settings, {"localization": source.candidates[candidate].get("localization", {})})
        settings = merge(merge(settings, _nested(plan.localize)), _nested(run.localize or {}))
        options = dict(plan.evaluate)
        if not source.unlabelled:
            options = {name: value for name, value in options.items() if not name.startswith("map_clusters")}
        task = Scoring(
            name=_title(run, data, None, seed, candidate if source.candidates else None),
            folder=Path(),
            parts=data.parts,
            runs=tuple(folder for folder in runs if folder is not None),
            attention=tuple(folder for folder in attention if folder is not None),
            settings=settings,
            protocols=tuple(p for p in plan.protocols if p != "clustering" or source.unlabelled),
            options=options,
            selection=plan.selection,
            keep=plan.keep,
        )
        self.scored[run.name, data.name, seed, candidate] = replace(task, folder=self.out / "cache" / scoring_key(task))

    # What came of it ---------------------------------------------------------------------------------------------------------

    def _value(self, task: Scoring, metric: str) -> float | None:
        """None where the run was not scored by that protocol."""
        if task.folder in self.failed:
            return None
        protocol, name = split_metric(metric)
        scores = read_scores(task.folder).get(protocol)
        if scores is None:
            return None
        if name not in scores and protocol in DETECTION_PROTOCOLS and name.startswith("mAP@"):
            tious = np.array(parse_tious(self.plan.tiou))
            return float(over_thresholds(np.array([scores[f"mAP@{tiou:g}"] for tiou in tious]), tious, name))
        if name not in scores:
            known = ", ".join(f"{protocol}:{other}" for other in scores)
            raise InputError(f"{self.plan.path}: metrics: {protocol} has no {name!r}; it has {known}")
        return scores[name]

    def _of_seeds(self, run: str, data: str) -> dict[int, Scoring]:
        """The scores of each seed; with `oracle`, those of the candidate that is best by the first metric."""
        found: dict[int, Scoring] = {}
        first = self.plan.metrics[0]
        sign = 1 if metric_of(first).higher_is_better else -1
        for seed in self.plan.seeds:
            tasks = [task for key, task in sorted(self.scored.items()) if key[:3] == (run, data, seed)]
            tasks = [task for task in tasks if task.folder not in self.failed]
            if len(tasks) == 1:
                found[seed] = tasks[0]
            elif tasks:
                values = [self._value(task, first) for task in tasks]
                best = int(np.nanargmax([np.nan if value is None else sign * value for value in values]))
                found[seed] = tasks[best]
                self.chosen[f"{run} on {data}, seed {seed}"] = {"chosen": tasks[best].name, first: values}
        return found

    def _table(self, data: Data) -> Table:
        runs = self.plan.runs_of(data.name)
        rows = []
        for run in runs:
            tasks = self._of_seeds(run.name, data.name)
            cells = []
            for metric in self.plan.metrics:
                values = [self._value(task, metric) for task in tasks.values()]
                cells.append(tuple(value for value in values if value is not None))
            rows.append(tuple(cells))
        names = tuple(run.name + (" (oracle)" if self.plan.selection == "oracle" else "") for run in runs)
        metrics = tuple(metric_of(metric) for metric in self.plan.metrics)
        return Table(data.name, self._caption(data), metrics, names, tuple(rows), len(self.plan.seeds))

    def _caption(self, data: Data) -> str:
        plan, first = self.plan, data.parts[0]
        subset = "whole file" if first.subset is None else f"subset {first.subset}"
        folds = f", {len(data.parts)} folds (a training each; their test videos are scored together)" if len(data.parts) > 1 else ""
        detections = any(protocol in DETECTION_PROTOCOLS for protocol in plan.protocols)
        parts = [
            f"protocol {', '.join(plan.protocols)}",
            f"set {data.name}, {subset}{folds}",
            *([f"tIoU {plan.tiou}"] if detections else []),
            f"selection {SELECTED[plan.selection]}",
            f"seeds {', '.join(map(str, plan.seeds))}",
            "mean ± standard deviation over the seeds",
        ]
        return "; ".join(parts) + "."

    def _differences(self) -> Iterator[Difference]:
        for data in self.plan.data.values():
            for first, second in self.plan.pairs:
                present = {run.name for run in self.plan.runs_of(data.name)}
                if {first, second} <= present:
                    yield from self._difference(data.name, first, second)

    def _difference(self, data: str, first: str, second: str) -> Iterator[Difference]:
        one, other = self._of_seeds(first, data), self._of_seeds(second, data)
        seeds = [seed for seed in one if seed in other]
        drawn: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray] | None] = {}
        for metric in self.plan.metrics:
            protocol, name = split_metric(metric)
            values = [(self._value(one[seed], metric), self._value(other[seed], metric)) for seed in seeds]
            both = [a - b for a, b in values if a is not None and b is not None]
            if not both:
                continue
            if protocol not in drawn:
                drawn[protocol] = _drawn([one[s].folder for s in seeds], [other[s].folder for s in seeds], protocol)
            material = drawn[protocol]
            interval, how = interval_over_seeds(both), "seeds (t)"
            if material is not None and name.startswith("mAP@"):
                tious, a, b = material
                spread = [over_thresholds(x, tious, name) for x in (a, b)]
                rng = np.random.default_rng(1)
                interval, how = interval_over_seeds_and_videos(spread[0], spread[1], rng), "seeds and videos (bootstrap)"
                if len(both) == 1:
                    how = "videos (bootstrap)"
            value = float(np.mean(both))
            yield Difference(data, first, second, metric_of(metric), value, interval, len(both), how)

    def _write(self, result: Comparison) -> None:
        out = self.out
        text = {
            "results.md": result.markdown() + "\n",
            "results.csv": csv_text(result.tables, result.selection, result.seeds),
            "results.tex": "\n\n".join(latex(table) for table in result.tables) + "\n",
        }
        if self.plan.pairs:
            about = f"selection {SELECTED[result.selection]}; {DRAWS} draws.\n\n"
            text["pairs.md"] = about + differences_markdown(result.differences) + "\n"
            text["pairs.csv"] = differences_csv(result.differences)
        for name, content in text.items():
            with atomic_write(out / name) as stream:
                stream.write(content)
        plot(result.tables, out / "plot.png")
        notes: dict[str, Mapping[str, Any]] = {"failures.json": result.failures, "chosen.json": self.chosen}
        for name, said in notes.items():
            if said:
                write_json(out / name, said, indent=1)
            else:
                (out / name).unlink(missing_ok=True)  # of a call before


def _drawn(first: Sequence[Path], second: Sequence[Path], protocol: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Thresholds, and each run's mAP [S, B, K] in the same draws of the test videos; None without detections."""
    files = [[folder / f"{protocol}.npz" for folder in folders] for folders in (first, second)]
    if not all(file.is_file() for side in files for file in side):
        return None
    times: np.ndarray | None = None
    sides = []
    tious = np.empty(0)
    for side in files:
        values = []
        for file in side:
            matched = Matched.read(file)
            tious = matched.tious
            if times is None:
                times = drawn_videos(matched.video_instances.shape[1], DRAWS, np.random.default_rng(0))
            values.append(mean_average_precision(matched, times))
        sides.append(np.stack(values))
    return tious, sides[0], sides[1]


def _title(run: RunSpec, data: Data, number: int | None, seed: int, candidate: int | None) -> str:
    fold = f", fold {number}" if number is not None and len(data.parts) > 1 else ""
    which = "" if candidate is None else f", candidate {candidate + 1}"
    return f"{run.name} on {data.name}{fold}, seed {seed}{which}"


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for localization: a bare key means `localization.<key>`."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        tree = merge(tree, {key: value} if key in ("localization", "data") else {"localization": {key: value}})
    return tree


def split_metric(metric: str) -> tuple[str, str]:
    """`protocol:scalar`; without a protocol it is activitynet's."""
    protocol, colon, name = metric.partition(":")
    return (protocol, name) if colon and protocol in PROTOCOLS else ("activitynet", metric)


def metric_of(metric: str) -> Metric:
    """How a metric is shown."""
    _, name = split_metric(metric)
    return Metric(metric, name.startswith(IN_PER_CENT), not name.startswith(LOWER_IS_BETTER))


# The experiment file -------------------------------------------------------------------------------------------------------


def read_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file; docs/compare.md has its keys.

    Raises:
        InputError: not YAML, an unknown key (the nearest is named), a run, file, method, setting or metric that does not exist.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not usable YAML: {' '.join(str(error).split())}") from error
    where = str(path)
    top = _mapping(content, where, ("data", "runs", "seeds", "selection", "metrics", "evaluate", "localize", "pairs", "keep"))
    for key in ("data", "runs", "metrics"):
        if not top.get(key):
            raise InputError(f"{where}: no {key!r} in it; docs/compare.md shows an experiment file")
    data = _read_data(top["data"], path)
    runs = _read_runs(top["runs"], where, data)
    selection = top.get("selection", "last")
    if selection not in SELECTIONS:
        raise unknown(selection, SELECTIONS, f"{where}: selection")
    if selection == "last" and (run := next((run for run in runs.values() if run.candidates), None)):
        raise InputError(f"{where}: runs.{run.name}.candidates: nothing is chosen with selection last; write weak-loss or oracle")
    if selection == "weak-loss" and (run := next((r for r in runs.values() if r.candidates and r.unlabelled), None)):
        raise InputError(f"{where}: runs.{run.name}: weak-loss needs tags to choose by, and the run uses none")
    options = _mapping(top.get("evaluate") or {}, f"{where}: evaluate", _evaluate_options())
    if "tiou" in options:
        options["tiou"] = str(options["tiou"])
    tious = np.array(parse_tious(options.get("tiou", "0.1:0.9:0.1")))
    plan = Experiment(
        path=path,
        data=data,
        runs=runs,
        seeds=_read_seeds(top.get("seeds", 5), where),
        selection=selection,
        metrics=_read_metrics(top["metrics"], where, tious),
        evaluate=options,
        localize=_mapping(top.get("localize") or {}, f"{where}: localize"),
        pairs=_read_pairs(top.get("pairs") or [], where, runs),
        keep=_boolean(top.get("keep", False), f"{where}: keep"),
    )
    _check_settings(plan)
    return plan


class _Loader(yaml.SafeLoader):
    """YAML in which no key may stand twice (all but the last would be lost), and ON, NO and the like are names, as in YAML 1.2."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as its base has it)
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key!r} stands twice, the second time {node.start_mark}")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def _evaluate_options() -> list[str]:
    """What the data set does not say itself."""
    ours = ("target", "annotations", "labels", "subset", "protocol", "parts", "names", "diagnose")
    return [name for name in inspect.signature(evaluate).parameters if name not in ours]


def _read_data(content: Any, path: Path) -> dict[str, Data]:
    where = f"{path}: data"
    content = _mapping(content, where)
    if "features" in content or "folds" in content:
        content = {"data": content}
    found = {}
    for name, entry in content.items():
        entry = _mapping(entry, f"{where}.{name}", (*PART_FIELDS, "folds"))
        folds = entry.pop("folds", [{}])
        if not isinstance(folds, list) or not folds:
            raise InputError(f"{where}.{name}.folds: expected a list, one entry per fold")
        parts = []
        for number, fold in enumerate(folds):
            place = f"{where}.{name}" + (f".folds[{number}]" if len(folds) > 1 else "")
            parts.append(_read_part({**entry, **_mapping(fold, place, PART_FIELDS)}, place, path))
        if len({part.subset for part in parts}) > 1:
            raise InputError(f"{where}.{name}: the folds are scored together, so that all need the same subset")
        found[str(name)] = Data(str(name), tuple(parts))
    return found


def _read_part(entry: dict[str, Any], where: str, path: Path) -> Part:
    for key in ("features", "labels", "annotations"):
        if key not in entry:
            raise InputError(f"{where}: no {key!r} in it")
    for key in FILES:
        if entry.get(key) is not None:
            entry[key] = _find(entry[key], f"{where}.{key}", path)
    if (entry.get("trimmed") is None) != (entry.get("trimmed_labels") is None):
        raise InputError(f"{where}: trimmed and trimmed_labels go together")
    clusters = entry.get("clusters")
    if clusters is not None and (type(clusters) is not int or clusters < 1):
        raise InputError(f"{where}.clusters: expected a whole number from 1, found {clusters!r}")
    if entry.get("subset") is not None:
        entry["subset"] = str(entry["subset"])
    part = Part(**entry)
    store = FeatureStore(part.features)
    read_labels(part.labels, store.videos)
    read_annotations(part.annotations).subset(part.subset)
    if part.trimmed and part.trimmed_labels:
        read_labels(part.trimmed_labels, FeatureStore(part.trimmed).videos)
    return part


def _find(value: Any, where: str, path: Path) -> str:
    """A path relative to the experiment file or, where nothing is there, to the working directory."""
    for file in (path.parent / str(value), Path(str(value))):
        if file.exists():
            return str(file)
    raise InputError(f"{where}: {value} is neither beside {path.name} nor in {Path.cwd()}")


def _read_runs(content: Any, where: str, data: Collection[str]) -> dict[str, RunSpec]:
    runs: dict[str, RunSpec] = {}
    for name, entry in _mapping(content, f"{where}: runs").items():
        place = f"{where}: runs.{name}"
        entry = _mapping(entry, place)
        if "attention" in entry or "classification" in entry:
            entry = _mapping(entry, place, ("attention", "classification", "localize", "data"))
            if len(entry.keys() & {"attention", "classification"}) < 2:
                raise InputError(f"{place}: a swap names two runs: attention and classification")
        else:
            allowed = ("method", "preset", "settings", "candidates", "localize", "unlabelled", "trimmed", "init", "classes", "data")
            entry = _mapping(entry, place, allowed)
            if "method" not in entry:
                raise InputError(f"{place}: no 'method' in it")
            method_class(str(entry["method"]))
        for key in ("attention", "classification", "init", "method", "preset"):
            if entry.get(key) is not None:
                entry[key] = str(entry[key])
        for key in ("settings", "localize"):
            if key in entry:
                entry[key] = _mapping(entry[key] or {}, f"{place}.{key}")
        for key in ("unlabelled", "trimmed"):
            if key in entry:
                entry[key] = _boolean(entry[key], f"{place}.{key}")
        if "classes" in entry:
            if not isinstance(entry["classes"], list) or not entry["classes"]:
                raise InputError(f"{place}.classes: expected a list of labels")
            entry["classes"] = tuple(map(str, entry["classes"]))
        if "candidates" in entry:
            if not isinstance(entry["candidates"], list) or not entry["candidates"]:
                raise InputError(f"{place}.candidates: expected a list of settings")
            entry["candidates"] = tuple(_mapping(one, f"{place}.candidates") for one in entry["candidates"])
        if "data" in entry:
            named = entry["data"] if isinstance(entry["data"], list) else [entry["data"]]
            for one in named:
                if one not in data:
                    raise unknown(one, data, f"{place}.data")
            entry["data"] = tuple(named)
        runs[str(name)] = RunSpec(str(name), **entry)
    for run in runs.values():
        place = f"{where}: runs.{run.name}"
        for key in ("attention", "classification", "init"):
            other = getattr(run, key)
            if other is None:
                continue
            if other not in runs:
                raise unknown(other, runs, f"{place}.{key}")
            if runs[other].is_swap:
                raise InputError(f"{place}.{key}: {other} is a swap itself; name a run that is trained")
            if runs[other].candidates:
                raise InputError(f"{place}.{key}: {other} has candidates; name a run that has none")
            if key == "init" and runs[other].method != run.method:
                raise InputError(f"{place}.init: {other} is another method ({runs[other].method}); a run starts from its own")
            if runs[other].data is not None and set(run.data or data) - set(runs[other].data or ()):
                raise InputError(f"{place}.{key}: {other} is not made on all of this run's data")
        if run.unlabelled and (run.init or run.classes):
            raise InputError(f"{place}: init and classes need labels, and the run uses none")
        seen = [run.name]
        while (start := runs[seen[-1]].init) is not None:
            if start in seen:
                raise InputError(f"{place}.init: the runs {', '.join(seen)} start from each other")
            seen.append(start)
    return runs


def _read_seeds(content: Any, where: str) -> tuple[int, ...]:
    seeds = list(range(content)) if type(content) is int else content
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise InputError(f"{where}: seeds: expected how many, or a list of whole numbers from 0, found {content!r}")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: seeds: one stands twice; the same seed gives the same result")
    return tuple(seeds)


def _read_metrics(content: Any, where: str, tious: np.ndarray) -> tuple[str, ...]:
    metrics = content if isinstance(content, list) else [content]
    for number, metric in enumerate(metrics):
        place = f"{where}: metrics"
        if not isinstance(metric, str):
            raise InputError(f"{place}: expected a name such as mAP@0.5, found {metric!r}")
        if metric in metrics[:number]:
            raise InputError(f"{place}: {metric} stands twice")
        protocol, colon, name = metric.partition(":")
        if colon and protocol not in PROTOCOLS and not protocol.startswith("mAP@"):
            raise unknown(protocol, PROTOCOLS, f"{place}: {metric}: protocol")
        protocol, name = split_metric(metric)
        if protocol in DETECTION_PROTOCOLS and name.startswith("mAP"):
            try:
                over_thresholds(np.zeros(len(tious)), tious, name)
            except InputError as error:
                raise InputError(f"{place}: {error}") from None
    return tuple(metrics)


def _read_pairs(content: Any, where: str, runs: Mapping[str, RunSpec]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for pair in content if isinstance(content, list) else [content]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise InputError(f"{where}: pairs: expected two runs such as [with, without], found {pair!r}")
        for name in pair:
            if str(name) not in runs:
                raise unknown(name, runs, f"{where}: pairs")
        if pair[0] == pair[1]:
            raise InputError(f"{where}: pairs: {pair[0]} with itself")
        pairs.append((str(pair[0]), str(pair[1])))
    return tuple(pairs)


def _check_settings(plan: Experiment) -> None:
    """See that every run's settings exist, for the streams of every data set it is made on, and that it can learn from it."""
    for data in plan.data.values():
        for run in plan.runs_of(data.name):
            place = f"{plan.path}: runs.{run.name}"
            source = plan.runs[run.classification] if run.classification else run
            streams = FeatureStore(data.parts[0].features).streams
            laid_over = merge(_nested(plan.localize), _nested(run.localize or {}))
            try:
                for candidate in source.candidates or ({},):
                    resolve(source.method, source.preset, merge(merge(source.settings or {}, candidate), laid_over), streams)
            except InputError as error:
                raise InputError(f"{place}: {error}") from None
            if source.unlabelled and "clusters" not in method_class(source.method).learns_from:
                raise InputError(f"{place}.unlabelled: {source.method} cannot learn without labels")
            if len(data.parts) > 1 and source.unlabelled:
                raise InputError(f"{place}: clusters of different folds have nothing in common; make it on data without folds")


def _mapping(content: Any, where: str, allowed: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: expected names with values, found {content!r}")
    for key in content:
        if allowed and key not in allowed:
            raise unknown(str(key), allowed, where)
    return dict(content)


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{where}: expected true or false, found {value!r}")
    return value
