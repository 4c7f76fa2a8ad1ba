"""The feature store: a folder of `.npy` arrays and what each of their rows stands for in time.

    features.json            header: format, extractor, settings, timing, streams, videos
    videos/<id>.json         one per finished video, written last: its presence means "finished"
    <stream>/<id>.npy        float16 or float32 [T, D]

Written per video, so that two extractions into one store, or a killed one, never lose or tear anything.

A store may also stand for someone else's pack of features (`untrimmed convert`): its header then names the pack's folder, each
video's `source.arrays` says where in it a stream lies (see `places`), and the arrays stay where they are.
"""

import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from untrimmed.console import shortened
from untrimmed.data.arrays import NotAnArray, open_npy
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, check_shape, read_json, shown, write_json
from untrimmed.data.ids import check_id
from untrimmed.data.locks import lock
from untrimmed.data.places import Place, open_place
from untrimmed.data.types import Timeline
from untrimmed.stages import add, stage

FORMAT = "untrimmed-features/1"

WIDEST, LATEST = 2**20, 1e9
"""Columns of a stream, and seconds, beyond which a header is at fault."""

HEADER = {
    "extractor": str,
    "settings?": (dict, None),
    "window_seconds": float,
    "stride_seconds": float,
    "streams": {str: float},
    "weights_sha256?": (str, {str: str}, None),
    "videos": {str: dict},
}
ENTRY = {
    "snippets": float,
    "duration": float,
    "start?": float,
    "window_seconds?": (float, None),
    "stride_seconds?": (float, None),
    "source?": ({"path?": (str, None)}, None),
}


@dataclass(frozen=True)
class VideoEntry:
    """What the store knows of one video.

    snippets: rows of its arrays. duration: seconds, the end of the video on the clock a browser's player shows.
    start: where the first snippet's window begins on that clock. window_seconds, stride_seconds: where they differ from the
    store's. source: the file it came from ({path, size, mtime_ns, offset, decoded_share ...}), free to grow.
    """

    snippets: int
    duration: float
    start: float = 0.0
    window_seconds: float | None = None
    stride_seconds: float | None = None
    source: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Header:
    """How the features of a store were made; all videos share it."""

    extractor: str
    settings: dict[str, Any]
    window_seconds: float
    stride_seconds: float
    streams: dict[str, int]
    weights_sha256: str | None = None

    def differences(self, other: "Header") -> list[str]:
        """What sets two headers apart, as readable pairs; empty when features of both can be mixed.

        Where both know the hash of their weights, it does not matter in which files those lie.
        """
        mine, theirs = asdict(self), asdict(other)
        if self.weights_sha256 and other.weights_sha256:
            mine["settings"], theirs["settings"] = without_places(self.settings), without_places(other.settings)
        for name in ("settings", "streams"):  # of these only the members that differ, so that no message hides them
            ours, others = mine.pop(name), theirs.pop(name)
            members = sorted(key for key in {**ours, **others} if ours.get(key) != others.get(key))
            mine |= {f"{name}.{key}": ours.get(key, "none") for key in members}
            theirs |= {f"{name}.{key}": others.get(key, "none") for key in members}
        return [f"{name}: {mine[name]} there, {theirs[name]} here" for name in mine if mine[name] != theirs[name]]


def without_places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """An extractor's settings without those that say where its weights lie: `model`, `revision`, and what ends in `weights`."""
    return {name: value for name, value in settings.items() if name not in ("model", "revision") and not name.endswith("weights")}


LARGEST = 1e12
"""Of a feature: the sum of the squares of many larger ones is no number any more."""

ROWS = 4096
"""Rows of an array that are checked at a time."""


