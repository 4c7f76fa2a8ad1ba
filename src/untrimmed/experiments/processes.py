"""The tasks of an experiment, and their doing in this process or by an engine."""

import contextlib
import os
import traceback
from collections.abc import Iterator, Sequence

from untrimmed.data.errors import InputError
from untrimmed.data.files import sweep
from untrimmed.data.locks import lock
from untrimmed.engine import Each
from untrimmed.experiments.held_out import judge
from untrimmed.experiments.refine_task import refine_one
from untrimmed.experiments.score_task import score_one
from untrimmed.experiments.task import HeldOut, Task, Training
from untrimmed.experiments.train_task import train_one
from untrimmed.training.device import one_thread

PATIENCE = 300.0  # seconds in which a process whose machine was given up must end: file servers keep its locks for a minute or two


def perform(task: Task) -> str | None:
    """Do a task with one thread; what is said on the way goes to its log. The reason in one line where it fails, else None."""
    task.folder.mkdir(parents=True, exist_ok=True)
    sweep(task.folder)
    with open(task.folder / "log.txt", "a", encoding="utf-8") as log, contextlib.redirect_stderr(log), one_thread():
        try:
            if isinstance(task, Training) and task.teacher is not None:
                refine_one(task)
            elif isinstance(task, Training):
                train_one(task)
            elif isinstance(task, HeldOut):
                judge(task)
            else:
                score_one(task)
        except InputError as error:
            return " ".join(str(error).split())
        except Exception as error:
            traceback.print_exc()
            return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (see {task.folder / 'log.txt'})"
    return None


def perform_all(tasks: Sequence[Task], each: Each, retries: int = 0) -> Iterator[tuple[Task, str | None]]:
    """Each task, done by an engine, with the reason why it failed, or None, in the order they end."""
    for index, fault, ending in each(perform_in, os.getcwd(), tasks, retries=retries):
        yield tasks[index], fault if ending is None else f"its process {ending}"


def perform_in(folder: str, task: Task) -> str | None:
    """`perform` where paths mean what they do to the caller, and alone: a machine that was given up may live on for a while."""
    with contextlib.chdir(folder):
        task.folder.mkdir(parents=True, exist_ok=True)
        try:
            held = lock(task.folder, "a process that was given up still works in it", wait=PATIENCE)
        except InputError as error:
            return str(error)
        try:
            return None if task.is_done() else perform(task)
        finally:
            held.release()
