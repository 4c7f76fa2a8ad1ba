"""One video's timeline, as a picture in a notebook."""

import html
import os
from dataclasses import dataclass

from untrimmed.data.annotations import read_annotations
from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.notebook import Detections
from untrimmed.data.types import Segment

WIDTH, LEFT, LANE, GAP = 900, 140, 14, 4
"""Pixels: of the picture, of the labels beside it, of a lane's height, and between two rows."""

TRUTH, FOUND, RULE, TEXT = "#4a4a4a", "#1f6f8b", "#d9d4c7", "currentColor"


@dataclass(frozen=True)
class Timeline:
    """The picture: SVG, which a notebook shows."""

    svg: str

    def _repr_html_(self) -> str:
        return self.svg


def show(
    detections: str | os.PathLike[str] | Detections,
    video: str,
    *,
    annotations: str | os.PathLike[str] | None = None,
    min_score: float | None = None,
) -> Timeline:
    """The timeline of a video: a row per label, with the detections (the darker, the higher they score among those of the video)
    and, if given, the ground truth above them.

    Raises:
        InputError: a file is at fault, or neither knows the video.
    """
    found = detections if isinstance(detections, Detections) else Detections.read(detections)
    truth = None if annotations is None else read_annotations(os.fspath(annotations)).videos.get(video)
    if video not in found.results and truth is None:
        raise InputError(f"{found.out}: there is no video {video!r} in it{did_you_mean(video, found.results)}")
    kept = [d for d in found.results.get(video, []) if min_score is None or d.score >= min_score]
    segments = () if truth is None else truth.segments
    end = max([d.end for d in kept] + [s.end for s in segments] + [0.0 if truth is None else truth.duration or 0.0], default=0.0)
    return Timeline(_svg(video, kept, segments, end or 1.0, truth is not None))


def _svg(video: str, kept: list, segments: tuple[Segment, ...], end: float, with_truth: bool) -> str:
    labels = sorted({item.label for item in (*kept, *segments)})
    least = min((d.score for d in kept), default=0.0)
    span = max((d.score for d in kept), default=1.0) - least or 1.0
    parts, y = [f'<text x="0" y="12" font-weight="bold" fill="{TEXT}">{html.escape(video)}</text>'], 20
    for label in labels:
        parts.append(f'<text x="0" y="{y + LANE - 2}" fill="{TEXT}">{html.escape(label[:22])}</text>')
        if with_truth:
            for segment in segments:
                if segment.label == label:
                    parts.append(_bar(segment, end, y, TRUTH, 1.0, f"ground truth: {label}"))
            y += LANE + 1
        for d in sorted((d for d in kept if d.label == label), key=lambda d: d.score):  # the best on top
            parts.append(_bar(d, end, y, FOUND, 0.25 + 0.75 * (d.score - least) / span, f"{label} ({d.score:.3g})"))
        y += LANE + GAP
    for part in range(5):
        x, time = LEFT + (WIDTH - LEFT) * part / 4, end * part / 4
        anchor = "end" if part == 4 else "middle" if part else "start"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="18" y2="{y}" stroke="{RULE}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 12}" text-anchor="{anchor}" fill="{TEXT}">{_clock(time)}</text>')
    said = html.escape(f"Timeline of {video}: {len(kept)} detections, {len(segments)} true segments")
    size = f'viewBox="0 0 {WIDTH} {y + 16}" width="100%" style="max-width: {WIDTH}px; font: 11px sans-serif"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{said}">{"".join(parts)}</svg>'


def _bar(item: Segment, end: float, y: int, colour: str, opacity: float, words: str) -> str:
    scale = (WIDTH - LEFT) / end
    place = f'x="{LEFT + item.start * scale:.1f}" y="{y}" width="{max((item.end - item.start) * scale, 1):.1f}" height="{LANE - 1}"'
    title = html.escape(f"{words}, {item.start:.2f} to {item.end:.2f} s")
    return f'<rect {place} fill="{colour}" fill-opacity="{opacity:.2f}"><title>{title}</title></rect>'


def _clock(time: float) -> str:
    return f"{time:.1f} s" if time < 60 else f"{int(time) // 3600}:{int(time) // 60 % 60:02d}:{int(time) % 60:02d}"
