"""Which methods there are: ours, and those that installed packages name under the entry point `untrimmed.methods`."""

import importlib
import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.data.settings import unknown
from untrimmed.data.yaml_files import read_yaml

METHODS = {
    "3cnet": "untrimmed.methods.threecnet:ThreeCNet",
    "autoloc": "untrimmed.methods.autoloc:AutoLoc",
    "basnet": "untrimmed.methods.basnet:BaSNet",
    "case": "untrimmed.methods.case:CASE",
    "cmcs": "untrimmed.methods.cmcs:CMCS",
    "co2net": "untrimmed.methods.co2net:CO2Net",
    "cola": "untrimmed.methods.cola:CoLA",
    "delu": "untrimmed.methods.delu:DELU",
    "dgam": "untrimmed.methods.dgam:DGAM",
    "hideandseek": "untrimmed.methods.hideandseek:HideAndSeek",
    "pmil": "untrimmed.methods.pmil:PMIL",
    "selftrain": "untrimmed.methods.selftrain:SelfTrain",
    "stpn": "untrimmed.methods.stpn:STPN",
    "tcam": "untrimmed.methods.tcam:TCAM",
    "tsrnet": "untrimmed.methods.tsrnet:TSRNet",
    "um": "untrimmed.methods.um:UM",
    "untrimmednet": "untrimmed.methods.untrimmednet:UntrimmedNet",
    "wtalc": "untrimmed.methods.wtalc:WTALC",
}
"""Where our methods are, by name. Saved runs hold the name, never an import path."""
ENTRY_POINTS = "untrimmed.methods"
"""The group of entry points under which installed packages name methods of their own."""


def outside_methods() -> list[str]:
    """The names of the methods of other packages, sorted."""
    return sorted(set(_entry_points()) - set(METHODS))


def names_taken() -> list[str]:
    """A line for each method of another package that cannot be had, because one of ours has its name."""
    others = _entry_points()
    return [f"method {name}: also what {_packages(others[name])} calls one; ours is used" for name in METHODS if name in others]


def source_of(name: str) -> str:
    """Who a method is from, for messages: its name, and the package that it comes with where that is another than this one."""
    if name in METHODS:
        return name
    distribution = _entry_point(name).dist
    return name if distribution is None else f"{name} (of the package {distribution.name} {distribution.version})"


def load_class(name: str) -> Any:
    """What stands under a method's name.

    Raises:
        InputError: there is no such method (the nearest is named), or its package cannot be imported.
    """
    if name in METHODS:
        module, _, attribute = METHODS[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    entry = _entry_point(name)
    try:
        return entry.load()
    except Exception as error:
        raise _fault(name, f"{entry.value} cannot be imported ({type(error).__name__}: {_line(error)})") from error


def module_of(name: str) -> str:
    """The module that a method's name leads to.

    Raises:
        InputError: there is no such method.
    """
    return METHODS[name].partition(":")[0] if name in METHODS else _entry_point(name).module


def file_of(name: str) -> Path:
    """The file of that module; the method's presets stand beside it.

    Raises:
        InputError: there is no such method, or no such module.
    """
    module = module_of(name)
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # a package above it that cannot be imported
        raise _fault(name, f"{module} cannot be imported ({type(error).__name__}: {_line(error)})") from error
    if spec is None or spec.origin is None:
        raise _fault(name, f"there is no module {module}")
    return Path(spec.origin)


def presets_of(name: str) -> dict[str, dict[str, Any]]:
    """The presets that stand beside a method's file as `<name>.yaml`, unresolved.

    Raises:
        InputError: there is no such method, or its presets are missing or not as they should be.
    """
    file = file_of(name).with_name(f"{name}.yaml")
    if not file.exists():
        raise _fault(name, f"its presets are missing: there is no {file}; a package lists it under package-data")
    try:
        presets = read_yaml(file)
    except InputError as error:
        raise _fault(name, f"{file} cannot be read ({_line(error)})") from error
    if not isinstance(presets, dict) or not all(isinstance(preset, dict) for preset in presets.values()):
        raise _fault(name, f"{file}: expected presets by name, each with the sections method, data and localization")
    if "default" not in presets:
        raise _fault(name, f"{file}: has no preset default")
    return presets


def _entry_points() -> dict[str, list[importlib.metadata.EntryPoint]]:
    """By name. What the same distribution says twice, because it is on the path twice, counts once."""
    by_name: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        same = by_name.setdefault(entry.name, [])
        if all(entry.value != other.value for other in same):
            same.append(entry)
    return by_name


def _entry_point(name: str) -> importlib.metadata.EntryPoint:
    by_name = _entry_points()
    if name not in by_name:
        raise unknown(name, [*METHODS, *by_name], "method")
    if len(by_name[name]) > 1:
        raise InputError(f"method {name}: {_packages(by_name[name])} both call one so; uninstall one of them")
    return by_name[name][0]


def _packages(entries: list[importlib.metadata.EntryPoint]) -> str:
    return " and ".join(f"the package {entry.dist.name}" if entry.dist else entry.value for entry in entries)


def _fault(name: str, what: str) -> InputError:
    return InputError(f"method {source_of(name)}: {what}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
