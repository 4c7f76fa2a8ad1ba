"""Small video files for the tests, made with PyAV, each frame showing its own number."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 12  # the number is shown as 4 x 3 black and white fields


def counter(number: int, width: int, height: int) -> np.ndarray:
    """A frame that shows `number`."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    rows, columns = np.arange(height) * 3 // height, np.arange(width) * 4 // width
    grey = (np.array(bits, np.uint8) * 200 + 20)[rows[:, None] * 4 + columns]
    return np.repeat(grey[..., None], 3, axis=2)


def number_of(frame: np.ndarray) -> int:
    """The number that a frame shows, whatever its size."""
    height, width = frame.shape[:2]
    bits = [frame[(2 * (b // 4) + 1) * height // 6, (2 * (b % 4) + 1) * width // 8].mean() > 120 for b in range(BITS)]
    return sum(1 << b for b, bit in enumerate(bits) if bit)


def moving_blocks(number: float, width: int, height: int, speed: float = 1.0, seed: int = 0) -> np.ndarray:
    """A textured scene, the same at any size, through whose middle a patch moves right by `speed` frame widths in 100 frames."""
    rng = np.random.default_rng(seed)
    ground, patch = rng.integers(60, 120, (12, 16)), rng.integers(0, 255, (6, 6))
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    frame = ground[(y * 12).astype(int), (x * 16).astype(int)]
    left, top, size = number * speed / 100 % 0.75, 0.33, 0.25
    inside = (x >= left) & (x < left + size) & (y >= top) & (y < top + size)
    frame[inside] = patch[((y[inside] - top) / size * 6).astype(int), ((x[inside] - left) / size * 6).astype(int)]
    return np.repeat(frame.astype(np.uint8)[..., None], 3, axis=2)


def film(
    path: Path,
    times: list[float] | np.ndarray,
    *,
    width: int = 128,
    height: int = 96,
    draw=counter,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    tick: Fraction = Fraction(1, 12800),
    audio_from: float | None = None,
    rotate: int | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    b_frames: int = 0,
) -> Path:
    """Write frame i (drawn by `draw(i, width, height)`) to be shown from `times[i]` on, in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or ({"preset": "ultrafast"} if codec == "libx264" else {}))
        stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, pix_fmt, tick
        stream.codec_context.time_base = tick
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.thread_count = 1
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotate is not None:
            stream.set_display_rotation(rotate)
        sound = container.add_stream("aac", rate=16000) if audio_from is not None else None
        packets = []
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(draw(i, width, height)), "rgb24")
            frame = frame.reformat(format=pix_fmt)
            frame.pts, frame.time_base = round(time / tick), tick
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if sound is not None:
            seconds = float(times[-1]) - float(audio_from or 0)
            for i in range(int(seconds * 16000 / 1024)):
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                tone.sample_rate, tone.pts = 16000, round((audio_from or 0) * 16000) + i * 1024
                tone.time_base = Fraction(1, 16000)
                packets += sound.encode(tone)
            packets += sound.encode(None)
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            container.mux(packet)
    return path


def steady(seconds: float, rate: float = 25, start: float = 0.0) -> np.ndarray:
    """Time stamps of a constant frame rate."""
    return start + np.arange(round(seconds * rate)) / rate


def cut(path: Path, share: float) -> Path:
    """Leave only the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
