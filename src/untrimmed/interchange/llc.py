"""Detections of one video as a project of LosslessCut."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.data.files import whole_characters, write_json
from untrimmed.interchange.marks import Marks, mark, marks_of, text_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, milliseconds, one_line, score_text


def write(items: Iterable[Item], path: str | Path, media: Media) -> None:
    """Write a segment per detection, with its label as name and its score as a tag. LosslessCut opens `<video>-proj.llc` with the
    video beside it.

    Source: version 1 of the project format, which every LosslessCut since 2020 reads, https://github.com/mifi/lossless-cut.

    Raises:
        InputError: the file cannot be written.
    """
    segments = []
    for item in sorted(items, key=milliseconds):
        start, end = milliseconds(item)
        tags = {"tags": {"score": score_text(item)}} if score_text(item) else {}
        segments.append({"start": start / 1000, "end": end / 1000, "name": one_line(item.label), **tags})
    write_json(path, {"version": 1, "mediaFileName": media.name, "cutSegments": segments}, indent=2)


def read(path: Path, known: Known) -> Marks:
    """Read a project of any version: a segment's name is its label; one without an end lasts to the end of the video.

    Raises:
        InputError: it is no such project, a segment has no name, or the video's length is needed and not known.
    """
    project = _json5(path)
    segments = project.get("cutSegments") if isinstance(project, dict) else None
    if not isinstance(segments, list):
        raise InputError(f"{path}: not a project of LosslessCut, which has cutSegments")
    name = project.get("mediaFileName")
    video = video_of(name if isinstance(name, str) and name else path.stem.removesuffix("-proj"), path)
    found = []
    for number, segment in enumerate(segments, start=1):
        where = f"{path}: segment {number}"
        if not isinstance(segment, dict):
            raise InputError(f"{where}: expected start, end and name")
        end = segment["end"] if segment.get("end") is not None else known.of(video).length()
        found.append((video, mark(segment.get("start") or 0, end, segment.get("name"), where)))
    return marks_of([video], found)


def _json5(path: Path) -> Any:
    """LosslessCut writes JSON5: names without quotation marks, and commas behind the last."""
    text = text_of(path)
    try:
        return whole_characters(json.loads(text))
    except (ValueError, RecursionError):
        pass
    try:
        import json5
    except ImportError:
        raise InputError(f"{path}: JSON5, which is read with the library json5: pip install 'untrimmed[interchange]'") from None
    try:
        return whole_characters(json5.loads(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a project of LosslessCut: {' '.join(str(error).split())[:120]}") from error
