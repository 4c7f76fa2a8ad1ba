"""From activations to a detections file: what was found, and the activations beside it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.annotations import read_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.files import beside as part_of
from untrimmed.data.files import fresh_folder, set_aside, sweep, write_json
from untrimmed.data.labels import NO_ACTION
from untrimmed.data.locks import one_at_a_time
from untrimmed.data.outputs import DETECTIONS, FAILURES, activations_beside, check_output, failures_beside, make_room
from untrimmed.data.settings import build, check_streams, merge
from untrimmed.data.types import Activation, Results
from untrimmed.localization import Localization
from untrimmed.methods.base import SECTIONS


def overrides_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings laid over a run's when it localizes, by section; a bare key means `localization.<key>`.

    Raises:
        InputError: a setting of the method, which a trained run cannot change, or a section without a setting.
    """
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "method":
            raise InputError("`settings` method.…: what a run was trained with cannot be changed when it localizes")
        if key in SECTIONS and not isinstance(value, Mapping):
            raise InputError(f"`settings` {key}={value}: names a group of settings; write {key}.<setting>=<value>")
        tree = merge(tree, {key: value} if key in SECTIONS else {"localization": {key: value}})
    return tree


def wanted_videos(subset_from: str | Path | None, subset: str | None) -> set[str] | None:
    """The videos of a subset of an annotation file; None: all there are."""
    if (subset_from is None) != (subset is None):
        raise InputError("`subset_from` and `subset` go together")
    return None if subset_from is None else set(read_annotations(subset_from).subset(subset))


def activations_of_store(
    source: Path, wanted: set[str] | None, overrides: Mapping[str, Any]
) -> tuple[list[Activation], Localization, dict[str, Any]]:
    """Stored activations, to be cut again without the model; also their localization settings, and what is known of the run.

    Raises:
        InputError: they cannot be read, or `overrides` has settings of `data`, which were used before they were stored.
    """
    activations, about = read_activations(source)
    if "data" in overrides:
        raise InputError("`settings` data.…: stored activations hold the snippets that were looked at; localize the run again")
    check_streams(overrides.get("localization", {}), activations[0].streams if activations else (), "localization")
    activations = [a for a in activations if wanted is None or a.video in wanted]
    cutting = build(Localization, merge(about.get("localization", {}), overrides.get("localization", {})), "localization")
    return activations, cutting, about


def named_above(results: Results, min_score: float | None = None, names: Mapping[str, str] | None = None) -> Results:
    """The detections that count, under the names they are shown by; every video stays listed.

    Args:
        min_score: detections that score less are left out.
        names: what clusters are called: detections carry these names, and those of a cluster named as in `NO_ACTION` are left out.
    """
    called = names or {}
    silent = {cluster for cluster, name in called.items() if name.casefold() in NO_ACTION}
    return {
        video: [
            d._replace(label=called.get(d.label, d.label))
            for d in detections
            if d.label not in silent and (min_score is None or d.score >= min_score)
        ]
        for video, detections in results.items()
    }


def check_result(out: Path, force: bool, failures: bool) -> None:
    """See, before any work, that `write_result` can write there; `failures`: also what was left out.

    Raises:
        InputError: something else is there and `force`, by which it will be renamed, is not given; or another detections file
            has its activations in the same folder.
    """
    check_output(out, DETECTIONS, force)
    beside = activations_beside(out)
    if failures:
        check_output(failures_beside(out), FAILURES, force)
    other = out.with_name(out.name.removesuffix(".json") if out.name.endswith(".json") else f"{out.name}.json")
    if other.is_file() and beside.is_dir():
        raise InputError(f"{out}: its activations would take the place of those of {other}; choose another `out`")
    sweep(out.parent, beside.name)


def write_result(
    out: Path, results: Results, about: Mapping[str, Any], stored: tuple[Sequence[Activation], Localization] | None, source: Path
) -> Path | None:
    """Write detections and, beside them, the activations and settings that they were cut with; what was there gives way.

    At no time are activations beside detections of another call: first the old ones go, then the detections come, then the new
    ones; and of two processes one does all of this after the other.

    Args:
        about: what is known of the run. stored: None: no activations are written.
        source: where the activations came from, which is not touched.

    Returns:
        The folder of the activations beside the detections, where there is one.
    """
    beside = activations_beside(out)
    fields: dict[str, Any] = {k: about[k] for k in ("run", "method", "selection", "clusters", "held") if k in about}
    if beside.resolve() == source.resolve():
        make_room(out, DETECTIONS)
        write_detections(out, results, fields)
        return beside
    with fresh_folder(beside) as fresh:
        if stored is not None:
            activations, cutting = stored
            write_activations(fresh, activations, {**about, "localization": asdict(cutting)})
        with one_at_a_time(out.parent):
            make_room(out, DETECTIONS)
            old = _take_away(beside)
            write_detections(out, results, fields)
            if stored is not None:
                fresh.rename(beside)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return beside if stored is not None else None


def _take_away(activations: Path) -> Path | None:
    """Rename activations that were written before to what is swept away; a folder that holds anything else to NAME.1."""
    if not activations.exists():
        return None
    files = {file.name for file in activations.iterdir()} if activations.is_dir() else {""}
    if "activations.json" in files and all(name == "activations.json" or name.endswith(".safetensors") for name in files):
        return activations.rename(part_of(activations))
    set_aside(activations)
    return None


def write_failures(out: Path, failures: Mapping[str, str]) -> Path:
    """Write what was left out of a detections file, and why; where nothing was, what an earlier call wrote goes."""
    file = failures_beside(out)
    if failures:
        make_room(file, FAILURES)
        write_json(file, failures, indent=1)
    elif file.is_file() and FAILURES.ours(file):
        file.unlink()
    return file
