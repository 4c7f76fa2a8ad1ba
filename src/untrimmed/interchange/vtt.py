"""Detections of one video as WebVTT, which browsers show as captions or chapters of a <video>."""

import html
from collections.abc import Iterable
from pathlib import Path

from untrimmed.data.files import atomic_write
from untrimmed.data.types import Detection
from untrimmed.interchange.text import clock, cues


def write(detections: Iterable[Detection], path: str | Path) -> None:
    """Write one cue per detection, `label (score)`. Overlapping detections are overlapping cues.

    Source: W3C, WebVTT: The Web Video Text Tracks Format.

    Raises:
        InputError: the file cannot be written.
    """
    blocks = [f"{clock(a, '.')} --> {clock(b, '.')}\n{html.escape(text, quote=False)}\n" for a, b, text in cues(detections)]
    with atomic_write(path) as stream:
        stream.write("\n".join(["WEBVTT\n", *blocks]))
