"""What the fields of a file must be, said in the words of a person: `FILE: videos: v1: duration: expected a number, found 'x'`."""

import math
from typing import Any

from untrimmed.console import shortened
from untrimmed.data.errors import InputError

Shape = Any
"""A type (`str`, `int`, `float`: any finite number, `bool`, `dict`, `list`); None; `[shape]`: a list of such; `{str: shape}`: an
object of such; `{"field": shape}`: an object that has these fields, or may have them where the name ends in `?`; a tuple: one of
these shapes."""

LONGEST = 1000
"""Characters of a text in a field; longer ones are of no use anywhere, and no one could read a line that shows them."""

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object", list: "a list"}


def check_shape(value: Any, shape: Shape, where: str) -> None:
    """See that what was read from a file is of a shape.

    Raises:
        InputError: it is not; the message names the place and what is expected there.
    """
    if isinstance(shape, tuple):
        _check_one_of(value, shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list | tuple):
            raise _unlike(value, "a list", where)
        for number, item in enumerate(value, 1):
            check_shape(item, shape[0], f"{where}: entry {number}")
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise _unlike(value, "an object", where)
        if str in shape:
            for name, item in value.items():
                if not isinstance(name, str):
                    raise _unlike(name, "text as a name", where)
                check_shape(item, shape[str], f"{where}: {shortened(name, 60)}")
            return
        for name, inner in shape.items():
            bare = name.removesuffix("?")
            if bare in value:
                check_shape(value[bare], inner, f"{where}: {bare}")
            elif bare == name:
                raise InputError(f"{where}: the field {bare!r} is missing")
    elif not _is(value, shape):
        raise _unlike(value, "nothing (null)" if shape is None else _WORDS[shape], where)


def _check_one_of(value: Any, shapes: tuple[Shape, ...], where: str) -> None:
    faults = []
    for shape in shapes:
        try:
            return check_shape(value, shape, where)
        except InputError as error:
            faults.append(error)
    raise faults[0]


def _is(value: Any, kind: Any) -> bool:
    if kind is None:
        return value is None
    if kind is str:
        return isinstance(value, str) and len(value) <= LONGEST
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, kind)


def _unlike(value: Any, expected: str, where: str) -> InputError:
    return InputError(f"{where}: expected {expected}, found {shown(value)}")


def shown(value: Any) -> str:
    """A value as a message shows it: short, and what holds others by its kind."""
    if isinstance(value, dict | list | tuple) and len(value) <= 3 and len(text := repr(value)) <= 40:
        return text
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    try:
        return shortened(repr(value), 60)
    except ValueError:  # a number of more digits than Python writes
        return f"a {type(value).__name__}"
