"""One long piece of work at a time, in a process of its own, while the server goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock, Thread
from typing import Any, Literal

from untrimmed.data.errors import InputError
from untrimmed.engine.local import Pool


@dataclass(frozen=True)
class Status:
    """How far it is: `item` is what it is about, `share` of it is done, 0..1; `words` say what went wrong, if it failed."""

    state: Literal["idle", "running", "done", "failed", "cancelled"] = "idle"
    item: Any = None
    share: float = 0.0
    words: str = ""


class _Cancelled(Exception):
    """Raised within the thread that waits for the process."""


class Background:
    """Calls `function(shared, item)` in a process, one item at a time.

    Args:
        function: importable by name; it says how far it is by `engine.progress.tell`.
        done: called with the item and the result, in a thread of its own, before the status says that it is done.
    """

    def __init__(
        self, function: Callable[[Any, Any], Any], shared: Any, done: Callable[[Any, Any], None] = lambda item, result: None
    ) -> None:
        self.function, self.shared, self.done = function, shared, done
        self._status, self._pool, self._lock = Status(), Pool(1), Lock()
        self._cancelling = False
        self._thread: Thread | None = None

    def status(self) -> Status:
        return self._status

    def start(self, item: Any) -> bool:
        """Begin; False where something is under way already."""
        with self._lock:
            if self._status.state == "running":
                return False
            self._status, self._cancelling = Status("running", item), False
        self._thread = Thread(target=self._work, args=(item,), daemon=True)
        self._thread.start()
        return True

    def cancel(self) -> None:
        """End what is under way, as soon as its process is there."""
        self._cancelling = True
        while self._status.state == "running" and not self._pool.stop():
            time.sleep(0.01)

    def close(self) -> None:
        """End what is under way, and wait for that."""
        self.cancel()
        if self._thread is not None:
            self._thread.join()

    def _work(self, item: Any) -> None:
        def told(index: int, share: float) -> None:
            if self._cancelling:
                raise _Cancelled
            self._status = replace(self._status, share=share)

        try:
            with self._pool:
                status = self._outcome(item, told)
        except _Cancelled:
            status = Status("cancelled", item)
        except InputError as error:
            status = Status("failed", item, words=str(error))
        except BaseException as error:  # a bug, which must not leave the page waiting
            self._status = Status("failed", item, words=f"{type(error).__name__}: {error}")
            raise
        self._status = status

    def _outcome(self, item: Any, told: Callable[[int, float], None]) -> Status:
        for _, result, lost in self._pool(self.function, self.shared, [item], under_way=told):
            if lost is None:
                self.done(item, result)
                return Status("done", item, 1.0)
            if self._cancelling:
                raise _Cancelled
            return Status("failed", item, words=f"the process at it {lost}")
        raise AssertionError("an item is answered")
