"""What is scored, and against what: detections or activations of a file or a run, true segments or labels."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.data.activations import find_activations, read_activations
from untrimmed.data.annotations import Annotations, DetectionFile, VideoTruth, read_annotations, read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels
from untrimmed.data.outputs import activations_beside
from untrimmed.data.run_files import RunFiles
from untrimmed.data.settings import build, of_stream
from untrimmed.data.types import Activation
from untrimmed.localization import Localization
from untrimmed.runs.mapping import Tags, tags_of


def where_in(path: Path, subset: str | None) -> str:
    """The set that is scored against, for messages."""
    return str(path) if subset is None else f"the subset {subset!r} of {path}"


def truth_of(annotations: str | Path, subset: str | None) -> tuple[Annotations, dict[str, VideoTruth]]:
    """An annotation file, and the videos of a subset of it."""
    truth = read_annotations(annotations)
    return truth, truth.subset(subset)


def scored_videos(
    annotations: Annotations, subset: str | None, listed: Collection[str], file: Path
) -> tuple[dict[str, VideoTruth], list[str]]:
    """The videos that a file of results is scored on: all of the subset, where one is named, or else those that the file lists.

    Results carry every video that was looked at, even those in which nothing was found. So a video that is absent was not
    looked at; only who names a subset asks for all of it, and what is absent then counts as missed.

    Returns:
        The truth by video, and what to note.

    Raises:
        InputError: no such subset; or none is named, and the file lists no video of the annotations.
    """
    chosen = annotations.subset(subset)
    if subset is not None:
        return chosen, []
    inside = {video: truth for video, truth in chosen.items() if video in listed}
    if not inside:
        some = f", such as {min(listed)!r}" if listed else ""
        raise InputError(f"{file}: none of its {len(listed)} videos{some}, is in {annotations.path}; the ids must be the same")
    notes = []
    if absent := len(chosen) - len(inside):
        subsets = ", ".join(sorted(annotations.subsets))
        notes.append(
            f"warning: {absent} of {len(chosen)} videos of {annotations.path} are not in {file} and are left out of the scores; "
            f"to score all videos of a subset, and the absent ones as missed, name it with `subset`"
            f"{f' (there is {subsets})' if subsets else ''}"
        )
    return inside, notes


def labels_of(
    annotations: str | Path | None, labels: str | Path | None, subset: str | None, protocol: str
) -> tuple[Path, Tags, Annotations | None]:
    """The labels to score against: of the annotation file where there is one, or else of the labels file."""
    if annotations is not None:
        truth, chosen = truth_of(annotations, subset)
        return truth.path, tags_of(chosen), truth
    if labels is None:
        raise InputError(f"{protocol} needs the true labels: `labels` or `annotations`")
    if subset is not None:
        raise InputError(f"`subset` {subset}: a labels file has no subsets; give `annotations`, or leave `subset` away")
    return Path(labels), {video: tuple(sorted(tags)) for video, tags in read_labels(labels).tags.items()}, None


def stream_weights(activations: Sequence[Activation], about: Mapping[str, Any], path: Path) -> dict[str, float]:
    """The share of each stream in fused scores, as the run's localization weighs them."""
    settings = build(Localization, about.get("localization", {}), f"{path / 'activations.json'}: localization")
    weights = {name: of_stream(settings, name).stream_weight for name in activations[0].streams}
    total = sum(weights.values())
    return {name: weight / total if total > 0 else 1 / len(weights) for name, weight in weights.items()}


def fused_scores(activations: Sequence[Activation], weights: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The weighted mean of the streams' class scores, [C] by video."""
    return {
        activation.video: np.sum([weight * activation.streams[name].class_score for name, weight in weights.items()], axis=0)
        for activation in activations
    }


def detections_of(target: Path) -> DetectionFile:
    """What is scored: the detections file itself, or that of a run folder; stored activations are cut as they were."""
    if not target.is_dir():
        return read_detections(target)
    if (target / "activations.json").is_file():
        activations, about = read_activations(target)
        from untrimmed.localization import localize  # SciPy, which detections that were written do not need

        settings = build(Localization, about.get("localization", {}), f"{target / 'activations.json'}: localization")
        return DetectionFile(target, localize(activations, settings), about)
    return read_detections(_detections_in(target))


def _detections_in(run: Path) -> Path:
    """The detections file of a run folder."""
    files = RunFiles(run)
    if not files.is_begun:
        raise InputError(f"{run}: a folder, but neither of a run nor of activations; give a detections file")
    detections = files.detections
    if not detections.is_file():
        raise InputError(
            f"{run}: holds no detections.json; give the detections file, or first: untrimmed localize {run} ... --out {detections}"
        )
    return detections


def activations_in(target: Path) -> tuple[Path, list[Activation], dict[str, Any]]:
    """A folder of stored activations: the one named, or the one beside the detections file that is named or in the run."""
    folder = target
    if not (target / "activations.json").is_file():
        detections = _detections_in(target) if target.is_dir() else target
        if not detections.is_file():
            raise InputError(f"{detections}: no such file")
        beside = find_activations(detections)
        if beside is None:
            raise InputError(
                f"{detections}: has no activations beside it ({activations_beside(detections).name}), which this protocol "
                f"needs; localize again without "
                f"`no_activations`"
            )
        folder = beside
    activations, about = read_activations(folder)
    if not activations:
        raise InputError(f"{folder}: holds no video")
    return folder, activations, about
