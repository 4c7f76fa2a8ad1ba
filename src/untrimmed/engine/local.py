"""Processes of this machine that work at one item each.

Each is a fresh interpreter of one thread that is sent pickles and answers with pickles. So a crash costs one item, no worker
imports the caller's script or anything that the function does not need (torch), Ctrl-C and time-outs end a worker by way of its
`finally` clauses, and when the parent ends, however it ends, its workers see their line closed and end too.

The library pebble was tried (5.2.3, context `spawn`) and cannot do this. Its workers share one pipe and its lock, so that a worker
which dies while it starts or while it receives its item breaks the whole pool; one that leaves with exit code 0 is waited for
for ever; one that is ended leaves half-written files, since it leaves by `os._exit`; one whose parent is killed works on; a script
without `if __name__ == "__main__"` cannot use it; and nothing tells how far an item is.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.engine.progress import listen

GRACE = 5.0  # seconds in which a process that is told to end may tidy up
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Workers, started when there is something for them to do, and kept until the context ends. Called, it is an `engine.Each`."""

    def __init__(self, workers: int | None = None) -> None:
        self.most = workers or cores()
        self.workers: list[Worker] = []

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        self._end(self.workers)

    def stop(self) -> bool:
        """From another thread: end what is under way, which is then answered with how it ended. False: no worker is there yet."""
        workers = list(self.workers)
        for worker in workers:
            worker.process.terminate()
        return bool(workers)

    def __call__(
        self,
        function: Callable[[Any, Any], Any],
        shared: Any,
        items: Sequence[Any],
        *,
        retries: int = 0,
        timeout: float | None = None,
        under_way: Callable[[int, float], None] = lambda index, share: None,
    ) -> Iterator[tuple[int, Any, str | None]]:
        call = pickle.dumps((function, shared))
        waiting, deaths = deque(range(len(items))), Counter[int]()
        try:
            while waiting or any(worker.busy for worker in self.workers):
                for worker in self._idle(len(waiting)):
                    worker.begin(call, index := waiting.popleft(), items[index])
                for worker in self._heard_of(timeout):
                    index = worker.item
                    try:
                        kind, value = worker.answer()
                    except (EOFError, OSError):
                        self.workers.remove(worker)
                        how = worker.ending()
                        deaths[index] += 1
                        if deaths[index] <= retries:
                            waiting.append(index)
                        else:
                            yield index, None, f"{how}, {retries + 1} times" if retries else how
                        continue
                    if kind == "raised":
                        raise value
                    if kind == "told":
                        under_way(index, value)
                    else:
                        yield index, value, None
                for worker in self._stuck(timeout):
                    index = worker.item
                    self._end([worker])
                    yield index, None, f"gave no sign of life for {timeout:g} s"
        finally:
            self._end([worker for worker in self.workers if worker.busy])

    def _idle(self, wanted: int) -> "list[Worker]":
        """As many as are wanted and there may be."""
        self.workers = [worker for worker in self.workers if worker.busy or worker.process.poll() is None]
        idle = [worker for worker in self.workers if not worker.busy]
        while len(idle) < wanted and len(self.workers) < self.most:
            idle.append(Worker())
            self.workers.append(idle[-1])
        return idle[:wanted]

    def _heard_of(self, timeout: float | None) -> "list[Worker]":
        """Wait for those that have said something or have died; until the first is out of time."""
        busy = {worker.line: worker for worker in self.workers if worker.busy}
        left = None if timeout is None else max(0.0, min(worker.heard for worker in busy.values()) + timeout - time.monotonic())
        return [busy[line] for line in wait(list(busy), left) if isinstance(line, Connection)]

    def _stuck(self, timeout: float | None) -> "list[Worker]":
        if timeout is None:
            return []
        now = time.monotonic()
        return [worker for worker in self.workers if worker.busy and now - worker.heard >= timeout]

    def _end(self, workers: "Sequence[Worker]") -> None:
        """End workers whatever they are at, all at once."""
        for worker in workers:
            worker.line.close()
            worker.process.terminate()
        until = time.monotonic() + GRACE
        for worker in workers:
            worker.wait(max(0.0, until - time.monotonic()))
        self.workers = [worker for worker in self.workers if worker not in workers]


class Worker:
    """One process, the line to it, and the index of the item that it is at."""

    def __init__(self) -> None:
        self.line, far_end = Pipe()
        begin = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # Ctrl-C is the parent's to answer
        serve = f"sys.path[:] = {sys.path!r}; from untrimmed.engine.local import serve; serve({far_end.fileno()})"
        environment = {**os.environ, **ONE_THREAD}
        command = [sys.executable, "-c", f"{begin}; {serve}"]
        with far_end:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[far_end.fileno()], env=environment)
        self.call = b""
        self.item, self.busy, self.heard = 0, False, 0.0

    def begin(self, call: bytes, index: int, item: Any) -> None:
        message = pickle.dumps((None if call == self.call else call, item))
        self.call, self.item, self.busy, self.heard = call, index, True, time.monotonic()
        with suppress(OSError):  # it has died, which its answer will say
            self.line.send_bytes(message)

    def answer(self) -> tuple[str, Any]:
        """("told", share), ("done", result) or ("raised", error).

        Raises:
            EOFError, OSError: it has died.
        """
        kind, value = self.line.recv()
        self.heard = time.monotonic()
        self.busy = kind == "told"
        if kind == "raised":
            self.call = b""  # it may be what could not be read
        return kind, value

    def ending(self) -> str:
        """How a process that has died did."""
        self.line.close()
        self.wait(GRACE)
        code = self.process.returncode
        if code == -signal.SIGKILL:
            return "was killed (SIGKILL; out of memory?)"
        return f"crashed ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"

    def wait(self, seconds: float) -> None:
        """Wait for its end, which comes by force where it does not come by itself."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:  # stuck in a library
            self.process.kill()
            self.process.wait()


def serve(descriptor: int) -> None:
    """The worker: it answers what comes through the line, until that is closed."""
    signal.signal(signal.SIGTERM, _leave)
    os.dup2(2, 1)  # what a library prints is no result of the command
    line = Connection(descriptor)
    asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        with suppress(EOFError, OSError):
            while True:
                asked.put(line.recv_bytes())
        os.kill(os.getpid(), signal.SIGTERM)  # the parent is gone: what is under way is not wanted
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    function: Callable[[Any, Any], Any] | None = None
    shared = None
    while True:
        message = asked.get()
        listen(lambda share: line.send(("told", share)))
        try:
            call, item = pickle.loads(message)
            if call is not None:
                function, shared = pickle.loads(call)
            assert function is not None
            answer = pickle.dumps(("done", function(shared, item)))
        except Exception as error:
            answer = _raised(error)
        line.send_bytes(answer)


def _raised(error: Exception) -> bytes:
    """The error, with its traceback as a note where that is of use; where it cannot be pickled, what it says."""
    told = "".join(traceback.format_exception(error))
    try:
        if not isinstance(error, InputError):
            error.add_note(told)
        pickle.loads(answer := pickle.dumps(("raised", error)))
        return answer
    except Exception:
        return pickle.dumps(("raised", RuntimeError(told)))


def _leave(*_: Any) -> None:
    """End by way of the `finally` clauses, which remove what is half-written; a second signal must not cut them short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)
