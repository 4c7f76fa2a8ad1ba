"""Detections as one table, `video,start,end,label,score,clock`, for spreadsheets."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, quote_cell, unquote_cell
from untrimmed.interchange.marks import Marks, mark, marks_of
from untrimmed.interchange.media import Known, video_of
from untrimmed.interchange.tables import table_of
from untrimmed.interchange.text import Item, one_line, parse_clock, score_of, short_clock

COLUMNS = ("video", "start", "end", "label", "score", "clock")


def write(results: Mapping[str, Sequence[Item]], path: str | Path, known: Known | None = None) -> None:
    """Write all videos, in the order of video and time: start and end in seconds with three decimals, and the start as h:mm:ss.
    True segments have no score. A spreadsheet needs nothing that is `known` of the videos.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        writer = csv.writer(stream)  # lines end in CR LF, as RFC 4180 has it
        writer.writerow(COLUMNS)
        for video, items in sorted(results.items()):
            for item in sorted(items, key=lambda item: (round(item.start, 3), round(item.end, 3), item.label)):
                score = score_of(item)
                writer.writerow(
                    (
                        quote_cell(video),
                        f"{item.start:.3f}",
                        f"{item.end:.3f}",
                        quote_cell(one_line(item.label)),
                        "" if score is None else f"{score:.6g}",
                        short_clock(item.start),
                    )
                )


def read(path: Path, known: Known) -> Marks:
    """Read a table with the columns video, start, end and label, times in seconds or as h:mm:ss; other columns do not matter.
    `match_01.mp4` is `match_01`; a row with nothing but the video says that nothing happens in it.

    Raises:
        InputError: a column is missing, or a row is at fault; the line is named.
    """
    table = table_of(path)
    names = [table.column(name) for name in COLUMNS[:4]]
    if None in names:
        raise InputError(f"{path}, line 1: no column {COLUMNS[names.index(None)]!r}; expected video,start,end,label")
    videos, found = [], []
    for line, row in table.rows:
        where = f"{path}, line {line}"
        video, start, end, label = (unquote_cell(row[name].strip()) for name in names if name is not None)
        videos.append(video_of(video, where))
        if not (start or end or label):
            continue
        times = [parse_clock(time) if ":" in time else time.replace(",", ".") for time in (start, end)]
        found.append((videos[-1], mark(times[0], times[1], label, where)))
    return marks_of(videos, found)
