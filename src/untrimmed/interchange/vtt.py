"""Detections of one video as WebVTT, which browsers show as captions or chapters of a <video>."""

import html
from collections.abc import Iterable
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.interchange.marks import Marks, marks_of, text_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.srt import cues_in
from untrimmed.interchange.text import Item, clock, cues


def write(items: Iterable[Item], path: str | Path, media: Media | None = None) -> None:
    """Write one cue per detection, `label (score)`. Overlapping detections are overlapping cues. Nothing that is known of the video
    (`media`) is needed.

    Source: W3C, WebVTT: The Web Video Text Tracks Format.

    Raises:
        InputError: the file cannot be written.
    """
    blocks = [f"{clock(a, '.')} --> {clock(b, '.')}\n{html.escape(text, quote=False)}\n" for a, b, text in cues(items)]
    with atomic_write(path) as stream:
        stream.write("\n".join(["WEBVTT\n", *blocks]))


def read(path: Path, known: Known) -> Marks:
    """Read cues: their text, without a score behind it, is the label; the file is called as the video is.

    Raises:
        InputError: it does not begin with WEBVTT, a cue has no text, or its times are at fault.
    """
    text = text_of(path)
    if not text.startswith("WEBVTT"):
        raise InputError(f"{path}: not WebVTT, which begins with the line WEBVTT")
    video = video_of(path.stem, path)
    found = [(video, cue._replace(label=html.unescape(cue.label))) for cue in cues_in(text, path)]
    return marks_of([video], found)
