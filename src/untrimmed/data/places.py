"""Where an array lies in someone else's pack, and how it is read there without copying the pack.

A place is plain JSON, kept in a store's header: `{"file": "i3d/v1.npy", "key": "feature", "columns": [0, 1024], "every": 4}`.

file:    path below the pack's folder; `.npy` is opened by memory map, `.npz` is read when used.
key:     the array's name in an `.npz`.
columns: first and last (not included) of the columns that are this stream's; without it all of them are.
every:   take every n-th row.

An array may have a leading axis of crops (`[crops, T, D]`): one crop is taken as it is, several are averaged.
"""

from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.data.arrays import UNREADABLE, npz_head, open_npy, read_npz_key
from untrimmed.data.errors import InputError

Place = dict[str, Any]


def open_place(folder: Path, place: Place) -> np.ndarray:
    """The array [T, D] at a place, float16 or float32; a memory map where the file allows one.

    Raises:
        InputError: there is no such file, it is not an array of numbers, or it has another number of axes.
    """
    file = folder / place["file"]
    try:
        array = read_npz_key(file, place["key"]) if file.suffix == ".npz" else open_npy(file)
    except UNREADABLE as error:
        raise _unreadable(file, error) from error
    _check(file, array.shape, array.dtype)
    if array.ndim == 3:
        array = array[0] if len(array) == 1 else array.mean(axis=0, dtype=np.float32)
    array = array[:: place.get("every", 1), slice(*place.get("columns", (None,)))]
    return array if array.dtype in (np.float16, np.float32) else array.astype(np.float32)


def shape_at(folder: Path, place: Place) -> tuple[int, int]:
    """The shape of what `open_place` would return, from the file's head alone.

    Raises:
        InputError: as `open_place`.
    """
    file = folder / place["file"]
    try:
        if file.suffix == ".npz":
            shape, dtype = npz_head(file, place["key"])
        else:
            array = open_npy(file)
            shape, dtype = array.shape, array.dtype
    except UNREADABLE as error:
        raise _unreadable(file, error) from error
    _check(file, shape, dtype)
    rows, columns = shape[-2:]
    return len(range(0, rows, place.get("every", 1))), len(range(columns)[slice(*place.get("columns", (None,)))])


def _check(file: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if len(shape) not in (2, 3) or dtype.kind not in "fiu" or 0 in shape:
        raise InputError(f"{file}: expected numbers [T, D] or [crops, T, D], found {dtype} {list(shape)}")


def _unreadable(file: Path, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{file}: no such file in the pack")
    return InputError(f"{file}: not a readable array ({' '.join(str(error).split())})")
