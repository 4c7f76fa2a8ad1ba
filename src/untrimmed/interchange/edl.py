"""Detections of all videos as a cut list: an edit decision list (CMX 3600), which video editors load as a sequence."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.interchange.marks import Marks, mark, marks_of, text_of
from untrimmed.interchange.media import Known, video_of
from untrimmed.interchange.text import Item, caption, frames_of, label_of_caption, one_line

_TIME = r"(\d\d+:\d\d:\d\d[:;]\d\d)"
_EVENT = re.compile(rf"(\d+)\s+(\S+)\s+(\S+)\s+\S+(?:\s+\d+)?\s+{_TIME}\s+{_TIME}\s+{_TIME}\s+{_TIME}\s*")
_MARKER = re.compile(rf"\*\s*LOC:\s*{_TIME}\s+(\w+)\s+(.*)")


def write(results: Mapping[str, Sequence[Item]], path: str | Path, known: Known) -> None:
    """Write an event per detection, in the order of video and time, one behind the other. The reel is AX, as for files; the file's
    name and, as a marker, the `label (score)` stand below the event. Time codes are without drop frames.

    Source: CMX 3600 as editors write it, with `FROM CLIP NAME` and `LOC` in comments.

    Raises:
        InputError: the frame rate is not known, videos differ in it, or the file cannot be written.
    """
    rate = known.one_rate(video for video, items in results.items() if items)
    lines = ["TITLE: untrimmed", "FCM: NON-DROP FRAME", ""]
    number = at = 0
    for video, items in sorted(results.items()):
        for item in sorted(items):
            number += 1
            first, behind = frames_of(item, rate)
            times = (first, behind, at, at + behind - first)
            lines.append(f"{number:03d}  AX       V     C        {' '.join(_code(frame, rate) for frame in times)}")
            lines.append(f"* FROM CLIP NAME: {one_line(known.of(video).name)}")
            lines.append(f"* LOC: {_code(at, rate)} RED     {caption(item)}")
            at += behind - first
    with atomic_write(path) as stream:
        stream.write("\n".join(lines) + "\n")


def _code(frame: int, rate: float) -> str:
    """HH:MM:SS:FF; a second has as many frames as the rate rounded up, so that at 29.97 the code is behind the clock."""
    base = _base(rate)
    seconds, rest = divmod(frame, base)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"


def _base(rate: float) -> int:
    return max(round(rate), 1)


def read(path: Path, known: Known) -> Marks:
    """Read the events of the picture: the label is that of a marker (`LOC`) or comment below the event, and the video the file
    named there, or else the reel. The list does not hold its frame rate: it is that of the videos, or given.

    Raises:
        InputError: it is no such list, counts with drop frames, an event has no label, or the frame rate is not known.
    """
    found: list[tuple[str, tuple[str, str], str | None, str]] = []
    video, label, times, where = "", None, None, ""
    events = 0
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        line = line.strip()
        if event := _EVENT.fullmatch(line):
            events += 1
            if times is not None:
                found.append((video, times, label, where))
            picture = event[3].upper().startswith(("V", "B")) or event[3].upper().endswith("/V")
            video, label, where = event[2], None, f"{path}, line {number}"
            times = (event[4], event[5]) if picture else None
        elif marker := _MARKER.fullmatch(line):
            label = marker[3]
        elif line.upper().startswith("* FROM CLIP NAME:"):
            video = line.partition(":")[2].strip()
        elif line.upper().startswith("* COMMENT:") and label is None:
            label = line.partition(":")[2].strip()
    if times is not None:
        found.append((video, times, label, where))
    if not events and not text_of(path).startswith("TITLE"):
        raise InputError(f"{path}: not an edit decision list (CMX 3600)")
    marks = []
    for name, codes, label, where in found:
        if not label:
            raise InputError(f"{where}: the event has no marker (* LOC) or comment with a label")
        media = known.of(video_of(name, where))
        start, end = (_frame(code, media.rate(), where) / media.rate() for code in codes)
        marks.append((media.video, mark(start, end, label_of_caption(label), where)))
    return marks_of((), marks)


def _frame(code: str, rate: float, where: str) -> int:
    if ";" in code:
        raise InputError(f"{where}: time codes with drop frames are not read; write the list without them")
    hours, minutes, seconds, frames = map(int, code.split(":"))
    return (hours * 3600 + minutes * 60 + seconds) * _base(rate) + frames
