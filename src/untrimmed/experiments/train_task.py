"""One training of an experiment."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, write_json
from untrimmed.data.labels import read_labels, read_only
from untrimmed.data.store import FeatureStore
from untrimmed.experiments.spec import Part, Training, supervision_of
from untrimmed.runs.fit import FitOptions, fit
from untrimmed.runs.infer import activations_of_run


def run_of(folder: Path) -> Path:
    """The run folder of a training."""
    return folder / "run"


def train_one(task: Training) -> None:
    """Train, or go on with a training that was killed; of a candidate also the loss on the videos that were held out."""
    run, part = run_of(task.folder), task.part
    if task.held_out:
        only = str(task.folder / "only.csv")
        with atomic_write(only) as stream:
            stream.write("\n".join(["video", *(f'"{v}"' for v in training_videos(part) if v not in task.held_out)]) + "\n")
    else:
        only = None
    options = FitOptions(task.method, task.preset, task.settings, task.seed, init=None if task.init is None else run_of(task.init))
    supervision = supervision_of(part, task.unlabelled, task.trimmed, task.classes, only)
    begun = (run / "config.yaml").is_file()
    if not begun:
        shutil.rmtree(run, ignore_errors=True)  # of a process that was killed before it had written what it was to do
    try:
        fit(options, supervision, part.features, run, resume=begun)
    except InputError as error:
        if not begun or "another process" in str(error):
            raise
        shutil.rmtree(run)  # what was kept of it cannot be gone on with
        fit(options, supervision, part.features, run)
    if task.held_out:
        write_json(task.folder / "loss.json", held_out_loss(run, part, task.held_out))
    shutil.rmtree(run / "checkpoints", ignore_errors=True)


def training_videos(part: Part) -> list[str]:
    """The videos that a training on labels sees, sorted."""
    store = FeatureStore(part.features)
    tagged = set(read_labels(part.labels, store.videos).tags)
    return sorted(tagged & read_only(part.only, store.videos) if part.only else tagged)


def held_out_fifth(part: Part) -> tuple[str, ...]:
    """A fixed fifth of the training videos: those whose names have the smallest hashes."""
    videos = sorted(training_videos(part), key=lambda video: hashlib.sha256(video.encode()).digest())
    return tuple(sorted(videos[: max(1, len(videos) // 5)]))


def held_out_loss(run: Path, part: Part, videos: Sequence[str]) -> float:
    """Mean binary cross-entropy, over videos and classes, between the tags and the video scores (mean over the streams)."""
    found, _, _ = activations_of_run(run, part.features, set(videos), {}, "cpu")
    tags = read_labels(part.labels).tags
    losses = []
    for activation in found:
        score = np.mean([stream.class_score for stream in activation.streams.values()], axis=0).clip(1e-6, 1 - 1e-6)
        there = np.array([label in tags[activation.video] for label in activation.classes])
        losses.append(-np.where(there, np.log(score), np.log1p(-score)).mean())
    return float(np.mean(losses))
