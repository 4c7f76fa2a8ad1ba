"""The key under which a result is kept.

A key is a hash of all that a result depends on: resolved settings, seed, the content of the data, the package's source as far as
the result can depend on it, and the versions of torch and NumPy. So a kept result is never stale, whatever was changed since.
"""

import ast
import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import untrimmed
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.experiments.spec import Scoring, Training
from untrimmed.methods.base import resolve
from untrimmed.methods.registry import module_of


def key_of(**parts: Any) -> str:
    """A name for what depends on `parts` (plain values) and on nothing else."""
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    text = json.dumps({"versions": versions, **parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def training_key(training: Training) -> str:
    """Of a training, whatever its name and folder."""
    part, module = training.part, module_of(training.method)
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
        source=source_hash("untrimmed.experiments.train_task", module),
    )


def scoring_key(scoring: Scoring) -> str:
    """Of scores; the runs stand for all that they depend on."""
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


@cache
def source_hash(*modules: str) -> str:
    """SHA-256 over the source of modules of this package, and of all that they import of it, directly or not.

    So a change of one method, or of a page, does not spend the results of the others.
    """
    root = Path(untrimmed.__file__).parent
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        file = _source_file(root, name)
        if name in seen or file is None:
            continue
        text = file.read_text(encoding="utf-8")
        seen[name] = hashlib.sha256(text.encode()).hexdigest()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def _source_file(root: Path, module: str) -> Path | None:
    package, *rest = module.split(".")
    if package != root.name:
        return None
    path = root.joinpath(*rest)
    return next((file for file in (path / "__init__.py", path.with_name(f"{path.name}.py")) if file.is_file()), None)
