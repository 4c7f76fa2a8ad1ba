"""From activations to detections: prepare, fuse, cut each stream by its recipe, suppress."""

from collections.abc import Sequence

import numpy as np

from untrimmed.data.settings import of_stream
from untrimmed.data.types import Activation, Detection, Results, StreamActivation
from untrimmed.localization.nms import suppress
from untrimmed.localization.proposals import Proposals
from untrimmed.localization.recipes import LONGER, OFFICIAL, RECIPES, dgam_official
from untrimmed.localization.settings import Localization
from untrimmed.localization.steps import fused, kept_rows
from untrimmed.stages import stage

MAX_STEPS = 400_000
"""Fine time steps handled at once, so that memory does not grow with the number of videos; a longer video is one batch."""


@stage("segments")
def localize(activations: Sequence[Activation], settings: Localization) -> Results:
    """Cut activations into detections.

    Args:
        activations: any number of videos with the same classes and streams.

    Returns:
        Per video its detections, best first; an empty list where nothing is found.
    """
    results: Results = {}
    batch: list[Activation] = []
    steps = 0
    for activation in activations:
        needed = activation.timeline.count * settings.upsample
        if batch and steps + needed > MAX_STEPS:
            results |= _localize_batch(batch, settings)
            batch, steps = [], 0
        batch.append(activation)
        steps += needed
    return results | (_localize_batch(batch, settings) if batch else {})


def _localize_batch(activations: Sequence[Activation], settings: Localization) -> Results:
    """All videos of a batch at once."""
    classes = activations[0].classes
    by_stream = _propose(activations, settings)
    proposals = Proposals.concatenate(by_stream)
    start, end = _seconds(activations, proposals, settings)
    group = proposals.video * len(classes) + proposals.label
    if settings.official:
        group = apart_unless_in_all(np.split(group, np.cumsum([len(part.score) for part in by_stream])[:-1]))
    keep = np.flatnonzero(end > start)
    longer = LONGER.get(settings.curve, 0.0) if settings.official else 0.0
    chosen, score = suppress(group[keep], start[keep], end[keep] + longer, proposals.score[keep], settings.nms, settings.soft_nms)
    chosen = keep[chosen]

    results: Results = {activation.video: list(activation.segments or []) for activation in activations}
    for i in np.lexsort((-score, proposals.video[chosen])):
        k = chosen[i]
        name = activations[proposals.video[k]].video
        results[name].append(Detection(float(start[k]), float(end[k]), classes[proposals.label[k]], float(score[i])))
    return results


def _propose(activations: Sequence[Activation], settings: Localization) -> list[Proposals]:
    """The proposals of each stream that is cut; none of videos that bring their own."""
    names = list(activations[0].streams)
    weights = np.array([of_stream(settings, name).stream_weight for name in names])
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(names), 1 / len(names))
    views = [[_prepare(activation, name, of_stream(settings, name)) for activation in activations] for name in names]
    if settings.fusion == "weighted":
        views = [[fused(of_video, weights, settings) for of_video in zip(*views)]]
        names, weights = ["fused"], np.ones(1)
    bring_none = np.array([activation.segments is None for activation in activations])
    proposals = []
    for number, name in enumerate(names):
        rows = kept_rows(views, number, weights, of_stream(settings, name))
        curve = rows.settings.curve
        recipe = OFFICIAL.get(curve, dgam_official) if settings.official else RECIPES[curve]
        proposed = recipe(rows)
        proposals.append(proposed[bring_none[proposed.video]])
    return proposals


def _prepare(activation: Activation, name: str, settings: Localization) -> StreamActivation:
    """A stream's activation with an attention of about 1: a distribution is multiplied by its length, unless `literal`."""
    stream = activation.streams[name]
    if stream.attention is None or activation.attention_kind == "gate" or settings.literal:
        return stream
    return StreamActivation(stream.attention * len(stream.attention), stream.class_logit, stream.class_score, stream.extra)


def _seconds(activations: Sequence[Activation], proposals: Proposals, settings: Localization) -> tuple[np.ndarray, np.ndarray]:
    """When each proposal begins and ends, [N] each, inside the video."""
    timelines = [activation.timeline for activation in activations]
    origin, step, length = (np.array([getattr(t, n) for t in timelines])[proposals.video] for n in ("start", "step", "duration"))
    # Step j begins at edge(j / upsample): the last step of a proposal is included, so it ends where the next begins.
    start = np.clip(origin + proposals.first / settings.upsample * step, 0.0, length)
    end = np.clip(origin + (proposals.last + 1) / settings.upsample * step, 0.0, length)
    return start, end


def apart_unless_in_all(groups: Sequence[np.ndarray]) -> np.ndarray:
    """Groups to suppress in as the released DGAM code has them, [N]: a class that not all streams find keeps all its runs.

    Args:
        groups: [S] by stream, the (video, class) of each of its proposals.
    """
    group = np.concatenate(groups)
    in_all = np.logical_and.reduce([np.isin(group, of_stream) for of_stream in groups])
    return np.where(in_all, group, group.max(initial=0) + 1 + np.arange(len(group)))