def release_pages(array: np.ndarray) -> None:
    """Release a memory map's resident pages; they are re-read on access."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


class FeatureStore:
    """A folder of features, read by memory map.

    >>> store = FeatureStore("features")            # doctest: +SKIP
    >>> store.load("match_01")["rgb"].shape         # doctest: +SKIP
    (412, 1024)

    Raises:
        InputError: no such folder, no `features.json`, or one that is not a store's header.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no such folder of features")
        header_file = self.path / "features.json"
        if not header_file.is_file():
            raise InputError(f"{self.path}: not a feature store (no features.json in it)")
        content = read_json(header_file)
        self.header = _read_header(content, header_file)
        self.pack = _read_pack(content, header_file)
        self.videos: dict[str, VideoEntry] = {}
        compacted = content.get("videos") or {}
        if not isinstance(compacted, dict):
            raise InputError(f"{header_file}: videos: expected an object, found {type(compacted).__name__}")
        for name, entry in compacted.items():
            self.videos[check_id(name, header_file)] = _read_entry(entry, f"{header_file}: video {name}")
        # Videos finished since the header was last compacted: readers take the union.
        for file in sorted((self.path / "videos").glob("*.json")):
            try:
                self.videos[check_id(file.stem, file)] = _read_entry(read_json(file), str(file))
            except InputError:
                if file.exists():
                    raise
                self.videos.pop(file.stem, None)  # a writer is just extracting this video again
        self.videos = dict(sorted(self.videos.items()))

    def left_out(self) -> dict[str, str]:
        """The videos that `extract` could not extract, with the reason, as it keeps them in `failures.json`."""
        file = self.path / "failures.json"
        failures = read_json(file) if file.is_file() else {}
        if not isinstance(failures, dict):
            raise InputError(f"{file}: not as extract writes it; expected a reason by video")
        return {video: str(reason) for video, reason in failures.items() if video not in self.videos}

    @property
    def streams(self) -> dict[str, int]:
        """Width D of each stream's features."""
        return self.header.streams

    def timeline(self, video: str) -> Timeline:
        """When the snippets of a video happen; a snippet's stretch is centred on its window."""
        entry = self._entry(video)
        window = entry.window_seconds or self.header.window_seconds
        stride = entry.stride_seconds or self.header.stride_seconds
        count = len(next(iter(self.load(video, check=False).values())))
        return Timeline(entry.start + (window - stride) / 2, stride, count, entry.duration)

    @stage("read")
    def load(self, video: str, streams: Iterable[str] | None = None, check: bool = True) -> dict[str, np.ndarray]:
        """The features of a video, `{stream: [T, D]}`, memory-mapped; streams that differ by one row are cut to the shorter.

        Args:
            streams: only these are returned (all of them are compared).
            check: look for values that are not finite, which reads all of the array.

        Raises:
            InputError: an array is missing, not `[T, D]` of float16 or float32, of the wrong width, without rows, has NaN or
                infinite values, or differs from the other stream by more than one row.
        """
        self._entry(video)
        arrays = {stream: self._open(video, stream) for stream in self.streams}
        count = self._rows(video, {stream: len(array) for stream, array in arrays.items()})
        loaded = {stream: arrays[stream][:count] for stream in streams or arrays}
        add("read", size=sum(array.nbytes for array in loaded.values()))
        for stream, array in loaded.items():
            if check:
                self._check_finite(video, stream, array)
        return loaded

    def faults(self, video: str) -> list[str]:
        """Everything that `load` would refuse in a video, one line each."""
        faults = []
        arrays: dict[str, np.ndarray] = {}
        for stream in self.streams:
            try:
                arrays[stream] = self._open(video, stream)
                self._check_finite(video, stream, arrays[stream])
            except InputError as error:
                faults.append(str(error))
        try:
            if arrays:
                self._rows(video, {stream: len(array) for stream, array in arrays.items()})
        except InputError as error:
            faults.append(str(error))
        return faults

    def _check_finite(self, video: str, stream: str, array: np.ndarray) -> None:
        for first in range(0, len(array), ROWS):
            rows = array[first : first + ROWS]
            finite = np.isfinite(rows)
            if not finite.all():
                bad = first + int(np.flatnonzero(~finite.all(1))[0])
                raise InputError(
                    f"{self._file(video, stream)}: row {bad} has a value that is not finite (NaN or infinity); "
                    "extract the video again"
                )
            if rows.dtype != np.float16 and max(rows.max(), -rows.min()) > LARGEST:
                bad = first + int(np.abs(rows).max(1).argmax())
                raise InputError(
                    f"{self._file(video, stream)}: row {bad} has a value of {np.abs(rows).max():.2g}; nothing can be "
                    f"calculated with features above {LARGEST:g}; scale them"
                )
            release_pages(array)

    def _entry(self, video: str) -> VideoEntry:
        if video not in self.videos:
            raise InputError(f"{self.path}: there is no video {video!r}")
        return self.videos[video]

    def _place(self, video: str, stream: str) -> tuple[Path, Place]:
        """Where a stream of a video lies: below which folder, and how."""
        if self.pack is None:
            return self.path, {"file": f"{stream}/{video}.npy"}
        try:
            return self.pack, dict(self.videos[video].source["arrays"][stream])  # type: ignore[index]
        except (TypeError, KeyError, ValueError):
            raise InputError(
                f"{self.path / 'features.json'}: video {video}: does not say where {stream!r} is in the pack"
            ) from None

    def _file(self, video: str, stream: str) -> Path:
        folder, place = self._place(video, stream)
        return folder / place["file"]

    def _open(self, video: str, stream: str) -> np.ndarray:
        file = self._file(video, stream)
        if self.pack is not None:
            if not self.pack.is_dir():
                raise InputError(
                    f"{self.path}: the pack that it reads, {self.pack}, is not there; convert it again where it is now"
                )
            return self._check_array(open_place(*self._place(video, stream)), file, stream)
        try:
            array = open_npy(file)
        except FileNotFoundError:
            raise InputError(f"{file}: no such file, though the store lists the video {video!r}") from None
        except NotAnArray as error:
            raise InputError(f"{file}: not a readable .npy array ({error})") from error
        return self._check_array(array, file, stream)

    def _check_array(self, array: np.ndarray, file: Path, stream: str) -> np.ndarray:
        if array.ndim != 2 or array.dtype not in (np.float16, np.float32):
            raise InputError(f"{file}: expected float16 or float32 [T, D], found {array.dtype} {list(array.shape)}")
        if array.shape[1] != self.streams[stream]:
            raise InputError(f"{file}: {array.shape[1]} columns, but the store's stream {stream!r} has {self.streams[stream]}")
        return array

    def _rows(self, video: str, counts: dict[str, int]) -> int:
        count, snippets = min(counts.values()), self._entry(video).snippets
        if count == 0:
            raise InputError(f"{self.path}: the video {video!r} has no rows of features")
        if max(counts.values()) - count > 1:
            raise InputError(f"{self.path}: the streams of {video!r} differ by more than one row: {counts}")
        if abs(snippets - count) > 1:
            raise InputError(f"{self.path}: {video!r} has {count} rows, but its entry says {snippets} snippets")
        return count


