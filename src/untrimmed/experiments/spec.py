"""What an experiment file says, as dataclasses: a run has the fields of `RunSpec` as its keys, a data set those of `Part`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from untrimmed.data.settings import setting
from untrimmed.evaluation.activitynet import DEFAULT_TIOU
from untrimmed.evaluation.clustering import MAPPINGS
from untrimmed.experiments.metrics import split_metric
from untrimmed.experiments.task import Part
from untrimmed.methods.base import method_class

SELECTIONS = ("last", "weak-loss", "oracle")


@dataclass(frozen=True)
class Data:
    """A data set: one part, or its folds."""

    name: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class RunSpec:
    """A run: a training, a student of another run, or the swap of two others."""

    name: str
    method: str = setting("", "the method's name")
    preset: str = setting("default", "one of the method's presets")
    settings: dict[str, Any] | None = setting(None, "settings laid over the preset, nested as `--set` takes them")
    candidates: tuple[dict[str, Any], ...] = setting((), "settings laid over these, of which one is chosen")
    localize: dict[str, Any] | None = setting(None, "settings laid over the run's when it localizes")
    unlabelled: bool = setting(False, "whether it learns without labels")
    trimmed: bool = setting(True, "whether it looks at trimmed clips, where there are some and the method can")
    init: str | None = setting(None, "the run whose weights it starts from, on the same data with the same seed")
    refine: str | None = setting(None, "the run that it is a student of, on the same data with the same seed")
    annotated: int = setting(0, "of a student: in so many training videos of each class the true times are marked", low=0)
    marks: Literal["segments", "points"] = setting("segments", "what is marked in them", choices=("segments", "points"))
    classes: tuple[str, ...] | None = setting(None, "the labels that it learns; none: all")
    data: tuple[str, ...] | None = setting(None, "the data sets that it is made on; none: all")
    attention: str | None = setting(None, "of a swap: the run whose attention it has")
    classification: str | None = setting(None, "of a swap: the run whose class logits, pooling and settings it has")

    @property
    def is_swap(self) -> bool:
        return self.attention is not None

    @property
    def parents(self) -> dict[str, str]:
        """The runs that it starts from or is made of, by the key that names them."""
        named = {key: getattr(self, key) for key in ("attention", "classification", "init", "refine")}
        return {key: run for key, run in named.items() if run is not None}

    def learns_from_clips(self, part: Part) -> bool:
        return (
            self.refine is None and self.trimmed and part.trimmed is not None and "trimmed" in method_class(self.method).learns_from
        )


SWAP = ("attention", "classification", "localize", "data")
"""The keys of a swap; a training has all but the first two."""


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of `untrimmed evaluate`, but for what the data set says itself."""

    tiou: str = setting(DEFAULT_TIOU, "thresholds: 0.5, 0.1,0.5 or 0.3:0.7:0.1")
    map_clusters: str | None = setting(None, "how clusters are taken for classes", choices=MAPPINGS)
    map_clusters_oracle: bool = setting(False, "by the labels of the scored videos")
    min_score: float | None = setting(None, "also score the detections that score at least this")


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

    def shown(self, run: str) -> str:
        """A run's name in tables, with what sets its result apart from those of labels alone."""
        annotated, marks = self.runs[run].annotated, self.runs[run].marks
        told = f" (+ {annotated} annotated video(s) per class, {marks})" if annotated else ""
        return run + told + (" (oracle)" if self.is_oracle(self.runs[run]) else "")

    def runs_of(self, data: str) -> list[RunSpec]:
        return [run for run in self.runs.values() if run.data is None or data in run.data]
