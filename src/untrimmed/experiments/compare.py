"""Run an experiment: what is trained where, what is scored where, and what came of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import note, progress
from untrimmed.data.files import atomic_write, read_json, write_json
from untrimmed.data.settings import merge
from untrimmed.evaluation.activitynet import parse_tious
from untrimmed.evaluation.bootstrap import (
    DRAWS,
    Matched,
    drawn_differences,
    drawn_videos,
    interval_over_draws,
    interval_over_seeds,
    mean_average_precision,
    over_thresholds,
)
from untrimmed.experiments.cache import held_out_key, scoring_key, store_hash, training_key
from untrimmed.experiments.check import check_training_data
from untrimmed.experiments.held_out import held_out_fifth
from untrimmed.experiments.metrics import metric_of, split_metric
from untrimmed.experiments.score_task import read_scores
from untrimmed.experiments.spec import Data, Experiment, RunSpec
from untrimmed.experiments.task import HeldOut, Part, Scoring, Task, Training
from untrimmed.reporting.tables import (
    Difference,
    Table,
    csv_text,
    differences_csv,
    differences_markdown,
    latex,
    markdown,
    plot,
)
from untrimmed.runs.detect import overrides_of
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

    def markdown(self) -> str:
        parts = [markdown(table) for table in self.tables]
        if self.differences:
            parts.append("## Paired differences\n\n" + differences_markdown(self.differences))
        if self.failures:
            parts.append("## Failed\n\n" + "\n".join(f"- {name}: {why}" for name, why in self.failures.items()))
        return "\n\n".join(parts)


class Comparing:
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
        check_training_data(plan)
        self._train()
        self._score()
        tables = tuple(self._table(data) for data in plan.data.values())
        methods = tuple(sorted({run.method for run in plan.runs.values() if not run.is_swap}))
        differences = (*self._differences(), *self._averages())
        result = Comparison(tables, differences, self.failures, plan.selection, plan.seeds, methods, plan.metrics)
        self._write(result)
        return result

    # Doing -----------------------------------------------------------------------------------------------------------------

    def _do(self, what: str, tasks: Sequence[Task]) -> None:
        """Do what is not done yet, each folder once; name what fails."""
        unique = {task.folder: task for task in tasks}
        left = [task for task in unique.values() if not task.is_done()]
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
            waiting = {run.name for run in left}
            ready = [run for run in left if not {run.init, run.refine} & waiting]
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
                self._do("train candidates", [held for _, held in tasks if held is not None])
                losses = {held.folder: self._judging(held) for _, held in tasks if held and held.folder not in self.failed}
                self._do("judge candidates", list(losses.values()))
                tasks = self._chosen(tasks, losses)
            self._do("train", [task for task, _ in tasks])

    def _candidates(self, run: RunSpec, data: Data, number: int, part: Part, seed: int) -> list[tuple[Training, Training | None]]:
        """Each candidate of a run, to be trained on all videos, and (for weak-loss) without the held-out fifth."""
        made = []
        for candidate, over in enumerate(run.candidates or ({},)):
            settings = merge(run.settings or {}, over)
            settings.pop("localization", None)
            start = None
            if (earlier := run.init or run.refine) is not None:
                start = self.trained.get((earlier, data.name, number, seed, 0))
                if start is None or start in self.failed:
                    self.failures[_title(run, data, number, seed, None)] = f"not trained: {earlier}, from which it starts, failed"
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
                trimmed=run.learns_from_clips(part),
                classes=run.classes,
                init=start if run.init else None,
                teacher=start if run.refine else None,
                annotated=run.annotated,
                marks=run.marks,
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

    def _judging(self, held: Training) -> HeldOut:
        task = HeldOut(f"{held.name}, loss", Path(), held.part, held.folder, held.held_out)
        return replace(task, folder=self.out / "cache" / held_out_key(task))

    def _chosen(
        self, tasks: Sequence[tuple[Training, Training | None]], judged: Mapping[Path, HeldOut]
    ) -> list[tuple[Training, Training | None]]:
        """Of the candidates of each run, part and seed the one with the lowest loss on the videos that were held out."""
        losses = {run: read_json(task.folder / "loss.json") for run, task in judged.items() if task.folder not in self.failed}
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
        source = plan.source(run)
        settings: dict[str, Any] = {"localization": (source.settings or {}).get("localization", {})}
        if plan.selection == "oracle" and source.candidates:
            settings = merge(settings, {"localization": source.candidates[candidate].get("localization", {})})
        settings = merge(merge(settings, overrides_of(plan.localize)), overrides_of(run.localize or {}))
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
        """None where the run was not scored by that protocol, or there is no such number for it (a round, a stream, parts)."""
        if task.folder in self.failed:
            return None
        protocol, name = split_metric(metric)
        scores = read_scores(task.folder).get(protocol)
        if scores is None:
            return None
        if name not in scores and protocol in DETECTION_PROTOCOLS and name.startswith("mAP@"):
            tious = np.array(parse_tious(self.plan.tiou))
            return float(over_thresholds(np.array([scores[f"mAP@{tiou:g}"] for tiou in tious]), tious, name))
        return scores.get(name)

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
        names = tuple(self._shown(run.name) for run in runs)
        metrics = tuple(metric_of(metric) for metric in self.plan.metrics)
        return Table(data.name, self._caption(data), metrics, names, tuple(rows), len(self.plan.seeds))

    def _shown(self, run: str) -> str:
        """A run's name, with what sets its result apart from those of labels alone."""
        annotated, marks = self.plan.runs[run].annotated, self.plan.runs[run].marks
        told = f" (+ {annotated} annotated video(s) per class, {marks})" if annotated else ""
        return run + told + (" (oracle)" if self.plan.is_oracle(self.plan.runs[run]) else "")

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
            *(self._mapped(data) if any(plan.source(run).unlabelled for run in plan.runs_of(data.name)) else []),
            f"seeds {', '.join(map(str, plan.seeds))}",
            "mean ± standard deviation over the seeds",
        ]
        return "; ".join(parts) + "."

    def _mapped(self, data: Data) -> Iterator[str]:
        """What clusters are taken for, and what is said of them as they are."""
        how, folds = self.plan.evaluate.get("map_clusters"), len(data.parts) > 1
        if how is None:
            yield "clusters as they are"
        else:
            oracle = self.plan.evaluate.get("map_clusters_oracle")
            whose = "ORACLE, the test videos' own labels" if oracle else "the training videos' labels"
            yield f"clusters taken for classes by {how} of {whose}" + (", in each fold by itself" if folds else "")
        if folds and "clustering" in self.plan.protocols:
            yield "clustering is the mean over the folds"

    def _differences(self) -> Iterator[Difference]:
        for data in self.plan.data.values():
            for first, second in self.plan.pairs:
                present = {run.name for run in self.plan.runs_of(data.name)}
                if {first, second} <= present:
                    yield from self._difference(data.name, first, second)

    def _difference(self, data: str, first: str, second: str) -> Iterator[Difference]:
        names = self._shown(first), self._shown(second)
        for metric, by_seed, draws in self._paired(data, first, second):
            interval, how = _interval(list(by_seed.values()), draws)
            yield Difference(data, *names, metric_of(metric), float(np.mean(list(by_seed.values()))), interval, len(by_seed), how)

    def _averages(self) -> Iterator[Difference]:
        """Means of differences over data sets, whose seeds and videos are drawn independently of each other."""
        for name, members in self.plan.averages.items():
            paired = [list(self._paired(*member, number)) for number, member in enumerate(members)]
            for metric in self.plan.metrics:
                found = [(by_seed, draws) for one in paired for which, by_seed, draws in one if which == metric]
                seeds = [seed for seed in found[0][0] if all(seed in by_seed for by_seed, _ in found)] if found else []
                if len(found) < len(members) or not seeds:
                    continue
                value = float(np.mean([np.mean(list(by_seed.values())) for by_seed, _ in found]))
                draws = None if any(d is None for _, d in found) else np.mean([d for _, d in found if d is not None], axis=0)
                interval, how = _interval([float(np.mean([by_seed[seed] for by_seed, _ in found])) for seed in seeds], draws)
                yield Difference(f"mean of {len(members)}", name, None, metric_of(metric), value, interval, len(seeds), how)

    def _paired(
        self, data: str, first: str, second: str, number: int = 0
    ) -> Iterator[tuple[str, dict[int, float], np.ndarray | None]]:
        """By metric the differences by seed, and for mAP of detections those in draws of seeds and videos, [B].

        number: of the data set among those averaged; each draws for itself.
        """
        one, other = self._of_seeds(first, data), self._of_seeds(second, data)
        seeds = [seed for seed in one if seed in other]
        drawn: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray] | None] = {}
        for metric in self.plan.metrics:
            protocol, name = split_metric(metric)
            values = {seed: (self._value(one[seed], metric), self._value(other[seed], metric)) for seed in seeds}
            by_seed = {seed: a - b for seed, (a, b) in values.items() if a is not None and b is not None}
            if not by_seed:
                continue
            if protocol not in drawn:
                folders = [one[s].folder for s in seeds], [other[s].folder for s in seeds]
                drawn[protocol] = _drawn(*folders, protocol, np.random.default_rng(2 * number))
            draws = None
            if (material := drawn[protocol]) is not None and name.startswith("mAP@"):
                tious, a, b = material
                rng = np.random.default_rng(2 * number + 1)
                draws = drawn_differences(over_thresholds(a, tious, name), over_thresholds(b, tious, name), rng)
            yield metric, by_seed, draws

    def _write(self, result: Comparison) -> None:
        out = self.out
        text = {
            "results.md": result.markdown() + "\n",
            "results.csv": csv_text(result.tables, result.selection, result.seeds),
            "results.tex": "\n\n".join(latex(table) for table in result.tables) + "\n",
        }
        if self.plan.pairs or self.plan.averages:
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


def _interval(by_seed: Sequence[float], draws: np.ndarray | None) -> tuple[tuple[float, float] | None, str]:
    """The 95 % interval of a difference, and over what it was taken."""
    if draws is None:
        return interval_over_seeds(by_seed), "seeds (t)"
    return interval_over_draws(draws), "videos (bootstrap)" if len(by_seed) == 1 else "seeds and videos (bootstrap)"


def _drawn(
    first: Sequence[Path], second: Sequence[Path], protocol: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
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
                times = drawn_videos(matched.video_instances.shape[1], DRAWS, rng)
            values.append(mean_average_precision(matched, times))
        sides.append(np.stack(values))
    return tious, sides[0], sides[1]


def _title(run: RunSpec, data: Data, number: int | None, seed: int, candidate: int | None) -> str:
    fold = f", fold {number}" if number is not None and len(data.parts) > 1 else ""
    which = "" if candidate is None else f", candidate {candidate + 1}"
    return f"{run.name} on {data.name}{fold}, seed {seed}{which}"
