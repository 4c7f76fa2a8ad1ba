"""One training of an experiment."""

import shutil

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.data.labels import read_labels, read_only
from untrimmed.data.store import FeatureStore
from untrimmed.experiments.task import Part, Training, run_of, supervision_of
from untrimmed.runs.fit import FitOptions, fit


def train_one(task: Training) -> None:
    """Train, or go on with a training that was killed."""
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
    shutil.rmtree(run / "checkpoints", ignore_errors=True)


def training_videos(part: Part) -> list[str]:
    """The videos that a training on labels sees, sorted."""
    store = FeatureStore(part.features)
    tagged = set(read_labels(part.labels, store.videos).tags)
    return sorted(tagged & read_only(part.only, store.videos) if part.only else tagged)
