"""The processes in which the tasks of an experiment are done."""

import contextlib
import json
import os
import pickle
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence

import torch
from threadpoolctl import threadpool_limits

from untrimmed.data.errors import InputError
from untrimmed.experiments.held_out import judge
from untrimmed.experiments.score_task import score_one
from untrimmed.experiments.task import HeldOut, Task, Training
from untrimmed.experiments.train_task import train_one

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


def perform(task: Task) -> str | None:
    """Do a task with one thread; what is said on the way goes to its log. The reason in one line where it fails, else None."""
    task.folder.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with open(task.folder / "log.txt", "a", encoding="utf-8") as log, contextlib.redirect_stderr(log), threadpool_limits(1):
            try:
                if isinstance(task, Training):
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
    finally:
        torch.set_num_threads(threads)


DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""Ctrl-C reaches every process of a terminal; the parent's answer is to end the others, which need not say anything."""


class Processes:
    """Some processes of one thread each that do tasks until they are closed; one that dies costs only its task."""

    def __init__(self, count: int) -> None:
        self.children: list[subprocess.Popen[bytes] | None] = [None] * count

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children:
            if child is not None:
                child.kill()
                _close(child)

    def perform_all(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, str | None]]:
        """Each task with the reason why it failed, or None, in the order they end."""
        waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[Task, str | None]] = queue.SimpleQueue()
        for task in tasks:
            waiting.put(task)

        def hand_out(number: int) -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    task = waiting.get_nowait()
                    ended.put((task, self._perform(number, task)))

        for number in range(min(len(self.children), len(tasks))):
            threading.Thread(target=hand_out, args=(number,), daemon=True).start()
        for _ in tasks:
            yield ended.get()

    def _perform(self, number: int, task: Task) -> str | None:
        child = self.children[number]
        if child is None:
            command = [sys.executable, "-c", f"{DEAF}; from untrimmed.experiments.processes import serve; serve()"]
            environment = {**os.environ, **ONE_THREAD}
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            self.children[number] = child
        assert child.stdin is not None
        assert child.stdout is not None
        line = b""
        with contextlib.suppress(OSError, ValueError):  # it is gone, or closed by another thread since the call was interrupted
            child.stdin.write(pickle.dumps(task))
            child.stdin.flush()
            line = child.stdout.readline()
        if line:
            return json.loads(line)
        self.children[number] = None
        _close(child)
        return f"its process ended with {child.returncode} (out of memory?)"


def _close(child: "subprocess.Popen[bytes]") -> None:
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def serve() -> None:
    """The loop of a process: tasks come by standard input, answers go to standard output. It ends when its parent does."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is not an answer
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()

    def listen() -> None:
        with contextlib.suppress(EOFError):
            while True:
                tasks.put(pickle.load(sys.stdin.buffer))
        os._exit(0)  # nobody is there to answer to

    threading.Thread(target=listen, daemon=True).start()
    while True:
        answer = perform(tasks.get())
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
