"""`untrimmed train`: from a feature store and tags to a run folder."""

import hashlib
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import untrimmed
from untrimmed.console import note
from untrimmed.data.clusters import cluster_names
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable
from untrimmed.data.labels import WeakLabels, read_labels, read_only
from untrimmed.data.settings import unknown
from untrimmed.data.store import FeatureStore
from untrimmed.jobs.extract import arguments_of, extract, header_for
from untrimmed.methods.base import Method, Preset, carry_over, load_method, method_class, resolve, save_method
from untrimmed.training import Run, TrainingSet, claim
from untrimmed.video.decode import find_videos


@dataclass(frozen=True)
class TrainReport:
    """The run folder, and the videos that could not be extracted (with `videos` only), with the reason."""

    run: Path
    failures: dict[str, str]


def train(
    method: str,
    *,
    features: str | Path | None = None,
    videos: str | Path | None = None,
    labels: str | Path | None = None,
    unlabelled: bool = False,
    clusters: int | None = None,
    trimmed: str | Path | None = None,
    trimmed_labels: str | Path | None = None,
    out: str | Path,
    only: str | Path | None = None,
    classes: Sequence[str] | None = None,
    init: str | Path | None = None,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    extractor: str | None = None,
    download: bool = False,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    ids: Literal["stem", "relative"] = "stem",
) -> TrainReport:
    """Train a method from video-level labels, or from none, and write a run folder.

    Args:
        features: a feature store; or videos: a folder of them, whose features are extracted into `<out>/features` first.
        labels: `labels.csv`; or unlabelled: no labels are used, and what recurs is grouped into `clusters` of videos (None: the
            method estimates their number).
        trimmed, trimmed_labels: a feature store of short clips that show their action throughout, and their labels.
        only: a CSV whose `video` column restricts the training videos.
        classes: those of the labels to learn; videos that hold only others are left out. None: all.
        init: an earlier run of the same method on features of the same kind, to start from its weights.
        settings: values laid over the preset, nested by section and stream, such as `{"epochs": 30, "localization": {"nms": 0.4}}`.
        extractor, download: for `videos`, see `extract`; its settings and the optical flow are in `settings["extractor"]`, such as
            `{"extractor": {"fps": 12, "flow": "tvl1"}}`.
        device: "cpu" or "cuda". ids: how `videos` are named, see `extract`.

    Raises:
        InputError: anything the user gave is at fault; nothing is left behind but what was there (and extracted features).
    """
    out = Path(out)
    settings = dict(settings or {})
    of_extractor = settings.pop("extractor", {})
    chosen = resolve(method, preset, settings)
    cls = method_class(method)
    check_device(device)
    if (features is None) == (videos is None):
        raise InputError("give either --features DIR or --videos DIR")
    if unlabelled and (classes is not None or init is not None):
        raise InputError("--classes and --init: go with --labels; clusters have no names that an earlier run could know")
    if videos is None and (extractor or of_extractor or download):
        raise InputError("--extractor and its settings go with --videos; features are made already")
    check_kind(method, cls.learns_from, labels, unlabelled, clusters, trimmed, trimmed_labels)
    if not force:
        claim(out, resume=resume)
    check_writable(out / "config.yaml")
    earlier, start = None, {}
    if init is not None:
        earlier = load_method(Path(init) / "model")
        start = {"init": {"run": Path(init).name, "sha256": _sha256(Path(init) / "model" / "weights.safetensors")}}
    failures: dict[str, str] = {}
    if videos is not None:
        files = find_videos([Path(videos)], ids)
        if labels is not None:  # its faults are told before the long extraction, not after, as are the clips'
            weak = read_labels(labels, files)
            if classes is not None:
                _of_classes(weak, classes, lambda text: None)
        if not isinstance(of_extractor, Mapping):
            raise InputError(f"extractor: names a group of settings; write extractor.<setting>, not extractor={of_extractor}")
        header = header_for(extractor or "motion", *_with_flow(of_extractor), download)
        making = arguments_of(header)
        if trimmed is not None and trimmed_labels is not None:
            clips = FeatureStore(trimmed)
            _check_streams(clips, header.streams)
            read_labels(trimmed_labels, clips.videos)
        claim(out, resume=resume, force=force)
        failures = extract([videos], out / "features", **making, ids=ids, device=device, force=True).failures
        features = out / "features"
    assert features is not None
    store = FeatureStore(features)
    chosen = resolve(method, preset, settings, store.streams)
    notes: list[str] = []
    if labels is not None:
        data = training_set(store, labels, only, chosen, classes=classes, left_out=failures, say=notes.append)
    else:
        data = unlabelled_set(store, only, clusters, chosen, left_out=failures)
        if not data.classes:
            data = replace(data, classes=cluster_names(cls.estimate_clusters(data, chosen.method, seed)))
            notes.append(f"{len(data.classes)} clusters, by how well they stand apart; --clusters N sets another number")
    if trimmed is not None and trimmed_labels is not None:
        data = replace(data, trimmed=trimmed_set(FeatureStore(trimmed), trimmed_labels, data, chosen, say=notes.append))
    config = {"method_name": method, "preset": preset, "seed": seed, **chosen.to_dict(), **start}
    if earlier is not None:
        carry_over(cls(chosen.method, data.classes, store.streams), earlier)  # its faults are told before there is a run
    claim(out, resume=resume, force=force and videos is None)
    with Run(out, config, environment_of(store, labels, data, seed, device), seed=seed, device=device, resume=resume) as run:
        if resume and (out / "model" / "model.json").exists():
            load_method(out / "model")  # a damaged one is an error, not a success
            note(f"{out}: already finished")
            return TrainReport(out, failures)
        for text in notes:  # not before everything that may be at fault has been looked at
            note(text)
        with run.seeded("init"):
            model = cls(chosen.method, data.classes, store.streams)
        if earlier is not None:
            _start_from(earlier, model, Path(str(init)))
        try:
            model.fit(data, run)
        except InputError:
            run.forget()  # a fault that only the method knows of, such as a setting that its labels do not allow
            raise
        save_method(model, out / "model")
    return TrainReport(out, failures)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _start_from(earlier: Method, model: Method, init: Path) -> None:
    left = carry_over(model, earlier)
    shared = [label for label in model.classes if label in earlier.classes]
    note(f"starts from {init}, which knows {len(shared)} of the {len(model.classes)} classes")
    if left:
        note(f"warning: {', '.join(left)} have another shape there and start anew; train both runs with the same settings")


