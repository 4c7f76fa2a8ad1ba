"""Settings: frozen dataclasses whose fields say what they mean, filled from presets and `--set key=value`.

A setting may differ by stream: `{"reconstruction": 0.5, "flow": {"reconstruction": 0.3}}` gives every stream 0.5 but flow 0.3.
The dataclass keeps such overrides in its field `streams`; `of_stream` applies them.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from untrimmed.console import shortened
from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.files import shown
from untrimmed.data.yaml_files import parse_yaml

S = TypeVar("S")


def setting(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple = (),
    source: str = "",
    by_stream: bool = True,
    was: str = "",
) -> Any:
    """A dataclass field with its meaning, its range (both ends included), the source of its value, whether it may differ by
    stream, and the name it had in earlier versions, which is still read."""
    metadata = {"meaning": meaning, "low": low, "high": high, "choices": choices, "source": source}
    metadata |= {"by_stream": by_stream, "was": was}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def build(cls: type[S], values: Mapping[str, Any], where: str) -> S:
    """Make the settings `cls` from a mapping; a nested mapping under a name that is no field overrides that stream.

    Raises:
        InputError: an unknown key (the nearest is named), a value of the wrong type, or one out of its range.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected settings by name, found {shown(values)}")
    values = renamed(cls, values)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.name != "streams"}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    by_stream = "streams" in hints
    plain: dict[str, Any] = {}
    streams: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        if key in fields:
            plain[key] = _check(value, hints[key], fields[key], f"{where}.{key}")
        elif by_stream and isinstance(value, Mapping):
            # `streams: {flow: ...}` is how a run's config.yaml writes it; `flow: ...` is how people do.
            for stream, overrides in value.items() if key == "streams" else [(key, value)]:
                if not isinstance(overrides, Mapping):
                    raise InputError(f"{where}.{stream}: expected settings by name, found {shown(overrides)}")
                for name, override in overrides.items():
                    if name not in fields:
                        raise unknown(name, fields, f"{where}.{stream}")
                    if not fields[name].metadata["by_stream"]:
                        raise InputError(f"{where}.{stream}.{name}: holds for all streams alike; set {where}.{name}")
                    checked = _check(override, hints[name], fields[name], f"{where}.{stream}.{name}")
                    streams.setdefault(stream, {})[name] = checked
        else:
            raise unknown(key, fields, where)
    return cls(**plain, **({"streams": streams} if by_stream else {}))


def renamed(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with today's names in place of those that settings had in earlier versions, by stream too."""
    names = {field.metadata["was"]: field.name for field in dataclasses.fields(cls) if field.metadata.get("was")}

    def walk(tree: Mapping[str, Any]) -> dict[str, Any]:
        return {names.get(key, key): walk(value) if isinstance(value, Mapping) else value for key, value in tree.items()}

    return walk(values) if names else dict(values)


def of_stream(settings: S, stream: str) -> S:
    """The settings as they hold for one stream."""
    overrides = settings.streams.get(stream, {})  # type: ignore[attr-defined]
    return dataclasses.replace(settings, **overrides) if overrides else settings  # type: ignore[type-var]


def check_streams(values: Mapping[str, Any], streams: Iterable[str], where: str) -> None:
    """Raise InputError where a nested mapping is for a stream that the features do not have; the nearest is named."""
    streams = list(streams)
    for key, value in values.items():
        if isinstance(value, Mapping):
            for name in value if key == "streams" else [key]:
                if name not in streams:
                    raise unknown(name, streams, f"{where}: stream")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid on top, nested mappings merged."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read `a.b=value` strings into nested mappings; values are YAML (3, 0.5, true, [1, 2], name).

    Raises:
        InputError: no `=`, an empty key, or a value that is not YAML.
    """
    tree: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not equals or not all(path):
            raise InputError(f"`settings` {assignment}: write it as key=value, such as epochs=30 or localization.nms=0.5")
        try:
            value = parse_yaml(text, assignment)
        except InputError as error:
            why = str(error).removeprefix(f"{assignment}: ")
            raise InputError(f"`settings` {shortened(assignment, 60)}: {shortened(repr(text), 60)} is no value ({why})") from error
        for part in reversed(path):
            value = {part: value}
        tree = merge(tree, value)
    return tree


def unknown(name: str, known: Iterable[str], where: str) -> InputError:
    """The error for a name that does not exist: it names the nearest that does, or all of them."""
    names = sorted(known)
    hint = did_you_mean(str(name), names, f"; there is {', '.join(names)}")
    return InputError(f"{where}: unknown name {shortened(repr(str(name)), 60)}{hint}")


def _check(value: Any, hint: Any, field: dataclasses.Field, where: str) -> Any:
    value = _convert(value, hint, where)
    low, high, choices = (field.metadata.get(name) for name in ("low", "high", "choices"))
    for number in value if isinstance(value, tuple) else (value,):
        if choices and number is not None and number not in choices:
            raise unknown(number, map(str, choices), where)
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if not math.isfinite(number) or (low is not None and number < low) or (high is not None and number > high):
            bounds = " and ".join(f"at {word} {bound:g}" for word, bound in (("least", low), ("most", high)) if bound is not None)
            raise InputError(f"{where}: {number:g} is out of range; it must be {bounds or 'finite'}")
    return value


def _convert(value: Any, hint: Any, where: str) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        hint = next(option for option in options if option is not type(None))
    origin = typing.get_origin(hint) or hint
    if origin is typing.Literal or hint is Any:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        inner = typing.get_args(hint)[0]
        return tuple(_convert(item, inner, where) for item in value)
    if origin is tuple and isinstance(value, int | float) and not isinstance(value, bool):
        return (_convert(value, typing.get_args(hint)[0], where),)
    if origin is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if origin is float and isinstance(value, str):  # YAML reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    if origin is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if origin is dict and isinstance(value, Mapping):
        inner = typing.get_args(hint)[1]
        return {str(key): _convert(item, inner, f"{where}.{key}") for key, item in value.items()}
    if origin in (bool, int, str) and type(value) is origin:
        return value
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a name", dict: "a mapping"}
    if origin is tuple:
        of = typing.get_args(hint)[0]
        expected = f"a list of {({str: 'names', dict: 'mappings'}).get(typing.get_origin(of) or of, 'numbers')}"
    else:
        expected = names.get(origin, str(origin))
    raise InputError(f"{where}: expected {expected}, found {shown(value)}")
