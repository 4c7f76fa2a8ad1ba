"""`untrimmed methods`: what there is to train, and its settings."""

import dataclasses

from untrimmed.data.errors import InputError
from untrimmed.localization import Localization
from untrimmed.methods.base import method_class
from untrimmed.methods.registry import METHODS, names_taken, outside_methods, presets_of, source_of
from untrimmed.training import DataSettings


def describe_methods(name: str | None = None) -> str:
    """A line per method, those of installed packages last; or, with a name, its presets and every setting with meaning, default
    and source. What is wrong with a package's method stands in its place.

    Raises:
        InputError: no such method, or the one that was named is at fault.
    """
    if name is None:
        lines = [_line(key) for key in METHODS]
        for key in outside_methods():
            try:
                lines.append(_line(key))
            except InputError as error:
                lines.append(str(error))
        return "\n".join([*lines, *names_taken(), "", "untrimmed methods NAME shows a method's settings."])
    cls = method_class(name)
    lines = [f"{source_of(name)}: {cls.title}", f"presets: {', '.join(presets_of(name))}"]
    for prefix, settings in (("", cls.Config), ("localization.", Localization), ("data.", DataSettings)):
        lines.append("")
        for field in dataclasses.fields(settings):
            if field.name == "streams":
                continue
            source = f" [{field.metadata['source']}]" if field.metadata["source"] else ""
            lines.append(f"  {prefix}{field.name} = {field.default}\n      {field.metadata['meaning']}{source}")
    lines += [
        "",
        "Presets lay their own values over these.",
        "For one stream: --set flow.reconstruction=0.3, --set localization.rgb.thresholds=[0.05]",
    ]
    return "\n".join(lines)


def _line(name: str) -> str:
    cls, presets = method_class(name), ", ".join(presets_of(name))
    return f"{source_of(name)}: {cls.title}\n  learns from: {', '.join(sorted(cls.learns_from))}; presets: {presets}"
