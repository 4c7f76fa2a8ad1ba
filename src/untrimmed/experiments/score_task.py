"""One scoring of an experiment: localize the test videos of every fold, put them together, and score them."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.annotations import VideoTruth, read_annotations, read_detections, write_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, read_json, write_json
from untrimmed.data.settings import merge
from untrimmed.data.types import Results
from untrimmed.evaluation.bootstrap import Matched
from untrimmed.evaluation.detections import DetectionScores
from untrimmed.experiments.task import Part, Scoring, run_of
from untrimmed.methods.base import load_method
from untrimmed.methods.swap import Swapped
from untrimmed.runs.detect import activations_of_store, detect, overrides_of, wanted_videos, write_result
from untrimmed.runs.infer import activations_of_run
from untrimmed.runs.score import DETECTION_PROTOCOLS, ScoreOptions, score


def score_one(task: Scoring) -> None:
    """Localize the test videos of every part, put them together, and score them by every protocol."""
    work = task.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    folders = [work / f"part-{number}" for number in range(len(task.parts))]
    with_activations = task.keep or any(protocol not in DETECTION_PROTOCOLS for protocol in task.protocols)
    for number, (part, folder) in enumerate(zip(task.parts, folders, strict=True)):
        run = run_of(task.runs[number])
        wanted = wanted_videos(part.annotations if part.subset else None, part.subset)
        overrides = overrides_of(task.settings)
        source = run
        if task.attention:
            source = folder / "swapped"
            write_swapped(source, run_of(task.attention[number]), run, part)
            found, cutting, about = activations_of_store(source, wanted, overrides)
        else:
            found, cutting, about = activations_of_run(run, part.features, wanted, overrides, "cpu")
        stored = (found, cutting) if with_activations else None
        write_result(folder / "detections.json", detect(found, cutting), about, stored, source)
        shutil.rmtree(folder / "swapped", ignore_errors=True)
    pooled, annotations = (folders[0], Path(task.parts[0].annotations)) if len(folders) == 1 else pool(folders, task.parts, work)

    scores: dict[str, dict[str, float]] = {}
    for protocol in task.protocols:
        truth: dict[str, Any] = {"annotations": annotations, "subset": task.parts[0].subset}
        if protocol == "clustering":  # of the training videos
            truth = {"labels": task.parts[0].labels}
        if protocol == "attention" and not _has_attention(pooled):
            continue
        target = _target(protocol, pooled, run_of(task.runs[0]))
        result: Any = score(target, ScoreOptions(protocol=protocol, **truth, **_options(protocol, task, work)))
        scores[protocol] = {name: float(value) for name, value in result.scalars().items()}
        counted = getattr(result, "scores", None)
        if isinstance(counted, DetectionScores) and counted.hit_videos is not None and counted.video_instances is not None:
            with atomic_write(task.folder / f"{protocol}.npz", "wb") as stream:
                Matched.of(counted).write(stream)
    kept = task.folder / "kept"
    if task.keep:
        shutil.rmtree(kept, ignore_errors=True)
        pooled.rename(kept)
    about = {"name": task.name, "selection": task.selection, "settings": task.settings, "options": task.options}
    write_json(task.folder / "scores.json", {**about, "scores": scores}, indent=1)
    shutil.rmtree(work)


def _target(protocol: str, folder: Path, run: Path) -> Path:
    """What a protocol looks at."""
    if protocol == "clustering":
        return run
    return folder / ("detections.json" if protocol in DETECTION_PROTOCOLS else "detections.activations")


def _has_attention(folder: Path) -> bool:
    activations, _ = read_activations(folder / "detections.activations")
    return all(stream.attention is not None for stream in activations[0].streams.values())


def _options(protocol: str, task: Scoring, work: Path) -> dict[str, Any]:
    """Those of the options that a protocol knows."""
    known = {"map_clusters", "map_clusters_oracle"} if protocol in ("classification", "attention") else set()
    chosen = {name: value for name, value in task.options.items() if protocol in DETECTION_PROTOCOLS or name in known}
    if chosen.get("map_clusters"):
        chosen["labels"] = task.parts[0].labels
    files = [part.parts for part in task.parts if part.parts is not None]
    if protocol == "attention" and len(files) == len(task.parts):
        told: dict[str, Any] = {}
        for file, part in zip(files, task.parts, strict=True):
            tested = read_annotations(part.annotations).subset(part.subset)
            told |= {video: kinds for video, kinds in read_json(file).items() if video in tested}
        write_json(work / "parts.json", told)
        chosen["parts"] = work / "parts.json"
    return chosen


def pool(folders: Sequence[Path], parts: Sequence[Part], work: Path) -> tuple[Path, Path]:
    """The folds as one data set: every test video once, with the detections and activations of the fold that tests it.

    Raises:
        InputError: a video is tested in two folds.
    """
    truth: dict[str, VideoTruth] = {}
    tested: dict[str, int] = {}
    for number, part in enumerate(parts):
        annotations = read_annotations(part.annotations)
        for video, one in annotations.videos.items():
            truth.setdefault(video, one if part.subset is None else replace(one, subset=f"not {part.subset}"))
        for video, one in annotations.subset(part.subset).items():
            if video in tested:
                raise InputError(f"{part.annotations}: {video!r} is tested in fold {number} and in fold {tested[video]}")
            truth[video], tested[video] = one, number
    out = work / "pooled"
    write_annotations(work / "annotations.json", truth, "folds")

    results: Results = {}
    about: dict[str, Any] = {}
    for folder in folders:
        found = read_detections(folder / "detections.json")
        results |= found.results
        about = merge(about, found.untrimmed)
    about.pop("localization", None)
    write_detections(out / "detections.json", results, about)
    if all((folder / "detections.activations").is_dir() for folder in folders):
        everything, classes = [], None
        for folder in folders:
            activations, about = read_activations(folder / "detections.activations")
            for activation in activations:
                classes = classes or activation.classes
                if activation.classes != classes:
                    raise InputError(f"the folds' runs know different classes, such as {set(classes) ^ set(activation.classes)}")
            everything += activations
        write_activations(out / "detections.activations", everything, about)
    return out, work / "annotations.json"


def write_swapped(out: Path, attention: Path, classification: Path, part: Part) -> None:
    """Activations of one model, pooled with the attention of another (slides S1, 09: the models are assembled from O and N).

    The attention logits come from `attention`; the class logits, the pooling and all settings from `classification`.
    """
    swapped = Swapped(load_method(attention / "model"), load_method(classification / "model"))
    wanted = None if part.subset is None else set(read_annotations(part.annotations).subset(part.subset))
    found, cutting, about = activations_of_run(classification, part.features, wanted, {}, "cpu", instead=swapped)
    write_activations(out, found, about | {"localization": asdict(cutting)})


def read_scores(folder: Path) -> dict[str, dict[str, float]]:
    """The single numbers by protocol that `score_one` has written."""
    return read_json(folder / "scores.json")["scores"]
