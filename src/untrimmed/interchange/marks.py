"""What other programs' files say, as marks: segments and points of each video, ready for an annotations file."""

import math
from collections.abc import Iterable
from pathlib import Path

from untrimmed.data.annotations import LATEST, label_of
from untrimmed.data.corrections import Corrections, Point
from untrimmed.data.errors import InputError
from untrimmed.data.files import write_json
from untrimmed.data.types import Segment
from untrimmed.interchange.media import Known

Marks = dict[str, Corrections]
"""What is marked in each video. A video without marks is one in which nothing happens."""


def marks_of(videos: Iterable[str], found: Iterable[tuple[str, Segment | Point]]) -> Marks:
    """The marks of each video, in the order of time; `videos` names those that may have none."""
    segments: dict[str, list[Segment]] = {video: [] for video in videos}
    points: dict[str, list[Point]] = {}
    for video, mark in found:
        segments.setdefault(video, [])
        if isinstance(mark, Point):
            points.setdefault(video, []).append(mark)
        else:
            segments[video].append(mark)
    # A file that has a point of an action has all its actions, as one that has its segments has.
    return {
        video: Corrections(tuple(sorted(own)), tuple(sorted(points.get(video, []))), (), checked=True)
        for video, own in segments.items()
    }


def mark(start: object, end: object, label: object, where: str) -> Segment | Point:
    """A segment; of no length, a point.

    Raises:
        InputError: there is no label that can be one, a time is not a finite number, or the end comes before the start.
    """
    if not isinstance(label, str) or not label.strip():
        raise InputError(f"{where}: there is no label")
    first, last = (round(seconds(value, where), 6) for value in (start, end))  # times of frames are no round numbers
    label = label_of({"label": label}, where)
    if max(-first, last) > LATEST:
        raise InputError(f"{where}: expected seconds, found {first:g} to {last:g}, which is more than thirty years")
    if last < first:
        raise InputError(f"{where}: ends ({last:g} s) before it starts ({first:g} s)")
    return Point(first, label) if first == last else Segment(first, last, label)


def seconds(value: object, where: str) -> float:
    """A time.

    Raises:
        InputError: it is not a finite number.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: expected a time in seconds, found {str(value)[:40]!r}")
    return number


def text_of(path: Path) -> str:
    """The text of a file: UTF-8, or UTF-16 where it begins so, as Praat and Windows programs write it.

    Raises:
        InputError: it cannot be read, or is no text.
    """
    try:
        raw = path.read_bytes()
        encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        return raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; save it as UTF-8") from error


def write_marks(path: str | Path, marks: Marks, known: Known) -> None:
    """Write marks as an annotations file (see `data.corrections`), with the lengths of the videos that are known.

    Raises:
        InputError: the file cannot be written.
    """
    database = {}
    for video, own in sorted(marks.items()):
        duration = known.of(video).duration
        database[video] = {
            **({} if duration is None else {"duration": duration}),
            "annotations": [{"segment": [s.start, s.end], "label": s.label} for s in own.segments],
            **({"points": [{"time": p.time, "label": p.label} for p in own.points]} if own.points else {}),
            **({"rejected": [{"segment": [s.start, s.end], "label": s.label} for s in own.rejected]} if own.rejected else {}),
            "checked": own.checked,
        }
    write_json(path, {"version": "imported", "taxonomy": [], "database": database}, indent=1)
