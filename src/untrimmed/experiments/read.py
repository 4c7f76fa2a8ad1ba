"""The file that `untrimmed compare` reads: data sets, runs, seeds and metrics, checked before anything is trained."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from untrimmed.data.annotations import read_annotations
from untrimmed.data.errors import InputError, nearest
from untrimmed.data.files import read_json
from untrimmed.data.labels import read_labels
from untrimmed.data.settings import merge, unknown
from untrimmed.data.store import FeatureStore
from untrimmed.evaluation.activitynet import DEFAULT_TIOU, parse_tious
from untrimmed.evaluation.attention import KINDS, LEVELS, STATISTICS, check_parts
from untrimmed.evaluation.bootstrap import over_thresholds
from untrimmed.evaluation.clustering import MAPPINGS, ClusterScores
from untrimmed.experiments.spec import Data, Experiment, Part, RunSpec, split_metric, supervision_of
from untrimmed.methods.base import method_class, resolve
from untrimmed.runs.score import DETECTION_PROTOCOLS, PROTOCOLS

SELECTIONS = ("last", "weak-loss", "oracle")
PART_FIELDS = tuple(field.name for field in fields(Part))
FILES = ("features", "labels", "annotations", "only", "trimmed", "trimmed_labels", "parts")
PAIRS_OF_KINDS = tuple(f"{first}>{second}" for place, first in enumerate(KINDS) for second in KINDS[place + 1 :])


def read_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file; docs/compare.md has its keys.

    Raises:
        InputError: not YAML, an unknown key (the nearest is named), a run, file, method, setting or metric that does not exist.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not usable YAML: {' '.join(str(error).split())}") from error
    where = str(path)
    known = ("data", "runs", "seeds", "selection", "metrics", "evaluate", "localize", "pairs", "averages", "keep")
    top = _mapping(content, where, known)
    for key in ("data", "runs", "metrics"):
        if not top.get(key):
            raise InputError(f"{where}: no {key!r} in it; docs/compare.md shows an experiment file")
    data = _read_data(top["data"], path)
    runs = _read_runs(top["runs"], where, data)
    selection = top.get("selection", "last")
    if selection not in SELECTIONS:
        raise unknown(selection, SELECTIONS, f"{where}: selection")
    if selection == "last" and (run := next((run for run in runs.values() if run.candidates), None)):
        raise InputError(f"{where}: runs.{run.name}.candidates: nothing is chosen with selection last; write weak-loss or oracle")
    if selection != "last" and not any(run.candidates for run in runs.values()):
        raise InputError(
            f"{where}: selection {selection}: there is nothing to choose from; give a run candidates, or leave it away"
        )
    if selection == "weak-loss" and (run := next((r for r in runs.values() if r.candidates and r.unlabelled), None)):
        raise InputError(f"{where}: runs.{run.name}: weak-loss needs tags to choose by, and the run uses none")
    if selection == "weak-loss" and (
        run := next((r for r in runs.values() if any("localization" in c for c in r.candidates)), None)
    ):
        raise InputError(f"{where}: runs.{run.name}.candidates: the tags' loss cannot tell settings of localization apart")
    options = _read_evaluate(top.get("evaluate") or {}, f"{where}: evaluate")
    tious = np.array(parse_tious(options.get("tiou", DEFAULT_TIOU)))
    plan = Experiment(
        path=path,
        data=data,
        runs=runs,
        seeds=_read_seeds(top.get("seeds", 5), where),
        selection=selection,
        metrics=_read_metrics(top["metrics"], where, tious, data, options),
        evaluate=options,
        localize=_mapping(top.get("localize") or {}, f"{where}: localize"),
        pairs=_read_pairs(top.get("pairs") or [], where, runs, data),
        averages=_read_averages(top.get("averages") or {}, f"{where}: averages", runs, data),
        keep=_boolean(top.get("keep", False), f"{where}: keep"),
    )
    _check_settings(plan)
    _check_clusters(plan)
    return plan


class _Loader(yaml.SafeLoader):
    """YAML in which no key may stand twice (all but the last would be lost), and ON, NO and the like are names, as in YAML 1.2."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as its base has it)
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key!r} stands twice, the second time {node.start_mark}")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def _read_evaluate(content: Any, where: str) -> dict[str, Any]:
    """Options of `evaluate`, but for what the data set says itself."""
    options = _mapping(content, where, ("tiou", "map_clusters", "map_clusters_oracle", "min_score"))
    if "tiou" in options:
        tiou = options["tiou"]
        options["tiou"] = ",".join(map(str, tiou)) if isinstance(tiou, list) else str(tiou)
        try:
            parse_tious(options["tiou"])
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    if "map_clusters" in options and options["map_clusters"] not in MAPPINGS:
        raise unknown(options["map_clusters"], MAPPINGS, f"{where}.map_clusters")
    if _boolean(options.get("map_clusters_oracle", False), f"{where}.map_clusters_oracle") and "map_clusters" not in options:
        raise InputError(f"{where}: map_clusters_oracle says what a mapping is fitted on; say which: map_clusters")
    least = options.get("min_score", 0)
    if isinstance(least, bool) or not isinstance(least, int | float) or math.isnan(least):
        raise InputError(f"{where}.min_score: expected a number, found {least!r}")
    return options


