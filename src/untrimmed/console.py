"""Words to the person: notes and progress go to stderr, so that stdout holds only the result."""

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_spelling: Callable[[str], str] = str

LONGEST = 300  # characters of a line that is said: what a file says, however long, must not fill the screen
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@contextmanager
def spelled(spelling: Callable[[str], str]) -> Iterator[None]:
    """Within it, notes pass through `spelling`: functions name their parameters in backticks, the command line as options."""
    global _spelling
    before, _spelling = _spelling, spelling
    try:
        yield
    finally:
        _spelling = before


def note(text: str) -> None:
    """One line to stderr."""
    if sys.stderr is not None:  # closed by who called us
        lines = _spelling(text).split("\n")
        print("\n".join(visible(shortened(line, LONGEST)) for line in lines), file=sys.stderr, flush=True)


def visible(text: str) -> str:
    """A text whose control characters, which a terminal would obey, are written out: `\\x1b`."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: object, most: int = 120) -> str:
    """A text that is cut in its middle where it is longer than `most` characters."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[: most // 2]} … {whole[-(most - most // 2 - 3) :]}"


class Terminal:
    """An output to a terminal to which nothing can send control characters."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(visible(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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


@contextmanager
def progress_within(description: str, sizes: Mapping[str, float]) -> Iterator[Callable[[str, float], None]]:
    """Progress over items that take long one by one: the time left counts what is done of those under way, too.

    Yields `at(name, share)`: of that item `share` is done, 0..1. `sizes` are the items' shares of the work, in any unit.
    """
    shares = dict.fromkeys(sizes, 0.0)
    whole = sum(sizes.values()) or 1.0

    def done() -> tuple[float, int]:
        return sum(sizes[name] * share for name, share in shares.items()) / whole, sum(share >= 1 for share in shares.values())

    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(f"{{task.fields[finished]}}/{len(sizes)}"))
        with Progress(*columns, TaskProgressColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=1.0, finished=0)

            def show(name: str, share: float) -> None:
                shares[name] = share
                part, finished = done()
                bar.update(task, completed=part, finished=finished)

            yield show
        return

    began = last = time.monotonic()

    def at(name: str, share: float) -> None:
        nonlocal last
        shares[name] = share
        now = time.monotonic()
        part, finished = done()
        if now - last >= 15 and 0 < part < 1:
            last = now
            left = (now - began) / part * (1 - part)
            note(f"{description}: {finished}/{len(sizes)}, {part:.0%}, about {left:.0f} s left")

    yield at
