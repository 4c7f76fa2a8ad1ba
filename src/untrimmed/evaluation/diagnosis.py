"""What is wrong with detections: which kinds of mistakes they make, what each costs, and which true segments are missed.

The three analyses of Alwassel, Caba Heilbron, Escorcia and Ghanem, "Diagnosing error in temporal action detectors" (ECCV 2018;
their program: github.com/HumamAlwassel/DETAD), with the matching of the ActivityNet protocol.

**False positives.** Of every class with G true segments only the 10 G surest detections are looked at; those ranked 1 to G are the
level 1G, the next G the level 2G, and so on. At the threshold t, a detection is a
- true positive, if it takes a true segment; otherwise it depends on the true segment of its video, of whatever class, that it
  overlaps most (of several, on one of its own class):
- double detection: that is of its class, and overlapped by at least t, but a surer detection has taken it;
- wrong label: that is of another class, and overlapped by at least t;
- localization error: that is of its class, and overlapped by at least 0.1, but less than t;
- confusion error: that is of another class, and overlapped by at least 0.1, but less than t;
- background error: no true segment is overlapped by as much as 0.1 (or t, if that is less).

What a kind costs is the mAP that would be gained if all detections of that kind were taken away. (The authors use the normalized
mAP here; this is the plain one, so that it adds to the score one knows.)

**Sensitivity.** Normalized precision puts N, the mean number of true segments of a class, in place of the class's own number, so
that rare and frequent things compare (Hoiem, Chodpathumwan and Dai, ECCV 2012): at recall r and with F false positives it is
r N / (r N + F). The mAP_N of some of the true segments, such as the short ones, counts these alone as truth; detections that take
another true segment are neither right nor wrong. Classes without such a segment are left out of its mean.

**False negatives.** The share of true segments that no detection takes. As in the authors' program, a detection with a normalized
precision of 0.05 or less counts as not made: a method that lists everything misses nothing otherwise.

The traits of a true segment are its length in seconds, its coverage (length over that of the video) and the number of segments
of its class in its video. Each is cut into bins from XS (extra small) to XL (extra large), at the bounds that the authors state
for THUMOS14 or for ActivityNet, whichever spread the segments better; where either puts more than 60 % into one bin, into fifths.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.types import Results
from untrimmed.evaluation.activitynet import match, overlapping
from untrimmed.evaluation.detections import MatchInputs, match_inputs

KINDS = ("true positive", "double detection", "wrong label", "localization error", "confusion error", "background error")
TRUE_POSITIVE, DOUBLE, WRONG_LABEL, LOCALIZATION, CONFUSION, BACKGROUND = range(len(KINDS))

LEVELS = 10
"""Only the surest 10 G detections of a class are looked at for false positives."""

LEAST_TIOU = 0.1
"""What is overlapped by less counts as background."""

LEAST_PRECISION = 0.05
"""Detections of no more normalized precision count as not made, for false negatives."""

MOST_IN_ONE_BIN = 0.6

SIZES = ("XS", "S", "M", "L", "XL")

BOUNDS: dict[str, dict[str, tuple[float, ...]]] = {
    "length": {"THUMOS14": (3.0, 6.0, 12.0, 18.0), "ActivityNet": (30.0, 60.0, 120.0, 180.0)},
    "coverage": {"THUMOS14": (0.02, 0.04, 0.06, 0.08), "ActivityNet": (0.2, 0.4, 0.6, 0.8)},
    "instances": {"THUMOS14": (1.0, 40.0, 80.0), "ActivityNet": (1.0, 4.0, 8.0)},
}
"""The upper bounds, themselves inside, of all bins but the last, as the authors' program states them."""


