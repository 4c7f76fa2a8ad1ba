"""Extractors: each turns windows of frames and flow into one row of features per stream. One file each.

class Extractor:
    name: str
    Config: a frozen dataclass of settings (data/settings.py) with at least fps, frames, stride
    needs_flow: bool
    streams: {name: D}
    Extractor(config)                               cheap; what is costly is loaded by load(), or at the first call
    frame_size(width, height) -> (width, height)    the size in which it takes the frames; without it: unchanged, or the longer
                                                    side scaled to config.size where there is such a setting
    __call__(frames uint8 [B, F, H, W, 3], flow float32 [B, F, H, W, 2] | None) -> {stream: float32 [B, D]}

Optional:
    config: as made, which may differ from what was given (a path made absolute)
    weights_sha256: str         of the files that it reads
    threads: int                of its network on the CPU, set before anything is loaded
    device: str = "cpu"         where it computes, set before anything is loaded; without this attribute it is the CPU
    batch: int                  windows that it wants together
    load()                      raises InputError where its weights are at fault
A setting that is a place, not a choice, is called `model` or ends in `weights`: two stores are alike where the hashes are.

Only an extractor that holds a network imports torch, so that the workers of all others start at once and stay small.
"""

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.data.settings import build, unknown
from untrimmed.video.extractors.named import NAMED

EXTRACTORS = {name: f"untrimmed.video.extractors.{name}" for name in ("motion", "i3d", "hub")}
ENTRY_POINTS = "untrimmed.extractors"
"""The group of entry points under which installed packages name extractors of their own."""


def extractor_names() -> list[str]:
    """All extractors: ours, and those of installed packages."""
    return sorted({*EXTRACTORS, *NAMED, *_entry_points()})


def plain_name(name: str, settings: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """`hub:MODEL`, or a model's own name, as the extractor `hub` with its settings; others as they are."""
    kind, colon, model = name.partition(":")
    if colon and kind == "hub":
        return kind, {"model": model, **(settings or {})}
    if name in NAMED:
        commit = {"revision": ""} if "model" in (settings or {}) else {}  # another model's commits are others
        return "hub", {**NAMED[name].settings(), **commit, **(settings or {})}
    return name, dict(settings or {})


def make_extractor(name: str, settings: Mapping[str, Any] | None = None, device: str = "cpu") -> Any:
    """The extractor of that name, or `hub:MODEL`; a setting that is not given keeps its default.

    Raises:
        InputError: no such extractor or setting (the nearest match is named), a value of the wrong type or range, weights that
            are not there, or an entry point that cannot be imported.
    """
    name, settings = plain_name(name, settings)
    extractor = extractor_class(name)
    made = extractor(build(extractor.Config, settings, name))
    if hasattr(made, "device"):
        made.device = device
    return made


def extractor_class(name: str) -> Any:
    """The class of an extractor: ours, or an installed package's.

    Raises:
        InputError: there is none (the nearest match is named), or its entry point cannot be imported.
    """
    if name in EXTRACTORS:
        return importlib.import_module(EXTRACTORS[name]).Extractor
    if (entry := _entry_points().get(name)) is None:
        raise unknown(name, extractor_names(), "extractor")
    try:
        extractor = entry.load()
    except Exception as error:
        raise InputError(f"extractor {name}: {entry.value} cannot be imported ({type(error).__name__}: {error})") from error
    if extractor.name != name:
        raise InputError(f"extractor {name}: its class calls itself {extractor.name!r}; give the entry point the same name")
    return extractor


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