def _read_data(content: Any, path: Path) -> dict[str, Data]:
    where = f"{path}: data"
    content = _mapping(content, where)
    if "features" in content or "folds" in content:
        content = {"data": content}
    found = {}
    for name, entry in content.items():
        entry = _mapping(entry, f"{where}.{name}", (*PART_FIELDS, "folds"))
        folds = entry.pop("folds", [{}])
        if not isinstance(folds, list) or not folds:
            raise InputError(f"{where}.{name}.folds: expected a list, one entry per fold")
        parts = []
        for number, fold in enumerate(folds):
            place = f"{where}.{name}" + (f".folds[{number}]" if len(folds) > 1 else "")
            parts.append(_read_part({**entry, **_mapping(fold, place, PART_FIELDS)}, place, path))
        if len({part.subset for part in parts}) > 1:
            raise InputError(f"{where}.{name}: the folds are scored together, so that all need the same subset")
        tested: dict[str, int] = {}
        for number, part in enumerate(parts if len(parts) > 1 else []):
            for video in read_annotations(part.annotations).subset(part.subset):
                if video in tested:
                    raise InputError(f"{where}.{name}: {video!r} is tested in fold {number} and in fold {tested[video]}")
                tested[video] = number
        found[str(name)] = Data(str(name), tuple(parts))
    return found


def _read_part(entry: dict[str, Any], where: str, path: Path) -> Part:
    for key in ("features", "labels", "annotations"):
        if key not in entry:
            raise InputError(f"{where}: no {key!r} in it")
    for key in FILES:
        if entry.get(key) is not None:
            entry[key] = _find(entry[key], f"{where}.{key}", path)
    if (entry.get("trimmed") is None) != (entry.get("trimmed_labels") is None):
        raise InputError(f"{where}: trimmed and trimmed_labels go together")
    clusters = entry.get("clusters")
    if clusters is not None and (type(clusters) is not int or clusters < 1):
        raise InputError(f"{where}.clusters: expected a whole number from 1, found {clusters!r}")
    if entry.get("subset") is not None:
        entry["subset"] = str(entry["subset"])
    part = Part(**entry)
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
        if file.exists():
            return str(file)
    raise InputError(f"{where}: {value} is neither beside {path.name} nor in {Path.cwd()}")


