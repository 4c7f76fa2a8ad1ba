"""Seconds per stage of a command, for `untrimmed --profile`: what a person can send with a question about speed.

Time is counted where it is spent: while an inner stage runs, the outer one stands. Workers are told by their environment, and
send what they counted with their results. Nothing is counted unless it is asked for.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
ASKED = "UNTRIMMED_PROFILE"
"""The environment variable by which a process counts."""

Counts = dict[str, tuple[float, int, int]]
"""Seconds, pictures and bytes by stage."""

_counts: dict[str, list[float]] = {}
_lock = threading.Lock()


class _Clock(threading.local):
    """The stages that are under way in a thread, the innermost last, and since when that one has run."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.since = 0.0


_clock = _Clock()


def begin() -> None:
    """Count from now on, also in the processes that this one starts."""
    os.environ[ASKED] = "1"
    take()


@contextmanager
def stage(name: str, pictures: int = 0, size: int = 0) -> Iterator[None]:
    """Count the seconds within under this name, and so many pictures and bytes."""
    if ASKED not in os.environ:
        yield
        return
    _charge()
    _clock.names.append(name)
    add(name, pictures=pictures, size=size)
    try:
        yield
    finally:
        _charge()
        _clock.names.pop()


def timed(name: str, items: Iterable[T]) -> Iterator[T]:
    """The items; the seconds in which each is made count under this name, and each as a picture."""
    iterator = iter(items)
    while True:
        with stage(name):
            try:
                item = next(iterator)
            except StopIteration:
                return
        add(name, pictures=1)
        yield item


def add(name: str, seconds: float = 0.0, pictures: int = 0, size: int = 0) -> None:
    """Count so much more."""
    if ASKED in os.environ:
        with _lock:
            counts = _counts.setdefault(name, [0.0, 0, 0])
            for i, more in enumerate((seconds, pictures, size)):
                counts[i] += more


def take() -> Counts:
    """What was counted in this process, which begins anew."""
    with _lock:
        taken: Counts = {name: (seconds, int(pictures), int(size)) for name, (seconds, pictures, size) in _counts.items()}
        _counts.clear()
    return taken


def merge(counts: Mapping[str, tuple[float, int, int]]) -> None:
    """Count what another process did."""
    for name, (seconds, pictures, size) in counts.items():
        add(name, seconds, pictures, size)


def table(wall: float) -> str:
    """A line per stage, the longest first, of what was counted in `wall` seconds; the counts begin anew.

    Seconds of several processes add up, so that their sum may be more than has passed.
    """
    counts = take()
    spent = sum(seconds for seconds, _, _ in counts.values())
    lines = [f"profile: {wall:.2f} s passed, {spent:.2f} s in stages (those of all processes added up)"]
    for name, (seconds, pictures, size) in sorted(counts.items(), key=lambda item: -item[1][0]):
        line = f"  {name:<12} {seconds:9.2f} s {seconds / max(spent, 1e-9):5.0%}"
        if pictures and seconds:
            line += f"  {pictures / seconds:9.1f} pictures/s"
        if size and seconds:
            line += f"  {size / seconds / 1e6:9.1f} MB/s"
        lines.append(line)
    return "\n".join(lines)


def _charge() -> None:
    """Put the time since the last change down to the innermost stage."""
    now = time.perf_counter()
    if _clock.names:
        add(_clock.names[-1], seconds=now - _clock.since)
    _clock.since = now
