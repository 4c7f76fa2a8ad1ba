"""One video to features: the function that every engine calls, once per video."""

import time
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureWriter, Header, VideoEntry
from untrimmed.video.decode import Pictures
from untrimmed.video.extractors import make_extractor
from untrimmed.video.flow import flow_method, with_flow
from untrimmed.video.snippets import batches, windows

BATCH = 4  # windows handled together: enough for NumPy's cost per call to vanish, few enough to stay in the cache


@dataclass(frozen=True)
class Task:
    """What a worker needs to know of one video; all of it is JSON."""

    video: str
    path: str
    store: str
    extractor: str
    settings: dict[str, Any]
    flow: str


@dataclass
class Outcome:
    """What became of it: `fault` says why there are no features; `fatal` that no other video will fare better (a full disk)."""

    video: str
    path: str
    fault: str | None = None
    fatal: bool = False
    seconds: float = 0.0
    media_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def header_of(extractor: str, settings: dict[str, Any] | None, flow: str) -> Header:
    """The header of a store that is made with these settings; flow is one of them where the extractor needs it.

    Raises:
        InputError: an unknown extractor, setting or flow, or a value that is not allowed.
    """
    made = make_extractor(extractor, settings)
    if made.needs_flow:
        flow_method(flow)
    config = made.config
    all_settings = {**asdict(config), "flow": flow} if made.needs_flow else asdict(config)
    return Header(extractor, all_settings, config.frames / config.fps, config.stride / config.fps, dict(made.streams))


def extract_video(task: Task) -> Outcome:
    """Extract one video into the store. A fault of the video or of the disk is in the outcome, not raised."""
    began = time.perf_counter()
    outcome = Outcome(task.video, task.path)
    try:
        cv2.setNumThreads(1)
        writer = _writer(task.store, task.extractor, tuple(task.settings.items()), task.flow)
        features, entry, outcome.notes = features_of(task.path, make_extractor(task.extractor, task.settings), task.flow)
        outcome.media_seconds = entry.duration
    except InputError as error:
        outcome.fault = str(error)
    except Exception as error:  # a decoder's surprise must not stop the other videos
        outcome.fault = f"{task.path}: {type(error).__name__}: {error}"
    else:
        try:
            writer.write(task.video, features, entry)
        except InputError as error:
            outcome.fault, outcome.fatal = str(error), True
    outcome.seconds = time.perf_counter() - began
    return outcome


def features_of(path: str | Path, extractor: Any, flow: str) -> tuple[dict[str, np.ndarray], VideoEntry, list[str]]:
    """The features of one video, float16 `[T, D]` per stream, with what the store notes of it and notes for the person.

    Raises:
        InputError: the file is not a video or nothing of it can be decoded.
    """
    config = extractor.config
    stat = Path(path).stat() if Path(path).exists() else None
    pictures = Pictures(path, config.fps, extractor.frame_size)
    stream = with_flow(pictures, flow) if extractor.needs_flow else ((picture, None) for picture in pictures)
    rows: dict[str, list[np.ndarray]] = {name: [] for name in extractor.streams}
    for frames, flows in batches(windows(stream, config.frames, config.stride), BATCH):
        for name, values in extractor(frames, flows).items():
            rows[name].append(values.astype(np.float16))
    features = {name: np.concatenate(parts) for name, parts in rows.items()}
    source = {
        "path": str(Path(path).absolute()),
        "size": stat.st_size if stat else 0,
        "mtime_ns": stat.st_mtime_ns if stat else 0,
        "offset": round(pictures.offset, 6),
        "decoded_share": None if pictures.decoded_share is None else round(pictures.decoded_share, 4),
    }
    notes = []
    if pictures.decoded_share is not None and pictures.decoded_share < 0.95:
        notes.append(
            f"{path}: cut off or damaged: the {pictures.duration - pictures.start:.1f} s that can be decoded are used, "
            f"{pictures.decoded_share:.0%} of its declared length"
        )
    elif pictures.faults:
        notes.append(f"{path}: {pictures.faults} packets could not be decoded and are left out")
    count = len(next(iter(features.values())))
    return features, VideoEntry(count, pictures.duration, pictures.start, source=source), notes


@lru_cache(maxsize=4)
def _writer(store: str, extractor: str, settings: tuple, flow: str) -> FeatureWriter:
    return FeatureWriter(store, header_of(extractor, dict(settings), flow))
