"""Packs of features and truth as others share them: which file holds which video, at which rate, and what is true of it.

A layout is what the field's releases agree on without saying: names of folders and files, order of columns, subsets. Reading one
copies nothing (see `places`), but for W-TALC's pickled arrays, which can be read neither in part nor safely by other programs.
Facts are from the releases themselves: github.com/bfshi/DGAM-Weakly-Supervised-Action-Localization, Pilhyeon/BaSNet-pytorch,
ispc-lab/ACM-Net, sujoyp/wtalc-pytorch, Finspire13/CMCS-Temporal-Action-Localization, happyharrycn/actionformer_release.
"""

import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import shortened
from untrimmed.data.annotations import AMBIGUOUS, VideoTruth, read_annotations
from untrimmed.data.arrays import UNREADABLE, open_npy, read_npz_key
from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.files import read_json, read_text, shown
from untrimmed.data.ids import check_id
from untrimmed.data.places import Place, shape_at
from untrimmed.data.types import Segment

THUMOS14_CLASSES = (
    *("BaseballPitch", "BasketballDunk", "Billiards", "CleanAndJerk", "CliffDiving", "CricketBowling", "CricketShot", "Diving"),
    *("FrisbeeCatch", "GolfSwing", "HammerThrow", "HighJump", "JavelinThrow", "LongJump", "PoleVault", "Shotput", "SoccerPenalty"),
    *("TennisSwing", "ThrowDiscus", "VolleyballSpiking"),
)
"""The order of the columns in label arrays of 20 columns, which every code for THUMOS'14 shares."""

KNOWN_FAULTS = {
    "video_test_0000270": "wrongly annotated",
    "video_test_0001292": "has only ambiguous segments",
    "video_test_0001496": "wrongly annotated",
}
"""Test videos of THUMOS'14 that most releases leave out; without them there are 210 videos and 3311 true segments."""


@dataclass
class Pack:
    """What is in a pack.

    arrays:   where each video's streams lie, `{video: {stream: place}}`; see `places`.
    loaded:   or the arrays themselves, float [T, D], where they cannot be read in place.
    truth:    what is true of the videos, where the pack says.
    labels:   labels of the training videos, where the pack has them apart from the ground truth.
    training: the name of the truth's subset to train on, if there is one.
    fps:      frames a second that a video's features were made at, where the pack says.
    frames:   number of frames of a video, where the pack says.
    notes:    what a person should know.
    """

    arrays: dict[str, dict[str, Place]] = field(default_factory=dict)
    loaded: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    truth: dict[str, VideoTruth] = field(default_factory=dict)
    labels: dict[str, set[str]] = field(default_factory=dict)
    training: str | None = None
    fps: dict[str, float] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """A way of packing: how to read it, and the timing its authors used (None: it differs between such packs)."""

    read: Callable[..., Pack]
    fps: float | None = None
    stride: int | None = None
    frames: int = 16


def read_pack(
    source: str | Path, layout: str, annotations: str | Path | None = None, flow_first: bool = False, allow_pickle: bool = False
) -> Pack:
    """Read what a pack holds; arrays are only opened, not loaded.

    Args:
        source: the pack's folder, or a file of truth for the layouts that are one.
        layout: a name in LAYOUTS.
        annotations: truth in ActivityNet's JSON that lies elsewhere.
        flow_first: where both streams share an array, flow is its first half.
        allow_pickle: unpickle W-TALC's files.

    Raises:
        InputError: an unknown layout, files of it that are missing or not as it says, or pickled files without leave.
    """
    if layout not in LAYOUTS:
        raise InputError(
            f"`layout` {layout}: there is no such layout{did_you_mean(layout, LAYOUTS)}; there is {', '.join(LAYOUTS)}"
        )
    source = Path(source)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    pack = LAYOUTS[layout].read(source, flow_first=flow_first, allow_pickle=allow_pickle, annotations=annotations)
    if annotations is not None:
        _take_truth(pack, Path(annotations))
    if not (pack.arrays or pack.loaded or pack.truth):
        raise InputError(
            f"{source}: nothing in it that looks like the layout {layout!r}; docs/own-features.md shows what it should hold"
        )
    return pack


