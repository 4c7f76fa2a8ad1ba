"""The file that `untrimmed compare` reads: data sets, runs, seeds and metrics, checked before anything is trained."""

import re
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from untrimmed.console import shortened
from untrimmed.data.annotations import read_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.files import exists, read_json, shown
from untrimmed.data.labels import read_labels
from untrimmed.data.settings import build, unknown
from untrimmed.data.store import FeatureStore
from untrimmed.data.yaml_files import PlainLoader, read_yaml
from untrimmed.evaluation.activitynet import DEFAULT_TIOU, parse_tious
from untrimmed.evaluation.attention import check_parts
from untrimmed.experiments.check import check_plan, check_runs
from untrimmed.experiments.folds import tested_videos
from untrimmed.experiments.metrics import check_metric
from untrimmed.experiments.spec import SELECTIONS, SWAP, Data, EvaluateOptions, Experiment, RunSpec
from untrimmed.experiments.task import FILES, Part
from untrimmed.methods.base import method_class
from untrimmed.runs.refine import STUDENT

S = TypeVar("S")
KEYS = ("data", "runs", "seeds", "selection", "metrics", "evaluate", "localize", "pairs", "averages", "keep")


def read_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file; docs/compare.md has its keys.

    Raises:
        InputError: not YAML, an unknown key (the nearest is named), a run, file, method, setting or metric that does not exist.
    """
    path = Path(path)
    content = read_yaml(path, _Loader)
    where = str(path)
    top = _mapping(content, where, KEYS)
    for key in ("data", "runs", "metrics"):
        if not top.get(key):
            raise InputError(f"{where}: no {key!r} in it; docs/compare.md shows an experiment file")
    data = _read_data(top["data"], path)
    runs = {str(name): _read_run(str(name), entry, where) for name, entry in _mapping(top["runs"], f"{where}: runs").items()}
    check_runs(runs, data, where)
    runs = {name: replace(run, unlabelled=_is_unlabelled(run, runs)) for name, run in runs.items()}
    selection = top.get("selection", "last")
    if selection not in SELECTIONS:
        raise unknown(selection, SELECTIONS, f"{where}: selection")
    options = _read_evaluate(top.get("evaluate") or {}, f"{where}: evaluate")
    plan = Experiment(
        path=path,
        data=data,
        runs=runs,
        seeds=_read_seeds(top.get("seeds", 5), where),
        selection=selection,
        metrics=_read_metrics(top["metrics"], f"{where}: metrics", data, options),
        evaluate=options,
        localize=_mapping(top.get("localize") or {}, f"{where}: localize"),
        pairs=_read_pairs(top.get("pairs") or [], where, runs, data),
        averages=_read_averages(top.get("averages") or {}, f"{where}: averages", runs, data),
        keep=_boolean(top.get("keep", False), f"{where}: keep"),
    )
    check_plan(plan)
    return plan


class _Loader(PlainLoader):
    """YAML in which no key may stand twice (all but the last would be lost), and ON, NO and the like are names, as in YAML 1.2."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as its base has it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key!r} stands twice, the second time {node.start_mark}")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def _entry(cls: type[S], content: Any, where: str, allowed: Sequence[str], **given: Any) -> S:
    """The dataclass of an entry; names in it may be numbers, and a single one stands for a list of one.

    Raises:
        InputError: not a mapping, a key that is not allowed, or a field that is not as it should be or lacks.
    """
    values = _mapping(content, where, allowed)
    for field in fields(cls):  # type: ignore[arg-type]
        if field.default is MISSING and field.name not in values | given:
            raise InputError(f"{where}: no {field.name!r} in it")
    hints = typing.get_type_hints(cls)
    return build(cls, {key: _as_text(value, hints[key]) for key, value in values.items()} | given, where)


def _as_text(value: Any, hint: Any) -> Any:
    if hint in (str, str | None) and isinstance(value, int | float):
        return str(value)
    if hint == tuple[str, ...] | None and value is not None:
        return [_as_text(name, str) for name in (value if isinstance(value, list) else [value])]
    return value


