"""The ActivityNet files: true segments of each video (annotations) and found ones (detections)."""

import math
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, shown, write_json
from untrimmed.data.ids import check_id
from untrimmed.data.labels import LONGEST_LABEL
from untrimmed.data.types import Detection, Results, Segment

LATEST = 1e10
"""Seconds: no video is longer, and no other program can write such a time."""

AMBIGUOUS = "Ambiguous"
"""The label of segments of which no one can say whether an action is in them, as THUMOS'14 has it. It is never a class."""


@dataclass(frozen=True)
class VideoTruth:
    """What is true of one video: its subset, its duration in seconds (None where the file does not say) and its segments.

    ambiguous: the segments labelled `Ambiguous`, apart; only the protocols `thumos14` and `wtalc` look at them.
    """

    subset: str | None
    duration: float | None
    segments: tuple[Segment, ...]
    ambiguous: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Annotations:
    """An annotation file: the truth by video, and notes about what was odd but harmless in it."""

    path: Path
    videos: dict[str, VideoTruth]
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """All labels of the whole file but `Ambiguous`, sorted, whatever the subset."""
        return tuple(sorted({segment.label for truth in self.videos.values() for segment in truth.segments}))

    @property
    def subsets(self) -> dict[str, int]:
        """Number of videos in each subset."""
        return dict(Counter(truth.subset for truth in self.videos.values() if truth.subset is not None))

    def subset(self, name: str | None) -> dict[str, VideoTruth]:
        """The videos of one subset, or all of them for None.

        Raises:
            InputError: no video has that subset; the ones that exist are listed.
        """
        if name is None:
            return dict(self.videos)
        chosen = {video: truth for video, truth in self.videos.items() if truth.subset == name}
        if not chosen:
            subsets = ", ".join(f"{subset} ({count} videos)" for subset, count in sorted(self.subsets.items()))
            raise InputError(f"{self.path}: no video is in the subset {name!r}; there is {subsets or 'no subset at all'}")
        return chosen


@dataclass(frozen=True)
class DetectionFile:
    """A detections file: results by video, and the fields under its "untrimmed" key (empty for other programs' files)."""

    path: Path
    results: Results
    untrimmed: dict[str, Any] = field(default_factory=dict)


def read_annotations(path: str | Path) -> Annotations:
    """Read an ActivityNet-style annotation file.

    Times may be numbers or numeric strings; `duration`, `version` and `taxonomy` may be missing. Truth of no length, or
    beyond the video's duration, is kept as it is and counted in a note. Segments labelled `Ambiguous` are kept apart.

    Raises:
        InputError: the file cannot be read, has no "database", a segment ends before it starts or has a time that is not
            finite, or a duration is below zero; the message names the video and the segment.
    """
    annotations, faults = scan_annotations(path)
    if faults:
        more = f" ({len(faults) - 1} more fault(s))" if len(faults) > 1 else ""
        raise InputError(faults[0] + more)
    return annotations


def scan_annotations(path: str | Path) -> tuple[Annotations, list[str]]:
    """Like `read_annotations`, but returns what could be read and every fault, one line each.

    Raises:
        InputError: the file cannot be read at all, or has no "database".
    """
    path = Path(path)
    videos: dict[str, VideoTruth] = {}
    faults: list[str] = []
    instants = beyond = 0
    for name, entry in mapping_of(read_object(path, "annotations, with the segments of each video"), "database", path).items():
        try:
            video = _new_id(name, videos, path)
            if not isinstance(entry, dict):
                raise InputError(f"{path}: video {video}: expected an object with 'annotations', found {type(entry).__name__}")
            duration = entry.get("duration")
            if duration is not None:
                duration = number_of(duration, f"{path}: video {video}: duration")
                if duration < 0:
                    raise InputError(f"{path}: video {video}: duration: {duration:g} s; expected seconds, or no duration at all")
            items = list_of(entry.get("annotations", []), f"{path}: video {video}: annotations")
        except InputError as error:
            faults.append(str(error))
            continue
        segments = []
        for place, item in enumerate(items):
            where = f"{path}: video {video}, annotation {place + 1}"
            try:
                start, end = times_of(item, where)
                segments.append(Segment(start, end, label_of(item, where)))
            except InputError as error:
                faults.append(str(error))
                continue
            instants += end == start
            beyond += duration is not None and end > duration + 1e-6
        subset = entry.get("subset")
        videos[video] = VideoTruth(
            None if subset is None else str(subset),
            duration,
            tuple(segment for segment in segments if segment.label != AMBIGUOUS),
            tuple(segment for segment in segments if segment.label == AMBIGUOUS),
        )
    notes = []
    if instants:
        notes.append(f"{path}: {instants} true segment(s) have no length; only a detection of the very same instant can match them")
    if beyond:
        notes.append(f"{path}: {beyond} true segment(s) end after their video does; kept as they are")
    return Annotations(path, videos, tuple(notes)), faults


