"""What an experiment file says, as dataclasses; and the two kinds of task that it comes to: a training, and a scoring."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from untrimmed.evaluation.activitynet import DEFAULT_TIOU
from untrimmed.runs.score import PROTOCOLS
from untrimmed.runs.supervision import Supervision


@dataclass(frozen=True)
class Part:
    """What one training gets, and what it is scored on: a data set, or one fold of it."""

    features: str
    labels: str
    annotations: str
    subset: str | None = None
    only: str | None = None
    trimmed: str | None = None
    trimmed_labels: str | None = None
    clusters: int | None = None
    parts: str | None = None


def supervision_of(
    part: Part, unlabelled: bool, clips: bool, classes: tuple[str, ...] | None, only: str | None = None
) -> Supervision:
    """What a training on a part learns from. clips: whether it looks at the trimmed clips; only: in place of the part's own."""
    return Supervision(
        labels=None if unlabelled else part.labels,
        unlabelled=unlabelled,
        clusters=part.clusters if unlabelled else None,
        trimmed=part.trimmed if clips else None,
        trimmed_labels=part.trimmed_labels if clips else None,
        only=only or part.only,
        classes=classes,
    )


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


@dataclass(frozen=True)
class Training:
    """One training: what `untrimmed train` would be told.

    held_out: videos that are kept from it, to choose a candidate by. init: the folder of the training that it starts from.
    """

    name: str
    folder: Path
    part: Part
    method: str
    preset: str
    settings: dict[str, Any]
    seed: int
    unlabelled: bool = False
    trimmed: bool = False
    classes: tuple[str, ...] | None = None
    held_out: tuple[str, ...] = ()
    init: Path | None = None


@dataclass(frozen=True)
class Scoring:
    """One set of scores: a run's detections in the test videos of all parts, by each protocol.

    runs: the trained run of each part. attention: where given, the runs whose attention takes the place of their own.
    """

    name: str
    folder: Path
    parts: tuple[Part, ...]
    runs: tuple[Path, ...]
    attention: tuple[Path, ...]
    settings: dict[str, Any]
    protocols: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    selection: str = "last"
    keep: bool = False


Task = Training | Scoring
