"""Each paper's cutter as the list of its steps: curve, up-sample, smooth, threshold, score.

A recipe takes the (video, class) pairs that one stream keeps, and gives scored proposals; `pipeline.py` fuses the streams and
suppresses what overlaps. The steps are in `steps.py`, and settings say how each is done; a paper's values are its preset, in
the `.yaml` beside the method.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from untrimmed.localization.proposals import Proposals, Runs, each_once
from untrimmed.localization.steps import (
    Rows,
    attention,
    brought,
    logits,
    mean_over_streams,
    normalized,
    own_scores,
    positive,
    scored,
    sigmoid,
    smoothed,
    snippet_scores,
    thresholded,
    upsampled,
    weighted_scores,
)


def dgam(rows: Rows) -> Proposals:
    """DGAM (Shi et al., CVPR 2020, arXiv 2003.12424): cut 0.8 lambda s + 0.2 lambda^2, lambda the attention and s the sigmoid of
    the class activation; score by lambda^2 times the mean of the streams' s."""
    gate, activation = attention(rows), [sigmoid(logit) for logit in logits(rows)]
    share = rows.settings.attention_share if rows.has_attention else 0.0
    gated = upsampled(rows, gate * activation[rows.number])
    curve = smoothed(rows, (1 - share) * gated + share * upsampled(rows, gate) ** 2)
    score = upsampled(rows, gate**2 * mean_over_streams(rows, activation))
    return scored(rows, thresholded(rows, curve), score)


def by_attention(rows: Rows) -> Proposals:
    """Cut the attention lambda alone, score as DGAM."""
    gate, activation = attention(rows), [sigmoid(logit) for logit in logits(rows)]
    curve = smoothed(rows, upsampled(rows, gate))
    score = upsampled(rows, gate**2 * mean_over_streams(rows, activation))
    return scored(rows, thresholded(rows, curve), score)


def by_class(rows: Rows) -> Proposals:
    """Cut the class activation s alone, score as DGAM."""
    gate, activation = attention(rows), [sigmoid(logit) for logit in logits(rows)]
    curve = smoothed(rows, upsampled(rows, activation[rows.number]))
    score = upsampled(rows, gate**2 * mean_over_streams(rows, activation))
    return scored(rows, thresholded(rows, curve), score)


def wtalc(rows: Rows) -> Proposals:
    """W-TALC (Paul et al., ECCV 2018, arXiv 1807.10418): cut the class logit at the middle of its range in the video
    (`relative_to`), score by its peak (`inside`)."""
    logit = logits(rows)
    curve = smoothed(rows, upsampled(rows, logit[rows.number]))
    score = upsampled(rows, mean_over_streams(rows, logit))
    return scored(rows, thresholded(rows, curve), score)


def tcam(rows: Rows) -> Proposals:
    """TCAM (Gong et al., CVPR 2020): bring the logit to 0..1 in the video, smooth it (`smooth_share`), cut it at many parts of its
    mean, dilate the runs (`dilate`), score by the same curve."""
    curve = smoothed(rows, upsampled(rows, normalized(rows, logits(rows)[rows.number])))
    return scored(rows, thresholded(rows, curve), curve)


def tsrnet(rows: Rows) -> Proposals:
    """TSRNet (Zhang et al., AAAI 2019, arXiv 1902.07370): cut w = attention times the video's class score at its mean, score by w.

    With `curve=snippet`, ours, it is times each snippet's class score, for videos that show several classes.
    """
    w = weighted_scores(rows)
    curve = smoothed(rows, upsampled(rows, w[rows.number]))
    score = upsampled(rows, mean_over_streams(rows, w))
    return scored(rows, thresholded(rows, curve), score)


def stpn(rows: Rows) -> Proposals:
    """STPN (Nguyen et al., CVPR 2018, arXiv 1712.05080): cut the weighted T-CAM, lambda times the sigmoid of the class activation;
    score by lambda times the mean of the streams' class activations themselves."""
    gate, logit = attention(rows), logits(rows)
    curve = smoothed(rows, upsampled(rows, gate * sigmoid(logit[rows.number])))
    score = upsampled(rows, gate * mean_over_streams(rows, logit))
    return scored(rows, thresholded(rows, curve), score)


def basnet(rows: Rows) -> Proposals:
    """BaS-Net (Lee et al., AAAI 2020, arXiv 1911.09963): bring the logit to 0..1 by its positive part, cut it at many levels, score
    by the same curve."""
    curve = smoothed(rows, upsampled(rows, positive(rows, logits(rows)[rows.number])))
    return scored(rows, thresholded(rows, curve), curve)


def cmcs(rows: Rows) -> Proposals:
    """CMCS (Liu et al., CVPR 2019): bring each snippet's class score to 0..1 in the video, cut it at its mean, dilate the runs
    (`dilate`), score by the same curve."""
    curve = smoothed(rows, upsampled(rows, normalized(rows, snippet_scores(rows))))
    return scored(rows, thresholded(rows, curve), curve)


