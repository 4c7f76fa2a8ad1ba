"""`untrimmed localize`: from a trained run and videos or features, or from stored activations, to detections."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from untrimmed.console import note
from untrimmed.data.clusters import read_names
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable, write_json
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Results
from untrimmed.engine import check_engine
from untrimmed.jobs.report import report as write_report
from untrimmed.runs.detect import activations_of_store, detect, overrides_of, wanted_videos, write_result
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.infer import activations_of_run, extract_as, files_of
from untrimmed.training.device import check_device
from untrimmed.video.decode import find_videos


@dataclass(frozen=True)
class LocalizeReport:
    """The detections by video, as written, and the videos that could not be extracted, with the reason."""

    results: Results
    failures: dict[str, str]


def localize(
    source: str | Path,
    *,
    paths: str | Path | Iterable[str | Path] | None = None,
    features: str | Path | None = None,
    out: str | Path,
    subset_from: str | Path | None = None,
    subset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    report: str | Path | None = None,
    device: str = "cpu",
    activations: bool = True,
    ids: Literal["stem", "relative"] = "stem",
    min_score: float | None = None,
    names: str | Path | None = None,
    engine: str = "local",
) -> LocalizeReport:
    """Find the actions in videos and write a detections file.

    Args:
        source: a run folder, or a folder of stored activations (then no model, no videos and no features are needed).
        paths: videos or folders of them: their features are extracted exactly as the run's were, into `<run>/features`.
        features: a feature store that was made exactly as the run's.
        subset_from, subset: localize only the videos of that subset of an annotation file (no other part of it is read).
        settings: values laid over the run's, under `localization` (a bare key means `localization.<key>`) and `data`; and under
            `extractor` where its weights lie now, if they were moved.
        report: also write the page there.
        activations: also write `<out without suffix>.activations/`.
        ids, engine: how videos given as paths are named, and where the work is done, see `extract`.
        min_score: leave out detections that score less; every video stays listed.
        names: a CSV `cluster,name`: detections of these clusters carry the names instead; those of a cluster named as in
            `data.labels.NO_ACTION` (`none`, `background` ...) are left out. The activations keep the clusters.

    Raises:
        InputError: no finished run, features that differ from the run's, an unknown setting or subset.
    """
    source, out = Path(source), Path(out)
    named = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths or ())]
    if not source.is_dir():
        raise InputError(f"{source}: no such run or folder of activations")
    check_writable(out)
    if report is not None:
        check_writable(report)
    check_engine(engine)
    if engine == "local" or not device.startswith("cuda"):  # the cluster is asked for its GPUs
        check_device(device)
    if min_score is not None and not math.isfinite(min_score):
        raise InputError(f"--min-score {min_score}: expected a finite number")
    called = {} if names is None else read_names(names)
    settings = dict(settings or {})
    places = settings.pop("extractor", {})
    overrides = overrides_of(settings)
    wanted = wanted_videos(subset_from, subset)
    failures: dict[str, str] = {}
    media: dict[str, Path] = {}
    if (source / "activations.json").exists():
        if features is not None or named:
            raise InputError("stored activations are cut again as they are; give no videos and no --features")
        found, cutting, about = activations_of_store(source, wanted, overrides)
    else:
        if bool(named) == (features is not None):
            raise InputError(f"give videos or features to localize: untrimmed localize {source} --features DIR --out {out}")
        if named:
            run = RunFolder(source)
            run.settings(run.method(), overrides)  # its faults are told before the long extraction
            extracted, failures, videos = extract_as(source, named, ids, places, device, engine)
            features, wanted = extracted, videos if wanted is None else videos & wanted
        assert features is not None
        found, cutting, about = activations_of_run(source, features, wanted, overrides, device, engine=engine)
        media |= files_of(FeatureStore(features), found) | (find_videos(named, ids) if named else {})
    if not found:
        raise InputError("there is no video to localize")
    if strange := sorted(called.keys() - set(found[0].classes)):
        raise InputError(f"{names}: {source} has no cluster {strange[0]!r}; it has {', '.join(found[0].classes)}")
    results = detect(found, cutting, min_score, called)
    stored = write_result(out, results, about, (found, cutting) if activations else None, source)
    note(f"{out}: {sum(map(len, results.values()))} detections in {len(results)} videos")
    if report is not None:
        write_report(out, out=report, activations=stored, videos=media or None)
    if failures:
        write_json(out.with_name("failures.json"), failures, indent=1)
    elif named:
        out.with_name("failures.json").unlink(missing_ok=True)  # of a call before
    return LocalizeReport(results, failures)
