"""What an experiment file says, as dataclasses."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from untrimmed.evaluation.activitynet import DEFAULT_TIOU
from untrimmed.experiments.task import Part
from untrimmed.runs.score import PROTOCOLS


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
    averages: dict[str, tuple[tuple[str, str, str], ...]]
    keep: bool

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        return tuple(sorted({split_metric(metric)[0] for metric in self.metrics}))

    @property
    def tiou(self) -> str:
        return self.evaluate.get("tiou", DEFAULT_TIOU)

    def source(self, run: RunSpec) -> RunSpec:
        """The trained run that says what a run's classes and settings are: itself, or of a swap the classification's."""
        return self.runs[run.classification] if run.classification else run

    def is_oracle(self, run: RunSpec) -> bool:
        """Whether test truth played a part in it: in the choice of a candidate, or in what its clusters are taken for."""
        source = self.source(run)
        return bool(self.selection == "oracle" and source.candidates) or bool(
            source.unlabelled and self.evaluate.get("map_clusters_oracle")
        )

    def runs_of(self, data: str) -> list[RunSpec]:
        return [run for run in self.runs.values() if run.data is None or data in run.data]


def split_metric(metric: str) -> tuple[str, str]:
    """`protocol:scalar`; without a protocol it is activitynet's."""
    protocol, colon, name = metric.partition(":")
    return (protocol, name) if colon and protocol in PROTOCOLS else ("activitynet", metric)
