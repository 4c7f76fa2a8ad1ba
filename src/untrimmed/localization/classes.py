"""Which classes a video is cut for."""

import numpy as np
from scipy.special import softmax

from untrimmed.data.settings import of_stream
from untrimmed.data.types import Activation, StreamActivation
from untrimmed.localization.settings import Localization


def kept_classes(activation: Activation, settings: Localization) -> dict[str, float]:
    """The classes that any stream is localized for, with their video score: the streams' weighted mean."""
    names = list(activation.streams)
    scores = np.array([class_value(activation.streams[name], of_stream(settings, name)) for name in names])
    weights = np.array([of_stream(settings, name).stream_weight for name in names])
    mean = mean_scores(scores, weights if weights.sum() > 0 else None, settings)
    if settings.class_scores != "stream" or settings.fusion == "weighted":
        kept = high_enough(mean[None], settings)[0]
    else:
        kept = np.any([high_enough(row[None], of_stream(settings, name))[0] for name, row in zip(names, scores)], axis=0)
    return {activation.classes[c]: float(mean[c]) for c in np.flatnonzero(kept)}


def class_value(stream: StreamActivation, settings: Localization) -> np.ndarray:
    """How surely each class is in the video, [C]; `top` as in W-TALC's detection: the mean of the T // 8 highest logits."""
    if settings.class_value == "score":
        return stream.class_score
    count = max(len(stream.class_logit) // 8, 1)
    return np.sort(np.asarray(stream.class_logit, dtype=np.float64), axis=0)[-count:].mean(0)


def mean_scores(scores: np.ndarray, weights: np.ndarray | None, settings: Localization) -> np.ndarray:
    """The streams' scores [S, ..., C] as one, [..., C].

    The softmax of the mean of logits is the geometric mean of the softmaxes, scaled to sum one; what a stream's scores lack to
    one is its background, which is dropped again.
    """
    if settings.class_scores != "softmax":
        return np.average(scores, axis=0, weights=weights)
    background = 1 - scores.sum(-1, keepdims=True)
    logs = np.log(np.maximum(np.concatenate([scores, background], -1), 1e-12))
    return softmax(np.average(logs, axis=0, weights=weights), axis=-1)[..., :-1]


def high_enough(scores: np.ndarray, settings: Localization) -> np.ndarray:
    """Which classes of each video, [V, C], score above the threshold; with `always_best` the best one where none does."""
    kept = scores > settings.class_threshold
    if settings.class_share:
        kept &= scores > settings.class_share * scores.max(1, keepdims=True)
    if settings.always_best:
        kept[np.arange(len(scores)), scores.argmax(1)] |= ~kept.any(1)
    return kept
