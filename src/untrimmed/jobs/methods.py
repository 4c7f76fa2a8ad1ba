"""`untrimmed methods`: what there is to train, and its settings."""

import dataclasses

from untrimmed.localization import Localization
from untrimmed.methods.base import METHODS, method_class, presets_of
from untrimmed.training import DataSettings


def describe(name: str | None = None) -> str:
    """A line per method; or, with a name, its presets and every setting with meaning, default and source.

    Raises:
        InputError: no such method.
    """
    if name is None:
        lines = []
        for key in METHODS:
            cls = method_class(key)
            lines.append(
                f"{key}: {cls.title}\n  learns from: {', '.join(sorted(cls.learns_from))}; presets: {', '.join(presets_of(key))}"
            )
        return "\n".join([*lines, "", "untrimmed methods NAME shows a method's settings."])
    cls = method_class(name)
    lines = [f"{name}: {cls.title}", f"presets: {', '.join(presets_of(name))}"]
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
