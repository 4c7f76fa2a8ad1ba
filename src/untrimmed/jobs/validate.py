"""`untrimmed validate`: is everything ready for training? Every fault of the features, the labels and the truth, at once."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from untrimmed.console import columns
from untrimmed.data.annotations import Annotations, scan_annotations
from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.labels import WeakLabels, scan_labels
from untrimmed.data.store import FeatureStore

SHOWN = 5
"""Videos in the table, and names in a list, before "and N more"."""


@dataclass
class VideoRow:
    """What the rows of one video cover: how many, seconds per row, `[start, end)` of the first and of the last row, the
    video's duration, all in seconds."""

    video: str
    rows: int
    step: float
    first: tuple[float, float]
    last: tuple[float, float]
    duration: float


@dataclass
class StreamRow:
    """Width of a stream, and mean and standard deviation of all its values."""

    stream: str
    width: int
    mean: float
    std: float


@dataclass
class ValidationReport:
    """What was found. `faults` must be mended before training; `warnings` will make the result worse; `notes` are good to know."""

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    streams: list[StreamRow] = field(default_factory=list)
    videos: list[VideoRow] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """Everything, to be read by a person: streams, the time that rows cover, labels, then notes, warnings and faults."""
        lines = []
        if self.streams:
            lines += columns(
                ("stream", "D", "mean", "std"),
                [(s.stream, str(s.width), f"{s.mean:.4g}", f"{s.std:.4g}") for s in self.streams],
            )
        if self.videos:
            lines += ["", "time that the rows cover, in seconds:"]
            lines += columns(
                ("video", "rows", "s/row", "first row", "last row", "duration"),
                [
                    (v.video, str(v.rows), f"{v.step:.4g}", _span(v.first), _span(v.last), f"{v.duration:.2f}")
                    for v in self.videos[:SHOWN]
                ],
            )
            if len(self.videos) > SHOWN:
                lines.append(f"... and {len(self.videos) - SHOWN} more")
            rows, hours = sum(v.rows for v in self.videos), sum(v.duration for v in self.videos) / 3600
            lines.append(f"{len(self.videos)} video(s), {rows} rows, {hours:.2f} hours")
        if self.tags:
            lines += ["", *columns(("label", "videos"), [(tag or "(no action)", str(count)) for tag, count in self.tags.items()])]
        for kind, lines_of_kind in (("note", self.notes), ("warning", self.warnings), ("fault", self.faults)):
            if lines_of_kind:
                lines += ["", *(f"{kind}: {line}" for line in lines_of_kind)]
        verdict = (
            f"{len(self.faults)} fault(s), {len(self.warnings)} warning(s)" if self.faults or self.warnings else "no fault found"
        )
        return "\n".join([*lines, "", verdict]).lstrip("\n")


def validate(features: str | Path, labels: str | Path, annotations: str | Path | None = None) -> ValidationReport:
    """Check a feature store, the labels against it and, where given, annotations against both.

    All faults are collected in the report; nothing is raised and nothing written. Every array is read whole.
    """
    report = ValidationReport()
    store = weak = None
    try:
        store = FeatureStore(features)
        _check_store(store, report)
    except InputError as error:
        report.faults.append(str(error))
    try:
        weak, faults = scan_labels(labels, None if store is None else {*store.videos, *store.left_out()})
        report.faults += faults
        _check_labels(weak, store, report)
    except InputError as error:
        report.faults.append(str(error))
    if annotations is not None:
        try:
            truth, faults = scan_annotations(annotations)
            report.faults += faults
            report.notes += truth.notes
            if weak is not None:
                _check_tags(truth, weak, report)
            if store is not None:
                _check_times(truth, store, report)
        except InputError as error:
            report.faults.append(str(error))
    return report


def _check_store(store: FeatureStore, report: ValidationReport) -> None:
    if not store.videos:
        report.faults.append(f"{store.path}: no finished video in it; run `untrimmed extract` first")
    values = {stream: np.zeros(3) for stream in store.streams}  # count, sum, sum of squares
    flat: dict[str, list[str]] = {stream: [] for stream in store.streams}
    for video in store.videos:
        if faults := store.faults(video):
            report.faults += faults
            continue
        _check_timing(store, video, report)
        for stream, array in store.load(video).items():
            exact = np.asarray(array, dtype=np.float64)
            values[stream] += exact.size, exact.sum(), np.square(exact).sum()
            if len(exact) > 1 and (exact == exact[0]).all():
                flat[stream].append(video)
    for stream, (count, total, squares) in values.items():
        if count:
            mean = total / count
            report.streams.append(
                StreamRow(stream, store.streams[stream], float(mean), float(np.sqrt(max(squares / count - mean**2, 0.0))))
            )
        if flat[stream]:
            report.warnings.append(f"{store.path}: all rows of the stream {stream!r} are the same in {_names(flat[stream])}")
    for stream in store.streams:
        known = {file.stem for file in (store.path / stream).glob("[!.]*.npy")}
        if left := sorted(known - set(store.videos)):
            report.notes.append(f"{store.path}: {stream} has arrays of unfinished videos, which are not used: {_names(left)}")