class FeatureWriter:
    """Adds videos to a store, which is made if it does not exist.

    Raises:
        InputError: the store exists with another header (extractor, settings, timing or streams); what differs is named.
    """

    def __init__(self, path: str | Path, header: Header) -> None:
        self.path, self.header = Path(path), header
        file = self.path / "features.json"
        with self._locked():
            if file.exists():
                content = read_json(file)
                present = _read_header(content, file)
                if _read_pack(content, file) is not None:
                    raise InputError(f"{self.path}: a converted pack, to which nothing can be added; use another folder")
                if differences := present.differences(header):
                    raise InputError(
                        f"{self.path}: the store was made with other settings ({'; '.join(differences)}); use another folder"
                    )
            else:
                self._write_header({})
            self._before = set(FeatureStore(self.path).videos)

    def finished(self) -> dict[str, VideoEntry]:
        """The videos that the store holds whole."""
        return FeatureStore(self.path).videos

    def write(self, video: str, features: dict[str, np.ndarray], entry: VideoEntry) -> None:
        """Store one video: arrays first, each under a temporary name and renamed, then the entry that says it is finished.

        Args:
            features: `{stream: [T, D]}` for exactly the header's streams.

        Raises:
            InputError: the disk is full or the folder cannot be written; what was there before stays.
        """
        if set(features) != set(self.header.streams):
            raise ValueError(f"streams {sorted(features)} instead of {sorted(self.header.streams)}")
        with self.adding(video, {stream: array.dtype for stream, array in features.items()}) as rows:
            rows.append(features)
            rows.entry = entry

    @contextmanager
    def adding(self, video: str, dtypes: dict[str, Any]) -> Iterator["Rows"]:
        """Store one video piece by piece, so that memory does not grow with its length.

        Within the block, `append` rows and set `entry`; when it ends without an error the video is finished, else nothing is left
        of it and what was there before stays.

        Raises:
            InputError: the disk is full or the folder cannot be written.
        """
        video = check_id(video, self.path)
        finished = self.path / "videos" / f"{video}.json"
        with ExitStack() as files:
            rows = Rows(
                {s: files.enter_context(atomic_write(self._file(s, video), "wb")) for s in self.header.streams},
                dtypes,
                self.header.streams,
            )
            rows.write_headers()
            yield rows
            if rows.entry is None:
                raise ValueError("a video was added without its entry")
            rows.write_headers()
            if video in self._before or finished.exists():
                self._forget(video, finished)
        write_json(finished, rows.entry.to_json())

    def _file(self, stream: str, video: str) -> Path:
        return self.path / stream / f"{video}.npy"

    def compact(self) -> None:
        """Gather the finished videos into the header, under a lock; the single files stay valid for readers meanwhile."""
        with self._locked():
            videos = FeatureStore(self.path).videos
            self._write_header(videos)

    def _forget(self, video: str, finished: Path) -> None:
        """A video that is extracted again must not look finished while its arrays are exchanged."""
        with self._locked():
            videos = FeatureStore(self.path).videos
            videos.pop(video, None)
            self._write_header(videos)
            finished.unlink(missing_ok=True)
        self._before.discard(video)

    def remove_if_empty(self) -> None:
        """Take the store away again where it holds no video, not even one of another extraction."""
        with self._locked():
            if FeatureStore(self.path).videos:
                return
            for name in ("features.json", ".lock"):
                (self.path / name).unlink(missing_ok=True)
            for folder in (*(self.path / stream for stream in self.header.streams), self.path):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    def _write_header(self, videos: dict[str, VideoEntry]) -> None:
        content = {"format": FORMAT, **asdict(self.header), "videos": {v: e.to_json() for v, e in videos.items()}}
        write_json(self.path / "features.json", content, indent=1)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        held = lock(self.path, wait=-1)
        try:
            yield
        finally:
            held.release()


