"""Labels and times as other programs want them: one line of text, clocks, whole milliseconds, tiers that do not overlap."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from untrimmed.data.types import Detection, Segment

Item = Detection | Segment
"""What is written: a found segment with its score, or a true one without."""

_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
_SCORE = re.compile(rf" \({_NUMBER.pattern}\)$")
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?)")


def one_line(text: str) -> str:
    """The text on one line, without characters that neither XML nor a subtitle may hold (controls, surrogates, non-characters)."""
    spaced = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    kept = "".join(c for c in spaced if unicodedata.category(c) != "Cs" and (ord(c) & 0xFFFE) != 0xFFFE)
    return " ".join(kept.split()) or "unnamed"


def milliseconds(item: Item) -> tuple[int, int]:
    """Start and end in whole milliseconds, not before the video's beginning, and at least one millisecond apart: players and
    annotation programs refuse a stretch without length."""
    start = max(round(item.start * 1000), 0)
    return start, max(round(item.end * 1000), start + 1)


def frames_of(item: Item, fps: float) -> tuple[int, int]:
    """First frame and the frame after the last, counted from 0; at least one frame."""
    first = max(round(item.start * fps), 0)
    return first, max(round(item.end * fps), first + 1)


def clock(time: int, point: str) -> str:
    """Milliseconds as HH:MM:SS.mmm, with `point` before the milliseconds; more than 99 hours simply take more digits."""
    seconds, thousandths = divmod(time, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{thousandths:03d}"


def short_clock(seconds: float) -> str:
    """Whole seconds as h:mm:ss, as a player shows a moment."""
    whole = max(int(seconds), 0)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def parse_clock(text: str) -> float | None:
    """Seconds of `[[h:]m:]s[.mmm]`, with a point or a comma; None where it is not of this form."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds.replace(",", "."))


def score_of(item: Item) -> float | None:
    """A detection's score; None for a true segment."""
    return item.score if isinstance(item, Detection) else None


def score_text(item: Item) -> str:
    """The score with four significant digits; nothing for a true segment."""
    score = score_of(item)
    return "" if score is None else f"{score:.4g}"


def caption(item: Item) -> str:
    """`label (score)`; of a true segment the label alone, unless that itself ends like a score."""
    label = one_line(item.label)
    if isinstance(item, Detection):
        return f"{label} ({item.score:.4g})"
    return f"{label} (1)" if _SCORE.search(label) else label


def label_of_caption(text: str) -> str:
    """The label of a `caption`."""
    text = one_line(text)
    return _SCORE.sub("", text, count=1) or text


def label_on_tier(value: str, tier: str, tiers: Iterable[str]) -> str:
    """The label of an annotation on a tier: what it says; or, where it says nothing or only a score, the tier's name, without the
    number of a further tier (`goal (2)` where there is a tier `goal`)."""
    value = value.strip()
    if value and not _NUMBER.fullmatch(value):
        return one_line(value)
    base = re.sub(r" \(\d+\)$", "", tier)
    return one_line(base if base in tiers else tier)


class Placed(NamedTuple):
    """An item on a tier, in milliseconds; the score is text, empty for a true segment."""

    start: int
    end: int
    label: str
    score: str


def tiers_of(items: Iterable[Item]) -> dict[str, list[Placed]]:
    """The items by tier, none overlapping within a tier: each goes to its label's first tier that is free again, `label`,
    `label (2)`, ..."""
    by_label = defaultdict(list)
    for item in items:
        label = one_line(item.label)
        by_label[label].append(Placed(*milliseconds(item), label, score_text(item)))
    tiers: dict[str, list[Placed]] = {label: [] for label in sorted(by_label)}
    for label, spans in sorted(by_label.items()):
        names = [label]
        for span in sorted(spans):
            free = [name for name in names if not tiers[name] or tiers[name][-1].end <= span.start]
            if not free:
                number = len(names) + 1
                while (name := f"{label} ({number})") in tiers:
                    number += 1
                names.append(name)
                free, tiers[name] = [name], []
            tiers[free[0]].append(span)
    return dict(sorted(tiers.items()))


def text_on_tier(item: Placed, tier: str, tiers: Iterable[str]) -> str:
    """What is written on a tier: the score; or the label, where it could not be told from the tier's name (see `label_on_tier`)."""
    return item.score if label_on_tier(item.score, tier, tiers) == item.label else item.label


def cues(items: Iterable[Item]) -> list[tuple[int, int, str]]:
    """Items as subtitle cues in the order of their start: start and end in milliseconds, and the caption."""
    return sorted((*milliseconds(item), caption(item)) for item in items)
