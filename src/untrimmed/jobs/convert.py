"""`untrimmed convert`: a feature store, labels and annotations from a pack as others share it, whose arrays stay where they are."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import note, progress
from untrimmed.data.annotations import VideoTruth, write_annotations
from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.files import check_movable, check_writable, exists, fresh_folder, set_aside, sweep, write_json
from untrimmed.data.labels import write_labels
from untrimmed.data.packs import LAYOUTS, Pack, read_pack
from untrimmed.data.places import shape_at
from untrimmed.data.store import FeatureWriter, Header, VideoEntry, write_in_place

MOST_OFF = 0.1
"""By how much the features' length may differ from the annotated durations, in the middle of all videos, before a note says so."""


@dataclass(frozen=True)
class Timing:
    """What rows stand for: windows of `frames` frames, one every `stride` (after `every`), at `fps` frames a second."""

    fps: float
    frames: int
    stride: int

    @property
    def window_seconds(self) -> float:
        return self.frames / self.fps

    @property
    def stride_seconds(self) -> float:
        return self.stride / self.fps

    def seconds(self, rows: int) -> float:
        """Until the end of the last of some rows' windows."""
        return (rows - 1) * self.stride_seconds + self.window_seconds


@dataclass(frozen=True)
class ConvertReport:
    """What `convert` wrote into a folder: videos with features, with truth, with labels; and what was left out, and why."""

    out: Path
    features: int
    annotated: int
    segments: int
    ambiguous: int
    labelled: int
    failures: dict[str, str]

    def text(self) -> str:
        """A line for each file."""
        lines = []
        if self.features:
            lines.append(f"{self.out}: features of {self.features} videos")
        if self.annotated:
            also = f", {self.ambiguous} of them ambiguous" if self.ambiguous else ""
            lines.append(
                f"{self.out / 'annotations.json'}: {self.segments + self.ambiguous} segments in {self.annotated} videos{also}"
            )
        if self.labelled:
            lines.append(f"{self.out / 'labels.csv'}: labels of {self.labelled} videos to train on")
        return "\n".join(lines)


def convert(
    source: str | Path,
    out: str | Path,
    *,
    layout: str,
    fps: float | None = None,
    stride: int | None = None,
    frames: int | None = None,
    every: int = 1,
    annotations: str | Path | None = None,
    exclude: Collection[str] = (),
    flow_first: bool = False,
    allow_pickle: bool = False,
    force: bool = False,
) -> ConvertReport:
    """Make `features.json`, `annotations.json` and `labels.csv` (of the part to train on) for a pack, as far as it holds such.

    Args:
        source: the pack's folder, or a file of annotations.
        layout: how it is packed; see `packs.LAYOUTS` and docs/own-features.md.
        fps, stride, frames: the frame rate that the features were made at, the frames from one window to the next, and in a
            window; by default what the layout's authors used, where that is one number.
        every: take every n-th row only.
        annotations: truth in ActivityNet's JSON that lies apart from the pack.
        exclude: videos to leave out altogether.
        flow_first: where both streams share an array, flow is its first half.
        allow_pickle: unpickle W-TALC's files.
        force: an existing `out` is renamed instead of refused.

    Raises:
        InputError: an unknown layout, a pack that is not as the layout says, a frame rate or stride that nobody says, an unknown
            video to exclude, or a folder that exists or cannot be written.
    """
    out, source = Path(out), Path(source)
    if exists(out):
        if not force:
            raise InputError(f"{out}: exists already; choose another `out`, or rename it with `force`")
        check_movable(out)
    for name, value in (("fps", fps), ("stride", stride), ("frames", frames), ("every", every)):
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"`{name}` {value:g}: must be above 0")
    check_writable(out / "features.json")
    pack = read_pack(source, layout, annotations, flow_first, allow_pickle)
    _exclude(pack, source, exclude)
    _match_prefix(pack)
    _thin(pack, every)
    rows, streams, failures = _usable(source, pack)
    timing = {video: _timing(layout, pack, video, fps, frames, stride, every) for video in rows}
    _check_frames(pack, rows, timing, every)

    # Everything that can be wrong with the input is known by now: nothing is written before.
    for text in pack.notes:
        note(text)
    sweep(out.absolute().parent, out.name)
    with fresh_folder(out) as fresh:
        if rows:
            _write_store(fresh, source, layout, pack, rows, timing, streams)
        if pack.truth:
            write_annotations(fresh / "annotations.json", pack.truth, f"converted from the layout {layout}")
        labels = _write_labels(fresh, pack, rows)
        if failures:
            write_json(fresh / "failures.json", failures, indent=1)
        if exists(out):
            note(f"what was there is now {set_aside(out)}")
        fresh.rename(out)
    return ConvertReport(
        out,
        len(rows),
        len(pack.truth),
        sum(len(video.segments) for video in pack.truth.values()),
        sum(len(video.ambiguous) for video in pack.truth.values()),
        len(labels),
        failures,
    )


