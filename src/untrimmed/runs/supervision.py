"""What a run may learn from: labels of videos, or the clusters that it finds; and trimmed clips."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from untrimmed.console import note
from untrimmed.data.clusters import cluster_names
from untrimmed.data.errors import InputError
from untrimmed.data.labels import WeakLabels, read_counts, read_labels, read_only
from untrimmed.data.settings import unknown
from untrimmed.data.store import FeatureStore
from untrimmed.training import DataSettings, TrainingSet


@dataclass(frozen=True)
class Supervision:
    """What a training may learn from besides the features; none of it says when anything happens.

    labels: `labels.csv`; or unlabelled: no labels are used, and what recurs is grouped into `clusters` of videos (None: the method
        estimates their number).
    trimmed, trimmed_labels: a feature store of short clips that show their action throughout, and their labels.
    only: a CSV whose `video` column restricts the training videos.
    classes: those of the labels to learn; videos that hold only others are left out. None: all.
    """

    labels: str | Path | None = None
    unlabelled: bool = False
    clusters: int | None = None
    trimmed: str | Path | None = None
    trimmed_labels: str | Path | None = None
    only: str | Path | None = None
    classes: Sequence[str] | None = None

    def check(self, method: str, learns_from: frozenset[str]) -> None:
        """See that the method can learn from it.

        Raises:
            InputError: it cannot, or what is given does not go together.
        """
        labels, unlabelled, clusters = self.labels, self.unlabelled, self.clusters
        trimmed, trimmed_labels = self.trimmed, self.trimmed_labels
        if unlabelled and labels is not None:
            raise InputError("`labels` and `unlabelled`: give one of the two")
        if unlabelled and "clusters" not in learns_from:
            raise InputError(f"{method} cannot learn without labels; give `labels`, or train tcam")
        if not unlabelled and labels is None:
            other = ", or `unlabelled`" if "clusters" in learns_from else ""
            raise InputError(f"{method} learns from labels; give `labels`{other}")
        if clusters is not None and not unlabelled:
            raise InputError("`clusters`: goes with `unlabelled`; labels say themselves how many actions there are")
        if (trimmed is None) != (trimmed_labels is None):
            raise InputError("`trimmed` and `trimmed_labels` go together")
        if trimmed is not None and "trimmed" not in learns_from:
            raise InputError(f"{method} does not learn from trimmed clips; leave out `trimmed`, or train tsrnet")

    def check_files(self, videos: Collection[str], streams: Mapping[str, int]) -> None:
        """See that labels and clips fit the videos, before a long extraction of their features.

        Raises:
            InputError: a fault in the labels, or clips whose features have other streams.
        """
        if self.labels is not None:
            weak = read_labels(self.labels, videos)
            if self.classes is not None:
                of_classes(weak, self.classes, lambda text: None)
        if self.trimmed is not None and self.trimmed_labels is not None:
            clips = FeatureStore(self.trimmed)
            check_streams_of_clips(clips, streams)
            read_labels(self.trimmed_labels, clips.videos)

    def training_set(
        self, store: FeatureStore, settings: DataSettings, left_out: Collection[str] = (), say: Callable[[str], None] = note
    ) -> TrainingSet:
        """The videos that are trained on, with what is known of them; without labels and `clusters` there are no classes yet.

        Args:
            settings: how many snippets of a video are looked at.
            left_out: videos that may have a row though their features could not be extracted.
            say: told what is odd, but no error.

        Raises:
            InputError: labels, clips or features are at fault, or there is nothing to learn from.
        """
        if self.labels is not None:
            data = training_set(store, self.labels, self.only, settings, self.classes, left_out, say)
        else:
            data = unlabelled_set(store, self.only, self.clusters, settings, left_out)
        return data

    def with_counts(self, data: TrainingSet) -> TrainingSet:
        """The training set with how often each class happens, where the labels have a column `count`.

        Raises:
            InputError: a count is at fault.
        """
        counts = None if self.labels is None else read_counts(self.labels, data.videos, data.classes)
        return data if counts is None else replace(data, counts=np.array(counts, dtype=np.float32))

    def with_clips(self, data: TrainingSet, say: Callable[[str], None] = note) -> TrainingSet:
        """The training set with its trimmed clips, where there are some."""
        if self.trimmed is None or self.trimmed_labels is None:
            return data
        return replace(data, trimmed=trimmed_set(FeatureStore(self.trimmed), self.trimmed_labels, data, say))


def training_set(
    store: FeatureStore,
    labels: str | Path,
    only: str | Path | None,
    settings: DataSettings,
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
    left_out = {*left_out, *store.left_out()}
    weak = read_labels(labels, {*store.videos, *left_out})
    if lost := sorted(weak.tags.keys() - store.videos.keys()):
        say(f"warning: {len(lost)} video(s) of {labels} could not be extracted and are not trained on: {', '.join(lost[:5])}")
    weak = WeakLabels(weak.path, {video: tags for video, tags in weak.tags.items() if video in store.videos})
    if unlabelled := len(store.videos) - len(weak.tags):
        say(f"{unlabelled} video(s) with features have no row in {labels}; they are not trained on")
    if classes is not None:
        weak = of_classes(weak, classes, say)
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
        say(f"warning: no training video has the label {', '.join(map(repr, absent))}; it will not be learned")
    for warning in weak.warnings():
        say(f"warning: {warning}")
    for video in videos:
        store.load(video)  # every fault of the features is named before training begins
    matrix = np.array([[label in weak.tags[video] for label in known] for video in videos], dtype=np.float32)
    return TrainingSet(tuple(videos), known, matrix, store, settings=settings)


def of_classes(weak: WeakLabels, classes: Sequence[str], say: Callable[[str], None]) -> WeakLabels:
    """Only the labels of these classes, and the videos that have one of them or none at all."""
    if not all(classes) or not classes:
        raise InputError("`classes`: names no class, or an empty one; write them with commas between, such as: jump,run")
    for label in classes:
        if label not in weak.classes:
            raise unknown(label, weak.classes, f"`classes`: {weak.path}")
    tags = {video: labels & set(classes) for video, labels in weak.tags.items() if not labels or labels & set(classes)}
    if others := len(weak.tags) - len(tags):
        say(f"{others} video(s) hold none of the chosen classes; they are not trained on")
    return WeakLabels(weak.path, tags)


def unlabelled_set(
    store: FeatureStore, only: str | Path | None, clusters: int | None, settings: DataSettings, left_out: Collection[str] = ()
) -> TrainingSet:
    """All videos with features (that stand in `only`), without labels; the classes are the names of the clusters to be found.

    Without a number of clusters there are no classes yet: the method has to say how many it makes.
    """
    named = read_only(only, {*store.videos, *left_out, *store.left_out()}) if only else set(store.videos)
    videos = sorted(named & set(store.videos))
    if not videos:
        raise InputError(f"{only or store.path}: none of its videos has features")
    if clusters is not None and clusters < 1:
        raise InputError(f"`clusters` {clusters}: there must be one at least")
    if clusters is not None and clusters > len(videos):
        raise InputError(f"`clusters` {clusters}: there are only {len(videos)} videos to group")
    for video in videos:
        store.load(video)  # every fault of the features is named before training begins
    return TrainingSet(tuple(videos), cluster_names(clusters or 0), None, store, settings=settings)


def trimmed_set(store: FeatureStore, labels: str | Path, data: TrainingSet, say: Callable[[str], None] = note) -> TrainingSet:
    """Short clips with their labels; their classes may be others than those of the untrimmed videos.

    Raises:
        InputError: their features differ in streams or width from the untrimmed videos', or no clip has a label.
    """
    check_streams_of_clips(store, data.store.streams)
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
    return TrainingSet(tuple(clips), weak.classes, matrix, store, settings=data.settings)


def check_streams_of_clips(clips: FeatureStore, streams: Mapping[str, int]) -> None:
    if clips.streams != streams:
        raise InputError(
            f"{clips.path}: the trimmed clips' streams are {clips.streams}, the untrimmed videos' {dict(streams)}; "
            "extract both with the same extractor"
        )
