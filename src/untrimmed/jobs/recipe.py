"""`untrimmed recipe`: one of the papers' experiments from the features that others share, in one go.

OUT/data/              what `convert` makes of a pack
OUT/labels.csv         labels of the training videos, the only thing that training sees
OUT/annotations.json   the truth, with the test videos that are scored
OUT/run/               the run
OUT/detections.json    of the test videos, with OUT/detections.activations/
OUT/scores.json        by every protocol, and in what the data differ from the recipe's
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from untrimmed.console import note
from untrimmed.data.annotations import Annotations, read_annotations, read_detections, write_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_shape, read_json, set_aside, sweep, write_json
from untrimmed.data.labels import read_labels, write_labels
from untrimmed.data.packs import KNOWN_FAULTS, training_subset
from untrimmed.data.run_files import RunFiles
from untrimmed.data.settings import unknown
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Segment
from untrimmed.evaluation.results import AnyEvaluation, ClassificationEvaluation, Evaluation
from untrimmed.jobs.convert import convert
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods.base import method_class, resolve
from untrimmed.reporting.published import Published, fitting, markdown, read_published
from untrimmed.runs.supervision import Supervision
from untrimmed.training.device import check_device


@dataclass(frozen=True)
class Recipe:
    """What is known of a data set before anyone's features are seen.

    dataset:   its name in `published.csv`.
    classes, training, test: how many classes, training videos and test videos the papers have.
    protocols: how detections are scored. tiou: at which thresholds.
    thumos:    test videos without a true segment, and those with known faults, are not scored, as in every release.
    """

    dataset: str
    classes: int
    training: int
    test: int
    protocols: tuple[str, ...]
    tiou: str
    thumos: bool = False


RECIPES = {
    "thumos14": Recipe("THUMOS14", 20, 200, 210, ("activitynet", "thumos14", "wtalc"), "0.1:0.9:0.1", thumos=True),
    "activitynet-1.2": Recipe("ActivityNet1.2", 100, 4819, 2383, ("activitynet",), "0.5:0.95:0.05"),
    "activitynet-1.3": Recipe("ActivityNet1.3", 200, 10024, 4926, ("activitynet",), "0.5:0.95:0.05"),
    "thumos14-101": Recipe("THUMOS14", 101, 1010, 210, ("activitynet", "thumos14", "wtalc"), "0.1:0.9:0.1", thumos=True),
}
"""Recipe by name, which is also the name of a preset of every method. Of the 1,574 test videos of THUMOS14 with all 101 classes the
210 that are annotated count for detection."""


@dataclass(frozen=True)
class RecipeReport:
    """What a recipe gave.

    differences: in what the data differ from the recipe's, in words.
    evaluations: by each protocol, classification last.
    published:   what others printed of the method on these data.
    failures:    videos of the pack that could not be read, with the reason.
    """

    recipe: str
    method: str
    seed: int
    differences: tuple[str, ...]
    evaluations: tuple[AnyEvaluation, ...]
    published: tuple[Published, ...]
    failures: dict[str, str]

    def text(self) -> str:
        """One row per protocol, in per cent, and the published rows below."""
        detections = [scored for scored in self.evaluations if isinstance(scored, Evaluation)]
        first = detections[0]
        columns = [f"{tiou:g}" for tiou in first.scores.tious]
        width = max(len(scored.protocol) for scored in self.evaluations)
        lines = [
            f"recipe     {self.recipe} with {self.method}, seed {self.seed}",
            *(f"but        {difference}" for difference in self.differences),
            f"set        {first.annotations}, subset {first.subset}: {first.scores.videos} videos, "
            f"{first.scores.instances} instances, {len(first.scores.classes)} classes",
            f"selection  {first.selection or 'not stated'}",
            *([] if first.mapping is None else [f"mapping    {first.mapping}"]),
            "",
            "mAP at tIoU".ljust(width) + "".join(column.rjust(6) for column in [*columns, "mean"]),
        ]
        for scored in detections:
            cells = [*scored.scores.mean_ap, scored.scores.average]
            lines.append(scored.protocol.ljust(max(width, 11)) + "".join(f"{100 * value:6.1f}" for value in cells))
        for row in self.evaluations:
            if isinstance(row, ClassificationEvaluation):
                videos = f"{row.scores.videos} videos"
                lines += [
                    "",
                    f"{row.protocol}  accuracy {100 * row.scores.accuracy:.1f}, mAP {100 * row.scores.mean_ap:.1f} ({videos})",
                ]
        return "\n".join([*lines, "", markdown(self.published)])


def recipe(
    name: str,
    *,
    method: str,
    features: str | Path,
    out: str | Path,
    layout: str | None = None,
    annotations: str | Path | None = None,
    labels: str | Path | None = None,
    test_labels: str | Path | None = None,
    subset: str | None = None,
    unlabelled: bool = False,
    clusters: int | None = None,
    trimmed: str | Path | None = None,
    trimmed_labels: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    fps: float | None = None,
    stride: int | None = None,
    allow_pickle: bool = False,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
) -> RecipeReport:
    """Convert a pack of features, train a method on it with the preset of the recipe's name, localize and score the test videos.

    Args:
        name: in RECIPES. method: its name.
        features: a pack in `layout` (see `packs.LAYOUTS`); or without a layout a feature store, or a folder that `convert` made.
        annotations: the truth, where it does not lie with the features.
        labels: of the training videos, where neither the pack nor the annotations' training subset says them.
        test_labels: of all test videos, for classification; then every video is localized. None: those of the annotations.
        subset: the test subset of the annotations; by default the one called test, or else validation.
        unlabelled, clusters, trimmed, trimmed_labels, settings, seed, device: see `train`. Without labels, clusters are taken for
            the class that is most frequent in them among the training videos.
        fps, stride, allow_pickle: see `convert`; for its other options convert first.
        resume: go on in `out`. force: rename what is there.

    Raises:
        InputError: an unknown recipe, or anything that the single steps refuse.
    """
    if name not in RECIPES:
        raise unknown(name, RECIPES, "recipe")
    chosen, out, features = RECIPES[name], Path(out), Path(features)
    resolve(method, name, settings)  # report errors before the long conversion
    check_device(device)
    learned_from = None if unlabelled else out / "labels.csv"
    supervision = Supervision(learned_from, unlabelled, clusters, trimmed, trimmed_labels)
    supervision.check(method, method_class(method).learns_from)
    if layout is None and features.is_dir() and not (features / "features.json").is_file():
        raise InputError(f"{features}: no features.json in it; if it is a pack as others share it, name its `layout`")
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]) and not resume:
        if not force:
            raise InputError(f"{out}: already exists; `resume` continues it, `force` renames it first")
        set_aside(out)
    sweep(out)

    failures: dict[str, str] = {}
    if layout is not None:
        how: dict[str, Any] = {"layout": layout, "annotations": annotations, "fps": fps, "stride": stride}
        if not (resume and (out / "data" / "features.json").exists()):
            failures = convert(features, out / "data", **how, allow_pickle=allow_pickle).failures
        elif (told := out / "data" / "failures.json").exists():
            failures = read_json(told)
            check_shape(failures, {str: str}, str(told))
        features, annotations = out / "data", None
    data = _prepare(name, features, annotations, labels, subset, out, "counts" in method_class(method).learns_from)
    run = RunFiles(out / "run")
    try:
        train(
            method,
            features=features,
            labels=learned_from,
            only=out / "labels.csv" if unlabelled else None,
            unlabelled=unlabelled,
            clusters=clusters,
            trimmed=trimmed,
            trimmed_labels=trimmed_labels,
            out=run.path,
            preset=name,
            settings=settings,
            seed=seed,
            device=device,
            resume=resume and run.is_begun,
        )
    except InputError:
        if not run.is_begun:  # nothing has been learned: what is not dear to make again goes
            (out / "labels.csv").unlink()
            (out / "annotations.json").unlink()
            if not any(out.iterdir()):
                out.rmdir()
        raise
    of_test: dict[str, Any] = {"subset_from": out / "annotations.json", "subset": data.test} if test_labels is None else {}
    localize(run.path, features=features, out=out / "detections.json", device=device, **of_test)
    evaluations = _score(name, data, out, test_labels, unlabelled)
    report = RecipeReport(name, method, seed, data.differences, evaluations, _published(chosen, method, evaluations), failures)
    scores = [evaluation.to_json() for evaluation in evaluations]
    about = {"recipe": name, "method": method, "seed": seed, "differences": data.differences, "scores": scores}
    write_json(out / "scores.json", about, indent=1)
    return report


def _published(chosen: Recipe, method: str, evaluations: Sequence[AnyEvaluation]) -> tuple[Published, ...]:
    """What others printed of the method on the recipe's data, in the metrics that were scored."""
    metrics = {metric for evaluation in evaluations for metric in evaluation.scalars()} | {"mAP@0.5:0.95"}
    return tuple(row for row in fitting(read_published(), [method], metrics) if row.dataset == chosen.dataset)


