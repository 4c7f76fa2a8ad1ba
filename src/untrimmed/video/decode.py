"""From a video file to frames at a fixed rate, by time stamp, in constant memory.

All times are those that a browser's player shows; the offset to the raw time stamps is kept.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from untrimmed.data.errors import InputError
from untrimmed.data.ids import VIDEO_SUFFIXES, ids_of, videos_below

# Formats that contain their frames. Whatever refers to other files or URLs (concat, hls, dash, image sequences) or renders
# text to images (tty, subtitles) is not among them, and FFmpeg then refuses it before reading on.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h261,h263,h264,hevc,vvc,av1,obu,ivf,ogg,flv,asf,wtv,"
    "rm,mxf,gxf,dv,nut,nsv,vc1,dirac,cavsvideo,avs2,avs3,dhav,pva,mjpeg,yuv4mpegpipe,gif,apng"
)


class VideoError(InputError):
    """The video file is invalid, as opposed to the place its features are written to."""


# Browsers show the time stamps of MP4 and WebM as they are, also where the first is not zero (seen in Chromium). Other containers
# they do not play; desktop players, and the copies made for browsers, count from the earliest start.
SHOWN_RAW = ("mov,mp4", "matroska,webm")

# Tracks of these hold cover and preview images wherever there is another track; browsers play none of them.
STILL = ("mjpeg", "png", "bmp", "gif", "tiff", "webp")
IMAGE_SUFFIXES = frozenset(".png .jpg .jpeg .bmp .tif .tiff .webp .ppm .exr".split())  # noqa: SIM905

# A gap between two time stamps, or a last frame, that is longer than this is an error of the file, not a still image.
LONGEST_GAP = 3600.0


def find_videos(paths: Iterable[str | Path], ids: Literal["stem", "relative"] = "stem") -> dict[str, Path]:
    """The videos in files and folders (searched recursively, hidden files skipped), as `{id: file}`, sorted by id.

    A file that is named is taken whatever its ending; in a folder only those with a video's ending are. `ids="relative"` makes the
    sub-folders a part of the id.

    Raises:
        InputError: a path is a URL or does not exist, a folder holds no video, an id is not allowed, or two files have one
            id, or a folder's name is not Unicode text.
    """
    if ids not in ("stem", "relative"):
        raise InputError(f"ids: expected stem or relative, not {ids!r}")
    folders: dict[Path, Path] = {}  # file -> the folder that its id is relative to
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(videos_below(path))
            if not files:
                if any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir()):
                    raise InputError(f"{path}: there is no video in this folder, only images; join them into a video file first")
                raise InputError(f"{path}: there is no video in this folder ({' '.join(sorted(VIDEO_SUFFIXES)[:6])} ...)")
            for file in files:
                folders.setdefault(file, path)
        elif path.exists():
            folders.setdefault(path, path.parent)
        elif re.match("[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
            url = re.sub(":/+", "://", str(path), count=1)  # a Path holds it with one slash
            raise InputError(f"{url}: URLs are not read; download the video, then name the file")
        else:
            quoted = "; a pattern is for the shell, leave off the quotes" if set("*?[") & set(str(path)) else ""
            raise InputError(f"{path}: no such file or folder{quoted}")
    if not folders:
        raise InputError("no video was named: give files or folders")
    once = {os.path.abspath(file): file for file in reversed(folders)}  # a file that is named twice is one video
    files = sorted(once.values())
    for file in files:
        try:
            os.path.abspath(file.parent).encode()
        except UnicodeEncodeError:  # such a name cannot be written to a file
            raise InputError(f"{file.parent}: the folder's name is not valid Unicode text; rename the folder") from None
    if ids == "stem":
        return dict(sorted(ids_of(files).items()))
    videos: dict[str, Path] = {}
    folded: dict[str, Path] = {}
    for root in sorted({folders[file] for file in files}):
        for video, file in ids_of([file for file in files if folders[file] == root], relative_to=root).items():
            if (other := folded.get(video.casefold())) is not None:
                raise InputError(
                    f"two videos have the id {video!r}: {other} and {file}; rename one, or name only a folder that holds both"
                )
            videos[video] = folded[video.casefold()] = file
    return dict(sorted(videos.items()))


def open_video(path: str | Path) -> av.container.InputContainer:
    """Open a video file and nothing else: no URL, no playlist, no image sequence.

    Raises:
        VideoError: it cannot be read, is empty, is not a video, has no video track, or only names other files.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise VideoError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
        with path.open("rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        raise VideoError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not head:
        raise VideoError(f"{path}: the file is empty (zero bytes)")
    try:
        options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
        container = av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: {_why_not_a_video(head, error)}") from error
    tracks = _video_streams(container)
    if not tracks or video_track(container).codec_context is None:
        container.close()
        raise VideoError(f"{path}: there is no video track in this file{' that can be decoded' if tracks else ''}")
    return container


def _why_not_a_video(head: bytes, error: Exception) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"ffconcat", b"#EXTM3U", b"[playlist]")) or b"<MPD" in head:
        return "a playlist that names other files is not a video; give the files it names"
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        if b"ftyp" in head[:16]:
            return "the file is truncated or damaged: its index (moov) is missing, so nothing can be decoded"
        return "not a video file (or one of a kind that is not read)"
    return f"cannot be opened as a video: {getattr(error, 'strerror', None) or error}"


