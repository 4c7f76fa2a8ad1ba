"""Words to the person: notes and progress go to stderr, so that stdout holds only the result."""

import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
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
    """Words to stderr; on a terminal they are wrapped at its width, and errors and warnings coloured."""
    if sys.stderr is not None:  # closed by who called us
        lines = visible("\n".join(shortened(line, LONGEST) for line in _spelling(text).split("\n")))
        print(_dressed(lines) if sys.stderr.isatty() else lines, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """A result to stdout; on a terminal it is wrapped at its width, and the best of a Markdown table coloured."""
    if sys.stdout.isatty():
        print(_dressed(visible(text)), file=getattr(sys.stdout, "bare", sys.stdout))
    else:
        print(text)


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
        self.bare = stream

    def write(self, text: str) -> int:
        return self.bare.write(visible(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)


def _dressed(text: str) -> str:
    """A text as a terminal shows it best."""
    text = wrapped(text, shutil.get_terminal_size().columns)
    if "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    text = re.sub(r"^(error|fault)(?=: )", "\x1b[1;31m\\1\x1b[0m", text, flags=re.M)
    text = re.sub(r"^(warning)(?=: )", "\x1b[1;33m\\1\x1b[0m", text, flags=re.M)
    return re.sub(r"\*\*.+?\*\*", "\x1b[1;32m\\g<0>\x1b[0m", text)


def wrapped(text: str, width: int) -> str:
    """Text whose lines are no longer than `width`, broken between words; tables are broken between columns."""
    lines, fitted = text.split("\n"), []
    while lines:
        table = len(list(takewhile(lambda line: re.search(r"\S   *\S|^\|", line), lines)))
        if table > 1 and max(map(len, lines[:table])) > width:
            fitted += _folded(_plain(lines[:table]) if lines[0].startswith("|") else lines[:table], width)
        else:
            table = 1
            indent = " " * (len(lines[0]) - len(lines[0].lstrip()) + 2)
            fitted += _wrapped_line(lines[0], width, indent)
        lines = lines[table:]
    return "\n".join(fitted)


def _folded(lines: Sequence[str], width: int) -> list[str]:
    """A table in parts of so many columns as fit, the first column before each; a column of words that fills a part is wrapped."""
    longest = max(map(len, lines))
    padded = [line.ljust(longest) for line in lines]
    blank = [all(line[place] == " " for line in padded) for place in range(longest)]
    starts = [0, *(p for p in range(2, longest) if blank[p - 1] and blank[p - 2] and not blank[p])]
    cells = [[line[a:b].rstrip() for line in padded] for a, b in zip(starts, [*starts[1:], longest])]
    first, parts = cells[0], [] if len(cells) > 1 else cells
    for column in cells[1:]:
        joined = None if not parts else [f"{left}  {cell}" for left, cell in zip(_even(parts[-1]), column)]
        if joined is not None and max(map(len, joined)) <= width:
            parts[-1] = joined
        else:
            parts.append([f"{left}  {cell}" for left, cell in zip(_even(first), column)])
    hang = " " * min(max(map(len, first)) + 2, width // 2)
    return [piece.rstrip() for part in parts for line in part for piece in _wrapped_line(line, width, hang)]


def _wrapped_line(line: str, width: int, indent: str) -> list[str]:
    """The line in pieces of the width, none of which breaks a word; the later ones are indented."""
    if len(line) <= width:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _plain(lines: Sequence[str]) -> list[str]:
    """A Markdown table in plain columns."""
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
    return columns(rows[0], [row for row in rows[1:] if not re.fullmatch(r"[-: ]*", "".join(row))])


def _even(column: Sequence[str]) -> list[str]:
    return [cell.ljust(max(map(len, column))) for cell in column]


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: columns under their heads, the first and those of words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    words = [place == 0 or any(row[place][:1].isalpha() for row in rows) for place in range(len(head))]
    return [
        "  ".join(cell.ljust(width) if left else cell.rjust(width) for cell, width, left in zip(row, widths, words)).rstrip()
        for row in (head, *rows)
    ]


@contextmanager
def progress(description: str, total: int, done: int = 0, unit: str = "videos") -> Iterator[Callable[..., None]]:
    """A progress bar with the time left, on a terminal; elsewhere a plain line at most every 15 seconds.

    Yields `advance(count=1, suffix="")`. `done` is what was finished before (a resumed job), `unit` what is counted.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[suffix]}"), console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=total, completed=done, suffix="")
            yield lambda count=1, suffix="": bar.update(task, advance=count, suffix=suffix)
        return

    if (write := _line_of_a_cell()) is not None:
        yield _counting(write, description, total, done)
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
            note(f"{description}: {position}/{total} {unit}, about {left:.0f} s left {suffix}".rstrip())

    yield advance


@contextmanager
def progress_within(description: str, sizes: Mapping[str, float], unit: str = "videos") -> Iterator[Callable[[str, float], None]]:
    """Progress over items that take long one by one: the time left counts what is done of those under way, too.

    Yields `at(name, share)`: of that item `share` is done, 0..1. `sizes` are the items' shares of the work, in any unit; `unit`
    says what the items are. Before a hundredth of the work is done, the time left is not told.
    """
    shares = dict.fromkeys(sizes, 0.0)
    whole = sum(sizes.values()) or 1.0

    def done() -> tuple[float, int]:
        return sum(sizes[name] * share for name, share in shares.items()) / whole, sum(share >= 1 for share in shares.values())

    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(f"{{task.fields[finished]}}/{len(sizes)} {unit}"))
        with Progress(*columns, TaskProgressColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=1.0, finished=0)

            def show(name: str, share: float) -> None:
                shares[name] = share
                part, finished = done()
                bar.update(task, completed=part, finished=finished)

            yield show
        return

    if (write := _line_of_a_cell()) is not None:
        counting = _counting(write, description, 100, 0)
        at_percent = 0

        def grow(name: str, share: float) -> None:
            nonlocal at_percent
            shares[name] = share
            part, finished = done()
            counting(int(100 * part) - at_percent, f"% ({finished}/{len(sizes)})")
            at_percent = int(100 * part)

        yield grow
        return

    began = last = time.monotonic()

    def at(name: str, share: float) -> None:
        nonlocal last
        shares[name] = share
        now = time.monotonic()
        part, finished = done()
        if now - last >= 15 and 0 < part < 1:
            last = now
            left = f", about {(now - began) / part * (1 - part):.0f} s left" if part >= 0.01 else ""
            note(f"{description}: {finished}/{len(sizes)} {unit}, {part:.0%}{left}")

    yield at


def _line_of_a_cell() -> Callable[[str], None] | None:
    """In a cell of a notebook, a line that can be written over; None elsewhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    line = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda text: line.update({"text/plain": text}, raw=True)


def _counting(write: Callable[[str], None], description: str, total: int, done: int) -> Callable[..., None]:
    """`advance(count=1, suffix="")`, which says twice a second how far it is and, once that can be told, the time left."""
    began, last, position = time.monotonic(), 0.0, done

    def advance(count: int = 1, suffix: str = "") -> None:
        nonlocal last, position
        position += count
        now = time.monotonic()
        if now - last >= 0.5 or position >= total:
            last = now
            left = (now - began) / max(position - done, 1) * (total - position)
            about = f", about {left:.0f} s left" if done < position < total else ""
            write(visible(shortened(f"{description}: {position}/{total} {suffix}".rstrip() + about, LONGEST)))

    return advance
