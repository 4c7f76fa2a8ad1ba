"""Words to the person: notes and progress go to stderr, so that stdout holds only the result."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def note(text: str) -> None:
    """One line to stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(description: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
    """A progress bar with the time left, on a terminal; elsewhere a plain line at most every 15 seconds.

    Yields `advance(count=1, suffix="")`. `done` is what was finished before (a resumed job).
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[suffix]}"), console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=total, completed=done, suffix="")
            yield lambda count=1, suffix="": bar.update(task, advance=count, suffix=suffix)
        return

    began = last = time.monotonic()
    position = done

    def advance(count: int = 1, suffix: str = "") -> None:
        nonlocal position, last
        position += count
        now = time.monotonic()
        if now - last >= 15 and position < total:
            last = now
            left = (now - began) / max(position - done, 1) * (total - position)
            note(f"{description}: {position}/{total}, about {left:.0f} s left {suffix}".rstrip())

    yield advance
