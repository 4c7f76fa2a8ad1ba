"""The key under which a result is kept.

A key is a hash of all that a result depends on: resolved settings (and so the presets), seed, the content of the data, the source
that the result can depend on, and the versions of the libraries that calculate. So a kept result is never stale, whatever was
changed since, and a change elsewhere costs nothing.
"""

import hashlib
import json
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.experiments.source import source_hash
from untrimmed.experiments.task import HeldOut, Scoring, Training
from untrimmed.methods.base import Method, method_class, resolve

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


def key_of(**parts: Any) -> str:
    """A name for what depends on `parts` (plain values) and on nothing else."""
    versions = {library: version(library) for library in LIBRARIES}
    text = json.dumps({"versions": versions, **parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def training_key(training: Training) -> str:
    """Of a training, whatever its name and folder.

    The settings of localization are in it: a run's config.yaml holds them, and scores are made by them. How they are put to use is
    not.
    """
    part = training.part
    store = FeatureStore(part.features)
    return key_of(
        method=training.method,
        preset=training.preset,
        settings=resolve(training.method, training.preset, training.settings, store.streams).to_dict(),
        seed=training.seed,
        features=store_hash(part.features),
        labels=None if training.unlabelled else file_hash(part.labels),
        clusters=part.clusters if training.unlabelled else None,
        only=None if part.only is None else file_hash(part.only),
        trimmed=[store_hash(part.trimmed), file_hash(part.trimmed_labels)]
        if training.trimmed and part.trimmed and part.trimmed_labels
        else None,
        classes=training.classes,
        held_out=list(training.held_out),
        init=training.init and training.init.name,
        **_teaching(training),
    )


def _teaching(training: Training) -> dict[str, Any]:
    """What a training depends on besides: the source that it can reach, and of a student its teacher and the marks."""
    modules = modules_of(training.method)
    if training.teacher is None:
        return {"source": source_hash("untrimmed.experiments.train_task", *modules)}
    told = [training.annotated, training.marks, file_hash(training.part.annotations)] if training.annotated else None
    source = source_hash("untrimmed.experiments.refine_task", *modules)
    return {"teacher": training.teacher.name, "annotated": told, "source": source}


def held_out_key(task: HeldOut) -> str:
    """Of a loss; the run stands for all that it depends on, also the source of its method."""
    return key_of(
        run=task.run.name,
        labels=file_hash(task.part.labels),
        videos=list(task.videos),
        source=source_hash("untrimmed.experiments.held_out"),
    )


def scoring_key(scoring: Scoring) -> str:
    """Of scores; the runs stand for all that they depend on, also the source of their methods."""
    return key_of(
        runs=[path.name for path in scoring.runs],
        attention=[path.name for path in scoring.attention],
        truth=[[file_hash(part.annotations), part.subset, part.parts and file_hash(part.parts)] for part in scoring.parts],
        labels=[file_hash(part.labels) for part in scoring.parts],
        settings=scoring.settings,
        protocols=sorted(scoring.protocols),
        options=scoring.options,
        selection=scoring.selection,
        source=source_hash("untrimmed.experiments.score_task"),
    )


def modules_of(method: str) -> tuple[str, ...]:
    """The modules that a method is written in, wherever they lie: its own, and those of the methods that it is derived from."""
    classes = [cls for cls in method_class(method).__mro__ if issubclass(cls, Method)]
    return tuple(dict.fromkeys(cls.__module__ for cls in classes))


@cache
def file_hash(path: str) -> str:
    """SHA-256 of a file, read once in a process.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


@cache
def store_hash(path: str) -> str:
    """SHA-256 over all that a feature store holds, read once in a process."""
    store = FeatureStore(path)
    digest = hashlib.sha256(json.dumps(asdict(store.header), sort_keys=True).encode())
    for video, entry in store.videos.items():
        digest.update(json.dumps([video, {**entry.to_json(), "source": None}], sort_keys=True).encode())
        for stream, features in sorted(store.load(video).items()):
            digest.update(f"{stream} {features.shape} {features.dtype}".encode())
            digest.update(np.ascontiguousarray(features).data)
    return digest.hexdigest()