@dataclass(frozen=True)
class _Prepared:
    """The truth, the name of the test subset, and in what the data differ from the recipe's."""

    truth: Annotations
    test: str
    differences: tuple[str, ...]


def _prepare(
    name: str,
    features: Path,
    annotations: str | Path | None,
    labels: str | Path | None,
    subset: str | None,
    out: Path,
    counted: bool,
) -> _Prepared:
    """Write `labels.csv` of the training videos and `annotations.json` of the videos that are scored into `out`.

    Args:
        counted: the labels say besides how often each action happens, by the training videos' segments (3C-Net).
    """
    chosen, store = RECIPES[name], FeatureStore(features)
    if annotations is None and not (features / "annotations.json").is_file():
        raise InputError(f"{features}: nothing says what is true of the videos; give the true segments: `annotations` FILE")
    truth = read_annotations(annotations or features / "annotations.json")
    train_name = training_subset(truth.videos)
    test_name = subset or _test_subset(truth, train_name)
    tags = _training_tags(labels or features / "labels.csv", truth, train_name, store, given=labels is not None)
    counts = None
    if counted:
        known = truth.subset(train_name) if train_name is not None else {}
        counts = Counter((video, s.label) for video, its in known.items() for s in its.segments)
    write_labels(out / "labels.csv", [(video, label) for video in sorted(tags) for label in sorted(tags[video]) or [""]], counts)
    test = truth.subset(test_name)
    scored = {video: annotated for video, annotated in test.items() if not chosen.thumos or _counts(video, annotated.segments)}
    rest = {video: annotated for video, annotated in truth.videos.items() if annotated.subset != test_name}
    write_annotations(out / "annotations.json", rest | scored, f"for the recipe {name}")
    differences = _differences(chosen, tags, len(scored.keys() & store.videos.keys()))
    for text in differences:
        note(f"{name}: {text}")
    return _Prepared(truth, test_name, differences)


