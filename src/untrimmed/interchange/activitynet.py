"""The ActivityNet schema, without what only this program adds: detections as results, true segments as a database."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from untrimmed.console import note
from untrimmed.data.annotations import VideoTruth, read_detections, read_object, write_annotations
from untrimmed.data.corrections import read_corrections
from untrimmed.data.files import write_json
from untrimmed.data.types import Segment
from untrimmed.interchange.marks import Marks
from untrimmed.interchange.media import Known
from untrimmed.interchange.text import Item, score_of


def write(results: Mapping[str, Sequence[Item]], path: str | Path, known: Known) -> None:
    """Write a results file or, of true segments, an annotation file.

    Source: http://activity-net.org/challenges/2016/evaluation.html.

    Raises:
        InputError: the file cannot be written.
    """
    if known.truth:
        truth = {
            video: VideoTruth(None, known.of(video).duration, tuple(Segment(item.start, item.end, item.label) for item in items))
            for video, items in results.items()
        }
        write_annotations(path, truth, "untrimmed")
        return
    found = {
        video: [{"label": item.label, "score": score_of(item), "segment": [item.start, item.end]} for item in items]
        for video, items in results.items()
    }
    write_json(path, {"version": "VERSION 1.3", "results": found, "external_data": {"used": False, "details": ""}}, indent=1)


def read(path: Path, known: Known) -> Marks:
    """Read an annotation file, with the points and rejected segments of ours.

    Raises:
        InputError: as `read_corrections`.
    """
    return read_corrections(path)


def items_of(path: Path) -> tuple[dict[str, list[Item]], bool]:
    """What a file of detections or of annotations holds by video, and whether it is annotations: true segments.

    Raises:
        InputError: it is neither, or at fault.
    """
    content = read_object(path, "detections or of annotations")
    if not isinstance(content, dict) or "database" not in content or "results" in content:
        return {video: list(found) for video, found in read_detections(path).results.items()}, False
    marks = read_corrections(path)
    if count := sum(len(own.points) + len(own.rejected) for own in marks.values()):
        note(f"{path}: {count} point(s) and rejected segment(s) are left out; only segments are written")
    return {video: list(own.segments) for video, own in marks.items()}, True
