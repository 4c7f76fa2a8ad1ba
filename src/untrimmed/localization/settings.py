"""How activations are cut into segments: the settings, in the order of the steps that they are of.

No step stands here, so that whoever only needs the settings (a preset, a run's config.yaml, a cache key) does not need the rest.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from untrimmed.data.errors import InputError
from untrimmed.data.settings import setting

Curve = Literal[
    "gated",
    "attention",
    "class",
    "logit",
    "normalized",
    "video",
    "snippet",
    "weighted",
    "positive",
    "softmax",
    "own",
    "proposals",
]
"""What of a stream is cut; each has a recipe in `recipes.py`."""


@dataclass(frozen=True)
class Localization:
    """How activations are cut into segments. The defaults are DGAM's for THUMOS14 (official code), less its quirks."""

    # Which classes a video is cut for.
    class_threshold: float = setting(
        0.1, "a class is kept where its video score is above this; the best one always is", low=0, high=1, source="DGAM config"
    )
    always_best: bool = setting(
        True, "the best class is kept even where no score is above class_threshold; false: such videos stay empty"
    )
    class_value: Literal["score", "top"] = setting(
        "score",
        "what class_threshold and class_weight look at: the video's class score, or the mean of its highest eighth of logits",
        choices=("score", "top"),
        source="top: W-TALC detectionMAP",
    )
    class_scores: Literal["stream", "mean", "softmax"] = setting(
        "stream",
        "keep classes by each stream's own video scores, by their weighted mean, or by the softmax of the mean of their logits",
        choices=("stream", "mean", "softmax"),
        source="softmax: TCAM",
    )

    class_share: float = setting(
        0.0,
        "and where it is above this share of the video's highest; 0: however low",
        low=0,
        high=1,
        source="3C-Net: 0.5",
    )

    # Curve: what of a stream is cut.
    curve: Curve = setting(
        "gated",
        "what is thresholded: attention times class activation, attention alone, class activation alone, or its logit, by "
        "which proposals are then scored as well; normalized: the logit brought to 0..1 by its minimum and maximum in the "
        "video; video, snippet: attention times the class score of the video, or of each snippet, which scores proposals as "
        "well; weighted: attention times class activation, scored by attention times logit; positive: the logit as a share of "
        "its maximum in the video, less its minimum where that is positive; softmax: a snippet's class score by itself, "
        "normalized; own: what the method itself makes of each snippet and class, which scores proposals as well; proposals: "
        "nothing, since the method brings segments and their scores",
        choices=get_args(Curve),
        source="logit: W-TALC; normalized: TCAM; video: TSRNet; snippet: ours, for videos with several classes; "
        "weighted: STPN; positive: BaS-Net; softmax: CMCS; own: CoLA and those after it; proposals: P-MIL",
    )
    literal: bool = setting(
        False,
        "leave an attention that sums to one over the video as it is, so that what is found in a long video scores lower",
        source="TSRNet's slides",
    )
    attention_share: float = setting(
        0.2, "share of the squared attention in the gated curve", low=0, high=1, source="DGAM utils: 0.8 signal + 0.2 attention^2"
    )

    # Up-sample and smooth.
    upsample: int = setting(20, "time steps per snippet", low=1, high=1000, source="DGAM config", by_stream=False)
    smooth: float = setting(
        0.0, "sigma in time steps of a Gaussian over the thresholded curve; 0 = none", low=0, source="25 for ActivityNet in DGAM"
    )
    smooth_share: float = setting(
        0.0,
        "a Savitzky-Golay filter of order one over the curve, its window this share of the video, 3 to 255 time steps; 0 = none",
        low=0,
        high=1,
        source="1/16 in TCAM",
    )

    # Threshold: where the proposals are.
    thresholds: tuple[float, ...] = setting(
        (0.03,), "levels that the curve is cut at; the runs of all levels are proposals", source="DGAM: 0.03 RGB, 0.08 flow"
    )
    attention_thresholds: tuple[float, ...] = setting(
        (), "with curve=own: absolute levels that the attention is cut at besides, for more proposals", source="CoLA, UM"
    )
    relative_to: Literal["none", "max", "mean", "range"] = setting(
        "none",
        "thresholds are absolute, multiples of the curve's maximum or mean in that video, or places between its minimum (0) and "
        "maximum (1)",
        choices=("none", "max", "mean", "range"),
        source="range: W-TALC",
    )
    dilate: int = setting(
        0,
        "runs above a threshold grow by half so many time steps at each end, and those that meet are one",
        low=0,
        source="TCAM: 20",
    )
    least: float = setting(0.0, "a proposal of fewer snippets is dropped", low=0, source="2 in W-TALC")

    # Score: what a proposal is worth.
    inside: Literal["mean", "max"] = setting(
        "mean", "a proposal's value: the mean or the maximum inside", choices=("mean", "max"), source="max: W-TALC"
    )
    contrast: float = setting(
        0.3, "weight of the surroundings in a proposal's score: inside - weight x (left + right)", low=0, source="DGAM utils"
    )
    sides: Literal["apart", "joined"] = setting(
        "apart",
        "the surroundings: the sum of the means at the two sides, or the mean over both together",
        choices=("apart", "joined"),
        source="joined: TCAM",
    )
    side: float = setting(0.25, "width of each side, as a share of the proposal's length", low=0, high=10, source="DGAM utils")
    class_weight: float = setting(0.0, "added to a proposal's score: this times the video's class score", low=0)

    # Fuse the streams.
    fusion: Literal["union", "weighted"] = setting(
        "union",
        "streams: the union of their proposals, or proposals of their weighted mean",
        choices=("union", "weighted"),
        by_stream=False,
    )
    stream_weight: float = setting(
        1.0, "weight of a stream in fused scores; the weights are divided by their sum", low=0, source="DGAM: 0.35 RGB, 0.65 flow"
    )

    # Suppress what overlaps.
    nms: float = setting(
        0.5, "of two detections of a class that overlap by more tIoU, the worse goes", low=0, high=1, source="DGAM", by_stream=False
    )
    soft_nms: float | None = setting(None, "sigma of soft suppression instead of the hard one", low=1e-6, by_stream=False)

    # As released.
    official: bool = setting(
        False,
        "keep what costs the released codes of DGAM, STPN, BaS-Net (curve=positive), CMCS (curve=softmax), CoLA and UM "
        "(curve=own) results, such as left-aligned snippets, a lost first class and step, no NMS within a stream",
        by_stream=False,
    )
    streams: dict[str, dict[str, Any]] = setting({}, "settings that differ by stream")

    def __post_init__(self) -> None:
        if self.fusion == "weighted":
            for stream, of_stream in self.streams.items():
                if ignored := sorted(set(of_stream) - {"stream_weight"}):
                    raise InputError(
                        f"localization.{stream}.{ignored[0]}: with fusion=weighted only stream_weight differs by stream"
                    )