def _exclude(pack: Pack, source: Path, exclude: Collection[str]) -> None:
    """Take the videos that are not wanted out of the pack."""
    videos = pack.arrays.keys() | pack.loaded.keys() | pack.truth.keys()
    for video in exclude:
        if video not in videos:
            raise InputError(f"`exclude` {video}: there is no such video in {source}{did_you_mean(video, videos)}")
        for table in (pack.arrays, pack.loaded, pack.truth, pack.labels):
            table.pop(video, None)
    if not (pack.arrays or pack.loaded or pack.truth):
        raise InputError(f"`exclude`: no video of {source} is left")


def _thin(pack: Pack, every: int) -> None:
    """Keep every n-th row of all arrays."""
    if every > 1:
        pack.arrays = {v: {s: {**place, "every": every} for s, place in streams.items()} for v, streams in pack.arrays.items()}
        pack.loaded = {v: {s: array[::every] for s, array in streams.items()} for v, streams in pack.loaded.items()}


def _usable(source: Path, pack: Pack) -> tuple[dict[str, int], dict[str, int], dict[str, str]]:
    """The rows of each video that can be used, the widths that most videos' streams have, and why the others cannot be used."""
    failures: dict[str, str] = {}
    rows: dict[str, int] = {}
    widths: Counter[tuple[tuple[str, int], ...]] = Counter()
    sizes: dict[str, dict[str, int]] = {}
    for video in sorted(pack.arrays.keys() | pack.loaded.keys()):
        try:
            shapes = _shapes(source, pack, video)
        except InputError as error:
            failures[video] = str(error)
            continue
        rows[video] = min(length for length, _ in shapes.values())
        sizes[video] = {stream: width for stream, (_, width) in shapes.items()}
        widths[tuple(sorted(sizes[video].items()))] += 1
    if failures and not rows:
        raise InputError(f"{source}: no video of it can be used; the first: {failures[min(failures)]}")
    streams = dict(widths.most_common(1)[0][0]) if widths else {}
    for video in [video for video in rows if sizes[video] != streams]:
        failures[video] = f"its streams and widths are {sizes[video]}, those of most others {streams}"
        del rows[video]
    return rows, streams, failures


def _shapes(source: Path, pack: Pack, video: str) -> dict[str, tuple[int, int]]:
    """Rows and columns of a video's streams."""
    if video in pack.loaded:
        return {stream: (len(array), array.shape[1]) for stream, array in pack.loaded[video].items()}
    shapes = {stream: shape_at(source, place) for stream, place in pack.arrays[video].items()}
    lengths = [length for length, _ in shapes.values()]
    if max(lengths) - min(lengths) > 1:
        raise InputError(f"its streams differ by more than one row: {shapes}")
    return shapes


def _timing(layout: str, pack: Pack, video: str, fps: float | None, frames: int | None, stride: int | None, every: int) -> Timing:
    usual = LAYOUTS[layout]
    rate = fps or pack.fps.get(video) or usual.fps
    step = stride or usual.stride
    if rate is None or step is None:
        missing = " and ".join(name for name, value in (("`fps`", rate), ("`stride`", step)) if value is None)
        raise InputError(
            f"packs of the layout {layout!r} differ in their timing, and this one does not say of {video}: give {missing}, "
            f"the frame rate that the features were made at and the frames from one window to the next (see docs/own-features.md)"
        )
    return Timing(rate, frames or usual.frames, step * every)


