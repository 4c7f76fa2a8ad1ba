"""Cutting curves into runs above a threshold, and scoring each run by how it stands out of its surroundings."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Proposals:
    """Runs of many rows at once. row: [N] which row; first, last: [N] fine time steps in that row, both included; score: [N]."""

    row: np.ndarray
    first: np.ndarray
    last: np.ndarray
    score: np.ndarray

    @staticmethod
    def concatenate(parts: list["Proposals"]) -> "Proposals":
        """All parts in one, in order."""
        return Proposals(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "first", "last", "score")))


def cut(
    curve: np.ndarray,
    score: np.ndarray,
    offsets: np.ndarray,
    threshold: np.ndarray,
    contrast: float,
    side: float,
    peak: bool = False,
    joined: bool = False,
    dilate: int = 0,
) -> Proposals:
    """Runs of consecutive steps whose curve lies above the threshold, for all rows at once.

    A run's score is the mean of `score` inside, less `contrast` times the sum of the means at its two sides (outer-inner
    contrast, Shou et al., AutoLoc, ECCV 2018; DGAM uses contrast 0.3). A side is `int(size * side) + 1` steps wide, cut at the
    row's end; one that is missing altogether counts 0.

    Args:
        curve, score: [sum of the rows' lengths], the rows one after the other.
        offsets: [R + 1], where each row begins, and the end.
        threshold: [R], each row's own.
        peak: the largest value inside counts, not the mean (W-TALC).
        joined: the surroundings are the mean over both sides together (TCAM), not the sum of the two means.
        dilate: a step also counts as above when one within half so many steps is (binary dilation; TCAM).
    """
    lengths = np.diff(offsets)
    above = curve > np.repeat(threshold, lengths)
    if dilate:
        place, own = np.arange(len(above)), np.repeat(np.arange(len(lengths)), lengths)
        count = np.concatenate([[0], np.cumsum(above)])
        begin, end = np.maximum(place - dilate // 2, offsets[own]), np.minimum(place + (dilate - 1) // 2 + 1, offsets[own + 1])
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

    total = np.concatenate([[0.0], np.cumsum(score, dtype=np.float64)])
    size = last - first + 1
    width = (size * side).astype(np.intp) + 1
    left = np.maximum(first - width, offsets[row])
    right = np.minimum(last + 1 + width, offsets[row + 1])
    inside = (total[last + 1] - total[first]) / size
    if peak and len(first):
        inside = np.maximum.reduceat(np.append(score, -np.inf), np.stack([first, last + 1], axis=1).ravel())[::2]
    if joined:
        around = total[first] - total[left] + total[right] - total[last + 1]
        outside = around / np.maximum(first - left + right - last - 1, 1)
        return Proposals(row, first - offsets[row], last - offsets[row], inside - contrast * outside)
    before = (total[first] - total[left]) / np.maximum(first - left, 1)
    after = (total[right] - total[last + 1]) / np.maximum(right - last - 1, 1)
    return Proposals(row, first - offsets[row], last - offsets[row], inside - contrast * (before + after))
