"""What the scores of an experiment say: numbers by seed, and paired differences with what they are worth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

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
from untrimmed.experiments.metrics import metric_of, split_metric
from untrimmed.experiments.score_task import read_scores
from untrimmed.experiments.spec import Experiment
from untrimmed.experiments.task import Scoring
from untrimmed.reporting.tables import Difference
from untrimmed.runs.score import DETECTION_PROTOCOLS


@dataclass
class Scores:
    """The scores that an experiment has.

    tasks: by run, data set, seed and candidate, those that did not fail. chosen: by name, what `oracle` chose, and by what.
    """

    plan: Experiment
    tasks: Mapping[tuple[str, str, int, int], Scoring]
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)

    def value(self, task: Scoring, metric: str) -> float | None:
        """None where the run was not scored by that protocol, or there is no such number for it (a round, a stream, parts)."""
        protocol, name = split_metric(metric)
        scores = read_scores(task.folder).get(protocol)
        if scores is None:
            return None
        if name not in scores and protocol in DETECTION_PROTOCOLS and name.startswith("mAP@"):
            tious = np.array(parse_tious(self.plan.tiou))
            return float(over_thresholds(np.array([scores[f"mAP@{tiou:g}"] for tiou in tious]), tious, name))
        return scores.get(name)

    def of_seeds(self, run: str, data: str) -> dict[int, Scoring]:
        """The scores of each seed; with `oracle`, those of the candidate that is best by the first metric."""
        by_seed: dict[int, Scoring] = {}
        first = self.plan.metrics[0]
        sign = 1 if metric_of(first).higher_is_better else -1
        for seed in self.plan.seeds:
            tasks = [task for key, task in sorted(self.tasks.items()) if key[:3] == (run, data, seed)]
            if len(tasks) == 1:
                by_seed[seed] = tasks[0]
            elif tasks:
                values = [self.value(task, first) for task in tasks]
                best = int(np.nanargmax([np.nan if value is None else sign * value for value in values]))
                by_seed[seed] = tasks[best]
                self.chosen[f"{run} on {data}, seed {seed}"] = {"chosen": tasks[best].name, first: values}
        return by_seed

    def differences(self) -> Iterator[Difference]:
        """Of every pair, on every data set that both runs are made on, by every metric."""
        for data in self.plan.data.values():
            made = {run.name for run in self.plan.runs_of(data.name)}
            for first, second in self.plan.pairs:
                for metric, by_seed, draws in self._paired(data.name, first, second) if {first, second} <= made else ():
                    names, values = (self.plan.shown(first), self.plan.shown(second)), list(by_seed.values())
                    interval, how = _interval(values, draws)
                    yield Difference(data.name, *names, metric_of(metric), float(np.mean(values)), interval, len(values), how)

    def averages(self) -> Iterator[Difference]:
        """Means of differences over data sets, whose seeds and videos are drawn independently of each other."""
        for name, members in self.plan.averages.items():
            paired = [list(self._paired(*member, number)) for number, member in enumerate(members)]
            for metric in self.plan.metrics:
                matching = [(by_seed, draws) for of_member in paired for which, by_seed, draws in of_member if which == metric]
                seeds = [seed for seed in matching[0][0] if all(seed in by_seed for by_seed, _ in matching)] if matching else []
                if len(matching) < len(members) or not seeds:
                    continue
                value = float(np.mean([np.mean(list(by_seed.values())) for by_seed, _ in matching]))
                draws = None if any(d is None for _, d in matching) else np.mean([d for _, d in matching if d is not None], axis=0)
                interval, how = _interval([float(np.mean([by_seed[seed] for by_seed, _ in matching])) for seed in seeds], draws)
                yield Difference(f"mean of {len(members)}", name, None, metric_of(metric), value, interval, len(seeds), how)

    def _paired(
        self, data: str, first: str, second: str, number: int = 0
    ) -> Iterator[tuple[str, dict[int, float], np.ndarray | None]]:
        """By metric the differences by seed, and for mAP of detections those in draws of seeds and videos, [B].

        number: of the data set among those averaged; each draws for itself.
        """
        minuend, subtrahend = self.of_seeds(first, data), self.of_seeds(second, data)
        seeds = [seed for seed in minuend if seed in subtrahend]
        drawn: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray] | None] = {}
        for metric in self.plan.metrics:
            protocol, name = split_metric(metric)
            values = {seed: (self.value(minuend[seed], metric), self.value(subtrahend[seed], metric)) for seed in seeds}
            by_seed = {seed: a - b for seed, (a, b) in values.items() if a is not None and b is not None}
            if not by_seed:
                continue
            if protocol not in drawn:
                folders = [minuend[s].folder for s in seeds], [subtrahend[s].folder for s in seeds]
                drawn[protocol] = _drawn(*folders, protocol, np.random.default_rng(2 * number))
            draws = None
            if (material := drawn[protocol]) is not None and name.startswith("mAP@"):
                tious, a, b = material
                rng = np.random.default_rng(2 * number + 1)
                draws = drawn_differences(over_thresholds(a, tious, name), over_thresholds(b, tious, name), rng)
            yield metric, by_seed, draws


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
