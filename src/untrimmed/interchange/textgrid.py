"""Detections of one video as a TextGrid of Praat."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.interchange.marks import Marks, mark, marks_of, seconds, text_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, label_on_tier, one_line, text_on_tier, tiers_of

_VALUE = re.compile(r'"((?:[^"]|"")*)"|<exists>|<absent>|(?<![\w.])(-?\d+\.?\d*(?:[eE][-+]?\d+)?)(?![\w.\]])')


def write(items: Iterable[Item], path: str | Path, media: Media | None = None) -> None:
    """Write one interval tier per label, in the long text format; an interval's text is its score, or the label of a true segment.
    Detections of one label that overlap go to further tiers, `label (2)`. The tiers end where the video does or, where that is not
    known, where the last detection does.

    Source: Praat manual, TextGrid file formats, https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html.

    Raises:
        InputError: the file cannot be written.
    """
    tiers = tiers_of(items)
    last = max((item.end for spans in tiers.values() for item in spans), default=1)
    end = max(last, round((media.duration or 0) * 1000) if media is not None else 0)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_seconds(end)}"]
    lines += ["tiers? <exists>" if tiers else "tiers? <absent>"]
    if tiers:
        lines += [f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers.items(), start=1):
        texts = [(item.start, item.end, text_on_tier(item, name, tiers) or item.label) for item in spans]
        parts = list(_parts(texts, end))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}", "        xmin = 0"]
        lines += [f"        xmax = {_seconds(end)}", f"        intervals: size = {len(parts)}"]
        for place, (a, b, text) in enumerate(parts, start=1):
            lines += [f"        intervals [{place}]:", f"            xmin = {_seconds(a)}", f"            xmax = {_seconds(b)}"]
            lines += [f"            text = {_quoted(text)}"]
    with atomic_write(path) as stream:
        stream.write("\n".join(lines) + "\n")


def _parts(spans: list[tuple[int, int, str]], end: int) -> Iterator[tuple[int, int, str]]:
    """A tier's intervals without gaps, as Praat wants them: what lies between has no text."""
    time = 0
    for a, b, text in spans:
        if a > time:
            yield time, a, ""
        yield a, b, text
        time = b
    if time < end:
        yield time, end, ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}".rstrip("0").rstrip(".")


def read(path: Path, known: Known) -> Marks:
    """Read a TextGrid, long or short: an interval's label is its text, or its tier's name where the text is a number; intervals
    without text are gaps. Points of a point tier are points. The file is called as the video is.

    Raises:
        InputError: it is no TextGrid, or it is cut off.
    """
    # Both formats hold the same values in the same order: the long one only names them, and numbers its parts in brackets.
    found_values = [
        quoted.replace('""', '"') if quoted or match[0].startswith('"') else number or match[0]
        for match in _VALUE.finditer(text_of(path))
        for quoted, number in [(match[1] or "", match[2])]
    ]
    if found_values[:2] != ["ooTextFile", "TextGrid"]:
        raise InputError(f"{path}: not a TextGrid in one of Praat's text formats")
    values = iter(found_values[2:])
    video = video_of(path.stem, path)
    found = []
    try:
        next(values), next(values)
        tiers = int(next(values)) if next(values) == "<exists>" else 0
        read_tiers = []
        for _ in range(tiers):
            kind, name = next(values), next(values)
            next(values), next(values)
            width = 3 if kind == "IntervalTier" else 2
            read_tiers.append((name, [[next(values) for _ in range(width)] for _ in range(int(next(values)))]))
    except (StopIteration, ValueError):
        raise InputError(f"{path}: not a whole TextGrid; is it cut off?") from None
    names = {name for name, _ in read_tiers}
    for name, rows in read_tiers:
        for number, (*times, text) in enumerate(rows, start=1):
            where = f"{path}: tier {one_line(name)}, number {number}"
            if text.strip() or len(times) == 1:
                ends = [seconds(time, where) for time in times]
                found.append((video, mark(ends[0], ends[-1], label_on_tier(text, name, names), where)))
    return marks_of([video], found)
