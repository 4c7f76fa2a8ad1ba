"""Detections of all videos as a cut list of OpenTimelineIO, which many video editors read and write."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, write_json
from untrimmed.interchange.marks import Marks, mark, marks_of, seconds
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, milliseconds, one_line, score_of

MILLISECONDS = 1000.0
"""The rate of times where a video's frame rate is not known."""


def write(results: Mapping[str, Sequence[Item]], path: str | Path, known: Known) -> None:
    """Write a timeline with one track, a clip per detection, in the order of video and time, one behind the other. A clip is called
    as its label; video, label and score stand in its metadata.

    Source: the schemas of OpenTimelineIO 0.17, https://opentimelineio.readthedocs.io.

    Raises:
        InputError: the file cannot be written.
    """
    clips = [_clip(item, known.of(video), Path(path)) for video, items in sorted(results.items()) for item in sorted(items)]
    track = {"OTIO_SCHEMA": "Track.1", **_named("detections"), "source_range": None, "kind": "Video", "children": clips}
    stack = {"OTIO_SCHEMA": "Stack.1", **_named("tracks"), "source_range": None, "children": [track]}
    timeline = {"OTIO_SCHEMA": "Timeline.1", **_named("untrimmed"), "global_start_time": None, "tracks": stack}
    write_json(path, timeline, indent=1)


def _named(name: str) -> dict[str, Any]:
    whole: dict[str, Any] = {"name": name, "metadata": {}}
    return whole if name == "untrimmed" else whole | {"effects": [], "markers": [], "enabled": True}


def _clip(item: Item, media: Media, path: Path) -> dict[str, Any]:
    rate = media.fps or MILLISECONDS
    start, end = milliseconds(item)
    first = round(start / 1000 * rate)
    count = max(round(end / 1000 * rate) - first, 1)
    whole = None if media.duration is None else _range(0, round(media.duration * rate), rate)
    reference = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "name": media.name,
        "metadata": {},
        "available_range": whole,
        "available_image_bounds": None,
        "target_url": media.name if media.file is None else media.file.absolute().as_uri(),
    }
    about = {"video": media.video, "label": item.label} | ({} if (score := score_of(item)) is None else {"score": score})
    return {
        "OTIO_SCHEMA": "Clip.2",
        **_named(one_line(item.label)),
        "metadata": {"untrimmed": about},
        "source_range": _range(first, count, rate),
        "media_references": {"DEFAULT_MEDIA": reference},
        "active_media_reference_key": "DEFAULT_MEDIA",
    }


def _range(start: int, count: int, rate: float) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": _time(start, rate), "duration": _time(count, rate)}


def _time(value: int, rate: float) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(value)}


def read(path: Path, known: Known) -> Marks:
    """Read every clip that names a file and a range of it, on whatever picture track: its label is the one in our metadata, or its
    name.

    Raises:
        InputError: it is no OpenTimelineIO file, or a clip has no label or range.
    """
    content = read_json(path)
    if not isinstance(content, dict) or "OTIO_SCHEMA" not in content:
        raise InputError(f"{path}: not an OpenTimelineIO file, which has an OTIO_SCHEMA")
    found = []
    for number, clip in enumerate(_clips(content), start=1):
        where = f"{path}: clip {number}"
        about = clip.get("metadata")
        about = about.get("untrimmed") if isinstance(about, dict) else None
        about = about if isinstance(about, dict) else {}
        span = clip.get("source_range")
        if not isinstance(span, dict):
            raise InputError(f"{where}: has no source_range")
        start, length = (_seconds(span.get(side), where) for side in ("start_time", "duration"))
        video = video_of(str(about.get("video") or unquote(_file(clip, where))), where)
        found.append((video, mark(start, start + length, about.get("label") or clip.get("name"), where)))
    return marks_of((), found)


def _clips(part: Any) -> Iterator[dict[str, Any]]:
    """All clips, in whatever stacks and tracks."""
    if isinstance(part, list):
        for one in part:
            yield from _clips(one)
    elif isinstance(part, dict):
        kind = str(part.get("OTIO_SCHEMA", "")).partition(".")[0]
        if kind == "Clip":
            yield part
        elif kind in ("Timeline", "Stack", "Track", "SerializableCollection") and part.get("kind") != "Audio":
            yield from _clips(part.get("tracks"))
            yield from _clips(part.get("children"))


def _file(clip: dict[str, Any], where: str) -> str:
    several = clip.get("media_references")
    active = str(clip.get("active_media_reference_key"))
    chosen = several.get(active) if isinstance(several, dict) else clip.get("media_reference")
    if not isinstance(chosen, dict) or not isinstance(chosen.get("target_url"), str):
        raise InputError(f"{where}: names no file of a video")
    return chosen["target_url"]


def _seconds(time: Any, where: str) -> float:
    value, rate = (seconds(time.get(part) if isinstance(time, dict) else None, where) for part in ("value", "rate"))
    if rate <= 0:
        raise InputError(f"{where}: a rate of {rate:g}")
    return value / rate
