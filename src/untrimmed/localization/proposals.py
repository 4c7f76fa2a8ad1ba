"""Runs of a curve above a threshold, and how far each stands out of its surroundings; all rows at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


class Columns:
    """Arrays [N] that belong together, by name."""

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """All parts in one, in order."""
        return cls(*(np.concatenate(columns) for columns in zip(*(vars(part).values() for part in parts))))

    def __getitem__(self, chosen: np.ndarray) -> Self:
        """Some of the N, by mask or place."""
        return type(self)(*(column[chosen] for column in vars(self).values()))


@dataclass(frozen=True)
class Runs(Columns):
    """Runs of fine time steps. row: [N] which row; first, last: [N] steps in that row, both included."""

    row: np.ndarray
    first: np.ndarray
    last: np.ndarray


@dataclass(frozen=True)
class Proposals(Columns):
    """What may be an action. video, label: [N] places; first, last: [N] fine time steps, both included; score: [N]."""

    video: np.ndarray
    label: np.ndarray
    first: np.ndarray
    last: np.ndarray
    score: np.ndarray


def runs_above(curve: np.ndarray, offsets: np.ndarray, threshold: np.ndarray, dilate: int = 0) -> Runs:
    """Runs of consecutive steps whose curve lies above the threshold.

    Args:
        curve: [sum of the rows' lengths], the rows one after the other.
        offsets: [R + 1], where each row begins, and the end.
        threshold: [R], each row's own.
        dilate: a step also counts as above when one within half so many steps is (binary dilation; TCAM).
    """
    lengths = np.diff(offsets)
    above = curve > np.repeat(threshold, lengths)
    if dilate:
        place, row_of = np.arange(len(above)), np.repeat(np.arange(len(lengths)), lengths)
        count = np.concatenate([[0], np.cumsum(above)])
        begin, end = (
            np.maximum(place - (dilate - 1) // 2, offsets[row_of]),
            np.minimum(place + dilate // 2 + 1, offsets[row_of + 1]),
        )
        above = count[end] > count[begin]
    begins, ends = above.copy(), above.copy()
    begins[1:] &= ~above[:-1]
    ends[:-1] &= ~above[1:]
    borders = offsets[1:-1]
    inner = borders[(borders > 0) & (borders < len(above))]
    begins[inner] = above[inner]  # a row's first step begins a run even when the row before ends in one
    ends[inner - 1] = above[inner - 1]
    first, last = np.flatnonzero(begins), np.flatnonzero(ends)
    row = np.searchsorted(offsets, first, side="right") - 1
    return Runs(row, first - offsets[row], last - offsets[row])


def each_once(runs: Runs) -> Runs:
    """Runs without those that stood there before."""
    columns = np.lexsort((runs.last, runs.first, runs.row))  # stable: of equal runs the earliest is first
    ordered = runs[columns]
    new = np.ones(len(columns), dtype=bool)
    same = [np.diff(column) == 0 for column in (ordered.row, ordered.first, ordered.last)]
    new[1:] = ~np.logical_and.reduce(same)
    return runs[np.sort(columns[new])]


def outer_inner(
    runs: Runs,
    curve: np.ndarray,
    offsets: np.ndarray,
    contrast: float,
    side: float,
    peak: bool = False,
    joined: bool = False,
    widths: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """How far each run stands out, [N]: the mean of `curve` inside, less `contrast` times the sum of the means at its two sides.

    That is the outer-inner contrast of AutoLoc (Shou et al., ECCV 2018); DGAM uses contrast 0.3. A side is `int(size * side) + 1`
    steps wide, cut at the row's end; one that is missing altogether counts 0.

    Args:
        curve, offsets: as of `runs_above`.
        peak: the largest value inside counts, not the mean (W-TALC).
        joined: the surroundings are the mean over both sides together (TCAM), not the sum of the two means.
        widths: [N] each, how wide the left and the right side are, in place of `side`.
    """
    begin, end = offsets[runs.row], offsets[runs.row + 1]
    first, after = begin + runs.first, begin + runs.last + 1
    total = np.concatenate([[0.0], np.cumsum(curve, dtype=np.float64)])
    size = after - first
    width = (size * side).astype(np.intp) + 1
    left_width, right_width = widths or (width, width)
    left, right = np.maximum(first - left_width, begin), np.minimum(after + right_width, end)
    inside = (total[after] - total[first]) / size
    if peak and len(first):
        inside = np.maximum.reduceat(np.append(curve, -np.inf), np.stack([first, after], axis=1).ravel())[::2]
    if joined:
        around = total[first] - total[left] + total[right] - total[after]
        return inside - contrast * (around / np.maximum(first - left + right - after, 1))
    before = (total[first] - total[left]) / np.maximum(first - left, 1)
    behind = (total[right] - total[after]) / np.maximum(right - after, 1)
    return inside - contrast * (before + behind)