def _read_data(content: Any, path: Path) -> dict[str, Data]:
    where = f"{path}: data"
    content = _mapping(content, where)
    if "features" in content or "folds" in content:
        content = {"data": content}
    return {str(name): Data(str(name), _read_parts(entry, f"{where}.{name}", path)) for name, entry in content.items()}


def _read_parts(content: Any, where: str, path: Path) -> tuple[Part, ...]:
    keys = [field.name for field in fields(Part)]
    entry = _mapping(content, where, (*keys, "folds"))
    folds = entry.pop("folds", [{}])
    if not isinstance(folds, list) or not folds:
        raise InputError(f"{where}.folds: expected a list, one entry per fold")
    parts = []
    for number, fold in enumerate(folds):
        place = where + (f".folds[{number}]" if len(folds) > 1 else "")
        parts.append(_read_part(entry | _mapping(fold, place, keys), place, path))
    if len({part.subset for part in parts}) > 1:
        raise InputError(f"{where}: the folds are scored together, so that all need the same subset")
    if len(parts) > 1:
        tested_videos(parts, where)
    return tuple(parts)


def _read_part(content: dict[str, Any], where: str, path: Path) -> Part:
    """A part, whose files are looked into."""
    files = {key: _find(content[key], f"{where}.{key}", path) for key in FILES if content.get(key) is not None}
    part = _entry(Part, content | files, where, list(content))
    if (part.trimmed is None) != (part.trimmed_labels is None):
        raise InputError(f"{where}: trimmed and trimmed_labels go together")
    store = FeatureStore(part.features)
    read_labels(part.labels, store.videos)
    read_annotations(part.annotations).subset(part.subset)
    if part.trimmed and part.trimmed_labels:
        read_labels(part.trimmed_labels, FeatureStore(part.trimmed).videos)
    if part.parts:
        check_parts(read_json(part.parts), part.parts)
    return part


def _find(value: Any, where: str, path: Path) -> str:
    """A path relative to the experiment file or, where nothing is there, to the working directory."""
    for file in (path.parent / str(value), Path(str(value))):
        if exists(file):
            return str(file)
    raise InputError(f"{where}: {shortened(value)} is neither beside {path.name} nor in {Path.cwd()}")


def _read_run(name: str, content: Any, where: str) -> RunSpec:
    """A run by itself; `check_runs` sees to what it says of others."""
    place = f"{where}: runs.{name}"
    swap = bool(_mapping(content, place).keys() & set(SWAP[:2]))
    keys = SWAP if swap else [field.name for field in fields(RunSpec) if field.name not in ("name", *SWAP[:2])]
    run = _entry(RunSpec, content, place, keys, name=name)
    if swap and len(run.parents) < 2:
        raise InputError(f"{place}: a swap names two runs: attention and classification")
    if run.refine is not None:
        if run.method not in ("", STUDENT) or run.init or run.candidates or run.classes or run.unlabelled:
            raise InputError(
                f"{place}: a student is of {STUDENT}, and learns from what its teacher did; leave method, init, "
                "candidates, classes and unlabelled away"
            )
        run = replace(run, method=STUDENT)
    elif run.annotated:
        raise InputError(f"{place}.annotated: only a student may be told true times; name its teacher: refine")
    if not swap:
        if not run.method:
            raise InputError(f"{place}: no 'method' in it")
        try:
            method_class(run.method)
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
    if run.classes == ():
        raise InputError(f"{place}.classes: expected a list of labels")
    if run.data == ():
        raise InputError(f"{place}.data: names no data set; leave it away for all")
    if "candidates" in content and not run.candidates:
        raise InputError(f"{place}.candidates: expected a list of settings")
    if any(candidate in run.candidates[:number] for number, candidate in enumerate(run.candidates)):
        raise InputError(f"{place}.candidates: one stands twice")
    return run


