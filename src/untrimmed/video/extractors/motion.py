"""`motion`: two streams of hand-made features that need no weights.

rgb:  what is seen: histograms of oriented gradients (Dalal & Triggs, CVPR 2005) of the frames at two scales and of what changes
      between them, and colour statistics, on a grid.
flow: how it moves: histograms of optical flow and of its motion boundaries (Dalal, Triggs & Schmid, ECCV 2006) on a grid, with the
      camera's motion taken out, and how much it moves.

Frames are resized to one working size and flow is measured in frame sizes (longer side) per second, so that files of different
size and frame rate compare. Entries are of the order of one, so that a linear layer learns from them as they are.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from untrimmed.data.settings import setting

GRID = 4  # cells along each side
BINS = 8  # directions
NOISE = 0.05  # speed, in frame sizes per second, below which a point counts as still
FAST = 0.5  # speed above which it counts as fast
# Bin b gathers the half bins around its direction, b * 2 pi / BINS; those between two directions are shared.
SMOOTH = np.array(
    [
        [max(0.0, 1 - min((f + 0.5 - 2 * b) % (2 * BINS), (2 * b - f - 0.5) % (2 * BINS)) / 2) for b in range(BINS)]
        for f in range(2 * BINS)
    ]
)
SMALLEST = 16  # pixels a side: below this there is no flow to be had


@dataclass(frozen=True)
class Config:
    """Settings of `motion`."""

    fps: float = setting(25.0, "frames per second that a video is resampled to", low=0.1, high=240)
    frames: int = setting(16, "frames in a snippet", low=2, high=1024)
    stride: int = setting(16, "frames from the start of one snippet to that of the next", low=1, high=1024)
    size: int = setting(160, "pixels of the longer side that frames are resized to", low=32, high=1024)


class Extractor:
    """Weights-free appearance and motion features; see the module's text."""

    name = "motion"
    Config = Config
    needs_flow = True
    streams = {  # noqa: RUF012
        "rgb": 3 * GRID**2 * BINS + 9 * GRID**2,
        "flow": GRID**2 * (2 * BINS + 1) + 2 * GRID**2 * BINS + 2 * GRID**2 + 6,
    }

    def __init__(self, config: Any) -> None:
        self.config = config

    def frame_size(self, width: int, height: int) -> tuple[int, int]:
        scale = self.config.size / max(width, height)
        return max(SMALLEST, round(width * scale)), max(SMALLEST, round(height * scale))

    def __call__(self, frames: np.ndarray, flow: np.ndarray | None) -> dict[str, np.ndarray]:
        """Features of B snippets.

        Args:
            frames: uint8 `[B, F, H, W, 3]`, RGB.
            flow: float32 `[B, F, H, W, 2]`, displacement in pixels from the previous frame to each frame.

        Returns:
            `{"rgb": float32 [B, 528], "flow": float32 [B, 566]}`
        """
        if flow is None:
            raise ValueError("motion needs optical flow")
        return {"rgb": appearance(frames), "flow": movement(flow, self.config.fps)}


