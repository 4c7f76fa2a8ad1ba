"""Bootstrap confidence intervals for mAP over test videos and seeds.

Matching is done within a video, so that a detection's being right or wrong does not depend on which other videos are tested.
Drawing the test videos anew therefore only changes how often each detection and each true segment counts: a video that was drawn
twice counts twice, as two videos would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from untrimmed.data.arrays import read_npz
from untrimmed.data.errors import InputError
from untrimmed.evaluation.detections import DetectionScores

DRAWS = 1000
DRAWS_AT_ONCE = 100
"""Bounds the memory, not the result."""


@dataclass(frozen=True)
class Matched:
    """Scored detections by class and video: N detections, K thresholds, C classes that have truth, V videos.

    See `DetectionScores` for the fields.
    """

    tious: np.ndarray
    hits: np.ndarray
    counted: np.ndarray | None
    bounds: np.ndarray
    hit_videos: np.ndarray
    video_instances: np.ndarray
    interpolated: bool

    @classmethod
    def of(cls, scores: DetectionScores) -> "Matched":
        """What of scores is needed here."""
        assert scores.hit_videos is not None
        assert scores.video_instances is not None
        return cls(
            scores.tious,
            scores.hits,
            scores.counted,
            scores.bounds,
            scores.hit_videos,
            scores.video_instances,
            scores.interpolated,
        )

    def write(self, stream: object) -> None:
        """Write as NumPy's npz, bits packed."""
        np.savez_compressed(
            stream,  # type: ignore[arg-type]
            tious=self.tious,
            hits=np.packbits(self.hits, axis=1),
            bounds=self.bounds,
            hit_videos=self.hit_videos,
            video_instances=self.video_instances,
            interpolated=np.array(self.interpolated),
            counted=np.packbits(self.counted if self.counted is not None else self.hits[:0], axis=1),
        )

    @classmethod
    def read(cls, path: str | Path) -> "Matched":
        """Read what `write` has written.

        Raises:
            InputError: the file is not there or damaged.
        """
        try:
            kept = read_npz(Path(path))
            tious = kept["tious"]
            hits, counted = (np.unpackbits(kept[name], axis=1, count=len(tious)).astype(bool) for name in ("hits", "counted"))
            return cls(
                tious,
                hits,
                counted if len(counted) == len(hits) else None,
                kept["bounds"],
                kept["hit_videos"],
                kept["video_instances"],
                bool(kept["interpolated"]),
            )
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path}: damaged ({error}); delete its folder to make it anew") from error


def drawn_videos(videos: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each video comes up in each draw of as many videos with replacement, [draws, videos]."""
    return rng.multinomial(videos, np.full(videos, 1 / videos), size=draws)


def mean_average_precision(matched: Matched, counts: np.ndarray) -> np.ndarray:
    """mAP by threshold [B, K] where each video counts as often as `counts` [B, V] says; the same as scoring copies of the videos.

    The mean is over the classes that have truth among the videos drawn; NaN where none has.
    """
    parts = [_of_draws(matched, part) for part in np.array_split(counts, len(counts) // DRAWS_AT_ONCE + 1) if len(part)]
    return np.concatenate(parts)


def _of_draws(matched: Matched, counts: np.ndarray) -> np.ndarray:
    instances = counts @ matched.video_instances.T
    ap = np.zeros((len(counts), len(matched.bounds) - 1, len(matched.tious)))
    for c, (first, last) in enumerate(zip(matched.bounds[:-1], matched.bounds[1:], strict=True)):
        weight = counts[:, matched.hit_videos[first:last]]
        so_far = np.cumsum(weight, axis=1) if matched.counted is None else None
        for k in range(len(matched.tious)):
            right = np.flatnonzero(matched.hits[first:last, k])
            if not len(right):
                continue
            if so_far is not None:
                number = so_far[:, right]
            else:
                assert matched.counted is not None
                number = np.cumsum(weight * matched.counted[first:last, k], axis=1)[:, right]
            ap[:, c, k] = _area(weight[:, right], number, matched.interpolated)
    ap /= np.maximum(instances, 1)[:, :, None]
    shown = instances > 0
    return np.where(shown[:, :, None], ap, 0).sum(axis=1) / np.where(shown.any(axis=1), shown.sum(axis=1), np.nan)[:, None]


def _area(weight: np.ndarray, number: np.ndarray, interpolated: bool) -> np.ndarray:
    """Sum of the precisions at the correct detections [B]: how often each counts, and how many stand up to it, [B, n] both.

    A detection that counts m times stands there m times in a row. The precision grows over these, so that with interpolation all
    have the last one's; without, each has its own.
    """
    correct = np.cumsum(weight, axis=1)
    if interpolated:
        precision = correct / np.maximum(number, 1)
        return (np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1] * weight).sum(axis=1)
    total = np.zeros(len(weight))
    for back in range(int(weight.max(initial=0))):
        standing = weight > back
        total += np.where(standing, (correct - back) / np.maximum(number - back, 1), 0).sum(axis=1)
    return total


def over_thresholds(values: np.ndarray, tious: np.ndarray, metric: str) -> np.ndarray:
    """The metric `mAP@0.5`, `mAP@avg` or `mAP@0.1:0.5` (the mean over the thresholds of that range) from values [..., K].

    Raises:
        InputError: no such metric on this grid.
    """
    name, _, which = metric.partition("@")
    if name == "mAP" and which == "avg":
        return values.mean(axis=-1)
    first, _, last = which.partition(":")
    try:
        low, high = float(first), float(last or first)
    except ValueError:
        low, high = 1.0, 0.0
    chosen = (tious > low - 1e-9) & (tious < high + 1e-9)
    if name != "mAP" or not chosen.any() or (not last and chosen.sum() != 1):
        raise InputError(f"{metric}: no such metric; there is mAP@avg and mAP@ one of {', '.join(f'{t:g}' for t in tious)}")
    return values[..., chosen].mean(axis=-1)


def drawn_differences(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The difference of two runs' means in every draw, [B], of both runs' values by seed and draw of the test videos, [S, B].

    In each draw, S seeds are drawn with replacement too, the same for both runs.
    """
    difference = first - second
    seeds, draws = difference.shape
    counts = drawn_videos(seeds, draws, rng)
    return (counts.T * difference).sum(axis=0) / seeds


def interval_over_draws(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the values [B] of all draws."""
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)


def interval_over_seeds(difference: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean of paired differences by Student's t, or None for fewer than two seeds."""
    from scipy.special import stdtrit  # the quantile of scipy.stats.t, which takes a second to import

    values = np.asarray(difference, dtype=np.float64)
    if len(values) < 2:
        return None
    half = float(stdtrit(len(values) - 1, 0.975)) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)
