"""The three kinds of task that an experiment comes to: a training, the loss on videos that were held out, and a scoring."""

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from untrimmed.data.settings import setting
from untrimmed.runs.supervision import Supervision


@dataclass(frozen=True)
class Part:
    """What one training gets, and what it is scored on: a data set, or one fold of it."""

    features: str = setting(MISSING, "a feature store")
    labels: str = setting(MISSING, "labels.csv; of a run without labels it says what its clusters are compared with")
    annotations: str = setting(MISSING, "the true segments, in the ActivityNet schema")
    subset: str | None = setting(None, "which videos of the annotations are tested; none: all")
    only: str | None = setting(None, "a CSV whose column video restricts the training videos")
    trimmed: str | None = setting(None, "a feature store of trimmed clips")
    trimmed_labels: str | None = setting(None, "the labels of the clips")
    clusters: int | None = setting(None, "how many clusters a run without labels makes; none: the method says", low=1)
    parts: str | None = setting(None, "a JSON file that says what is action and what context, for attention")


FILES = ("features", "labels", "annotations", "only", "trimmed", "trimmed_labels", "parts")
"""Those fields of a part that name a file or folder."""


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
class Training:
    """One training: what `untrimmed train` would be told.

    held_out: videos that are kept from it, to choose a candidate by. init: the folder of the training that it starts from.
    teacher: the folder of the training that it is a student of; it then learns from what that one did, and from the true times
        (`marks`: as segments or points) of so many training videos of each class as `annotated` says.
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
    teacher: Path | None = None
    annotated: int = 0
    marks: str = "segments"

    def is_done(self) -> bool:
        run = run_of(self.folder)
        return (run / "model" / "model.json").is_file() and not (run / "checkpoints").exists()


@dataclass(frozen=True)
class HeldOut:
    """The loss of a trained run on videos that were kept from it; `run` is the folder of the training."""

    name: str
    folder: Path
    part: Part
    run: Path
    videos: tuple[str, ...]

    def is_done(self) -> bool:
        return (self.folder / "loss.json").is_file()


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

    def is_done(self) -> bool:
        return (self.folder / "scores.json").is_file() and (not self.keep or (self.folder / "kept").is_dir())


Task = Training | HeldOut | Scoring


def run_of(folder: Path) -> Path:
    """The run folder of a training."""
    return folder / "run"
