"""`untrimmed evaluate`: how good a result is, by a named protocol."""

import os
from pathlib import Path

from untrimmed.evaluation.activitynet import DEFAULT_TIOU
from untrimmed.evaluation.results import AnyEvaluation
from untrimmed.runs.score import ScoreOptions, score


def evaluate(
    target: str | os.PathLike[str],
    *,
    annotations: str | Path | None = None,
    labels: str | Path | None = None,
    subset: str | None = None,
    tiou: str = DEFAULT_TIOU,
    protocol: str = "activitynet",
    map_clusters: str | None = None,
    map_clusters_oracle: bool = False,
    names: str | Path | None = None,
    min_score: float | None = None,
    parts: str | Path | None = None,
    diagnose: str | Path | None = None,
) -> AnyEvaluation:
    """Score a result against the truth, with notes on stderr about what was left out.

    Args:
        target: a detections file, a folder of stored activations, or a run folder that holds `detections.json`.
        annotations, labels ... diagnose: the fields of `ScoreOptions`, which says what each means.

    Raises:
        InputError: a file cannot be read, an unknown protocol, subset or label, nothing to score, or an option that the
            protocol does not know.
    """
    return score(
        Path(target),
        ScoreOptions(
            annotations=annotations,
            labels=labels,
            subset=subset,
            tiou=tiou,
            protocol=protocol,
            map_clusters=map_clusters,
            map_clusters_oracle=map_clusters_oracle,
            names=names,
            min_score=min_score,
            parts=parts,
            diagnose=diagnose,
        ),
    )
