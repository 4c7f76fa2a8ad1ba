"""What a candidate is chosen by: its loss on training videos that were kept from it."""

import hashlib
from pathlib import Path

import numpy as np

from untrimmed.data.errors import InputError
from untrimmed.data.files import check_shape, read_json, write_json
from untrimmed.data.labels import read_labels
from untrimmed.experiments.task import HeldOut, Part, run_of
from untrimmed.experiments.train_task import training_videos
from untrimmed.runs.infer import activations_of_run


def held_out_fifth(part: Part) -> tuple[str, ...]:
    """A fixed fifth of the training videos: those whose names have the smallest hashes."""
    videos = sorted(training_videos(part), key=lambda video: hashlib.sha256(video.encode()).digest())
    return tuple(sorted(videos[: max(1, len(videos) // 5)]))


def read_loss(folder: Path) -> float:
    """What `judge` has written.

    Raises:
        InputError: it is damaged.
    """
    file = folder / "loss.json"
    try:
        loss = read_json(file)
        check_shape(loss, float, str(file))
    except InputError as error:
        raise InputError(f"{error}; delete {folder} to judge again") from error
    return float(loss)


def judge(task: HeldOut) -> None:
    """Mean binary cross-entropy, over videos and classes, between the tags and the video scores (mean over the streams)."""
    activations, _, _ = activations_of_run(run_of(task.run), task.part.features, set(task.videos), {}, "cpu")
    tags = read_labels(task.part.labels).tags
    losses = []
    for activation in activations:
        score = np.mean([stream.class_score for stream in activation.streams.values()], axis=0).clip(1e-6, 1 - 1e-6)
        present = np.array([label in tags[activation.video] for label in activation.classes])
        losses.append(-np.where(present, np.log(score), np.log1p(-score)).mean())
    write_json(task.folder / "loss.json", float(np.mean(losses)))
