"""How pictures become a network's input, read from the model's preprocessor file, as the library `transformers` reads it.

The decoder resizes (bilinear); the rest is done here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json
from untrimmed.video.extractors.networks import first_line

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
FILES = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
DEFAULTS: dict[str, dict[str, Any]] = {
    "EfficientNet": {"include_top": True},
    "Levit": {"crop_pct": 224 / 256},
    "MobileViT": {"do_flip_channel_order": True, "do_normalize": False},
    "Vivit": {"rescale_factor": 1 / 127.5, "offset": True},
}
"""What these kinds of processors do unless their file says otherwise, and no others do."""


@dataclass(frozen=True)
class Preparation:
    """Resize (the shorter side, or height and width), crop the middle, then scale, subtract the offset, and normalize.

    bgr: the colours in the order of OpenCV.
    patches: (side, most): in place of resizing, as many patches of that side as there may be, in the picture's own shape.
    """

    resize: int | tuple[int, int]
    crop: tuple[int, int]
    scale: float
    offset: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False
    patches: tuple[int, int] | None = None

    def frame_size(self, width: int, height: int) -> tuple[int, int]:
        """The size, width first, in which frames of that size are taken."""
        if self.patches is not None:
            return _in_patches(width, height, *self.patches)
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        longer = int(self.resize * max(width, height) / min(width, height))
        width, height = (longer, self.resize) if width >= height else (self.resize, longer)
        return max(self.crop[1], width), max(self.crop[0], height)

    def middle(self, x: Tensor) -> Tensor:
        """The middle of `[..., H, W, C]`."""
        if self.patches is not None:
            return x
        top, left = (x.shape[-3] - self.crop[0]) // 2, (x.shape[-2] - self.crop[1]) // 2
        return x[..., top : top + self.crop[0], left : left + self.crop[1], :]

    def __call__(self, frames: Tensor) -> Tensor:
        """Pictures uint8 `[..., H, W, 3]` as the network takes them: float32 `[..., 3, H, W]`."""
        x = self.middle(frames)
        if self.bgr:
            x = x.flip(-1)
        mean, std = (torch.tensor(values, device=x.device, dtype=torch.float32) for values in (self.mean, self.std))
        return torch.addcmul(-(self.offset + mean) / std, x.float(), self.scale / std).movedim(-1, -3)


def preparation_of(folder: Path, vision: Any) -> Preparation:
    """As the preprocessor's file says, whichever of its spellings it uses; without one, as is usual for ImageNet.

    Raises:
        InputError: the file cannot be read, or says what cannot be meant.
    """
    try:
        return _preparation(_said(folder), vision)
    except InputError:
        raise
    except Exception as error:  # any value may be of any kind
        raise InputError(f"{folder}: its preprocessor_config.json is not understood ({first_line(error)})") from error


def _said(folder: Path) -> dict[str, Any]:
    for name in FILES:
        if (folder / name).is_file():
            content = read_json(folder / name)
            said = dict(content.get("video_processor") or content.get("image_processor") or content)
            types = [str(said.get(f"{kind}_type", "")) for kind in ("image_processor", "video_processor", "feature_extractor")]
            defaults = [DEFAULTS[known] for known in DEFAULTS if any(type_.startswith(known) for type_ in types)]
            return {**defaults[0], **said} if defaults else said
    return {}


def _preparation(said: Mapping[str, Any], vision: Any) -> Preparation:
    resize, crop = _sizes(said, vision)
    rescales, normalizes = said.get("do_rescale", True), said.get("do_normalize", True)
    mean, std = (_three(said.get(name) or IMAGENET[name]) for name in ("image_mean", "image_std"))
    again = std if said.get("include_top") else (1.0,) * 3  # EfficientNet divides by the deviation once more
    if not normalizes:
        mean, std = (0.0,) * 3, (1.0,) * 3
    std = tuple(a * b for a, b in zip(std, again))
    offset = 1.0 if rescales and (said.get("offset") or said.get("rescale_offset")) else 0.0
    patches = (int(said["patch_size"]), int(said["max_num_patches"])) if said.get("max_num_patches") else None
    scale = float(said.get("rescale_factor", 1 / 255)) if rescales else 1.0
    return Preparation(resize, crop, scale, offset, mean, std, bool(said.get("do_flip_channel_order")), patches)


def _three(value: Any) -> tuple[float, ...]:
    """One number for each colour."""
    return tuple(float(v) for v in value) if isinstance(value, list | tuple) else (float(value),) * 3


def _sizes(said: Mapping[str, Any], vision: Any) -> tuple[int | tuple[int, int], tuple[int, int]]:
    """What to resize to, and what to crop from it."""
    size = said.get("size") or getattr(vision, "image_size", None) or getattr(vision, "crop_size", None) or 224
    crops = said.get("do_center_crop", bool(said.get("crop_size")) or not said)
    crop = _pair(said.get("crop_size") or size)
    resize: int | tuple[int, int]
    if isinstance(size, Mapping) and "shortest_edge" in size:
        resize = int(size["shortest_edge"])
        if share := said.get("crop_pct"):  # ConvNeXt's and ResNet's way of saying a crop; from 384 on they squeeze
            squeezes = "crop_size" not in said and resize >= 384
            resize = _pair(size) if squeezes else int(resize / share)
    else:
        resize = min(_pair(size)) if crops and not isinstance(size, Mapping) else _pair(size)
    if isinstance(resize, tuple) and not crops:
        crop = resize
    return resize, crop


def _pair(size: Any) -> tuple[int, int]:
    """Height and width."""
    if isinstance(size, Mapping):
        return (int(size["height"]), int(size["width"])) if "height" in size else (int(size["shortest_edge"]),) * 2
    if isinstance(size, list | tuple):
        return int(size[0]), int(size[1])
    return int(size), int(size)


def _in_patches(width: int, height: int, side: int, most: int) -> tuple[int, int]:
    """The largest size, in multiples of `side` and nearly of the same shape, that has at most that many patches."""
    low, high = 1e-6, 100.0
    while high - low >= 1e-5:
        scale = (low + high) / 2
        across, down = (max(1, math.ceil(length * scale / side)) for length in (width, height))
        low, high = (scale, high) if across * down <= most else (low, scale)
    across, down = (max(1, math.ceil(length * low / side)) for length in (width, height))
    return across * side, down * side
