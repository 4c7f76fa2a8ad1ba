"""What is reviewed: a detections file, or a run whose training videos are localized."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from untrimmed.data.activations import find_activations, read_activations
from untrimmed.data.annotations import DetectionFile, read_detections
from untrimmed.data.corrections import read_corrections
from untrimmed.data.errors import InputError
from untrimmed.data.outputs import named_after
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Activation


@dataclass(frozen=True)
class Source:
    """What is shown, and where what comes of it goes.

    files: detections; the last are shown, those before it beside them. annotations: where marks go, unless told otherwise.
    clusters: where goes what is made of an unlabelled run's clusters.
    work: a folder for what is made meanwhile. labels: those that marks may have; None: those of the detections.
    sources: the videos' files, where features know them. run: what can be taught, if anything. store: its features.
    """

    files: tuple[Path, ...]
    annotations: Path
    clusters: Path
    work: Path
    labels: tuple[str, ...] | None = None
    sources: Mapping[str, Path] = field(default_factory=dict)
    run: Path | None = None
    store: FeatureStore | None = None


def source_of_file(path: Path) -> Source:
    """A detections file as it is.

    Raises:
        InputError: it is none.
    """
    read_detections(path)
    marks, clusters, work = (named_after(path, f".{what}") for what in ("annotations.json", "clusters.json", "review"))
    return Source((path,), marks, clusters, work)


def stored_activations(detections: Path) -> dict[str, Activation]:
    """The activations beside a detections file, if they are kept."""
    folder = find_activations(detections)
    return {} if folder is None else {activation.video: activation for activation in read_activations(folder)[0]}


def durations_of(file: DetectionFile, activations: Mapping[str, Activation], lengths: Mapping[str, float]) -> dict[str, float]:
    """The length in seconds of each video, from whatever knows it; `lengths` are those of the files."""
    durations = {}
    for video, detections in file.results.items():
        known = [d.end for d in detections] + [lengths.get(video, 0.0)]
        if video in activations:
            known.append(activations[video].timeline.duration)
        durations[video] = max(known) or 1.0
    return durations


def labels_of(file: DetectionFile, activations: Mapping[str, Activation], annotations: Path) -> list[str]:
    """The labels that marks may have where no run says them: those of the detections, of the model, and of earlier marks."""
    labels = {d.label for detections in file.results.values() for d in detections}
    for activation in activations.values():
        labels.update(activation.classes)
    if annotations.exists():
        for marks in read_corrections(annotations).values():
            labels |= marks.labels | {segment.label for segment in marks.rejected}
    if not labels:
        raise InputError(f"{file.path}: it has no detection, so that there is no label to mark with")
    return sorted(labels)
