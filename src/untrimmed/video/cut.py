"""Cutting a stretch out of a video: its frames encoded anew, or its packets copied from the keyframe before on."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.video.decode import VideoError, clock_offset, demuxed, open_video, video_track

TICKS = 90_000
"""Of the clock of an encoded clip, a second."""

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Copied packets stay in their container where it is one of these; from others they go into Matroska, which holds anything."""


def suffix_of(source: Path, copy: bool) -> str:
    """The ending of a clip's name."""
    if not copy:
        return ".mp4"
    return source.suffix.lower() if source.suffix.lower() in MUXERS else ".mkv"


def cut(source: Path, start: float, end: float, target: Path, *, copy: bool) -> float:
    """Write the stretch `[start, end)`, in seconds on a player's clock, with its sound.

    Args:
        copy: copy the packets, which is quick and loses nothing, but a clip can only begin at a keyframe; otherwise H.264 and AAC.

    Returns:
        when the clip begins, in seconds of the source.

    Raises:
        VideoError: the source cannot be opened, or has nothing in that stretch.
        InputError: the target cannot be written.
    """
    with open_video(source) as container:
        track = video_track(container)
        sound = next((s for s in container.streams.audio if s.codec_context is not None), None)
        offset = clock_offset(container, track)
        kind = MUXERS[suffix_of(source, copy)]
        try:
            container.seek(max(int((start + offset) / track.time_base), 0), stream=track)
            with atomic_write(target, "wb") as handle, av.open(handle, "w", format=kind) as sink:
                make = _copied if copy else _encoded
                return make(container, track, sound, sink, start + offset, end + offset) - offset
        except (FFmpegError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise VideoError(f"{source}: cannot be cut: {error}") from error


def _copied(container: Any, track: Any, sound: Any, sink: Any, start: float, end: float) -> float:
    streams = [track] if sound is None else [track, sound]
    made = {stream.index: sink.add_stream_from_template(stream) for stream in streams}
    began: float | None = None
    until = 0.0
    for packet in _with_decoding_times(demuxed(container, streams), track):
        time = float(packet.pts * packet.time_base)
        if packet.stream_index == track.index:
            if began is None and packet.is_keyframe:
                began = time
            if float(packet.dts * packet.time_base) >= end:
                break
        if began is None or time < began or time >= end:
            continue
        shift = round(began / packet.time_base)
        if packet.stream_index == track.index:
            until = max(until, time + _shown_for(packet, track))
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = made[packet.stream_index]
        sink.mux(packet)
    if began is None or until <= start:
        raise VideoError(f"{_name(container)}: there is no frame from {start:.3f} to {end:.3f} s")
    return began


def _with_decoding_times(packets: Iterator[Any], track: Any) -> Iterator[Any]:
    """The packets that hold something. After a seek in Matroska the first lack a decoding time, which is counted back."""
    waiting: list[Any] = []
    for packet in packets:
        if packet.size and packet.pts is None:
            raise VideoError(f"{_name(track.container)}: its packets have no time stamps to copy by; leave `copy` out")
        if packet.stream_index == track.index and packet.size and packet.dts is None:
            waiting.append(packet)
            continue
        if packet.stream_index == track.index and waiting:
            behind = packet.dts if packet.dts is not None else waiting[-1].pts
            for number, early in enumerate(waiting):
                early.dts = behind - (len(waiting) - number) * max(early.duration or 1, 1)
                yield early
            waiting = []
        if packet.size and packet.dts is not None:
            yield packet


def _name(container: Any) -> str:
    return container.name.removeprefix("file:")


def _encoded(container: Any, track: Any, sound: Any, sink: Any, start: float, end: float) -> float:
    picture = sink.add_stream("libx264", rate=track.average_rate or 25, options={"crf": "20", "preset": "veryfast"})
    picture.codec_context.time_base = Fraction(1, TICKS)
    voice = resampler = None
    if sound is not None:
        voice = sink.add_stream("aac", rate=sound.codec_context.sample_rate, layout=sound.codec_context.layout)
        resampler = av.AudioResampler("fltp", voice.codec_context.layout, voice.codec_context.sample_rate)
    shown = False
    waiting = []  # sound before the first frame, with whose size the file begins
    for item, time in _decoded(container, track, sound, start, end):
        if isinstance(item, av.VideoFrame):
            frame = _upright(item)
            if not shown:
                picture.width, picture.height, picture.pix_fmt = frame.width, frame.height, "yuv420p"
                aspect = track.sample_aspect_ratio
                if aspect and aspect != 1:
                    turned = round(item.rotation / 90) % 2
                    picture.codec_context.sample_aspect_ratio = 1 / aspect if turned else aspect
                shown = True
            frame.pts, frame.time_base = round(max(time - start, 0) * TICKS), Fraction(1, TICKS)
            sink.mux(picture.encode(frame))
        else:
            item.pts, item.time_base = round((time - start) * item.sample_rate), Fraction(1, item.sample_rate)
            waiting.append(item)
        if shown and voice is not None and resampler is not None:
            for heard in waiting:
                for part in resampler.resample(heard):
                    sink.mux(voice.encode(part))
            waiting = []
    if not shown:
        raise VideoError(f"{_name(container)}: there is no frame from {start:.3f} to {end:.3f} s")
    sink.mux(picture.encode(None))
    if voice is not None:
        sink.mux(voice.encode(None))
    return start


def _decoded(container: Any, track: Any, sound: Any, start: float, end: float) -> Iterator[tuple[Any, float]]:
    """Frames of picture and sound with their times: of the picture from the one on that is shown at `start`."""
    track.thread_type = "AUTO"
    held = None
    over = set()
    streams = [track] if sound is None else [track, sound]
    last = 0.0
    for packet in demuxed(container, streams):
        if packet.stream_index in over:
            continue
        try:
            frames = packet.decode()
        except FFmpegError:  # a damaged packet is skipped, as when features are extracted
            continue
        for frame in frames:
            if frame.pts is None:
                continue
            time = float(frame.pts * frame.time_base)
            if time >= end:
                over.add(packet.stream_index)
                break
            if isinstance(frame, av.AudioFrame):
                if time >= start:
                    yield frame, time
            elif time <= start:
                held = frame
            else:
                if held is not None:
                    yield held, start
                    held = None
                if time > last:
                    last = time
                    yield frame, time
        if len(over) == len(streams):
            break
    if held is not None and float(held.pts * held.time_base) + _shown_for(held, track) > start:
        yield held, start


def _shown_for(item: Any, track: Any) -> float:
    """How long a frame or packet is shown, in seconds, by its own account or at the track's rate."""
    return float(item.duration * item.time_base) if item.duration else 1 / float(track.average_rate or 25)


def _upright(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame turned as a player turns it, of even size, as H.264 wants it."""
    turns = round(frame.rotation / 90) % 4
    width, height = frame.width // 2 * 2, frame.height // 2 * 2
    small = frame.reformat(width, height, "rgb24" if turns else "yuv420p")
    if not turns:
        return small
    turned: Any = np.ascontiguousarray(np.rot90(small.to_ndarray(), turns))
    return av.VideoFrame.from_ndarray(turned, "rgb24").reformat(format="yuv420p")
