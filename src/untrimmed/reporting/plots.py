"""Figures of single videos, for a README or a paper."""

import colorsys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from untrimmed.data.files import atomic_write
from untrimmed.data.types import Activation, Detection, Segment

INK, SOFT, SUNK = "#1b1c1e", "#5d6167", "#f6f4ef"
STREAM_COLOURS = ("#b3401f", "#1f6f8b", "#6b4fa0", "#4d7a2a")


def timeline_figure(
    activation: Activation,
    detections: Sequence[Detection],
    truth: Sequence[Segment],
    thumbnails: Sequence[np.ndarray] | None,
    path: str | Path,
) -> None:
    """Draw one video on one time axis as a PNG: a strip of its frames, ground truth, detections, and each stream's attention.

    Args:
        thumbnails: uint8 `[H, W, 3]` each; the k-th of n is shown above the k-th n-th of the video, so take it from the
            middle of that.

    Raises:
        InputError: the file cannot be written.
    """
    duration = activation.timeline.duration
    labels = sorted({s.label for s in truth} | {d.label for d in detections})
    colours = {label: _colour(k) for k, label in enumerate(labels)}
    curves = {name: s.attention for name, s in activation.streams.items() if s.attention is not None}

    levels = _stacked(detections)
    stacks = 1 + max((level for level, _ in levels), default=0)

    width, side, right = 10.0, 1.0, 0.3
    film = 0.0
    if thumbnails:
        film = (width - side - right) / len(thumbnails) * thumbnails[0].shape[0] / thumbnails[0].shape[1]
    parts = [("film", film), ("truth", 0.32), ("found", 0.12 + 0.2 * stacks), ("attention", 0.95 if curves else 0.0)]
    parts = [(name, height) for name, height in parts if height > 0]
    gap, top, bottom = 0.1, 0.34, 0.34
    height = top + bottom + sum(h for _, h in parts) + gap * (len(parts) - 1)

    figure = Figure(figsize=(width, height), dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    y = height - top
    for name, part in parts:
        y -= part
        axes = figure.add_axes((side / width, y / height, (width - side - right) / width, part / height))
        y -= gap
        _clear(axes, duration, name)
        if name == "film":
            _film(axes, thumbnails or (), duration)
        elif name == "truth":
            axes.set_ylim(0, 1)
            for s in truth:
                axes.barh(0.5, s.end - s.start, 0.66, s.start, color=colours[s.label])
        elif name == "found":
            axes.set_ylim(stacks, 0)
            axes.margins(0)
            for level, d in levels:
                axes.barh(level + 0.5, d.end - d.start, 0.8, d.start, color=colours[d.label], alpha=_sureness(d, detections))
        else:
            _curves(axes, activation, curves)
    axes.tick_params(labelbottom=True, labelsize=9, labelcolor=SOFT, pad=4)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 1.5, 2, 3, 5, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{int(t // 60)}:{int(t % 60):02d}"))
    keys = [("■", label, colour) for label, colour in colours.items()]
    keys += [("—", f"{name} attention", colour) for name, colour in zip(curves, STREAM_COLOURS, strict=False)]
    x = side / width
    for sign, word, colour in keys:
        x = _after(figure, figure.text(x, 1 - 0.17 / height, f"{sign} ", color=colour, fontsize=10, va="center", fontweight="bold"))
        x = _after(figure, figure.text(x, 1 - 0.17 / height, word, color=INK, fontsize=10, va="center")) + 0.02
    with atomic_write(path, "wb") as handle:
        figure.savefig(handle, format="png")


def _clear(axes: Axes, duration: float, name: str) -> None:
    """A band of `duration` seconds without frame and ticks, named at its left unless it is the film."""
    axes.set_xlim(0, duration)
    axes.set_yticks([])
    axes.tick_params(length=0, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if name != "film":
        axes.set_facecolor(SUNK)
        axes.text(-0.012, 0.5, name, transform=axes.transAxes, ha="right", va="center", fontsize=10, color=INK)


def _film(axes: Axes, thumbnails: Sequence[np.ndarray], duration: float) -> None:
    """The frames side by side, each over its share of the video."""
    edges = np.linspace(0, duration, len(thumbnails) + 1)
    for image, (begin, end) in zip(thumbnails, pairwise(edges), strict=True):
        axes.imshow(image, extent=(begin, end, 0, 1))
    axes.vlines(edges[1:-1], 0, 1, color="white", linewidth=2)
    axes.set_aspect("auto")
    axes.set_xlim(0, duration)
    axes.set_ylim(0, 1)


def _stacked(detections: Sequence[Detection]) -> list[tuple[int, Detection]]:
    """Each detection with the row it is drawn in: by score, each in the first row where nothing overlaps it."""
    rows: list[list[Detection]] = []
    placed = []
    for d in sorted(detections, key=lambda d: -d.score):
        free = (k for k, row in enumerate(rows) if all(d.end <= other.start or d.start >= other.end for other in row))
        level = next(free, len(rows))
        if level == len(rows):
            rows.append([])
        rows[level].append(d)
        placed.append((level, d))
    return placed


def _sureness(detection: Detection, detections: Sequence[Detection]) -> float:
    """Opacity by score, among all that are drawn."""
    low, high = min(d.score for d in detections), max(d.score for d in detections)
    return 0.35 + 0.65 * (detection.score - low) / (high - low) if high > low else 1.0


def _curves(axes: Axes, activation: Activation, curves: dict[str, np.ndarray]) -> None:
    edges = activation.timeline.edges
    middle = (edges[:-1] + edges[1:]) / 2
    top = 1.0
    for values, colour in zip(curves.values(), STREAM_COLOURS, strict=False):
        curve = values * len(values) if activation.attention_kind == "distribution" else values
        top = max(top, float(curve.max(initial=0.0)))
        axes.plot(middle, curve, color=colour, linewidth=1.6)
    axes.set_ylim(-0.04 * top, 1.06 * top)


def _colour(k: int) -> str:
    """The k-th of many distinct colours, by the golden angle, equally dark."""
    r, g, b = colorsys.hls_to_rgb((0.6 + 0.381966 * k) % 1, 0.45, 0.6)
    return f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}"


def _after(figure: Figure, text) -> float:
    """Where a text ends, in the figure's width."""
    return text.get_window_extent().x1 / figure.bbox.width
