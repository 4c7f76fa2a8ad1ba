"""Detections as the temporal detections of FiftyOne: `labels.json` of a FiftyOneTemporalDetectionDataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from untrimmed.data.annotations import list_of
from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, write_json
from untrimmed.interchange.marks import Marks, mark, marks_of, seconds
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, score_of


def write(results: Mapping[str, Sequence[Item]], path: str | Path, known: Known) -> None:
    """Write the labels of all videos, with times in seconds; the videos go beside the file into `data/`.

    Source: https://docs.voxel51.com/user_guide/import_datasets.html, FiftyOneTemporalDetectionDataset.

    Raises:
        InputError: the file cannot be written.
    """
    classes = sorted({item.label for items in results.values() for item in items})
    labels = {}
    for video, items in sorted(results.items()):
        labels[video] = [
            {
                "label": classes.index(item.label),
                "timestamps": [item.start, item.end],
                **({} if (score := score_of(item)) is None else {"confidence": score}),
            }
            for item in sorted(items)
        ]
    write_json(path, {"classes": classes, "labels": labels}, indent=1)


def read(path: Path, known: Known) -> Marks:
    """Read labels with `timestamps` in seconds, or with `support`, which are frames counted from 1, both inside.

    Raises:
        InputError: it is not such a file, or has frames and their rate is not known.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("labels"), dict):
        raise InputError(f'{path}: expected "labels" by video, as FiftyOne exports temporal detections')
    classes = content.get("classes")
    videos, found = [], []
    for name, items in content["labels"].items():
        media = known.of(video_of(name, path))
        videos.append(media.video)
        for number, item in enumerate(list_of(items or [], f"{path}: video {media.video}"), start=1):
            where = f"{path}: video {media.video}, detection {number}"
            if not isinstance(item, dict):
                raise InputError(f"{where}: expected an object with a label and timestamps")
            label = item.get("label")
            if isinstance(label, int) and isinstance(classes, list) and 0 <= label < len(classes):
                label = classes[label]
            found.append((media.video, mark(*_times(item, media, where), label, where)))
    return marks_of(videos, found)


def _times(item: dict[str, Any], media: Media, where: str) -> tuple[float, float]:
    span = item.get("timestamps", item.get("support"))
    if not isinstance(span, list) or len(span) != 2:
        raise InputError(f"{where}: expected timestamps or support: [first, last]")
    first, last = (seconds(value, where) for value in span)
    return (first, last) if "timestamps" in item else ((first - 1) / media.rate(), last / media.rate())