def _read_runs(content: Any, where: str, data: Collection[str]) -> dict[str, RunSpec]:
    runs: dict[str, RunSpec] = {}
    for name, entry in _mapping(content, f"{where}: runs").items():
        place = f"{where}: runs.{name}"
        entry = _mapping(entry, place)
        if "attention" in entry or "classification" in entry:
            entry = _mapping(entry, place, ("attention", "classification", "localize", "data"))
            if len(entry.keys() & {"attention", "classification"}) < 2:
                raise InputError(f"{place}: a swap names two runs: attention and classification")
        else:
            allowed = ("method", "preset", "settings", "candidates", "localize", "unlabelled", "trimmed", "init", "classes", "data")
            entry = _mapping(entry, place, allowed)
            if "method" not in entry:
                raise InputError(f"{place}: no 'method' in it")
            try:
                method_class(str(entry["method"]))
            except InputError as error:
                raise InputError(f"{place}: {error}") from None
        for key in ("attention", "classification", "init", "method", "preset"):
            if entry.get(key) is not None:
                entry[key] = str(entry[key])
        for key in ("settings", "localize"):
            if key in entry:
                entry[key] = _mapping(entry[key] or {}, f"{place}.{key}")
        for key in ("unlabelled", "trimmed"):
            if key in entry:
                entry[key] = _boolean(entry[key], f"{place}.{key}")
        if "classes" in entry:
            if not isinstance(entry["classes"], list) or not entry["classes"]:
                raise InputError(f"{place}.classes: expected a list of labels")
            entry["classes"] = tuple(map(str, entry["classes"]))
        if "candidates" in entry:
            if not isinstance(entry["candidates"], list) or not entry["candidates"]:
                raise InputError(f"{place}.candidates: expected a list of settings")
            entry["candidates"] = tuple(_mapping(one, f"{place}.candidates") for one in entry["candidates"])
            if any(one in entry["candidates"][:number] for number, one in enumerate(entry["candidates"])):
                raise InputError(f"{place}.candidates: one stands twice")
        if "data" in entry:
            named = [str(one) for one in (entry["data"] if isinstance(entry["data"], list) else [entry["data"]])]
            if not named:
                raise InputError(f"{place}.data: names no data set; leave it away for all")
            for one in named:
                if one not in data:
                    raise unknown(one, data, f"{place}.data")
            entry["data"] = tuple(named)
        runs[str(name)] = RunSpec(str(name), **entry)
    for run in runs.values():
        place = f"{where}: runs.{run.name}"
        for key in ("attention", "classification", "init"):
            other = getattr(run, key)
            if other is None:
                continue
            if other not in runs:
                raise unknown(other, runs, f"{place}.{key}")
            if runs[other].is_swap:
                raise InputError(f"{place}.{key}: {other} is a swap itself; name a run that is trained")
            if runs[other].candidates:
                raise InputError(f"{place}.{key}: {other} has candidates; name a run that has none")
            if key == "init" and runs[other].method != run.method:
                raise InputError(f"{place}.init: {other} is another method ({runs[other].method}); a run starts from its own")
            if runs[other].data is not None and set(run.data or data) - set(runs[other].data or ()):
                raise InputError(f"{place}.{key}: {other} is not made on all of this run's data")
        if run.attention and run.classification:
            parents = [runs[run.attention], runs[run.classification]]
            if any(parent.unlabelled for parent in parents):
                raise InputError(f"{place}: a swap needs runs with labels; clusters of two trainings have nothing in common")
            if parents[0].classes != parents[1].classes:
                raise InputError(f"{place}: the two runs of a swap learn different classes")
        if run.unlabelled and (run.init or run.classes):
            raise InputError(f"{place}: init and classes need labels, and the run uses none")
        seen = [run.name]
        while (start := runs[seen[-1]].init) is not None:
            if start in seen:
                raise InputError(f"{place}.init: the runs {', '.join(seen)} start from each other")
            seen.append(start)
    for one in data:
        if not any(run.data is None or one in run.data for run in runs.values()):
            raise InputError(f"{where}: data.{one}: no run is made on it")
    return runs


def _read_seeds(content: Any, where: str) -> tuple[int, ...]:
    seeds = list(range(content)) if type(content) is int else content
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"{where}: seeds: expected how many, or a list of whole numbers from 0, found {content!r}")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: seeds: one stands twice; the same seed gives the same result")
    return tuple(seeds)


def _read_metrics(
    content: Any, where: str, tious: np.ndarray, data: Mapping[str, Data], options: Mapping[str, Any]
) -> tuple[str, ...]:
    metrics = content if isinstance(content, list) else [content]
    streams = {stream for one in data.values() for part in one.parts for stream in FeatureStore(part.features).streams}
    with_parts = any(part.parts for one in data.values() for part in one.parts)
    for number, metric in enumerate(metrics):
        place = f"{where}: metrics"
        if not isinstance(metric, str) or not metric:
            raise InputError(f"{place}: expected a name such as mAP@0.5, found {metric!r}")
        if metric in metrics[:number]:
            raise InputError(f"{place}: {metric} stands twice")
        protocol, colon, name = metric.partition(":")
        if colon and protocol not in PROTOCOLS and not protocol.startswith("mAP@"):
            raise unknown(protocol, PROTOCOLS, f"{place}: {metric}: protocol")
        protocol, name = split_metric(metric)
        if protocol in DETECTION_PROTOCOLS and name.startswith("mAP"):
            try:
                over_thresholds(np.zeros(len(tious)), tious, name)
            except InputError as error:
                raise InputError(f"{place}: {error}") from None
            continue
        plain = re.sub(r"\.round\d+$", "", name) if protocol == "clustering" else name
        known = numbers_of(protocol, streams)
        if plain not in known:
            if not colon and (other := next((p for p in PROTOCOLS if name in numbers_of(p, streams)), None)):
                raise InputError(f"{place}: {metric}: is not of activitynet; write {other}:{metric}")
            near = nearest(plain, known)
            grid = ["mAP@avg", f"mAP@{tious[0]:g}"] if protocol in DETECTION_PROTOCOLS else []
            raise unknown(name, [near] if near else [*grid, *numbers_of(protocol)], f"{place}: {metric}")
        if protocol in DETECTION_PROTOCOLS and "min_score" not in options:
            raise InputError(f"{place}: {metric}: is of the detections above a score; say which: evaluate: {{min_score: 0.5}}")
        of_parts = name.startswith(("attention.", *PAIRS_OF_KINDS))
        if protocol == "attention" and of_parts and not with_parts:
            raise InputError(f"{place}: {metric}: no data set has 'parts', the file that says what is action and what context")
    return tuple(metrics)


