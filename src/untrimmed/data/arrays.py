"""Arrays from files that nobody vouches for: what a file's head says is believed only as far as the file's size bears it out."""

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import shortened
from untrimmed.data.errors import InputError

UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What comes of reading an array from a file that is none, or is damaged."""

_HEAD_FAULTS = (*UNREADABLE, SyntaxError, TypeError, MemoryError, AttributeError, OverflowError, tokenize.TokenError)


class NotAnArray(ValueError):
    """A file, or a part of one, is not an array of numbers, or not a whole one."""


def open_npy(file: Path) -> np.ndarray:
    """A `.npy` file of numbers as a memory map that is only read.

    Raises:
        FileNotFoundError: it is not there. NotAnArray: it is not such a file; the message says why, without the file's name.
    """
    try:
        size = file.stat().st_size
        with open(file, "rb") as stream:
            if not file.is_file():
                raise NotAnArray("not a regular file")
            shape, fortran, dtype = npy_head(stream, size)
            offset = stream.tell()
        order: Any = "F" if fortran else "C"
        if math.prod(shape) == 0:
            return np.empty(shape, dtype, order)
        return np.memmap(file, dtype, "r", offset, shape, order)
    except (FileNotFoundError, NotAnArray):
        raise
    except _HEAD_FAULTS as error:
        raise NotAnArray(shortened(" ".join(str(error).split()))) from error


def npy_head(stream: Any, size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of the array that a stream of `size` bytes holds; what follows in the stream are its numbers.

    Raises:
        NotAnArray: the stream is none, holds other things than numbers, or is too short for what its head says.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except _HEAD_FAULTS as error:
        raise NotAnArray(shortened(" ".join(str(error).split()) or type(error).__name__)) from error
    if dtype.hasobject or dtype.kind not in "biufSU":
        raise NotAnArray(f"it holds {shortened(dtype, 40)}, not numbers")
    if any(n < 0 for n in shape) or stream.tell() + math.prod(shape) * dtype.itemsize > size:
        raise NotAnArray("it is cut off; make or fetch it again")
    return shape, fortran, dtype


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file.

    Raises:
        FileNotFoundError: it is not there. NotAnArray: it is not such a file, or damaged.
    """
    with _archive(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
    return {name.removesuffix(".npy"): read_npz_key(file, name.removesuffix(".npy")) for name in names}


def read_npz_key(file: Path, key: str) -> np.ndarray:
    """One array of an `.npz` file; errors as `read_npz`."""
    try:
        with _archive(file) as archive, archive.open(f"{key}.npy") as stream:
            shape, fortran, dtype = npy_head(stream, archive.getinfo(f"{key}.npy").file_size)
            content = np.frombuffer(stream.read(math.prod(shape) * dtype.itemsize), dtype)
            return content.reshape(shape[::-1]).T.copy() if fortran else content.reshape(shape).copy()
    except (FileNotFoundError, NotAnArray):
        raise
    except (*_HEAD_FAULTS, NotImplementedError) as error:
        raise NotAnArray(shortened(" ".join(str(error).split()) or type(error).__name__)) from error


def npz_head(file: Path, key: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of one array of an `.npz` file; errors as `read_npz`."""
    try:
        with _archive(file) as archive, archive.open(f"{key}.npy") as stream:
            shape, _, dtype = npy_head(stream, archive.getinfo(f"{key}.npy").file_size)
            return shape, dtype
    except (FileNotFoundError, NotAnArray):
        raise
    except (*_HEAD_FAULTS, NotImplementedError) as error:
        raise NotAnArray(shortened(" ".join(str(error).split()) or type(error).__name__)) from error


def _archive(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except FileNotFoundError:
        raise
    except (*_HEAD_FAULTS, NotImplementedError) as error:
        raise NotAnArray(shortened(" ".join(str(error).split()) or type(error).__name__)) from error


def read_tensors(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file.

    Raises:
        FileNotFoundError: it is not there. InputError: it is not such a file.
    """
    from safetensors.numpy import load_file

    try:
        return load_file(file)
    except FileNotFoundError:
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # safetensors raises of its own kinds, from native code
        raise InputError(f"{file}: not a readable safetensors file ({shortened(error)})") from error
