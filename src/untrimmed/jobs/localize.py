"""`untrimmed localize`: from a trained run and videos or features, or from stored activations, to detections."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from untrimmed.data.clusters import read_names
from untrimmed.data.errors import InputError
from untrimmed.data.notebook import Detections
from untrimmed.data.outputs import PAGE, check_output, named_after
from untrimmed.data.settings import of_stream
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Activation
from untrimmed.engine import check_engine
from untrimmed.jobs.report import report as write_report
from untrimmed.localization import Localization
from untrimmed.localization import localize as cut_activations
from untrimmed.localization.fuse import fuse
from untrimmed.reporting.summary import by_class, by_video
from untrimmed.runs.detect import (
    activations_of_store,
    check_result,
    named_above,
    overrides_of,
    wanted_videos,
    write_failures,
    write_result,
)
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.infer import activations_of_run, extract_as, files_of
from untrimmed.runs.reliability import read_reliability
from untrimmed.runs.target import fused_scores
from untrimmed.training.device import check_device
from untrimmed.video.decode import find_videos


@dataclass(frozen=True)
class LocalizeReport(Detections):
    """What was written, and what it is worth.

    results: the detections by video. failures: the videos that could not be extracted, with the reason.
    video_scores: how likely each class is in each video as a whole, the weighted mean of the streams; empty where several vote.
    score_cut: above it nothing was detected in the training videos without an action; None where that is not known.
    folder: the folder of the videos, where one was named.
    class_threshold: what a video score has to exceed; None where that is not what classes are kept by, or several vote.
    """

    failures: dict[str, str]
    classes: tuple[str, ...] = ()
    video_scores: dict[str, dict[str, float]] = field(default_factory=dict)
    score_cut: float | None = None
    folder: Path | None = None
    class_threshold: float | None = None

    def text(self) -> str:
        """What was detected, and what to do next."""
        lines = [f"{self.out}: {sum(map(len, self.results.values()))} detections in {len(self.results)} videos"]
        lines += by_class(self.results, self.classes, self.score_cut)
        if self.video_scores:
            lines += ["", *by_video(self.video_scores)]
            highest = max(score for of_video in self.video_scores.values() for score in of_video.values())
            if not any(self.results.values()) and self.class_threshold is not None and highest <= self.class_threshold:
                lines.append(
                    f"warning: no video score is above localization.class_threshold={self.class_threshold:g}, so that nothing is "
                    f"looked for; to see what there is: --set localization.class_threshold={highest / 2:.1g}"
                )
        least = ""
        if self.score_cut is not None:
            least, cut = f" --min-score {self.score_cut:g}", self.score_cut
            lines += ["", f"score cut {cut:g}: above it nothing was detected in training videos without an action"]
            if all(d.score < cut for of_video in self.results.values() for d in of_video):
                lines.append("warning: nothing here is above it; the run may not tell these videos from empty ones")
        page, table = named_after(self.out, ".html"), named_after(self.out, ".csv")
        lines.append(f"next: untrimmed report {self.out} --videos {self.folder or 'DIR'} --out {page}")
        lines.append(f"or:   untrimmed export {self.out} --format csv{least} --out {table}")
        return "\n".join(lines)


def localize(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
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
    force: bool = False,
) -> LocalizeReport:
    """Find the actions in videos and write a detections file.

    Args:
        source: a run folder, or a folder of stored activations (then no model, no videos and no features are needed). Several, of
            the same classes, vote: their detections are fused (see `localization.fuse`), and no activations are written.
        paths: videos or folders of them: their features are extracted exactly as the run's were, into `<run>/features`.
        features: a feature store that was made exactly as the run's.
        subset_from, subset: localize only the videos of that subset of an annotation file (no other part of it is read).
        settings: values laid over the run's, under `localization` (a bare key means `localization.<key>`) and `data`; and under
            `extractor` where its weights lie now, if they were moved.
        report: also write the page there.
        activations: also write `X.activations/` for an `out` of X.json.
        ids, engine: how videos given as paths are named, and where the work is done, see `extract`.
        min_score: leave out detections that score less; every video stays listed.
        names: a CSV `cluster,name`: detections of these clusters carry the names instead; those of a cluster named as in
            `data.labels.NO_ACTION` (`none`, `background` ...) are left out. The activations keep the clusters.
        force: what is at `out`, and is no detections file of this program, is renamed instead of refused.

    Raises:
        InputError: no finished run, features that differ from the run's, an unknown setting or subset.
    """
    out = Path(out)
    sources = [Path(folder) for folder in ([source] if isinstance(source, str | os.PathLike) else source)]
    named = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths or ())]
    if not sources:
        raise InputError("name a run to localize with")
    for folder in sources:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such run or folder of activations")
        if (folder / "features.json").is_file():
            raise InputError(f"{folder}: a feature store, no run; name the run first: untrimmed localize RUN --features {folder}")
    for path in named:
        if (path / "features.json").is_file():
            raise InputError(f"{path}: a feature store; give it as `features`, not among the videos")
    check_result(out, force, failures=bool(named))
    if report is not None:
        check_output(report, PAGE, force)
        if Path(report).resolve() == out.resolve():
            raise InputError(f"{out}: is named both for the detections and for the page; name two files")
    check_engine(engine)
    if engine == "local" or not device.startswith("cuda"):  # the cluster is asked for its GPUs
        check_device(device)
    if min_score is not None and not math.isfinite(min_score):
        raise InputError(f"`min_score` {min_score}: expected a finite number")
    called = {} if names is None else read_names(names)
    wanted = wanted_videos(subset_from, subset)
    asked = _Asked(named, features, wanted, dict(settings or {}), ids, device, engine, out)
    looks = [_look(folder, asked) for folder in sources]
    first = looks[0]
    for folder, look in zip(sources, looks):
        if look.activations[0].classes != first.activations[0].classes:
            raise InputError(f"{folder}: knows other classes than {sources[0]}; only runs of the same classes can vote together")
    if strange := sorted(called.keys() - set(first.activations[0].classes)):
        raise InputError(f"{names}: {sources[0]} has no cluster {strange[0]!r}; it has {', '.join(first.activations[0].classes)}")
    results = [cut_activations(look.activations, look.cutting) for look in looks]
    failures = {video: why for look in looks for video, why in look.failures.items()}
    counted = named_above(results[0] if len(looks) == 1 else fuse(results), min_score, called)
    kept = (first.activations, first.cutting) if activations and len(looks) == 1 else None
    stored = write_result(out, counted, _about(looks), kept, sources[0])
    if report is not None:
        write_report(out, out=report, activations=stored, videos=first.media or None, force=force)
    if named:
        write_failures(out, failures)
    shown = tuple(called.get(label, label) for label in first.activations[0].classes)
    alone = len(looks) == 1
    scores = _video_scores(first, shown) if alone else {}
    cut = _score_cut(sources[0], asked) if alone and min_score is None else None
    videos = named[0] if len(named) == 1 and named[0].is_dir() else None
    least = first.cutting.class_threshold if alone and first.cutting.class_value == "score" else None
    return LocalizeReport(out, counted, failures, tuple(dict.fromkeys(shown)), scores, cut, videos, least)


@dataclass(frozen=True)
class _Asked:
    """What is asked of every source: videos or features, and how they are looked at."""

    videos: list[Path]
    features: str | Path | None
    wanted: set[str] | None
    settings: dict[str, Any]
    ids: Literal["stem", "relative"]
    device: str
    engine: str
    out: Path


@dataclass(frozen=True)
class _Look:
    """What one source says: activations, how they are cut, what is known of the run, what failed, and the video files."""

    activations: Sequence[Activation]
    cutting: Localization
    about: dict[str, Any]
    failures: dict[str, str]
    media: dict[str, Path]


def _look(source: Path, asked: _Asked) -> _Look:
    settings = dict(asked.settings)
    places = settings.pop("extractor", {})
    overrides, features, wanted = overrides_of(settings), asked.features, asked.wanted
    failures: dict[str, str] = {}
    media: dict[str, Path] = {}
    if (source / "activations.json").exists():
        if features is not None or asked.videos:
            raise InputError("stored activations are cut again as they are; give no videos and no `features`")
        activations, cutting, about = activations_of_store(source, wanted, overrides)
    else:
        if asked.videos and features is not None:
            raise InputError("give videos or features to localize, not both")
        if not asked.videos and features is None:
            if not (source / "config.yaml").is_file():  # the run was forgotten
                raise InputError(f"{source}: no run; name the run first: untrimmed localize RUN {source} --out {asked.out}")
            raise InputError(f"give videos or features to localize: untrimmed localize {source} --features DIR --out {asked.out}")
        if asked.videos:
            run = RunFolder(source)
            run.settings(run.method(), overrides)  # its faults are told before the long extraction
            features, failures, extracted = extract_as(source, asked.videos, asked.ids, places, asked.device, asked.engine)
            wanted = extracted if wanted is None else extracted & wanted
        assert features is not None
        activations, cutting, about = activations_of_run(source, features, wanted, overrides, asked.device, engine=asked.engine)
        media = files_of(FeatureStore(features), activations) | (find_videos(asked.videos, asked.ids) if asked.videos else {})
    if not activations:
        raise InputError("there is no video to localize")
    return _Look(activations, cutting, about, failures, media)


def _about(looks: Sequence[_Look]) -> dict[str, Any]:
    """What is known of the run; of several, whose votes were counted."""
    if len(looks) == 1:
        return looks[0].about
    joined = {key: " + ".join(dict.fromkeys(str(look.about.get(key)) for look in looks)) for key in ("run", "method", "selection")}
    return joined | {key: looks[0].about[key] for key in ("clusters", "held") if key in looks[0].about}


def _video_scores(look: _Look, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of each video the scores of its classes, under the names they are shown by."""
    streams = list(look.activations[0].streams)
    weights = [of_stream(look.cutting, name).stream_weight for name in streams]
    total = sum(weights)
    shares = dict(zip(streams, [weight / total for weight in weights] if total else [1 / len(weights)] * len(weights)))
    fused = fused_scores(look.activations, shares)
    return {video: dict(zip(names, map(float, of_classes))) for video, of_classes in fused.items()}


def _score_cut(source: Path, asked: _Asked) -> float | None:
    """The run's, where its detections are cut as they were when it was found."""
    if {"localization", "data"} & overrides_of({k: v for k, v in asked.settings.items() if k != "extractor"}).keys():
        return None
    reliability = read_reliability(RunFolder(source))
    return None if reliability is None else reliability.score_cut