def numbers_of(protocol: str, streams: Collection[str] = ()) -> list[str]:
    """The single numbers that a protocol gives beside the mAP of detections (`scalars` in `evaluation.results`).

    Without `streams` only those of all streams together, and attention's only at its standard levels.
    """
    by_stream = [f".{stream}" for stream in sorted(streams)]
    if protocol in DETECTION_PROTOCOLS:
        readings = [
            f"{name}{how}" for how in ("", ".any_overlap") for name in ("precision", "recall", "f1", "false_alarms_per_hour")
        ]
        return [*readings, "silent_share"]
    if protocol == "classification":
        return [f"{name}{suffix}" for name in ("accuracy", "video_mAP") for suffix in ("", *by_stream)]
    if protocol == "clustering":
        return [f"{field.name}{suffix}" for field in fields(ClusterScores) for suffix in ("", ".shared")]
    levels = [f"{name}@{level:g}" for name in STATISTICS for level in LEVELS] if streams else []
    names = [*STATISTICS, *levels, "snippet_AP", *(f"attention.{kind}" for kind in KINDS), *PAIRS_OF_KINDS]
    return [f"{name}{suffix}" for name in names for suffix in ("", *by_stream)]


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


def _check_settings(plan: Experiment) -> None:
    """See that every run's settings exist, for the streams of every data set it is made on, and that it can learn from it."""
    for data in plan.data.values():
        for run in plan.runs_of(data.name):
            place = f"{plan.path}: runs.{run.name}"
            source = plan.source(run)
            streams = FeatureStore(data.parts[0].features).streams
            laid_over = merge(for_localization(plan.localize), for_localization(run.localize or {}))
            try:
                for candidate in source.candidates or ({},):
                    resolve(source.method, source.preset, merge(merge(source.settings or {}, candidate), laid_over), streams)
            except InputError as error:
                raise InputError(f"{place}: {error}") from None
            if source.unlabelled and "clusters" not in method_class(source.method).learns_from:
                raise InputError(f"{place}.unlabelled: {source.method} cannot learn without labels")
            if len(data.parts) > 1 and source.unlabelled:
                raise InputError(f"{place}: clusters of different folds have nothing in common; make it on data without folds")


def _check_clusters(plan: Experiment) -> None:
    """See that clusters are scored where there are some, and taken for classes where classes are scored."""
    unlabelled = [run.name for run in plan.runs.values() if run.unlabelled]
    of_classes = [metric for metric in plan.metrics if split_metric(metric)[0] != "clustering"]
    if len(of_classes) < len(plan.metrics) and not unlabelled:
        raise InputError(f"{plan.path}: metrics: clustering is scored for runs with unlabelled: true, and there is none")
    if of_classes and unlabelled and "map_clusters" not in plan.evaluate:
        raise InputError(
            f"{plan.path}: runs.{unlabelled[0]}: {of_classes[0]} needs classes for its clusters; "
            f"write evaluate: {{map_clusters: {'|'.join(MAPPINGS)}}}"
        )


def check_training_data(plan: Experiment) -> None:
    """Read what every training will see: all faults of features, labels and clips are told before the first one begins.

    Raises:
        InputError: a run cannot learn from its data.
    """
    seen = set()
    for data in plan.data.values():
        for run in plan.runs_of(data.name):
            for part in () if run.is_swap else data.parts:
                clips = learns_from_clips(run, part)
                what = (part.features, part.labels, part.only, part.clusters, run.unlabelled, run.classes, clips and part.trimmed)
                if what in seen:
                    continue
                seen.add(what)
                try:
                    store = FeatureStore(part.features)
                    chosen = resolve(run.method, run.preset, run.settings, store.streams)
                    supervision = supervision_of(part, run.unlabelled, clips, run.classes)
                    supervision.with_clips(supervision.training_set(store, chosen.data, say=_quiet), _quiet)
                except InputError as error:
                    raise InputError(f"{plan.path}: runs.{run.name} on {data.name}: {error}") from None


_quiet: Callable[[str], None] = lambda text: None  # noqa: E731 (warnings are told by the training itself)


def learns_from_clips(run: RunSpec, part: Part) -> bool:
    return run.trimmed and part.trimmed is not None and "trimmed" in method_class(run.method).learns_from


def _mapping(content: Any, where: str, allowed: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: expected names with values, found {content!r}")
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


def for_localization(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for localization: a bare key means `localization.<key>`."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        tree = merge(tree, {key: value} if key in ("localization", "data") else {"localization": {key: value}})
    return tree