def own(rows: Rows) -> Proposals:
    """CoLA (Zhang et al., CVPR 2021, arXiv 2103.16392) and those after it: cut what the method itself makes of each snippet and
    class, and besides its attention (`attention_thresholds`); score by the former."""
    scores, settings = own_scores(rows), rows.settings
    curve = smoothed(rows, upsampled(rows, scores[rows.number]))
    runs = thresholded(rows, curve)
    if settings.attention_thresholds:
        levels = replace(rows, settings=replace(settings, thresholds=settings.attention_thresholds, relative_to="none"))
        runs = each_once(Runs.concatenate([runs, thresholded(levels, smoothed(rows, upsampled(rows, attention(rows))))]))
    return scored(rows, runs, upsampled(rows, mean_over_streams(rows, scores)))


def pmil(rows: Rows) -> Proposals:
    """P-MIL (Ren et al., CVPR 2023, arXiv 2305.17861): nothing is cut; its proposals have scores already."""
    return brought(rows)


RECIPES: dict[str, Callable[[Rows], Proposals]] = {
    "gated": dgam,
    "attention": by_attention,
    "class": by_class,
    "logit": wtalc,
    "normalized": tcam,
    "video": tsrnet,
    "snippet": tsrnet,
    "weighted": stpn,
    "positive": basnet,
    "softmax": cmcs,
    "own": own,
    "proposals": pmil,
}
"""The recipe of each value of the setting `curve`."""


# As released, `official=true`: with what costs a code results ----------------------------------------------------------------


def dgam_official(rows: Rows) -> Proposals:
    """A recipe as the released code of DGAM follows it, and that of STPN which it is made from.

    Snippets are left-aligned. The code asks `.any()` of indices where it means "is there one": a stream that keeps only class 0
    finds nothing, and the single first step is no run. What it does to suppression is in `pipeline.apart_unless_in_all`.
    """
    return _lost_firsts(rows, RECIPES[rows.settings.curve])


def basnet_official(rows: Rows) -> Proposals:
    """Besides what DGAM's does: a kept class counts with 1, not with its score; and at each level, what is below it counts 0 in the
    surroundings."""

    def recipe(rows: Rows) -> Proposals:
        rows = replace(rows, value=np.ones(len(rows.value)))
        return _by_level(rows, upsampled(rows, positive(rows, logits(rows)[rows.number])))

    return _lost_firsts(rows, recipe)


def own_official(rows: Rows) -> Proposals:
    """Of CoLA and UM: besides what DGAM's does, at each level of the method's own scores what is below it counts 0 in the
    surroundings; not so of proposals from the attention."""

    def recipe(rows: Rows) -> Proposals:
        curve = upsampled(rows, own_scores(rows)[rows.number])
        levels = replace(rows, settings=replace(rows.settings, thresholds=rows.settings.attention_thresholds))
        runs = thresholded(levels, upsampled(rows, attention(rows)))
        return Proposals.concatenate([_by_level(rows, curve), scored(rows, runs, curve, _quarters(runs))])

    return _lost_firsts(rows, recipe)


def cmcs_official(rows: Rows) -> Proposals:
    """Snippets are left-aligned, and nothing is found after the last one's left edge. A side is one step wide at least; the left
    one is lost where it would begin a step or more before the video."""
    rows = replace(rows, left_aligned=True, until_last=True)
    curve = upsampled(rows, normalized(rows, snippet_scores(rows)))
    runs = thresholded(rows, curve)
    left, right = _quarters(runs)
    left = np.where(runs.first - (runs.last - runs.first + 1) / 4 <= -1, 0, np.maximum(left, 1))
    return scored(rows, runs, curve, (left, np.maximum(right, 1)))


OFFICIAL: dict[str, Callable[[Rows], Proposals]] = {
    "positive": basnet_official,
    "softmax": cmcs_official,
    "own": own_official,
}
"""The recipe of each value of `curve` with `official=true`, where it is another than `dgam_official`."""
LONGER = {"positive": 1.0, "own": 1.0}
"""By so many seconds such a code takes segments to be longer than they are when it suppresses what overlaps."""


def _lost_firsts(rows: Rows, recipe: Callable[[Rows], Proposals]) -> Proposals:
    rows = rows[np.isin(rows.video, rows.video[rows.label > 0])]
    proposals = recipe(replace(rows, left_aligned=True))
    return proposals[(proposals.first > 0) | (proposals.last > 0)]


def _by_level(rows: Rows, curve: np.ndarray) -> Proposals:
    """Proposals of each level by itself, scored by the curve of which what is below the level is zero."""
    found = [Proposals(*np.empty((5, 0), dtype=np.intp))]
    for level in rows.settings.thresholds:
        runs = thresholded(replace(rows, settings=replace(rows.settings, thresholds=(level,))), curve)
        found.append(scored(rows, runs, np.where(curve < level, 0.0, curve), _quarters(runs)))
    return Proposals.concatenate(found)


def _quarters(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """The width of either side, a quarter of the run: rounded up on the left, down on the right."""
    size = runs.last - runs.first + 1
    return -(-size // 4), size // 4
