"""The folds of a data set as one: every test video once, with what the model of its own fold says of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.annotations import VideoTruth, read_annotations, read_detections, write_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.settings import merge
from untrimmed.data.types import Activation, Results, StreamActivation
from untrimmed.evaluation.attention import softmax
from untrimmed.evaluation.clustering import Mapped, map_detections, map_scores
from untrimmed.experiments.task import Part
from untrimmed.runs.mapping import MappingOptions, clusters_in, tags_of

NO_ACTIVITY = 1e-12
"""Of a class that no cluster of a fold stands for; its logarithm is finite."""


def name_clusters(folder: Path, part: Part, how: str, oracle: bool) -> None:
    """Rewrite a fold's detections and activations under the classes that its clusters stand for.

    The clusters of different folds have nothing in common but their names, so that they cannot be pooled. What a fold's clusters
    stand for is told by the labels of its own training videos; a test video that was clustered too says nothing.

    Activations then hold, for each class, the best of its clusters, of the class scores and of the softmax of the logits, each
    times its weight; class_logit is the logarithm of the latter.

    Args:
        how: see `evaluation.clustering.map_clusters`. oracle: by the labels of the fold's test videos instead.

    Raises:
        InputError: no training video of the fold has a label.
    """
    beside = folder / "detections.activations"
    detected = read_detections(folder / "detections.json")
    activations, stored = read_activations(beside) if beside.is_dir() else ([], {})
    tested = tags_of(read_annotations(part.annotations).subset(part.subset))
    clusters = {video: cluster for video, cluster in clusters_in(detected.untrimmed).items() if video not in tested}
    best = {video: max(segments, key=lambda d: d.score).label for video, segments in detected.results.items() if segments}
    known = {label for activation in activations for label in activation.classes}
    known |= {d.label for segments in detected.results.values() for d in segments}
    fitted = MappingOptions(how, oracle, labels=part.labels).fit(detected.path, clusters, known, best, None, tested)

    changed = {"selection": "oracle"} if oracle else {}
    about = {key: value for key, value in detected.untrimmed.items() if key not in ("clusters", "held")} | changed
    write_detections(detected.path, map_detections(detected.results, fitted.clusters), about)
    if activations:
        stored = {key: value for key, value in stored.items() if key not in ("clusters", "held")} | changed
        write_activations(beside, [_named(activation, fitted.clusters) for activation in activations], stored)


def _named(activation: Activation, mapping: Mapped) -> Activation:
    streams = {}
    for name, stream in activation.streams.items():
        score, labels = map_scores(stream.class_score, activation.classes, mapping)
        activity, _ = map_scores(softmax(stream.class_logit), activation.classes, mapping)
        logit = np.log(np.maximum(activity, NO_ACTIVITY)).astype(np.float32)
        streams[name] = StreamActivation(stream.attention, logit, score, stream.extra)
    return replace(activation, classes=labels, streams=streams, segments=None)


def pool(folders: Sequence[Path], parts: Sequence[Part], work: Path, named: bool = False) -> tuple[Path, Path]:
    """The folds as one data set: the folder of its detections and activations, and its annotations.

    Args:
        named: the classes are those that clusters were taken for (`name_clusters`), so that a fold may lack some.

    Raises:
        InputError: a video is tested in two folds, or the folds' runs know different classes.
    """
    write_annotations(work / "annotations.json", pooled_truth(parts), "folds")
    out = work / "pooled"
    results: Results = {}
    about: dict[str, Any] = {}
    for folder in folders:
        detected = read_detections(folder / "detections.json")
        results |= detected.results
        about = merge(about, detected.untrimmed)
    about.pop("localization", None)
    write_detections(out / "detections.json", results, about)
    if all((folder / "detections.activations").is_dir() for folder in folders):
        everything: list[Activation] = []
        for folder in folders:
            activations, about = read_activations(folder / "detections.activations")
            everything += activations
        classes = tuple(sorted({label for activation in everything for label in activation.classes}))
        strange = next((activation for activation in everything if activation.classes != everything[0].classes), None)
        if named:
            everything = [_over(classes, activation) for activation in everything]
        elif strange is not None:
            raise InputError(
                f"the folds' runs know different classes, such as {set(everything[0].classes) ^ set(strange.classes) or classes}"
            )
        write_activations(out / "detections.activations", everything, about)
    return out, work / "annotations.json"


def _over(classes: tuple[str, ...], activation: Activation) -> Activation:
    """The same over more classes, which its fold knows nothing of."""
    place = [classes.index(label) for label in activation.classes]
    streams = {}
    for name, stream in activation.streams.items():
        score = np.zeros(len(classes))
        logit = np.full((len(stream.class_logit), len(classes)), np.log(NO_ACTIVITY), dtype=np.float32)
        score[place], logit[:, place] = stream.class_score, stream.class_logit
        streams[name] = replace(stream, class_logit=logit, class_score=score)
    return replace(activation, classes=classes, streams=streams)


def pooled_truth(parts: Sequence[Part]) -> dict[str, VideoTruth]:
    """The truth of all folds: of each test video that of the fold that tests it; other videos are in another subset."""
    tested_videos(parts, parts[0].annotations)
    truth: dict[str, VideoTruth] = {}
    for part in parts:
        annotations = read_annotations(part.annotations)
        for video, of_video in annotations.videos.items():
            truth.setdefault(video, of_video if part.subset is None else replace(of_video, subset=f"not {part.subset}"))
        truth |= annotations.subset(part.subset)
    return truth


def tested_videos(parts: Sequence[Part], where: str) -> dict[str, int]:
    """The fold that tests it, by video.

    Raises:
        InputError: a video is tested in two folds.
    """
    tested: dict[str, int] = {}
    for number, part in enumerate(parts):
        for video in read_annotations(part.annotations).subset(part.subset):
            if video in tested:
                raise InputError(f"{where}: {video!r} is tested in fold {number} and in fold {tested[video]}")
            tested[video] = number
    return tested
