"""Detections of one video as chapters, in FFmpeg's metadata: `ffmpeg -i video -i FILE -map_chapters 1 -c copy` puts them in."""

import re
from collections.abc import Iterable
from pathlib import Path

import av
from av.error import FFmpegError

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.interchange.marks import Marks, mark, marks_of, text_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, cues, label_of_caption

HEAD = ";FFMETADATA1"


def write(items: Iterable[Item], path: str | Path, media: Media | None = None) -> None:
    """Write a chapter per detection, `label (score)`, in the order of time; chapters may overlap. Nothing that is known of the
    video (`media`) is needed.

    Source: https://ffmpeg.org/ffmpeg-formats.html, Metadata.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        stream.write(f"{HEAD}\n")
        for start, end, text in cues(items):
            title = re.sub(r"([=;#\\])", r"\\\1", text)
            stream.write(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n")


def read(path: Path, known: Known) -> Marks:
    """Read chapters with FFmpeg's own reader; their title, without a score behind it, is the label. The file is called as the video
    is.

    Raises:
        InputError: it is no such file, or a chapter has no title.
    """
    if not text_of(path).startswith(";FFMETADATA"):
        raise InputError(f"{path}: not metadata of FFmpeg, which begin with the line {HEAD}")
    options = {"protocol_whitelist": "file", "format_whitelist": "ffmetadata"}
    try:
        with av.open(f"file:{path.absolute()}", format="ffmetadata", options=options, metadata_errors="replace") as container:
            chapters = container.chapters()
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{path}: FFmpeg cannot read it: {error}") from error
    video = video_of(path.stem, path)
    found = []
    for number, chapter in enumerate(chapters, start=1):
        where = f"{path}: chapter {number}"
        title = chapter["metadata"].get("title", "")
        if not title.strip():
            raise InputError(f"{where}: has no title; write the label there")
        start, end = (float(time * (chapter["time_base"] or 1)) for time in (chapter["start"], chapter["end"]))
        found.append((video, mark(start, end, label_of_caption(title), where)))
    return marks_of([video], found)
