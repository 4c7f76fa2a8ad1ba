"""Cut a stream of frames into windows of equal length."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Item = tuple[np.ndarray, np.ndarray | None]
"""A frame, uint8 `[H, W, 3]`, and the flow from the previous one, float32 `[H, W, 2]`, or None."""


def windows(stream: Iterable[Item], frames: int, stride: int) -> Iterator[list[Item]]:
    """Windows of `frames` frames, one every `stride`, until one reaches the end of the video.

    The last window repeats the last frame (with zero flow) where the video ends within it; a video shorter than one window is
    one window. Only one window is in memory at a time.
    """
    window: list[Item] = []
    skip = 0  # frames between two windows, where stride > frames
    covered = True  # whether the last whole window ended with the last frame
    for item in stream:
        if skip:
            skip -= 1
            continue
        window.append(item)
        covered = False
        if len(window) == frames:
            yield window
            skip = max(0, stride - frames)
            window = window[stride:]
            covered = True
    if not covered:
        frame, flow = window[-1]
        still = None if flow is None else np.zeros_like(flow)
        yield window + [(frame, still)] * (frames - len(window))


def batches(snippets: Iterable[list[Item]], size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Up to `size` windows at a time, stacked: uint8 `[B, F, H, W, 3]` and float32 `[B, F, H, W, 2]` or None."""
    batch: list[list[Item]] = []
    for snippet in snippets:
        batch.append(snippet)
        if len(batch) == size:
            yield _stacked(batch)
            batch = []
    if batch:
        yield _stacked(batch)


def _stacked(batch: list[list[Item]]) -> tuple[np.ndarray, np.ndarray | None]:
    items = [item for snippet in batch for item in snippet]
    frames = np.stack([frame for frame, _ in items])
    flows = [flow for _, flow in items if flow is not None]
    shape = len(batch), len(batch[0])
    stacked = np.stack(flows).reshape(*shape, *flows[0].shape) if flows else None
    return frames.reshape(*shape, *frames.shape[1:]), stacked


def ahead(items: Iterable[T], count: int = 2) -> Iterator[T]:
    """The items, prefetched by another thread up to `count` ahead; its exceptions are raised here."""
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(count)
    stopping = threading.Event()

    def make() -> None:
        last: BaseException | None = None
        try:
            for item in items:
                _put(ready, (True, item), stopping)
                if stopping.is_set():
                    return
        except BaseException as error:
            last = error
        _put(ready, (False, last), stopping)

    maker = threading.Thread(target=make, daemon=True)
    maker.start()
    try:
        while True:
            more, item = ready.get()
            if not more:
                if item is not None:
                    raise item  # type: ignore[misc]
                return
            yield item  # type: ignore[misc]
    finally:
        stopping.set()
        maker.join()


def _put(ready: queue.Queue, item: object, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            return ready.put(item, timeout=0.1)
        except queue.Full:
            continue
