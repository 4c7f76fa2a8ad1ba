"""Curves on a finer time grid, and smoother: rows of values, laid one after the other."""

import numpy as np
from scipy.ndimage import gaussian_filter1d


def upsample(values: np.ndarray, offsets: np.ndarray, scale: int, left_aligned: bool = False) -> np.ndarray:
    """Interpolate rows of snippet values linearly, all rows at once: every snippet becomes `scale` steps.

    A snippet's value stands at the middle of its stretch of time, and before the first and after the last middle it stays
    constant. `left_aligned` is how STPN's and DGAM's released codes do it: the value stands at the snippet's left edge, so that
    every boundary comes half a snippet early, and the last snippet is extrapolated.

    Args:
        values: [sum of the rows' lengths], the rows one after the other.
        offsets: [R + 1], where each row begins, and the end.

    Returns:
        [scale * sum of the rows' lengths].
    """
    slope = np.zeros_like(values)  # to the next snippet
    slope[:-1] = values[1:] - values[:-1]
    last = offsets[1:] - 1
    if left_aligned:
        single = np.diff(offsets) == 1
        slope[last] = np.where(single, 0.0, slope[np.maximum(last - 1, 0)])
        part = np.arange(scale) / scale
        return (values[:, None] + slope[:, None] * part).ravel()
    slope[last] = 0.0
    before = np.zeros_like(values)
    before[1:] = slope[:-1]
    part = (np.arange(scale) + 0.5) / scale - 0.5
    half = scale // 2  # the steps on the left of the snippet's middle
    fine = np.empty((len(values), scale), dtype=values.dtype)
    np.multiply(before[:, None], part[:half], out=fine[:, :half], casting="same_kind")
    np.multiply(slope[:, None], part[half:], out=fine[:, half:], casting="same_kind")
    fine += values[:, None]
    return fine.ravel()


def gaussian(curve: np.ndarray, offsets: np.ndarray, sigma: float) -> np.ndarray:
    """Each row under a Gaussian of `sigma` steps."""
    smooth = np.empty_like(curve)
    for begin, end in zip(offsets[:-1], offsets[1:]):
        gaussian_filter1d(curve[begin:end], sigma, output=smooth[begin:end])
    return smooth


def savitzky_golay(curve: np.ndarray, offsets: np.ndarray, share: float) -> np.ndarray:
    """A line fitted to the steps around each: a window of `share` of the row, odd, of 3 to 255 steps and no longer than it."""
    from scipy.signal import savgol_filter  # takes a second to import

    smooth = curve.copy()
    for begin, end in zip(offsets[:-1], offsets[1:]):
        window = min(int(np.clip((end - begin) * share, 3, 255)), int(end - begin))
        window -= 1 - window % 2
        if window > 1:
            smooth[begin:end] = savgol_filter(curve[begin:end], window, 1)
    return smooth
