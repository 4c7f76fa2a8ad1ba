"""`untrimmed methods`: what there is to train, and its settings."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.methods.base import method_class, resolve
from untrimmed.methods.registry import METHODS, names_taken, outside_methods, presets_of, source_of


def describe_methods(name: str | None = None, preset: str = "default") -> str:
    """A line per method, those of installed packages last; or, with a name, every setting with its value, range, meaning and
    source. What is wrong with a package's method stands in its place.

    Args:
        preset: the settings are shown as `train` takes them with this preset.

    Raises:
        InputError: no such method or preset, or the method that was named is at fault.
    """
    if name is None:
        lines = [_line(key) for key in METHODS]
        for key in outside_methods():
            try:
                lines.append(_line(key))
            except InputError as error:
                lines.append(str(error))
        return "\n".join([*lines, *names_taken(), "", "untrimmed methods NAME shows a method's settings."])
    chosen = resolve(name, preset)
    presets = presets_of(name)
    lines = [f"{source_of(name)}: {method_class(name).title}", f"presets: {', '.join(presets)}; shown: {preset}"]
    for prefix, settings in (("", chosen.method), ("localization.", chosen.localization), ("data.", chosen.data)):
        lines.append("")
        streams = getattr(settings, "streams", {})
        for field in dataclasses.fields(settings):
            if field.name == "streams":
                continue
            source = f" [{field.metadata['source']}]" if field.metadata["source"] else ""
            lines.append(f"  {prefix}{field.name} = {as_set(getattr(settings, field.name))}{value_range(field)}")
            lines += [
                f"  {prefix}{stream}.{field.name} = {as_set(values[field.name])}"
                for stream, values in streams.items()
                if field.name in values
            ]
            lines.append(f"      {field.metadata['meaning']}{source}")
    others = [other for other in presets if other != preset]
    lines += ["", *([f"untrimmed methods {name} --preset {others[0]} shows what another preset sets."] if others else [])]
    lines.append("For one stream: --set flow.reconstruction=0.3, --set localization.rgb.thresholds=[0.05]")
    return "\n".join(lines)


def as_set(value: Any) -> str:
    """A setting's value as one writes it after `--set name=`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(as_set, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_set(of_key)}" for key, of_key in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def value_range(field: dataclasses.Field[Any]) -> str:
    """What values a setting may have, in brackets."""
    low, high, choices = (field.metadata.get(name) for name in ("low", "high", "choices"))
    if choices:
        return f"  ({', '.join(map(str, choices))})"
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f"  (at least {low:g})" if high is None else f"  (at most {high:g})"
    return f"  ({low:g} to {high:g})"


def _line(name: str) -> str:
    cls, presets = method_class(name), ", ".join(presets_of(name))
    return f"{source_of(name)}: {cls.title}\n  learns from: {', '.join(sorted(cls.learns_from))}; presets: {presets}"
