"""`untrimmed extractors`: what computes features, what each is good for, and how fast it is here."""

import dataclasses

from untrimmed.data.errors import InputError
from untrimmed.jobs.methods import as_set, value_range
from untrimmed.video.extractors import extractor_class, extractor_names, plain_name
from untrimmed.video.extractors.named import NAMED, Named
from untrimmed.video.extractors.pace import pictures_per_second

OURS = {
    "motion": "hand-made features of appearance and motion; needs nothing, and is the default",
    "i3d": "two Inception networks trained on Kinetics, as in most papers; you give the files of the weights",
    "hub": "any other image or video backbone of transformers: hub:ID, hub:./folder",
}


def describe_extractors(name: str | None = None, measure: bool = False, device: str = "cpu") -> str:
    """A line or two per extractor, those of installed packages last; or, with a name, its settings with values and ranges.

    Args:
        measure: also time each (or the one) on this machine, the networks with random weights.

    Raises:
        InputError: no such extractor, or nothing to measure it with.
    """
    names = extractor_names() if name is None else [name]
    names.sort(key=lambda one: (one not in OURS, one not in NAMED, one))
    lines = [text for one in names for text in _about(one, measure, device)]
    if name is None:
        return "\n".join([*lines, "", "untrimmed extractors NAME shows an extractor's settings; --measure times it here."])
    kind, chosen = plain_name(name)
    lines.append("")
    for field in dataclasses.fields(extractor_class(kind).Config):
        value = chosen.get(field.name, field.default)
        lines += [f"  {field.name} = {as_set(value)}{value_range(field)}", f"      {field.metadata.get('meaning', '')}".rstrip()]
    return "\n".join(lines)


def _about(name: str, measure: bool, device: str) -> list[str]:
    if name in NAMED:
        lines = _named(name, NAMED[name])
    else:
        cls = extractor_class(name)  # an unknown name ends here
        widths = getattr(cls, "streams", {"rgb": 1024, "flow": 1024} if name == "i3d" else {})
        shown = ", ".join(f"{stream} {width}" for stream, width in widths.items()) if isinstance(widths, dict) else ""
        lines = [f"{name}: {OURS.get(name, 'from an installed package')}", *([f"  {shown}"] if shown else [])]
    if measure:
        lines.append(f"  {_pace(name, device)}")
    return lines


def _named(name: str, of: Named) -> list[str]:
    commit = of.revision[:12] or "main, resolved when it is downloaded"
    timing = of.timing
    every = timing["stride"] / timing["fps"]
    count, span = timing.get("looks", timing["frames"]), timing["frames"] / timing["fps"]
    return [
        f"{name}: {of.good_for}",
        f"  {of.model} ({commit}), {of.parameters} million parameters; licence: {of.licence}",
        f"  rgb {of.width}; every {every:g} s from {count} pictures of {span:g} s",
    ]


def _pace(name: str, device: str) -> str:
    try:
        return pictures_per_second(name, device)
    except InputError as error:
        return f"not measured: {error}"
