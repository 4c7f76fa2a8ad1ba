"""Dense optical flow between two frames, by one of three published algorithms as OpenCV implements them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import cv2
import numpy as np

from untrimmed.data.errors import InputError

opencv: Any = cv2  # its type stubs lack these functions

FLOWS = ("dis", "farneback", "tvl1")

# Decoding and flow evict each other from the processor's caches, so they alternate in blocks of frames: a sixth less time.
IN_TURN = 32


def flow_method(name: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function `(before, after) -> flow` of two uint8 grey frames `[H, W]`: float32 `[H, W, 2]`, displacement (x, y) in pixels.

    dis: dense inverse search, medium preset (Kroeger et al., ECCV 2016): accurate enough and by far the fastest. farneback:
    polynomial expansion (Farneback, SCIA 2003). tvl1: duality-based TV-L1 (Zach et al., DAGM 2007), that of the I3D papers.

    Raises:
        InputError: there is no such method.
    """
    if name == "dis":
        dis = opencv.DISOpticalFlow_create(opencv.DISOPTICAL_FLOW_PRESET_MEDIUM)
        return lambda before, after: dis.calc(before, after, None)
    if name == "farneback":
        return lambda before, after: opencv.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    if name == "tvl1":
        tvl1 = opencv.optflow.DualTVL1OpticalFlow_create()
        return lambda before, after: tvl1.calc(before, after, None)
    raise InputError(f"flow: there is no {name!r}, only {', '.join(FLOWS)}")


def with_flow(frames: Iterable[np.ndarray], method: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each frame with the flow from the previous one: zero for the first, and for one that is only shown again."""
    flow_between = flow_method(method)
    before = grey_before = None
    still: Any = None
    coming = iter(frames)
    while block := list(islice(coming, IN_TURN)):
        for frame in block:
            if frame is before:
                yield frame, still
                continue
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            if still is None:
                still = np.zeros((*grey.shape, 2), np.float32)
            yield frame, still if grey_before is None else flow_between(grey_before, grey)
            before, grey_before = frame, grey
