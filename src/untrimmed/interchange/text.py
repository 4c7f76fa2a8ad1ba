"""Labels and times as subtitle and annotation programs want them: one line of text, whole milliseconds."""

import unicodedata
from collections.abc import Iterable

from untrimmed.data.types import Detection


def one_line(text: str) -> str:
    """The text on one line, without characters that neither XML nor a subtitle may hold (controls, surrogates, non-characters)."""
    spaced = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    kept = "".join(c for c in spaced if unicodedata.category(c) != "Cs" and (ord(c) & 0xFFFE) != 0xFFFE)
    return " ".join(kept.split()) or "unnamed"


def milliseconds(detection: Detection) -> tuple[int, int]:
    """Start and end in whole milliseconds, not before the video's beginning, and at least one millisecond apart: players and
    annotation programs refuse a stretch without length."""
    start = max(round(detection.start * 1000), 0)
    return start, max(round(detection.end * 1000), start + 1)


def clock(time: int, point: str) -> str:
    """Milliseconds as HH:MM:SS.mmm, with `point` before the milliseconds; more than 99 hours simply take more digits."""
    seconds, thousandths = divmod(time, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{thousandths:03d}"


def cues(detections: Iterable[Detection]) -> list[tuple[int, int, str]]:
    """Detections as subtitle cues in the order of their start: start and end in milliseconds, `label (score)`."""
    return sorted((*milliseconds(d), f"{one_line(d.label)} ({d.score:.4g})") for d in detections)