def training_subset(truth: dict[str, VideoTruth]) -> str | None:
    """The part to train on: `train` or `training` if there is one; where there is a test part too, the validation videos
    (THUMOS'14 trains on those)."""
    subsets = {video.subset.casefold(): video.subset for video in truth.values() if video.subset is not None}
    for name in ("train", "training", *(["validation"] if "test" in subsets else [])):
        if name in subsets:
            return subsets[name]
    return None


def _dgam(source: Path, annotations: str | Path | None, **_: Any) -> Pack:
    """`{train,test}_data/{rgb,flow}_features/I.npy`, numbered from 1 in the order of `*_vid_list.txt`; `{mode}_labels.npy`."""
    pack = Pack()
    for mode in ("train", "test"):
        folder = source / f"{mode}_data"
        numbers = {int(file.stem) for file in folder.glob("*_features/*.npy") if file.stem.isdigit()}
        if not numbers:
            continue
        if 0 in numbers:
            raise InputError(f"{folder}: holds 0.npy, but this layout counts its videos from 1; number the files so")
        lists = sorted(folder.glob(f"*{mode}_vid_list.txt"))
        if lists:
            names = [check_id(line.strip().removesuffix(".mp4"), lists[0]) for line in _lines(lists[0])]
            if max(numbers) > len(names):
                raise InputError(
                    f"{lists[0]}: names {len(names)} videos, but there is {folder / 'rgb_features' / f'{max(numbers)}.npy'}"
                )
        else:
            names = [f"{mode}_{number:04d}" for number in range(1, max(numbers) + 1)]
            pack.notes.append(f"{folder}: no *_{mode}_vid_list.txt, so its videos are called {names[0]} and so on")
        labels = folder / f"{mode}_labels.npy"
        if mode == "train" and labels.is_file():
            _multi_hot(pack, labels, names, annotations)
        for number in sorted(numbers):
            files = {stream: f"{mode}_data/{stream}_features/{number}.npy" for stream in ("rgb", "flow")}
            _add(pack, names[number - 1], {s: {"file": file} for s, file in files.items() if (source / file).is_file()})
    return pack


def _basnet(source: Path, **_: Any) -> Pack:
    """`features/{train,test}/{rgb,flow}/ID.npy`, `gt.json`; or that `gt.json` alone."""
    if source.is_file():
        return _truth_file(source)
    pack = Pack()
    for file in sorted(source.glob("features/*/rgb/*.npy")):
        other = file.parents[1] / "flow" / file.name
        _add(pack, file.stem, {"rgb": {"file": _below(file, source)}, "flow": {"file": _below(other, source)}})
    return _with_truth_beside(pack, source)


def _acmnet(source: Path, flow_first: bool, **_: Any) -> Pack:
    """`{train,test}/ID.npy`, both streams side by side; `gt.json`."""
    pack = Pack()
    for file in sorted([*source.glob("train/*.npy"), *source.glob("test/*.npy")]):
        _add(pack, file.stem, _halves({"file": _below(file, source)}, source, flow_first))
    return _with_truth_beside(pack, source)


def _cmcs(source: Path, **_: Any) -> Pack:
    """`ID-{rgb,flow}.npz` with `feature` [crops, T, D] and `frame_cnt`, in any folder."""
    pack = Pack()
    for file in sorted(source.rglob("*-rgb.npz")):
        video, other = file.name.removesuffix("-rgb.npz"), file.with_name(file.name.replace("-rgb.npz", "-flow.npz"))
        _add(pack, video, {s: {"file": _below(f, source), "key": "feature"} for s, f in (("rgb", file), ("flow", other))})
        # A file that cannot be read is named when its rows are counted.
        with suppress(*UNREADABLE, TypeError):
            pack.frames[video] = int(read_npz_key(file, "frame_cnt"))
    return pack


