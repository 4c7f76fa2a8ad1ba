"""Detections as the aggregated events of BORIS: a row per event, with start and stop."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, quote_cell, unquote_cell
from untrimmed.interchange.marks import Marks, mark, marks_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.tables import table_of
from untrimmed.interchange.text import Item, frames_of, milliseconds, one_line, score_text

NOTHING = "NA"
"""What BORIS writes where a value is not known."""

COLUMNS = (
    "Observation id",
    "Observation date",
    "Description",
    "Observation type",
    "Source",
    "Time offset (s)",
    "Coding duration",
    "Media duration (s)",
    "FPS (frame/s)",
    "Subject",
    "Observation duration by subject by observation",
    "Behavior",
    "Behavioral category",
    "Behavior type",
    "Start (s)",
    "Stop (s)",
    "Duration (s)",
    "Media file name",
    "Image index start",
    "Image index stop",
    "Image file path start",
    "Image file path stop",
    "Comment start",
    "Comment stop",
)


def write(results: Mapping[str, Sequence[Item]], path: str | Path, known: Known) -> None:
    """Write a state event per detection; an observation is a video, the score is the comment.

    Source: the columns of BORIS 8 and 9, https://www.boris.unito.it.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        for video, items in sorted(results.items()):
            media = known.of(video)
            length = seconds_text(media)
            for item in sorted(items, key=milliseconds):
                start, end = milliseconds(item)
                first, stop = (NOTHING, NOTHING) if media.fps is None else frames_of(item, media.fps)
                writer.writerow(
                    {
                        **observation(media),
                        "Coding duration": length,
                        "FPS (frame/s)": rate_text(media),
                        "Observation duration by subject by observation": length,
                        "Behavior": quote_cell(one_line(item.label)),
                        "Behavior type": "STATE",
                        "Start (s)": f"{start / 1000:.3f}",
                        "Stop (s)": f"{end / 1000:.3f}",
                        "Duration (s)": f"{(end - start) / 1000:.3f}",
                        "Image index start": first,
                        "Image index stop": stop,
                        "Comment start": score_text(item),
                    }
                )


def observation(media: Media) -> dict[str, str]:
    """What all BORIS tables say of a video."""
    return {
        "Observation id": quote_cell(media.video),
        "Observation type": "Media file",
        "Source": f"player #1:{one_line(media.name)}",
        "Time offset (s)": "0.0",
        "Media duration (s)": seconds_text(media),
        "Subject": "No focal subject",
        "Media file name": quote_cell(one_line(media.name)),
    }


def seconds_text(media: Media) -> str:
    return NOTHING if media.duration is None else f"{media.duration:.3f}"


def rate_text(media: Media) -> str:
    return NOTHING if media.fps is None else f"{media.fps:.6g}"


def read(path: Path, known: Known) -> Marks:
    """Read aggregated events of any version of BORIS, of CSV or TSV: state events are segments, point events points. Subjects and
    modifiers are left out. The video is the media file, or the observation where none is named.

    Raises:
        InputError: a column is missing, or an event has no times.
    """
    table = table_of(path)
    behavior, start, stop = (table.column(name) for name in ("Behavior", "Start (s)", "Stop (s)"))
    if behavior is None or start is None or stop is None:
        raise InputError(f"{path}: expected the columns Behavior, Start (s) and Stop (s) of BORIS's aggregated events")
    kind = table.column("Behavior type")
    found = []
    for line, row in table.rows:
        where = f"{path}, line {line}"
        point = kind is not None and row[kind].strip().upper().startswith("POINT")
        times = (row[start], row[start] if point else row[stop])
        found.append((video_in(row, table.column(*MEDIA), path, where), mark(*times, unquote_cell(row[behavior]), where)))
    return marks_of((), found)


MEDIA = ("Media file name", "Media file path", "Media file")
"""What versions of BORIS call the column with the video's file."""


def video_in(row: Mapping[str, str], media: str | None, path: Path, where: str) -> str:
    """The video of a row: its media file or, where there is none, its observation; without that the file is called so."""
    name = unquote_cell(row[media].strip()) if media is not None else ""
    if name in ("", NOTHING):
        name = unquote_cell(row.get("Observation id", "").strip()) or path.stem
    return video_of(name, where)