def training_set(
    store: FeatureStore,
    labels: str | Path,
    only: str | Path | None,
    chosen: Preset,
    classes: Sequence[str] | None = None,
    left_out: Collection[str] = (),
    say: Callable[[str], None] = note,
) -> TrainingSet:
    """The videos that have both features and a row in the labels (and stand in `only`), with their labels as [N, C].

    Args:
        classes: those to learn; None: all. A video that holds only others is left out, for nothing says that it is background.
        left_out: videos that may have a row though their features could not be extracted.
        say: told what is odd about the labels, but no error.
    """
    weak = read_labels(labels, {*store.videos, *left_out})
    weak = WeakLabels(weak.path, {video: tags for video, tags in weak.tags.items() if video in store.videos})
    if unlabelled := len(store.videos) - len(weak.tags):
        say(f"{unlabelled} video(s) with features have no row in {labels}; they are not trained on")
    if classes is not None:
        weak = _of_classes(weak, classes, say)
    known = weak.classes  # of the whole file, so that runs on parts of it have the same
    if only:
        named = read_only(only, {*store.videos, *left_out})
        weak = WeakLabels(weak.path, {video: tags for video, tags in weak.tags.items() if video in named})
    videos = sorted(weak.tags)
    if not videos:
        raise InputError(f"{only or labels}: none of its videos has both features and a row in {labels}")
    if not weak.classes:
        part = f" for the videos in {only}" if only else ""
        raise InputError(f"{labels}: every label is empty{part}; at least one video must hold an action")
    if absent := sorted(set(known) - set(weak.classes)):
        say(f"warning: no training video has the tag {', '.join(map(repr, absent))}; it will not be learned")
    for warning in weak.warnings():
        say(f"warning: {warning}")
    for video in videos:
        store.load(video)  # every fault of the features is named before training begins
    matrix = np.array([[label in weak.tags[video] for label in known] for video in videos], dtype=np.float32)
    return TrainingSet(tuple(videos), known, matrix, store, settings=chosen.data)


def _of_classes(weak: WeakLabels, classes: Sequence[str], say: Callable[[str], None]) -> WeakLabels:
    """Only these classes' tags, and the videos that hold one of them or surely nothing."""
    if not all(classes) or not classes:
        raise InputError("--classes: names no class, or an empty one; write them with commas between, such as: jump,run")
    for label in classes:
        if label not in weak.classes:
            raise unknown(label, weak.classes, f"--classes: {weak.path}")
    tags = {video: own & set(classes) for video, own in weak.tags.items() if not own or own & set(classes)}
    if others := len(weak.tags) - len(tags):
        say(f"{others} video(s) hold none of the chosen classes; they are not trained on")
    return WeakLabels(weak.path, tags)


def unlabelled_set(
    store: FeatureStore, only: str | Path | None, clusters: int | None, chosen: Preset, left_out: Collection[str] = ()
) -> TrainingSet:
    """All videos with features (that stand in `only`), without labels; the classes are the names of the clusters to be found.

    Without a number of clusters there are no classes yet: the method has to say how many it makes.
    """
    named = read_only(only, {*store.videos, *left_out}) if only else set(store.videos)
    videos = sorted(named & set(store.videos))
    if not videos:
        raise InputError(f"{only or store.path}: none of its videos has features")
    if clusters is not None and clusters < 1:
        raise InputError(f"--clusters {clusters}: there must be one at least")
    if clusters is not None and clusters > len(videos):
        raise InputError(f"--clusters {clusters}: there are only {len(videos)} videos to group")
    for video in videos:
        store.load(video)  # every fault of the features is named before training begins
    return TrainingSet(tuple(videos), cluster_names(clusters or 0), None, store, settings=chosen.data)