def appearance(frames: np.ndarray) -> np.ndarray:
    """The rgb stream, float32 `[B, 528]`, of uint8 `[B, F, H, W, 3]`: from up to four frames of a snippet."""
    count, length, height, width, _ = frames.shape
    looks = min(4, length)
    chosen = frames.take((2 * np.arange(looks) + 1) * length // (2 * looks), axis=1).reshape(-1, height, width, 3)
    colour = cv2.cvtColor(chosen.reshape(-1, width, 3), cv2.COLOR_RGB2YCrCb).reshape(-1, height, width, 3)
    grey = np.ascontiguousarray(colour[..., 0]).astype(np.float32)
    half = np.stack([cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA) for image in grey])
    fine = _gradient_histogram(grey, noise=4.0).reshape(count, looks, -1)
    coarse = _gradient_histogram(half, noise=4.0).reshape(count, looks, -1)
    # The outlines of what changes from one look to the next: the actor, where the scene stands still.
    change = np.abs(np.diff(grey.reshape(count, looks, height, width), axis=1)).reshape(-1, height, width)
    changing = _gradient_histogram(change, noise=8.0).reshape(count, looks - 1, -1)

    colour = colour.astype(np.float32)
    means = _cell_means(colour).reshape(count, looks, -1) / 255
    squares = _cell_means(np.square(colour, out=colour)).reshape(count, looks, -1) / 255**2
    deviation = np.sqrt(np.maximum(squares - means**2, 0)).mean(1)
    blocks = [
        _rooted(fine.mean(1)),
        _rooted(coarse.mean(1)),
        _rooted(changing.mean(1)),
        4 * means.mean(1) - 2,
        8 * deviation,
        np.tanh(20 * means.std(1)),
    ]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def movement(flow: np.ndarray, fps: float) -> np.ndarray:
    """The flow stream, float32 `[B, 566]`, of float32 `[B, F, H, W, 2]` in pixels per frame."""
    count, length, height, width, _ = flow.shape
    # A file of fewer frames per second than `fps` repeats some: then flow is zero in some frames and too large in the others.
    moving, step, share = _cadence(flow)
    scale = (fps / max(height, width) / step).astype(np.float32)[:, None, None, None]
    u, v = (flow[:, :, ::2, ::2, axis] * scale for axis in (0, 1))
    camera = np.stack([_median(c[:, :, ::3, ::3].reshape(count, length, -1)) for c in (u, v)], axis=2)
    u -= camera[:, :, 0, None, None]
    v -= camera[:, :, 1, None, None]
    u, v = (c.reshape(-1, *c.shape[2:]) for c in (u, v))
    square = u * u + v * v
    active = square / (square + NOISE**2)
    fast = active * (square / (square + FAST**2))
    angle = _polar(u, v)[1]
    directions = np.concatenate(_histogram(angle, active - fast, fast), axis=2)
    still = 1 - directions.sum(2, keepdims=True)
    directions = np.concatenate([directions, still], axis=2)  # [N, cells, 2 * BINS + 1], each cell sums to one
    boundaries = np.concatenate([_boundary_histogram(u), _boundary_histogram(v)], axis=1)
    energy = 1 - still[..., 0]

    def over_time(values: np.ndarray, rest: float | np.ndarray) -> np.ndarray:
        """Mean over the new frames; the rest of the window stands still."""
        values = values.reshape(count, length, *values.shape[1:])
        weight = (moving / np.maximum(moving.sum(1, keepdims=True), 1)).reshape(count, length, *[1] * (values.ndim - 2))
        part = share.reshape(-1, *[1] * (values.ndim - 2))
        return part * (values * weight).sum(1) + (1 - part) * rest

    nothing = np.zeros((GRID**2, 2 * BINS + 1), np.float32)
    nothing[:, -1] = 1
    occupied = over_time(directions, nothing).reshape(count, -1)
    mean_energy = over_time(energy, 0.0)
    mean_square = over_time(energy**2, 0.0)
    drift = over_time(camera.reshape(-1, 2), 0.0)
    shake = over_time(np.hypot(camera[..., 0], camera[..., 1]).reshape(-1, 1), 0.0)
    turned = np.concatenate([np.maximum(drift, 0), np.maximum(-drift, 0), shake], axis=1)
    blocks = [
        np.sqrt(occupied * (2 * BINS + 1)),
        _rooted(over_time(boundaries, 0.0).reshape(count, -1), floor=0.05),
        2 * np.sqrt(mean_energy),
        4 * np.sqrt(np.maximum(mean_square - mean_energy**2, 0)),
        2 * np.sqrt(turned / (turned + 0.2)),
        2 * np.sqrt(mean_energy.mean(1, keepdims=True)),
    ]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def _cadence(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which frames of each snippet are new (`[B, F]`), their typical distance in frames (`[B]`), and the share of the snippet's
    time in which something moves (`[B]`)."""
    count, length = flow.shape[:2]
    coarse = np.abs(flow[:, :, ::4, ::4]).reshape(count, length, -1)
    moving = (coarse.max(2) > 0.05).astype(np.float32)
    step, share = np.ones(count, np.float32), np.zeros(count, np.float32)
    for i, row in enumerate(moving):
        new = np.flatnonzero(row)
        if len(new) > 1:
            gaps = np.diff(new)
            step[i] = np.minimum(gaps, 2 * np.median(gaps)).mean()
        share[i] = min(1.0, len(new) * step[i] / length)
    return moving, step, share


def _gradient_histogram(images: np.ndarray, noise: float) -> np.ndarray:
    """Histograms of gradient orientation without sign, `[N, GRID² * BINS]`, weighted by magnitude above `noise` grey levels."""
    size, angle = _polar(*_gradients(images))
    weight = np.maximum(size - noise, 0) / 16
    return _histogram(2 * angle, weight)[0].reshape(len(images), -1)


def _boundary_histogram(component: np.ndarray) -> np.ndarray:
    """Histograms `[N, cells, BINS]` of the direction in which one component of the flow changes, bounded by FAST."""
    size, angle = _polar(*_gradients(component))
    return _histogram(angle, np.minimum(size, FAST) / FAST)[0]


def _gradients(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Central differences in x and y within `[N, H, W]`; the outermost pixels are left out."""
    across = images[:, 1:-1, 2:] - images[:, 1:-1, :-2]
    down = images[:, 2:, 1:-1] - images[:, :-2, 1:-1]
    return across, down


def _polar(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length and direction (0..2 pi) of vectors `[N, H, W]`."""
    size, angle = cv2.cartToPolar(x.reshape(len(x), -1), y.reshape(len(y), -1))
    return size.reshape(x.shape), angle.reshape(x.shape)


def _histogram(angle: np.ndarray, *weights: np.ndarray) -> list[np.ndarray]:
    """Mean weight per direction and cell, `[N, GRID², BINS]` for each of the weights `[N, H, W]`.

    Directions are counted twice as fine and smoothed, so that a slow turn does not jump from one bin to the next.
    """
    count, height, width = angle.shape
    cells, pixels = _cells(count, height, width)
    place = (angle * np.float32(2 * BINS / (2 * math.pi))).astype(np.intp)
    place &= 2 * BINS - 1  # the angle may have been doubled, or rounded up to a whole turn
    place += cells
    total = count * GRID**2 * 2 * BINS
    sums = [np.bincount(place.ravel(), weight.ravel(), total).reshape(count, GRID**2, 2 * BINS) for weight in weights]
    return [((fine @ SMOOTH) / pixels).astype(np.float32) for fine in sums]


@lru_cache(maxsize=8)
def _cells(count: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the fine bins of each pixel's cell begin among those of all images, `[N, H, W]`; its pixels, `[GRID², 1]`."""
    cell = (np.arange(height) * GRID // height)[:, None] * GRID + np.arange(width) * GRID // width
    pixels = np.maximum(np.bincount(cell.ravel(), minlength=GRID**2), 1)[:, None]
    return (np.arange(count)[:, None, None] * GRID**2 + cell) * (2 * BINS), pixels


def _cell_means(images: np.ndarray) -> np.ndarray:
    """Mean of each channel in each cell of float32 images `[N, H, W, C]`, `[N, GRID² * C]`."""
    small = [cv2.resize(image, (GRID, GRID), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(small).reshape(len(small), -1)


def _median(values: np.ndarray) -> np.ndarray:
    """Along the last axis; for many short rows sorting is much quicker than `np.median`."""
    ordered, middle = np.sort(values, axis=-1), values.shape[-1] // 2
    return ordered[..., middle] if values.shape[-1] % 2 else (ordered[..., middle - 1] + ordered[..., middle]) / 2


def _rooted(histogram: np.ndarray, floor: float = 1.0) -> np.ndarray:
    """Square roots of shares (Hellinger), scaled to a root mean square of one; fades to zero where the whole is below `floor`."""
    whole = histogram.sum(1, keepdims=True)
    return np.sqrt(histogram * histogram.shape[1] / (whole + floor))
