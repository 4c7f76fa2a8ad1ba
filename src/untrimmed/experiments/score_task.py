"""One scoring of an experiment: localize the test videos of every fold, put them together, and score them."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.annotations import read_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, check_shape, read_json, write_json
from untrimmed.evaluation.bootstrap import Matched
from untrimmed.evaluation.detections import DetectionScores
from untrimmed.experiments.folds import name_clusters, pool
from untrimmed.experiments.task import Part, Scoring, run_of
from untrimmed.localization import localize
from untrimmed.methods.base import load_method
from untrimmed.methods.swap import Swapped
from untrimmed.runs.detect import activations_of_store, overrides_of, wanted_videos, write_result
from untrimmed.runs.infer import activations_of_run
from untrimmed.runs.score import DETECTION_PROTOCOLS, ScoreOptions, score


def score_one(task: Scoring) -> None:
    """Localize the test videos of every part, put them together, and score them by every protocol.

    With folds, clusters are taken for classes in each fold by itself, and what `clustering` says is the mean over the folds.
    """
    work = task.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    localized = _localized(task, work) if task.keep or task.protocols != ("clustering",) else None
    scores: dict[str, dict[str, float]] = {}
    for protocol in task.protocols:
        if protocol == "clustering":
            scores[protocol] = _clustering(task)
        elif localized is not None and (protocol != "attention" or _has_attention(localized[0])):
            scores[protocol] = _score(task, protocol, *localized, work)
    if localized is not None and task.keep:
        shutil.rmtree(task.folder / "kept", ignore_errors=True)
        localized[0].rename(task.folder / "kept")
    shutil.rmtree(work, ignore_errors=True)
    about = {"name": task.name, "selection": task.selection, "settings": task.settings, "options": task.options}
    write_json(task.folder / "scores.json", {**about, "scores": scores}, indent=1)  # last: it says that all of this is done


def _localized(task: Scoring, work: Path) -> tuple[Path, Path]:
    """The folder of the detections in the test videos of all parts, and the annotations to score them against."""
    folders = [work / f"part-{number}" for number in range(len(task.parts))]
    for number, folder in enumerate(folders):
        _localize(task, number, folder)
    if len(folders) == 1:
        return folders[0], Path(task.parts[0].annotations)
    how = task.options.get("map_clusters")
    if how is not None:
        for part, folder in zip(task.parts, folders, strict=True):
            name_clusters(folder, part, how, bool(task.options.get("map_clusters_oracle")))
    elif task.protocols == ("clustering",):  # clusters that stand for no classes: those of different folds stay apart
        return work, work
    return pool(folders, task.parts, work, named=how is not None)


def _localize(task: Scoring, number: int, folder: Path) -> None:
    """Write the detections of one part's test videos, and the activations where something looks at them."""
    part, run = task.parts[number], run_of(task.runs[number])
    wanted = wanted_videos(part.annotations if part.subset else None, part.subset)
    overrides = overrides_of(task.settings)
    source = run
    if task.attention:
        source = folder / "swapped"
        write_swapped(source, run_of(task.attention[number]), run, part)
        activations, cutting, about = activations_of_store(source, wanted, overrides)
    else:
        activations, cutting, about = activations_of_run(run, part.features, wanted, overrides, "cpu")
    looked_at = task.keep or any(protocol not in DETECTION_PROTOCOLS for protocol in task.protocols)
    write_result(
        folder / "detections.json", localize(activations, cutting), about, (activations, cutting) if looked_at else None, source
    )
    shutil.rmtree(folder / "swapped", ignore_errors=True)


def _score(task: Scoring, protocol: str, folder: Path, annotations: Path, work: Path) -> dict[str, float]:
    """The single numbers of one protocol; of detections, what is drawn again for intervals is written beside."""
    target = folder / ("detections.json" if protocol in DETECTION_PROTOCOLS else "detections.activations")
    truth: dict[str, Any] = {"annotations": annotations, "subset": task.parts[0].subset}
    result: Any = score(target, ScoreOptions(protocol=protocol, **truth, **_options(protocol, task, work)))
    counted = getattr(result, "scores", None)
    if isinstance(counted, DetectionScores) and counted.hit_videos is not None and counted.video_instances is not None:
        with atomic_write(task.folder / f"{protocol}.npz", "wb") as stream:
            Matched.of(counted).write(stream)
    return {name: float(value) for name, value in result.scalars().items()}


def _clustering(task: Scoring) -> dict[str, float]:
    """How well the clusters of training videos agree with their labels: the mean over the parts of what each part has."""
    of_parts = []
    for part, run in zip(task.parts, task.runs, strict=True):
        of_parts.append(score(run_of(run), ScoreOptions(protocol="clustering", labels=part.labels)).scalars())
    return {
        name: float(np.mean([scores[name] for scores in of_parts]))
        for name in of_parts[0]
        if all(name in scores for scores in of_parts)
    }


def _has_attention(folder: Path) -> bool:
    activations, _ = read_activations(folder / "detections.activations")
    return all(stream.attention is not None for stream in activations[0].streams.values())


def _options(protocol: str, task: Scoring, work: Path) -> dict[str, Any]:
    """Those of the options that a protocol knows; the clusters of folds are named already."""
    mapping = {"map_clusters", "map_clusters_oracle"}
    known = task.options.keys() if protocol in DETECTION_PROTOCOLS else task.options.keys() & mapping
    chosen = {name: task.options[name] for name in known if len(task.parts) == 1 or name not in mapping}
    if "map_clusters" in chosen:
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


def write_swapped(out: Path, attention: Path, classification: Path, part: Part) -> None:
    """Activations of one model, pooled with the attention of another (slides S1, 09: the models are assembled from O and N).

    The attention logits come from `attention`; the class logits, the pooling and all settings from `classification`.
    """
    swapped = Swapped(load_method(attention / "model"), load_method(classification / "model"))
    wanted = None if part.subset is None else set(read_annotations(part.annotations).subset(part.subset))
    activations, cutting, about = activations_of_run(classification, part.features, wanted, {}, "cpu", instead=swapped)
    write_activations(out, activations, about | {"localization": asdict(cutting)})


def read_scores(folder: Path) -> dict[str, dict[str, float]]:
    """The single numbers by protocol that `score_one` has written."""
    file = folder / "scores.json"
    try:
        content = read_json(file)
        check_shape(content, {"scores": {str: {str: float}}}, str(file))
    except InputError as error:
        raise InputError(f"{error}; delete {folder} to score again") from error
    return content["scores"]
