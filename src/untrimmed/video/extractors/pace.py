"""How many pictures a second an extractor gets through on this machine. Networks have random weights here: as fast."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.data.errors import InputError
from untrimmed.video.extractors import make_extractor
from untrimmed.video.extractors.named import NAMED, Named

FILM = (1280, 720)
"""Pixels of the film that is thought of, across and down."""
LONG = 2.0
"""Seconds for which calls are repeated; one that takes longer is made once."""


def pictures_per_second(name: str, device: str = "cpu") -> str:
    """Pictures that the extractor takes in a second, and how many times faster than the film that is; decoding is not in it.

    Raises:
        InputError: no such extractor, or one that needs files.
    """
    extractor = untrained(NAMED[name], device) if name in NAMED else make_extractor(name, device=device)
    config = extractor.config
    width, height = extractor.frame_size(*FILM) if hasattr(extractor, "frame_size") else FILM
    snippets = getattr(extractor, "batch", 1)
    frames = np.random.default_rng(0).integers(0, 256, (snippets, config.frames, height, width, 3), np.uint8)
    seconds = _seconds(lambda: extractor(frames, _flow(frames) if extractor.needs_flow else None)) / snippets
    used = getattr(extractor, "pictures", config.frames)
    faster = config.stride / config.fps / seconds
    return f"{used / seconds:.3g} pictures/s here ({device}, {_threads()}): {faster:.2g} x real time, without decoding"


def untrained(of: Named, device: str) -> Any:
    """The extractor of a model with a name, with random weights in place of its own; nothing is fetched.

    Raises:
        InputError: `transformers` is not installed, or too old for this kind of model.
    """
    from untrimmed.video.extractors.hub_files import transformers

    library = transformers()
    try:
        about = library.AutoConfig.for_model(of.kind, **of.shape)
    except ValueError as error:
        raise InputError(f"{of.model}: this version of transformers ({library.__version__}) does not know it") from error
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        about.save_pretrained(folder)
        says = {"size": {"height": of.side, "width": of.side}, "do_center_crop": False}
        (folder / "preprocessor_config.json").write_text(json.dumps(says), encoding="utf-8")
        (folder / "model.safetensors").touch()
        extractor = make_extractor(f"hub:{folder}", of.timing, device)
    extractor.use(library.AutoModel.from_config(about))
    return extractor


def _flow(frames: np.ndarray) -> np.ndarray:
    from untrimmed.video.flow import with_flow

    flows = [flow for _, flow in with_flow(iter(frames.reshape(-1, *frames.shape[2:])), "dis")]
    return np.stack(flows).reshape(*frames.shape[:4], 2)


def _seconds(work: Callable[[], object]) -> float:
    """Of one call, once everything is in place: the least of those within `LONG` seconds."""
    least, began = float("inf"), time.perf_counter()
    while least == float("inf") or time.perf_counter() - began < LONG:
        at = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - at)
    return least


def _threads() -> str:
    import torch

    count = torch.get_num_threads()
    return f"{count} thread{'s' * (count > 1)}"