def demuxed(container: Any, tracks: list[Any]) -> Iterator[Any]:
    """The packets of some tracks, to the end of the file.

    There PyAV looks up every track, also one that appeared within a damaged MPEG transport stream and that it does not know: an
    IndexError, behind all packets.
    """
    packets = container.demux(tracks)
    while True:
        try:
            yield next(packets)
        except (StopIteration, IndexError):
            return


def _video_streams(container: Any) -> list[Any]:
    """The video tracks, without cover images."""
    return [s for s in container.streams.video if not s.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)]


def video_track(container: Any) -> Any:
    """The track that browsers play, of an opened file: the first, in MP4 the first that is enabled (seen in Chromium).

    Of containers that they do not play, it is the one that FFmpeg holds for the main one.
    """
    tracks = _video_streams(container)
    tracks = [track for track in tracks if track.codec_context is not None] or tracks
    tracks = [track for track in tracks if track.codec_context is not None and track.codec_context.name not in STILL] or tracks
    if container.format.name.startswith("mov,mp4"):
        tracks = [track for track in tracks if track.disposition & Disposition.default] or tracks
    elif not container.format.name.startswith(SHOWN_RAW) and (best := container.streams.best("video")) in tracks:
        return best
    return tracks[0]


def clock_offset(container: Any, track: Any) -> float:
    """Raw time stamp minus player's clock, in seconds (see `SHOWN_RAW`)."""
    if container.format.name.startswith(SHOWN_RAW):
        return min(0.0, float(track.start_time * track.time_base)) if track.start_time is not None else 0.0
    return min(_starts(container), default=0.0)


def _starts(container: Any) -> list[float]:
    """When the tracks begin, as their time stamps have it."""
    tracks: list[Any] = [*_video_streams(container), *container.streams.audio]
    return [float(track.start_time * track.time_base) for track in tracks if track.start_time is not None]


