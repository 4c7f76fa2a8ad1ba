"""The first stage of a method that builds upon another's: a trained run, or a method that is trained before it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from untrimmed.data.errors import InputError
from untrimmed.data.settings import parse_assignments
from untrimmed.data.yaml_files import read_yaml
from untrimmed.localization.settings import Localization
from untrimmed.methods.base import Method, load_method, method_class, resolve


class FirstStage(NamedTuple):
    """method: trained where it `is_given`. cutting: how its activations are cut. config: the second stage's, which says
    what the first is, not where it was."""

    method: Method
    cutting: Localization
    is_given: bool
    config: Any


def first_stage(config: Any, own: str, classes: tuple[str, ...], streams: Mapping[str, int]) -> FirstStage:
    """What the settings `run`, `first`, `stage_preset` and `stage` of the method called `own` say.

    Raises:
        InputError: there is no finished run, its settings cannot be read, or it knows other classes or streams; the
            first stage is the method itself.
    """
    given, cutting = (None, {}) if config.run is None else _told_of_run(config.run)
    if given is not None:
        if given.classes != tuple(classes) or given.widths != dict(streams):
            raise InputError(f"`settings` run={config.run}: it knows other classes or streams than these videos have")
        whole = (*_assignments(asdict(given.config), "method"), *_assignments(cutting, "localization"))
        config = replace(config, run=None, first=given.name, stage_preset="default", stage=whole)
    if config.first == own:
        raise InputError(f"`settings` first: the first stage must be another method than {own}")
    stage = resolve(config.first, config.stage_preset, parse_assignments(config.stage), streams)
    method = given or method_class(config.first)(stage.method, tuple(classes), streams)
    return FirstStage(method, stage.localization, given is not None, config)


def _told_of_run(run: str) -> tuple[Method, dict[str, Any]]:
    """A trained run's method, and its settings of localization."""
    method, config = load_method(Path(run) / "model"), read_yaml(Path(run) / "config.yaml")
    if not isinstance(config, Mapping) or not isinstance(config.get("localization"), Mapping):
        raise InputError(f"{run}/config.yaml: not as a run writes it; it lacks 'localization'")
    return method, dict(config["localization"])


def _assignments(tree: Mapping[str, Any], above: str) -> Iterator[str]:
    """Settings as KEY=VALUE, one each."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _assignments(value, f"{above}.{key}")
        else:
            yield f"{above}.{key}={json.dumps(value)}"
