"""A second stage: a student that learns from what trained runs say of their own training videos, and from a person's marks."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from untrimmed.console import note
from untrimmed.data.clusters import clusters_file, write_held
from untrimmed.data.corrections import known_snippets, read_corrections, read_new_labels
from untrimmed.data.errors import InputError
from untrimmed.data.settings import unknown
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Activation
from untrimmed.runs.fit import FitOptions, fit
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.infer import activations_of_run
from untrimmed.runs.supervision import Supervision
from untrimmed.training import DataSettings, TrainingSet

STUDENT = "selftrain"
"""The method that every student is of."""


@dataclass(frozen=True)
class Refinement(Supervision):
    """What a student learns from: the labels (or clusters) that its teachers had, what the teachers say, and marks.

    teachers: trained runs, on the same videos and classes.
    annotations: a file of marks in training videos, see `data.corrections`.
    """

    teachers: tuple[RunFolder, ...] = ()
    annotations: str | Path | None = None
    device: str = "cpu"

    def check(self, method: str, learns_from: frozenset[str]) -> None:
        """See that the teachers are trained runs that agree in what they know.

        Raises:
            InputError: one is not finished, or they know different classes, streams or training videos.
        """
        first = self.teachers[0]
        for teacher in self.teachers:
            for what in ("classes", "training_videos"):
                if teacher.record().get(what) != first.record().get(what):
                    raise InputError(f"{teacher.path}: has other {what.replace('_', ' ')} than {first.path}; refine them apart")
            if bool(teacher.clusters()) != bool(first.clusters()):
                raise InputError(f"{teacher.path} and {first.path}: one learned from labels and the other did not")

    def training_set(
        self, store: FeatureStore, settings: DataSettings, left_out: Collection[str] = (), say: Callable[[str], None] = note
    ) -> TrainingSet:
        """The teachers' training videos, with labels or clusters, the teachers' curves, and what is marked.

        Raises:
            InputError: features, labels or marks are at fault.
        """
        videos, classes, labels, known_by_teachers = self._labelled(store, settings, left_out, say)
        if self.annotations is None:
            teacher = self._curves(store, videos, known_by_teachers)
            return TrainingSet(videos, classes, labels, store, None, settings, teacher=teacher)
        marks = read_corrections(self.annotations)
        if strange := sorted(set(marks) - set(self.teachers[0].record()["training_videos"])):
            raise InputError(
                f"{self.annotations}: {strange[0]!r} is no training video of {self.teachers[0].path}; "
                "only training videos may be marked"
            )
        if unlabelled := sorted(set(marks) - set(videos)):
            say(f"{len(unlabelled)} annotated video(s) have no row in {self.labels}, such as {unlabelled[0]!r}; they are left out")
            marks = {video: its for video, its in marks.items() if video in videos}
        used = {label for its in marks.values() for label in its.labels}
        declared = read_new_labels(self.annotations)
        new = tuple(label for label in declared if label not in classes and label in used)
        for label in new:
            count = sum(label in its.labels for its in marks.values())
            say(f"{label!r} is new: learned from {count} annotated video(s); the others count as without it")
        classes += new
        labels = np.pad(labels, ((0, 0), (0, len(new))))
        known_by_teachers = np.pad(known_by_teachers, ((0, 0), (0, len(new))))
        known = {}
        for video, its in marks.items():
            for label in sorted(its.labels | {mark.label for mark in its.rejected}):
                if label not in classes and label not in declared:
                    said = unknown(label, classes, f"{self.annotations}: video {video}: label")
                    raise InputError(f'{said}; one that is to be learned anew stands under "new_labels"')
            known[video] = known_snippets(its, store.timeline(video), classes)
            present = np.array([label in its.labels for label in classes], dtype=np.float32)
            row = videos.index(video)  # a person who has seen the video knows its labels better than its row does
            labels[row] = present if its.checked else np.maximum(labels[row], present)
        say(f"{len(known)} annotated video(s), {sum(marks[video].checked for video in known)} of them checked completely")
        teacher = self._curves(store, videos, known_by_teachers)
        return TrainingSet(videos, classes, labels, store, settings=settings, teacher=teacher, known=known)

    def _labelled(
        self, store: FeatureStore, settings: DataSettings, left_out: Collection[str], say: Callable[[str], None]
    ) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray, np.ndarray]:
        """The videos, the classes, the labels [N, C], and how the classes are made of the teachers', [C of the teachers, C].

        Labels for a teacher that had none are what a person calls its clusters, corrected: a class is made of the clusters that its
        videos were in, each by its share of them. Videos without a row are left out.
        """
        first = self.teachers[0]
        videos, classes, clusters = tuple(first.record()["training_videos"]), first.method().classes, first.held()
        if missing := [video for video in videos if video not in store.videos]:
            raise InputError(f"{store.path}: has no features of {len(missing)} training video(s), such as {missing[0]!r}")
        if self.labels is None:
            labels = np.array([[name in clusters[video] for name in classes] for video in videos], dtype=np.float32)
            return videos, classes, labels, np.eye(len(classes), dtype=np.float32)
        own = None if clusters else classes
        data = Supervision(labels=self.labels, classes=own).training_set(store, settings, left_out, lambda text: None)
        assert data.labels is not None
        place = dict(zip(data.videos, data.labels))
        lacking = [video for video in videos if video not in place]
        if not clusters:
            if lacking:
                raise InputError(f"{self.labels}: has no row for the training video {lacking[0]!r}")
            return videos, classes, np.array([place[video] for video in videos]), np.eye(len(classes), dtype=np.float32)
        videos = tuple(video for video in videos if video in place)
        if lacking:
            say(f"{len(lacking)} training video(s) have no row in {self.labels}; the student does not learn from them")
        if not videos:
            raise InputError(f"{self.labels}: has no row for any training video of {first.path}")
        labels = np.array([place[video] for video in videos])
        before = np.array([[name in clusters[video] for name in classes] for video in videos], dtype=np.float32)
        made = before.T @ labels
        return videos, data.classes, labels, made / np.maximum(made.sum(0), 1)

    def _curves(self, store: FeatureStore, videos: Sequence[str], made: np.ndarray) -> dict[str, np.ndarray]:
        """What the teachers say, on average, of each video's snippets; made: [C of the teachers, C]."""
        sums: dict[str, np.ndarray] = {}
        for teacher in self.teachers:
            activations, _, _ = activations_of_run(teacher.path, store.path, set(videos), {}, self.device)
            for activation in activations:
                curve = teacher_curve(activation)
                count = store.timeline(activation.video).count
                if len(curve) != count:  # a preset that looks at a fixed range of snippets
                    curve = curve[np.minimum((np.arange(count) + 0.5) / count * len(curve), len(curve) - 1).astype(int)]
                curve = curve @ made
                sums[activation.video] = sums.get(activation.video, np.zeros_like(curve)) + curve / len(self.teachers)
        return sums


