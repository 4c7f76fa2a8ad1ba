"""Detections as tasks of Label Studio, with `TimelineLabels`: a model's predictions, or true segments as annotations."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from untrimmed.console import note
from untrimmed.data.annotations import list_of
from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, write_json
from untrimmed.interchange.marks import Marks, mark, marks_of, seconds
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, frames_of, score_of

CONTROL, OBJECT = "videoLabels", "video"
"""The names of `TimelineLabels` and `Video` in the labeling configuration."""


def write(results: Mapping[str, Sequence[Item]], path: str | Path, known: Known) -> None:
    """Write a task per video: detections as its predictions, true segments as its annotation. Times are frames, counted from 1,
    both ends inside; `data.fps` is their rate.

    Source: the TimelineLabels tag, https://labelstud.io/tags/timelinelabels.

    Raises:
        InputError: a frame rate is not known, or the file cannot be written.
    """
    tasks = []
    for video, items in sorted(results.items()):
        media = known.of(video)
        regions = [_region(f"{number:08d}", item, media) for number, item in enumerate(sorted(items), start=1)]
        made = {"annotations": [{"result": regions}]} if known.truth else {"predictions": [_prediction(regions, items)]}
        tasks.append({"data": {"video": media.name, "fps": media.rate()}, **made})
    write_json(path, tasks, indent=1)


def _region(name: str, item: Item, media: Media) -> dict[str, Any]:
    first, behind = frames_of(item, media.rate())
    score = score_of(item)
    return {
        "id": name,
        "from_name": CONTROL,
        "to_name": OBJECT,
        "type": "timelinelabels",
        "value": {"ranges": [{"start": first + 1, "end": behind}], "timelinelabels": [item.label]},
        **({} if score is None else {"score": score}),
    }


def _prediction(regions: list[dict[str, Any]], items: Sequence[Item]) -> dict[str, Any]:
    scores = [score for item in items if (score := score_of(item)) is not None]
    return {"model_version": "untrimmed", "result": regions, **({"score": max(scores)} if scores else {})}


def read(path: Path, known: Known) -> Marks:
    """Read the last annotation of each task that was not cancelled. Tasks with predictions only, which nobody has looked at, are
    left out, and a note says how many.

    Raises:
        InputError: it is no export of Label Studio, no task is annotated, or a frame rate is not known.
    """
    tasks = read_json(path)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise InputError(f'{path}: expected a list of tasks, each with "data", as Label Studio exports them as JSON')
    videos, found, skipped = [], [], 0
    for number, task in enumerate(tasks, start=1):
        where = f"{path}: task {number}"
        made = list_of(task.get("annotations") or [], f"{where}: annotations")
        done = [one for one in made if isinstance(one, dict) and not one.get("was_cancelled")]
        if not done:
            skipped += 1
            continue
        media = _media(task, known, where)
        videos.append(media.video)
        for place, region in enumerate(list_of(done[-1].get("result") or [], f"{where}: result"), start=1):
            if isinstance(region, dict) and region.get("type") == "timelinelabels":
                found += _marks_of_region(region, media, f"{where}, region {place}")
    if skipped and not videos:
        raise InputError(f"{path}: no task is annotated; predictions are a model's, and nobody has confirmed them yet")
    if skipped:
        note(f"{path}: {skipped} task(s) have no annotation and were left out")
    return marks_of(videos, found)


def _media(task: dict[str, Any], known: Known, where: str) -> Media:
    """The task's video: the value called `video`, or the only text there is; its rate stands in the task, or is known."""
    data = task["data"]
    names = [data["video"]] if "video" in data else [value for value in data.values() if isinstance(value, str)]
    if len(names) != 1 or not isinstance(names[0], str):
        raise InputError(f'{where}: expected the video\'s file as "video" in its data')
    media = known.of(video_of(_file(names[0]), where))
    return media._replace(fps=seconds(data["fps"], f"{where}: fps")) if media.fps is None and "fps" in data else media


def _file(address: str) -> str:
    """The file's name in an address: of local files it stands behind `?d=`; before uploaded ones Label Studio puts eight digits."""
    name = unquote(address.partition("?d=")[2] or address.partition("?")[0])
    return re.sub(r"(?<=/)[0-9a-f]{8}-(?=[^/]+$)", "", name) if "/upload/" in name else name


def _marks_of_region(region: dict[str, Any], media: Media, where: str) -> list[tuple[str, Any]]:
    value = region.get("value")
    value = value if isinstance(value, dict) else {}
    ranges, labels = value.get("ranges"), value.get("timelinelabels")
    if not isinstance(ranges, list) or not isinstance(labels, list) or not labels:
        raise InputError(f'{where}: expected "ranges" and "timelinelabels"')
    marks = []
    for span in ranges:
        first, last = (seconds(span.get(side) if isinstance(span, dict) else None, where) for side in ("start", "end"))
        marks += [(media.video, mark((first - 1) / media.rate(), last / media.rate(), label, where)) for label in labels]
    return marks
