"""One video to features."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureWriter, Header, VideoEntry
from untrimmed.engine.progress import tell
from untrimmed.stages import Counts, add, stage, take, timed
from untrimmed.video.decode import Frames, VideoError
from untrimmed.video.extractors import make_extractor
from untrimmed.video.flow import flow_method, with_flow
from untrimmed.video.snippets import ahead, batches, windows

BATCH = 4  # windows handled together: enough for NumPy's cost per call to vanish, few enough to stay in the cache


@dataclass(frozen=True)
class Task:
    """What a worker needs to know of one video; plain values."""

    video: str
    path: str
    store: str
    extractor: str
    settings: dict[str, Any]
    flow: str
    device: str = "cpu"
    threads: int = 1


@dataclass
class Outcome:
    """What became of it: `fault` says why there are no features; `fatal` that no other video will fare better (a full disk)."""

    video: str
    path: str
    fault: str | None = None
    fatal: bool = False
    seconds: float = 0.0
    media_seconds: float = 0.0
    frames: int = 0
    notes: list[str] = field(default_factory=list)
    stages: Counts = field(default_factory=dict)


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
    window, stride = config.frames / config.fps, config.stride / config.fps
    return Header(made.name, all_settings, window, stride, dict(made.streams), getattr(made, "weights_sha256", None))


def extract_video(task: Task, under_way: Callable[[float], None] = lambda share: None) -> Outcome:
    """Extract one video into the store. A fault of the video or of the disk is in the outcome, not raised.

    `under_way` is called repeatedly with the share of the video that is done, 0..1.
    """
    began = time.perf_counter()
    outcome = Outcome(task.video, task.path)
    cv2.setNumThreads(1)
    try:
        settings = json.dumps(task.settings)
        source = VideoFeatures(task.path, _extractor(task.extractor, settings, task.device, task.threads), task.flow)
        writer = _writer(task.store, task.extractor, settings, task.flow)
        with writer.adding(task.video, dict.fromkeys(writer.header.streams, np.float16)) as rows:
            for features in source:
                with stage("write", size=sum(2 * array.size for array in features.values())):
                    rows.append(features)
                under_way(source.frames.share)
            rows.entry = source.entry()
        outcome.media_seconds = rows.entry.duration
        outcome.frames = source.frames.shown
        outcome.notes = source.notes()
    except VideoError as error:
        outcome.fault = str(error)
    except InputError as error:
        outcome.fault, outcome.fatal = str(error), True
    except Exception as error:  # what surprises the decoder or the extractor in one video must not stop the others
        outcome.fault = f"{task.path}: {type(error).__name__}: {error}"
    outcome.seconds = time.perf_counter() - began
    outcome.stages = take()
    return outcome


def extract_one(_: None, task: Task) -> Outcome:
    """What every engine calls, once per video: `extract_video`, telling how far it is."""
    return extract_video(task, tell)


class VideoFeatures:
    """The features of one video: iterate once for `{stream: float32 [B, D]}`, a few snippets at a time, then ask the rest.

    Raises:
        VideoError: the file is not a video or nothing of it can be decoded.
    """

    def __init__(self, path: str | Path, extractor: Any, flow: str) -> None:
        self.path, self.extractor, self.flow = Path(path), extractor, flow
        size = getattr(extractor, "frame_size", None) or partial(_longer_side, getattr(extractor.config, "size", None))
        self.frames = Frames(path, extractor.config.fps, size)
        self.snippets = 0

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        self.stat = self.path.stat() if self.path.exists() else None  # before it is read: a change meanwhile then shows
        config = self.extractor.config
        stream: Iterable[tuple[np.ndarray, np.ndarray | None]]
        add("decode", size=self.stat.st_size if self.stat else 0)
        frames = timed("decode", self.frames)
        if self.extractor.needs_flow:
            stream = timed("flow", with_flow(frames, self.flow))
        else:
            stream = ((frame, None) for frame in frames)
        together = batches(windows(stream, config.frames, config.stride), getattr(self.extractor, "batch", BATCH))
        if getattr(self.extractor, "device", "cpu") != "cpu":
            together = ahead(together)  # decoding goes on while the GPU computes
        for shown, flow in together:
            self.snippets += len(shown)
            with stage("features", pictures=len(shown) * (getattr(self.extractor, "pictures", None) or shown.shape[1])):
                found = self.extractor(shown, flow)
            yield found

    def entry(self) -> VideoEntry:
        """What the store keeps of the video."""
        share = self.frames.decoded_share
        source = {
            "path": str(self.path.absolute()),
            "size": self.stat.st_size if self.stat else None,
            "mtime_ns": self.stat.st_mtime_ns if self.stat else None,
            "offset": round(self.frames.offset, 6),
            "decoded_share": None if share is None else round(share, 4),
        }
        return VideoEntry(self.snippets, self.frames.duration, self.frames.start, source=source)

    def _has_changed(self) -> bool:
        try:
            now = self.path.stat()
        except OSError:
            return True
        return self.stat is not None and (now.st_size, now.st_mtime_ns) != (self.stat.st_size, self.stat.st_mtime_ns)

    def notes(self) -> list[str]:
        """What the person should know of the video."""
        share = self.frames.decoded_share
        seconds = self.frames.duration - self.frames.start
        if self._has_changed():
            return [f"{self.path}: has changed while it was read; the next extraction does it again"]
        if share is not None and share < 0.95:
            used = f"{seconds:.1f} s, {share:.0%} of its declared length, can be decoded and are used"
            return [f"{self.path}: truncated or damaged: {used}"]
        if self.frames.faults:
            return [f"{self.path}: {self.frames.faults} packets could not be decoded and are left out"]
        return []


def _longer_side(size: int | None, width: int, height: int) -> tuple[int, int]:
    scale = 1.0 if size is None else size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


@lru_cache(maxsize=1)
def _extractor(name: str, settings: str, device: str, threads: int) -> Any:
    """One extractor for all videos of a worker: its weights are read once."""
    made = make_extractor(name, json.loads(settings), device)
    if hasattr(made, "threads"):
        made.threads = threads
    return made


@lru_cache(maxsize=4)
def _writer(store: str, extractor: str, settings: str, flow: str) -> FeatureWriter:
    return FeatureWriter(store, header_of(extractor, json.loads(settings), flow))
