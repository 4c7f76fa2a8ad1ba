"""Detections of one video as SubRip subtitles, which desktop players show."""

from collections.abc import Iterable
from pathlib import Path

from untrimmed.data.files import atomic_write
from untrimmed.data.types import Detection
from untrimmed.interchange.text import clock, cues


def write(detections: Iterable[Detection], path: str | Path) -> None:
    """Write one subtitle per detection, `label (score)`, numbered from 1. A video without detections gives an empty file.

    Raises:
        InputError: the file cannot be written.
    """
    blocks = [f"{i}\n{clock(a, ',')} --> {clock(b, ',')}\n{text}\n" for i, (a, b, text) in enumerate(cues(detections), start=1)]
    with atomic_write(path) as stream:
        stream.write("\n".join(blocks))