@dataclass(frozen=True)
class Bins:
    """A trait of the true segments, cut into B bins.

    trait: `length` (seconds), `coverage` (0..1) or `instances`.
    names: [B] such as `XS`. bounds: [B - 1]; bin b holds what is above `bounds[b - 1]` and at most `bounds[b]`, the first and the
        last bin whatever is beyond.
    source: whose bounds these are: `THUMOS14`, `ActivityNet` or `fifths`.
    count: [B] true segments. missed: [B, K] the share of them that is missed. map_n: [B, K] their mAP_N.
        Both are 0 where `count` is.
    unknown: true segments whose trait cannot be told, for want of the video's duration; they are in no bin.
    """

    trait: str
    names: tuple[str, ...]
    bounds: tuple[float, ...]
    source: str
    count: np.ndarray
    missed: np.ndarray
    map_n: np.ndarray
    unknown: int

    def range(self, b: int) -> str:
        """In words, such as `3 to 6`; coverage in per cent."""
        if not self.bounds:
            return "all"
        if self.trait == "instances":  # whole numbers: the bounds of two bins need not touch
            low, high = int((1, *(bound + 1 for bound in self.bounds))[b]), int((*self.bounds, 0)[b])
            return f"{low} or more" if not high else f"{low}" if low == high else f"{low} to {high}"
        said = [f"{100 * bound if self.trait == 'coverage' else bound:.3g}" for bound in self.bounds]
        if b == 0:
            return f"up to {said[0]}"
        return f"above {said[-1]}" if b == len(said) else f"{said[b - 1]} to {said[b]}"


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a set of detections, at K thresholds.

    tious: [K]. shown: the place in it of the threshold nearest to 0.5, for tables and plots.
    videos, instances, classes: how many were looked at.
    counts: [K, 10, 6] detections by level (1G to 10G) and kind (`KINDS`).
    mean_ap: [K] mAP of the detections of these levels.
    gain: [K, 6] mAP gained if all detections of a kind were taken away; 0 for true positives.
    map_n, missed: [K] mAP_N of all true segments, and the share of them that is missed.
    bins: the traits that could be told.
    """

    tious: np.ndarray
    shown: int
    videos: int
    instances: int
    classes: int
    counts: np.ndarray
    mean_ap: np.ndarray
    gain: np.ndarray
    map_n: np.ndarray
    missed: np.ndarray
    bins: tuple[Bins, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain lists; fractions in 0..1, lists over the thresholds."""
        return {
            "protocol": "activitynet",
            "tiou": self.tious.tolist(),
            "shown_tiou": float(self.tious[self.shown]),
            "videos": self.videos,
            "instances": self.instances,
            "classes": self.classes,
            "false_positives": {
                "levels": [f"{level + 1}G" for level in range(LEVELS)],
                "counts": {kind: self.counts[:, :, i].tolist() for i, kind in enumerate(KINDS)},
                "mAP": self.mean_ap.tolist(),
                "gain": {kind: self.gain[:, i].tolist() for i, kind in enumerate(KINDS) if i != TRUE_POSITIVE},
            },
            "mAP_N": self.map_n.tolist(),
            "missed": self.missed.tolist(),
            "traits": {
                trait.trait: {
                    "source": trait.source,
                    "unknown": trait.unknown,
                    "bins": [
                        {
                            "name": name,
                            "range": trait.range(b),
                            "instances": int(trait.count[b]),
                            "missed": trait.missed[b].tolist() if trait.count[b] else None,
                            "mAP_N": trait.map_n[b].tolist() if trait.count[b] else None,
                        }
                        for b, name in enumerate(trait.names)
                    ],
                }
                for trait in self.bins
            },
        }

    def text(self) -> str:
        """A short summary for the terminal, at one threshold, in per cent."""
        k = self.shown
        kinds = self.counts[k].sum(axis=0)
        first = self.counts[k, 0]
        lines = [
            f"diagnosis at tIoU {self.tious[k]:g}, in per cent; G is a class's number of true segments",
            f"{'':20}  of top G  of top {LEVELS}G  mAP gained without",
        ]
        for i, kind in enumerate(KINDS):
            gain = "" if i == TRUE_POSITIVE else f"{100 * self.gain[k, i]:18.1f}"
            lines.append(f"{kind:20}  {_share(first, i):8.1f}  {_share(kinds, i):10.1f}  {gain}".rstrip())
        lines.append(f"missed: {100 * self.missed[k]:.1f} of {self.instances} true segments")
        for trait in self.bins:
            parts = [
                f"{name} ({trait.range(b)}) {100 * trait.missed[b, k]:.1f} of {trait.count[b]}"
                for b, name in enumerate(trait.names)
                if trait.count[b]
            ]
            unit = {"length": ", s", "coverage": ", per cent"}.get(trait.trait, "")
            lines.append(f"  by {trait.trait}{unit}: {', '.join(parts)}")
        return "\n".join(lines)


