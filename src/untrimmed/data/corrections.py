"""What a person has marked in training videos: segments, points, rejected segments, and which videos are done.

The file is ActivityNet's annotations with three more fields per video, so that it is also read wherever those are:

    {"database": {"match_01": {
        "annotations": [{"segment": [12.0, 15.5], "label": "goal"}],
        "points":      [{"time": 71.2, "label": "goal"}],
        "rejected":    [{"segment": [40.0, 43.0], "label": "goal"}],
        "checked":     true}}}

`checked` says that nothing is missing: what is not marked is background. It is true where it is left out and the video has neither
points nor rejected segments, as in a plain annotation file. Beside "database", "new_labels" lists those that the run does not know
and a student is to learn; any other label that it does not know is taken for a slip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from untrimmed.data.annotations import label_of, list_of, mapping_of, number_of, read_object, times_of
from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, shown
from untrimmed.data.ids import check_id
from untrimmed.data.types import Segment, Timeline

NEW_LABELS = "new_labels"


class Point(NamedTuple):
    """A moment inside an action, in seconds."""

    time: float
    label: str


@dataclass(frozen=True)
class Corrections:
    """What is marked in one video.

    segments: true segments. points: a moment inside each of some actions. rejected: segments that do not show their label.
    checked: whether nothing else happens: with segments alone, all that is not in one is background; with points, all actions have
        a segment or a point.
    """

    segments: tuple[Segment, ...] = ()
    points: tuple[Point, ...] = ()
    rejected: tuple[Segment, ...] = ()
    checked: bool = False

    @property
    def labels(self) -> set[str]:
        """What surely happens in the video."""
        return {segment.label for segment in self.segments} | {point.label for point in self.points}


def read_corrections(path: str | Path) -> dict[str, Corrections]:
    """What is marked in each video of a file; a video in which nothing is, and which is not checked, is left out.

    Raises:
        InputError: the file cannot be read, has no "database", or a mark has no label or no finite time; video and mark are named.
    """
    path = Path(path)
    videos: dict[str, Corrections] = {}
    for name, entry in mapping_of(read_object(path, "annotations, with the segments of each video"), "database", path).items():
        video = check_id(name, path)
        if video in videos:
            raise InputError(f"{path}: the video {video!r} stands there twice")
        marks = corrections_of(entry, f"{path}: video {video}")
        if marks != Corrections():  # a person has only looked at it, or written a note
            videos[video] = marks
    return videos


def read_new_labels(path: str | Path) -> tuple[str, ...]:
    """The labels that a file of marks adds to the run's, sorted.

    Raises:
        InputError: the file cannot be read, or one is no label.
    """
    return tuple(sorted(new_labels_of(read_json(path), path)))


def new_labels_of(content: Any, path: str | Path) -> list[str]:
    """The same of a file's content, in its order."""
    listed = list_of(content.get(NEW_LABELS, []), f"{path}: {NEW_LABELS}") if isinstance(content, dict) else []
    return list(dict.fromkeys(label_of({"label": label}, f"{path}: {NEW_LABELS}") for label in listed))


def corrections_of(entry: Any, where: str) -> Corrections:
    """What one video's entry says; `where` begins the message.

    Raises:
        InputError: see `read_corrections`.
    """
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected an object with 'annotations', found {type(entry).__name__}")
    points = tuple(
        Point(number_of(item.get("time") if isinstance(item, dict) else None, f"{place}: time"), label_of(item, place))
        for item, place in _items(entry, "points", where)
    )
    segments, rejected = (
        tuple(Segment(*times_of(item, place), label_of(item, place)) for item, place in _items(entry, key, where))
        for key in ("annotations", "rejected")
    )
    checked = entry.get("checked", "points" not in entry and "rejected" not in entry)
    if not isinstance(checked, bool):
        raise InputError(f"{where}: checked: expected true or false, found {shown(checked)}")
    return Corrections(segments, points, rejected, checked)


def entry_of(marks: Corrections) -> dict[str, Any]:
    """The entry that says what is marked in a video, in order of time."""
    return {
        "annotations": [{"segment": [s.start, s.end], "label": s.label} for s in sorted(marks.segments)],
        "points": [{"time": p.time, "label": p.label} for p in sorted(marks.points)],
        "rejected": [{"segment": [s.start, s.end], "label": s.label} for s in sorted(marks.rejected)],
        "checked": marks.checked,
    }


def _items(entry: Mapping[str, Any], key: str, where: str) -> list[tuple[Any, str]]:
    items = list_of(entry.get(key, []), f"{where}: {key}")
    return [(item, f"{where}, {key} {place + 1}") for place, item in enumerate(items)]


def known_snippets(marks: Corrections, timeline: Timeline, classes: tuple[str, ...]) -> np.ndarray:
    """What is known of a video's snippets: float32 [T, C + 1], how much each shows each class and background (last); a row of
    zeros is not known.

    A snippet belongs to a segment that its middle lies in; in several of them it is shared out evenly. A point is known of the
    snippet that holds it. A rejected segment is background where nothing else is marked.
    """
    place = {label: c for c, label in enumerate(classes)}
    middle = (timeline.edges[:-1] + timeline.edges[1:]) / 2
    known = np.zeros((timeline.count, len(classes) + 1), dtype=np.float32)
    for segment in marks.segments:
        inside = (middle >= segment.start) & (middle < segment.end)
        if not inside.any():  # shorter than a snippet: the one that holds it
            inside[_snippet_at((segment.start + segment.end) / 2, timeline)] = True
        known[inside, place[segment.label]] = 1
    for point in marks.points:
        known[_snippet_at(point.time, timeline), place[point.label]] = 1
    nothing = known.sum(1) == 0
    for segment in marks.rejected:
        known[nothing & (middle >= segment.start) & (middle < segment.end), -1] = 1
    if marks.checked and not marks.points:
        known[nothing, -1] = 1
    return known / np.maximum(known.sum(1, keepdims=True), 1)


def _snippet_at(time: float, timeline: Timeline) -> int:
    return int(np.clip(np.floor((time - timeline.start) / timeline.step), 0, timeline.count - 1))