def teacher_curve(activation: Activation) -> np.ndarray:
    """How much more of each class a snippet shows than the video's mean, by a trained run: float32 [T, C], mean of the streams.

    Attention times the softmax over classes (and a background of zero), each class divided by its mean over the video.
    """
    curves = []
    for stream in activation.streams.values():
        curve = softmax(np.pad(stream.class_logit.astype(np.float64), ((0, 0), (0, 1))), axis=1)[:, :-1]
        if stream.attention is not None:
            curve = stream.attention[:, None] * curve
        curves.append(curve / np.maximum(curve.mean(0), 1e-30))
    return np.mean(curves, axis=0).astype(np.float32)


def refine(
    teachers: Sequence[RunFolder],
    out: Path,
    options: FitOptions,
    *,
    features: str | Path | None = None,
    labels: str | Path | None = None,
    annotations: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
) -> None:
    """Fit a student to what the teachers say of their training videos, and write its run folder.

    Args:
        options: of the student; its method is `STUDENT`.
        features, labels, annotations, resume, force: see `jobs.refine.refine`.

    Raises:
        InputError: anything the user gave is at fault.
    """
    first = teachers[0]
    data = first.record().get("data") or {}
    labels = labels if labels is not None else first.labels()
    trimmed, trimmed_labels = data.get("trimmed"), data.get("trimmed_labels")
    if trimmed is not None and (trimmed_labels is None or not Path(trimmed).is_dir() or not Path(trimmed_labels).is_file()):
        note(f"{first.path}: learned from trimmed clips that are not where they were; the student goes without them")
        trimmed = trimmed_labels = None
    supervision = Refinement(
        labels=labels,
        unlabelled=labels is None,
        trimmed=trimmed,
        trimmed_labels=trimmed_labels,
        teachers=tuple(teachers),
        annotations=annotations,
        device=options.device,
    )
    about = _about(teachers, annotations, "clusters" if labels is None else "labels")
    fit(options, supervision, features_of(first, features), out, resume=resume, force=force, about=about)
    if labels is None:
        write_held(clusters_file(out, 0), first.held())


def features_of(teacher: RunFolder, features: str | Path | None) -> str | Path:
    """The store that is named, or else the one that the teacher was trained on."""
    if features is not None:
        return features
    folder = (teacher.record().get("data") or {}).get("features")
    if folder is None or not Path(folder).is_dir():
        raise InputError(f"{teacher.path}: was trained on the features {folder}, which are not there; name them: `features`")
    return folder


def _about(teachers: Sequence[RunFolder], annotations: str | Path | None, learned: str) -> dict[str, Any]:
    """What a student's environment.json says besides: whom it learned from, and in which videos times were marked."""
    from_runs = [{"run": teacher.path.name, "method": teacher.method().name} for teacher in teachers]
    if annotations is None:
        return {"refined_from": from_runs}
    videos = sorted(read_corrections(annotations))
    selection = f"last; {learned} + {len(videos)} annotated video(s)"  # every table of the run's results says so
    return {"refined_from": from_runs, "annotated_videos": videos, "selection": selection}