class Frames:
    """The frames that a player shows at the times k / fps, each uint8 `[H, W, 3]` in RGB, upright; iterate once.

    The frame at a time is the last one whose time stamp is not later. A frame that is still shown at the next grid time is
    yielded again as the same array object. The grid begins where the first frame appears.

    Args:
        fps: frames per second.
        frame_size: maps the video's display size (width, height), upright and in square pixels, to the wanted one.

    After the iteration:
        start, duration: seconds on the player's clock of the first frame, and of the end of the last one.
        offset: raw time stamp minus player's clock, in seconds.
        decoded_share: decoded seconds per declared second (at most 1), or None where the file declares none.
        faults: packets that could not be decoded.
        shown: frames yielded.

    Raises:
        VideoError: the file cannot be opened (see `open_video`), or no frame of it can be decoded.
    """

    def __init__(self, path: str | Path, fps: float, frame_size: Callable[[int, int], tuple[int, int]]) -> None:
        self.path, self.fps, self.frame_size = Path(path), fps, frame_size
        self.start = self.duration = self.offset = 0.0
        self.decoded_share: float | None = None
        self.faults = self.shown = 0
        self._time, self._bytes = 0.0, 0
        self._end: float | None = None
        self._track: Any = None
        self._container: Any = None

    @property
    def share(self) -> float:
        """Share of the file decoded so far, 0..1: by time where it declares its length, else by bytes."""
        done, whole = (self._time, self._end) if self._end else (self._bytes, self.path.stat().st_size)
        return min(max(done / max(whole, 1e-9), 0.0), 1.0)

    def __iter__(self) -> Iterator[np.ndarray]:
        with open_video(self.path) as container:
            self._track = video_track(container)
            self._track.thread_type = "NONE"
            self._track.codec_context.thread_count = 1
            self._container = container
            self._reformatter = av.video.reformatter.VideoReformatter()
            self._size: tuple[int, int] | None = None
            yield from self._resampled()

    def _resampled(self) -> Iterator[np.ndarray]:
        # Containers round time stamps, most to 1 ms: a frame that is late by such a rounding is not late.
        slack = min(float(self._track.time_base or 0) / 2, 1e-3) + 1e-9
        held, began, time, length, k = None, 0.0, 0.0, 0.0, 0
        for at, frame in self._timed_frames():
            if held is None:
                began, k = at, max(0, math.ceil((at - slack) * self.fps))
                self.start = k / self.fps
            else:
                image = None
                while k / self.fps < at - slack:
                    image = self._image(held) if image is None else image
                    self.shown += 1
                    yield image
                    k += 1
            held, time, length = frame, at, self._length(frame)
        if held is None:
            raise VideoError(f"{self.path}: no frame of this video can be decoded")
        self.duration = time + min(length, LONGEST_GAP)
        declared_end = self._declared_end()
        if declared_end is not None and declared_end > began:
            self.decoded_share = min(1.0, (self.duration - began) / (declared_end - began))
        image = self._image(held)
        if self.shown == 0 and k / self.fps >= self.duration - slack:  # shorter than the grid is fine
            self.start, k = max(0.0, began), math.floor(began * self.fps)
        while k / self.fps < self.duration - slack:
            self.shown += 1
            yield image
            k += 1

    def _timed_frames(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Decoded frames with strictly growing times; missing stamps and jumps back or far ahead are corrected."""
        starts = _starts(self._container)
        self.offset = clock_offset(self._container, self._track)
        declared_end = self._end = self._declared_end()
        last, shift = None, 0.0
        for frame in self._decoded():
            stamp = frame.pts if frame.pts is not None else frame.dts
            time = None if stamp is None else float(stamp * self._track.time_base) - self.offset + shift
            if last is None:
                if time is None:
                    time = 0.0
                elif not starts:
                    self.offset, time = time, 0.0
            elif time is None:
                time = last + self._length(frame)
            elif time < last - 1.0 or time > last + LONGEST_GAP or (declared_end is not None and last <= declared_end < time - 60):
                # The clock was reset within the file (concatenated broadcasts): continue where it was.
                shift += last + self._length(frame) - time
                time = last + self._length(frame)
            elif time <= last:
                continue
            last = self._time = time
            yield time, frame

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """All frames that can be decoded: a damaged packet is skipped, a truncated file ends where it ends."""
        packets = demuxed(self._container, [self._track])
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:
                self.faults += 1
                packet = None
            if packet is not None and packet.pos is not None:
                self._bytes = packet.pos
            try:
                yield from self._track.codec_context.decode(packet)
            except FFmpegError as error:
                if not isinstance(error, EOFError):
                    self.faults += 1
            if packet is None:
                return

    def _image(self, frame: av.VideoFrame) -> np.ndarray:
        """The frame upright, in the size given to the first one."""
        turns = round(frame.rotation / 90) % 4
        if self._size is None:
            width, height = max(1, round(frame.width * float(self._track.sample_aspect_ratio or 1))), frame.height
            self._size = self.frame_size(height, width) if turns % 2 else self.frame_size(width, height)
        width, height = self._size
        if turns % 2:
            width, height = height, width
        if frame.interlaced_frame:  # two moments in alternate lines, which scaling would not blend: use one field
            field: Any = np.ascontiguousarray(frame.to_ndarray(format="rgb24")[::2])
            frame = av.VideoFrame.from_ndarray(field, "rgb24")
        small = self._reformatter.reformat(frame, width, height, "rgb24", interpolation="BILINEAR", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(small, turns)) if turns else small

    def _length(self, frame: av.VideoFrame) -> float:
        """How long a frame is shown, in seconds, by its own account or by the track's average rate."""
        if frame.duration:
            return float(frame.duration * self._track.time_base)
        rate = float(self._track.average_rate or self._track.guessed_rate or 0)
        return 1 / rate if 0 < rate <= 1000 else 1 / 25

    def _declared_end(self) -> float | None:
        """Where the video track ends on the player's clock, as the file declares it."""
        track, container = self._track, self._container
        if track.duration:
            began = 0.0 if track.start_time is None else float(track.start_time * track.time_base) - self.offset
            return began + float(track.duration * track.time_base)
        length = container.duration / av.time_base if container.duration else None
        if not container.format.name.startswith("matroska"):
            return length
        # Matroska declares time stamps of ends: of the track in a tag, of the longest track in its header.
        try:
            hours, minutes, seconds = track.metadata.get("DURATION", "").split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - self.offset
        except ValueError:
            return None if length is None else length - self.offset
