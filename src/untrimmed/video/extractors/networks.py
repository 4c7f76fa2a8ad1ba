"""What the extractors that hold a network share: weights read from files and named by their hash, and how numbers are rounded.

Only such extractors import torch; the workers that run `motion` never do.
"""

import hashlib
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from untrimmed.data.errors import InputError
from untrimmed.data.settings import setting

LARGEST_FLOW = 20.0  # pixels
PRECISIONS = ("float32", "bfloat16", "float16")


def precision_setting() -> Any:
    """The setting `precision`: features of another precision are other features, so it is recorded as every setting is."""
    return setting("float32", "of the network's products and convolutions; the halves are for GPUs", choices=PRECISIONS)


def in_precision(precision: str, device: str) -> AbstractContextManager[Any]:
    """Within it matrix products and convolutions are of that precision, and everything else stays float32."""
    kind = torch.device(device).type
    if precision != "float32":
        return torch.autocast(kind, getattr(torch, precision))
    # On GPUs torch rounds the factors of float32 convolutions to ten bits (TF32) unless told not to.
    return nullcontext() if kind == "cpu" else torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def to_device(array: np.ndarray, device: str) -> Tensor:
    """The array there. To a GPU it goes from page-locked memory, while the program goes on."""
    tensor = torch.from_numpy(array)
    return tensor if torch.device(device).type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def sha256_of(*files: str | Path) -> str:
    """SHA-256 of the files' bytes, one after the other, in hexadecimal digits.

    Raises:
        InputError: one cannot be read.
    """
    try:
        stats = [(str(file), Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in files]
        return _sha256(tuple(stats))
    except OSError as error:
        raise InputError(f"{error.filename}: the weights cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=64)
def _sha256(stats: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for file, _, _ in stats:
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_weights(file: str | Path) -> dict[str, Tensor]:
    """The arrays of a checkpoint: safetensors, or what `torch.save` wrote of a state_dict (nothing in it is run).

    A state_dict that lies under `state_dict` or `model`, and names that begin with `module.`, are as good.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    file = Path(file)
    if not file.is_file():
        raise InputError(f"{file}: no such checkpoint")
    try:
        if file.suffix == ".safetensors":
            content: Any = safetensors.torch.load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zipfile, pickle and safetensors raise many kinds for what is no checkpoint
        # Torch's own advice, to load it with what may run programs, is none that we pass on.
        reason = "" if "weights_only" in str(error) else f" ({first_line(error)})"
        raise InputError(
            f"{file}: not a checkpoint that can be read safely: safetensors, or a state_dict by torch.save{reason}"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{file}: holds no state_dict (arrays by name)")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def eight_bit_flow(flow: Tensor) -> Tensor:
    """Flow in pixels, clipped to +-20 and quantized to the 256 levels of a stored flow image, scaled to [-1, 1]."""
    levels = torch.round((flow.clamp(-LARGEST_FLOW, LARGEST_FLOW) + LARGEST_FLOW) * (255 / (2 * LARGEST_FLOW)))
    return levels / 127.5 - 1


def first_line(error: Exception) -> str:
    """What another library says was wrong, as one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
