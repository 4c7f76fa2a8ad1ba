"""Detections of one video as the chapters of a YouTube description."""

import re
from collections.abc import Iterable
from pathlib import Path

from untrimmed.console import note
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.interchange.marks import Marks, mark, marks_of, text_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, milliseconds, one_line, parse_clock, short_clock

NOTHING = "–"
"""The title of a chapter in which nothing was found: chapters follow one another without a gap."""

SHORTEST, FEWEST = 10, 3
"""YouTube shows chapters if each lasts at least 10 s, there are at least three, and the first begins at 0:00."""

_LINE = re.compile(r"\s*((?:\d+:)?\d{1,2}:\d\d)\s+(?:[-–—]\s+)?(\S.*?)\s*")


def write(items: Iterable[Item], path: str | Path, media: Media | None = None) -> None:
    """Write a line per chapter, `h:mm:ss label`, in whole seconds. What begins less than 10 s after the chapter before is left out,
    with a note: YouTube would show none of them. Nothing that is known of the video (`media`) is needed.

    Source: https://support.google.com/youtube/answer/9884579.

    Raises:
        InputError: the file cannot be written.
    """
    spans = sorted((*milliseconds(item), one_line(item.label)) for item in items)
    chapters = [(0, NOTHING)]
    left_out, until = 0, 0.0
    for start, end, label in spans:
        if chapters[-1][1] != NOTHING and start / 1000 >= max(until, chapters[-1][0] + SHORTEST) + SHORTEST:
            chapters.append((max(int(until), chapters[-1][0] + SHORTEST), NOTHING))
        if start // 1000 == 0 and len(chapters) == 1:
            chapters = [(0, label)]
        elif start // 1000 - chapters[-1][0] >= SHORTEST:
            chapters.append((start // 1000, label))
        else:
            left_out += 1
        until = max(until, end / 1000)
    if chapters[-1][1] != NOTHING and media is not None and media.duration is not None:
        end = max(int(until), chapters[-1][0] + SHORTEST)
        chapters += [(end, NOTHING)] if media.duration - end >= SHORTEST else []
    if left_out:
        note(f"{path}: {left_out} detection(s) begin less than {SHORTEST} s after another chapter and were left out")
    if len(chapters) < FEWEST:
        note(f"{path}: {len(chapters)} chapter(s); YouTube shows none where there are fewer than {FEWEST}")
    with atomic_write(path) as stream:
        stream.writelines(f"{short_clock(time)} {label}\n" for time, label in chapters)


def read(path: Path, known: Known) -> Marks:
    """Read chapters: each lasts until the next, the last to the end of the video; those called `–` are none. Lines without a time
    are left alone. The file is called as the video is, with or without `_chapters`.

    Raises:
        InputError: there is no chapter, or the length of the video is not known.
    """
    video = video_of(path.stem.removesuffix("_chapters"), path)
    lines = [match for line in text_of(path).split("\n") if (match := _LINE.fullmatch(line))]
    starts = [(parse_clock(match[1]), match[2]) for match in lines]
    if not starts:
        raise InputError(f"{path}: no chapter in it; expected lines such as: 0:01:30 goal")
    found = []
    for place, (start, label) in enumerate(starts):
        if label != NOTHING:
            end = starts[place + 1][0] if place + 1 < len(starts) else known.of(video).length()
            found.append((video, mark(start, end, label, f"{path}: chapter {place + 1}")))
    return marks_of([video], found)


def is_chapter(line: str) -> bool:
    """Whether a line is a time and a title."""
    return _LINE.fullmatch(line) is not None
