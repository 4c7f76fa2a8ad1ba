"""Detections of one video as the tabular events of BORIS, which SimBA reads: a row where each starts, and one where it stops."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, quote_cell, unquote_cell
from untrimmed.interchange.boris_aggregated import MEDIA, NOTHING, observation, rate_text, seconds_text, video_in
from untrimmed.interchange.marks import Marks, mark, marks_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.tables import table_of
from untrimmed.interchange.text import Item, milliseconds, one_line

COLUMNS = (
    "Observation id",
    "Observation date",
    "Description",
    "Observation duration",
    "Observation type",
    "Source",
    "Time offset (s)",
    "Media duration (s)",
    "FPS",
    "Subject",
    "Behavior",
    "Behavioral category",
    "Behavior type",
    "Time",
    "Media file name",
    "Image index",
    "Image file path",
    "Comment",
)


def write(items: Iterable[Item], path: str | Path, media: Media) -> None:
    """Write START and STOP of each state event, in the order of time. Of one behavior there cannot be two at once: detections of a
    label that overlap become one event.

    Source: the columns of BORIS 8 and 9, https://www.boris.unito.it.

    Raises:
        InputError: the file cannot be written.
    """
    # Where one event stops and another starts, the stop comes first.
    events = sorted(
        (time, side, label) for label, spans in _joined(items).items() for span in spans for side, time in zip((1, 0), span)
    )
    with atomic_write(path) as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        for time, side, label in events:
            writer.writerow(
                {
                    **observation(media),
                    "Observation duration": seconds_text(media),
                    "FPS": rate_text(media),
                    "Behavior": quote_cell(label),
                    "Behavior type": "START" if side else "STOP",
                    "Time": f"{time / 1000:.3f}",
                    "Image index": NOTHING if media.fps is None else round(time / 1000 * media.fps),
                }
            )


def _joined(items: Iterable[Item]) -> dict[str, list[tuple[int, int]]]:
    """The spans of each label in milliseconds, those that overlap joined."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for item in sorted(items, key=milliseconds):
        own = spans.setdefault(one_line(item.label), [])
        start, end = milliseconds(item)
        if own and start < own[-1][1]:
            own[-1] = (own[-1][0], max(own[-1][1], end))
        else:
            own.append((start, end))
    return spans


def read(path: Path, known: Known) -> Marks:
    """Read tabular events of any version of BORIS, of CSV or TSV: START and STOP of a behavior are a segment, POINT is a point.
    Subjects are told apart, but not written; modifiers are left out.

    Raises:
        InputError: a column is missing, or a START has no STOP.
    """
    table = table_of(path)
    if table.column("Behavior") is None:  # older versions write what is known of the observation above the table
        table = table_of(path, first="Time")
    time, behavior, kind = (table.column(*names) for names in (("Time",), ("Behavior",), ("Behavior type", "Status")))
    if time is None or behavior is None or kind is None:
        raise InputError(f"{path}: expected the columns Time, Behavior and Behavior type of BORIS's tabular events")
    rows = [
        (
            f"{path}, line {line}",
            video_in(row, table.column(*MEDIA), path, f"{path}, line {line}"),
            row.get("Subject", ""),
            unquote_cell(row[behavior].strip()),
            row[kind].strip().upper(),
            row[time],
        )
        for line, row in table.rows
    ]
    return marks_of([] if rows else [video_of(path.stem, path)], _paired(rows))


def _paired(rows: Iterable[tuple[str, str, str, str, str, str]]) -> Iterator:
    begun: dict[tuple[str, str, str], tuple[str, str]] = {}
    for where, video, subject, label, kind, time in rows:
        key = (video, subject, label)
        if kind == "POINT":
            yield video, mark(time, time, label, where)
        elif kind == "START" and key not in begun:
            begun[key] = (time, where)
        elif kind == "STOP" and key in begun:
            yield video, mark(begun.pop(key)[0], time, label, where)
        else:
            raise InputError(f"{where}: {kind or 'no type'} of {label!r}: expected START and STOP by turns, or POINT")
    for (_, _, label), (_, where) in begun.items():
        raise InputError(f"{where}: {label!r} starts and never stops")
