"""Extractors: each turns windows of pictures and flow into one row of features per stream. One file each.

class Extractor:
    name: str
    Config: a frozen dataclass of settings (data/settings.py) with at least fps, frames, stride
    needs_flow: bool
    streams: {name: D}
    Extractor(config)                               cheap; what is costly is loaded at the first call
    frame_size(width, height) -> (width, height)    the size at which it wants the pictures
    __call__(frames uint8 [B, F, H, W, 3], flow float32 [B, F, H, W, 2] | None) -> {stream: float32 [B, D]}
"""

import importlib
from collections.abc import Mapping
from typing import Any

from untrimmed.data.settings import build, unknown

EXTRACTORS = {"motion": "untrimmed.video.extractors.motion"}


def make_extractor(name: str, settings: Mapping[str, Any] | None = None) -> Any:
    """The extractor of that name; a setting that is not given keeps its default.

    Raises:
        InputError: no such extractor or setting (the nearest match is named), or a value of the wrong type or range.
    """
    if name not in EXTRACTORS:
        raise unknown(name, EXTRACTORS, "extractor")
    extractor = importlib.import_module(EXTRACTORS[name]).Extractor
    return extractor(build(extractor.Config, settings or {}, name))
