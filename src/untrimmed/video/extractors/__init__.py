"""Extractors: each turns windows of pictures and flow into one row of features per stream. One file each.

class Extractor:
    name: str
    Config: a frozen dataclass with at least fps, frames, stride
    needs_flow: bool
    streams: {name: D}
    Extractor(config)                               cheap; what is costly is loaded at the first call
    frame_size(width, height) -> (width, height)    the size at which it wants the pictures
    __call__(frames uint8 [B, F, H, W, 3], flow float32 [B, F, H, W, 2] | None) -> {stream: float32 [B, D]}
"""

import difflib
import importlib
import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from untrimmed.data.errors import InputError

EXTRACTORS = {"motion": "untrimmed.video.extractors.motion"}


def make_extractor(name: str, settings: Mapping[str, Any] | None = None) -> Any:
    """The extractor of that name. Settings may be text, as a command line gives them; what is not given keeps its default.

    Raises:
        InputError: no such extractor or setting (the nearest match is named), or a value of the wrong type or range.
    """
    if name not in EXTRACTORS:
        raise InputError(f"there is no extractor {name!r}{_nearest(name, EXTRACTORS)}; there are: {', '.join(EXTRACTORS)}")
    extractor = importlib.import_module(EXTRACTORS[name]).Extractor
    wanted = typing.get_type_hints(extractor.Config)
    known = {field.name: wanted[field.name] for field in fields(extractor.Config)}
    values = {}
    for key, value in (settings or {}).items():
        if key not in known:
            raise InputError(f"the extractor {name!r} has no setting {key!r}{_nearest(key, known)}; it has: {', '.join(known)}")
        values[key] = _typed(key, value, known[key])
    return extractor(extractor.Config(**values))


def _typed(key: str, value: Any, kind: Any) -> Any:
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if isinstance(value, str) and value.lower() in ("none", "null") and type(None) in kinds:
        return None
    kind = next(k for k in kinds if k is not type(None))
    if isinstance(value, bool) and kind is not bool:
        raise InputError(f"{key}: expected {_words(kind)}, not {value!r}")
    try:
        if kind is bool and isinstance(value, str):
            return {"true": True, "false": False}[value.lower()]
        if kind is int and isinstance(value, float) and not value.is_integer():
            raise ValueError
        return kind(value)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise InputError(f"{key}: expected {_words(kind)}, not {value!r}") from None


def _words(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, kind.__name__)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