def _actionformer(source: Path, flow_first: bool, **_: Any) -> Pack:
    """`i3d_features/ID.npy`, both streams side by side; `annotations/thumos14.json` (or beside) with `fps` of each video."""
    pack = Pack()
    for file in sorted(source.glob("*features/*.npy")):
        _add(pack, file.stem, _halves({"file": _below(file, source)}, source, flow_first))
    truths = sorted([*source.glob("*.json"), *source.glob("annotations/*.json")])
    if len(truths) > 1:
        raise InputError(f"{source}: several JSON files ({', '.join(file.name for file in truths)}); leave one, the annotations")
    for file in truths:
        _take_truth(pack, file)
        for video, entry in read_json(file)["database"].items():
            if entry.get("fps"):
                pack.fps[check_id(video, file)] = _rate(entry["fps"], f"{file}: video {video}")
    return pack


def _activitynet(source: Path, **_: Any) -> Pack:
    """A JSON file in ActivityNet's schema, with numbers or numeric strings."""
    return _truth_file(source)


def _thumos14_annotations(source: Path, **_: Any) -> Pack:
    """The annotation kit's text files `CLASS_{val,test}.txt` with lines `VIDEO START END`, in the folder or below it."""
    segments: dict[str, list[Segment]] = {}
    subsets: dict[str, str] = {}
    files = {file: re.fullmatch(r"(\w+)_(val|test)\.txt", file.name) for file in sorted(source.rglob("*.txt"))}
    for file, name in files.items():
        if name is None:
            continue
        subset = {"val": "validation", "test": "test"}[name[2]]
        for video, segment in _kit_segments(file, name[1]):
            segments.setdefault(check_id(video, file), []).append(segment)
            if subsets.setdefault(video, subset) != subset:
                raise InputError(
                    f"{file}: {video!r} is a video of the part {subset!r} here, but of {subsets[video]!r} in another file"
                )
    truth = {video: _truth(subsets[video], None, annotated) for video, annotated in sorted(segments.items())}
    pack = Pack(truth=truth, training="validation")
    if faults := KNOWN_FAULTS.keys() & pack.truth.keys():
        said = ", ".join(f"{video} ({KNOWN_FAULTS[video]})" for video in sorted(faults))
        pack.notes.append(f"kept, though most releases leave them out: {said}; `exclude` does so")
    return pack


def _wtalc(source: Path, flow_first: bool, allow_pickle: bool, **_: Any) -> Pack:
    """`NAME-I3D-JOINTFeatures.npy` (pickled arrays [T, 2 D], both streams side by side) and `NAME-Annotations/`, or that alone."""
    features = source if source.is_file() else next(iter(sorted(source.glob("*-JOINTFeatures.npy"))), None)
    folder = source if features is None else features.parent / f"{re.sub(r'-(I3D-)?JOINTFeatures$', '', features.stem)}-Annotations"
    if not (folder / "videoname.npy").is_file():
        raise InputError(
            f"{folder}: no videoname.npy in it; the layout 'wtalc' has NAME-I3D-JOINTFeatures.npy and NAME-Annotations/, "
            "or that folder alone"
        )
    if not allow_pickle:
        raise InputError(
            f"{folder}: its files are pickled Python objects, which in a bad file could run a program; "
            f"give `allow_pickle` if you trust where they are from"
        )
    videos = [check_id(_text(name, f"{folder}: a video's name"), folder) for name in _unpickled(folder / "videoname.npy")]
    if twice := next((video for video in videos if videos.count(video) > 1), None):
        raise InputError(f"{folder / 'videoname.npy'}: the video {twice!r} stands there twice")
    columns = {name: _unpickled(folder / f"{name}.npy") for name in ("subset", "duration", "segments", "labels", "labels_all")}
    if wrong := {name: len(column) for name, column in columns.items() if len(column) != len(videos)}:
        raise InputError(f"{folder}: {len(videos)} videos, but {wrong}")
    ambiguous: dict[str, list[Segment]] = {}
    for file in sorted(folder.glob(f"{AMBIGUOUS}_*.txt")):
        for video, segment in _kit_segments(file, AMBIGUOUS):
            ambiguous.setdefault(video, []).append(segment)
    tags: dict[str, set[str]] = {}
    pack = Pack(notes=[f"{folder}: unpickled; only NumPy's own arrays, bytes and numbers were let through"])
    for i, video in enumerate(videos):
        where = f"{folder}: {video}"
        try:
            annotated = [
                _segment(start, end, _text(label, where), where)
                for (start, end), label in zip(columns["segments"][i], columns["labels"][i], strict=True)
            ]
            (duration,) = np.ravel(columns["duration"][i]).astype(np.float64).tolist()
            tags[video] = {_text(label, where) for label in columns["labels_all"][i]}
        except (TypeError, ValueError) as error:
            raise InputError(f"{where}: its segments, labels or duration are not as the layout has them ({error})") from None
        if not 0 < duration < np.inf:
            raise InputError(f"{where}: duration: expected seconds above 0, found {duration:g}")
        pack.truth[video] = _truth(_text(columns["subset"][i], where), duration, [*annotated, *ambiguous.get(video, [])])
    pack.training = training_subset(pack.truth)
    if pack.training is not None:
        pack.labels = {video: labels for video, labels in tags.items() if pack.truth[video].subset == pack.training}
    if features is not None:
        arrays = _unpickled(features)
        if len(arrays) != len(videos):
            raise InputError(f"{features}: {len(arrays)} arrays, but {folder} names {len(videos)} videos")
        for video, array in zip(videos, arrays, strict=True):
            try:
                array = np.asarray(array, dtype=np.float32)
            except (TypeError, ValueError) as error:
                raise InputError(f"{features}: {video}: not an array of numbers ({error})") from None
            if array.ndim != 2 or not len(array):
                raise InputError(f"{features}: {video}: expected both streams side by side, [T, 2 D], found {list(array.shape)}")
            half = _half(array.shape[1], f"{features}: {video}")
            first, second = ("flow", "rgb") if flow_first else ("rgb", "flow")
            pack.loaded[video] = {first: array[:, :half], second: array[:, half:]}
    return pack