def _check_frames(pack: Pack, rows: dict[str, int], timing: dict[str, Timing], every: int) -> None:
    """The number of rows follows from that of the frames; another stride than the features' own shows there."""
    for video in sorted(pack.frames.keys() & rows.keys()):
        stride = timing[video].stride // every
        expected = -(-((pack.frames[video] - timing[video].frames) // stride + 1) // every)
        if abs(expected - rows[video]) > 1:
            raise InputError(
                f"{video}: {pack.frames[video]} frames make {expected} rows at a stride of {stride} frames, but there are "
                f"{rows[video]}; give the stride that the features were made at: `stride` N"
            )


def _write_store(
    out: Path, source: Path, layout: str, pack: Pack, rows: dict[str, int], timing: dict[str, Timing], streams: dict[str, int]
) -> None:
    usual = Counter(timing.values()).most_common(1)[0][0]
    rates = sorted({timed.fps for timed in timing.values()})
    header = Header(
        f"pack:{layout}",
        {"fps": usual.fps if len(rates) == 1 else None, "frames": usual.frames, "stride": usual.stride},
        usual.window_seconds,
        usual.stride_seconds,
        streams,
    )
    said = f"{rates[0]:g} frames a second"
    if len(rates) > 1:
        said = f"{rates[0]:g} to {rates[-1]:g} frames a second (the pack says it of each video)"
    note(f"timing: {usual.frames} frames every {usual.stride}, at {said}; if that is wrong, give `fps` and `stride`")
    entries = {}
    ratios = []
    for video, timed in timing.items():
        truth = pack.truth.get(video)
        end = pack.frames[video] / timed.fps if video in pack.frames else timed.seconds(rows[video])
        if truth is not None and truth.duration:
            ratios.append(timed.seconds(rows[video]) / truth.duration)
            end = truth.duration
        entries[video] = VideoEntry(
            rows[video],
            end,
            window_seconds=None if timed == usual else timed.window_seconds,
            stride_seconds=None if timed == usual else timed.stride_seconds,
            source={"arrays": pack.arrays[video]} if video in pack.arrays else {"pack": str(source.resolve())},
        )
    if ratios and abs(np.median(ratios) - 1) > MOST_OFF:
        note(
            f"the features last {np.median(ratios):.2f} times as long as the annotated durations say (in the middle of "
            f"{len(ratios)} videos); is the frame rate right?"
        )
    if pack.arrays:
        write_in_place(out, header, source, layout, entries)
        return
    writer = FeatureWriter(out, header)
    with progress("features", len(rows)) as advance:
        for video, entry in entries.items():
            writer.write(video, {s: a[: rows[video]] for s, a in pack.loaded[video].items()}, entry)
            advance()
    writer.compact()


def _write_labels(out: Path, pack: Pack, rows: Collection[str]) -> dict[str, set[str]]:
    """Write `labels.csv` of the videos to train on that have features, or of all where the pack has no features."""
    labels = pack.labels or _tags(pack.truth, pack.training)
    if rows:
        without = sorted(labels.keys() - set(rows))
        if without:
            note(f"{len(without)} labelled video(s) have no features (such as {without[0]}); labels.csv does not list them")
        labels = {video: tags for video, tags in labels.items() if video in rows}
    if labels:
        write_labels(out / "labels.csv", [(video, label) for video, tags in sorted(labels.items()) for label in sorted(tags)])
    elif rows:
        note("the pack says of no video that it is one to train on, so there is no labels.csv; `annotations` FILE may say")
    return labels


def _tags(truth: dict[str, VideoTruth], training: str | None) -> dict[str, set[str]]:
    """The labels of the videos to train on; one in which nothing is annotated is unknown, not surely empty."""
    if training is None:
        return {}
    tags = {video: {s.label for s in annotated.segments} for video, annotated in truth.items() if annotated.subset == training}
    return {video: labels for video, labels in tags.items() if labels}


def _match_prefix(pack: Pack) -> None:
    """ActivityNet's files are called `v_ID`, its annotations say `ID`; the features get the names of the truth."""
    tables: list[dict[str, Any]] = [pack.arrays, pack.loaded, pack.frames, pack.fps]
    for table in tables:
        for video in [v for v in table if v not in pack.truth and v.startswith("v_") and v[2:] in pack.truth]:
            table[video[2:]] = table.pop(video)