def _check_timing(store: FeatureStore, video: str, report: ValidationReport) -> None:
    timeline, entry = store.timeline(video), store.videos[video]
    edges = timeline.edges
    report.videos.append(
        VideoRow(
            video,
            timeline.count,
            timeline.step,
            (float(edges[0]), float(edges[1])),
            (float(edges[-2]), float(edges[-1])),
            timeline.duration,
        )
    )
    begins = entry.start + (timeline.count - 1) * timeline.step
    if begins >= timeline.duration + timeline.step:
        report.faults.append(
            f"{store.path}: the last of the {timeline.count} rows of {video!r} would begin at {begins:.2f} s, but the video "
            f"ends at {timeline.duration:.2f} s; its stride, start or duration is wrong"
        )
    uncovered = timeline.duration - float(edges[-1])
    if uncovered > max(2 * timeline.step, 0.1 * timeline.duration):
        report.warnings.append(
            f"{store.path}: the rows of {video!r} end at {edges[-1]:.2f} s of {timeline.duration:.2f} s; nothing can be found after"
        )


def _check_labels(weak: WeakLabels, store: FeatureStore | None, report: ValidationReport) -> None:
    if store is not None and (lost := sorted(weak.tags.keys() & store.left_out().keys())):
        report.warnings.append(
            f"{weak.path}: {len(lost)} video(s) could not be extracted, so that their rows are not used: {_names(lost)} "
            f"({store.left_out()[lost[0]]})"
        )
        weak = WeakLabels(weak.path, {video: tags for video, tags in weak.tags.items() if video not in lost})
    counts = Counter(tag for tags in weak.tags.values() for tag in tags)
    report.tags = {tag: counts[tag] for tag in weak.classes}
    if empty := sum(not tags for tags in weak.tags.values()):
        report.tags[""] = empty
    if weak.tags and not weak.classes:
        report.faults.append(f"{weak.path}: every label is empty; without a video that shows an action there is nothing to learn")
    report.warnings += [f"{weak.path}: {warning}" for warning in weak.warnings()]
    if store is not None and weak.tags and (without := sorted(set(store.videos) - set(weak.tags))):
        report.notes.append(
            f"{weak.path}: {len(without)} video(s) of the store have no row and are not used in training: {_names(without)}"
        )


def _check_tags(truth: Annotations, weak: WeakLabels, report: ValidationReport) -> None:
    for tag in sorted(set(weak.classes) - set(truth.classes)):
        hint = did_you_mean(tag, truth.classes)
        report.faults.append(f"{truth.path}: no segment of the label {tag!r} of {weak.path} in the whole file{hint}")
    if weak.classes and (untagged := sorted(set(truth.classes) - set(weak.classes))):
        report.warnings.append(
            f"{truth.path}: {len(untagged)} label(s) are not in {weak.path} and cannot be detected: {_names(untagged)}"
        )
    differ = [
        video
        for video, tags in weak.tags.items()
        if video in truth.videos and truth.videos[video].segments and tags != {s.label for s in truth.videos[video].segments}
    ]
    if differ:
        report.warnings.append(f"{truth.path}: the segments of {_names(differ)} have other labels than {weak.path}")


def _check_times(truth: Annotations, store: FeatureStore, report: ValidationReport) -> None:
    both = [video for video in truth.videos if video in store.videos]
    if truth.videos and store.videos and not both:
        some, other = next(iter(truth.videos)), next(iter(store.videos))
        report.faults.append(f"{truth.path}: none of its videos (such as {some!r}) is in {store.path} (such as {other!r})")
        return
    if missing := [video for video in truth.videos if video not in store.videos]:
        report.warnings.append(f"{truth.path}: {len(missing)} annotated video(s) are not in {store.path}: {_names(missing)}")
    if bare := [video for video in store.videos if video not in truth.videos]:
        report.notes.append(f"{truth.path}: {len(bare)} video(s) of {store.path} are not annotated: {_names(bare)}")
    disagree: list[tuple[float, str, str]] = []
    for video in both:
        entry, annotated = store.videos[video], truth.videos[video]
        stride = entry.stride_seconds or store.header.stride_seconds
        late = [s for s in annotated.segments if s.start > entry.duration + stride]
        gap = abs(annotated.duration - entry.duration) if annotated.duration is not None else 0.0
        says = f"{video!r} lasts {annotated.duration or 0:.2f} s by {truth.path}, but {entry.duration:.2f} s by {store.path}"
        if late:
            report.faults.append(
                f"{truth.path}: video {video}: {late[0].label!r} begins at {late[0].start:.2f} s, but the video in {store.path} "
                f"ends at {entry.duration:.2f} s; is the frame rate or the video another?"
            )
        elif gap > max(stride, 0.1 * entry.duration):
            report.faults.append(f"{says}; is the frame rate or the video another?")
        elif gap > stride:
            disagree.append((gap, video, says))
    if disagree:
        report.warnings.append(
            f"{len(disagree)} duration(s) disagree by more than a row's {store.header.stride_seconds:.4g} s; "
            f"most of all, {max(disagree)[2]}"
        )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more


def _span(span: tuple[float, float]) -> str:
    return f"[{span[0]:.2f}, {span[1]:.2f})"
