"""Detections of one video as a table of 0 and 1 per frame and class, which DeepEthogram, SimBA and A-SOiD read."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, quote_cell, unquote_cell
from untrimmed.interchange.marks import Marks, mark, marks_of, seconds
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.tables import Table, table_of
from untrimmed.interchange.text import Item, frames_of, one_line

BACKGROUND, TIME = "background", "time"
"""The first columns: when the frame is shown, in seconds, and whether nothing happens in it."""


def write(items: Iterable[Item], path: str | Path, media: Media) -> None:
    """Write a row per frame, with the columns `time`, `background` and the classes of all videos.

    Source: DeepEthogram's label files (`<video>_labels.csv`), whose first column is an index and whose second is the background.

    Raises:
        InputError: rate or length of the video are not known, a class has the name of one of the first columns, or the file cannot
            be written.
    """
    items = list(items)
    names = sorted({one_line(label) for label in (*media.classes, *(item.label for item in items))})
    if taken := {BACKGROUND, TIME} & set(names):
        raise InputError(f"the table has a column {taken.pop()!r} of its own, and cannot have a class of that name")
    count = max(round(media.length() * media.rate()), 0)
    shown = np.zeros((count, len(names)), dtype=np.int8)
    for item in items:
        first, behind = frames_of(item, media.rate())
        shown[first:behind, names.index(one_line(item.label))] = 1
    with atomic_write(path) as stream:
        writer = csv.writer(stream)
        writer.writerow((TIME, BACKGROUND, *map(quote_cell, names)))
        for frame, row in enumerate(shown):
            writer.writerow((f"{frame / media.rate():.6f}", int(not row.any()), *row.tolist()))


def read(path: Path, known: Known) -> Marks:
    """Read a table whose columns of 0 and 1 are classes; `background` is none. The rate is that of the column `time`, or is known.
    The file is called as the video is, with or without `_labels`. Where a frame is -1, not labelled, the video is not checked.

    Raises:
        InputError: a value is not 0, 1 or -1, there is no class, or the rate is not known.
    """
    table = table_of(path)
    video = video_of(path.stem.removesuffix("_labels"), path)
    time = table.header[0] if table.header[0].lower() == TIME else None
    rate = known.of(video).rate() if time is None else _rate(table, time, path)
    classes = table.header[1:] if is_index(table) else table.header
    found, checked = [], True
    for name in classes:
        if name.lower() == BACKGROUND:
            continue
        try:
            values = np.array([int(float(row[name])) for _, row in table.rows], dtype=np.int8)
        except (ValueError, OverflowError):
            values = np.array([2], dtype=np.int8)
        if not np.isin(values, (-1, 0, 1)).all():
            raise InputError(f"{path}: column {name!r}: expected only 0, 1 and -1")
        checked &= bool((values >= 0).all())
        edges = np.flatnonzero(np.diff(np.concatenate([[0], values == 1, [0]]).astype(np.int8)))
        for first, behind in edges.reshape(-1, 2):
            found.append((video, mark(first / rate, behind / rate, unquote_cell(name), f"{path}: column {name!r}")))
    marks = marks_of([video], found)
    return {video: replace(marks[video], checked=checked)}


def is_index(table: Table) -> bool:
    """Whether the first column counts: it is `time` or `frame`, has no name, or goes on from row to row."""
    name = table.header[0]
    if name.lower() in ("", TIME, "frame"):
        return True
    return len(table.rows) > 2 and [row[name] for _, row in table.rows[:3]] in (["0", "1", "2"], ["1", "2", "3"])


def _rate(table: Table, column: str, path: Path) -> float:
    first, last = (seconds(table.rows[place][1][column], f"{path}: {column}") for place in (0, -1)) if table.rows else (0, 0)
    if last <= first:
        raise InputError(f"{path}: the times of the column {column!r} do not grow")
    return (len(table.rows) - 1) / (last - first)
