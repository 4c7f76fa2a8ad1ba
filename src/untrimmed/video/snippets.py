"""Cut a stream of pictures into windows of equal length."""

from collections.abc import Iterable, Iterator

import numpy as np


def windows(
    pictures: Iterable[tuple[np.ndarray, np.ndarray | None]], frames: int, stride: int
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Windows of `frames` pictures, one beginning every `stride`, until one reaches the end of the video.

    The last window repeats the last picture (with zero flow) where the video ends within it; a video shorter than one window is
    one window. Only one window is held at a time.

    Args:
        pictures: (picture uint8 `[H, W, 3]`, flow float32 `[H, W, 2]` or None) in order.

    Yields:
        (uint8 `[frames, H, W, 3]`, float32 `[frames, H, W, 2]` or None).
    """
    window: list[tuple[np.ndarray, np.ndarray | None]] = []
    skip = 0  # pictures between two windows, where stride > frames
    reached = True  # whether the last full window ended with the last picture
    for item in pictures:
        if skip:
            skip -= 1
            continue
        window.append(item)
        reached = False
        if len(window) == frames:
            yield _stacked(window)
            skip = max(0, stride - frames)
            window = window[stride:]
            reached = True
    if window and not reached:
        picture, flow = window[-1]
        still = None if flow is None else np.zeros_like(flow)
        window += [(picture, still)] * (frames - len(window))
        yield _stacked(window)


def batches(snippets: Iterable[tuple[np.ndarray, np.ndarray | None]], size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Up to `size` windows at a time, stacked: uint8 `[B, F, H, W, 3]` and float32 `[B, F, H, W, 2]` or None."""
    batch: list[tuple[np.ndarray, np.ndarray | None]] = []
    for snippet in snippets:
        batch.append(snippet)
        if len(batch) == size:
            yield _stacked(batch)
            batch = []
    if batch:
        yield _stacked(batch)


def _stacked(items: list[tuple[np.ndarray, np.ndarray | None]]) -> tuple[np.ndarray, np.ndarray | None]:
    flows = [flow for _, flow in items if flow is not None]
    return np.stack([picture for picture, _ in items]), np.stack(flows) if flows else None
