"""The videos of a page: finding their files, linking to them, and small copies of those that browsers cannot play."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path
from urllib.parse import quote

import av
import numpy as np
from av.stream import Disposition

from untrimmed.console import note
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.data.ids import relative_name, videos_below

MP4 = frozenset({"h264", "av1", "vp9"})
WEBM = frozenset({"vp8", "vp9", "av1"})
CODECS_BY_SUFFIX = {".mp4": MP4, ".m4v": MP4, ".mov": MP4, ".webm": WEBM}
DEMUXER_BY_SUFFIX = {".mp4": "mov", ".m4v": "mov", ".mov": "mov", ".webm": "webm"}
"""What today's browsers play: these codecs, in these containers."""

DECODERS = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}
"""The codec behind a decoder that has a name of its own."""

COPY_HEIGHT = 360
COPY_FPS = 30.0
COPY_BITS_PER_PIXEL = 0.08


def files_by_id(folder: str | Path, wanted: Iterable[str], leave_out: Path | None = None) -> dict[str, Path]:
    """The video file of each wanted id: the one whose place in the folder it is (`a__match`), or else whose stem.

    Ids without a file are left out; so are the files below `leave_out`.

    Raises:
        InputError: no such folder, or two files answer to one wanted id; both are named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of videos")
    by_path: dict[str, list[Path]] = {}
    by_stem: dict[str, list[Path]] = {}
    for file in sorted(videos_below(folder)):
        if not file.is_file() or (leave_out is not None and file.resolve().is_relative_to(leave_out.resolve())):
            continue
        by_path.setdefault(_nfc(relative_name(file, folder)), []).append(file)
        by_stem.setdefault(_nfc(file.stem), []).append(file)
    chosen = {}
    for video in sorted(set(wanted)):
        files = by_path.get(video) or by_stem.get(video) or []
        if len(files) > 1:
            raise InputError(f"two videos have the id {video!r}: {files[0]} and {files[1]}; rename or move one")
        if files:
            chosen[video] = files[0]
    return chosen


def files_to_show(folder: str | Path, wanted: Sequence[str], leave_out: Path | None = None) -> dict[str, Path]:
    """The same for a page, with a warning where some of the videos have no file.

    Raises:
        InputError: as above, or none of them has one.
    """
    files = files_by_id(folder, wanted, leave_out)
    if wanted and not files:
        raise InputError(
            f"`videos` {folder}: none of the {len(wanted)} videos, such as {wanted[0]!r}, has a file in it; name the folder that "
            f"holds them, or leave `videos` away to see the timelines alone"
        )
    if missing := [video for video in wanted if video not in files]:
        names = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        note(f"warning: {len(missing)} of {len(wanted)} videos have no file in {folder}: {names}; only their timelines are shown")
    return files


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def link(file: str | Path, page: str | Path) -> str:
    """The relative, percent-encoded address of a file, seen from the folder of a page."""
    relative = os.path.relpath(os.path.abspath(file), os.path.dirname(os.path.abspath(page)))
    return "/".join(quote(os.fsencode(part), safe="") for part in Path(relative).parts)


def playable(suffix: str, track: av.video.stream.VideoStream) -> tuple[bool, str]:
    """Whether browsers play a track of an opened file, by container and codec, and what it is, in words (`mpeg4 in .avi`)."""
    context = track.codec_context
    codec = DECODERS.get(context.name, context.name)
    suffix = suffix.lower()
    held = DEMUXER_BY_SUFFIX.get(suffix, "") in track.container.format.name.split(",")
    # Few browsers decode the 4:2:2, 4:4:4 and 10-bit H.264 of cameras and screen recorders.
    rare = codec == "h264" and (context.pix_fmt or "yuv420p") not in ("yuv420p", "yuvj420p")
    # Browsers play the first enabled track, or nothing: they do not look for a track behind it that they know.
    others = [other for other in track.container.streams.video if not other.disposition & Disposition.attached_pic]
    behind = any(other.disposition & Disposition.default for other in others[: others.index(track)])
    words = f"{codec}{f' ({context.pix_fmt})' if rare else ''}{' behind another track' if behind else ''} in {suffix}"
    return held and codec in CODECS_BY_SUFFIX.get(suffix, ()) and not rare and not behind, words


def copy_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of a small copy: even, and at most `COPY_HEIGHT` high."""
    scale = min(1.0, COPY_HEIGHT / height)
    return max(round(width * scale / 2) * 2, 2), max(round(height * scale / 2) * 2, 2)


def write_copy(target: str | Path, frames: Iterable[np.ndarray], fps: float, late: Callable[[], float]) -> None:
    """Write a small silent WebM (VP8).

    Args:
        frames: uint8 `[H, W, 3]` in RGB, of even size, at `fps` a second.
        late: asked once the first frame is decoded: when that is shown, in seconds. The copy shows it from time 0 on, so that its
            clock is the original's.

    Raises:
        InputError: there is no frame, or the file cannot be written.
    """
    following = iter(frames)
    first = next(following, None)
    if first is None:
        raise InputError(f"{target}: there is no frame to write")
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_write(target, "wb") as handle, av.open(handle, "w", format="webm") as sink:
        height, width = first.shape[:2]
        stream = sink.add_stream("libvpx", rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.bit_rate = int(max(height * width * fps * COPY_BITS_PER_PIXEL, 60_000))
        stream.codec_context.gop_size = max(round(fps * 2), 1)  # so that a seek decodes two seconds at most
        stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for k, image in enumerate(chain(repeat(first, 1 + round(late() * fps)), following)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = k, 1 / rate
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
