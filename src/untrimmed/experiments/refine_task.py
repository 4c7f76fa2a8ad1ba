"""A student of another training of an experiment, and the marks that it is given in training videos."""

import shutil
from pathlib import Path

import numpy as np

from untrimmed.data.annotations import VideoTruth, read_annotations
from untrimmed.data.files import write_json
from untrimmed.experiments.task import Training, run_of
from untrimmed.runs.fit import FitOptions
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.refine import refine


def refine_one(task: Training) -> None:
    """Train a student, or go on with one that was killed."""
    assert task.teacher is not None
    run, teacher = run_of(task.folder), RunFolder(run_of(task.teacher))
    options = FitOptions(task.method, task.preset, task.settings, task.seed)
    labels = None if task.unlabelled else task.part.labels
    marks = write_marks(task, teacher, task.folder / "marks.json") if task.annotated else None
    begun = RunFolder(run).is_begun
    if not begun:
        shutil.rmtree(run, ignore_errors=True)  # of a process that was killed before it had written what it was to do
    refine([teacher], run, options, features=task.part.features, labels=labels, annotations=marks, resume=begun)
    shutil.rmtree(RunFolder(run).checkpoints, ignore_errors=True)


def write_marks(task: Training, teacher: RunFolder, path: Path) -> Path:
    """The true segments, or their middles, of so many training videos of each class as the task says, drawn by its seed.

    Every video is checked: nothing that happens in it is left out. Its other classes are marked too.
    """
    truth = read_annotations(task.part.annotations).videos
    videos = [video for video in teacher.record()["training_videos"] if video in truth]
    chosen = draw_videos({video: truth[video] for video in videos}, task.annotated, np.random.default_rng(task.seed))
    database = {video: _marks(truth[video], task.marks) for video in chosen}
    write_json(path, {"database": database})
    return path


def draw_videos(truth: dict[str, VideoTruth], per_class: int, rng: np.random.Generator) -> list[str]:
    """Videos in random order, each if a class in it was taken fewer than `per_class` times; with all of them the empty ones."""
    count: dict[str, int] = {}
    chosen = []
    for video in rng.permutation(sorted(truth)):
        labels = {segment.label for segment in truth[video].segments}
        if any(count.get(label, 0) < per_class for label in labels):
            chosen.append(str(video))
            count |= {label: count.get(label, 0) + 1 for label in labels}
    if len(chosen) == sum(bool(its.segments) for its in truth.values()):  # all that hold an action: the empty ones are known then
        return sorted(truth)
    return chosen


def _marks(truth: VideoTruth, marks: str) -> dict[str, object]:
    if marks == "points":
        points = [{"time": (s.start + s.end) / 2, "label": s.label} for s in truth.segments]
        return {"points": points, "checked": True}
    return {"annotations": [{"segment": [s.start, s.end], "label": s.label} for s in truth.segments], "checked": True}