def diagnose(truth: Mapping[str, VideoTruth], results: Results, classes: Iterable[str], tious: Sequence[float]) -> Diagnosis:
    """Look into the mistakes of detections; see the head of this module for what is counted how.

    Args:
        truth: the videos of the subset.
        results: detections by video; those of videos outside `truth` are ignored.
        classes: every label of the annotation file, whatever the subset.
        tious: thresholds in (0, 1].

    Raises:
        InputError: a detection has a label that is not among `classes`, or the subset has no true segment.
    """
    thresholds = np.asarray(tious, dtype=np.float64)
    inputs = match_inputs(truth, results, classes)
    taken = match(inputs.group, inputs.start, inputs.end, inputs.true_group, inputs.true_start, inputs.true_end, thresholds)
    instances = np.bincount(inputs.true_label, minlength=len(inputs.classes))
    scored = [int(c) for c in np.flatnonzero(instances)]
    # A class's detections stand together, from the surest to the least sure.
    rank = np.arange(len(inputs.label)) - np.searchsorted(inputs.label, inputs.label)
    level = rank // np.maximum(instances[inputs.label], 1)
    level[instances[inputs.label] == 0] = LEVELS

    kind = _kinds(inputs, taken, thresholds)
    counts = np.zeros((len(thresholds), LEVELS, len(KINDS)), dtype=np.int64)
    top = level < LEVELS
    for k in range(len(thresholds)):
        np.add.at(counts[k], (level[top], kind[top, k]), 1)

    of_class = {c: slice(*np.searchsorted(inputs.label, [c, c + 1])) for c in scored}
    ap = np.zeros((len(scored), len(thresholds), len(KINDS)))
    for row, c in enumerate(scored):
        kinds_of_class = kind[of_class[c]][top[of_class[c]]]
        for k in range(len(thresholds)):
            for without in range(len(KINDS)):
                left = kinds_of_class[:, k] if without == TRUE_POSITIVE else kinds_of_class[kinds_of_class[:, k] != without, k]
                ap[row, k, without] = _average_precision(left == TRUE_POSITIVE, instances[c], instances[c])
    by_kind = ap.mean(axis=0)

    mean_number = len(inputs.true_label) / len(scored)
    made = _made(inputs, taken, instances, mean_number)
    missed = np.ones((len(inputs.true_label), len(thresholds)), dtype=bool)
    for k in range(len(thresholds)):
        missed[taken[made[:, k], k], k] = False
    every = np.ones(len(inputs.true_label), dtype=bool)
    return Diagnosis(
        tious=thresholds,
        shown=int(np.abs(thresholds - 0.5).argmin()),
        videos=len(truth),
        instances=len(inputs.true_label),
        classes=len(scored),
        counts=counts,
        mean_ap=by_kind[:, TRUE_POSITIVE],
        gain=by_kind - by_kind[:, [TRUE_POSITIVE]],
        map_n=_map_n(inputs, taken, of_class, every, mean_number),
        missed=missed.mean(axis=0),
        bins=tuple(_bins(truth, inputs, taken, of_class, missed, mean_number)),
    )


def _share(counts: np.ndarray, i: int) -> float:
    return float(100 * counts[i] / max(counts.sum(), 1))