LAYOUTS = {
    "dgam": Layout(_dgam, fps=25, stride=16),
    "basnet": Layout(_basnet, fps=25, stride=16),
    "acmnet": Layout(_acmnet, fps=25, stride=16),
    "wtalc": Layout(_wtalc, fps=25, stride=16),
    "cmcs": Layout(_cmcs),
    "actionformer": Layout(_actionformer, stride=4),
    "activitynet": Layout(_activitynet),
    "thumos14-annotations": Layout(_thumos14_annotations),
}


def _empty_array(*_: Any) -> np.ndarray:
    """Every pickled array begins as an empty one; shape and numbers follow, and must agree."""
    return np.ndarray((0,), "b")


class _OnlyArrays(pickle.Unpickler):
    """Puts together nothing but NumPy arrays of bytes, text and numbers, so that a file cannot name a function to be called."""

    ALLOWED = frozenset(
        [(f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")] + [("numpy", "dtype"), ("_codecs", "encode")]
    )

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module.startswith("numpy."):
            return _empty_array
        if (module, name) == ("numpy", "ndarray"):
            return None  # only ever an argument of `_reconstruct`; called, it would make an array of whatever size the file names
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it would call {module}.{name}, which no array needs")
        return super().find_class(module, name)


def _unpickled(file: Path) -> Any:
    """An array of objects, or an ordinary one, without ever calling what the file names."""
    try:
        with open(file, "rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
            if not shape:
                raise ValueError("a single value")
            if not dtype.hasobject:
                return np.asarray(open_npy(file))
            return np.asarray(_OnlyArrays(stream, encoding="bytes").load(), dtype=object).reshape(shape)
    except FileNotFoundError:
        raise InputError(f"{file}: no such file in the pack") from None
    except Exception as error:  # a damaged pickle raises of any kind
        raise InputError(f"{file}: not an array of arrays ({shortened(' '.join(str(error).split()))})") from error


def _multi_hot(pack: Pack, file: Path, names: list[str], annotations: str | Path | None) -> None:
    """Tags from an array [N, C] of 0 and 1, whose columns are the classes in the order of the alphabet."""
    try:
        rows = open_npy(file)
    except UNREADABLE as error:
        raise InputError(f"{file}: not a readable .npy array ({error})") from error
    if rows.ndim != 2 or len(rows) != len(names) or rows.dtype.kind not in "biuf":
        raise InputError(
            f"{file}: expected one row of numbers for each of {len(names)} videos, found {rows.dtype} {list(rows.shape)}"
        )
    classes = THUMOS14_CLASSES if annotations is None else read_annotations(annotations).classes
    if len(classes) != rows.shape[1]:
        raise InputError(
            f"{file}: {rows.shape[1]} columns, but {'THUMOS14' if annotations is None else annotations} has {len(classes)} "
            f"classes; give the annotations that name them: `annotations`"
        )
    pack.labels = {video: {classes[c] for c in np.flatnonzero(row > 0)} for video, row in zip(names, rows, strict=True)}


def _add(pack: Pack, video: str, streams: dict[str, Place]) -> None:
    if check_id(video, "the pack") in pack.arrays:
        raise InputError(f"the pack holds the video {video!r} twice: {pack.arrays[video]} and {streams}")
    pack.arrays[video] = streams


def _halves(place: Place, source: Path, flow_first: bool) -> dict[str, Place]:
    """The two streams of an array that holds them side by side."""
    try:
        width = shape_at(source, place)[1]
    except InputError:
        width = 0  # said when the rows are counted, with the video's name
    half = _half(width, str(source / place["file"]))
    first, second = ("flow", "rgb") if flow_first else ("rgb", "flow")
    return {first: {**place, "columns": [0, half]}, second: {**place, "columns": [half, width]}}


def _half(width: int, where: str) -> int:
    if width % 2:
        raise InputError(f"{where}: expected both streams side by side, as many columns each; found {width} columns")
    return width // 2


def _with_truth_beside(pack: Pack, source: Path) -> Pack:
    if (source / "gt.json").is_file():
        _take_truth(pack, source / "gt.json")
    return pack


def _truth_file(source: Path) -> Pack:
    if source.is_dir():
        raise InputError(f"{source}: a folder; name the JSON file")
    pack = Pack()
    _take_truth(pack, source)
    return pack


def _take_truth(pack: Pack, file: Path) -> None:
    truth = read_annotations(file)
    pack.truth = dict(truth.videos)
    pack.training = training_subset(pack.truth)
    pack.notes += truth.notes


def _truth(subset: str, duration: float | None, segments: list[Segment]) -> VideoTruth:
    apart = tuple(s for s in segments if s.label == AMBIGUOUS)
    return VideoTruth(subset, duration, tuple(s for s in segments if s.label != AMBIGUOUS), apart)


def _kit_segments(file: Path, label: str) -> Iterator[tuple[str, Segment]]:
    """The lines `VIDEO START END` of one of the kit's text files."""
    for number, line in enumerate(_lines(file), 1):
        where = f"{file}, line {number}"
        try:
            video, start, end = line.split()
        except ValueError:
            raise InputError(f"{where}: expected VIDEO START END, found {shortened(repr(line), 60)}") from None
        yield video, _segment(start, end, label, where)


def _segment(start: Any, end: Any, label: str, where: str) -> Segment:
    try:
        segment = Segment(float(start), float(end), label)
    except (TypeError, ValueError):
        raise InputError(
            f"{where}: expected a start and an end in seconds, found {shortened(start, 40)} and {shortened(end, 40)}"
        ) from None
    if not 0 <= segment.start <= segment.end < np.inf:
        span = f"{shortened(start, 40)} to {shortened(end, 40)}"
        raise InputError(f"{where}: the segment {span} ends before it starts, or has a time below 0 or not finite")
    return segment


def _rate(value: Any, where: str) -> float:
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = np.nan
    if not 0 < rate < np.inf:
        raise InputError(f"{where}: fps: expected frames a second, above 0, found {shown(value)}")
    return rate


def _lines(file: Path) -> list[str]:
    return [line for line in read_text(file).splitlines() if line.strip()]


def _below(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _text(value: Any, where: str) -> str:
    try:
        text = value.decode("utf-8") if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        text = None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: expected text, found {shown(value)}")
    return str(text)
