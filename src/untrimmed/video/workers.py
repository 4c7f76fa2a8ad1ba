"""Processes that extract videos, one each at a time.

Each worker is a fresh interpreter that reads tasks and writes outcomes as lines of JSON. So a crash in a decoder costs one video,
no worker imports torch or the caller's script, and when the parent ends, however it ends, its workers see the end of their input
and end too.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from untrimmed.video.features import Outcome, Task, extract_video

TELLING = 1.0  # seconds at least between two words of a worker on how far it is

Share = tuple[str, float]
"""A video that is under way, and how much of it is done, 0..1."""


def in_workers(tasks: list[Task], workers: int, under_way: Callable[[str, float], None] = lambda *_: None) -> Iterator[Outcome]:
    """Extract each video in one of `workers` processes of one thread; outcomes come as they are ready, in any order.

    While the next outcome is waited for, `under_way(video, share)` is called with how much of a video is done, 0..1.

    Closing the iterator (or an exception in the loop over it, Ctrl-C too) ends the workers at once.
    """
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    ready: queue.SimpleQueue[Outcome | Share | BaseException] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    running: list[subprocess.Popen] = []
    stopping = threading.Event()

    def tend() -> None:
        """One thread keeps one worker busy, and starts another if it dies."""
        worker = None
        try:
            while not stopping.is_set():
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    return
                if worker is None:
                    worker = _start()
                    running.append(worker)
                outcome = _ask(worker, task, ready.put)
                if outcome is None:
                    code = worker.wait()
                    worker = None
                    reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                    outcome = Outcome(task.video, task.path, fault=f"{task.path}: the process that decoded it crashed ({reason})")
                ready.put(outcome)
        except BaseException as error:
            ready.put(error)
        finally:
            if worker is not None:
                _end(worker)

    threads = [threading.Thread(target=tend, daemon=True) for _ in range(min(workers, len(tasks)))]
    for thread in threads:
        thread.start()
    try:
        for _ in tasks:
            while isinstance(said := ready.get(), tuple):
                under_way(*said)
            if isinstance(said, BaseException):
                raise said
            yield said
    finally:
        stopping.set()
        for worker in list(running):
            worker.terminate()
        for thread in threads:
            thread.join(timeout=5)
        for worker in list(running):  # one that is stuck in a decoder
            worker.kill()


def _start() -> subprocess.Popen:
    program = f"import sys; sys.path[:] = {sys.path!r}; from untrimmed.video.workers import serve; serve()"
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **threads},
        text=True,
        encoding="utf-8",
    )


def _ask(worker: subprocess.Popen, task: Task, tell: Callable[[Share], None]) -> Outcome | None:
    """The outcome of one task, or None if the worker died over it; until then how far it is."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(json.dumps(asdict(task)) + "\n")
        worker.stdin.flush()
        while isinstance(answer := json.loads(worker.stdout.readline()), float):
            tell((task.video, answer))
        return Outcome(**answer)
    except (OSError, ValueError):  # a closed pipe, or half a line
        worker.kill()
        return None


def _end(worker: subprocess.Popen) -> None:
    for pipe in (worker.stdin, worker.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
    worker.wait()


def serve() -> None:
    """The worker: tasks from standard input, outcomes to standard output, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent decides
    signal.signal(signal.SIGTERM, _leave)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not end up among the answers
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            tasks.put(json.loads(line))
        os.kill(os.getpid(), signal.SIGTERM)  # the parent is gone: what is under way is not wanted

    threading.Thread(target=read, daemon=True).start()
    told = 0.0

    def answer(value: dict[str, Any] | float) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    def under_way(share: float) -> None:
        nonlocal told
        if time.monotonic() - told >= TELLING:
            told = time.monotonic()
            answer(min(share, 0.99))  # the outcome says when it is done

    while True:
        answer(asdict(extract_video(Task(**tasks.get()), under_way)))


def _leave(*_: Any) -> None:
    """End by way of the `finally` clauses, which remove what is half-written; a second signal must not cut them short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)
