"""Tables of other programs: CSV or tab-separated text with a header."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from untrimmed.data.errors import InputError
from untrimmed.interchange.marks import text_of


class Table(NamedTuple):
    """The header's names as they stand, and each row that is not blank, with its line number; short rows are filled up."""

    header: list[str]
    rows: list[tuple[int, dict[str, str]]]

    def column(self, *names: str) -> str | None:
        """The first of the named columns that is there, upper or lower case alike."""
        there = {name.casefold(): name for name in reversed(self.header)}
        return next((there[name.casefold()] for name in names if name.casefold() in there), None)


def table_of(path: Path, first: str = "", skip: int = 0) -> Table:
    """Read a table: comma, semicolon or tab, whichever its header has most of.

    Args:
        first: the header begins with this name; lines before it are another program's preamble.
        skip: that many lines are left out at the beginning.

    Raises:
        InputError: it cannot be read, has no such header, or a quotation mark is never closed.
    """
    lines = text_of(path).split("\n")[skip:]
    if first:
        while lines and lines[0].strip().strip('"').split(",")[0].split("\t")[0].split(";")[0].strip('" ') != first:
            lines, skip = lines[1:], skip + 1
    if not lines or not lines[0].strip():
        raise InputError(f"{path}: no table in it" + (f"; expected a line that begins with {first!r}" if first else ""))
    separator = max(",;\t", key=lines[0].count)
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        header = [name.strip() for name in next(reader)]
        line = skip + reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((line, dict(zip(header, row + [""] * (len(header) - len(row))))))
            line = skip + reader.line_num + 1
    except csv.Error as error:
        unclosed = "unexpected end" in str(error)
        what = 'a quotation mark (") is opened and never closed' if unclosed else str(error)
        raise InputError(f"{path}: not a table that can be read: {what}") from error
    return Table(header, rows)