def _is_unlabelled(run: RunSpec, runs: Mapping[str, RunSpec]) -> bool:
    """Whether a run, or the one that its teachers go back to, learns without labels."""
    return _is_unlabelled(runs[run.refine], runs) if run.refine is not None else run.unlabelled


def _read_evaluate(content: Any, where: str) -> dict[str, Any]:
    """Options of `evaluate` that are not as they always are, by name."""
    values = _mapping(content, where)
    if "tiou" in values:
        tiou = values["tiou"]
        values["tiou"] = ",".join(map(str, tiou)) if isinstance(tiou, list) else str(tiou)
    options = _entry(EvaluateOptions, values, where, [field.name for field in fields(EvaluateOptions)])
    try:
        parse_tious(options.tiou)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if options.map_clusters_oracle and options.map_clusters is None:
        raise InputError(f"{where}: map_clusters_oracle says what a mapping is fitted on; say which: map_clusters")
    usual = asdict(EvaluateOptions())
    return {name: value for name, value in asdict(options).items() if value != usual[name]}


def _read_metrics(content: Any, where: str, data: Mapping[str, Data], options: Mapping[str, Any]) -> tuple[str, ...]:
    metrics = content if isinstance(content, list) else [content]
    parts = [part for entry in data.values() for part in entry.parts]
    streams = {stream for part in parts for stream in FeatureStore(part.features).streams}
    tious = np.array(parse_tious(options.get("tiou", DEFAULT_TIOU)))
    for number, metric in enumerate(metrics):
        try:
            check_metric(metric, streams, tious, any(part.parts for part in parts), options)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if metric in metrics[:number]:
            raise InputError(f"{where}: {metric} stands twice")
    return tuple(metrics)


def _read_seeds(content: Any, where: str) -> tuple[int, ...]:
    seeds = list(range(content)) if type(content) is int else content
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"{where}: seeds: expected how many, or a list of whole numbers from 0, found {content!r}")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: seeds: one stands twice; the same seed gives the same result")
    return tuple(seeds)


def _read_pairs(content: Any, where: str, runs: Mapping[str, RunSpec], data: Collection[str]) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for pair in content if isinstance(content, list) else [content]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise InputError(f"{where}: pairs: expected two runs such as [with, without], found {pair!r}")
        for name in pair:
            if str(name) not in runs:
                raise unknown(name, runs, f"{where}: pairs")
        if pair[0] == pair[1]:
            raise InputError(f"{where}: pairs: {pair[0]} with itself")
        first, second = map(str, pair)
        if (first, second) in pairs:
            raise InputError(f"{where}: pairs: {first} and {second} stand twice")
        if not set(runs[first].data or data) & set(runs[second].data or data):
            raise InputError(f"{where}: pairs: {first} and {second} are never made on the same data")
        pairs.append((first, second))
    return tuple(pairs)


def _read_averages(
    content: Any, where: str, runs: Mapping[str, RunSpec], data: Collection[str]
) -> dict[str, tuple[tuple[str, str, str], ...]]:
    """By name, the differences whose mean is wanted, each of a data set of its own: (data set, run, run it is compared with)."""
    averages = {}
    for name, members in _mapping(content, where).items():
        if not isinstance(members, Mapping) or len(members) < 2:
            raise InputError(
                f"{where}.{name}: expected a pair for each of two data sets or more, such as {{mine: [with, without]}}"
            )
        for which, pair in members.items():
            if which not in data:
                raise unknown(which, data, f"{where}.{name}")
            _read_pairs([pair], f"{where}.{name}.{which}", runs, [which])
        averages[name] = tuple((which, str(first), str(second)) for which, (first, second) in members.items())
    return averages


def _mapping(content: Any, where: str, allowed: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: expected names with values, found {shown(content)}")
    for key in content:
        if not str(key).strip() or key is None or len(str(key).splitlines()) > 1:
            raise InputError(f"{where}: {key!r} is no name; write some text in one line")
        if allowed and key not in allowed:
            raise unknown(str(key), allowed, where)
    return dict(content)


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{where}: expected true or false, found {value!r}")
    return value