class Rows:
    """The open arrays of one video that is being added: `.npy` files whose number of rows is put in at the end."""

    def __init__(self, files: dict[str, IO[bytes]], dtypes: dict[str, Any], widths: dict[str, int]) -> None:
        self.entry: VideoEntry | None = None
        self._widths = widths
        self._files, self._dtypes = files, {stream: np.dtype(dtypes[stream]) for stream in files}
        self._counts = dict.fromkeys(files, 0)

    def append(self, features: dict[str, np.ndarray]) -> None:
        """Add the rows `{stream: [n, D]}`."""
        for stream, file in self._files.items():
            rows = np.ascontiguousarray(features[stream], self._dtypes[stream])
            if rows.ndim != 2 or rows.shape[1] != self._widths[stream]:
                raise ValueError(f"rows of shape {rows.shape} for the stream {stream!r} of width {self._widths[stream]}")
            file.write(rows.data)
            self._counts[stream] += len(rows)

    def write_headers(self) -> None:
        """NumPy pads its header for an array that grows along its first axis, so that it can be written again in place."""
        for stream, file in self._files.items():
            shape = (self._counts[stream], self._widths[stream])
            file.seek(0)
            content = {"descr": self._dtypes[stream].str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, content)
            file.seek(0, os.SEEK_END)


def write_in_place(path: str | Path, header: Header, pack: Path, layout: str, videos: dict[str, VideoEntry]) -> None:
    """Make a store that stands for a pack: its `features.json` alone, with `source.arrays` in every video's entry.

    Raises:
        InputError: the folder cannot be written.
    """
    content = {
        "format": FORMAT,
        **asdict(header),
        "pack": {"layout": layout, "folder": str(pack.resolve())},
        "videos": {video: entry.to_json() for video, entry in videos.items()},
    }
    write_json(Path(path) / "features.json", content, indent=1)


def _read_pack(content: dict[str, Any], file: Path) -> Path | None:
    pack = content.get("pack")
    if pack is None:
        return None
    check_shape(pack, {"folder": str}, f"{file}: pack")
    return Path(pack["folder"])


def _read_header(content: Any, file: Path) -> Header:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        form = content.get("format") if isinstance(content, dict) else None
        raise InputError(f'{file}: expected "format": "{FORMAT}", found {shown(form)}')
    check_shape({**content, "videos": content.get("videos") or {}}, HEADER, str(file))
    # A method draws its weights stream by stream: in one order, whatever that of the file is. `rgb` comes before `flow`.
    streams = {check_id(name, file): int(content["streams"][name]) for name in sorted(content["streams"], reverse=True)}
    header = Header(
        extractor=content["extractor"],
        settings=dict(content.get("settings") or {}),
        window_seconds=float(content["window_seconds"]),
        stride_seconds=float(content["stride_seconds"]),
        streams=streams,
        weights_sha256=content.get("weights_sha256"),
    )
    if not (0 < header.stride_seconds < np.inf and 0 < header.window_seconds < np.inf):
        raise InputError(f"{file}: window_seconds and stride_seconds must be finite and above zero")
    if not streams or not 1 <= min(streams.values()) <= max(streams.values()) <= WIDEST:
        raise InputError(f"{file}: streams: expected at least one stream, each with a width above zero, found {shortened(streams)}")
    return header


def _read_entry(content: Any, where: str) -> VideoEntry:
    check_shape(content, ENTRY, where)
    entry = VideoEntry(
        snippets=int(content["snippets"]),
        duration=float(content["duration"]),
        start=float(content.get("start", 0.0)),
        window_seconds=_optional_float(content.get("window_seconds")),
        stride_seconds=_optional_float(content.get("stride_seconds")),
        source=content.get("source"),
    )
    if not (0 < entry.duration <= LATEST and abs(entry.start) <= LATEST):
        raise InputError(f"{where}: duration and start must be finite, and the duration above zero")
    if any(seconds is not None and not 0 < seconds < np.inf for seconds in (entry.window_seconds, entry.stride_seconds)):
        raise InputError(f"{where}: window_seconds and stride_seconds must be finite and above zero")
    return replace(entry, snippets=max(entry.snippets, 0))


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)
