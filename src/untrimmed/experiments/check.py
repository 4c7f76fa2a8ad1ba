"""Faults of an experiment file that show only when its parts are seen together, or when its data is read."""

from collections.abc import Callable, Collection, Mapping

from untrimmed.data.errors import InputError
from untrimmed.data.settings import merge, unknown
from untrimmed.data.store import FeatureStore
from untrimmed.evaluation.clustering import MAPPINGS
from untrimmed.experiments.metrics import split_metric
from untrimmed.experiments.spec import Experiment, RunSpec
from untrimmed.experiments.task import supervision_of
from untrimmed.methods.base import method_class, resolve
from untrimmed.runs.detect import overrides_of


def check_runs(runs: Mapping[str, RunSpec], data: Collection[str], where: str) -> None:
    """See that the runs and data sets that runs name exist, and fit them.

    Raises:
        InputError: what is at fault.
    """
    for run in runs.values():
        place = f"{where}: runs.{run.name}"
        for name in run.data or ():
            if name not in data:
                raise unknown(name, data, f"{place}.data")
        for key in run.parents:
            _check_parent(run, key, runs, data, f"{place}.{key}")
        if run.is_swap:
            _check_swap(run, runs, place)
        if run.unlabelled and (run.init or run.classes):
            raise InputError(f"{place}: init and classes need labels, and the run uses none")
        seen = [run.name]
        while (start := runs[seen[-1]].init or runs[seen[-1]].refine) is not None:
            if start in seen:
                raise InputError(f"{place}: the runs {', '.join(seen)} start from each other")
            if start not in runs:
                break  # told when its own turn comes
            seen.append(start)
    for name in data:
        if not any(run.data is None or name in run.data for run in runs.values()):
            raise InputError(f"{where}: data.{name}: no run is made on it")


def _check_parent(run: RunSpec, key: str, runs: Mapping[str, RunSpec], data: Collection[str], place: str) -> None:
    """See that a run that another names is there, is trained, is just one, and is made on the same data."""
    name = run.parents[key]
    if name not in runs:
        raise unknown(name, runs, place)
    parent = runs[name]
    if parent.is_swap:
        raise InputError(f"{place}: {name} is a swap itself; name a run that is trained")
    if parent.candidates:
        raise InputError(f"{place}: {name} has candidates; name a run that has none")
    if key == "init" and parent.method != run.method:
        raise InputError(f"{place}: {name} is another method ({parent.method}); a run starts from its own")
    if parent.data is not None and set(run.data or data) - set(parent.data):
        raise InputError(f"{place}: {name} is not made on all of this run's data")


def _check_swap(run: RunSpec, runs: Mapping[str, RunSpec], place: str) -> None:
    first, second = (runs[name] for name in run.parents.values())
    if first.unlabelled or second.unlabelled:
        raise InputError(f"{place}: a swap needs runs with labels; clusters of two trainings have nothing in common")
    if first.classes != second.classes:
        raise InputError(f"{place}: the two runs of a swap learn different classes")


def check_plan(plan: Experiment) -> None:
    """See that what the file says fits together.

    Raises:
        InputError: what is at fault.
    """
    _check_selection(plan)
    _check_settings(plan)
    _check_clusters(plan)


def _check_selection(plan: Experiment) -> None:
    """See that there is something to choose from where something is chosen, and something to choose by."""
    where, chosen = plan.path, [run for run in plan.runs.values() if run.candidates]
    if plan.selection == "last" and chosen:
        raise InputError(
            f"{where}: runs.{chosen[0].name}.candidates: nothing is chosen with selection last; write weak-loss or oracle"
        )
    if plan.selection != "last" and not chosen:
        raise InputError(
            f"{where}: selection {plan.selection}: there is nothing to choose from; give a run candidates, or leave it away"
        )
    for run in chosen if plan.selection == "weak-loss" else ():
        if run.unlabelled:
            raise InputError(f"{where}: runs.{run.name}: weak-loss needs tags to choose by, and the run uses none")
        if any("localization" in candidate for candidate in run.candidates):
            raise InputError(f"{where}: runs.{run.name}.candidates: the tags' loss cannot tell settings of localization apart")


def _check_settings(plan: Experiment) -> None:
    """See that every run's settings exist, for the streams of every data set it is made on, and that it can learn from it."""
    for data in plan.data.values():
        for run in plan.runs_of(data.name):
            place = f"{plan.path}: runs.{run.name}"
            source = plan.source(run)
            streams = FeatureStore(data.parts[0].features).streams
            try:
                laid_over = merge(overrides_of(plan.localize), overrides_of(run.localize or {}))
                for candidate in source.candidates or ({},):
                    resolve(source.method, source.preset, merge(merge(source.settings or {}, candidate), laid_over), streams)
            except InputError as error:
                raise InputError(f"{place}: {error}") from None
            if source.unlabelled and source.refine is None and "clusters" not in method_class(source.method).learns_from:
                raise InputError(f"{place}.unlabelled: {source.method} cannot learn without labels")


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
            for part in () if run.is_swap or run.refine else data.parts:
                clips = run.learns_from_clips(part)
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