def trimmed_set(
    store: FeatureStore, labels: str | Path, data: TrainingSet, chosen: Preset, say: Callable[[str], None] = note
) -> TrainingSet:
    """Short clips with their labels; their classes may be others than those of the untrimmed videos.

    Raises:
        InputError: their features differ in streams or width from the untrimmed videos', or no clip has a label.
    """
    _check_streams(store, data.store.streams)
    if differences := data.store.header.differences(store.header):  # allowed: clips may come from elsewhere
        say(f"warning: the trimmed clips' features were made otherwise than the videos' ({'; '.join(differences)})")
    weak = read_labels(labels, store.videos)
    if not weak.classes:
        raise InputError(f"{labels}: every label is empty; a trimmed clip shows an action")
    if unlabelled := len(store.videos) - len(weak.tags):
        say(f"{unlabelled} trimmed clip(s) have no row in {labels}; they are not used")
    if same := sorted(set(weak.tags) & set(data.store.videos)):
        say(f"warning: {len(same)} trimmed clip(s) have the name of a video, such as {same[0]!r}; are they other recordings?")
    if not set(weak.classes) & set(data.classes):
        say(f"warning: no class of the trimmed clips is one of the untrimmed videos' ({', '.join(data.classes[:5])})")
    clips = sorted(weak.tags)
    for clip in clips:
        store.load(clip)
    matrix = np.array([[label in weak.tags[clip] for label in weak.classes] for clip in clips], dtype=np.float32)
    return TrainingSet(tuple(clips), weak.classes, matrix, store, settings=chosen.data)


def _check_streams(clips: FeatureStore, streams: Mapping[str, int]) -> None:
    if clips.streams != streams:
        raise InputError(
            f"{clips.path}: the trimmed clips' streams are {clips.streams}, the untrimmed videos' {dict(streams)}; "
            "extract both with the same extractor"
        )


def check_kind(
    method: str,
    learns_from: frozenset[str],
    labels: str | Path | None,
    unlabelled: bool,
    clusters: int | None,
    trimmed: str | Path | None,
    trimmed_labels: str | Path | None,
) -> None:
    """See that the method can learn from what it is given."""
    if unlabelled and labels is not None:
        raise InputError("--labels and --unlabelled: give one of the two")
    if unlabelled and "clusters" not in learns_from:
        raise InputError(f"{method} cannot learn without labels; give --labels FILE, or train tcam")
    if not unlabelled and labels is None:
        other = ", or --unlabelled" if "clusters" in learns_from else ""
        raise InputError(f"{method} learns from labels; give --labels FILE{other}")
    if clusters is not None and not unlabelled:
        raise InputError("--clusters: goes with --unlabelled; labels say themselves how many actions there are")
    if (trimmed is None) != (trimmed_labels is None):
        raise InputError("--trimmed DIR and --trimmed-labels FILE go together")
    if trimmed is not None and "trimmed" not in learns_from:
        raise InputError(f"{method} does not learn from trimmed clips; leave out --trimmed, or train tsrnet")


def environment_of(store: FeatureStore, labels: str | Path | None, data: TrainingSet, seed: int, device: str) -> dict[str, Any]:
    """What a result depends on besides the settings."""
    return {
        "versions": {"untrimmed": untrimmed.__version__, "python": platform.python_version(), "torch": torch.__version__}
        | {"numpy": np.__version__},
        "threads": torch.get_num_threads(),
        "device": device,
        "seed": seed,
        "data": {
            "features": str(store.path.resolve()),
            "labels": None if labels is None else str(labels),
            "trimmed": None if data.trimmed is None else str(data.trimmed.store.path.resolve()),
            "sha256": data.fingerprint(),
        },
        "extractor": {"name": store.header.extractor, "settings": store.header.settings}
        | {"window_seconds": store.header.window_seconds, "stride_seconds": store.header.stride_seconds}
        | {"weights_sha256": store.header.weights_sha256},
        "selection": "last",
        "classes": list(data.classes),
        "training_videos": list(data.videos),
    }


def _with_flow(settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """An extractor's settings, and the optical flow that stands among them."""
    return {name: value for name, value in settings.items() if name != "flow"}, settings.get("flow", "dis")


def check_device(device: str) -> None:
    """Raise InputError for a device that is not there."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise InputError(f"--device {device}: no such device; use cpu or cuda") from None
    if kind not in ("cpu", "cuda"):
        raise InputError(f"--device {device}: use cpu or cuda")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"--device {device}: torch sees no GPU here; use --device cpu")
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {device}: there are only {torch.cuda.device_count()} GPU(s), counted from cuda:0")