def _kinds(inputs: MatchInputs, taken: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The kind of each detection, [N, K]."""
    order = np.lexsort((inputs.true_end, inputs.true_start, inputs.true_video))
    overlap = np.zeros(len(inputs.label))
    same = np.zeros(len(inputs.label), dtype=bool)
    least = min(LEAST_TIOU, float(thresholds.min()))
    by_video = (inputs.true_video[order], inputs.true_start[order], inputs.true_end[order])
    for detection, segment, tiou in overlapping(inputs.video, inputs.start, inputs.end, *by_video, least):
        np.maximum.at(overlap, detection, tiou)
        best = tiou == overlap[detection]
        same_label = inputs.true_label[order][segment] == inputs.label[detection]
        same[detection[best & same_label]] = True
    kind = np.full((len(inputs.label), len(thresholds)), BACKGROUND)
    for k, threshold in enumerate(thresholds):
        enough, some = overlap >= threshold, overlap >= LEAST_TIOU
        kind[some & same, k], kind[some & ~same, k] = LOCALIZATION, CONFUSION
        kind[enough & same, k], kind[enough & ~same, k] = DOUBLE, WRONG_LABEL
        kind[taken[:, k] >= 0, k] = TRUE_POSITIVE
    return kind


def _average_precision(hits: np.ndarray, instances: int, number: float) -> float:
    """Area under the interpolated curve of one class's detections [n], surest first, with precision as if it had `number` true
    segments instead of `instances`; these are the same for the plain AP."""
    precision = _precision(hits, instances, number)
    return float((np.maximum.accumulate(precision[::-1])[::-1] * hits).sum() / instances)


def _precision(hits: np.ndarray, instances: int, number: float) -> np.ndarray:
    right, wrong = np.cumsum(hits, axis=0) * (number / instances), np.cumsum(~hits, axis=0)
    return right / (right + wrong)  # there is at least one detection, right or wrong


def _made(inputs: MatchInputs, taken: np.ndarray, instances: np.ndarray, mean_number: float) -> np.ndarray:
    """Which detections take a true segment at a normalized precision that is not negligible, [N, K]."""
    made = taken >= 0
    for c in np.flatnonzero(instances):
        of_class = slice(*np.searchsorted(inputs.label, [c, c + 1]))
        made[of_class] &= _precision(taken[of_class] >= 0, instances[c], mean_number) > LEAST_PRECISION
    return made


def _map_n(
    inputs: MatchInputs, taken: np.ndarray, of_class: Mapping[int, slice], chosen: np.ndarray, mean_number: float
) -> np.ndarray:
    """mAP_N, [K], of the chosen [M] true segments alone."""
    sums = np.zeros(taken.shape[1])
    classes = 0
    for c, its in of_class.items():
        instances = int(np.count_nonzero(chosen & (inputs.true_label == c)))
        if not instances:
            continue
        classes += 1
        for k in range(taken.shape[1]):
            segment = taken[its, k]
            left = segment[(segment < 0) | chosen[segment]]
            sums[k] += _average_precision(left >= 0, instances, mean_number)
    return sums / max(classes, 1)


def _bins(
    truth: Mapping[str, VideoTruth],
    inputs: MatchInputs,
    taken: np.ndarray,
    of_class: Mapping[int, slice],
    missed: np.ndarray,
    mean_number: float,
) -> Iterable[Bins]:
    """The traits that can be told, cut into bins."""
    length = inputs.true_end - inputs.true_start
    duration = np.array([truth[name].duration or np.nan for name in inputs.videos], dtype=np.float64)[inputs.true_video]
    _, place, count = np.unique(inputs.true_group, return_inverse=True, return_counts=True)
    for trait, values in (
        ("length", length),
        ("coverage", np.minimum(length / duration, 1.0)),
        ("instances", count[place].astype(np.float64)),
    ):
        known = ~np.isnan(values)
        if not known.any():
            continue
        source, bounds = _bounds(values[known], BOUNDS[trait])
        place_of = np.where(known, np.searchsorted(bounds, values), -1)
        bins = [place_of == b for b in range(len(bounds) + 1)]
        yield Bins(
            trait,
            SIZES[: len(bins)],
            bounds,
            source,
            np.array([np.count_nonzero(inside) for inside in bins]),
            np.stack([missed[inside].sum(axis=0) / max(np.count_nonzero(inside), 1) for inside in bins]),
            np.stack([_map_n(inputs, taken, of_class, inside, mean_number) for inside in bins]),
            int(np.count_nonzero(~known)),
        )


def _bounds(values: np.ndarray, stated: Mapping[str, Sequence[float]]) -> tuple[str, tuple[float, ...]]:
    """The stated bounds that spread the values best, or those of fifths, each bound once."""

    def fullest(bounds: Sequence[float]) -> float:
        return float(np.bincount(np.searchsorted(bounds, values)).max() / len(values))

    source = min(stated, key=lambda name: fullest(stated[name]))
    if fullest(stated[source]) <= MOST_IN_ONE_BIN:
        return source, tuple(stated[source])
    cuts = np.unique(np.quantile(values, (0.2, 0.4, 0.6, 0.8), method="inverted_cdf"))
    return "fifths", tuple(float(cut) for cut in cuts if cut < values.max())
