"""Detections of one video as SubRip subtitles, which desktop players show."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from untrimmed.data.corrections import Point
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.data.types import Segment
from untrimmed.interchange.marks import Marks, mark, marks_of, text_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, clock, cues, label_of_caption, parse_clock

_FORMATTING = re.compile(r"</?(?:[bciuv]|font|lang|ruby|rt)\b[^>]*>|\{\\an\d\}", re.I)


def write(items: Iterable[Item], path: str | Path, media: Media | None = None) -> None:
    """Write one subtitle per detection, `label (score)`, numbered from 1. A video without detections gives an empty file. Nothing
    that is known of the video (`media`) is needed.

    Raises:
        InputError: the file cannot be written.
    """
    blocks = [f"{i}\n{clock(a, ',')} --> {clock(b, ',')}\n{text}\n" for i, (a, b, text) in enumerate(cues(items), start=1)]
    with atomic_write(path) as stream:
        stream.write("\n".join(blocks))


def read(path: Path, known: Known) -> Marks:
    """Read subtitles: their text, without a score behind it, is the label; the file is called as the video is.

    Raises:
        InputError: there is text, but no subtitle; or a subtitle has no text, or its times are at fault.
    """
    video, text = video_of(path.stem, path), text_of(path)
    if text.strip() and "-->" not in text:
        raise InputError(f"{path}: there is no subtitle in it")
    return marks_of([video], ((video, cue) for cue in cues_in(text, path)))


def cues_in(text: str, path: Path) -> Iterator[Segment | Point]:
    """The cues of SubRip or WebVTT: blocks whose first or second line has the times; formatting is taken off.

    Raises:
        InputError: as above.
    """
    number = 0
    for block in re.split(r"\n[ \t]*(?=\n)", text):
        lines = block.strip("\n").split("\n")
        place = next((i for i, line in enumerate(lines[:2]) if "-->" in line), None)
        number += 1
        if place is None:
            continue
        where = f"{path}, block {number}"
        start, _, rest = lines[place].partition("-->")
        times = [parse_clock(time) for time in (start, rest.strip().split(" ")[0])]
        if None in times:
            raise InputError(f"{where}: expected two times such as 0:01:02.500, found {lines[place].strip()[:60]!r}")
        words = " ".join(_FORMATTING.sub("", line) for line in lines[place + 1 :])
        if not words.strip():
            raise InputError(f"{where}: there is no text below the times; write the label there")
        yield mark(times[0], times[1], label_of_caption(words), where)