def write_annotations(path: str | Path, videos: dict[str, VideoTruth], version: str) -> None:
    """Write truth in the ActivityNet schema."""
    database = {
        video: {
            "subset": truth.subset,
            "duration": truth.duration,
            "annotations": [{"segment": [s.start, s.end], "label": s.label} for s in truth.segments + truth.ambiguous],
        }
        for video, truth in videos.items()
    }
    write_json(path, {"version": version, "taxonomy": [], "database": database}, indent=1)


def read_detections(path: str | Path) -> DetectionFile:
    """Read an ActivityNet-style detections file.

    Raises:
        InputError: the file cannot be read, has no "results", or a detection ends before it starts, has no finite time or
            score, or no label; the message names the video and the detection.
    """
    path = Path(path)
    content = read_object(path, "detections, as `untrimmed localize` writes it")
    results: Results = {}
    for name, items in mapping_of(content, "results", path).items():
        video = _new_id(name, results, path)
        detections = []
        for place, item in enumerate(list_of(items, f"{path}: video {video}")):
            where = f"{path}: video {video}, detection {place + 1}"
            start, end = times_of(item, where)
            detections.append(Detection(start, end, label_of(item, where), number_of(item.get("score"), f"{where}: score")))
        results[video] = detections
    ours = content.get("untrimmed")
    return DetectionFile(path, results, ours if isinstance(ours, dict) else {})


def write_detections(path: str | Path, results: Results, untrimmed: dict[str, Any]) -> None:
    """Write detections in the ActivityNet schema, with all the fields that the official evaluator wants, and ours.

    `untrimmed` holds `run`, `method`, `selection`, and `clusters` for an unsupervised run.
    """
    write_json(
        path,
        {
            "version": "VERSION 1.3",
            "results": {
                video: [{"label": d.label, "score": d.score, "segment": [d.start, d.end]} for d in detections]
                for video, detections in results.items()
            },
            "external_data": {"used": False, "details": ""},
            "untrimmed": untrimmed,
        },
        indent=1,
    )


def mapping_of(content: Any, key: str, path: Path) -> dict[str, Any]:
    if not isinstance(content, dict) or not isinstance(content.get(key), dict):
        other = {"database": "results", "results": "database"}[key]
        swapped = isinstance(content, dict) and other in content
        kind = {"database": "annotations", "results": "detections"}
        hint = f"; this looks like a file of {kind[other]}" if swapped else ""
        raise InputError(f'{path}: a file of {kind[key]} needs the key "{key}" with one entry per video{hint}')
    return content[key]


def read_object(path: Path, what: str) -> Any:
    """A JSON file of `what`; a folder or a table in its place is told for what it is."""
    try:
        return read_json(path)
    except InputError as error:
        if path.is_dir() or (path.is_file() and path.suffix.lower() in (".csv", ".tsv")):
            kind = "folder" if path.is_dir() else "table"
            raise InputError(f"{path}: a {kind}; expected a JSON file of {what}") from error
        raise


def _new_id(name: str, known: dict[str, Any], path: Path) -> str:
    video = check_id(name, path)
    if video in known:
        raise InputError(f"{path}: the video {video!r} stands there twice")
    return video


def list_of(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where}: expected a list, found {type(value).__name__}")
    return value


def number_of(value: Any, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected a number, found {shown(value)}") from None
    if not math.isfinite(number):
        raise InputError(f"{where}: {str(value)[:40]} is not finite")
    return number


def times_of(item: Any, where: str) -> tuple[float, float]:
    segment = item.get("segment") if isinstance(item, dict) else None
    if not isinstance(segment, list | tuple) or len(segment) != 2:
        raise InputError(f'{where}: expected "segment": [start, end] in seconds')
    start, end = (number_of(value, f"{where}: segment") for value in segment)
    if end < start:
        raise InputError(f"{where}: the segment ends ({end:g} s) before it starts ({start:g} s)")
    if max(-start, end) > LATEST:
        raise InputError(f"{where}: expected seconds, found {start:g} to {end:g}, which is more than three hundred years")
    return start, end


def label_of(item: dict[str, Any], where: str) -> str:
    label = item.get("label")
    if not isinstance(label, str) or not label.strip():
        raise InputError(f'{where}: expected a "label"')
    if len(label) > LONGEST_LABEL:
        raise InputError(f"{where}: a label of {len(label)} characters; expected at most {LONGEST_LABEL}")
    return unicodedata.normalize("NFC", label.strip())
