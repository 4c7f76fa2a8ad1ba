"""Which kinds of models `hub` reads, and what of each kind's output is the feature. Other kinds are refused.

Where a kind is listed with `head`, weights that come with a classifier keep all of its layers but the last: these kinds have
their final norm or their pooling there, so that the backbone alone says something else than what was trained.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from untrimmed.data.errors import InputError

Summary = Literal["first", "pooled", "mean"]


@dataclass(frozen=True)
class Kind:
    """How a kind of model is read.

    summary: the feature: the `first` token, the output that the model has `pooled` itself, or the `mean` over tokens or places.
    part: the half that looks, of a model of pictures and text.
    clip: the setting of its configuration that says how many frames it takes at once; empty: it takes one picture at a time.
    head: the last norm or the pooling lies in the classifier's head.
    patches: it takes a picture of any shape, cut into patches (NaFlex).
    """

    summary: Summary
    part: str = ""
    clip: str = ""
    head: bool = False
    patches: bool = False


def _alike(names: str, kind: Kind) -> dict[str, Kind]:
    return dict.fromkeys(names.split(), kind)


KINDS: dict[str, Kind] = {
    **_alike("deit dinov2 dinov2_with_registers dinov3_vit mlcd mlcd_vision_model pvt vit vit_msn", Kind("first")),
    **_alike("bit convnext convnextv2 dinov3_convnext efficientnet focalnet hiera mobilenet_v1 mobilenet_v2", Kind("pooled")),
    **_alike("mobilevit mobilevitv2 regnet resnet swin swinv2", Kind("pooled")),
    **_alike("aimv2_vision_model beit chinese_clip_vision_model clip_vision_model pixio sapiens2", Kind("pooled")),
    **_alike("siglip_vision_model tipsv2_vision_model", Kind("pooled")),
    **_alike("aimv2 altclip blip chinese_clip clip metaclip_2 siglip tipsv2", Kind("pooled", part="vision_model")),
    "siglip2": Kind("pooled", part="vision_model", patches=True),
    "siglip2_vision_model": Kind("pooled", patches=True),
    "data2vec-vision": Kind("first", head=True),
    **_alike("cvt poolformer swiftformer", Kind("mean", head=True)),
    **_alike("ijepa levit pvt_v2 segformer", Kind("mean")),
    **_alike("timesformer vivit", Kind("first", clip="num_frames")),
    "videomae": Kind("mean", clip="num_frames", head=True),
    "videoprism_vision_model": Kind("mean", clip="num_frames", head=True),
    "videoprism": Kind("pooled", part="video_model", clip="num_frames"),
    "vjepa2": Kind("mean", clip="frames_per_clip", head=True),
    "xclip": Kind("pooled", clip="num_frames"),
}
"""By `model_type`. docs/model-types.md is made from it; tests/video/model_types.py tries every one."""

WIDTHS: dict[str, Callable[[Any], int]] = {
    "cvt": lambda c: c.embed_dim[-1],
    "efficientnet": lambda c: c.hidden_dim,
    "focalnet": lambda c: c.embed_dim * 2 ** (len(c.depths) - 1),
    "hiera": lambda c: round(c.embed_dim * c.embed_dim_multiplier ** (len(c.depths) - 1)),
    "mobilenet_v1": lambda c: max(round(1024 * c.depth_multiplier), c.min_depth),
    "mobilenet_v2": lambda c: 1280 if c.finegrained_output and c.depth_multiplier < 1 else _divisible(1280 * c.depth_multiplier, c),
    "mobilevit": lambda c: c.neck_hidden_sizes[-1],
    "mobilevitv2": lambda c: _by_eight(512 * c.width_multiplier),
    "swiftformer": lambda c: c.embed_dims[-1],
    "swin": lambda c: c.embed_dim * 2 ** (len(c.depths) - 1),
    "swinv2": lambda c: c.embed_dim * 2 ** (len(c.depths) - 1),
}
"""The width of the features, where it is neither `hidden_sizes[-1]` nor `hidden_size`."""


def kind_of(about: Any, where: str) -> Kind:
    """How a model of this configuration is read.

    Raises:
        InputError: it is of a kind that `hub` does not read.
    """
    if (kind := KINDS.get(about.model_type)) is None:
        raise InputError(f"{where}: a model of kind {about.model_type!r} is no image or video backbone that hub reads")
    return kind


def vision_of(about: Any) -> Any:
    """The configuration of the half that looks."""
    return getattr(about, "vision_config", None) or about


def width_of(about: Any, where: str) -> int:
    """How many numbers a feature has.

    Raises:
        InputError: the configuration does not say it.
    """
    vision = vision_of(about)
    try:
        if about.model_type == "xclip":
            width = about.projection_dim
        elif about.model_type in WIDTHS:
            width = WIDTHS[about.model_type](vision)
        else:
            width = (getattr(vision, "hidden_sizes", None) or [vision.hidden_size])[-1]
    except (AttributeError, TypeError, IndexError) as error:
        raise InputError(f"{where}: its config.json does not say how wide its features are ({error})") from error
    if not isinstance(width, int) or width < 1:
        raise InputError(f"{where}: its config.json says that its features have a width of {width!r}")
    return width


def has_head(about: Any, kind: Kind) -> bool:
    """Whether the weights come with a classifier whose head holds a part of the backbone."""
    return kind.head and any(name.endswith("Classification") for name in about.architectures or ())


def without_last_layer(network: nn.Module) -> None:
    """Let a classifier return what its last layer sees in place of scores."""
    for name in ("classifier", "head", "dist_head"):
        if isinstance(getattr(network, name, None), nn.Linear):
            setattr(network, name, nn.Identity())


def call(network: Any, kind: Kind, about: Any, x: Tensor, headed: bool) -> Tensor:
    """The features `[N, D]` of pictures `[N, C, H, W]` or of clips `[N, F, C, H, W]`."""
    if about.model_type == "xclip":
        found = network.get_video_features(pixel_values=x)
        return getattr(found, "pooler_output", found)
    more: dict[str, Any] = {}
    if kind.patches:
        x, more = cut(x, vision_of(about).patch_size)
    elif about.model_type == "vjepa2" and not headed:
        more = {"skip_predictor": True}
    out = network(**{network.main_input_name: x}, **more)
    return out.logits if headed else _summary(out, kind)


def _summary(out: Any, kind: Kind) -> Tensor:
    if kind.summary == "pooled":
        return out.pooler_output.flatten(1)
    last = out.last_hidden_state
    if last.ndim == 4:
        return last.mean((2, 3))
    return last[:, 0] if kind.summary == "first" else last.mean(1)


def cut(x: Tensor, side: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Pictures `[N, C, H, W]` as rows of patches `[N, P, side * side * C]`, and what NaFlex models want to know of them."""
    count, channels, height, width = x.shape
    rows, columns = height // side, width // side
    patches = x.reshape(count, channels, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
    mask = torch.ones(count, rows * columns, dtype=torch.int32, device=x.device)
    return patches, {"pixel_attention_mask": mask, "spatial_shapes": torch.tensor([[rows, columns]] * count, device=x.device)}


def _divisible(value: float, about: Any) -> int:
    """Rounded to a multiple, by at most ten per cent down, as the MobileNets do with widths."""
    by, least = about.depth_divisible_by, about.min_depth
    rounded = max(least, int(value + by / 2) // by * by)
    return int(rounded + by if rounded < 0.9 * value else rounded)


def _by_eight(value: float) -> int:
    rounded = max(8, int(value + 4) // 8 * 8)
    return int(rounded + 8 if rounded < 0.9 * value else rounded)
