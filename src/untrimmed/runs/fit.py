"""Fit a method to what supervises it, in a run folder."""

import hashlib
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from untrimmed.console import note
from untrimmed.data.clusters import cluster_names
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.methods.base import Method, carry_over, method_class, resolve, save_method
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.supervision import Supervision
from untrimmed.training import Run, TrainingSet, claim
from untrimmed.training.device import check_device, one_thread


@dataclass(frozen=True)
class FitOptions:
    """What is fitted, and how.

    method: its name. preset: one of its own. settings: values laid over the preset, nested by section and stream.
    device: "cpu" or "cuda".
    processes: of one thread each; what a method learns apart (its streams) is learned side by side in them, with the same result.
    init: an earlier run of the same method on features of the same kind, to start from its weights.
    """

    method: str
    preset: str = "default"
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"
    init: str | Path | None = None
    processes: int = 1

    def check(self, supervision: Supervision) -> None:
        """See that there is such a method, preset, setting and device, and that it can learn from the supervision.

        Raises:
            InputError: what is at fault.
        """
        resolve(self.method, self.preset, self.settings)
        check_device(self.device)
        if supervision.unlabelled and (supervision.classes is not None or self.init is not None):
            raise InputError("`classes` and `init`: go with `labels`; clusters have no names that an earlier run could know")
        supervision.check(self.method, method_class(self.method).learns_from)
        if self.init is not None:
            RunFolder(self.init).method()


@one_thread()
def fit(
    options: FitOptions,
    supervision: Supervision,
    features: str | Path,
    out: Path,
    *,
    resume: bool = False,
    force: bool = False,
    left_out: Collection[str] = (),
    about: Mapping[str, Any] | None = None,
) -> None:
    """Fit a method to the videos of a feature store, and write the run folder `out`; a finished one that is resumed stays.

    Args:
        resume: go on with what was killed. force: rename what is there.
        left_out: videos that may have a label though their features could not be extracted.
        about: what environment.json says besides.

    Raises:
        InputError: anything the user gave is at fault; nothing is left behind but what was there.
    """
    options.check(supervision)
    store, cls = FeatureStore(features), method_class(options.method)
    chosen = resolve(options.method, options.preset, options.settings, store.streams)
    notes: list[str] = []
    data = supervision.training_set(store, chosen.data, left_out, notes.append)
    if not data.classes:
        data = replace(data, classes=cluster_names(cls.estimate_clusters(data, chosen.method, options.seed)))
        notes.append(f"{len(data.classes)} clusters, by how well they stand apart; `clusters` sets another number")
    data = supervision.with_clips(data, notes.append)
    if "counts" in cls.learns_from:
        data = supervision.with_counts(data)
        if data.counts is not None:
            notes.append("the labels say how often each action happens, and this is learned from: more than video-level labels")
    config = {"method_name": options.method, "preset": options.preset, "seed": options.seed, **chosen.to_dict()}
    earlier = None
    if options.init is not None:
        start = RunFolder(options.init)
        earlier = start.method()
        config["init"] = {"run": start.path.name, "sha256": _sha256(start.model / "weights.safetensors")}
        carry_over(cls(chosen.method, data.classes, store.streams), earlier)  # its faults are told before there is a run
    claim(out, resume=resume, force=force)
    if resume:
        RunFolder(out).update_names(cls.Config)
    environment = environment_of(store, supervision, data, options.seed, options.device) | dict(about or {})
    how: dict[str, Any] = {"seed": options.seed, "device": options.device, "processes": options.processes}
    with Run(out, config, environment, resume=resume, **how) as run:
        if resume and RunFolder(out).is_finished:
            RunFolder(out).method()  # a damaged one is an error, not a success
            note(f"{out}: already finished")
            return
        for text in notes:  # not before everything that may be at fault has been looked at
            note(text)
        try:
            with run.seeded("init"):
                model = cls(chosen.method, data.classes, store.streams)
            if earlier is not None:
                _start_from(earlier, model, Path(str(options.init)))
            model.fit(data, run)
        except InputError:
            run.forget()  # a fault that only the method knows of, such as a setting that its labels do not allow
            raise
        run.check_there()
        save_method(model, RunFolder(out).model)


def environment_of(store: FeatureStore, supervision: Supervision, data: TrainingSet, seed: int, device: str) -> dict[str, Any]:
    """What a result depends on besides the settings."""
    return {
        "versions": {"untrimmed": version("untrimmed"), "python": platform.python_version(), "torch": torch.__version__}
        | {"numpy": np.__version__},
        "threads": torch.get_num_threads(),
        "device": device,
        "seed": seed,
        "data": {
            "features": str(store.path.resolve()),
            "labels": None if supervision.labels is None else str(Path(supervision.labels).resolve()),
            "trimmed": None if data.trimmed is None else str(data.trimmed.store.path.resolve()),
            "trimmed_labels": None if data.trimmed is None else str(Path(str(supervision.trimmed_labels)).resolve()),
            "sha256": data.fingerprint(),
        },
        "extractor": {"name": store.header.extractor, "settings": store.header.settings}
        | {"window_seconds": store.header.window_seconds, "stride_seconds": store.header.stride_seconds}
        | {"weights_sha256": store.header.weights_sha256},
        "selection": "last",
        "classes": list(data.classes),
        "training_videos": list(data.videos),
    }


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _start_from(earlier: Method, model: Method, init: Path) -> None:
    left = carry_over(model, earlier)
    shared = [label for label in model.classes if label in earlier.classes]
    note(f"starts from {init}, which knows {len(shared)} of the {len(model.classes)} classes")
    if left:
        note(f"warning: {', '.join(left)} have another shape there and start anew; train both runs with the same settings")
