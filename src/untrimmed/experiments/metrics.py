"""The metrics that an experiment may ask for: `protocol:number`, or a number of activitynet's by its name alone."""

import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from untrimmed.data.errors import InputError, nearest
from untrimmed.data.settings import unknown
from untrimmed.evaluation.attention import KINDS, LEVELS, STATISTICS
from untrimmed.evaluation.bootstrap import over_thresholds
from untrimmed.evaluation.clustering import ClusterScores
from untrimmed.reporting.tables import Metric
from untrimmed.runs.score import DETECTION_PROTOCOLS, PROTOCOLS

PAIRS_OF_KINDS = tuple(f"{first}>{second}" for place, first in enumerate(KINDS) for second in KINDS[place + 1 :])
IN_PER_CENT = ("mAP", "accuracy", "video_mAP")
LOWER_IS_BETTER = (*(name for name, (_, arrow) in STATISTICS.items() if arrow == "↓"), "false_alarms")


def split_metric(metric: str) -> tuple[str, str]:
    """`protocol:scalar`; without a protocol it is activitynet's."""
    protocol, colon, name = metric.partition(":")
    return (protocol, name) if colon and protocol in PROTOCOLS else ("activitynet", metric)


def metric_of(metric: str) -> Metric:
    """How a metric is shown."""
    _, name = split_metric(metric)
    return Metric(metric, name.startswith(IN_PER_CENT), not name.startswith(LOWER_IS_BETTER))


def numbers_of(protocol: str, streams: Collection[str] = ()) -> list[str]:
    """The single numbers that a protocol gives beside the mAP of detections (`scalars` in `evaluation.results`).

    Without `streams` only those of all streams together, and attention's only at its standard levels.
    """
    by_stream = [f".{stream}" for stream in sorted(streams)]
    if protocol in DETECTION_PROTOCOLS:
        readings = [
            f"{name}{how}" for how in ("", ".any_overlap") for name in ("precision", "recall", "f1", "false_alarms_per_hour")
        ]
        return [*readings, "silent_share"]
    if protocol == "classification":
        return [f"{name}{suffix}" for name in ("accuracy", "video_mAP") for suffix in ("", *by_stream)]
    if protocol == "clustering":
        return [f"{field.name}{suffix}" for field in fields(ClusterScores) for suffix in ("", ".shared")]
    levels = [f"{name}@{level:g}" for name in STATISTICS for level in LEVELS] if streams else []
    names = [*STATISTICS, *levels, "snippet_AP", *(f"attention.{kind}" for kind in KINDS), *PAIRS_OF_KINDS]
    return [f"{name}{suffix}" for name in names for suffix in ("", *by_stream)]


def check_metric(metric: Any, streams: Collection[str], tious: np.ndarray, with_parts: bool, options: Mapping[str, Any]) -> None:
    """See that there is such a metric.

    Args:
        streams: those of the features. tious: [K] the thresholds of detections.
        with_parts: whether some data says what is action and what context. options: those of `evaluate`.

    Raises:
        InputError: there is none; the nearest is named, or what it needs.
    """
    if not isinstance(metric, str) or not metric:
        raise InputError(f"expected a name such as mAP@0.5, found {metric!r}")
    before, colon, _ = metric.partition(":")
    if colon and before not in PROTOCOLS and not before.startswith("mAP@"):
        raise unknown(before, PROTOCOLS, f"{metric}: protocol")
    protocol, name = split_metric(metric)
    if protocol in DETECTION_PROTOCOLS and name.startswith("mAP"):
        over_thresholds(np.zeros(len(tious)), tious, name)
        return
    plain = re.sub(r"\.round\d+$", "", name) if protocol == "clustering" else name
    known = numbers_of(protocol, streams)
    if plain not in known:
        if not colon and (other := next((p for p in PROTOCOLS if name in numbers_of(p, streams)), None)):
            raise InputError(f"{metric}: is not of activitynet; write {other}:{metric}")
        near = nearest(plain, known)
        grid = ["mAP@avg", f"mAP@{tious[0]:g}"] if protocol in DETECTION_PROTOCOLS else []
        raise unknown(name, [near] if near else [*grid, *numbers_of(protocol)], metric)
    if protocol in DETECTION_PROTOCOLS and "min_score" not in options:
        raise InputError(f"{metric}: is of the detections above a score; say which: evaluate: {{min_score: 0.5}}")
    if protocol == "attention" and name.startswith(("attention.", *PAIRS_OF_KINDS)) and not with_parts:
        raise InputError(f"{metric}: no data set has 'parts', the file that says what is action and what context")