def _score(name: str, data: _Prepared, out: Path, test_labels: str | Path | None, unlabelled: bool) -> tuple[AnyEvaluation, ...]:
    """Score the detections by each protocol of the recipe, and the videos' classes; clusters by the training videos' labels."""
    chosen = RECIPES[name]
    options: dict[str, Any] = {"annotations": out / "annotations.json", "subset": data.test, "tiou": chosen.tiou}
    if unlabelled:
        options |= {"map_clusters": "majority", "labels": out / "labels.csv"}
    target = out / "detections.json" if unlabelled else _of_known_classes(out, data.truth)
    evaluations = [evaluate(target, protocol=protocol, **options) for protocol in chosen.protocols]
    if test_labels is not None and not unlabelled:
        options = {"labels": test_labels}
    return (*evaluations, evaluate(out / "detections.json", protocol="classification", **options))


def _test_subset(truth: Annotations, training: str | None) -> str:
    """The part to score: `test`, or where there is none the validation videos."""
    subsets = {subset.casefold(): subset for subset in truth.subsets if subset != training}
    for name in ("test", "validation", "val", "testing"):
        if name in subsets:
            return subsets[name]
    raise InputError(
        f"{truth.path}: has no subset to test on (there is {', '.join(truth.subsets) or 'none'}); name it: `subset` NAME"
    )


def _training_tags(
    file: str | Path, truth: Annotations, training: str | None, store: FeatureStore, given: bool
) -> dict[str, set[str]]:
    """The labels of the training videos that have features: of a labels file, or of the annotations without their times."""
    if given or Path(file).is_file():
        tags = {video: set(labels) for video, labels in read_labels(file).tags.items()}
    elif training is not None:
        annotated = truth.subset(training)
        tags = {video: {s.label for s in its.segments} for video, its in annotated.items() if its.segments}
    else:
        raise InputError(f"{truth.path}: has no training subset; give the labels of the training videos: `labels` FILE")
    if not any(video in store.videos for video in tags):
        raise InputError(
            f"{store.path}: has features of none of the {len(tags)} training videos (such as {min(tags, default='-')!r})"
        )
    return {video: labels for video, labels in tags.items() if video in store.videos}


def _counts(video: str, segments: tuple[Segment, ...]) -> bool:
    """Whether a test video of THUMOS14 is scored."""
    return bool(segments) and video not in KNOWN_FAULTS


def _differences(chosen: Recipe, tags: Mapping[str, set[str]], test: int) -> tuple[str, ...]:
    classes = len(set().union(*tags.values()))
    here = {"classes": classes, "training videos": len(tags), "test videos": test}
    papers = {"classes": chosen.classes, "training videos": chosen.training, "test videos": chosen.test}
    return tuple(
        f"{here[what]} {what} with features, where the papers have {papers[what]}" for what in here if here[what] != papers[what]
    )


def _of_known_classes(out: Path, truth: Annotations) -> Path:
    """The detections of classes that the truth knows, which may be fewer than those that were learned."""
    file = read_detections(out / "detections.json")
    known = set(truth.classes)
    others = {d.label for detections in file.results.values() for d in detections} - known
    if not others:
        return out / "detections.json"
    note(f"detections of {len(others)} class(es) without any truth, such as {min(others)!r}, are not scored")
    kept = {video: [d for d in detections if d.label in known] for video, detections in file.results.items()}
    write_detections(out / "scored.json", kept, file.untrimmed)
    return out / "scored.json"
